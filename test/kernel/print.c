/* print.c: a sequence as text, and as a C program that shows the kernel's answer.
 *
 * The program makes the same calls with raw system calls, several processes by turns, prints the
 * result, signal and minor faults of each, and after the last (if it differed then, after reading each
 * page of the window) the process's smaps and pagemap.
 */
#include "kernel/check.h"

#include <string.h>
#include <sys/syscall.h>

/* -- text ----------------------------------------------------------------------------------------- */

static void print_value(FILE *f, const struct call *c, unsigned i, char how)
{
    if (c->ref[i] == REF_BRK)
        fprintf(f, "brk0 + ");
    else if (c->ref[i] == REF_STACK)
        fprintf(f, "stack0() + ");
    else if (c->ref[i])
        fprintf(f, "R(%u) + ", c->ref[i] - 1);
    if (c->arg[i] >= PTR_IN && c->arg[i] < PTR_OUT + OUT_BYTES)
        fprintf(f, "(long)((char *)%s + %llu)", c->arg[i] < PTR_OUT ? "in" : "out",
                (unsigned long long)(c->arg[i] & 0xffffffff));
    else if (how == 'd')
        fprintf(f, "%lld", (long long)c->arg[i]);
    else if (how == 's')
        fprintf(f, "shm[%llu]", (unsigned long long)c->arg[i]);
    else
        fprintf(f, "%#llx", (unsigned long long)c->arg[i]);
}

void print_call(FILE *f, const struct call *c)
{
    const struct call_kind *kind = &call_kinds[c->kind];
    fprintf(f, "%u: %s(", c->proc, kind->name);
    for (unsigned i = 0; kind->args[i]; i++) {
        fprintf(f, "%s", i ? ", " : "");
        print_value(f, c, i, kind->args[i]);
    }
    fprintf(f, ")");
    if (kind->op == OP_EACH || kind->op == OP_MANY)
        fprintf(f, " %llu times, each %#llx further", (unsigned long long)c->in[1],
                (unsigned long long)c->in[0]);
    for (unsigned i = 0; i < ARRAY_LEN(c->in) && strchr(kind->args, 'i'); i++)
        fprintf(f, " %#llx", (unsigned long long)c->in[i]);
}

void print_view(FILE *f, const struct view *v)
{
    for (unsigned i = 0; i < v->n_vma; i++) {
        const struct vma_view *o = &v->vma[i];
        fprintf(f, "  %llx-%llx %s %llx flags %#llx", (unsigned long long)o->start,
                (unsigned long long)o->end, o->perms, (unsigned long long)o->offset,
                (unsigned long long)o->flags);
        for (unsigned j = 0; j < SMAPS_NR; j++)
            if (o->kb[j])
                fprintf(f, " %s %u", smaps_names[j], o->kb[j]);
        fprintf(f, "\n");
    }
    for (unsigned i = 0; i < v->n_page; i++)
        fprintf(f, "  page %llx pagemap %#llx kpageflags %#llx mapcount %u frame %u word %#llx\n",
                (unsigned long long)v->page[i].addr, (unsigned long long)v->page[i].map,
                (unsigned long long)v->page[i].flags, v->page[i].mapcount, v->page[i].frame,
                (unsigned long long)v->page[i].word);
    fprintf(f, " ");
    for (unsigned i = 0; i < STATUS_NR; i++)
        fprintf(f, " %s %llu", status_names[i], (unsigned long long)v->status[i]);
    fprintf(f, "\n");
}

/* -- the program ---------------------------------------------------------------------------------- */

