/* test_fault.c: the outcome of page faults on Linux 6.x, row by row: what is mapped, how it is
 * counted, and what the hardware is told. Numbers were observed on Linux 6.18 unless derived. */
#include "unit/mm/mm_fixture.h"

#define AT UINT64_C(0x10000000) /* a multiple of 2 MiB */

static unsigned faults_of(struct box *b, uint64_t a, uint32_t code, struct mm_verdict *v)
{
    unsigned n;
    *v = touch_code(b, a, code, &n);
    return n;
}

static uint64_t sent(const struct box *b, enum arch_kind kind)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < b->out.n; i++)
        n += b->out.msg[i].kind == kind;
    return n;
}

static uint64_t steps(const struct box *b, enum arch_step step)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < b->out.n; i++)
        if (b->out.msg[i].kind == ARCH_STEP && b->out.msg[i].n == step)
            n += b->out.msg[i].a;
    return n;
}

static unsigned locks(const struct box *b, enum arch_lock lock)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < b->out.n; i++)
        n += b->out.msg[i].kind == ARCH_LOCK && b->out.msg[i].n == lock;
    return n;
}

/* -- anonymous memory ------------------------------------------------------------------------ */

static void reading_anonymous_memory_maps_the_zero_page_without_rss(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 16, RW);
    assert_int_equal(touch_pages(&b, AT, 16, false), 16);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 0);
    assert_int_equal(touch(&b, AT, true).kind, FAULT_ANON_COW);
    assert_int_equal(touch_pages(&b, AT, 16, true), 15);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 16);
    assert_int_equal(touch_pages(&b, AT, 16, true), 0);
    box_close(&b);
}

static void a_first_write_takes_one_minor_fault_and_a_dirty_writable_entry(void **state)
{
    (void)state;
    struct box b;
    unsigned level;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, RW);
    assert_int_equal(touch(&b, AT + K + 5, true).kind, FAULT_ANON);
    pte e = *pt_leaf(mm_pt(b.mm), va(AT + K), &level);
    assert_int_equal(e.v & ~PTE_ADDR_MASK, PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | PTE_NX);
    assert_int_equal(counters(&b).minflt, 1);
    assert_int_equal(STAT(&b.stats, pgfault), 1);
    box_close(&b);
}

static void
zeroing_a_new_page_and_its_tables_reaches_the_hardware_and_filling_flushes_nothing(void **state)
{
    (void)state;
    struct box b;
    uint64_t zeroed = 0;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, RW);
    b.out.n = 0;
    touch(&b, AT, true);
    for (uint32_t i = 0; i < b.out.n; i++)
        if (b.out.msg[i].kind == ARCH_KERNEL_WRITE)
            zeroed += b.out.msg[i].b;
    /* three tables and the page, and an 8-byte entry that points to each of the four */
    assert_int_equal(zeroed, 4 * K + 4 * 8);
    assert_int_equal(steps(&b, STEP_TABLE), 3);
    assert_int_equal(steps(&b, STEP_ALLOC), 1);
    assert_int_equal(steps(&b, STEP_FAULT_ENTRY), 1);
    assert_int_equal(sent(&b, ARCH_FLUSH_RANGE), 0);
    box_close(&b);
}

static void replacing_the_zero_page_flushes_exactly_that_page(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, RW);
    touch(&b, AT + K, false);
    b.out.n = 0;
    touch(&b, AT + K, true);
    assert_int_equal(sent(&b, ARCH_FLUSH_RANGE), 1);
    for (uint32_t i = 0; i < b.out.n; i++)
        if (b.out.msg[i].kind == ARCH_FLUSH_RANGE) {
            assert_int_equal(b.out.msg[i].a, AT + K);
            assert_int_equal(b.out.msg[i].b, AT + 2 * K);
        }
    assert_int_equal(sent(&b, ARCH_KERNEL_READ), 0); /* zeroed, not copied */
    box_close(&b);
}

