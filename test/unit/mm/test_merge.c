/* test_merge.c: when VMAs become one and when they stay apart (Linux mm/vma.c), drawn as text:
 * one letter per page, a capital where a VMA begins. r read-only, w writable, x executable,
 * n no rights, . nothing. */
#include "unit/mm/mm_fixture.h"

#define AT UINT64_C(0x10000000)

#define DRAWN(b, text) assert_string_equal(draw(&(b), AT, strlen(text)), text)

static void fresh(struct box *b)
{
    box_open(b, MIB(64), false);
}

static void adjacent_fresh_maps_become_one(void **state)
{
    (void)state;
    struct box b;
    fresh(&b);
    map_anon(&b, AT, 2, RW);
    map_anon(&b, AT + 2 * K, 2, RW);
    DRAWN(b, "Wwww.");
    map_anon(&b, AT + 6 * K, 2, RW);
    DRAWN(b, "Wwww..Ww");
    map_anon(&b, AT + 4 * K, 2, RW); /* fills the gap: all one */
    DRAWN(b, "Wwwwwwww");
    box_close(&b);
}

static void two_that_were_written_separately_stay_apart_and_the_left_takes_the_middle(void **state)
{
    (void)state;
    struct box b;
    fresh(&b);
    map_anon(&b, AT, 2, RW);
    map_anon(&b, AT + 4 * K, 2, RW);
    touch(&b, AT, true);
    touch(&b, AT + 4 * K, true);
    map_anon(&b, AT + 2 * K, 2, RW);
    DRAWN(b, "WwwwWw");
    box_close(&b);
}

static void reads_give_no_identity_so_read_maps_still_merge(void **state)
{
    (void)state;
    struct box b;
    fresh(&b);
    map_anon(&b, AT, 2, RW);
    map_anon(&b, AT + 4 * K, 2, RW);
    touch(&b, AT, false);
    touch(&b, AT + 4 * K, false);
    map_anon(&b, AT + 2 * K, 2, RW);
    DRAWN(b, "Wwwwww");
    box_close(&b);
}

static void neighbours_with_other_rights_share_identity_so_mprotect_can_merge_them(void **state)
{
    (void)state;
    struct box b;
    fresh(&b);
    map_anon(&b, AT, 2, RW);
    map_anon(&b, AT + 2 * K, 2, RWX);
    DRAWN(b, "WwXx");
    touch(&b, AT, true);
    touch(&b, AT + 2 * K, true); /* reuses the neighbour's anon_vma */
    assert_int_equal(mm_mprotect(b.mm, va(AT + 2 * K), 2 * K, RW), 0);
    DRAWN(b, "Wwww");
    box_close(&b);
}

static void identity_is_taken_from_the_next_before_the_previous_neighbour(void **state)
{
    (void)state;
    struct box b;
    fresh(&b);
    map_anon(&b, AT, 2, RW);
    map_anon(&b, AT + 2 * K, 2, PROT_READ);
    map_anon(&b, AT + 4 * K, 2, RWX);
    touch(&b, AT, true);
    touch(&b, AT + 4 * K, true);
    assert_int_equal(mm_mprotect(b.mm, va(AT + 2 * K), 2 * K, RWX), 0); /* joins the next: */
    DRAWN(b, "WwXxxx");
    mm_munmap(b.mm, va(AT + 2 * K), 2 * K);
    map_anon(&b, AT + 2 * K, 2, PROT_WRITE | PROT_EXEC);
    touch(&b, AT + 2 * K, true);
    assert_int_equal(mm_vma_at(b.mm, va(AT + 2 * K))->anon_vma,
                     mm_vma_at(b.mm, va(AT + 4 * K))->anon_vma);
    assert_int_not_equal(mm_vma_at(b.mm, va(AT))->anon_vma,
                         mm_vma_at(b.mm, va(AT + 4 * K))->anon_vma);
    box_close(&b);
}

