/* links: phys */
/* The page allocator against the naive one: the same random calls must give the same frames, the
 * same free blocks of each type, the same per-CPU lists and the same refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>

#include "base/rng.h"
#include "phys/phys.h"
#include "ref/ref_buddy.h"

#define OPS    200000
#define ROUNDS 4 /* each with seeds of its own; PW_SEED=n runs round n only */

static uint64_t round_nr;

/* Both allocators and what is allocated from them. */
struct pair {
    struct stat_set stats;
    struct phys *phys;
    struct ref_buddy ref;
    int index[2][ZONE_NR]; /* number of a zone in ref, or -1 */
    struct block {
        uint64_t first;
        unsigned order;
    } * held;
    size_t held_nr;
    uint64_t held_frames;
    bool large_cache;            /* a CPU's part of L3 is more than three batches */
    uint64_t refused, fell_back; /* so that a test can see that it saw something */
};

/* What a run does, in parts of 100. */
struct mix {
    unsigned max_order, turn, ops, compare;
    unsigned other_type; /* allocations that are not movable */
    unsigned special;    /* with a lower mark, rights or reserves */
    unsigned touch;      /* isolations, type changes, drains */
};

static void copy_zone(struct pair *p, unsigned nid, unsigned zone)
{
    struct phys_zone_info i;
    struct phys_pcp_info l;
    struct ref_zone *z = &p->ref.zones[p->ref.zones_nr];
    phys_zone_info(p->phys, nid, zone, &i);
    phys_pcp_info(p->phys, nid, zone, 0, &l);
    p->index[nid][zone] = i.spanned > 0 ? (int)p->ref.zones_nr++ : -1;
    if (i.spanned == 0)
        return;
    *z = (struct ref_zone){.first = i.start_pfn == 1 ? 0 : i.start_pfn,
                           .end = i.start_pfn + i.spanned,
                           .node = nid,
                           .managed = (long)i.managed,
                           .wmark = {(long)i.min, (long)i.low, (long)i.high},
                           .batch = (long)l.batch,
                           .high_min = (long)l.high_min,
                           .high_max = (long)l.high_max,
                           .large_cache = p->large_cache};
    for (unsigned j = 0; j < 5; j++)
        z->protection[j] = (long)i.protection[j];
}

/* Which frames boot leaves free: all but the first MiB, the image at 16 MiB and the memmaps. */
static void boot_zone(struct pair *p, unsigned zone, uint64_t image_end, uint64_t top)
{
    const struct ref_zone *z = &p->ref.zones[zone];
    uint64_t first = z->first == 0 ? 256 : z->first == 4096 ? image_end : z->first;
    ref_buddy_boot(&p->ref, zone, first, z->end < top ? z->end : top);
}

static void pair_open(struct pair *p, const struct conf *conf)
{
    *p = (struct pair){0};
    assert_int_equal(phys_open(&p->phys, conf, &p->stats), 0);
    uint64_t frames = conf->phys_size / 4096, image_end = 4096 + conf->phys_kernel_image / 4096;
    ref_buddy_open(&p->ref, frames);
    p->ref.pcp_on = conf->phys_pcp;
    p->ref.nodes = phys_nodes(p->phys);
    p->large_cache = conf->l3_size >= MIB(4);
    for (unsigned c = 0; c < conf->cpu_cores; c++)
        p->ref.cpu_node[c] = phys_cpu_node(p->phys, c);
    for (unsigned n = 0; n < p->ref.nodes; n++) {
        struct phys_node_info node;
        unsigned from = p->ref.zones_nr;
        phys_node_info(p->phys, n, &node);
        for (unsigned z = 0; z < ZONE_NR; z++)
            copy_zone(p, n, z);
        uint64_t end = p->ref.zones[p->ref.zones_nr - 1].end;
        for (unsigned z = from; z < p->ref.zones_nr; z++)
            boot_zone(p, z, image_end, end - node.owned[FRAME_MEMMAP]);
    }
    p->held = calloc(frames, sizeof(*p->held));
}

