/* test_migrate.c: pages move to other frames and nobody notices: entries, counters, lists, files.
 * Expectations: rules of mm/migrate.c, and what LTP's move_pages04, 06, 07, 09 to 11 and
 * migrate_pages03 assert. On one node, mbind(MPOL_DEFAULT, MOVE) moves every page (all lie outside
 * the empty set of nodes): that makes pages move within the node, on the running 6.18 too. */
#include "unit/mm/mm_fixture.h"

#include <linux/capability.h>

#define AT   UINT64_C(0x10000000)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static const struct nodemask_arg null = {NULL, 0, 0};

static void allow_nice(struct box *b)
{
    struct mm_task t = *mm_task(b->mm);
    t.caps |= BIT(CAP_SYS_NICE);
    mm_set_task(b->mm, &t);
}

static pte entry(const struct box *b, uint64_t a)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(b->mm), va(a), &level);
    return e ? *e : (pte){0};
}

/* move_all makes every page of a range move; returns mbind's answer. */
static int move_all(struct box *b, uint64_t pages, uint64_t how)
{
    return mm_mbind(b->mm, va(AT), pages * K, MPOL_DEFAULT, &null, how);
}

static void anonymous_pages_get_other_frames_and_keep_their_entries(void **state)
{
    (void)state;
    struct box b;
    pte before[6];
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 6, RW);
    touch_pages(&b, AT, 4, true);
    touch(&b, AT + 4 * K, false); /* zero page */
    mm_mprotect(b.mm, va(AT + K), K, PROT_READ);
    mm_mprotect(b.mm, va(AT + 2 * K), K, PROT_NONE);
    for (unsigned i = 0; i < 6; i++)
        before[i] = entry(&b, AT + i * K);
    struct mm_counters c = counters(&b);
    assert_int_equal(move_all(&b, 6, MPOL_MF_MOVE), 0);
    for (unsigned i = 0; i < 4; i++) {
        pte e = entry(&b, AT + i * K);
        assert_int_not_equal(pte_pfn(e).v, pte_pfn(before[i]).v);
        assert_int_equal(e.v & ~PTE_ADDR_MASK, before[i].v & ~PTE_ADDR_MASK);
        assert_true(phys_frame(b.phys, pte_pfn(e))->flags & FRAME_F_EXCLUSIVE);
    }
    assert_int_equal(phys_owner_frames(b.phys, FRAME_USER_ANON), 4);
    assert_int_equal(entry(&b, AT + 4 * K).v, before[4].v);
    assert_int_equal(entry(&b, AT + 5 * K).v, 0);
    assert_int_equal(STAT(&b.stats, pgmigrate_success), 4);
    assert_int_equal(STAT(&b.stats, pgmigrate_fail), 0);
    assert_memory_equal(counters(&b).rss, c.rss, sizeof(c.rss));
    assert_int_equal(touch_pages(&b, AT, 1, true), 0);
    assert_int_equal(mm_audit(b.mm), 0);
    box_close(&b);
}

/* moved_pages says how many of the pages have other frames than before. */
static unsigned moved_pages(const struct box *b, const uint64_t *was, unsigned n)
{
    unsigned moved = 0;
    for (unsigned i = 0; i < n; i++)
        moved += pte_pfn(entry(b, AT + i * K)).v != was[i];
    return moved;
}

static void pages_of_files_move_with_their_cache(void **state)
{
    (void)state;
    struct box b;
    uint64_t was[8];
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 8, 1, 64 * K, "/f");
    struct mm_file *g = mm_file(b.sys, 1, 2, 64 * K, "/memfd:g (deleted)");
    map_full(&b, AT, 4 * K, PROT_READ, MAP_SHARED | MAP_FIXED, f, 0);
    map_full(&b, AT + 4 * K, 4 * K, RW, MAP_SHARED | MAP_FIXED, g, 0);
    touch_pages(&b, AT, 4, false);
    touch_pages(&b, AT + 4 * K, 4, true);
    for (unsigned i = 0; i < 8; i++)
        was[i] = pte_pfn(entry(&b, AT + i * K)).v;
    struct mm_node_stat s, t;
    mm_node_stats(b.sys, 0, &s);
    assert_int_equal(move_all(&b, 8, MPOL_MF_MOVE), 0);
    mm_node_stats(b.sys, 0, &t);
    assert_int_equal(moved_pages(&b, was, 8), 8);
    assert_int_equal(t.v[NODE_nr_file_pages], s.v[NODE_nr_file_pages]);
    assert_int_equal(t.v[NODE_nr_shmem], s.v[NODE_nr_shmem]);
    assert_int_equal(t.v[NODE_nr_mapped], s.v[NODE_nr_mapped]);
    assert_int_equal(t.v[NODE_nr_isolated_file] + t.v[NODE_nr_isolated_anon], 0);
    map_full(&b, AT + 32 * K, 4 * K, PROT_READ, MAP_SHARED | MAP_FIXED, g, 0);
    touch(&b, AT + 32 * K, false);
    assert_int_equal(pte_pfn(entry(&b, AT + 32 * K)).v, pte_pfn(entry(&b, AT + 4 * K)).v);
    assert_int_equal(mm_audit(b.mm), 0);
    mm_file_put(b.sys, f);
    mm_file_put(b.sys, g);
    box_close(&b);
}