static void mprotect_splits_and_heals(void **state)
{
    (void)state;
    struct box b;
    fresh(&b);
    map_anon(&b, AT, 8, RW);
    touch_pages(&b, AT, 8, true);
    mm_mprotect(b.mm, va(AT + 2 * K), 2 * K, PROT_READ);
    DRAWN(b, "WwRrWwww");
    mm_mprotect(b.mm, va(AT + 4 * K), 2 * K, PROT_READ); /* left edge: joins the left */
    DRAWN(b, "WwRrrrWw");
    mm_mprotect(b.mm, va(AT + K), K, PROT_READ); /* right edge: joins the right */
    DRAWN(b, "WRrrrrWw");
    mm_mprotect(b.mm, va(AT + K), 5 * K, RW);
    DRAWN(b, "Wwwwwwww");
    assert_int_equal(counters(&b).data_vm, 8);
    box_close(&b);
}

static void mprotect_changes_what_lies_before_a_hole(void **state)
{
    (void)state;
    struct box b;
    fresh(&b);
    map_anon(&b, AT, 2, RW);
    map_anon(&b, AT + 4 * K, 2, RW);
    assert_int_equal(mm_mprotect(b.mm, va(AT + K), 4 * K, PROT_NONE), -ENOMEM);
    DRAWN(b, "WN..Ww");
    box_close(&b);
}

static void flags_of_advice_keep_vmas_apart_until_undone(void **state)
{
    (void)state;
    static const struct {
        int set, undo;
    } row[] = {{MADV_SEQUENTIAL, MADV_NORMAL},     {MADV_RANDOM, MADV_NORMAL},
               {MADV_DONTFORK, MADV_DOFORK},       {MADV_DONTDUMP, MADV_DODUMP},
               {MADV_WIPEONFORK, MADV_KEEPONFORK}, {MADV_MERGEABLE, MADV_UNMERGEABLE}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct box b;
        fresh(&b);
        map_anon(&b, AT, 6, RW);
        assert_int_equal(mm_madvise(b.mm, va(AT + 2 * K), 2 * K, row[i].set), 0);
        DRAWN(b, "WwWwWw");
        assert_int_equal(mm_madvise(b.mm, va(AT + 2 * K), 2 * K, row[i].undo), 0);
        DRAWN(b, "Wwwwww");
        box_close(&b);
    }
}

static void shared_anonymous_neighbours_and_other_reservations_never_merge(void **state)
{
    (void)state;
    struct box b;
    fresh(&b);
    for (int i = 0; i < 2; i++)
        map_full(&b, AT + (uint64_t)i * 2 * K, 2 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
                 NULL, 0);
    map_anon(&b, AT + 4 * K, 2, RW);
    map_full(&b, AT + 6 * K, 2 * K, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
             NULL, 0);
    DRAWN(b, "WwWwWwWw");
    box_close(&b);
}

static void file_maps_merge_only_where_the_file_goes_on(void **state)
{
    (void)state;
    struct box b;
    fresh(&b);
    struct mm_file *f = mm_file(b.sys, 8, 1, 64 * K, "/f"), *g = mm_file(b.sys, 8, 2, 64 * K, "/g");
    map_full(&b, AT, 2 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 4 * K);
    map_full(&b, AT + 2 * K, 2 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 6 * K);
    map_full(&b, AT + 4 * K, 2 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 9 * K);
    map_full(&b, AT + 6 * K, 2 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, g, 11 * K);
    DRAWN(b, "RrrrRrRr");
    mm_file_put(b.sys, f);
    mm_file_put(b.sys, g);
    box_close(&b);
}

