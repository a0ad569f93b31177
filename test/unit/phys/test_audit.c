/* phys_audit must find every kind of damage. Each test plants one and names the invariant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "phys/phys_int.h"

static struct stat_set stats;

/* One held block of each kind, the rest of zone DMA32 split. */
struct scene {
    struct phys *p;
    pfn table, anon, pair; /* a table, an anon frame, an order-1 block */
};

static int set_up(void **state)
{
    static struct scene s;
    struct conf conf;
    conf_init(&conf);
    conf.phys_size = MIB(64);
    conf.phys_kernel_image = MIB(8);
    assert_int_equal(phys_open(&s.p, &conf, &stats), 0);
    assert_int_equal(phys_alloc(s.p, 0, GFP_KERNEL, FRAME_PAGE_TABLE, &s.table), 0);
    assert_int_equal(phys_alloc(s.p, 0, GFP_USER, FRAME_USER_ANON, &s.anon), 0);
    assert_int_equal(phys_alloc(s.p, 1, GFP_USER, FRAME_USER_ANON, &s.pair), 0);
    assert_int_equal(phys_audit(s.p), 0);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    phys_close(((struct scene *)*state)->p);
    return 0;
}

/* The first block on the list of an order. */
static struct frame *listed(struct scene *s, unsigned order)
{
    uint32_t head = s->p->nodes[0].zones[ZONE_DMA32].lists[MIGRATE_MOVABLE][order].head;
    assert_int_not_equal(head, 0);
    return phys_frame(s->p, (pfn){head - 1});
}

static void test_held_frame_turned_free_is_found(void **state)
{
    struct scene *s = *state;
    phys_frame(s->p, s->anon)->owner = FRAME_FREE;
    assert_int_equal(phys_audit(s->p), 1);
}

static void test_frame_with_a_changed_owner_is_found(void **state)
{
    struct scene *s = *state;
    phys_frame(s->p, s->anon)->owner = FRAME_SHMEM;
    assert_int_equal(phys_audit(s->p), 1);
}

static void test_owner_beyond_the_table_is_found(void **state)
{
    struct scene *s = *state;
    phys_frame(s->p, s->anon)->owner = FRAME_OWNER_NR;
    assert_int_equal(phys_audit(s->p), 1);
}

static void test_held_frame_inside_a_free_block_is_found(void **state)
{
    struct scene *s = *state;
    listed(s, 5)[17].owner = FRAME_SLAB;
    assert_int_equal(phys_audit(s->p), 1);
}

static void test_lost_head_of_a_block_is_found(void **state)
{
    struct scene *s = *state;
    phys_frame(s->p, s->pair)->flags = 0;
    assert_int_equal(phys_audit(s->p), 1);
}

static void test_second_head_inside_a_block_is_found(void **state)
{
    struct scene *s = *state;
    phys_frame(s->p, (pfn){s->pair.v + 1})->flags |= FRAME_F_HEAD;
    assert_int_equal(phys_audit(s->p), 1);
}

static void test_leaked_free_block_is_found(void **state)
{
    struct scene *s = *state;
    struct free_list *l = &s->p->nodes[0].zones[ZONE_DMA32].lists[MIGRATE_MOVABLE][5];
    l->head = l->tail = 0; /* the record still says free */
    assert_int_equal(phys_audit(s->p), 2);
}

static void test_block_in_the_list_of_another_order_is_found(void **state)
{
    struct scene *s = *state;
    struct free_list *lists = s->p->nodes[0].zones[ZONE_DMA32].lists[MIGRATE_MOVABLE], t = lists[5];
    lists[5] = lists[6];
    lists[6] = t;
    assert_int_equal(phys_audit(s->p), 2);
}

static void test_list_bent_into_a_ring_is_found(void **state)
{
    struct scene *s = *state;
    struct free_list *l = &s->p->nodes[0].zones[ZONE_DMA32].lists[MIGRATE_MOVABLE][6];
    listed(s, 6)->link_next = l->head;
    assert_int_equal(phys_audit(s->p), 2);
}

static void test_link_that_does_not_point_back_is_found(void **state)
{
    struct scene *s = *state;
    listed(s, 5)->link_prev = 7;
    assert_int_equal(phys_audit(s->p), 2);
}