static const char prologue[] =
    "#define _GNU_SOURCE\n"
    "#include <errno.h>\n#include <fcntl.h>\n#include <sched.h>\n#include <setjmp.h>\n"
    "#include <signal.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
    "#include <string.h>\n#include <sys/mman.h>\n#include <sys/personality.h>\n"
    "#include <sys/prctl.h>\n#include <sys/resource.h>\n#include <sys/syscall.h>\n"
    "#include <sys/wait.h>\n#include <ucontext.h>\n#include <unistd.h>\n\n"
    "static struct shared { volatile int turn; long result[80]; } *shared;\n"
    "static long in[32], out[1024], brk0, base;\n"
    "static int me;\nstatic volatile int sig, code, traps;\nstatic sigjmp_buf jump;\n"
    "#define R(i) (shared->result[i] > 0 ? shared->result[i] : base)\n\n"
    "static long call(long nr, long a, long b, long c, long d, long e, long f)\n{\n"
    "    long r = syscall(nr, a, b, c, d, e, f);\n    return r == -1 ? -errno : r;\n}\n\n"
    "static long memfd(long nr, long name, long flags, long as, long d, long e, long f)\n{\n"
    "    long fd = call(nr, name, flags, 0, d, e, f);\n    if (fd >= 0 && fd != as) {\n"
    "        dup2(fd, as);\n        close(fd);\n    }\n    return fd < 0 ? fd : as;\n}\n\n"
    "static long each(long by, long n, long nr, long a, long b, long c, long d, long e, long "
    "f)\n{\n"
    "    long r = 0, i = 0;\n    for (; i < n && (r >= 0 || r < -4095); i++)\n"
    "        r = call(nr, a + i * by, b, c, d, e, f);\n"
    "    return r < 0 && r >= -4095 ? r : i;\n}\n\n"
    "static long stack0(void)\n{\n    static long at;\n    char line[256];\n"
    "    FILE *f = at ? NULL : fopen(\"/proc/self/maps\", \"r\");\n"
    "    while (f && fgets(line, sizeof(line), f))\n"
    "        if (strstr(line, \"[stack]\"))\n            at = strtol(line, NULL, 16);\n"
    "    return at;\n}\n\n"
    "static void on_signal(int s, siginfo_t *info, void *context)\n{\n"
    "    ucontext_t *u = context;\n"
    "    if (s == SIGTRAP && traps++ == 0)\n        return;\n"
    "    u->uc_mcontext.gregs[REG_EFL] &= ~0x100;\n"
    "    if (s != SIGTRAP && s != SIGILL) {\n        sig = s;\n        code = info->si_code;\n    "
    "}\n"
    "    siglongjmp(jump, 1);\n}\n\n"
    "static long touch(long a, long len, int write, long value)\n{\n"
    "    static volatile long n;\n    n = 0;\n    if (sigsetjmp(jump, 1))\n        return n;\n"
    "    for (uint64_t p = a; p < (uint64_t)a + len; p += 4096, n++)\n"
    "        if (write)\n            *(volatile long *)p = value + n * 256;\n"
    "        else\n            (void)*(volatile char *)p;\n    return n;\n}\n\n"
    "static long fetch(long a)\n{\n    traps = 0;\n    if (sigsetjmp(jump, 1))\n        return 0;\n"
    "    __asm__ volatile(\"sub $256, %%rsp\\n pushfq\\n orl $0x100, (%%rsp)\\n popfq\\n jmp "
    "*%0\"\n"
    "                     : : \"r\"(a), \"a\"(out) : \"memory\");\n    return 0;\n}\n\n";

static const char epilogue[] =
    "static void show(void)\n{\n    char line[256];\n    uint64_t e;\n"
    "    FILE *f = fopen(\"/proc/self/smaps\", \"r\");\n"
    "    while (fgets(line, sizeof(line), f))\n        fputs(line, stdout);\n"
    "    f = fopen(\"/proc/self/status\", \"r\");\n"
    "    while (fgets(line, sizeof(line), f))\n"
    "        if (line[0] == 'V' || line[0] == 'R')\n            fputs(line, stdout);\n"
    "    int fd = open(\"/proc/self/pagemap\", O_RDONLY);\n"
    "    for (long a = base; a < base + PAGES * 4096L; a += 4096)\n"
    "        if (pread(fd, &e, 8, a / 4096 * 8) == 8 && e)\n"
    "            printf(\"page %lx: %s%s%s%s%s\\n\", a, e >> 63 ? \"present \" : \"\",\n"
    "                   e >> 62 & 1 ? \"swap \" : \"\", e >> 61 & 1 ? \"file \" : \"\",\n"
    "                   e >> 58 & 1 ? \"guard \" : \"\", e >> 56 & 1 ? \"exclusive\" : "
    "\"\");\n}\n\n"
    "static void sweep(void)\n{\n    long n = 0;\n"
    "    for (long a = base; a < base + PAGES * 4096L; a += 4096)\n        n += touch(a, 1, 0, "
    "0);\n"
    "    printf(\"%ld pages of the window can be read\\n\", n);\n}\n\n"
    "static void run(int i);\n"
    "static long fork_as(int who, int i)\n{\n    pid_t p = fork();\n"
    "    if (p == 0) {\n        me = who;\n        run(i + 1);\n    }\n"
    "    return p < 0 ? -errno : 0;\n}\n\n"
    "static void run(int i)\n{\n    struct rusage a, b;\n"
    "    for (; i < CALLS; i++) {\n"
    "        if (owner[i] != me)\n            continue;\n"
    "        while (shared->turn != i)\n            sched_yield();\n"
    "        sig = code = 0;\n        getrusage(RUSAGE_SELF, &a);\n"
    "        shared->result[i] = perform(i);\n        getrusage(RUSAGE_SELF, &b);\n"
    "        printf(\"%d: %s = %ld signal %d code %d minor faults %ld\\n\", i, name[i],\n"
    "               shared->result[i], sig, code, b.ru_minflt - a.ru_minflt);\n"
    "        if (i == CALLS - 1 && SWEEP)\n            sweep();\n"
    "        if (i == CALLS - 1)\n            show();\n"
    "        fflush(stdout);\n        shared->turn++;\n    }\n"
    "    while (wait(NULL) > 0)\n        ;\n    exit(0);\n}\n\n"
    "int main(int argc, char **argv)\n{\n    (void)argc;\n"
    "    if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {\n"
    "        personality(ADDR_NO_RANDOMIZE);\n        execv(\"/proc/self/exe\", argv);\n    }\n"
    "    prctl(PR_SET_THP_DISABLE, !THP, 0, 0, 0);\n"
    "    setvbuf(stdout, malloc(1 << 16), _IOFBF, 1 << 16);\n"
    "    shared = mmap(NULL, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);\n"
    "    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};\n"
    "    for (int s = 1; s < 32; s++)\n"
    "        if (s == SIGSEGV || s == SIGBUS || s == SIGTRAP || s == SIGILL)\n"
    "            sigaction(s, &sa, NULL);\n"
    "    char path[] = \"/tmp/pw-program-XXXXXX\", page[4096];\n    int fd = mkstemp(path);\n"
    "    for (int i = 0; i < 62; i++) {\n        memset(page, 0x90, 4096);\n"
    "        page[1] = i;\n        page[2] = 0;\n"
    "        if (pwrite(fd, page, i == 61 ? 2048 : 4096, i * 4096L) < 0)\n            return 1;\n"
    "    }\n    fsync(fd);\n    dup2(fd, 10);\n    dup2(open(path, O_RDONLY), 11);\n    "
    "dup2(open(path, O_WRONLY), 14);\n    dup2(open(\"/dev/zero\", O_RDWR), 15);\n    int p[2];\n  "
    "  if (pipe(p))\n        return 1;\n    dup2(p[0], 13);\n"
    "    unlink(path);\n    dup2(syscall(SYS_memfd_create, \"pw\", 2), 12);\n"
    "    if (ftruncate(12, 40 * 4096))\n        return 1;\n"
    "    base = BASE;\n    stack0();\n    brk0 = syscall(SYS_brk, 0);\n    memset(out, 0, "
    "sizeof(out));\n"
    "    touch(16, 1, 0, 0);\n    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);\n"
    "    if (fork() == 0)\n        run(0);\n    while (wait(NULL) > 0)\n        ;\n    return "
    "0;\n}\n";

