/* global_swap.c: swapping on the running kernel and on the model, number by number.
 *
 *   swapon of a private file of 16 MiB ─► a child in a memory cgroup of its own ─► swapoff, removal
 *
 * Each scenario is one function over a few operations (map, fill, page out, touch …) that exist
 * twice: performed by a child of this process on the kernel, and on a machine of the model. They run
 * with swap on what the kernel takes for a rotating disk, and with what it takes for an SSD. What it observes (faults, entries, counters of swap) must be equal.
 *
 * It changes the host for all: while it runs there is swap. It takes a lock, and the file goes whatever
 * happens. On a host whose swap would not be a rotating disk, or that has swap already, it says why it does
 * nothing. Run by make check-kernel-global.
 */
#include "unit/mm/mm_fixture.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT         UINT64_C(0x200000000)
#define SWAP_BYTES MIB(16)
#define SWAP_PATH  "/var/tmp/pagewalk-global.swap"
#define GROUP      "/sys/fs/cgroup/memory/pagewalk-global"
#define SEEN_MAX   4096

/* What one scenario saw: names and numbers in order. */
struct seen {
    unsigned n;
    struct {
        char what[56];
        int64_t value;
    } row[SEEN_MAX];
};

/* A world to act in: the model's box, or NULL for the kernel. */
struct world {
    struct box *b;
    struct seen *seen;
};

static void see(struct world *w, int64_t value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void see(struct world *w, int64_t value, const char *format, ...)
{
    va_list ap;
    assert_true(w->seen->n < SEEN_MAX);
    va_start(ap, format);
    vsnprintf(w->seen->row[w->seen->n].what, sizeof(w->seen->row[0].what), format, ap);
    va_end(ap);
    w->seen->row[w->seen->n++].value = value;
}

/* -- operations --------------------------------------------------------------------------------- */

static int64_t number_after(const char *path, const char *word)
{
    char line[256];
    int64_t value = -1;
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, word, strlen(word)) == 0)
            value = strtoll(line + strlen(word), NULL, 10);
    if (f)
        fclose(f);
    return value;
}

static void do_map(struct world *w, uint64_t page, uint64_t n, int flags)
{
    flags |= MAP_ANONYMOUS | MAP_FIXED;
    if (w->b)
        assert_int_equal(map_full(w->b, AT + page * K, n * K, RW, (uint32_t)flags, NULL, 0),
                         AT + page * K);
    else
        assert_true(mmap((void *)(AT + page * K), n * K, RW, flags, -1, 0) != MAP_FAILED);
}

static void do_unmap(struct world *w, uint64_t page, uint64_t n)
{
    if (w->b)
        mm_munmap(w->b->mm, va(AT + page * K), n * K);
    else
        munmap((void *)(AT + page * K), n * K);
}

/* fill writes `value` to the first byte of each page. */
static void fill(struct world *w, uint64_t page, uint64_t n, uint8_t value)
{
    for (uint64_t i = page; i < page + n; i++)
        if (w->b)
            assert_int_equal(mm_copy_to_user(w->b->mm, va(AT + i * K), &value, 1), 1);
        else
            *(volatile uint8_t *)(AT + i * K) = value;
}

static uint8_t look(struct world *w, uint64_t page)
{
    uint8_t value = 0;
    if (!w->b)
        return *(volatile uint8_t *)(AT + page * K);
    assert_int_equal(mm_copy_from_user(w->b->mm, &value, va(AT + page * K), 1), 1);
    return value;
}

static void advise(struct world *w, uint64_t page, uint64_t n, int advice)
{
    if (w->b)
        assert_int_equal(mm_madvise(w->b->mm, va(AT + page * K), n * K, advice), 0);
    else
        assert_int_equal(madvise((void *)(AT + page * K), n * K, advice), 0);
}

static void settle(const struct world *w)
{
    if (w->b)
        mm_lru_drain(w->b->sys);
    else
        usleep(300000); /* writing is asynchronous there */
}

