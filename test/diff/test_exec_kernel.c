/* links: kern */
/* test_exec_kernel.c: the address space after exec, asked of the running kernel.
 *
 * A child is stopped at the end of its execve (ptrace), before its first instruction. What the
 * kernel then shows is what the model must have built at the same addresses:
 *
 *     /proc/PID/maps      every VMA: bounds, rights, offset, inode
 *     /proc/PID/pagemap   every page: absent, of a file, or anonymous
 *     minor faults        those of execve alone
 *
 * Programs are real ones and ELF files made here: any layout of segments, with and without
 * interpreter. They run without randomization.
 */
#include "unit/kern/kern_fixture.h"

#include "base/rng.h"
#include "diff/host_lock.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINES_MAX 64
#define SEGS_MAX  6
#define STACK_TOP UINT64_C(0x7ffffffff000)

/* -- making ELF files */

struct seg { /* a PT_LOAD, or another header when type is not 0 */
    uint64_t vaddr, filesz, memsz;
    uint32_t flags, type;
};
struct image {
    uint16_t type;
    struct seg seg[SEGS_MAX];
    unsigned n;
    const char *interp;
};

static const uint8_t exit_code[] = {0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05}; /* exit(0) */

static char folder[64];

static const char *path_of(const char *name)
{
    static char path[2][128];
    static unsigned turn;
    turn ^= 1;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

/* write_image: segment i has its bytes at file page 16 × (i + 1), congruent to its address. The
 * first segment holds the code. */
static void write_image(const char *path, const struct image *im)
{
    Elf64_Ehdr h = {.e_type = im->type,
                    .e_machine = EM_X86_64,
                    .e_version = EV_CURRENT,
                    .e_entry = im->seg[0].vaddr,
                    .e_phoff = sizeof h,
                    .e_ehsize = sizeof h,
                    .e_phentsize = sizeof(Elf64_Phdr),
                    .e_phnum = (uint16_t)(im->n + (im->interp != NULL))};
    Elf64_Phdr p[SEGS_MAX + 1] = {{0}};
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0755);
    unsigned n = 0;
    memcpy(h.e_ident, ELFMAG, SELFMAG);
    h.e_ident[EI_CLASS] = ELFCLASS64;
    h.e_ident[EI_DATA] = ELFDATA2LSB;
    h.e_ident[EI_VERSION] = EV_CURRENT;
    if (im->interp) {
        size_t len = strlen(im->interp) + 1;
        p[n++] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = 2048, .p_filesz = len};
        assert_int_equal(pwrite(fd, im->interp, len, 2048), len);
    }
    for (unsigned i = 0; i < im->n; i++) {
        const struct seg *s = &im->seg[i];
        uint64_t off = 65536 * (i + 1) + s->vaddr % 4096;
        p[n++] = (Elf64_Phdr){.p_type = s->type ? s->type : PT_LOAD,
                              .p_flags = s->flags,
                              .p_offset = s->type ? 0 : off,
                              .p_vaddr = s->vaddr,
                              .p_paddr = s->vaddr,
                              .p_filesz = s->filesz,
                              .p_memsz = s->memsz,
                              .p_align = 4096};
    }
    assert_int_equal(pwrite(fd, exit_code, sizeof exit_code, 65536 + im->seg[0].vaddr % 4096),
                     sizeof exit_code);
    assert_int_equal(pwrite(fd, &h, sizeof h, 0), sizeof h);
    assert_int_equal(pwrite(fd, p, n * sizeof *p, sizeof h), n * sizeof *p);
    assert_int_equal(ftruncate(fd, 65536 * (SEGS_MAX + 1)), 0);
    close(fd);
}

/* -- what the kernel did */

struct line { /* of /proc/PID/maps */
    uint64_t start, end, offset, ino;
    char rights[5], name[256];
};
struct native {
    pid_t pid;
    struct line line[LINES_MAX];
    unsigned n;
    long faults;
};
struct program {
    const char *path;
    char **argv, **envp;
    uint64_t stack_rlimit; /* 0: as it is */
};