static void page_tables_come_with_the_first_touch_of_what_they_cover(void **state)
{
    (void)state;
    struct box b;
    const uint64_t base = UINT64_C(0x200000000000);
    static const struct {
        uint64_t at, kb;
    } row[] = {{0, 12}, {GIB(1), 8}, {MIB(2), 4}, {GIB(512), 12}};
    box_open(&b, MIB(64), false);
    map_full(&b, base, GIB(1024), RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, NULL,
             0);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        uint64_t before = counters(&b).pte_bytes;
        touch(&b, base + row[i].at, false);
        assert_int_equal(counters(&b).pte_bytes - before, row[i].kb * 1024);
    }
    assert_int_equal(mm_madvise(b.mm, va(base), GIB(1024), MADV_DONTNEED), 0);
    assert_int_equal(counters(&b).pte_bytes, (36 - 16) * 1024); /* the 4 PTE tables went */
    assert_int_equal(mm_munmap(b.mm, va(base), GIB(1024)), 0);
    assert_int_equal(counters(&b).pte_bytes, 0);
    box_close(&b);
}

/* -- files ----------------------------------------------------------------------------------- */

static struct mm_file *open_file(struct box *b, uint64_t pages)
{
    return mm_file(b->sys, 8, 77, pages * K, "/data");
}