static void pair_close(struct pair *p)
{
    phys_close(p->phys);
    ref_buddy_close(&p->ref);
    free(p->held);
}

/* Two nodes at most: the other one comes second. */
static unsigned zone_list(const struct pair *p, const struct phys_req *r, unsigned top,
                          unsigned *list)
{
    unsigned n = 0, nodes = r->flags & PHYS_THISNODE ? 1 : p->ref.nodes;
    for (unsigned i = 0; i < nodes; i++)
        for (int z = (int)top; z >= 0; z--) {
            unsigned nid = i == 0 ? r->nid : 1 - r->nid;
            bool allowed = r->nodes == 0 || (r->nodes >> nid & 1);
            if (allowed && p->index[nid][z] >= 0)
                list[n++] = (unsigned)p->index[nid][z];
        }
    return n;
}

static struct ref_req ref_request(const struct pair *p, const struct phys_req *r, unsigned *list)
{
    static const unsigned top[] = {0, 1, 2, 2};
    static const enum ref_mark mark[] = {REF_LOW, REF_MIN, REF_HIGH, REF_NO_MARK};
    bool rights = r->mark != PHYS_MARK_LOW;
    struct ref_req q = {.order = r->order,
                        .type = r->type,
                        .mark = mark[r->mark],
                        .high = rights && (r->flags & PHYS_HIGH),
                        .non_block = rights && (r->flags & PHYS_NON_BLOCK),
                        .oom = rights && (r->flags & PHYS_OOM_VICTIM),
                        .top = top[r->gfp],
                        .zones = list};
    q.zones_nr = zone_list(p, r, q.top, list);
    unsigned nid = q.zones_nr > 0 ? p->ref.zones[list[0]].node : 0;
    bool normal = q.zones_nr > 0 && (int)list[0] == p->index[nid][ZONE_NORMAL];
    q.nofragment = (r->flags & PHYS_NOFRAGMENT) ||
                   (!rights && normal && (p->ref.nodes == 1 || p->index[nid][ZONE_DMA32] >= 0));
    return q;
}

static int pair_alloc(struct pair *p, const struct phys_req *r)
{
    unsigned list[REF_ZONES];
    pfn n = PFN_NONE;
    struct ref_req q = ref_request(p, r, list);
    int err = phys_alloc_req(p->phys, r, &n);
    int64_t want = q.zones_nr > 0 ? ref_buddy_alloc(&p->ref, &q) : -1;
    assert_int_equal((int64_t)n.v, want); /* PFN_NONE is -1 too: untouched on failure */
    assert_int_equal(err, want < 0 ? -12 : 0);
    p->refused += err != 0;
    if (err != 0)
        return err;
    p->fell_back += ref_buddy_type(&p->ref, n.v) != r->type;
    p->held[p->held_nr++] = (struct block){n.v, r->order};
    p->held_frames += UINT64_C(1) << r->order;
    return 0;
}

static void pair_free(struct pair *p, size_t at)
{
    struct block b = p->held[at];
    p->held[at] = p->held[--p->held_nr];
    p->held_frames -= UINT64_C(1) << b.order;
    phys_free(p->phys, (pfn){b.first}, b.order);
    ref_buddy_free(&p->ref, b.first, b.order);
}