static void test_wrong_length_of_a_list_is_found(void **state)
{
    struct scene *s = *state;
    s->p->nodes[0].zones[ZONE_DMA32].lists[MIGRATE_MOVABLE][5].blocks_nr++;
    assert_int_equal(phys_audit(s->p), 2);
}

static void test_buddies_left_unmerged_are_found(void **state)
{
    struct scene *s = *state;
    struct frame *f = listed(s, 6);
    uint32_t n = s->p->nodes[0].zones[ZONE_DMA32].lists[MIGRATE_MOVABLE][6].head;
    f->order = 5; /* as two order-5 buddies, both marked free */
    f[32] = (struct frame){.order = 5, .flags = FRAME_F_BUDDY, .zone = ZONE_DMA32, .link_prev = n};
    f->link_next = n + 32;
    assert_int_equal(phys_audit(s->p), 2);
}

static void test_stale_bit_of_free_orders_is_found(void **state)
{
    struct scene *s = *state;
    s->p->nodes[0].zones[ZONE_DMA32].orders[MIGRATE_MOVABLE] ^= 1u << 5;
    assert_int_equal(phys_audit(s->p), 2);
}

static void test_wrong_count_of_free_frames_is_found(void **state)
{
    struct scene *s = *state;
    s->p->nodes[0].zones[ZONE_DMA32].free_frames--;
    assert_int_equal(phys_audit(s->p), 3);
}

static void test_virgin_run_out_of_place_is_found(void **state)
{
    struct scene *s = *state;
    s->p->nodes[0].zones[ZONE_DMA32].virgin -=
        BLOCK_MAX; /* used memory would be handed out again */
    assert_int_not_equal(phys_audit(s->p), 0);
}

static void test_virgin_run_that_lost_its_place_is_found(void **state)
{
    struct scene *s = *state;
    s->p->nodes[0].zones[ZONE_DMA32].virgin_prev = 7;
    assert_int_equal(phys_audit(s->p), 2);
}

static void test_table_without_bytes_is_found(void **state)
{
    struct scene *s = *state;
    phys_frame(s->p, s->table)->bytes = NULL;
    assert_int_equal(phys_audit(s->p), 4);
}

static void test_lost_bytes_of_a_table_are_found(void **state)
{
    struct scene *s = *state;
    table_slab_get(&s->p->tables);
    assert_int_equal(phys_audit(s->p), 4);
}

static void test_wrong_owner_counter_is_found(void **state)
{
    struct scene *s = *state;
    s->p->nodes[0].owned[FRAME_USER_ANON]++;
    s->p->nodes[0].owned[FRAME_FREE]--; /* the sum stays right */
    assert_int_equal(phys_audit(s->p), 1);
}

/* -- types and per-CPU lists */

static struct zone *dma32(struct scene *s)
{
    return &s->p->nodes[0].zones[ZONE_DMA32];
}

static void test_block_on_the_list_of_another_type_is_found(void **state)
{
    struct scene *s = *state;
    struct zone *z = dma32(s);
    struct free_list t = z->lists[MIGRATE_MOVABLE][5];
    z->lists[MIGRATE_MOVABLE][5] = z->lists[MIGRATE_RECLAIMABLE][5];
    z->lists[MIGRATE_RECLAIMABLE][5] = t;
    assert_int_equal(phys_audit(s->p), 2); /* the list it should be on lacks it */
}

static void test_pageblock_that_changed_type_under_its_blocks_is_found(void **state)
{
    struct scene *s = *state;
    uint32_t head = dma32(s)->lists[MIGRATE_MOVABLE][5].head;
    block_set_type(s->p, dma32(s), head - 1, MIGRATE_RECLAIMABLE);
    assert_int_not_equal(phys_audit(s->p), 0);
}

static void test_two_types_in_one_free_block_are_found(void **state)
{
    struct scene *s = *state;
    buddy_touch(s->p, dma32(s), dma32(s)->virgin, dma32(s)->virgin + 1);
    uint32_t head = dma32(s)->lists[MIGRATE_MOVABLE][10].tail;
    block_set_type(s->p, dma32(s), head - 1 + 512, MIGRATE_UNMOVABLE);
    assert_int_equal(phys_audit(s->p), 5);
}