static void fault_around_windows_are_aligned_in_the_page_table_not_in_the_file(void **state)
{
    (void)state;
    struct box b;
    unsigned level;
    /* first page has table index 12 mod 16, the fault is on VMA page 100: index 336 */
    const uint64_t start = AT + (256 - 20) * K;
    box_open(&b, MIB(64), false);
    struct mm_file *f = open_file(&b, 256);
    map_full(&b, start, 256 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 0);
    assert_int_equal(touch(&b, start + 100 * K, false).kind, FAULT_FILE_READ);
    for (uint64_t i = 0; i < 256; i++)
        assert_true((pt_leaf(mm_pt(b.mm), va(start + i * K), &level) != NULL) ==
                    (i >= 100 && i <= 115));
    assert_int_equal(counters(&b).rss[MM_FILEPAGES], 16);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void reading_256_cached_pages_takes_16_faults_aligned_and_17_unaligned(void **state)
{
    (void)state;
    static const struct {
        uint64_t start, pages, faults;
    } row[] = {{AT, 256, 16}, {AT + 3 * K, 256, 17}, {AT, 40, 3}, {AT + 504 * K, 16, 2}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct box b;
        box_open(&b, MIB(64), false);
        struct mm_file *f = open_file(&b, 256);
        map_full(&b, row[i].start, row[i].pages * K, PROT_READ, MAP_SHARED | MAP_FIXED, f, 0);
        assert_int_equal(touch_pages(&b, row[i].start, row[i].pages, false), row[i].faults);
        mm_file_put(b.sys, f);
        box_close(&b);
    }
}

static void writing_a_private_file_copies_page_by_page_without_fault_around(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = open_file(&b, 256);
    map_full(&b, AT, 256 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 0);
    assert_int_equal(touch(&b, AT, true).kind, FAULT_FILE_COW);
    assert_int_equal(touch_pages(&b, AT, 256, true), 255);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 256);
    assert_int_equal(counters(&b).rss[MM_FILEPAGES], 0);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void writing_a_private_page_that_was_read_moves_it_from_file_to_anon_rss(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = open_file(&b, 16);
    map_full(&b, AT, 16 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 0);
    touch(&b, AT, false);
    assert_int_equal(counters(&b).rss[MM_FILEPAGES], 16);
    b.out.n = 0;
    assert_int_equal(touch(&b, AT, true).kind, FAULT_FILE_COW);
    assert_int_equal(sent(&b, ARCH_KERNEL_READ), 1);
    assert_int_equal(counters(&b).rss[MM_FILEPAGES], 15);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 1);
    assert_int_equal(phys_owner_frames(b.phys, FRAME_PAGE_CACHE), 1);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void shared_file_pages_fault_once_to_be_written_and_again_after_msync(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = open_file(&b, 32);
    map_full(&b, AT, 32 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    assert_int_equal(touch_pages(&b, AT, 16, false), 1);
    assert_int_equal(touch_pages(&b, AT, 16, true), 16);          /* mapped read-only and clean */
    assert_int_equal(touch_pages(&b, AT + 16 * K, 16, true), 16); /* none: one by one */
    assert_int_equal(touch_pages(&b, AT, 32, true), 0);
    assert_int_equal(mm_msync(b.mm, va(AT), 32 * K, MS_ASYNC), 0);
    assert_int_equal(touch_pages(&b, AT, 32, true), 0);
    assert_int_equal(mm_msync(b.mm, va(AT), 8 * K, MS_SYNC), 0);
    assert_int_equal(touch_pages(&b, AT, 32, true), 8);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void shared_anonymous_pages_are_writable_even_when_first_read(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_full(&b, AT + 2 * K, 64 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
    assert_int_equal(touch(&b, AT + 2 * K, false).kind, FAULT_SHMEM);
    assert_int_equal(touch_pages(&b, AT + 2 * K, 64, false), 63);
    assert_int_equal(touch_pages(&b, AT + 2 * K, 64, true), 0);
    assert_int_equal(counters(&b).rss[MM_SHMEMPAGES], 64);
    /* the pages stay: mapping them again needs a fault per window of 16, unaligned 5 */
    assert_int_equal(mm_madvise(b.mm, va(AT + 2 * K), 64 * K, MADV_DONTNEED), 0);
    assert_int_equal(touch_pages(&b, AT + 2 * K, 64, false), 5);
    assert_int_equal(touch_pages(&b, AT + 2 * K, 64, true), 0);
    assert_int_equal(mm_madvise(b.mm, va(AT + 2 * K), 64 * K, MADV_DONTNEED), 0);
    assert_int_equal(touch_pages(&b, AT + 2 * K, 64, true), 64);
    box_close(&b);
}

static void beyond_the_last_partial_page_of_a_file_is_sigbus(void **state)
{
    (void)state;
    struct box b;
    struct mm_verdict v;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 8, 77, 2 * K + 1, "/data");
    map_full(&b, AT, 8 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 0);
    assert_int_equal(touch(&b, AT + 3 * K - 1, false).signal, 0);
    uint64_t pgfault = STAT(&b.stats, pgfault), minflt = counters(&b).minflt;
    assert_int_equal(faults_of(&b, AT + 3 * K, FAULT_W, &v), 1);
    assert_int_equal(v.signal, SIGBUS);
    assert_int_equal(v.si_code, BUS_ADRERR);
    assert_int_equal(v.kind, FAULT_BAD);
    assert_int_equal(STAT(&b.stats, pgfault), pgfault + 1);
    assert_int_equal(counters(&b).minflt, minflt);
    mm_file_put(b.sys, f);
    box_close(&b);
}

/* filemap_map_pages: without a table, and with the last page of the file the first it finds, it maps
 * nothing (the kernel's answer to seed 335790). */
static void fault_around_makes_no_table_for_the_last_page_of_a_file(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 8, 77, 3 * K, "/data");
    map_full(&b, AT, 4 * K, PROT_READ, MAP_SHARED | MAP_FIXED, f, 2 * K);
    assert_int_equal(touch(&b, AT + K, false).signal, SIGBUS);
    assert_int_equal(counters(&b).rss[MM_FILEPAGES], 0);
    assert_int_equal(counters(&b).pte_bytes, 2 * K); /* the levels above */
    map_anon(&b, AT + 8 * K, 1, RW);
    assert_int_equal(touch(&b, AT + 8 * K, true).signal, 0); /* the table */
    assert_int_equal(touch(&b, AT + K, false).signal, SIGBUS);
    assert_int_equal(counters(&b).rss[MM_FILEPAGES], 1);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void truncation_takes_private_copies_away_too(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = open_file(&b, 8);
    map_full(&b, AT, 8 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 0);
    touch_pages(&b, AT, 8, true);
    mm_file_resize(b.sys, f, 2 * K);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 2);
    assert_int_equal(touch(&b, AT + 2 * K, false).signal, SIGBUS);
    assert_int_equal(touch(&b, AT + K, true).kind, FAULT_KIND_NR); /* still mapped */
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void a_cold_miss_is_major_and_reads_a_window_around_it(void **state)
{
    (void)state;
    struct box b;
    struct mm_verdict v;
    box_open(&b, MIB(64), true); /* kernel.read_ahead 32: start at pgoff - 16 */
    struct mm_file *f = open_file(&b, 256);
    map_full(&b, AT, 256 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 0);
    assert_int_equal(faults_of(&b, AT + 100 * K, 0, &v), 1);
    assert_true(v.major);
    assert_int_equal(v.kind, FAULT_MAJOR);
    assert_int_equal(counters(&b).majflt, 1);
    assert_int_equal(STAT(&b.stats, pgmajfault), 1);
    assert_int_equal(STAT(&b.stats, pgpgin), 32 * 4);
    /* the retried fault mapped its window 96..111; 84..95 and 112..115 are cached only */
    assert_int_equal(counters(&b).rss[MM_FILEPAGES], 16);
    assert_int_equal(touch_pages(&b, AT + 84 * K, 12, false), 1);
    assert_int_equal(touch_pages(&b, AT + 112 * K, 4, false), 1);
    assert_int_equal(counters(&b).majflt, 1);
    assert_true(touch(&b, AT + 116 * K, false).major);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void random_advice_makes_every_cold_page_major(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), true);
    struct mm_file *f = open_file(&b, 256);
    map_full(&b, AT, 256 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 0);
    mm_madvise(b.mm, va(AT), 256 * K, MADV_RANDOM);
    assert_int_equal(touch_pages(&b, AT, 256, false), 0);
    assert_int_equal(counters(&b).majflt, 256);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void pages_the_program_appends_are_cached_even_when_the_cache_began_cold(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), true);
    struct mm_file *f = open_file(&b, 0);
    mm_file_resize(b.sys, f, 16 * K);
    map_full(&b, AT, 16 * K, PROT_READ, MAP_PRIVATE | MAP_FIXED, f, 0);
    assert_int_equal(touch_pages(&b, AT, 16, false), 1);
    assert_int_equal(counters(&b).majflt, 0);
    mm_file_put(b.sys, f);
    box_close(&b);
}

/* -- signals --------------------------------------------------------------------------------- */

static void verdicts_follow_linux_order_of_checks(void **state)
{
    (void)state;
    static const struct {
        uint64_t at;
        uint32_t code;
        bool noncanonical;
        int signal, si_code;
    } row[] = {
        {0, FAULT_U, false, SIGSEGV, SEGV_MAPERR},
        {AT + 8 * K, FAULT_U | FAULT_W, false, SIGSEGV, SEGV_MAPERR},
        {AT, FAULT_U | FAULT_W, false, SIGSEGV, SEGV_ACCERR},           /* read-only */
        {AT, FAULT_U | FAULT_P | FAULT_I, false, SIGSEGV, SEGV_ACCERR}, /* read-only, present */
        {AT + 4 * K, FAULT_U, false, SIGSEGV, SEGV_ACCERR},             /* PROT_NONE */
        {UINT64_C(0x7ffffffff000), FAULT_U, false, SIGSEGV, SEGV_MAPERR},
        {UINT64_C(0xffffffff81000000), FAULT_U | FAULT_P, false, SIGSEGV, SEGV_MAPERR},
        {UINT64_C(0x800000000000), FAULT_U, true, SIGSEGV, SI_KERNEL},
    };
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, PROT_READ);
    map_anon(&b, AT + 4 * K, 4, PROT_NONE);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct arch_fault f = {
            .cr2 = va(row[i].at), .code = row[i].code, .noncanonical = row[i].noncanonical};
        struct mm_verdict v;
        mm_fault(b.mm, &f, &v);
        assert_int_equal(v.signal, row[i].signal);
        assert_int_equal(v.si_code, row[i].si_code);
        assert_int_equal(v.kind, FAULT_BAD);
    }
    assert_int_equal(STAT(&b.stats, pgfault), 0);
    assert_int_equal(counters(&b).minflt, 0);
    box_close(&b);
}

