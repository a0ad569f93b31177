/* test_rmap.c: the walk from a page to the entries that map it finds all of them and nothing else.
 * Expectations: Linux 6.18 mm/rmap.c, mm/page_vma_mapped.c; counted by hand. */
#include "unit/mm/mm_fixture.h"

#include "mm/mm_int.h"

#define AT   UINT64_C(0x40000000) /* a multiple of 2 MiB */
#define HUGE MIB(2)

static pfn frame_at(struct mm *m, uint64_t a)
{
    unsigned level;
    const pte *e = pt_leaf(mm_pt(m), va(a), &level);
    assert_non_null(e);
    return folio_head(m->sys, pte_leaf_pfn(*e, level));
}

/* What a walk met. */
struct met {
    unsigned n;
    struct mm *m[8];
    uint64_t a[8];
    unsigned level[8];
};

static struct met walk(struct box *b, pfn head)
{
    struct met met = {0};
    struct rmap_walk w;
    for (rmap_start(&w, b->sys, head); rmap_next(&w); met.n++)
        if (met.n < ARRAY_LEN(met.m)) {
            met.m[met.n] = w.m;
            met.a[met.n] = w.a.v;
            met.level[met.n] = w.level;
            assert_ptr_equal(pt_lookup(mm_pt(w.m), w.a, w.level), w.e);
            assert_true(w.vma->m == w.m && w.vma->start.v <= w.a.v && w.a.v < w.vma->end.v);
        }
    return met;
}

static bool met_at(const struct met *met, const struct mm *m, uint64_t a)
{
    for (unsigned i = 0; i < met->n; i++)
        if (met->m[i] == m && met->a[i] == a)
            return true;
    return false;
}

static struct mm *fork_of(struct mm *m)
{
    struct mm *child;
    assert_int_equal(mm_fork(&child, m), 0);
    return child;
}

static void a_page_is_found_in_the_whole_family(void **state)
{
    struct box b;
    (void)state;
    box_open_written(&b, AT, 4);
    struct mm *child = fork_of(b.mm), *grandchild = fork_of(child), *sibling = fork_of(b.mm);
    pfn n = frame_at(b.mm, AT + 2 * K);
    struct met met = walk(&b, n);
    assert_int_equal(met.n, 4);
    assert_true(met_at(&met, b.mm, AT + 2 * K) && met_at(&met, child, AT + 2 * K));
    assert_true(met_at(&met, grandchild, AT + 2 * K) && met_at(&met, sibling, AT + 2 * K));
    struct box c = b;
    c.mm = child;
    touch(&c, AT + 2 * K, true); /* has its own now, which the others are not asked for */
    met = walk(&b, n);
    assert_int_equal(met.n, 3);
    assert_false(met_at(&met, child, AT + 2 * K));
    met = walk(&b, frame_at(child, AT + 2 * K));
    assert_true(met.n == 1 && met_at(&met, child, AT + 2 * K));
    mm_close(sibling);
    mm_close(grandchild);
    mm_close(child);
    box_close(&b);
}

static void a_page_is_found_where_mremap_moved_it(void **state)
{
    struct box b;
    (void)state;
    box_open_written(&b, AT, 8);
    struct mm *child = fork_of(b.mm);
    pfn n = frame_at(b.mm, AT + 5 * K);
    assert_int_equal(mm_mremap(b.mm, va(AT + 4 * K), 4 * K, 4 * K, MREMAP_MAYMOVE | MREMAP_FIXED,
                               va(AT + HUGE), false),
                     (int64_t)(AT + HUGE));
    struct met met = walk(&b, n);
    assert_int_equal(met.n, 2);
    assert_true(met_at(&met, b.mm, AT + HUGE + K) && met_at(&met, child, AT + 5 * K));
    mm_close(child);
    box_close(&b);
}

static void splits_and_merges_keep_pages_findable(void **state)
{
    struct box b;
    (void)state;
    box_open_written(&b, AT, 64);
    for (uint64_t i = 1; i < 64; i += 2)
        assert_int_equal(mm_mprotect(b.mm, va(AT + i * K), K, PROT_READ), 0);
    assert_int_equal(walk(&b, frame_at(b.mm, AT + 33 * K)).n, 1);
    assert_int_equal(mm_mprotect(b.mm, va(AT), 64 * K, RW), 0);
    assert_int_equal(counters(&b).map_count, 1);
    struct met met = walk(&b, frame_at(b.mm, AT + 33 * K));
    assert_true(met.n == 1 && met.a[0] == AT + 33 * K);
    box_close(&b);
}

static void rightless_and_migrating_entries_count(void **state)
{
    struct box b;
    (void)state;
    box_open_written(&b, AT, 1);
    pfn n = frame_at(b.mm, AT);
    assert_int_equal(mm_mprotect(b.mm, va(AT), K, PROT_NONE), 0);
    assert_int_equal(walk(&b, n).n, 1);
    pte *e = pt_lookup(mm_pt(b.mm), va(AT), 0), kept = *e;
    *e = swp_make(SWP_MIGRATION_WRITE, n.v, 0);
    assert_int_equal(walk(&b, n).n, 1);
    *e = swp_make(SWP_MIGRATION_WRITE, n.v + 1, 0); /* another page's */
    assert_int_equal(walk(&b, n).n, 0);
    *e = kept;
    box_close(&b);
}

