/* links: mm */
/* test_vma.c: address spaces against a naive oracle that keeps one record per page.
 *
 * Random calls and touches over 2048 pages (four page tables), on both; after every step the
 * results agree, the invariants of mm.h hold, and at intervals every page is compared: mapped or
 * not, rights, file and offset, what its entry maps and whether it lets writes through.
 */
#include "unit/mm/mm_fixture.h"

#include "base/rng.h"
#include "ref/ref_vma.h"

#define PAGES UINT64_C(2048)
#define BASE  UINT64_C(0x10000000)

struct pair {
    struct box b;
    struct ref_space ref;
    struct mm_file *file[REF_FILES];
    struct rng rng;
};

static uint64_t pick(struct pair *p, uint64_t n)
{
    return rng_below(&p->rng, n);
}

static void pair_open(struct pair *p, uint64_t seed)
{
    memset(p, 0, sizeof(*p));
    box_open(&p->b, MIB(128), false);
    p->rng.state = seed;
    p->ref.n = PAGES;
    p->ref.page = calloc(PAGES, sizeof(*p->ref.page));
    assert_non_null(p->ref.page);
    for (int f = 1; f < REF_FILES; f++) {
        p->ref.memory[f] = f == REF_FILES - 1;
        p->ref.file_pages[f] = f == 1 ? 100 : REF_FPAGE;
        p->file[f] = mm_file(p->b.sys, 8, (uint64_t)f, p->ref.file_pages[f] * K,
                             p->ref.memory[f] ? "/memfd:x (deleted)" : "/data");
    }
}

static void pair_close(struct pair *p)
{
    for (int f = 1; f < REF_FILES; f++)
        mm_file_put(p->b.sys, p->file[f]);
    free(p->ref.page);
    box_close(&p->b);
}

static void range(struct pair *p, uint64_t *at, uint64_t *n)
{
    *at = pick(p, PAGES - 1);
    *n = 1 + pick(p, pick(p, 8) == 0 ? 1200 : 40);
    *n = min_u64(*n, PAGES - *at);
}

static const int prots[] = {RW, RW, RW, PROT_READ, PROT_NONE, RX};

static void do_map(struct pair *p)
{
    uint64_t at, n;
    int file = (int)pick(p, REF_FILES), prot = prots[pick(p, ARRAY_LEN(prots))];
    bool shared = file != 0 && pick(p, 2);
    range(p, &at, &n);
    uint64_t pgoff = file ? pick(p, 80) : 0;
    n = file ? min_u64(n, REF_FPAGE - pgoff) : n;
    uint32_t flags = MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE) | (file ? 0 : MAP_ANONYMOUS);
    int64_t r =
        map_full(&p->b, BASE + at * K, n * K, (uint32_t)prot, flags, p->file[file], pgoff * K);
    assert_int_equal(r, BASE + at * K);
    ref_map(&p->ref, at, n, prot, shared, file, pgoff);
}

static void do_unmap(struct pair *p)
{
    uint64_t at, n;
    range(p, &at, &n);
    assert_int_equal(mm_munmap(p->b.mm, va(BASE + at * K), n * K), 0);
    ref_unmap(&p->ref, at, n);
}

static void do_protect(struct pair *p)
{
    uint64_t at, n;
    int prot = prots[pick(p, ARRAY_LEN(prots))];
    range(p, &at, &n);
    assert_int_equal(mm_mprotect(p->b.mm, va(BASE + at * K), n * K, (uint32_t)prot),
                     ref_protect(&p->ref, at, n, prot));
}

static void do_dontneed(struct pair *p)
{
    uint64_t at, n;
    range(p, &at, &n);
    assert_int_equal(mm_madvise(p->b.mm, va(BASE + at * K), n * K, MADV_DONTNEED),
                     ref_dontneed(&p->ref, at, n));
}

/* Moves a part of one VMA, sometimes as far as whole page tables reach. */
static void do_move(struct pair *p)
{
    uint64_t from, to, n;
    range(p, &from, &n);
    to = pick(p, 2) ? pick(p, PAGES) : from % 512 + pick(p, PAGES / 512) * 512;
    n = min_u64(n, PAGES - to);
    const struct vma *v = mm_vma_at(p->b.mm, va(BASE + from * K));
    if (!v || (from < to + n && to < from + n))
        return;
    n = min_u64(n, (v->end.v - BASE) / K - from);
    int64_t r = mm_mremap(p->b.mm, va(BASE + from * K), n * K, n * K, MREMAP_MAYMOVE | MREMAP_FIXED,
                          va(BASE + to * K), false);
    assert_int_equal(r, BASE + to * K);
    ref_unmap(&p->ref, to, n);
    ref_move(&p->ref, from, to, n);
}

/* The VMA of a page, in pages of the window; its pages must be alike to the oracle. */
static void vma_span(struct pair *p, uint64_t at, uint64_t *lo, uint64_t *hi)
{
    const struct vma *v = mm_vma_at(p->b.mm, va(BASE + at * K));
    *lo = at;
    *hi = at + 1;
    assert_int_equal(v != NULL, p->ref.page[at].mapped);
    if (!v)
        return;
    *lo = (v->start.v - BASE) / K;
    *hi = (v->end.v - BASE) / K;
    const struct ref_page *first = &p->ref.page[*lo];
    for (uint64_t i = *lo; i < *hi; i++) {
        const struct ref_page *q = &p->ref.page[i];
        assert_true(q->mapped && q->prot == first->prot && q->shared == first->shared &&
                    q->file == first->file);
        assert_true(q->file == 0 || q->pgoff == first->pgoff + (i - *lo));
    }
}