/* Observed: a read of the direct map reports 5, a write to kernel text 7, a read of the guard page at
 * the top 5: P is forced on. Other signals show what the processor said; a #GP shows 0. */
static void the_reported_error_code_hides_the_kernel(void **state)
{
    (void)state;
    static const struct {
        uint64_t at;
        uint32_t code, reported;
        bool noncanonical;
    } row[] = {
        {UINT64_C(0xffff888000000000), FAULT_U, 5, false},
        {UINT64_C(0xffffffff81000000), FAULT_U | FAULT_W, 7, false},
        {UINT64_C(0x7ffffffff000), FAULT_U, 5, false},
        {AT + 8 * K, FAULT_U | FAULT_I, 0x14, false},
        {AT, FAULT_U | FAULT_P | FAULT_I, 0x15, false},
        {UINT64_C(0x800000000000), FAULT_U, 0, true},
    };
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, RW);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct arch_fault f = {
            .cr2 = va(row[i].at), .code = row[i].code, .noncanonical = row[i].noncanonical};
        struct mm_verdict v;
        mm_fault(b.mm, &f, &v);
        assert_int_equal(v.code, row[i].reported);
    }
    box_close(&b);
}

/* arch/x86/mm/fault.c: access_error, bad_area_access_from_pkeys; PKRU bits: SDM vol. 3A, 4.6.2. */
static void protection_keys_deny_before_rights_are_looked_at(void **state)
{
    (void)state;
    static const struct {
        uint32_t code, pkru;
        int si_code; /* 0: no signal */
    } row[] = {
        {FAULT_U, 0, 0},
        {FAULT_U, 1u << 6, SEGV_PKUERR},                /* key 3: no access */
        {FAULT_U | FAULT_I, 1u << 6, 0},                /* fetches are not data accesses */
        {FAULT_U, 1u << 7, 0},                          /* key 3: no write */
        {FAULT_U | FAULT_W, 1u << 7, SEGV_PKUERR},      /* … and this is one */
        {FAULT_U | FAULT_W, 1u << 5, 0},                /* key 2 is not ours */
        {FAULT_U | FAULT_P | FAULT_PK, 0, SEGV_PKUERR}, /* the processor said so */
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct box b;
        box_open(&b, MIB(64), false);
        map_anon(&b, AT, 1, RW);
        ((struct vma *)mm_vma_at(b.mm, va(AT)))->flags |= UINT64_C(3) << VM_PKEY_SHIFT;
        struct arch_fault f = {.cr2 = va(AT), .code = row[i].code, .pkru = row[i].pkru};
        struct mm_verdict v;
        mm_fault(b.mm, &f, &v);
        assert_int_equal(v.signal, row[i].si_code ? SIGSEGV : 0);
        assert_int_equal(v.si_code, row[i].si_code);
        box_close(&b);
    }
}

