/* links: pt */
/* Page tables against naive ones: regions are mapped and unmapped at random as a kernel does for
 * VMAs; the truth is a plain array of pages, read back by a recursive walk over the raw bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/rng.h"
#include "pt/pt.h"
#include "ref/ref_walk.h"

#define PHYS_BITS   46
#define REGIONS_MAX 40

/* A mapped range: every page in it has its leaf. */
struct region {
    uint64_t start, end; /* [start, end), multiples of its page size */
    unsigned level;      /* of its leaves: 0, 1, 2 */
    uint64_t seed;       /* its leaves are leaf_of(seed, address) */
};
struct world {
    struct stat_set stats;
    struct phys *phys;
    struct pt t;
    struct ref_paging paging;
    struct rng rng;
    struct region r[REGIONS_MAX]; /* sorted by start, disjoint */
    unsigned nr;
    unsigned refused; /* maps that ran out of frames */
};

static uint64_t read64(void *ctx, uint64_t at)
{
    uint64_t v;
    memcpy(&v, (char *)phys_table(ctx, (pfn){at >> 12}) + (at & 4095), 8);
    return v;
}

static uint64_t user_top(const struct world *w)
{
    return BIT(12 + 9 * w->t.levels - 1);
}

/* A legal leaf with random rights; the frame need not exist. */
static uint64_t leaf_of(const struct region *r, uint64_t a)
{
    uint64_t h = mix64(r->seed ^ a);
    uint64_t rights = h & (PTE_RW | PTE_US | PTE_A | PTE_D | PTE_NX);
    uint64_t frame = align_down(h >> 8 & (BIT(PHYS_BITS - 12) - 1), BIT(9 * r->level));
    return frame << 12 | rights | PTE_P | (r->level > 0 ? PTE_PS : 0);
}

static void world_open(struct world *w, unsigned levels, uint64_t seed)
{
    struct conf conf;
    conf_init(&conf);
    conf.phys_size = MIB(128);
    conf.mmu_levels = levels;
    *w = (struct world){.rng = {seed}};
    assert_int_equal(phys_open(&w->phys, &conf, &w->stats), 0);
    assert_int_equal(pt_open(&w->t, w->phys, &conf), 0);
    w->paging = (struct ref_paging){
        .read = read64,
        .ctx = w->phys,
        .cr3 = w->t.root.v << 12,
        .levels = levels,
        .phys_bits = PHYS_BITS,
        .gib_pages = true,
    };
}

static void world_close(struct world *w)
{
    pt_close(&w->t);
    assert_int_equal(phys_owner_frames(w->phys, FRAME_PAGE_TABLE), 0);
    phys_close(w->phys);
}

/* -- the naive truth */

static const struct region *region_at(const struct world *w, uint64_t a)
{
    for (unsigned i = 0; i < w->nr; i++)
        if (a >= w->r[i].start && a < w->r[i].end)
            return &w->r[i];
    return NULL;
}

/* Tables of a level that the regions need: distinct spans a table of that level must cover. */
static uint64_t tables_needed(const struct world *w, unsigned level)
{
    unsigned shift = 12 + 9 * (level + 1);
    uint64_t count = 0, next = 0; /* first span not counted yet */
    for (unsigned i = 0; i < w->nr; i++) {
        if (w->r[i].level > level)
            continue;
        uint64_t first = w->r[i].start >> shift, last = (w->r[i].end - 1) >> shift;
        first = first < next ? next : first;
        if (last + 1 > first) {
            count += last + 1 - first;
            next = last + 1;
        }
    }
    return level + 1 == w->t.levels ? 1 : count;
}

/* -- changes */

/* unmap does what an munmap of a whole VMA does: clear, then free tables between the neighbours. */
static void unmap(struct world *w, unsigned i)
{
    struct region r = w->r[i];
    uint64_t step = BIT(12 + 9 * r.level), seen = 0;
    for (vaddr a = va(r.start);; a.v += step) {
        a = pt_next(&w->t, a, va(r.end));
        if (a.v >= r.end)
            break;
        *pt_lookup(&w->t, a, r.level) = (pte){0};
        seen++;
    }
    assert_int_equal(seen, (r.end - r.start) / step);
    uint64_t floor = i > 0 ? w->r[i - 1].end : 0;
    uint64_t ceiling = i + 1 < w->nr ? w->r[i + 1].start : 0;
    uint64_t before = phys_owner_frames(w->phys, FRAME_PAGE_TABLE);
    unsigned freed = pt_free_tables(&w->t, va(r.start), va(r.end), va(floor), va(ceiling), NULL);
    assert_int_equal(before - phys_owner_frames(w->phys, FRAME_PAGE_TABLE), freed);
    memmove(&w->r[i], &w->r[i + 1], (w->nr - i - 1) * sizeof(r));
    w->nr--;
}