static void a_moved_map_merges_only_if_unfaulted_or_back_in_its_linear_place(void **state)
{
    (void)state;
    const uint32_t fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
    struct box b;
    fresh(&b);
    map_anon(&b, AT, 2, RW);
    map_anon(&b, AT + 8 * K, 4, RW);
    mm_mremap(b.mm, va(AT + 10 * K), 2 * K, 2 * K, fixed, va(AT + 2 * K), false);
    DRAWN(b, "Wwww....Ww"); /* unfaulted: takes the new place's offset */
    touch(&b, AT + 8 * K, true);
    mm_mremap(b.mm, va(AT + 8 * K), K, K, fixed, va(AT + 4 * K), false);
    DRAWN(b, "WwwwW....W");
    mm_mremap(b.mm, va(AT + 4 * K), K, K, fixed, va(AT + 8 * K), false);
    DRAWN(b, "Wwww....Ww"); /* back home */
    assert_int_equal(touch_pages(&b, AT + 8 * K, 1, true), 0);
    box_close(&b);
}

static void brk_extends_its_own_area_only(void **state)
{
    (void)state;
    struct box b;
    fresh(&b);
    map_anon(&b, AT, 2, RW); /* the bss */
    mm_set_brk(b.mm, va(AT + 2 * K));
    mm_brk(b.mm, va(AT + 3 * K));
    mm_brk(b.mm, va(AT + 5 * K));
    DRAWN(b, "WwWww.");
    assert_int_equal(mm_vma_at(b.mm, va(AT + 2 * K))->kind, VMA_HEAP);
    mm_brk(b.mm, va(AT + 2 * K));
    DRAWN(b, "Ww....");
    box_close(&b);
}

static void the_limit_of_mappings_is_reached_as_in_linux(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    b.conf.kernel_max_map_count = 20;
    mm_close(b.mm);
    mm_sys_close(b.sys);
    assert_int_equal(mm_sys_open(&b.sys, &b.conf, b.phys, &b.stats, &b.out), 0);
    assert_int_equal(mm_open(&b.mm, b.sys), 0);
    map_anon(&b, AT, 64, RW);
    for (uint64_t i = 1; i < 19; i += 2) /* each cuts two: 19 VMAs */
        assert_int_equal(mm_mprotect(b.mm, va(AT + i * K), K, PROT_READ), 0);
    assert_int_equal(counters(&b).map_count, 19);
    assert_int_equal(mm_mprotect(b.mm, va(AT + 63 * K), K, PROT_READ), 0);
    assert_int_equal(mm_mprotect(b.mm, va(AT + 40 * K), K, PROT_READ), -ENOMEM);
    assert_int_equal(mm_munmap(b.mm, va(AT + 40 * K), K), -ENOMEM);
    assert_int_equal(mm_madvise(b.mm, va(AT + 40 * K), K, MADV_RANDOM), -EAGAIN);
    assert_true(map_anon(&b, AT + 100 * K, 1, PROT_NONE) > 0); /* 20 are not more than 20 */
    assert_int_equal(map_anon(&b, AT + 110 * K, 1, PROT_READ), -ENOMEM); /* 21 are */
    assert_int_equal(mm_munmap(b.mm, va(AT + K), K), 0);                 /* a whole one goes */
    box_close(&b);
}

/* -- accounting and labels ------------------------------------------------------------------- */