/* lock_vma_under_rcu, __vmf_anon_prepare (first write only), pte_offset_map_lock. */
static void a_fault_tells_its_locks_to_who_wants_to_hear(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 2, RW);
    struct arch_fault f = {.cr2 = va(AT), .code = FAULT_U | FAULT_W};
    struct mm_verdict v;
    mm_fault(b.mm, &f, &v);
    assert_int_equal(locks(&b, LOCK_VMA_READ), 0);
    map_anon(&b, AT + MIB(8), 2, RW);
    b.out.locks = true;
    for (unsigned i = 0; i < 2; i++) {
        f.cr2.v = AT + MIB(8) + i * K;
        b.out.n = 0;
        mm_fault(b.mm, &f, &v);
        assert_int_equal(locks(&b, LOCK_VMA_READ), 1);
        assert_int_equal(locks(&b, LOCK_MMAP_READ), i == 0); /* first anon_vma */
        assert_int_equal(locks(&b, LOCK_PTE), 1);
        assert_int_equal(locks(&b, LOCK_MMAP_WRITE), 0);
    }
    box_close(&b);
}

static void executing_an_absent_page_of_data_first_maps_it_then_is_refused(void **state)
{
    (void)state;
    struct box b;
    struct mm_verdict v;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, RW);
    assert_int_equal(faults_of(&b, AT, FAULT_I, &v), 2);
    assert_int_equal(v.si_code, SEGV_ACCERR);
    assert_int_equal(counters(&b).minflt, 1);
    box_close(&b);
}