static void compare_zone(struct pair *p, unsigned nid, unsigned zone, bool pages)
{
    struct phys_zone_info i;
    const struct ref_zone *z = &p->ref.zones[p->index[nid][zone]];
    uint64_t pageblocks[REF_TYPES] = {0}, free_pages = 0, listed = 0;
    phys_zone_info(p->phys, nid, zone, &i);
    for (unsigned t = 0; t < REF_TYPES; t++)
        for (unsigned o = 0; o < PHYS_ORDERS; o++) {
            assert_int_equal(i.blocks[t][o], z->lists[t][o].n);
            free_pages += i.blocks[t][o] << o;
        }
    for (uint64_t n = z->first; n < z->end; n += REF_BLOCK)
        pageblocks[ref_buddy_type(&p->ref, n)]++;
    assert_memory_equal(pageblocks, i.pageblocks, sizeof(pageblocks));
    assert_int_equal(i.free, z->free);
    assert_int_equal(i.free_highatomic, z->free_highatomic);
    assert_int_equal(i.reserved_highatomic, z->reserved_highatomic);
    assert_int_equal(i.boost, z->boost);
    for (unsigned c = 0; c < phys_cpus(p->phys); c++) {
        struct phys_pcp_info l;
        phys_pcp_info(p->phys, nid, zone, c, &l);
        assert_int_equal(l.count, z->pcp[c].count);
        assert_int_equal(l.high, z->pcp[c].high);
        listed += l.count;
    }
    if (!pages)
        return;
    assert_int_equal(ref_buddy_pages(&p->ref, (unsigned)p->index[nid][zone], REF_FREE), free_pages);
    assert_int_equal(ref_buddy_pages(&p->ref, (unsigned)p->index[nid][zone], REF_PCP), listed);
}

static void pair_compare(struct pair *p)
{
    uint64_t all = 0;
    for (unsigned n = 0; n < p->ref.nodes; n++)
        for (unsigned z = 0; z < ZONE_NR; z++)
            if (p->index[n][z] >= 0)
                compare_zone(p, n, z, true);
    for (unsigned i = 0; i < FRAME_OWNER_NR; i++)
        all += phys_owner_frames(p->phys, i);
    assert_int_equal(all, phys_frames(p->phys));
    assert_int_equal(phys_owner_frames(p->phys, FRAME_USER_ANON), p->held_frames);
    assert_int_equal(phys_audit(p->phys), 0);
}

/* -- random runs */

static struct phys_req random_request(struct pair *p, struct rng *rng, const struct mix *m)
{
    struct phys_req r = phys_request(0, rng_below(rng, 4), FRAME_USER_ANON);
    if (rng_below(rng, 4) == 0)
        r.order = (unsigned)rng_below(rng, m->max_order + 1);
    r.type = rng_below(rng, 100) < m->other_type ? 2 * rng_below(rng, 2) : MIGRATE_MOVABLE;
    r.nid = (unsigned)rng_below(rng, p->ref.nodes);
    if (rng_below(rng, 100) >= m->special)
        return r;
    r.mark = rng_below(rng, 4);
    r.flags = (unsigned)rng_below(rng, 64);
    r.nodes = rng_below(rng, 4) == 0 ? 1 + rng_below(rng, 3) : 0;
    return r;
}

/* pair_mark says of a held block that its frames could be moved, or not. */
static void pair_mark(struct pair *p, struct rng *rng)
{
    struct block b = p->held[rng_below(rng, p->held_nr)];
    bool lru = rng_below(rng, 2);
    struct frame *f = phys_frame(p->phys, (pfn){b.first});
    f->flags = lru ? f->flags | FRAME_F_LRU : f->flags & ~FRAME_F_LRU;
    for (uint64_t i = 0; i < UINT64_C(1) << b.order; i++)
        p->ref.lru[b.first + i] = lru;
}