static void a_file_page_is_found_at_every_offset_it_is_mapped(void **state)
{
    struct box b;
    (void)state;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 1, 2, 16 * K, "/data");
    map_full(&b, AT, 8 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    map_full(&b, AT + 100 * K, 8 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 4 * K);
    map_full(&b, AT + 200 * K, 8 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 2 * K);
    map_full(&b, AT + 300 * K, 2 * K, RW, MAP_SHARED | MAP_FIXED, f, 8 * K); /* not page 5 */
    struct mm *child = fork_of(b.mm);
    struct box c = b;
    c.mm = child;
    touch(&c, AT + 5 * K, true);
    touch(&b, AT + 5 * K, true);
    touch(&b, AT + 101 * K, false);
    touch(&b, AT + 203 * K, true); /* a private copy */
    struct met met = walk(&b, frame_at(b.mm, AT + 5 * K));
    assert_int_equal(met.n, 3);
    assert_true(met_at(&met, child, AT + 5 * K) && met_at(&met, b.mm, AT + 5 * K));
    assert_true(met_at(&met, b.mm, AT + 101 * K));
    mm_close(child);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void a_huge_entry_is_met_once_and_its_pieces_one_by_one(void **state)
{
    static struct box b;
    (void)state;
    box_conf(&b, MIB(64));
    b.conf.thp_enabled = THP_ALWAYS;
    box_start(&b);
    map_anon(&b, AT, 2 * HUGE / K, RW);
    touch(&b, AT + 7 * K, true);
    pfn head = frame_at(b.mm, AT);
    struct met met = walk(&b, head);
    assert_true(met.n == 1 && met.level[0] == 1 && met.a[0] == AT);
    assert_int_equal(folio_mapcount(b.sys, head), 1);
    struct mm *child = fork_of(b.mm);
    assert_int_equal(walk(&b, head).n, 2);
    assert_int_equal(mm_mprotect(b.mm, va(AT), K, PROT_READ), 0); /* splits the parent's */
    assert_int_equal(walk(&b, head).n, 512 + 1);
    assert_int_equal(folio_mapcount(b.sys, head), 512 + 1);
    assert_int_equal(mm_munmap(b.mm, va(AT), 12 * K), 0);
    assert_int_equal(walk(&b, head).n, 500 + 1);
    mm_close(child);
    box_close(&b);
}

/* folio_move_anon_rmap: who has a page alone becomes its owner, so that a walk asks nobody else. */
static void reuse_makes_the_page_the_writers_own(void **state)
{
    struct box b;
    (void)state;
    box_open_written(&b, AT, 1);
    struct mm *child = fork_of(b.mm);
    struct box c = b;
    c.mm = child;
    pfn n = frame_at(child, AT);
    assert_int_equal(mm_munmap(b.mm, va(AT), K), 0);
    assert_ptr_not_equal(phys_frame(b.phys, n)->mapping, mm_vma_at(child, va(AT))->anon_vma);
    touch(&c, AT, true);
    assert_int_equal(frame_at(child, AT).v, n.v);
    assert_ptr_equal(phys_frame(b.phys, n)->mapping, mm_vma_at(child, va(AT))->anon_vma);
    assert_true(phys_frame(b.phys, n)->flags & FRAME_F_EXCLUSIVE);
    mm_close(child);
    box_close(&b);
}

static void the_audit_sees_a_page_that_cannot_be_found(void **state)
{
    struct box b;
    (void)state;
    box_open_written(&b, AT, 4);
    struct frame *f = phys_frame(b.phys, frame_at(b.mm, AT + K));
    f->index += 2;
    assert_int_equal(mm_audit(b.mm), 5);
    f->index -= 2;
    struct anon_vma *a = mm_vma_at(b.mm, va(AT))->anon_vma;
    a->num_active_vmas++;
    assert_int_equal(mm_audit(b.mm), 7);
    a->num_active_vmas--;
    a->num_children++;
    assert_int_equal(mm_audit(b.mm), 7);
    a->num_children--;
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_found_in_the_whole_family),
        cmocka_unit_test(a_page_is_found_where_mremap_moved_it),
        cmocka_unit_test(splits_and_merges_keep_pages_findable),
        cmocka_unit_test(rightless_and_migrating_entries_count),
        cmocka_unit_test(a_file_page_is_found_at_every_offset_it_is_mapped),
        cmocka_unit_test(a_huge_entry_is_met_once_and_its_pieces_one_by_one),
        cmocka_unit_test(reuse_makes_the_page_the_writers_own),
        cmocka_unit_test(the_audit_sees_a_page_that_cannot_be_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