static void do_touch(struct pair *p)
{
    uint64_t at = pick(p, PAGES), n = 1 + pick(p, 24), lo, hi;
    bool write = pick(p, 2);
    for (uint64_t i = at; i < at + n && i < PAGES; i++) {
        struct mm_counters before = counters(&p->b);
        vma_span(p, i, &lo, &hi);
        struct mm_verdict v = touch(&p->b, BASE + i * K, write);
        int real = v.signal ? -v.signal : (int)(counters(&p->b).minflt - before.minflt);
        assert_int_equal(real, ref_touch(&p->ref, i, write, lo, hi));
    }
}

/* -- comparing every page -------------------------------------------------------------------- */

static enum ref_state state_of(struct pair *p, pte e)
{
    if (e.v & PTE_SPECIAL)
        return REF_ZERO;
    return phys_owner(p->b.phys, pte_pfn(e)) == FRAME_USER_ANON ? REF_ANON : REF_FILE;
}

static void compare_page(struct pair *p, uint64_t i)
{
    const struct ref_page *q = &p->ref.page[i];
    const struct vma *v = mm_vma_at(p->b.mm, va(BASE + i * K));
    unsigned level;
    const pte *e = pt_leaf(mm_pt(p->b.mm), va(BASE + i * K), &level);
    assert_int_equal(v != NULL, q->mapped);
    assert_int_equal(e ? state_of(p, *e) : REF_NONE, q->state);
    if (!v)
        return;
    assert_int_equal(v->flags & 7, q->prot); /* VM_READ … are PROT_READ … */
    assert_int_equal((v->flags & VM_SHARED) != 0, q->shared);
    assert_ptr_equal(v->file, q->file ? p->file[q->file] : NULL);
    if (v->file)
        assert_int_equal(v->pgoff + (BASE + i * K - v->start.v) / K, q->pgoff);
    if (e)
        assert_int_equal((e->v & PTE_RW) != 0, q->writable);
}

static void compare_rss(struct pair *p)
{
    uint64_t rss[MM_RSS_NR] = {0};
    for (uint64_t i = 0; i < PAGES; i++) {
        const struct ref_page *q = &p->ref.page[i];
        rss[MM_ANONPAGES] += q->state == REF_ANON;
        rss[MM_FILEPAGES] += q->state == REF_FILE && !p->ref.memory[q->file];
        rss[MM_SHMEMPAGES] += q->state == REF_FILE && p->ref.memory[q->file];
    }
    struct mm_counters c = counters(&p->b);
    assert_memory_equal(c.rss, rss, sizeof(rss));
}

static void step(struct pair *p)
{
    uint64_t what = pick(p, 20);
    if (what < 3)
        do_map(p);
    else if (what < 4)
        do_unmap(p);
    else if (what < 7)
        do_protect(p);
    else if (what < 8)
        do_dontneed(p);
    else if (what < 10)
        do_move(p);
    else
        do_touch(p);
}

static void every_page_is_what_a_naive_list_of_pages_says(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct pair p;
        pair_open(&p, seed);
        for (unsigned i = 0; i < 600; i++) {
            step(&p);
            p.b.out.n = 0;
            if (i % 8 == 0)
                assert_int_equal(mm_audit(p.b.mm), 0);
            if (i % 16 == 0)
                for (uint64_t k = 0; k < PAGES; k++)
                    compare_page(&p, k);
        }
        compare_rss(&p);
        assert_int_equal(pt_audit(mm_pt(p.b.mm), (unsigned)p.b.conf.phys_bits), 0);
        pair_close(&p);
    }
}

/* -- brk ------------------------------------------------------------------------------------- */

/* The heap's oracle is one number: everything in [start, brk) is there, nothing above is. */
static void the_heap_is_the_pages_between_start_and_break(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, 99);
    const uint64_t start = BASE + 100, wall = BASE + 300 * K;
    uint64_t brk = start;
    mm_set_brk(p.b.mm, va(start));
    map_anon(&p.b, wall, 1, RW);
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t want = start - 2 * K + pick(&p, 310 * K);
        uint64_t page = align_up(want, K), old = align_up(brk, K);
        /* a page stays free below the wall; the break never goes below its start */
        if (want >= start && (page <= old || page + K <= wall))
            brk = want;
        assert_int_equal(mm_brk(p.b.mm, va(want)).v, brk);
        if (align_up(brk, K) > align_up(start, K))
            assert_int_equal(touch(&p.b, align_up(brk, K) - 1, true).signal, 0);
        assert_null(mm_vma_at(p.b.mm, va(align_up(brk, K))));
        assert_int_equal(counters(&p.b).data_vm, (align_up(brk, K) - align_up(start, K)) / K + 1);
        p.b.out.n = 0;
    }
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_page_is_what_a_naive_list_of_pages_says),
        cmocka_unit_test(the_heap_is_the_pages_between_start_and_break),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