/* evict empties the swap cache: all pages of the child go. */
static void evict(const struct world *w)
{
    if (w->b) {
        mm_shrink_all(w->b->sys);
        return;
    }
    for (int i = 0; i < 4; i++) {
        int fd = open(GROUP "/memory.force_empty", O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        if (write(fd, "0", 1) < 0)
            usleep(1000); /* EBUSY: something stayed */
        close(fd);
        usleep(300000);
    }
}

static void faults(const struct world *w, int64_t ret[2])
{
    struct rusage u;
    if (w->b) {
        ret[0] = (int64_t)counters(w->b).minflt;
        ret[1] = (int64_t)counters(w->b).majflt;
        return;
    }
    getrusage(RUSAGE_SELF, &u);
    ret[0] = u.ru_minflt;
    ret[1] = u.ru_majflt;
}

static int64_t vm_counter(const struct world *w, const char *name)
{
    char word[64];
    if (w->b)
        return (int64_t)w->b->stats.v[stat_find(name)];
    snprintf(word, sizeof(word), "%s ", name);
    return number_after("/proc/vmstat", word);
}

static int64_t vm_swap_kb(const struct world *w)
{
    return w->b ? (int64_t)counters(w->b).swapents * 4
                : number_after("/proc/self/status", "VmSwap:");
}

static int64_t slots_used(const struct world *w)
{
    char name[64];
    long size, used = -1;
    if (w->b)
        return (int64_t)(mm_swap_total(w->b->sys) - mm_swap_free(w->b->sys));
    FILE *f = fopen("/proc/swaps", "re");
    if (f && fscanf(f, "%*[^\n] %63s %*s %ld %ld", name, &size, &used) != 3)
        used = -4;
    if (f)
        fclose(f);
    return used / 4;
}

/* What pagemap tells of a page: -1 present, -2 none, else the slot. */
static int64_t place(const struct world *w, uint64_t page)
{
    uint64_t word = 0;
    if (w->b) {
        unsigned level;
        const pte *e = pt_leaf(mm_pt(w->b->mm), va(AT + page * K), &level);
        if (!e || pte_none(*e))
            return -2;
        return pte_is_swap(*e) ? (int64_t)swp_offset(*e) : -1;
    }
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, &word, 8, (off_t)((AT / K + page) * 8)), 8);
    close(fd);
    if (word >> 63)
        return -1;
    return word >> 62 & 1 ? (int64_t)(word >> 5 & (BIT(50) - 1)) : -2;
}

static int64_t in_core(const struct world *w, uint64_t page)
{
    uint8_t vec = 9;
    if (w->b)
        mm_mincore(w->b->mm, va(AT + page * K), K, &vec);
    else
        mincore((void *)(AT + page * K), K, &vec);
    return vec & 1;
}

/* touch_seen reads or writes a page and notes which fault that took. */
static void touch_seen(struct world *w, uint64_t page, bool write)
{
    int64_t before[2], after[2];
    faults(w, before);
    faults(w, before);
    if (write)
        fill(w, page, 1, 77);
    else
        look(w, page);
    faults(w, after);
    see(w, after[0] - before[0], "minor fault of page %d", (int)page);
    see(w, after[1] - before[1], "major fault of page %d", (int)page);
}

/* -- scenarios --------------------------------------------------------------------------------------- */

static void pageout_leaves_pages_in_the_swap_cache(struct world *w)
{
    int64_t in = vm_counter(w, "pswpin"), out = vm_counter(w, "pswpout");
    do_map(w, 0, 32, MAP_PRIVATE);
    fill(w, 0, 32, 5);
    advise(w, 0, 32, MADV_PAGEOUT);
    settle(w);
    for (uint64_t i = 0; i < 32; i++) {
        see(w, place(w, i) - place(w, 0), "slot of page %d after that of page 0", (int)i);
        see(w, in_core(w, i), "mincore of page %d", (int)i);
    }
    see(w, vm_swap_kb(w), "VmSwap");
    see(w, slots_used(w), "slots");
    touch_seen(w, 3, false);
    see(w, slots_used(w), "slots after a read");
    touch_seen(w, 3, true);
    touch_seen(w, 9, true);
    see(w, slots_used(w), "slots after a write");
    see(w, vm_swap_kb(w), "VmSwap after two pages came back");
    see(w, vm_counter(w, "pswpout") - out, "pswpout");
    see(w, vm_counter(w, "pswpin") - in, "pswpin");
    do_unmap(w, 0, 32);
    see(w, slots_used(w), "slots at the end");
}