static long stat_faults(pid_t pid)
{
    char name[64], text[1024] = "", *p;
    long v = 0;
    snprintf(name, sizeof name, "/proc/%d/stat", pid);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    p = strrchr(text, ')');
    assert_int_equal(sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %ld", &v), 1);
    return v;
}

static void read_maps(struct native *x)
{
    char name[64], row[512];
    snprintf(name, sizeof name, "/proc/%d/maps", x->pid);
    FILE *f = fopen(name, "re");
    assert_non_null(f);
    while (fgets(row, sizeof row, f)) {
        struct line *l = &x->line[x->n++];
        assert_true(x->n < LINES_MAX);
        int got = sscanf(row, "%lx-%lx %4s %lx %*s %lu %255[^\n]", &l->start, &l->end, l->rights,
                         &l->offset, &l->ino, l->name);
        assert_true(got >= 5);
    }
    fclose(f);
}

/* start runs the program up to the end of its execve. vfork: the child's memory is ours, so it
 * takes no copy-on-write faults of its own before. */
static void start(struct native *x, const struct program *p)
{
    static struct rusage before;
    int status;
    memset(x, 0, sizeof *x);
    x->pid = vfork();
    if (x->pid == 0) {
        struct rlimit r = {p->stack_rlimit, p->stack_rlimit};
        if (p->stack_rlimit)
            setrlimit(RLIMIT_STACK, &r);
        personality(ADDR_NO_RANDOMIZE);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        getrusage(RUSAGE_SELF, &before);
        getrusage(RUSAGE_SELF, &before);
        execve(p->path, p->argv, p->envp);
        _exit(126);
    }
    assert_int_equal(waitpid(x->pid, &status, 0), x->pid);
    if (!WIFSTOPPED(status))
        fail_msg("%s did not start: status %x", p->path, status);
    x->faults = stat_faults(x->pid) - before.ru_minflt;
    read_maps(x);
}

static void stop(struct native *x)
{
    int status;
    kill(x->pid, SIGKILL);
    waitpid(x->pid, &status, 0);
}

/* page_state: 0 absent, 1 of a file, 2 anonymous. */
static int page_state(int pagemap, uint64_t page)
{
    uint64_t e = 0;
    assert_int_equal(pread(pagemap, &e, 8, (off_t)(page / 4096 * 8)), 8);
    return !(e >> 63) ? 0 : e >> 61 & 1 ? 1 : 2;
}

/* -- what the model did */

/* touch is what the hardware and the fault handler do for one page of a copy. */
static void touch(struct world *w, uint64_t page, bool store)
{
    unsigned level;
    struct mm_verdict verdict = {0};
    const pte *e = pt_leaf(mm_pt(w->mm), va(page), &level);
    bool present = e && e->v & 1;
    struct arch_fault fault = {.cr2 = va(page),
                               .code = (present ? FAULT_P : 0) | (store ? FAULT_W : 0)};
    if (present && (!store || e->v & 2))
        return;
    mm_fault(w->mm, &fault, &verdict);
    assert_int_equal(verdict.signal, 0);
}

static void touch_all(struct world *w)
{
    for (uint32_t i = 0; i < w->copies.n; i++) {
        const struct kern_copy *c = &w->copies.copy[i];
        for (uint64_t p = c->addr.v & PAGE_MASK; p < c->addr.v + c->bytes; p += PAGE_SIZE)
            touch(w, p, c->store);
    }
    w->outbox.n = 0;
}

static uint64_t count(char **v, uint64_t *ret_bytes)
{
    uint64_t n = 0;
    for (*ret_bytes = 0; v[n]; n++)
        *ret_bytes += strlen(v[n]) + 1;
    return n;
}

static const Elf64_Phdr *headers(const char *path, Elf64_Ehdr *h, Elf64_Phdr p[64])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, h, sizeof *h, 0), sizeof *h);
    assert_true(h->e_phnum <= 64);
    assert_true(pread(fd, p, h->e_phnum * sizeof *p, (off_t)h->e_phoff) > 0);
    close(fd);
    return p;
}

/* image_base is where the kernel put the file: its lowest VMA, less the first segment's page. */
static uint64_t image_base(const struct native *x, const char *path)
{
    Elf64_Ehdr h;
    Elf64_Phdr p[64];
    uint64_t low = UINT64_MAX;
    struct stat st;
    headers(path, &h, p);
    if (h.e_type == ET_EXEC)
        return 0;
    for (unsigned i = 0; i < h.e_phnum; i++)
        if (p[i].p_type == PT_LOAD && p[i].p_memsz && (p[i].p_vaddr & PAGE_MASK) < low)
            low = p[i].p_vaddr & PAGE_MASK;
    assert_int_equal(stat(path, &st), 0);
    for (unsigned i = 0; i < x->n; i++)
        if (x->line[i].ino == st.st_ino)
            return x->line[i].start - low;
    fail_msg("%s is not mapped", path);
    return 0;
}