/* Random places: often next to a region, else near some power of two, so that tables are shared. */
static struct region draw(struct world *w)
{
    static const uint64_t sizes[] = {1, 3, 500, 512, 700, 1100};
    struct region r = {.level = (unsigned)rng_below(&w->rng, 8), .seed = rng_next(&w->rng)};
    r.level = r.level > 2 ? 0 : r.level;
    uint64_t step = BIT(12 + 9 * r.level);
    uint64_t pages = r.level < 2 ? sizes[rng_below(&w->rng, 6)] : 1 + rng_below(&w->rng, 3);
    if (w->nr > 0 && rng_below(&w->rng, 3) != 0) {
        const struct region *by = &w->r[rng_below(&w->rng, w->nr)];
        r.start = align_up(by->end + rng_below(&w->rng, 3) * step, step);
    } else {
        unsigned shift = 21 + (unsigned)rng_below(&w->rng, 12 + 9 * w->t.levels - 22);
        r.start = align_down((rng_next(&w->rng) & 7) << shift, step);
        r.start = (r.start + rng_below(&w->rng, 600) * step) & (user_top(w) - 1);
    }
    r.end = r.start + pages * step;
    return r;
}

static void insert(struct world *w, struct region r)
{
    unsigned at = 0;
    while (at < w->nr && w->r[at].start < r.start)
        at++;
    memmove(&w->r[at + 1], &w->r[at], (w->nr - at) * sizeof(r));
    w->r[at] = r;
    w->nr++;
}

/* back_out undoes a mapping that found no frame for a table at `failed`. */
static void back_out(struct world *w, struct region r, uint64_t failed)
{
    uint64_t step = BIT(12 + 9 * r.level), floor = 0, ceiling = 0;
    for (uint64_t a = r.start; a < failed; a += step)
        *pt_lookup(&w->t, va(a), r.level) = (pte){0};
    for (unsigned i = 0; i < w->nr; i++) {
        if (w->r[i].end <= r.start)
            floor = w->r[i].end;
        if (w->r[i].start >= r.end && ceiling == 0)
            ceiling = w->r[i].start;
    }
    pt_free_tables(&w->t, va(r.start), va(failed + step), va(floor), va(ceiling), NULL);
    w->refused++;
}

static void map(struct world *w)
{
    struct region r = draw(w);
    bool free_place = r.end > r.start && r.end <= user_top(w);
    for (unsigned i = 0; i < w->nr; i++)
        if (r.start < w->r[i].end && w->r[i].start < r.end)
            free_place = false;
    if (!free_place || w->nr == REGIONS_MAX)
        return;
    uint64_t before = phys_owner_frames(w->phys, FRAME_PAGE_TABLE);
    unsigned made = 0;
    for (uint64_t a = r.start; a < r.end; a += BIT(12 + 9 * r.level)) {
        pte *e;
        int err = pt_lookup_alloc(&w->t, va(a), r.level, &e, &made);
        if (err != 0) {
            assert_int_equal(err, -ENOMEM);
            back_out(w, r, a);
            return;
        }
        assert_int_equal(e->v, 0);
        e->v = leaf_of(&r, a);
    }
    assert_int_equal(phys_owner_frames(w->phys, FRAME_PAGE_TABLE) - before, made);
    insert(w, r);
}

/* -- comparison */

static void compare_walk(struct world *w, uint64_t a)
{
    const struct region *r = region_at(w, a);
    struct ref_walk walk = ref_walk_do(&w->paging, a);
    unsigned level = 99;
    pte *leaf = pt_leaf(&w->t, va(a), &level);
    assert_int_equal(walk.present, r != NULL);
    assert_int_equal(leaf != NULL, r != NULL);
    for (unsigned i = 0; i < 5; i++) {
        unsigned l = w->t.levels - 1 - i;
        uint64_t at = pt_entry_paddr(&w->t, va(a), l).v;
        assert_int_equal(at, i < walk.loads ? walk.load_at[i] : 0);
        if (l == 0)
            break;
    }
    if (r == NULL)
        return;
    uint64_t page = align_down(a, BIT(12 + 9 * r->level));
    uint64_t want = leaf_of(r, page);
    assert_int_equal(walk.entry, want);
    assert_false(walk.reserved);
    assert_int_equal(walk.level, r->level);
    assert_int_equal(walk.loads, w->t.levels - r->level);
    assert_int_equal(level, r->level);
    assert_int_equal(leaf->v, want);
    assert_int_equal(walk.paddr, (pte_leaf_pfn(*leaf, level).v << 12) + (a - page));
    assert_int_equal(walk.writable, !!(want & PTE_RW)); /* tables forbid nothing */
    assert_int_equal(walk.user, !!(want & PTE_US));
    assert_int_equal(walk.noexec, !!(want & PTE_NX));
}