static void zeroes_are_not_written(struct world *w)
{
    int64_t zero = vm_counter(w, "swpout_zero"), out = vm_counter(w, "pswpout");
    do_map(w, 0, 16, MAP_PRIVATE);
    fill(w, 0, 16, 0);
    fill(w, 4, 2, 9);
    advise(w, 0, 16, MADV_PAGEOUT);
    settle(w);
    see(w, vm_counter(w, "swpout_zero") - zero, "swpout_zero");
    see(w, vm_counter(w, "pswpout") - out, "pswpout");
    see(w, look(w, 4), "a byte");
    do_unmap(w, 0, 16);
}

/* The first 64 pages bring the window to its full size on both sides; the next 64 are measured. */
static void a_disk_reads_eight_slots_at_a_time(struct world *w)
{
    do_map(w, 0, 512, MAP_PRIVATE);
    fill(w, 0, 512, 3);
    for (uint64_t i = 0; i < 512; i += 64)
        advise(w, i, 64, MADV_PAGEOUT);
    evict(w);
    for (uint64_t i = 0; i < 128; i++)
        look(w, i);
    for (uint64_t i = 128; i < 256; i++)
        touch_seen(w, i, false);
    do_unmap(w, 0, 512);
}

/* As a program that goes backwards, then back and forth: what the addresses say, not the slots. */
static void other_orders_read_other_windows(struct world *w)
{
    do_map(w, 0, 512, MAP_PRIVATE);
    for (uint64_t i = 0; i < 512; i++) /* slots in another order than addresses */
        fill(w, i * 37 % 512, 1, 3);
    for (uint64_t i = 0; i < 512; i += 64)
        advise(w, i, 64, MADV_PAGEOUT);
    evict(w);
    for (uint64_t i = 0; i < 64; i++)
        look(w, i);
    for (uint64_t i = 0; i < 64; i++)
        touch_seen(w, 255 - i, false);
    for (uint64_t i = 0; i < 64; i++)
        touch_seen(w, 256 + i * 59 % 128, i & 1);
    for (uint64_t i = 0; i < 64; i++)
        touch_seen(w, 384 + i, true);
    do_unmap(w, 0, 512);
}

static void willneed_makes_later_faults_minor(struct world *w)
{
    do_map(w, 0, 64, MAP_PRIVATE);
    fill(w, 0, 64, 3);
    advise(w, 0, 64, MADV_PAGEOUT);
    evict(w);
    int64_t in = vm_counter(w, "pswpin");
    advise(w, 8, 16, MADV_WILLNEED);
    settle(w);
    see(w, vm_counter(w, "pswpin") - in, "pswpin of WILLNEED");
    for (uint64_t i = 8; i < 24; i++)
        touch_seen(w, i, i & 1);
    do_unmap(w, 0, 64);
}

/* After a fork both processes name the slots; the write of one is a copy. */
static void a_fork_shares_slots(struct world *w)
{
    struct mm *child = NULL;
    int status, go[2];
    do_map(w, 0, 16, MAP_PRIVATE);
    fill(w, 0, 16, 3);
    advise(w, 0, 16, MADV_PAGEOUT);
    settle(w);
    if (w->b) {
        assert_int_equal(mm_fork(&child, w->b->mm), 0);
    } else {
        assert_int_equal(pipe(go), 0);
        if (fork() == 0) {
            char c;
            _exit(read(go[0], &c, 1) != 1);
        }
    }
    see(w, slots_used(w), "slots");
    touch_seen(w, 0, true);
    touch_seen(w, 1, false);
    touch_seen(w, 1, true);
    see(w, slots_used(w), "slots after two writes");
    see(w, vm_swap_kb(w), "VmSwap");
    if (w->b) {
        mm_close(child);
    } else {
        assert_int_equal(write(go[1], "x", 1), 1);
        wait(&status);
    }
    see(w, slots_used(w), "slots when the child is gone");
    touch_seen(w, 2, true);
    do_unmap(w, 0, 16);
    see(w, slots_used(w), "slots at the end");
}

static void madv_free_of_swapped_pages_frees_slots(struct world *w)
{
    do_map(w, 0, 16, MAP_PRIVATE);
    fill(w, 0, 16, 3);
    advise(w, 0, 16, MADV_PAGEOUT);
    settle(w);
    advise(w, 0, 8, MADV_FREE);
    see(w, slots_used(w), "slots");
    see(w, place(w, 0), "entry of page 0");
    see(w, vm_swap_kb(w), "VmSwap");
    advise(w, 8, 4, MADV_DONTNEED);
    see(w, slots_used(w), "slots after DONTNEED");
    do_unmap(w, 0, 16);
}