static void pair_touch(struct pair *p, struct rng *rng)
{
    uint64_t n = rng_below(rng, p->ref.pages);
    unsigned cpu = (unsigned)rng_below(rng, phys_cpus(p->phys));
    enum migrate_type type = rng_below(rng, 3);
    bool isolate = rng_below(rng, 3) == 0;
    switch (rng_below(rng, 7)) {
    case 0:
        assert_int_equal(phys_isolate(p->phys, (pfn){n}, isolate) == 0,
                         ref_buddy_isolate(&p->ref, n, isolate));
        break;
    case 1:
        if (ref_buddy_type(&p->ref, n) == MIGRATE_HIGHATOMIC)
            return;
        assert_int_equal(phys_set_pageblock_type(p->phys, (pfn){n}, type) == 0,
                         ref_buddy_set_type(&p->ref, n, type));
        break;
    case 2:
        phys_drain_cpu(p->phys, cpu);
        ref_buddy_drain(&p->ref, cpu);
        break;
    case 3:
        phys_decay_cpu(p->phys, cpu);
        ref_buddy_decay(&p->ref, cpu);
        break;
    case 4:
        if (p->held_nr > 0)
            pair_mark(p, rng);
        break;
    default:
        phys_set_cpu(p->phys, cpu);
        p->ref.cpu = cpu;
    }
}

static void pair_unreserve(struct pair *p, struct rng *rng)
{
    unsigned list[REF_ZONES];
    struct phys_req r = phys_request(0, GFP_USER, FRAME_USER_ANON);
    r.nid = 0;
    struct ref_req q = ref_request(p, &r, list);
    bool force = rng_below(rng, 2);
    assert_int_equal(phys_unreserve_highatomic(p->phys, &r, force),
                     ref_buddy_unreserve(&p->ref, &q, force));
}

/* pair_run makes random calls; `grow` of 100 allocate while the tide comes in, and the tide turns
 * every `turn` calls, so that memory runs full and empty. */
static void pair_run(struct pair *p, uint64_t seed, const struct mix *m)
{
    struct rng rng = {seed + 1000 * round_nr};
    for (unsigned i = 0; i < m->ops; i++) {
        unsigned grow = i / m->turn % 2 == 0 ? 80 : 20;
        if (rng_below(&rng, 100) < m->touch) {
            pair_touch(p, &rng);
        } else if (p->held_nr == 0 || rng_below(&rng, 100) < grow) {
            struct phys_req r = random_request(p, &rng, m);
            if (pair_alloc(p, &r) != 0 && m->special > 0)
                pair_unreserve(p, &rng);
        } else {
            pair_free(p, rng_below(&rng, p->held_nr));
        }
        if (i % m->compare == m->compare - 1)
            pair_compare(p);
    }
}

static struct conf machine(uint64_t size, uint64_t image)
{
    struct conf c;
    conf_init(&c);
    c.phys_size = size;
    c.phys_kernel_image = image;
    c.cpu_cores = 3;
    return c;
}

static void test_small_machine_without_lists_equals_naive_buddy_for_200000_calls(void **state)
{
    (void)state;
    static const struct mix m = {.max_order = 10, .turn = 2000, .ops = OPS, .compare = 10000};
    struct conf c = machine(MIB(64), MIB(40));
    struct pair p;
    c.phys_pcp = 0;
    pair_open(&p, &c);
    pair_run(&p, 1, &m);
    while (p.held_nr > 0)
        pair_free(&p, p.held_nr - 1);
    pair_compare(&p);
    assert_true(p.refused > 0);
    pair_close(&p);
}

static void test_three_types_mixed_equal_naive_fallback(void **state)
{
    (void)state;
    static const struct mix m = {
        .max_order = 6, .turn = 20000, .ops = OPS, .compare = 10000, .other_type = 50};
    for (unsigned pcp = 0; pcp < 2; pcp++) {
        struct conf c = machine(MIB(160), MIB(13) + 4096);
        struct pair p;
        c.phys_pcp = pcp;
        pair_open(&p, &c);
        pair_run(&p, 11 + pcp, &m);
        assert_true(p.fell_back > 0);
        pair_close(&p);
    }
}

