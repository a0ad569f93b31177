/* twin: a program on the real kernel, watched by ptrace: exact resident peak, and on request at the
 * addresses of a modelled run.
 *
 *   twin [-n RUNS] [-i FILE] [-o FILE] [-m PAGES] [-p PLACES] [-r] PROGRAM ARGUMENTS
 *
 *   exec ──► [-p: move image and interpreter, drop the vdso] ──► memory call ──► … ──► exit
 *     │ F0                                                           │ VmRSS             │ F1, status
 *
 * VmRSS of /proc/PID/status is an exact sum over all CPUs, but VmHWM is raised only when memory is
 * about to be given back, and from the sum that lags by up to 31 pages a CPU and kind. Resident memory
 * shrinks in memory calls and at exit only; so the most of all VmRSS at the entry of each such call and
 * at exit is the exact peak: "peak"; "hwm" is what the kernel calls it at exit.
 *
 * Which 16 pages a file fault maps depends on the address, so only programs at the same addresses can
 * be equal to the page. PLACES says where, in hex: the bases of image and interpreter, the end of the
 * stack, the start of the heap; then length and address for each call that lets the kernel choose (mmap without address, mremap that may move), in
 * order. A call of another length than the next one's is not placed ("unplaced" counts them). What
 * the emulator's auxv does not have (vdso, size of signal frames, rseq) is taken away there.
 *
 * I1 every call of PLACES returns the address it was given, else twin fails.
 * I2 nothing twin does is counted: calls it makes in the program come before F0 is read, their only
 *    page is the vdso's, and its accesses to the program's memory are faults of twin itself.
 * I3 all runs end with the same status.
 *
 * Source: ptrace(2), proc_pid_status(5), getauxval(3); fs/proc/task_mmu.c task_mem (Linux 6.18).
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { OWN_FAILURE = 125, MAPPINGS_MAX = 64, RUNS_MAX = 999 };
enum figure { MINOR, PEAK, HWM, PTE, VMPEAK, UNPLACED, FIGURES };

/* What the command line says. */
struct options {
    char **argv;        /* the program and its arguments */
    const char *in;     /* its standard input, opened anew for each run */
    const char *out;    /* its standard output, truncated for each run */
    const char *pages;  /* file to write all pages at exit to, or NULL */
    const char *places; /* PLACES, or NULL: the kernel chooses */
    bool randomise;     /* leave address randomisation on */
    int runs;           /* odd */
};

/* One run: the child, and what was seen of it. */
struct twin {
    const struct options *options;
    pid_t pid;
    FILE *places;          /* behind `next_*`; NULL without PLACES */
    uint64_t next_length;  /* of the next call of PLACES; 0 at its end */
    uint64_t next_address; /* where it goes */
    uint64_t bases[3];     /* of image and interpreter, end of the stack, from PLACES */
    uint64_t brk;          /* where the heap starts, from PLACES */
    long faults_before;    /* F0 */
    long figures[FIGURES]; /* the run's results, memory in kB */
    bool exec_done;        /* counting */
    bool in_call;          /* the next system call stop is an exit */
    uint64_t wanted;       /* where PLACES puts the call under way; 0: no matter */
};

static _Noreturn void fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("twin: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    exit(OWN_FAILURE);
}

/* -- what /proc says ------------------------------------------------------------------------------ */

static FILE *proc_open(const struct twin *t, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)t->pid, name);
    FILE *f = fopen(path, "re");
    if (!f)
        fail("%s: %s", path, strerror(errno));
    return f;
}

/* status_kb is the value of one line of status, for example "VmRSS:". */
static long status_kb(const struct twin *t, const char *key)
{
    char line[256];
    long kb = -1;
    FILE *f = proc_open(t, "status");

    while (kb < 0 && fgets(line, sizeof(line), f))
        if (strncmp(line, key, strlen(key)) == 0)
            kb = strtol(line + strlen(key), NULL, 10);
    fclose(f);
    return kb;
}