static void model_exec(struct world *w, const struct native *x, const struct program *p,
                       const char *interp)
{
    struct kern_exec e = {
        .path = p->path, .stack_top = STACK_TOP, .stack_limit = STACK_TOP - MIB(8)};
    struct rlimit r;
    getrlimit(RLIMIT_STACK, &r);
    e.argc = count(p->argv, &e.arg_bytes);
    e.envc = count(p->envp, &e.env_bytes);
    e.load_bias = image_base(x, p->path);
    e.interp_base = interp ? image_base(x, interp) : 0;
    e.stack_rlimit = p->stack_rlimit ? p->stack_rlimit : r.rlim_cur;
    assert_int_equal(kern_exec(w->kern, w->mm, &e, &w->copies), 0);
    touch_all(w);
    assert_int_equal(mm_audit(w->mm), 0);
}

/* -- comparing */

static bool is_kernel_line(const struct line *l)
{
    return strncmp(l->name, "[v", 2) == 0; /* [vvar], [vvar_vclock], [vdso], [vsyscall] */
}

static void rights(const struct vma *v, char ret[5])
{
    ret[0] = v->flags & VM_READ ? 'r' : '-';
    ret[1] = v->flags & VM_WRITE ? 'w' : '-';
    ret[2] = v->flags & VM_EXEC ? 'x' : '-';
    ret[3] = v->flags & VM_MAYSHARE ? 's' : 'p';
    ret[4] = 0;
}

static void same_pages(struct world *w, const struct native *x, const struct vma *v)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/pagemap", x->pid);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    for (uint64_t p = v->start.v; p < v->end.v; p += PAGE_SIZE) {
        unsigned level;
        const pte *e = pt_leaf(mm_pt(w->mm), va(p), &level);
        int model = !e || !(e->v & 1) ? 0 : v->file && !(e->v & 2) ? 1 : 2;
        if (page_state(fd, p) != model)
            fail_msg("page %lx: kernel %d, model %d", (long)p, page_state(fd, p), model);
    }
    close(fd);
}

static void same_line(const struct line *l, const struct vma *v)
{
    char r[5];
    rights(v, r);
    if (l->start != v->start.v || l->end != v->end.v || strcmp(l->rights, r) != 0 ||
        (v->file && l->offset != v->pgoff * PAGE_SIZE) || (l->ino != 0) != (v->file != NULL))
        fail_msg("kernel %lx-%lx %s %lx, model %lx-%lx %s %lx", (long)l->start, (long)l->end,
                 l->rights, (long)l->offset, (long)v->start.v, (long)v->end.v, r,
                 (long)(v->pgoff * PAGE_SIZE));
}

static void same_space(struct world *w, const struct native *x)
{
    const struct vma *v = mm_vma_next(w->mm, va(0));
    for (unsigned i = 0; i < x->n; i++) {
        if (is_kernel_line(&x->line[i]))
            continue;
        while (v && (v->kind == VMA_VDSO || v->kind == VMA_VVAR))
            v = v->next;
        assert_non_null(v);
        same_line(&x->line[i], v);
        same_pages(w, x, v);
        v = v->next;
    }
    while (v && (v->kind == VMA_VDSO || v->kind == VMA_VVAR))
        v = v->next;
    assert_null(v);
}

/* comparable: the rules modelled are those of 6.12 and later, and a container may forbid to switch
 * randomization off. */
static bool comparable(void)
{
    struct utsname u;
    int major = 0, minor = 0, was = personality(0xffffffff);
    uname(&u);
    sscanf(u.release, "%d.%d", &major, &minor);
    bool allowed = personality(ADDR_NO_RANDOMIZE) != -1;
    personality((unsigned long)was);
    return allowed && (major > 6 || (major == 6 && minor >= 12));
}

static void check_quiet(const struct program *p, const char *interp, long *ret_faults)
{
    if (!comparable())
        skip();
    struct native x;
    struct world w;
    struct mm_counters c;
    start(&x, p); /* a first run brings the file's pages into the cache */
    stop(&x);
    start(&x, p);
    assert_int_equal(world_start(&w, GIB(16)), 0);
    model_exec(&w, &x, p, interp);
    same_space(&w, &x);
    mm_counters(w.mm, &c);
    assert_int_equal(c.minflt, x.faults);
    *ret_faults = x.faults;
    stop(&x);
    assert_int_equal(world_close(&w), 0);
}

