/* test_cow.c: copy on write leaks nothing: what one process stores, no relative and no file sees.
 *
 * The matrix of the kernel's own test (tools/testing/selftests/mm/cow.c): ways to get anonymous
 * memory, times ways to share it and to store to it. Its cases with pinned pages (vmsplice, io_uring,
 * gup) and swapped memory are not here: nothing pins in the model, and the bytes of swapped pages are
 * followed elsewhere. Bytes are real (phys.contents). */
#include "unit/mm/mm_fixture.h"

#include "mm/mm_int.h"

#define AT   UINT64_C(0x40000000) /* a multiple of 2 MiB */
#define HUGE MIB(2)
#define OLD  0x5a
#define NEW  0xff

/* -- words ------------------------------------------------------------------------------------ */

static void fill(struct mm *m, uint64_t at, uint64_t len, int byte)
{
    static uint8_t bytes[HUGE];
    memset(bytes, byte, len);
    assert_int_equal(mm_copy_to_user(m, va(at), bytes, len), (int64_t)len);
}

static void holds(struct mm *m, uint64_t at, uint64_t len, int byte)
{
    static uint8_t bytes[HUGE];
    assert_int_equal(mm_copy_from_user(m, bytes, va(at), len), (int64_t)len);
    for (uint64_t i = 0; i < len; i++)
        if (bytes[i] != byte)
            assert_int_equal(bytes[i], byte);
}

static struct mm *fork_of(struct mm *m)
{
    struct mm *child;
    assert_int_equal(mm_fork(&child, m), 0);
    return child;
}

/* -- memory ------------------------------------------------------------------------------------ */

struct memory {
    uint64_t at, len; /* what is shared and stored to, all OLD */
};

static struct memory base_page(struct box *b)
{
    map_anon(b, AT, 1, RW);
    return (struct memory){AT, K};
}

static struct memory thp(struct box *b)
{
    map_anon(b, AT, HUGE / K, RW);
    fill(b->mm, AT, HUGE, OLD);
    unsigned level;
    pt_leaf(mm_pt(b->mm), va(AT), &level);
    assert_int_equal(level, 1);
    return (struct memory){AT, HUGE};
}

static struct memory pte_mapped_thp(struct box *b)
{
    struct memory m = thp(b);
    assert_int_equal(mm_mprotect(b->mm, va(AT), K, PROT_READ), 0);
    assert_int_equal(mm_mprotect(b->mm, va(AT), K, RW), 0);
    return m;
}

static struct memory single_pte_of_thp(struct box *b)
{
    thp(b);
    assert_int_equal(mm_madvise(b->mm, va(AT + K), HUGE - K, MADV_DONTNEED), 0);
    return (struct memory){AT, K};
}

static struct memory partially_moved_thp(struct box *b)
{
    thp(b);
    assert_int_equal(mm_mremap(b->mm, va(AT + HUGE / 2), HUGE / 2, HUGE / 2,
                               MREMAP_MAYMOVE | MREMAP_FIXED, va(AT + 2 * HUGE), false),
                     (int64_t)(AT + 2 * HUGE));
    return (struct memory){AT, HUGE / 2};
}

/* Half of it was inherited by a child that is gone. */
static struct memory partially_shared_thp(struct box *b)
{
    struct memory m = thp(b);
    assert_int_equal(mm_madvise(b->mm, va(AT + HUGE / 2), HUGE / 2, MADV_DONTFORK), 0);
    mm_close(fork_of(b->mm));
    assert_int_equal(mm_madvise(b->mm, va(AT + HUGE / 2), HUGE / 2, MADV_DOFORK), 0);
    return m;
}

static const struct {
    struct memory (*make)(struct box *);
    bool thp;
} memories[] = {
    {base_page, false},          {thp, true},
    {pte_mapped_thp, true},      {single_pte_of_thp, true},
    {partially_moved_thp, true}, {partially_shared_thp, true},
};

/* -- sharing and storing ----------------------------------------------------------------------- */

static void toggle(struct mm *m, const struct memory *x)
{
    assert_int_equal(mm_mprotect(m, va(x->at), x->len, PROT_READ), 0);
    assert_int_equal(mm_mprotect(m, va(x->at), x->len, RW), 0);
}

static void store_in_parent(struct mm *parent, const struct memory *x)
{
    struct mm *child = fork_of(parent);
    fill(parent, x->at, x->len, NEW);
    holds(child, x->at, x->len, OLD);
    mm_close(child);
    holds(parent, x->at, x->len, NEW);
}

/* mprotect may map pages writable at once: only those that are not shared. */
static void store_in_parent_after_mprotect(struct mm *parent, const struct memory *x)
{
    struct mm *child = fork_of(parent);
    toggle(parent, x);
    fill(parent, x->at, x->len, NEW);
    holds(child, x->at, x->len, OLD);
    mm_close(child);
}

static void store_in_child(struct mm *parent, const struct memory *x)
{
    struct mm *child = fork_of(parent);
    fill(child, x->at, x->len, NEW);
    holds(parent, x->at, x->len, OLD);
    holds(child, x->at, x->len, NEW);
    mm_close(child);
    holds(parent, x->at, x->len, OLD);
}

static void store_in_child_after_mprotect(struct mm *parent, const struct memory *x)
{
    struct mm *child = fork_of(parent);
    toggle(child, x);
    fill(child, x->at, x->len, NEW);
    holds(parent, x->at, x->len, OLD);
    mm_close(child);
}