static void shared_pages_stay_unless_all_shall_move(void **state)
{
    (void)state;
    struct box b;
    uint64_t was[2];
    box_open(&b, MIB(64), false);
    struct mm_file *g = mm_file(b.sys, 1, 2, 64 * K, "/memfd:g (deleted)");
    for (unsigned i = 0; i < 2; i++)
        map_full(&b, AT + i * K, K, RW, MAP_SHARED | MAP_FIXED, g, 0);
    touch_pages(&b, AT, 2, true);
    for (unsigned i = 0; i < 2; i++)
        was[i] = pte_pfn(entry(&b, AT + i * K)).v;
    assert_int_equal(was[0], was[1]);
    assert_int_equal(move_all(&b, 2, MPOL_MF_MOVE), 0);
    assert_int_equal(moved_pages(&b, was, 2), 0);
    allow_nice(&b);
    assert_int_equal(move_all(&b, 2, MPOL_MF_MOVE_ALL), 0);
    assert_int_equal(moved_pages(&b, was, 2), 2);
    assert_int_equal(pte_pfn(entry(&b, AT)).v, pte_pfn(entry(&b, AT + K)).v);
    assert_int_equal(STAT(&b.stats, pgmigrate_success), 1);
    mm_file_put(b.sys, g);
    box_close(&b);
}

static void locked_pages_stay_locked(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, RW);
    assert_int_equal(mm_mlock(b.mm, va(AT), 4 * K, 0), 0);
    assert_int_equal(move_all(&b, 4, MPOL_MF_MOVE), 0);
    mm_lru_drain(b.sys);
    assert_int_equal(STAT(&b.stats, pgmigrate_success), 4);
    for (unsigned i = 0; i < 4; i++) {
        uint32_t flags = phys_frame(b.phys, pte_pfn(entry(&b, AT + i * K)))->flags;
        assert_int_equal(flags & (FRAME_F_MLOCKED | FRAME_F_UNEVICTABLE | FRAME_F_LRU),
                         FRAME_F_MLOCKED | FRAME_F_UNEVICTABLE | FRAME_F_LRU);
    }
    struct mm_node_stat s;
    mm_node_stats(b.sys, 0, &s);
    assert_int_equal(s.v[NODE_nr_unevictable], 4);
    assert_int_equal(mm_audit(b.mm), 0);
    box_close(&b);
}

static void translations_of_moved_pages_are_flushed_with_one_end_to_the_batch(void **state)
{
    (void)state;
    struct box b;
    unsigned flushes = 0, ends = 0;
    box_open_written(&b, AT, 2);
    b.out.n = 0;
    move_all(&b, 2, MPOL_MF_MOVE);
    for (uint32_t i = 0; i < b.out.n; i++) {
        const struct arch_msg *m = &b.out.msg[i];
        if (m->kind == ARCH_FLUSH_UNMAP)
            flushes += m->mm == mm_id(b.mm) && m->a == AT + flushes * K && m->b == m->a + K;
        ends += m->kind == ARCH_FLUSH_BATCH && flushes == 2;
    }
    assert_int_equal(flushes, 2);
    assert_int_equal(ends, 1);
    box_close(&b);
}

static void without_free_frames_pages_stay_and_the_failure_is_counted(void **state)
{
    (void)state;
    struct box b;
    uint64_t was[3];
    box_open_written(&b, AT, 3);
    for (unsigned i = 0; i < 3; i++)
        was[i] = pte_pfn(entry(&b, AT + i * K)).v;
    phys_fail_every(b.phys, 1);
    assert_int_equal(move_all(&b, 3, MPOL_MF_MOVE), 0);
    phys_fail_every(b.phys, 0);
    assert_int_equal(moved_pages(&b, was, 3), 0);
    assert_int_equal(STAT(&b.stats, pgmigrate_fail), 1);
    assert_int_equal(mm_audit(b.mm), 0);
    box_close(&b);
}

/* -- move_pages ------------------------------------------------------------------------------ */

#define PAGES 5
struct ask {
    uint64_t pages[PAGES];
    int32_t nodes[PAGES], status[PAGES];
    struct mm_move_pages q;
};