static void check(const struct program *p, const char *interp)
{
    long faults;
    check_quiet(p, interp, &faults);
    print_message("%s: %ld minor faults in execve, model the same\n", p->path, faults);
}

static char *no_args[] = {(char *)"program", NULL};
static char *no_env[] = {(char *)"A=1", NULL};

static void check_image(const struct image *im)
{
    struct program p = {path_of("program"), no_args, no_env, 0};
    long faults;
    write_image(p.path, im);
    check_quiet(&p, im->interp, &faults);
}

/* -- tests */

static const struct seg text_seg = {0x400000, 64, 64, PF_R | PF_X, 0};

static void a_program_of_one_segment_has_its_file_pages_and_a_stack(void **state)
{
    (void)state;
    struct image im = {ET_EXEC, {text_seg}, 1, NULL};
    check_image(&im);
}

static void bss_is_zeroed_to_the_page_end_and_anonymous_beyond(void **state)
{
    (void)state;
    static const struct seg data[] = {
        {0x500000, 100, 200, PF_R | PF_W, 0},         /* ends in its first page */
        {0x500010, 100, 4096 - 16, PF_R | PF_W, 0},   /* ends exactly at the page end */
        {0x500010, 100, 4097 - 16, PF_R | PF_W, 0},   /* one byte more */
        {0x500000, 4096, 40000, PF_R | PF_W, 0},      /* file part ends at a page end */
        {0x500800, 2048, 5000, PF_R | PF_W, 0},       /* the same, not page aligned */
        {0x500000, 8000, 8000000, PF_R | PF_W, 0},    /* many pages */
        {0x500000, 0, 5000, PF_R | PF_W, 0},          /* nothing in the file */
        {0x500123, 0, 5000, PF_R | PF_W, 0},          /* the same, not page aligned */
        {0x500000, 100, 9000, PF_R, 0},               /* read-only: not zeroed */
        {0x500000, 100, 9000, PF_R | PF_W | PF_X, 0}, /* executable */
    };
    for (size_t i = 0; i < ARRAY_LEN(data); i++) {
        struct image im = {ET_EXEC, {text_seg, data[i]}, 2, NULL};
        check_image(&im);
    }
}

static void segments_that_touch_each_other_merge_as_in_the_kernel(void **state)
{
    (void)state;
    struct image im = {ET_EXEC,
                       {text_seg,
                        {0x500000, 100, 9000, PF_R | PF_W, 0},
                        {0x503000, 0, 4096, PF_R | PF_W, 0},
                        {0x504000, 50, 50, PF_R, 0}},
                       4,
                       NULL};
    check_image(&im);
}

static void an_executable_stack_is_asked_for_by_its_header(void **state)
{
    (void)state;
    struct image im = {ET_EXEC, {text_seg, {0, 0, 0, PF_R | PF_W | PF_X, PT_GNU_STACK}}, 2, NULL};
    check_image(&im);
}

static void an_interpreter_is_loaded_and_zeroed_too(void **state)
{
    (void)state;
    char interp[128];
    struct image ld = {
        ET_DYN, {{0, 64, 64, PF_R | PF_X, 0}, {0x3100, 700, 9000, PF_R | PF_W, 0}}, 2, NULL};
    snprintf(interp, sizeof interp, "%s", path_of("ld"));
    write_image(interp, &ld);
    struct image fixed = {ET_EXEC, {text_seg, {0x500000, 100, 200, PF_R | PF_W, 0}}, 2, interp};
    struct image pie = {
        ET_DYN, {{0, 64, 64, PF_R | PF_X, 0}, {0x2f00, 64, 4096, PF_R | PF_W, 0}}, 2, interp};
    check_image(&fixed);
    check_image(&pie);
    pie.interp = NULL; /* a static position-independent program */
    check_image(&pie);
}

static void strings_and_tables_take_the_stack_pages_the_kernel_takes(void **state)
{
    (void)state;
    struct image im = {ET_EXEC, {text_seg}, 1, NULL};
    char *big = malloc(100001), *argv[1025], *envp[3] = {(char *)"B=2", NULL, NULL};
    write_image(path_of("program"), &im);
    memset(big, 'x', 100000);
    for (unsigned i = 0; i < 24; i++) { /* string bytes and pointers around page boundaries */
        unsigned n = i < 12 ? 1 : 20 + 40 * i;
        size_t len = i < 12 ? 2900 + 100 * i : 3;
        long faults;
        big[100000] = 0;
        for (unsigned j = 0; j < n; j++)
            argv[j] = big + 100000 - len;
        argv[n] = NULL;
        envp[1] = i % 3 == 2 ? big : NULL;
        struct program p = {path_of("program"), argv, envp, 0};
        check_quiet(&p, NULL, &faults);
    }
    free(big);
}