static void compare_next(struct world *w, uint64_t a)
{
    uint64_t want = user_top(w);
    a = align_down(a, 4096);
    for (unsigned i = w->nr; i-- > 0;)
        if (w->r[i].end > a)
            want = w->r[i].start > a ? w->r[i].start : a;
    assert_int_equal(pt_next(&w->t, va(a), va(user_top(w))).v, want);
}

static void compare(struct world *w)
{
    uint64_t counts[5], all = 0;
    ref_walk_tables(&w->paging, counts);
    for (unsigned l = 0; l < w->t.levels; l++) {
        assert_int_equal(counts[l], tables_needed(w, l));
        assert_int_equal(w->t.tables[l], counts[l]);
        all += counts[l];
    }
    assert_int_equal(phys_owner_frames(w->phys, FRAME_PAGE_TABLE), all);
    assert_int_equal(pt_bytes(&w->t), (counts[0] + counts[1] + counts[2]) * 4096);
    assert_int_equal(pt_audit(&w->t, PHYS_BITS), 0);
    for (unsigned i = 0; i < w->nr; i++) {
        const struct region r = w->r[i];
        const uint64_t at[] = {r.start, r.start - 1, r.end - 1, r.end,
                               r.start + rng_below(&w->rng, r.end - r.start)};
        for (unsigned k = 0; k < ARRAY_LEN(at); k++)
            if (at[k] < user_top(w)) {
                compare_walk(w, at[k]);
                compare_next(w, at[k]);
            }
    }
    for (unsigned i = 0; i < 20; i++)
        compare_walk(w, rng_next(&w->rng) & (user_top(w) - 1));
}

/* run makes random changes; every fail_every-th allocation of a frame fails (0: none does). */
static unsigned run(unsigned levels, uint64_t seed, unsigned changes, unsigned fail_every)
{
    struct world w;
    world_open(&w, levels, seed);
    phys_fail_every(w.phys, fail_every);
    uint64_t unmapped = 0;
    for (unsigned i = 0; i < changes; i++) {
        unsigned grow = i / 60 % 2 == 0 ? 75 : 25;
        if (w.nr == 0 || rng_below(&w.rng, 100) < grow) {
            map(&w);
        } else {
            unmap(&w, (unsigned)rng_below(&w.rng, w.nr));
            unmapped++;
        }
        compare(&w);
    }
    assert_true(unmapped > changes / 4); /* the run did something */
    unsigned refused = w.refused;
    world_close(&w);
    return refused;
}

static void test_four_level_tables_equal_the_naive_truth(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        assert_int_equal(run(4, seed, 300, 0), 0);
}

static void test_five_level_tables_equal_the_naive_truth(void **state)
{
    (void)state;
    for (uint64_t seed = 4; seed <= 6; seed++)
        assert_int_equal(run(5, seed, 300, 0), 0);
}

static void test_tables_stay_right_when_every_11th_frame_is_refused(void **state)
{
    (void)state;
    unsigned refused = 0;
    for (unsigned levels = 4; levels <= 5; levels++)
        refused += run(levels, 6 + levels, 300, 11);
    assert_true(refused > 10);
}

/* What an unmap is told: floor <= start < end <= ceiling (0: no ceiling). */
struct bounds {
    uint64_t floor, start, end, ceiling;
};

static struct bounds draw_bounds(struct rng *rng, uint64_t top)
{
    uint64_t b[4];
    for (unsigned i = 0; i < 4; i++) { /* insertion sort as they come */
        uint64_t v = align_down(rng_below(rng, top), rng_below(rng, 2) ? 4096 : MIB(2));
        unsigned at = i;
        for (; at > 0 && b[at - 1] > v; at--)
            b[at] = b[at - 1];
        b[at] = v;
    }
    if (b[1] == b[2])
        b[2] = b[3] = b[2] + 4096;
    return (struct bounds){b[0], b[1], b[2], rng_below(rng, 4) ? b[3] : 0};
}