/* stat_text is stat from behind the name's closing parenthesis: " S ppid …", overwritten by the next. */
static const char *stat_text(const struct twin *t)
{
    static char text[1024];
    FILE *f = proc_open(t, "stat");
    size_t size = fread(text, 1, sizeof(text) - 1, f);

    fclose(f);
    text[size] = '\0';
    char *after = strrchr(text, ')');
    if (!after)
        fail("cannot understand stat");
    return after + 1;
}

static long minor_faults(const struct twin *t)
{
    long minor;

    if (sscanf(stat_text(t), " %*c %*d %*d %*d %*d %*d %*u %ld", &minor) != 1)
        fail("cannot understand stat");
    return minor;
}

static void note_peak(struct twin *t)
{
    long kb = status_kb(t, "VmRSS:");

    if (kb > t->figures[PEAK])
        t->figures[PEAK] = kb;
}

/* write_pages writes maps, each line followed by one of a letter a page: f of a file, a anonymous,
 * - not there. */
static void write_pages(const struct twin *t, const char *to)
{
    char line[4400];
    FILE *maps = proc_open(t, "maps"), *pages = proc_open(t, "pagemap"), *out = fopen(to, "we");
    unsigned long long start, end;
    uint64_t word;

    if (!out)
        fail("%s: %s", to, strerror(errno));
    while (fgets(line, sizeof(line), maps) && sscanf(line, "%llx-%llx", &start, &end) == 2) {
        fputs(line, out);
        for (; start < end; start += 4096) {
            if (pread(fileno(pages), &word, 8, (off_t)(start / 4096 * 8)) != 8)
                word = 0;
            fputc(!(word >> 63) ? '-' : word >> 61 & 1 ? 'f' : 'a', out);
        }
        fputc('\n', out);
    }
    fclose(maps);
    fclose(pages);
    fclose(out);
}

/* -- the child, stop by stop ---------------------------------------------------------------------- */

static struct user_regs_struct regs_of(const struct twin *t)
{
    struct user_regs_struct regs;

    if (ptrace(PTRACE_GETREGS, t->pid, NULL, &regs) != 0)
        fail("registers: %s", strerror(errno));
    return regs;
}

static void set_regs(const struct twin *t, const struct user_regs_struct *regs)
{
    if (ptrace(PTRACE_SETREGS, t->pid, NULL, regs) != 0)
        fail("registers: %s", strerror(errno));
}

/* next_stop goes on to the next stop with `sig` and returns wait's status. */
static int next_stop(const struct twin *t, int sig)
{
    int status;

    if (ptrace(PTRACE_SYSCALL, t->pid, NULL, (long)sig) != 0 || waitpid(t->pid, &status, 0) < 0)
        fail("ptrace: %s", strerror(errno));
    return status;
}

static bool is_call_stop(int status)
{
    return WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80);
}

/* -- at the addresses of the model ---------------------------------------------------------------- */

enum part { IMAGE, INTERPRETER, STACK, VDSO };

/* One line of maps: bounds, and what it belongs to. */
struct mapping {
    uint64_t start, end;
    enum part part;
};

static void peek(const struct twin *t, uint64_t at, void *to, size_t size)
{
    FILE *f = proc_open(t, "mem");

    if (pread(fileno(f), to, size, (off_t)at) != (ssize_t)size)
        fail("mem at %#llx: %s", (unsigned long long)at, strerror(errno));
    fclose(f);
}

static void poke(const struct twin *t, uint64_t at, uint64_t value)
{
    if (ptrace(PTRACE_POKEDATA, t->pid, (void *)at, (void *)value) != 0)
        fail("poke at %#llx: %s", (unsigned long long)at, strerror(errno));
}

/* part_of: what a line of maps belongs to; `before` is the mapping before it or NULL, `image` the
 * first line's path. Memory without a name is bss of what it follows. */
static int part_of(const char *path, const char *image, const struct mapping *before,
                   uint64_t start)
{
    if (strcmp(path, "[vsyscall]") == 0)
        return -1;
    if (strcmp(path, "[stack]") == 0)
        return STACK;
    if (strncmp(path, "[v", 2) == 0)
        return VDSO;
    if (path[0] == '/')
        return strcmp(path, image) == 0 ? IMAGE : INTERPRETER;
    return before && before->end == start && before->part < STACK ? (int)before->part : IMAGE;
}