static void print_case(FILE *f, const struct sequence *q, unsigned n)
{
    const struct call *c = &q->call[n];
    const struct call_kind *kind = &call_kinds[c->kind];
    fprintf(f, "    case %u:\n", n);
    for (unsigned i = 0; i < ARRAY_LEN(c->in) && strchr(kind->args, 'i'); i++)
        fprintf(f, "        in[%u] = %#llxl;\n", i, (unsigned long long)c->in[i]);
    fprintf(f, "        return ");
    if (kind->op == OP_FORK)
        fprintf(f, "fork_as(%u, %u);\n", (unsigned)c->arg[0], n);
    else if (kind->op == OP_EXIT)
        fprintf(f, "(fflush(stdout), shared->turn++, _exit(0), 0);\n");
    else {
        bool call = kind->op == OP_CALL || (kind->op == OP_EACH || kind->op == OP_MANY) ||
                    kind->op == OP_MEMFD;
        if (kind->op == OP_MEMFD)
            fprintf(f, "memfd(%ld", kind->nr);
        else if (kind->op == OP_EACH || kind->op == OP_MANY)
            fprintf(f, "each(%llu, %llu, %ld", (unsigned long long)c->in[0],
                    (unsigned long long)c->in[1], kind->nr);
        else
            fprintf(f, call ? "call(%ld" : kind->op == OP_EXEC ? "fetch(" : "touch(", kind->nr);
        for (unsigned i = 0; i < (call ? 6 : kind->op == OP_EXEC ? 1 : 2); i++) {
            fprintf(f, "%s", i || call ? ", " : "");
            if (i < strlen(kind->args))
                print_value(f, c, i, kind->args[i]);
            else
                fprintf(f, "0");
        }
        if (kind->op == OP_READ || kind->op == OP_WRITE)
            fprintf(f, ", %d, %#llx", kind->op == OP_WRITE, (unsigned long long)c->arg[2]);
        fprintf(f, ");\n");
    }
}

void print_program(FILE *f, const struct sequence *q, const struct difference *d)
{
    fprintf(f, "/* seed %llu, call %u, %s: %s */\n", (unsigned long long)q->seed, d->at, d->what,
            d->detail);
    fputs(prologue, f);
    fprintf(f,
            "#define CALLS %u\n#define BASE %#llxl\n#define PAGES %llu\n#define THP %d\n#define "
            "SWEEP %d\n",
            q->n, (unsigned long long)q->base, (unsigned long long)(WINDOW * q->unit), q->thp,
            d->swept);
    fprintf(f, "static const int owner[] = {");
    for (unsigned i = 0; i < q->n; i++)
        fprintf(f, "%u, ", q->call[i].proc);
    fprintf(f, "0};\nstatic const char *const name[] = {");
    for (unsigned i = 0; i < q->n; i++)
        fprintf(f, "\"%s\", ", call_kinds[q->call[i].kind].name);
    fprintf(f, "0};\nstatic long fork_as(int who, int i);\n\nstatic long perform(int i)\n{\n"
               "    switch (i) {\n");
    for (unsigned i = 0; i < q->n; i++)
        print_case(f, q, i);
    fprintf(f, "    }\n    return 0;\n}\n\n");
    fputs(epilogue, f);
}