/* Previously shared: alone again, the parent writes in place and its next child sees that. */
static void store_when_alone_again(struct mm *parent, const struct memory *x)
{
    mm_close(fork_of(parent));
    fill(parent, x->at, x->len, NEW);
    struct mm *child = fork_of(parent);
    holds(child, x->at, x->len, NEW);
    fill(child, x->at, x->len, OLD);
    holds(parent, x->at, x->len, NEW);
    mm_close(child);
}

static void store_in_the_middle_of_three_generations(struct mm *parent, const struct memory *x)
{
    struct mm *child = fork_of(parent), *grandchild = fork_of(child);
    fill(child, x->at, x->len, NEW);
    holds(parent, x->at, x->len, OLD);
    holds(grandchild, x->at, x->len, OLD);
    mm_close(child);
    fill(parent, x->at, x->len, NEW);
    holds(grandchild, x->at, x->len, OLD);
    mm_close(grandchild);
}

/* The child unmaps half: what the other half's folio loses must not make the parent its owner. */
static void store_after_the_child_unmapped_half(struct mm *parent, const struct memory *x)
{
    struct mm *child = fork_of(parent);
    uint64_t half = x->len / 2 & PAGE_MASK;
    if (half > 0)
        assert_int_equal(mm_munmap(child, va(x->at), half), 0);
    fill(parent, x->at, x->len, NEW);
    holds(child, x->at + half, x->len - half, OLD);
    mm_close(child);
}

static void no_store_leaks(void **state)
{
    static void (*const cases[])(struct mm *, const struct memory *) = {
        store_in_parent,
        store_in_parent_after_mprotect,
        store_in_child,
        store_in_child_after_mprotect,
        store_when_alone_again,
        store_in_the_middle_of_three_generations,
        store_after_the_child_unmapped_half,
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(memories); i++)
        for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
            static struct box b;
            box_conf(&b, MIB(64));
            b.conf.phys_contents = true;
            b.conf.thp_enabled = memories[i].thp ? THP_ALWAYS : THP_NEVER;
            box_start(&b);
            struct memory x = memories[i].make(&b);
            fill(b.mm, x.at, x.len, OLD);
            cases[k](b.mm, &x);
            assert_int_equal(mm_audit(b.mm), 0);
            box_close(&b);
        }
}

/* -- what is not anonymous yet (run_non_anon_test_cases) --------------------------------------- */

static void private_stores_do_not_reach_what_lies_behind(void **state)
{
    static const char *const path[] = {"/data", "/memfd:x"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(path); i++) {
        static struct box b;
        box_conf(&b, MIB(64));
        b.conf.phys_contents = true;
        box_start(&b);
        struct mm_file *f = mm_file(b.sys, 8, 1, 4 * K, path[i]);
        map_full(&b, AT, 4 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 0);
        map_full(&b, AT + HUGE, 4 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
        fill(b.mm, AT + HUGE, 4 * K, OLD);
        holds(b.mm, AT, 4 * K, OLD);
        fill(b.mm, AT, 2 * K, NEW);
        holds(b.mm, AT + HUGE, 4 * K, OLD);
        fill(b.mm, AT + HUGE, 4 * K, 1); /* seen where nothing was stored */
        holds(b.mm, AT, 2 * K, NEW);
        holds(b.mm, AT + 2 * K, 2 * K, 1);
        mm_file_put(b.sys, f);
        box_close(&b);
    }
}

static void the_zero_page_stays_zero(void **state)
{
    (void)state;
    for (unsigned huge = 0; huge < 2; huge++) {
        static struct box b;
        box_conf(&b, MIB(64));
        b.conf.phys_contents = true;
        b.conf.thp_enabled = huge ? THP_ALWAYS : THP_NEVER;
        box_start(&b);
        map_anon(&b, AT, 2 * HUGE / K, RW);
        holds(b.mm, AT, K, 0);
        holds(b.mm, AT + HUGE, K, 0);
        struct mm *child = fork_of(b.mm);
        fill(b.mm, AT, K, NEW);
        holds(b.mm, AT + HUGE, K, 0);
        holds(child, AT, K, 0);
        mm_close(child);
        box_close(&b);
    }
}

/* Observed on 6.18 with folios of 64 KiB: the child copies 240 of 240 pages one by one; then the
 * parent, alone again, reuses its 240. */
static void large_folios_are_copied_page_by_page_and_reused_when_alone(void **state)
{
    static struct box b;
    (void)state;
    box_conf(&b, MIB(64));
    b.conf.phys_contents = true;
    b.conf.thp_enabled = THP_NEVER;
    b.conf.thp_size_64k = THP_SIZE_ALWAYS;
    box_start(&b);
    map_anon(&b, AT, 240, RW);
    fill(b.mm, AT, 240 * K, OLD);
    assert_int_equal(counters(&b).minflt, 15);
    struct box c = b;
    c.mm = fork_of(b.mm);
    assert_int_equal(touch_pages(&c, AT, 240, true), 240);
    assert_int_equal(STAT(&b.stats, pgreuse), 0);
    assert_int_equal(touch_pages(&b, AT, 240, true), 240);
    assert_int_equal(STAT(&b.stats, pgreuse), 240);
    mm_close(c.mm);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_store_leaks),
        cmocka_unit_test(private_stores_do_not_reach_what_lies_behind),
        cmocka_unit_test(the_zero_page_stays_zero),
        cmocka_unit_test(large_folios_are_copied_page_by_page_and_reused_when_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