/* read_parts lists the mappings of image, interpreter and vdso right after execve. */
static size_t read_parts(const struct twin *t, struct mapping *ret)
{
    char line[4400], path[4096], image[4096] = "";
    unsigned long long start, end;
    FILE *f = proc_open(t, "maps");
    size_t n = 0;

    while (n < MAPPINGS_MAX && fgets(line, sizeof(line), f)) {
        path[0] = '\0';
        if (sscanf(line, "%llx-%llx %*s %*s %*s %*s %4095[^\n]", &start, &end, path) < 2)
            fail("cannot understand maps: %s", line);
        if (n == 0)
            memcpy(image, path, sizeof(image));
        int part = part_of(path, image, n ? &ret[n - 1] : NULL, start);
        if (part >= 0)
            ret[n++] = (struct mapping){start, end, (enum part)part};
    }
    fclose(f);
    return n;
}

/* find_call_insn finds a `syscall` instruction in the vdso, the topmost mapping of VDSO. */
static uint64_t find_call_insn(const struct twin *t, const struct mapping *parts, size_t n)
{
    static uint8_t bytes[64 * 1024];
    size_t size = 0;

    while (n > 0 && parts[n - 1].part != VDSO)
        n--;
    if (n > 0)
        size = parts[n - 1].end - parts[n - 1].start;
    if (size == 0 || size > sizeof(bytes))
        fail("there is no vdso");
    peek(t, parts[n - 1].start, bytes, size);
    for (size_t k = 0; k + 1 < size; k++)
        if (bytes[k] == 0x0f && bytes[k + 1] == 0x05)
            return parts[n - 1].start + k;
    fail("the vdso has no syscall instruction");
}

/* call makes a system call in the program, whose registers stay what they were but for the result. */
static uint64_t call(const struct twin *t, uint64_t insn, uint64_t nr, const uint64_t args[5])
{
    struct user_regs_struct saved = regs_of(t), regs = saved;

    regs.rip = insn;
    regs.rax = nr;
    regs.orig_rax = (uint64_t)-1; /* no restart */
    regs.rdi = args[0];
    regs.rsi = args[1];
    regs.rdx = args[2];
    regs.r10 = args[3];
    regs.r8 = args[4];
    regs.r9 = 0;
    set_regs(t, &regs);
    if (!is_call_stop(next_stop(t, 0)) || !is_call_stop(next_stop(t, 0)))
        fail("the program did not make the call it was given");
    regs = regs_of(t);
    set_regs(t, &saved);
    return regs.rax;
}

/* emulated_auxv: what the emulator's auxv has, of what matters here. */
static bool emulated_auxv(uint64_t type)
{
    enum { AUXV_RSEQ_FEATURE_SIZE = 27, AUXV_RSEQ_ALIGN = 28, AUXV_MINSIGSTKSZ = 51 };

    return type != AT_SYSINFO_EHDR && type != AUXV_MINSIGSTKSZ && type != AUXV_RSEQ_FEATURE_SIZE &&
           type != AUXV_RSEQ_ALIGN;
}

/* move_vectors makes argv, envp and auxv on the moved stack say what the moves did. */
static void move_vectors(const struct twin *t, const uint64_t *shift, const struct mapping *stack)
{
    uint64_t at = regs_of(t).rsp + 8, pair[2];

    for (int zeroes = 0; zeroes < 2; at += 8) {
        peek(t, at, pair, 8);
        zeroes += pair[0] == 0;
        if (pair[0])
            poke(t, at, pair[0] + shift[STACK]);
    }
    for (peek(t, at, pair, 16); pair[0] != AT_NULL; at += 16, peek(t, at, pair, 16)) {
        if (pair[0] == AT_PHDR || pair[0] == AT_ENTRY)
            poke(t, at + 8, pair[1] + shift[IMAGE]);
        else if (pair[0] == AT_BASE && pair[1])
            poke(t, at + 8, pair[1] + shift[INTERPRETER]);
        else if (pair[1] >= stack->start && pair[1] < stack->end)
            poke(t, at + 8, pair[1] + shift[STACK]);
        else if (!emulated_auxv(pair[0]))
            poke(t, at, AT_IGNORE);
    }
}