static void test_wrong_count_of_a_list_is_found(void **state)
{
    struct scene *s = *state;
    assert_true(dma32(s)->pcp[0].count > 0);
    dma32(s)->pcp[0].count++;
    assert_int_equal(phys_audit(s->p), 6);
}

static void test_frame_lost_from_a_list_is_found(void **state)
{
    struct scene *s = *state;
    struct pcp *c = &dma32(s)->pcp[0];
    unsigned list = pcp_index(0, MIGRATE_MOVABLE);
    phys_free(s->p, s->anon, 0);
    uint32_t next = phys_frame(s->p, s->anon)->link_next;
    c->lists[list].head = next;
    *(next != 0 ? &s->p->head.frames[next - 1].link_prev : &c->lists[list].tail) = 0;
    c->count--;
    assert_int_equal(phys_audit(s->p), 6);
}

static void test_listed_frame_without_its_mark_is_found(void **state)
{
    struct scene *s = *state;
    phys_free(s->p, s->anon, 0);
    phys_frame(s->p, s->anon)->flags = 0;
    assert_int_not_equal(phys_audit(s->p), 0);
}

static void test_miscounted_pageblocks_are_found(void **state)
{
    struct scene *s = *state;
    dma32(s)->pageblocks[MIGRATE_MOVABLE]++;
    assert_int_equal(phys_audit(s->p), 7);
}

static void test_wrong_count_of_atomic_reserve_is_found(void **state)
{
    struct scene *s = *state;
    dma32(s)->free_highatomic++;
    assert_int_equal(phys_audit(s->p), 3);
}

static void test_tail_of_another_order_is_found(void **state)
{
    struct scene *s = *state;
    phys_frame(s->p, (pfn){s->pair.v + 1})->order = 3;
    assert_int_equal(phys_audit(s->p), 8);
}

static void test_tail_without_its_mark_is_found(void **state)
{
    struct scene *s = *state;
    phys_frame(s->p, (pfn){s->pair.v + 1})->flags &= ~FRAME_F_TAIL;
    assert_int_equal(phys_audit(s->p), 8);
}

int main(void)
{
#define AUDIT_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        AUDIT_TEST(test_held_frame_turned_free_is_found),
        AUDIT_TEST(test_frame_with_a_changed_owner_is_found),
        AUDIT_TEST(test_owner_beyond_the_table_is_found),
        AUDIT_TEST(test_held_frame_inside_a_free_block_is_found),
        AUDIT_TEST(test_lost_head_of_a_block_is_found),
        AUDIT_TEST(test_second_head_inside_a_block_is_found),
        AUDIT_TEST(test_leaked_free_block_is_found),
        AUDIT_TEST(test_block_in_the_list_of_another_order_is_found),
        AUDIT_TEST(test_list_bent_into_a_ring_is_found),
        AUDIT_TEST(test_link_that_does_not_point_back_is_found),
        AUDIT_TEST(test_wrong_length_of_a_list_is_found),
        AUDIT_TEST(test_buddies_left_unmerged_are_found),
        AUDIT_TEST(test_stale_bit_of_free_orders_is_found),
        AUDIT_TEST(test_wrong_count_of_free_frames_is_found),
        AUDIT_TEST(test_virgin_run_out_of_place_is_found),
        AUDIT_TEST(test_virgin_run_that_lost_its_place_is_found),
        AUDIT_TEST(test_table_without_bytes_is_found),
        AUDIT_TEST(test_lost_bytes_of_a_table_are_found),
        AUDIT_TEST(test_wrong_owner_counter_is_found),
        AUDIT_TEST(test_block_on_the_list_of_another_type_is_found),
        AUDIT_TEST(test_pageblock_that_changed_type_under_its_blocks_is_found),
        AUDIT_TEST(test_two_types_in_one_free_block_are_found),
        AUDIT_TEST(test_wrong_count_of_a_list_is_found),
        AUDIT_TEST(test_frame_lost_from_a_list_is_found),
        AUDIT_TEST(test_listed_frame_without_its_mark_is_found),
        AUDIT_TEST(test_miscounted_pageblocks_are_found),
        AUDIT_TEST(test_wrong_count_of_atomic_reserve_is_found),
        AUDIT_TEST(test_tail_of_another_order_is_found),
        AUDIT_TEST(test_tail_without_its_mark_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