/* Empty tables at random places: in the range, or outside the bounds (between them nothing is). */
static void scatter_tables(struct world *w, struct rng *rng, struct bounds b, uint64_t top)
{
    for (unsigned i = 0; i < 60; i++) {
        pte *e;
        unsigned made = 0;
        uint64_t a = align_down(rng_below(rng, top), 4096);
        if (i % 2 != 0)
            a = align_down(b.start + rng_below(rng, b.end - b.start), 4096);
        bool between = a >= b.floor && (b.ceiling == 0 || a < b.ceiling);
        if (!between || (a >= b.start && a < b.end))
            assert_int_equal(pt_lookup_alloc(&w->t, va(a), 0, &e, &made), 0);
    }
}

/* Linux's rule in one sentence: a table goes if its span meets the range and lies in
 * [floor, ceiling). */
static uint64_t tables_to_free(const struct world *w, struct bounds b, unsigned level)
{
    uint64_t span = BIT(12 + 9 * (level + 1)), count = 0;
    for (uint64_t s = align_down(b.start, span); s < b.end; s += span) {
        if (level == 0 && pt_lookup(&w->t, va(s), 1) == NULL) {
            s = align_down(s, GIB(1)) + GIB(1) - span; /* nothing below a missing table */
            continue;
        }
        bool inside = s >= b.floor && (b.ceiling == 0 || s + span <= b.ceiling);
        count += inside && pt_lookup(&w->t, va(s), level) != NULL;
    }
    return count;
}

static uint64_t one_free(unsigned levels, struct rng *rng)
{
    struct world w;
    world_open(&w, levels, 0);
    uint64_t top = BIT(22 + rng_below(rng, 23)), want[5] = {0}, was[5], freed = 0;
    struct bounds b = draw_bounds(rng, top);
    scatter_tables(&w, rng, b, top);
    for (unsigned l = 0; l + 1 < levels; l++)
        want[l] = tables_to_free(&w, b, l);
    memcpy(was, w.t.tables, sizeof(was));
    pt_free_tables(&w.t, va(b.start), va(b.end), va(b.floor), va(b.ceiling), NULL);
    for (unsigned l = 0; l + 1 < levels; l++) {
        assert_int_equal(was[l] - w.t.tables[l], want[l]);
        freed += want[l];
    }
    assert_int_equal(pt_audit(&w.t, PHYS_BITS), 0);
    world_close(&w);
    return freed;
}

static void test_freed_tables_are_those_wholly_between_floor_and_ceiling(void **state)
{
    (void)state;
    struct rng rng = {7};
    uint64_t freed = 0;
    for (unsigned i = 0; i < 400; i++)
        freed += one_free(4 + i % 2, &rng);
    assert_true(freed > 4000);
}

/* The oracle's verdicts on an access, against the table of rights of SDM 4.6.1. */
static void test_oracle_judges_rights_as_the_manual(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, 4, 1);
    const struct {
        uint64_t leaf;
        int uread, uwrite, ufetch, kread, kwrite;
    } rows[] = {
        {0, 4, 6, 20, 0, 2},
        {PTE_P, 5, 7, 21, -1, 3},
        {PTE_P | PTE_RW, 5, 7, 21, -1, -1},
        {PTE_P | PTE_US, -1, 7, -1, -1, 3},
        {PTE_P | PTE_US | PTE_RW, -1, -1, -1, -1, -1},
        {PTE_P | PTE_US | PTE_RW | PTE_NX, -1, -1, 21, -1, -1},
        {PTE_P | PTE_US | PTE_RW | BIT(46), 13, 15, 29, 9, 11},
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        pte *e;
        unsigned made = 0;
        assert_int_equal(pt_lookup_alloc(&w.t, va(0x5000), 0, &e, &made), 0);
        e->v = rows[i].leaf;
        struct ref_walk walk = ref_walk_do(&w.paging, 0x5123);
        assert_int_equal(ref_walk_code(&walk, false, true, false), rows[i].uread);
        assert_int_equal(ref_walk_code(&walk, true, true, false), rows[i].uwrite);
        assert_int_equal(ref_walk_code(&walk, false, true, true), rows[i].ufetch);
        assert_int_equal(ref_walk_code(&walk, false, false, false), rows[i].kread);
        assert_int_equal(ref_walk_code(&walk, true, false, false), rows[i].kwrite);
    }
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_four_level_tables_equal_the_naive_truth),
        cmocka_unit_test(test_five_level_tables_equal_the_naive_truth),
        cmocka_unit_test(test_tables_stay_right_when_every_11th_frame_is_refused),
        cmocka_unit_test(test_freed_tables_are_those_wholly_between_floor_and_ceiling),
        cmocka_unit_test(test_oracle_judges_rights_as_the_manual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