static void totals_sort_memory_as_proc_status_does(void **state)
{
    (void)state;
    struct box b;
    fresh(&b);
    struct mm_file *f = mm_file(b.sys, 8, 1, 64 * K, "/bin/x");
    map_anon(&b, AT, 1, RW);                                             /* data */
    map_full(&b, AT + 10 * K, 2 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 0); /* data */
    map_full(&b, AT + 20 * K, 4 * K, RX, MAP_PRIVATE | MAP_FIXED, f, 0); /* exec */
    map_full(&b, AT + 30 * K, 8 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);  /* none */
    map_full(&b, AT + 50 * K, 16 * K, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED,
             NULL, 0);                         /* stack */
    map_anon(&b, AT + 100 * K, 32, PROT_NONE); /* none */
    struct mm_counters c = counters(&b);
    assert_int_equal(c.total_vm, 63);
    assert_int_equal(c.data_vm, 3);
    assert_int_equal(c.exec_vm, 4);
    assert_int_equal(c.stack_vm, 16);
    mm_munmap(b.mm, va(AT + 100 * K), 32 * K);
    assert_int_equal(counters(&b).total_vm_peak, 63);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static const struct mm_label *label_at(struct box *b, uint64_t a)
{
    uint32_t n;
    const struct mm_label *l = mm_labels(b->sys, &n);
    uint32_t i = mm_vma_at(b->mm, va(a))->label;
    assert_true(i < n);
    return &l[i];
}

static void labels_name_files_by_path_and_rights_and_outlive_their_mappings(void **state)
{
    (void)state;
    struct box b;
    fresh(&b);
    struct mm_file *f = mm_file(b.sys, 8, 1, 64 * K, "/lib/libc.so.6");
    map_full(&b, AT, 4 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 0);
    map_full(&b, AT + 4 * K, 4 * K, RX, MAP_PRIVATE | MAP_FIXED, f, 4 * K);
    map_full(&b, AT + 8 * K, 4 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 8 * K);
    const struct mm_label *ro = label_at(&b, AT);
    assert_string_equal(ro->name, "/lib/libc.so.6");
    assert_int_equal(ro->cur_bytes, 8 * K);
    assert_int_equal(mm_vma_at(b.mm, va(AT))->label, mm_vma_at(b.mm, va(AT + 8 * K))->label);
    assert_int_not_equal(mm_vma_at(b.mm, va(AT))->label, mm_vma_at(b.mm, va(AT + 4 * K))->label);
    mm_mprotect(b.mm, va(AT), K, RW); /* moves to the row of its new rights */
    assert_int_equal(label_at(&b, AT)->cur_bytes, K);
    assert_int_equal(label_at(&b, AT + K)->cur_bytes, 7 * K);
    uint32_t row = mm_vma_at(b.mm, va(AT + 4 * K))->label, n;
    mm_munmap(b.mm, va(AT), 12 * K);
    assert_int_equal(mm_labels(b.sys, &n)[row].cur_bytes, 0);
    assert_int_equal(mm_labels(b.sys, &n)[row].max_bytes, 4 * K);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void thousands_of_small_mappings_share_one_label(void **state)
{
    (void)state;
    struct box b;
    uint32_t n;
    fresh(&b);
    for (uint64_t i = 0; i < 3000; i++)
        map_anon(&b, AT + 2 * i * K, 1, RW);
    mm_labels(b.sys, &n);
    assert_true(n <= 513);
    uint32_t first = mm_vma_at(b.mm, va(AT))->label;
    mm_munmap(b.mm, va(AT), K);
    map_anon(&b, AT, 1, RW); /* made again at its place: its row again */
    assert_int_equal(mm_vma_at(b.mm, va(AT))->label, first);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adjacent_fresh_maps_become_one),
        cmocka_unit_test(two_that_were_written_separately_stay_apart_and_the_left_takes_the_middle),
        cmocka_unit_test(reads_give_no_identity_so_read_maps_still_merge),
        cmocka_unit_test(neighbours_with_other_rights_share_identity_so_mprotect_can_merge_them),
        cmocka_unit_test(identity_is_taken_from_the_next_before_the_previous_neighbour),
        cmocka_unit_test(mprotect_splits_and_heals),
        cmocka_unit_test(mprotect_changes_what_lies_before_a_hole),
        cmocka_unit_test(flags_of_advice_keep_vmas_apart_until_undone),
        cmocka_unit_test(shared_anonymous_neighbours_and_other_reservations_never_merge),
        cmocka_unit_test(file_maps_merge_only_where_the_file_goes_on),
        cmocka_unit_test(a_moved_map_merges_only_if_unfaulted_or_back_in_its_linear_place),
        cmocka_unit_test(brk_extends_its_own_area_only),
        cmocka_unit_test(the_limit_of_mappings_is_reached_as_in_linux),
        cmocka_unit_test(totals_sort_memory_as_proc_status_does),
        cmocka_unit_test(labels_name_files_by_path_and_rights_and_outlive_their_mappings),
        cmocka_unit_test(thousands_of_small_mappings_share_one_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