static void shared_memory_has_slots_but_no_entries(struct world *w)
{
    do_map(w, 0, 16, MAP_SHARED);
    fill(w, 0, 16, 3);
    advise(w, 0, 16, MADV_PAGEOUT);
    settle(w);
    see(w, slots_used(w), "slots");
    see(w, place(w, 0), "entry of page 0");
    see(w, vm_swap_kb(w), "VmSwap");
    touch_seen(w, 2, true);
    see(w, slots_used(w), "slots after a write");
    see(w, look(w, 5), "a byte");
    do_unmap(w, 0, 16);
    see(w, slots_used(w), "slots at the end");
}

/* mbind to no node in particular moves all pages: what is in the swap cache stays there with its slot. */
static void pages_of_the_swap_cache_move(struct world *w)
{
    const struct nodemask_arg none = {0};
    do_map(w, 0, 16, MAP_PRIVATE);
    fill(w, 0, 16, 5);
    advise(w, 0, 16, MADV_PAGEOUT);
    settle(w);
    for (uint64_t i = 0; i < 8; i++)
        touch_seen(w, i, false);
    see(w, slots_used(w), "slots before the move");
    see(w,
        w->b ? mm_mbind(w->b->mm, va(AT), 16 * K, MPOL_DEFAULT, &none, MPOL_MF_MOVE)
             : syscall(SYS_mbind, AT, 16 * K, MPOL_DEFAULT, NULL, 0, MPOL_MF_MOVE),
        "mbind");
    see(w, slots_used(w), "slots after the move");
    see(w, vm_swap_kb(w), "VmSwap after the move");
    int64_t out = vm_counter(w, "pswpout");
    for (uint64_t i = 0; i < 16; i++) {
        see(w, place(w, i) == -1, "page %d is there", (int)i);
        see(w, in_core(w, i), "mincore of page %d", (int)i);
    }
    advise(w, 0, 4, MADV_PAGEOUT);
    settle(w);
    see(w, vm_counter(w, "pswpout") - out, "pages written that were in swap already");
    for (uint64_t i = 0; i < 16; i++)
        see(w, look(w, i), "byte of page %d", (int)i);
    do_unmap(w, 0, 16);
    see(w, slots_used(w), "slots at the end");
}

static const char *const huge_counters[] = {"thp_swpout", "thp_swpout_fallback", "thp_split_page",
                                            "thp_split_pmd", "pswpout"};

/* page_out_huge maps 2 MiB, takes `hole` pages away from page 100 on, pages the rest out, and tells what
 * that did. */
static void page_out_huge(struct world *w, uint64_t hole)
{
    int64_t before[ARRAY_LEN(huge_counters)];
    for (size_t i = 0; i < ARRAY_LEN(huge_counters); i++)
        before[i] = vm_counter(w, huge_counters[i]);
    do_map(w, 0, 512, MAP_PRIVATE);
    advise(w, 0, 512, MADV_HUGEPAGE);
    fill(w, 0, 512, 7);
    if (hole > 0)
        do_unmap(w, 100, hole);
    advise(w, 0, 100, MADV_PAGEOUT);
    settle(w);
    see(w, slots_used(w), "slots after 100 pages");
    see(w, vm_swap_kb(w), "VmSwap after 100 pages");
    advise(w, 100 + hole, 412 - hole, MADV_PAGEOUT);
    settle(w);
    see(w, slots_used(w), "slots");
    see(w, vm_swap_kb(w), "VmSwap");
    for (size_t i = 0; i < ARRAY_LEN(huge_counters); i++)
        see(w, vm_counter(w, huge_counters[i]) - before[i], "%s", huge_counters[i]);
    for (uint64_t i = 0; i < 512; i += 17)
        if (i < 100 || i >= 100 + hole)
            see(w, place(w, i) > 0, "page %d has a slot", (int)i);
}

/* Only a block device has room for a huge page in one piece. */
static void a_huge_page_goes_to_a_file_page_by_page(struct world *w)
{
    page_out_huge(w, 0);
    for (uint64_t i = 0; i < 512; i += 31)
        touch_seen(w, i, i & 1);
    do_unmap(w, 0, 512);
}