/* move_layout tells the kernel where the parts are now, and where the heap starts. The argument lies for a
 * moment where argc and argv are: they are certain to be there. */
static void move_layout(const struct twin *t, uint64_t insn, const uint64_t *shift)
{
    unsigned long long v[10];
    struct prctl_mm_map map;
    uint64_t words[sizeof(map) / 8], saved[sizeof(map) / 8], at = regs_of(t).rsp;
    const char *text = stat_text(t);

    for (int field = 3; field <= 51; field++) {
        static const int wanted[] = {26, 27, 45, 46, 28, 48, 49, 50, 51};
        text = strchr(text, ' ') + 1;
        for (int i = 0; i < 9; i++)
            if (wanted[i] == field)
                v[i] = strtoull(text, NULL, 10);
    }
    map = (struct prctl_mm_map){.start_code = v[0] + shift[IMAGE],
                                .end_code = v[1] + shift[IMAGE],
                                .start_data = v[2] + shift[IMAGE],
                                .end_data = v[3] + shift[IMAGE],
                                .start_brk = t->brk,
                                .brk = t->brk,
                                .start_stack = v[4] + shift[STACK],
                                .arg_start = v[5] + shift[STACK],
                                .arg_end = v[6] + shift[STACK],
                                .env_start = v[7] + shift[STACK],
                                .env_end = v[8] + shift[STACK],
                                .exe_fd = (uint32_t)-1};
    memcpy(words, &map, sizeof(map));
    peek(t, at, saved, sizeof(saved));
    for (size_t i = 0; i < sizeof(map) / 8; i++)
        poke(t, at + i * 8, words[i]);
    if (call(t, insn, SYS_prctl, (uint64_t[]){PR_SET_MM, PR_SET_MM_MAP, at, sizeof(map), 0}) != 0)
        fail("the kernel refuses the layout");
    for (size_t i = 0; i < sizeof(map) / 8; i++)
        poke(t, at + i * 8, saved[i]);
}

/* move_part moves one mapping as far as the first one of its part has to go. */
static void move_part(const struct twin *t, uint64_t insn, const struct mapping *m, uint64_t shift)
{
    uint64_t to = m->start + shift, size = m->end - m->start;

    if (shift && call(t, insn, SYS_mremap,
                      (uint64_t[]){m->start, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to}) != to)
        fail("cannot move a mapping to %#llx", (unsigned long long)to);
}

/* split_stack cuts the stack below the pages that are there. A mapping that moves over a 2 MiB boundary
 * brings an empty page table along; the empty part is made anew at its place instead. */
static void split_stack(const struct twin *t, uint64_t insn, struct mapping *stack, uint64_t shift)
{
    uint64_t cut = regs_of(t).rsp & ~UINT64_C(4095), size = cut - stack->start;
    uint64_t flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN;

    if (!shift || !size)
        return;
    call(t, insn, SYS_munmap, (uint64_t[]){stack->start, size, 0, 0, 0});
    if (call(t, insn, SYS_mmap,
             (uint64_t[]){stack->start + shift, size, PROT_READ | PROT_WRITE, flags,
                          (uint64_t)-1}) != stack->start + shift)
        fail("cannot make the stack anew");
    stack->start = cut;
}

/* drop_vdso unmaps vvar and vdso; the mapping the call is made from comes last. */
static void drop_vdso(const struct twin *t, uint64_t insn, const struct mapping *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) /* by address: the vdso is the topmost */
        if (parts[i].part == VDSO && parts[i].start <= insn)
            call(t, insn, SYS_munmap,
                 (uint64_t[]){parts[i].start, parts[i].end - parts[i].start, 0, 0, 0});
}