/* ask_of sets up 5 pages: written, read, untouched, no VMA, written. */
static void ask_of(struct box *b, struct ask *a)
{
    map_anon(b, AT, 3, RW);
    map_anon(b, AT + 4 * K, 1, RW);
    touch(b, AT, true);
    touch(b, AT + K, false);
    touch(b, AT + 4 * K, true);
    *a = (struct ask){.status = {77, 77, 77, 77, 77}};
    for (unsigned i = 0; i < PAGES; i++)
        a->pages[i] = AT + i * K;
    a->q = (struct mm_move_pages){.nr = PAGES,
                                  .pages = a->pages,
                                  .pages_nr = PAGES,
                                  .nodes_nr = PAGES,
                                  .status = a->status,
                                  .status_nr = PAGES};
}

static void move_pages_tells_where_pages_are(void **state)
{
    (void)state;
    struct box b;
    struct ask a;
    const int32_t want[PAGES] = {0, -EFAULT, -ENOENT, -EFAULT, 0};
    box_open(&b, MIB(64), false);
    ask_of(&b, &a);
    assert_int_equal(mm_move_pages(b.mm, b.mm, &a.q), 0);
    assert_memory_equal(a.status, want, sizeof(want));
    a.q.nodes = a.nodes; /* all are there already */
    memset(a.status, 0x55, sizeof(a.status));
    a.q.flags = MPOL_MF_MOVE;
    assert_int_equal(mm_move_pages(b.mm, b.mm, &a.q), 0);
    assert_memory_equal(a.status, want, sizeof(want));
    box_close(&b);
}

static void move_pages_refuses_as_ltp_says(void **state)
{
    (void)state;
    struct box b;
    struct ask a;
    box_open(&b, MIB(64), false);
    ask_of(&b, &a);
    a.q.flags = 1; /* move_pages10 */
    assert_int_equal(mm_move_pages(b.mm, b.mm, &a.q), -EINVAL);
    a.q.flags = MPOL_MF_MOVE_ALL; /* move_pages11 */
    assert_int_equal(mm_move_pages(b.mm, b.mm, &a.q), -EPERM);
    a.q.flags = MPOL_MF_MOVE;
    assert_int_equal(mm_move_pages(b.mm, NULL, &a.q), -ESRCH); /* move_pages07 */
    a.q.nodes = a.nodes;
    a.nodes[1] = 1; /* move_pages06 */
    assert_int_equal(mm_move_pages(b.mm, b.mm, &a.q), -ENODEV);
    assert_int_equal(a.status[0], 0);
    assert_int_equal(a.status[1], 77);
    a.nodes[1] = -1;
    assert_int_equal(mm_move_pages(b.mm, b.mm, &a.q), -ENODEV);
    a.nodes[1] = 0;
    a.q.status_nr = 2;
    assert_int_equal(mm_move_pages(b.mm, b.mm, &a.q), -EFAULT);
    a.q.nodes_nr = 0;
    assert_int_equal(mm_move_pages(b.mm, b.mm, &a.q), -EFAULT);
    a.q.nr = 0;
    assert_int_equal(mm_move_pages(b.mm, b.mm, &a.q), 0);
    box_close(&b);
}

/* -- migrate_pages --------------------------------------------------------------------------- */

static void migrate_pages_refuses_in_the_order_of_linux(void **state)
{
    (void)state;
    struct box b;
    const uint64_t one[1] = {1}, two[1] = {2}, no[1] = {0};
    const struct nodemask_arg n0 = {one, 1, 64}, n1 = {two, 1, 64}, empty = {no, 1, 64};
    const struct nodemask_arg bad = {one, 0, 64};
    box_open_written(&b, AT, 3);
    assert_int_equal(mm_migrate_pages(b.mm, NULL, &bad, &n0), -EFAULT); /* migrate_pages03 */
    assert_int_equal(mm_migrate_pages(b.mm, NULL, &n0, &n0), -ESRCH);
    assert_int_equal(mm_migrate_pages(b.mm, b.mm, &n0, &n1), -EPERM);
    assert_int_equal(mm_migrate_pages(b.mm, b.mm, &n0, &empty), -EINVAL);
    assert_int_equal(mm_migrate_pages(b.mm, b.mm, &n0, &n0), 0);
    assert_int_equal(mm_migrate_pages(b.mm, b.mm, &n1, &n0), 0);
    allow_nice(&b);
    assert_int_equal(mm_migrate_pages(b.mm, b.mm, &n0, &n1), -EINVAL);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anonymous_pages_get_other_frames_and_keep_their_entries),
        cmocka_unit_test(pages_of_files_move_with_their_cache),
        cmocka_unit_test(shared_pages_stay_unless_all_shall_move),
        cmocka_unit_test(locked_pages_stay_locked),
        cmocka_unit_test(translations_of_moved_pages_are_flushed_with_one_end_to_the_batch),
        cmocka_unit_test(without_free_frames_pages_stay_and_the_failure_is_counted),
        cmocka_unit_test(move_pages_tells_where_pages_are),
        cmocka_unit_test(move_pages_refuses_as_ltp_says),
        cmocka_unit_test(migrate_pages_refuses_in_the_order_of_linux),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