static void write_only_and_exec_only_memory_can_be_read(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, PROT_WRITE);
    map_anon(&b, AT + 8 * K, 4, PROT_EXEC);
    assert_int_equal(touch(&b, AT, false).kind, FAULT_ZERO_PAGE);
    assert_int_equal(touch(&b, AT + 8 * K, false).kind, FAULT_ZERO_PAGE);
    box_close(&b);
}

static void a_fault_on_a_good_entry_is_spurious_and_minor(void **state)
{
    (void)state;
    struct box b;
    struct mm_verdict v;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, RW);
    touch(&b, AT, true);
    struct arch_fault f = {.cr2 = va(AT), .code = FAULT_U | FAULT_W | FAULT_P};
    mm_fault(b.mm, &f, &v);
    assert_int_equal(v.kind, FAULT_SPURIOUS);
    assert_int_equal(counters(&b).minflt, 2);
    box_close(&b);
}

/* -- the stack ------------------------------------------------------------------------------- */

static void a_stack_grows_to_any_touch_within_its_limit_also_by_the_kernel(void **state)
{
    (void)state;
    const uint64_t top = UINT64_C(0x7ffffffff000);
    struct box b;
    struct mm_verdict v;
    box_open(&b, MIB(64), false);
    assert_int_equal(mm_map_stack(b.mm, va(top - 33 * K), va(top), MIB(8)), 0);
    v = touch(&b, top - MIB(1), true);
    assert_int_equal(v.signal, 0);
    assert_true(v.stack_grew);
    assert_int_equal(counters(&b).stack_vm, MIB(1) / K);
    struct arch_fault f = {.cr2 = va(top - MIB(2)), .code = FAULT_W};
    mm_fault(b.mm, &f, &v);
    assert_int_equal(v.signal, 0);
    assert_int_equal(touch(&b, top - MIB(8), true).signal, 0);
    assert_int_equal(touch(&b, top - MIB(8) - 1, true).si_code, SEGV_MAPERR);
    box_close(&b);
}

/* Checked natively: the writes succeed and the mapping above does not grow. */
static void an_access_below_a_growing_mapping_may_hit_the_neighbour_there(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 4, RW);
    map_full(&b, AT + 4 * K, 4 * K, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN,
             NULL, 0);
    struct mm_verdict v = touch(&b, AT + 3 * K, true);
    assert_int_equal(v.signal, 0);
    assert_false(v.stack_grew);
    assert_int_equal(mm_vma_at(b.mm, va(AT + 4 * K))->start.v, AT + 4 * K);
    box_close(&b);
}