static void all_of_a_huge_page_paged_out_at_once(struct world *w)
{
    int64_t before[ARRAY_LEN(huge_counters)];
    do_map(w, 0, 1024, MAP_PRIVATE);
    advise(w, 0, 1024, MADV_HUGEPAGE);
    fill(w, 0, 1024, 7);
    for (size_t i = 0; i < ARRAY_LEN(huge_counters); i++)
        before[i] = vm_counter(w, huge_counters[i]);
    advise(w, 0, 1024, MADV_PAGEOUT);
    settle(w);
    for (size_t i = 0; i < ARRAY_LEN(huge_counters); i++)
        see(w, vm_counter(w, huge_counters[i]) - before[i], "%s", huge_counters[i]);
    for (uint64_t i = 0; i < 1024; i += 31) {
        see(w, place(w, i) > 0, "page %d has a slot", (int)i);
        touch_seen(w, i, i & 1);
    }
    do_unmap(w, 0, 1024);
}

/* One that is mapped in part is split before swap is asked for room. */
static void a_huge_page_with_a_hole_does_not_fall_back(struct world *w)
{
    page_out_huge(w, 56);
    do_unmap(w, 0, 512);
}

static const struct scenario {
    const char *name;
    void (*run)(struct world *w);
} scenarios[] = {
    {"pageout", pageout_leaves_pages_in_the_swap_cache},
    {"zeroes", zeroes_are_not_written},
    {"readahead", a_disk_reads_eight_slots_at_a_time},
    {"orders", other_orders_read_other_windows},
    {"willneed", willneed_makes_later_faults_minor},
    {"fork", a_fork_shares_slots},
    {"free", madv_free_of_swapped_pages_frees_slots},
    {"move", pages_of_the_swap_cache_move},
    {"huge", a_huge_page_goes_to_a_file_page_by_page},
    {"huge-all", all_of_a_huge_page_paged_out_at_once},
    {"huge-part", a_huge_page_with_a_hole_does_not_fall_back},
    {"shmem", shared_memory_has_slots_but_no_entries},
};

/* -- the two sides -------------------------------------------------------------------------------- */

static void on_the_model(const struct scenario *sc, enum conf_swap_device device, struct seen *seen)
{
    struct box b;
    struct world w = {&b, seen};
    memset(&b, 0, sizeof(b));
    conf_init(&b.conf);
    b.conf.phys_contents = 1;
    b.conf.swap_size = SWAP_BYTES;
    b.conf.swap_device = device;
    b.conf.phys_size = MIB(256);
    assert_int_equal(arch_outbox_open(&b.out), 0);
    assert_int_equal(phys_open(&b.phys, &b.conf, &b.stats), 0);
    assert_int_equal(mm_sys_open(&b.sys, &b.conf, b.phys, &b.stats, &b.out), 0);
    assert_int_equal(mm_open(&b.mm, b.sys), 0);
    sc->run(&w);
    assert_int_equal(mm_audit(b.mm), 0);
    mm_close(b.mm);
    mm_sys_close(b.sys);
    phys_close(b.phys);
    arch_outbox_close(&b.out);
}