/* move_image brings the fresh program to the bases of PLACES. Nothing of it has run yet. */
static void move_image(const struct twin *t)
{
    struct mapping parts[MAPPINGS_MAX], stack = {0};
    size_t n = read_parts(t, parts);
    uint64_t shift[3] = {0, 0, 0}, insn = find_call_insn(t, parts, n);
    bool seen[3] = {false, false, false};
    struct user_regs_struct regs;

    for (size_t i = 0; i < n; i++) {
        unsigned part = parts[i].part;
        if (part == VDSO)
            continue;
        if (!seen[part])
            shift[part] = t->bases[part] - (part == STACK ? parts[i].end : parts[i].start);
        if (part == STACK) {
            split_stack(t, insn, &parts[i], shift[part]);
            stack = parts[i];
        }
        seen[part] = true;
        move_part(t, insn, &parts[i], shift[part]);
    }
    regs = regs_of(t);
    regs.rip += shift[seen[INTERPRETER] ? INTERPRETER : IMAGE];
    regs.rsp += shift[STACK];
    set_regs(t, &regs);
    move_layout(t, insn, shift);
    move_vectors(t, shift, &stack);
    drop_vdso(t, insn, parts, n);
}

/* chooses: the call lets the kernel say where. */
static bool chooses(const struct user_regs_struct *regs)
{
    if (regs->orig_rax == SYS_mmap)
        return regs->rdi == 0 && !(regs->r10 & MAP_FIXED);
    return regs->orig_rax == SYS_mremap && (regs->r10 & MREMAP_MAYMOVE) &&
           !(regs->r10 & MREMAP_FIXED);
}

static void read_place(struct twin *t)
{
    unsigned long long length, address;

    if (fscanf(t->places, "%llx %llx", &length, &address) != 2)
        length = 0, address = 0;
    t->next_length = length;
    t->next_address = address;
}

/* place_call gives a call that lets the kernel choose the next address of PLACES. */
static void place_call(struct twin *t, struct user_regs_struct *regs)
{
    uint64_t length = regs->orig_rax == SYS_mmap ? regs->rsi : regs->rdx;

    t->wanted = 0;
    if (!t->places || !chooses(regs))
        return;
    if (length != t->next_length) {
        t->figures[UNPLACED]++;
        return;
    }
    t->wanted = t->next_address;
    read_place(t);
    if (regs->orig_rax == SYS_mmap) {
        regs->rdi = t->wanted;
    } else if (t->wanted != regs->rdi) {
        regs->r10 |= MREMAP_FIXED;
        regs->r8 = t->wanted;
    }
    set_regs(t, regs);
}

/* -- the run -------------------------------------------------------------------------------------- */

static bool can_shrink(uint64_t nr)
{
    static const uint64_t calls[] = {SYS_mmap,   SYS_munmap, SYS_mremap,    SYS_madvise,
                                     SYS_brk,    SYS_shmdt,  SYS_shmat,     SYS_ftruncate,
                                     SYS_execve, SYS_exit,   SYS_exit_group};

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (calls[i] == nr)
            return true;
    return false;
}

static void at_call(struct twin *t)
{
    struct user_regs_struct regs = regs_of(t);

    t->in_call = !t->in_call;
    if (!t->in_call) {
        if (t->wanted && regs.rax != t->wanted) /* I1 */
            fail("call %lld returned %#llx, PLACES says %#llx", (long long)regs.orig_rax,
                 (unsigned long long)regs.rax, (unsigned long long)t->wanted);
    } else if (!t->exec_done) {
        t->faults_before = minor_faults(t);
    } else {
        if (can_shrink(regs.orig_rax))
            note_peak(t);
        place_call(t, &regs);
    }
}

/* at_exec: the new image is there, nothing of it ran. */
static void at_exec(struct twin *t)
{
    long before;

    if (!is_call_stop(next_stop(t, 0)))
        fail("execve did not return");
    t->in_call = false;
    t->exec_done = true;
    if (!t->places)
        return;
    before = minor_faults(t);
    move_image(t);
    t->faults_before += minor_faults(t) - before; /* I2 */
}

static void at_exit(struct twin *t)
{
    note_peak(t);
    t->figures[MINOR] = minor_faults(t) - t->faults_before;
    t->figures[HWM] = status_kb(t, "VmHWM:");
    t->figures[PTE] = status_kb(t, "VmPTE:");
    t->figures[VMPEAK] = status_kb(t, "VmPeak:");
    if (t->options->pages)
        write_pages(t, t->options->pages);
}