static void stack_growth_keeps_256_pages_from_what_can_be_accessed(void **state)
{
    (void)state;
    /* a GROWSDOWN VMA at page 1000, another mapping ends at 501: 757 is reached, 756 is not */
    static const struct {
        uint32_t prot;
        uint64_t lowest;
    } row[] = {{PROT_READ, 757}, {RW, 757}, {PROT_NONE, 501}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct box b;
        box_open(&b, MIB(64), false);
        map_anon(&b, AT + 500 * K, 1, row[i].prot);
        map_full(&b, AT + 1000 * K, 8 * K, RW,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, NULL, 0);
        assert_int_equal(touch(&b, AT + row[i].lowest * K, true).signal, 0);
        assert_int_equal(touch(&b, AT + (row[i].lowest - 1) * K, true).signal, SIGSEGV);
        box_close(&b);
    }
}

/* -- rights ---------------------------------------------------------------------------------- */

static void rights_given_back_to_exclusive_pages_cost_no_fault(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 64, RW);
    touch_pages(&b, AT, 32, true);
    touch_pages(&b, AT + 32 * K, 32, false);
    for (int prot = PROT_NONE; prot <= PROT_READ; prot++) {
        assert_int_equal(mm_mprotect(b.mm, va(AT), 64 * K, (uint32_t)prot), 0);
        assert_int_equal(touch(&b, AT, true).si_code, SEGV_ACCERR);
        assert_int_equal(mm_mprotect(b.mm, va(AT), 64 * K, RW), 0);
        assert_int_equal(touch_pages(&b, AT, 32, true), 0);
    }
    assert_int_equal(touch_pages(&b, AT + 32 * K, 32, true), 32); /* zero pages are not upgraded */
    box_close(&b);
}

static void taking_rights_away_flushes_and_unchanged_entries_do_not(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    map_anon(&b, AT, 64, RW);
    touch_pages(&b, AT + 8 * K, 4, true);
    b.out.n = 0;
    mm_mprotect(b.mm, va(AT), 64 * K, PROT_READ);
    assert_int_equal(sent(&b, ARCH_FLUSH_RANGE), 1);
    for (uint32_t i = 0; i < b.out.n; i++)
        if (b.out.msg[i].kind == ARCH_FLUSH_RANGE) {
            assert_int_equal(b.out.msg[i].a, AT + 8 * K);
            assert_int_equal(b.out.msg[i].b, AT + 12 * K);
        }
    b.out.n = 0;
    mm_mprotect(b.mm, va(AT + 32 * K), 8 * K, RWX); /* nothing is mapped there */
    assert_int_equal(sent(&b, ARCH_FLUSH_RANGE), 0);
    box_close(&b);
}

/* -- limits ---------------------------------------------------------------------------------- */