static void put_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        fprintf(stderr, "global_swap: cannot write %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

/* on_the_kernel runs a scenario in a child of one CPU, whose own memory is locked. */
static bool on_the_kernel(const struct scenario *sc, struct seen *seen)
{
    pid_t pid = fork();
    int status = -1;
    if (pid == 0) {
        char me[32];
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(0, &one);
        sched_setaffinity(0, sizeof(one), &one);
        snprintf(me, sizeof(me), "%d", (int)getpid());
        put_text(GROUP "/cgroup.procs", me);
        struct world w = {NULL, seen};
        slots_used(&w); /* the C library's buffers exist from now on */
        mlockall(MCL_CURRENT);
        sc->run(&w);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static unsigned compare(const char *name, const char *device, const struct seen *kernel,
                        const struct seen *model, bool tell)
{
    unsigned bad = kernel->n != model->n;
    for (unsigned i = 0; i < kernel->n && i < model->n; i++)
        if (kernel->row[i].value != model->row[i].value) {
            if (++bad <= 10 && tell)
                printf("%s on %s: %s: kernel %lld, model %lld\n", name, device, kernel->row[i].what,
                       (long long)kernel->row[i].value, (long long)model->row[i].value);
        }
    return bad;
}

/* -- the swap area -------------------------------------------------------------------------------- */

static char rotational[96]; /* the knob of the block device below the file */
static int64_t rotated;     /* what it said */

static bool find_disk(void)
{
    struct stat st;
    if (stat("/var/tmp", &st) != 0)
        return false;
    snprintf(rotational, sizeof(rotational), "/sys/dev/block/%u:%u/queue/rotational",
             major(st.st_dev), minor(st.st_dev));
    rotated = number_after(rotational, "");
    return rotated >= 0 && access(rotational, W_OK) == 0;
}

static void set_rotational(int64_t on)
{
    put_text(rotational, on ? "1" : "0");
}

static void clean_up(void)
{
    swapoff(SWAP_PATH);
    unlink(SWAP_PATH);
    rmdir(GROUP);
    if (rotational[0])
        set_rotational(rotated);
}

static void on_signal(int sig)
{
    clean_up();
    _exit(128 + sig);
}

/* make_area writes what mkswap writes: version, last page, magic word. */
static bool make_area(void)
{
    static uint8_t page[4096];
    int fd = open(SWAP_PATH, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0;
    for (uint64_t i = 0; i < SWAP_BYTES / K && good; i++) {
        memset(page, 0, sizeof(page));
        if (i == 0) {
            uint32_t header[3] = {1, (uint32_t)(SWAP_BYTES / K - 1), 0};
            memcpy(page + 1024, header, sizeof(header));
            memcpy(page + 4086, "SWAPSPACE2", 10);
        }
        good = write(fd, page, sizeof(page)) == (ssize_t)sizeof(page);
    }
    good = good && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return good && swapon(SWAP_PATH, 0) == 0;
}

static const char *why_not(void)
{
    char second[8] = "";
    if (geteuid() != 0)
        return "only root may swapon";
    FILE *f = fopen("/proc/swaps", "re");
    bool has_swap = f && fscanf(f, "%*[^\n] %7s", second) == 1;
    if (f)
        fclose(f);
    if (has_swap)
        return "the host has swap already";
    if (!find_disk())
        return "the disk of /var/tmp does not let itself be called rotating or not";
    if (mkdir(GROUP, 0755) != 0 && errno != EEXIST)
        return "no memory cgroup (version 1) can be made";
    return NULL;
}

/* run_once runs a scenario on both sides, in a fresh area: slots count from 1. */
static unsigned run_once(const struct scenario *sc, enum conf_swap_device device,
                         struct seen *kernel, struct seen *model, bool tell)
{
    memset(kernel, 0, sizeof(*kernel));
    memset(model, 0, sizeof(*model));
    set_rotational(device == SWAP_DISK);
    if (!make_area()) {
        printf("swapon of %s: %s\n", SWAP_PATH, strerror(errno));
        exit(1);
    }
    bool ended = on_the_kernel(sc, kernel);
    swapoff(SWAP_PATH);
    on_the_model(sc, device, model);
    if (!ended && tell)
        printf("%s: did not end on the kernel\n", sc->name);
    return !ended + compare(sc->name, device == SWAP_SSD ? "ssd" : "disk", kernel, model, tell);
}

/* run_both: other programs of the host may use the area meanwhile; what differs three times differs. */
static unsigned run_both(const struct scenario *sc, enum conf_swap_device device,
                         struct seen *kernel, struct seen *model, unsigned *rows)
{
    unsigned bad = 1;
    for (int i = 0; i < 3 && bad > 0; i++)
        bad = run_once(sc, device, kernel, model, i == 2);
    *rows += kernel->n;
    return bad;
}

int main(void)
{
    struct seen *kernel = mmap(NULL, sizeof(*kernel), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct seen *model = calloc(1, sizeof(*model));
    int lock = open("/var/tmp/pagewalk-global.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    unsigned bad = 0, rows = 0;
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        return 1;
    const char *skip = why_not();
    if (skip) {
        printf("skipped: %s\n", skip);
        return 0;
    }
    atexit(clean_up);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGHUP, on_signal);
    for (size_t i = 0; i < 2 * ARRAY_LEN(scenarios); i++)
        bad += run_both(&scenarios[i / 2], i % 2 ? SWAP_SSD : SWAP_DISK, kernel, model, &rows);
    printf("%zu scenarios of swap, %u numbers, %u mismatches\n", 2 * ARRAY_LEN(scenarios), rows,
           bad);
    free(model);
    return bad != 0;
}