/* The lowest byte written moves over the page boundary somewhere in this sweep, once. */
static void the_tables_reach_the_next_page_at_the_same_length(void **state)
{
    (void)state;
    struct image im = {ET_EXEC, {text_seg}, 1, NULL};
    char text[4096], *argv[2] = {text, NULL};
    long faults, first = 0, last = 0;
    write_image(path_of("program"), &im);
    for (size_t len = 3440; len < 3640; len += 3) {
        memset(text, 'x', len);
        text[len] = 0;
        struct program p = {path_of("program"), argv, no_env, 0};
        check_quiet(&p, NULL, &faults);
        first = first ? first : faults;
        last = faults;
    }
    assert_int_equal(last, first + 1);
}

static void the_first_stack_size_obeys_the_limit(void **state)
{
    (void)state;
    struct image im = {ET_EXEC, {text_seg}, 1, NULL};
    const uint64_t limits[] = {KIB(132), KIB(136), KIB(140) - 1, MIB(1)};
    write_image(path_of("program"), &im);
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct program p = {path_of("program"), no_args, no_env, limits[i]};
        long faults;
        check_quiet(&p, NULL, &faults);
    }
}

/* random_image: up to four writable or read-only segments after the code, ascending. */
static void random_image(struct rng *r, struct image *im)
{
    uint64_t at = 0x500000;
    *im = (struct image){rng_below(r, 2) ? ET_EXEC : ET_DYN, {text_seg}, 1, NULL};
    for (im->n = 1; im->n < 2 + rng_below(r, 4); im->n++) {
        uint64_t in_page = rng_below(r, 2) ? 0 : rng_below(r, 4096);
        uint64_t filesz = rng_below(r, 4) ? rng_below(r, 20000) : rng_below(r, 3) * 4096;
        uint64_t memsz = filesz + (rng_below(r, 2) ? rng_below(r, 30000) : 0);
        uint32_t flags = PF_R | (rng_below(r, 3) ? PF_W : 0) | (rng_below(r, 5) ? 0 : PF_X);
        im->seg[im->n] = (struct seg){at + in_page, filesz, memsz, flags, 0};
        at = align_up(at + in_page + memsz, 4096) + 4096 * rng_below(r, 3);
    }
}

static void random_layouts_give_the_same_space_pages_and_faults(void **state)
{
    (void)state;
    struct rng r = {2024};
    for (unsigned i = 0; i < 150; i++) {
        struct image im;
        random_image(&r, &im);
        check_image(&im);
    }
}

static void real_programs_start_with_the_same_space_pages_and_faults(void **state)
{
    (void)state;
    static const char *const paths[] = {"/usr/bin/true", "/usr/bin/bash", "/usr/bin/perl",
                                        "/usr/bin/gzip", "/usr/bin/make", "/usr/bin/gcc"};
    unsigned found = 0;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        char real[PATH_MAX];
        if (!realpath(paths[i], real))
            continue;
        struct program p = {real, no_args, environ, 0};
        check(&p, "/lib64/ld-linux-x86-64.so.2");
        found++;
    }
    assert_true(found >= 3);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test_exec_kernel.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path_of("program"));
    unlink(path_of("ld"));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_of_one_segment_has_its_file_pages_and_a_stack),
        cmocka_unit_test(bss_is_zeroed_to_the_page_end_and_anonymous_beyond),
        cmocka_unit_test(segments_that_touch_each_other_merge_as_in_the_kernel),
        cmocka_unit_test(an_executable_stack_is_asked_for_by_its_header),
        cmocka_unit_test(an_interpreter_is_loaded_and_zeroed_too),
        cmocka_unit_test(strings_and_tables_take_the_stack_pages_the_kernel_takes),
        cmocka_unit_test(the_tables_reach_the_next_page_at_the_same_length),
        cmocka_unit_test(the_first_stack_size_obeys_the_limit),
        cmocka_unit_test(random_layouts_give_the_same_space_pages_and_faults),
        cmocka_unit_test(real_programs_start_with_the_same_space_pages_and_faults),
    };
    host_settings_stay();
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