static void a_full_machine_is_a_verdict_and_breaks_nothing(void **state)
{
    (void)state;
    for (uint64_t every = 1; every <= 7; every++) {
        struct box b;
        box_open(&b, MIB(64), false);
        struct mm_file *f = open_file(&b, 64);
        map_anon(&b, AT, 64, RW);
        map_full(&b, AT + 64 * K, 64 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 0);
        map_full(&b, AT + 512 * K, 64 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
        map_full(&b, AT + 2048 * K, 64 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
        phys_fail_every(b.phys, every);
        unsigned oom = 0;
        for (uint64_t i = 0; i < 2200; i++) {
            unsigned n;
            struct mm_verdict v = touch_code(&b, AT + i * K, i % 3 ? FAULT_W : 0, &n);
            oom += v.oom;
        }
        assert_true(oom > 0);
        assert_int_equal(mm_audit(b.mm), 0);
        assert_int_equal(phys_audit(b.phys), 0);
        phys_fail_every(b.phys, 0);
        for (uint64_t i = 0; i < 64; i++) /* and goes on when there is memory again */
            assert_int_equal(touch(&b, AT + i * K, true).signal, 0);
        mm_file_put(b.sys, f);
        box_close(&b);
    }
}

static void what_the_program_touched_against_the_model_is_repaired(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = open_file(&b, 1);
    map_anon(&b, AT, 4, PROT_READ);
    map_full(&b, AT + 16 * K, 4 * K, RW, MAP_PRIVATE | MAP_FIXED, f, 0);
    static const struct {
        uint64_t at;
        uint32_t code;
    } row[] = {{AT + 8 * K, FAULT_W},
               {AT + 9 * K, FAULT_I},
               {AT + K, FAULT_W},
               {AT + 2 * K, FAULT_I},
               {AT + 18 * K, FAULT_W}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct arch_fault fault = {.cr2 = va(row[i].at), .code = row[i].code | FAULT_U};
        unsigned n;
        mm_repair(b.mm, &fault);
        assert_int_equal(touch_code(&b, row[i].at, row[i].code, &n).signal, 0);
        assert_int_equal(mm_audit(b.mm), 0);
    }
    assert_string_equal(draw(&b, AT, 4), "RWXR");
    mm_file_put(b.sys, f);
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_anonymous_memory_maps_the_zero_page_without_rss),
        cmocka_unit_test(a_first_write_takes_one_minor_fault_and_a_dirty_writable_entry),
        cmocka_unit_test(
            zeroing_a_new_page_and_its_tables_reaches_the_hardware_and_filling_flushes_nothing),
        cmocka_unit_test(replacing_the_zero_page_flushes_exactly_that_page),
        cmocka_unit_test(page_tables_come_with_the_first_touch_of_what_they_cover),
        cmocka_unit_test(fault_around_windows_are_aligned_in_the_page_table_not_in_the_file),
        cmocka_unit_test(reading_256_cached_pages_takes_16_faults_aligned_and_17_unaligned),
        cmocka_unit_test(writing_a_private_file_copies_page_by_page_without_fault_around),
        cmocka_unit_test(writing_a_private_page_that_was_read_moves_it_from_file_to_anon_rss),
        cmocka_unit_test(shared_file_pages_fault_once_to_be_written_and_again_after_msync),
        cmocka_unit_test(shared_anonymous_pages_are_writable_even_when_first_read),
        cmocka_unit_test(beyond_the_last_partial_page_of_a_file_is_sigbus),
        cmocka_unit_test(fault_around_makes_no_table_for_the_last_page_of_a_file),
        cmocka_unit_test(truncation_takes_private_copies_away_too),
        cmocka_unit_test(a_cold_miss_is_major_and_reads_a_window_around_it),
        cmocka_unit_test(random_advice_makes_every_cold_page_major),
        cmocka_unit_test(pages_the_program_appends_are_cached_even_when_the_cache_began_cold),
        cmocka_unit_test(verdicts_follow_linux_order_of_checks),
        cmocka_unit_test(the_reported_error_code_hides_the_kernel),
        cmocka_unit_test(protection_keys_deny_before_rights_are_looked_at),
        cmocka_unit_test(a_fault_tells_its_locks_to_who_wants_to_hear),
        cmocka_unit_test(executing_an_absent_page_of_data_first_maps_it_then_is_refused),
        cmocka_unit_test(write_only_and_exec_only_memory_can_be_read),
        cmocka_unit_test(a_fault_on_a_good_entry_is_spurious_and_minor),
        cmocka_unit_test(a_stack_grows_to_any_touch_within_its_limit_also_by_the_kernel),
        cmocka_unit_test(an_access_below_a_growing_mapping_may_hit_the_neighbour_there),
        cmocka_unit_test(stack_growth_keeps_256_pages_from_what_can_be_accessed),
        cmocka_unit_test(rights_given_back_to_exclusive_pages_cost_no_fault),
        cmocka_unit_test(taking_rights_away_flushes_and_unchanged_entries_do_not),
        cmocka_unit_test(a_full_machine_is_a_verdict_and_breaks_nothing),
        cmocka_unit_test(what_the_program_touched_against_the_model_is_repaired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