/* watch follows the program to its end and returns its exit status. */
static int watch(struct twin *t)
{
    int status, sig = 0;

    while (status = next_stop(t, sig), WIFSTOPPED(status)) {
        sig = 0;
        if (is_call_stop(status))
            at_call(t);
        else if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8))
            at_exec(t);
        else if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8))
            at_exit(t);
        else
            sig = WSTOPSIG(status);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static _Noreturn void become_program(const struct options *o)
{
    int in = open(o->in, O_RDONLY | O_CLOEXEC);
    int out = open(o->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0)
        fail("%s, %s: %s", o->in, o->out, strerror(errno));
    if (!o->randomise)
        personality((unsigned long)personality(0xffffffff) | ADDR_NO_RANDOMIZE);
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    execve(o->argv[0], o->argv, environ);
    fail("%s: %s", o->argv[0], strerror(errno));
}

static void open_places(struct twin *t)
{
    unsigned long long image, interpreter, stack, brk;

    t->places = fopen(t->options->places, "re");
    if (!t->places ||
        fscanf(t->places, "%llx %llx %llx %llx", &image, &interpreter, &stack, &brk) != 4)
        fail("%s: no four addresses", t->options->places);
    t->bases[IMAGE] = image;
    t->bases[INTERPRETER] = interpreter;
    t->bases[STACK] = stack;
    t->brk = brk;
    read_place(t);
}

/* run_once returns the program's exit status. */
static int run_once(const struct options *o, long *ret_figures)
{
    struct twin t = {.options = o};
    int status;

    if (o->places)
        open_places(&t);
    t.pid = fork();
    if (t.pid == 0)
        become_program(o);
    if (t.pid < 0 || waitpid(t.pid, &status, 0) < 0 || !WIFSTOPPED(status))
        fail("the program did not start");
    if (ptrace(PTRACE_SETOPTIONS, t.pid, NULL,
               PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL))
        fail("ptrace: %s", strerror(errno));
    status = watch(&t);
    if (t.places)
        fclose(t.places);
    memcpy(ret_figures, t.figures, sizeof(t.figures));
    return status;
}

/* -- medians -------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;

    return (x > y) - (x < y);
}

static void print_row(const char *name, const long (*figures)[FIGURES], enum figure which, int runs)
{
    static long column[RUNS_MAX];

    for (int i = 0; i < runs; i++)
        column[i] = figures[i][which];
    qsort(column, (size_t)runs, sizeof(*column), by_value);
    printf("%s median %ld min %ld max %ld\n", name, column[runs / 2], column[0], column[runs - 1]);
}

static void measure(const struct options *o)
{
    static const char *const names[FIGURES] = {"minor", "peak", "hwm", "pte", "vmpeak", "unplaced"};
    static long figures[RUNS_MAX][FIGURES];
    int status = run_once(o, figures[0]);

    for (int i = 1; i < o->runs; i++)
        if (run_once(o, figures[i]) != status) /* I3 */
            fail("two runs with different exit status");
    for (int i = 0; i < FIGURES; i++)
        print_row(names[i], figures, (enum figure)i, o->runs);
    printf("status %d\n", status);
}

int main(int argc, char **argv)
{
    struct options o = {.in = "/dev/null", .out = "/dev/null", .runs = 1};
    int option;

    while ((option = getopt(argc, argv, "+n:i:o:m:p:r")) != -1) {
        if (option == 'n')
            o.runs = atoi(optarg);
        else if (option == 'r')
            o.randomise = true;
        else if (option == '?')
            argc = 0;
        else
            *(option == 'i'   ? &o.in
              : option == 'o' ? &o.out
              : option == 'm' ? &o.pages
                              : &o.places) = optarg;
    }
    if (optind >= argc || o.runs < 1 || o.runs > RUNS_MAX || o.runs % 2 == 0)
        fail("usage: twin [-n RUNS] [-i FILE] [-o FILE] [-m PAGES] [-p PLACES] [-r] PROGRAM ...");
    o.argv = argv + optind;
    measure(&o);
    return 0;
}
