/* start.c: EV_START, what QEMU made of the program before its first instruction.
 *
 *   …| guard page, no access | stack, rw                                   | path \0 | 8 bytes |
 *                            limit                                                         top
 *            … 0 | argc | argv … 0 | envp … 0 | auxv | … | arguments \0 | environment \0 | path \0 |
 *
 * QEMU maps the stack in one piece below which it makes a guard page, and copies the path of the
 * program to its very end first (linux-user/elfload.c: setup_arg_pages, load_elf_binary); image.c
 * finds it. Below it lie the strings of the environment and the arguments, and the tables of pointers
 * to them (create_elf_tables), which are known by what they say: each string follows the one before,
 * and the last ends at the path.
 */
#include "start.h"
#include "exe.h"
#include "exec.h"
#include "image.h"
#include "qemu_api.h"
#include "writer.h"

#include "event/qemu.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool find_stack(uint64_t size, const char *path, struct extent *ret)
{
    FILE *f = fopen("/proc/self/maps", "re");
    bool found = f && image_stack(f, size, path, ret);

    if (f)
        fclose(f);
    return found;
}

static uint64_t load_bias(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t linked = fd < 0 ? UINT64_MAX : image_code_vaddr(fd);

    if (fd >= 0)
        close(fd);
    return linked == UINT64_MAX ? 0 : qemu_plugin_start_code() - linked;
}

/* Signals that were ignored when QEMU started, bit N - 1 for signal N. QEMU 7.2 keeps that for the
 * program, but takes them itself, so that /proc and what a child executes would not show it
 * (linux-user/signal.c: signal_init; do_sigaction does ignore them). */
static uint64_t ignored;

void start_note_signals(void)
{
    struct sigaction was;

    for (int sig = 1; sig <= 64; sig++)
        if (sigaction(sig, NULL, &was) == 0 && was.sa_handler == SIG_IGN)
            ignored |= UINT64_C(1) << (sig - 1);
}

void start_ignore_signals(void)
{
    for (int sig = 1; sig <= 64; sig++)
        if (ignored >> (sig - 1) & 1 && sig != SIGSEGV && sig != SIGBUS)
            signal(sig, SIG_IGN);
}

/* -- arguments and environment -------------------------------------------------------------------- */
#define STRINGS_MAX (UINT64_C(1) << 20) /* more pointers than Linux would ever take */

struct initial {
    uint64_t argc, envc;
    const char *args, *envs, *end; /* strings: [args, envs) and [envs, end) */
    uint64_t *auxv;                /* pairs, up to AT_NULL */
};

/* follow reads pointers to strings that follow each other, up to a NULL. It returns their number and
 * stores where the last string ends; UINT64_MAX when they are no such pointers. */
static uint64_t follow(const uint64_t *w, const char **at, const char *end)
{
    uint64_t n = 0;

    for (; n < STRINGS_MAX && (const char *)&w[n + 1] < end && w[n]; n++) {
        const char *zero = w[n] == (uintptr_t)*at ? memchr(*at, 0, (size_t)(end - *at)) : NULL;

        if (!zero)
            return UINT64_MAX;
        *at = zero + 1;
    }
    return w[n] ? UINT64_MAX : n;
}

/* is_table says whether argc and its pointers lie at w. */
static bool is_table(const uint64_t *w, const char *end, struct initial *ret)
{
    struct initial i = {.argc = w[0], .args = (const char *)(uintptr_t)w[1], .end = end};
    const char *at = i.args;

    if (i.argc == 0 || i.argc > STRINGS_MAX || i.args <= (const char *)w || i.args >= end ||
        follow(w + 1, &at, end) != i.argc)
        return false;
    i.envs = at;
    i.envc = follow(w + 2 + i.argc, &at, end);
    if (i.envc == UINT64_MAX || at != end)
        return false;
    i.auxv = (uint64_t *)(uintptr_t)(w + 1 + i.argc + 1 + i.envc + 1);
    *ret = i;
    return true;
}