static void test_lists_of_three_cpus_equal_naive_ones(void **state)
{
    (void)state;
    static const struct mix m = {
        .max_order = 10, .turn = 3000, .ops = OPS, .compare = 10000, .other_type = 10, .touch = 3};
    struct conf c = machine(MIB(192), MIB(8));
    struct pair p;
    c.l3_size = KIB(64); /* a CPU's part holds not even three batches */
    pair_open(&p, &c);
    pair_run(&p, 21, &m);
    assert_true(p.refused > 0);
    while (p.held_nr > 0)
        pair_free(&p, p.held_nr - 1);
    pair_compare(&p);
    pair_close(&p);
}

static void test_reserves_rights_and_isolation_equal_naive_ones(void **state)
{
    (void)state;
    static const struct mix m = {.max_order = 10,
                                 .turn = 6000,
                                 .ops = OPS,
                                 .compare = 10000,
                                 .other_type = 40,
                                 .special = 40,
                                 .touch = 5};
    struct conf c = machine(MIB(400), MIB(8));
    struct pair p;
    pair_open(&p, &c);
    pair_run(&p, 31, &m);
    assert_true(p.refused > 0 && p.fell_back > 0);
    pair_close(&p);
}

static void test_two_nodes_equal_naive_ones(void **state)
{
    (void)state;
    static const struct mix m = {.max_order = 9,
                                 .turn = 8000,
                                 .ops = OPS / 2,
                                 .compare = 10000,
                                 .other_type = 20,
                                 .special = 20,
                                 .touch = 2};
    struct conf c = machine(MIB(256), MIB(8));
    struct pair p;
    c.numa_nodes = 2;
    strcpy(c.numa_sizes, "96M,160M");
    pair_open(&p, &c);
    pair_run(&p, 41, &m);
    assert_true(p.refused > 0 && p.fell_back > 0);
    pair_close(&p);
}

static void test_virgin_memory_of_three_zones_equals_naive_buddy(void **state)
{
    (void)state;
    static const struct mix m = {.max_order = 10,
                                 .turn = 20000,
                                 .ops = 60000,
                                 .compare = 20000,
                                 .other_type = 20,
                                 .special = 5};
    struct conf c = machine(GIB(4) + MIB(137), MIB(41));
    struct pair p;
    pair_open(&p, &c);
    pair_run(&p, 3, &m);
    pair_close(&p);
}

/* The second image leaves ragged ends on both sides of the virgin run. */
static void test_every_frame_of_a_machine_comes_in_the_naive_order(void **state)
{
    (void)state;
    const uint64_t images[] = {MIB(40), MIB(13) + 4096};
    for (unsigned i = 0; i < 4; i++)
        for (unsigned order = 0; order < PHYS_ORDERS; order++) {
            struct conf c = machine(MIB(64), images[i / 2]);
            struct pair p;
            c.phys_pcp = i % 2;
            pair_open(&p, &c);
            struct phys_req r = phys_request(order, GFP_USER, FRAME_USER_ANON);
            r.mark = PHYS_NO_WATERMARKS;
            r.nid = 0;
            uint64_t most = phys_owner_frames(p.phys, FRAME_FREE) >> order;
            while (pair_alloc(&p, &r) == 0) /* the last is refused by both */
                assert_true(p.held_nr <= most);
            pair_compare(&p);
            pair_close(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_machine_without_lists_equals_naive_buddy_for_200000_calls),
        cmocka_unit_test(test_three_types_mixed_equal_naive_fallback),
        cmocka_unit_test(test_lists_of_three_cpus_equal_naive_ones),
        cmocka_unit_test(test_reserves_rights_and_isolation_equal_naive_ones),
        cmocka_unit_test(test_two_nodes_equal_naive_ones),
        cmocka_unit_test(test_virgin_memory_of_three_zones_equals_naive_buddy),
        cmocka_unit_test(test_every_frame_of_a_machine_comes_in_the_naive_order),
    };
    const char *only = getenv("PW_SEED");
    int failed = 0;
    round_nr = only != NULL ? strtoull(only, NULL, 10) : 0;
    for (uint64_t end = only != NULL ? round_nr + 1 : ROUNDS; round_nr < end; round_nr++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