/* find_table looks for the tables from the path on downwards; the stack pointer is a multiple of 16. */
static void find_table(struct extent stack, const char *path, struct initial *ret)
{
    uint64_t end = stack.end - 8 - (strlen(path) + 1);

    *ret = (struct initial){0};
    for (uint64_t at = (end - 64) & ~UINT64_C(15); at >= stack.start; at -= 16)
        if (is_table((const uint64_t *)(uintptr_t)at, (const char *)(uintptr_t)end, ret))
            return;
}

/* absolute writes a path that does not depend on the directory the program is in. */
static void absolute(const char *path, char *to, size_t size)
{
    char here[4096];

    if (path[0] == '/' || !getcwd(here, sizeof here))
        snprintf(to, size, "%s", path);
    else
        snprintf(to, size, "%s/%s", here, path);
}

/* unmask_all gives the variables that were hidden from QEMU their names back. */
static void unmask_all(const struct initial *i)
{
    for (char *v = (char *)(uintptr_t)i->envs; v < i->end; v += strlen(v) + 1)
        exec_unmask(v);
}

static void put_start(struct writer *w, const char *path, const char *comm, struct extent stack,
                      const struct initial *i)
{
    size_t arg_bytes = (size_t)(i->envs - i->args);
    size_t told = arg_bytes < EV_ARGV_BYTES ? arg_bytes : EV_ARGV_BYTES;
    const uint64_t words[START_WORDS] = {
        [START_VERSION] = EV_VERSION,
        [START_PID] = (uint64_t)getpid(),
        [START_TID] = w->tid,
        [START_PPID] = (uint64_t)getppid(),
        [START_BIAS] = load_bias(path),
        [START_ENTRY] = qemu_plugin_entry_code(),
        [START_CODE] = qemu_plugin_start_code(),
        [START_CODE_END] = qemu_plugin_end_code(),
        [START_STACK_TOP] = stack.end,
        [START_STACK_LIMIT] = stack.start,
        [START_NS] = writer_now(),
        [START_ARGC] = i->argc,
        [START_ARG_BYTES] = arg_bytes,
        [START_ENVC] = i->envc,
        [START_ENV_BYTES] = (uint64_t)(i->end - i->envs),
        [START_STACK_RLIMIT] = exec_stack_limit().rlim_cur,
        [START_UID] = getuid(),
        [START_GID] = getgid(),
    };
    char whole[8192], name[QEMU_COMM];
    unsigned texts;

    absolute(path, whole, sizeof whole);
    qemu_comm(name, comm[0] ? comm : whole);
    texts = writer_text_words(strlen(whole)) + writer_text_words(told) +
            writer_text_words(strlen(name));

    writer_put(w, event_control(EV_START, START_WORDS + texts));
    for (unsigned n = 0; n < START_WORDS; n++)
        writer_put(w, words[n]);
    writer_text(w, whole, strlen(whole));
    writer_text(w, i->args, told);
    writer_text(w, name, strlen(name));
}

/* skip_path makes AT_EXECFN what the program's caller said: QEMU was given more before it. */
static void skip_path(const struct initial *i, unsigned skip)
{
    for (uint64_t *a = i->auxv; a && a[0] != AT_NULL; a += 2)
        if (a[0] == AT_EXECFN)
            a[1] += skip;
}

void start_put(uint64_t stack_size, unsigned skip, bool masked, const char *comm)
{
    const char *path = qemu_plugin_path_to_binary();
    struct extent stack = {0, 0};
    struct initial initial = {0};

    if (find_stack(stack_size, path, &stack))
        find_table(stack, path, &initial);
    if (!initial.argc)
        writer_stop(RING_E_STACK);
    if (masked)
        unmask_all(&initial);
    skip_path(&initial, skip);
    exe_program(path);
    if (self.slot)
        put_start(&self, path, comm, stack, &initial);
}
