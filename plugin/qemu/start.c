/* start.c: EV_START, what QEMU made of the program before its first instruction.
 *
 *   …| guard page, no access | stack, rw                                   | path \0 | 8 bytes |
 *                            limit                                                         top
 *
 * QEMU maps the stack in one piece below which it makes a guard page, and copies the path of the
 * program to its very end first (linux-user/elfload.c: setup_arg_pages, load_elf_binary). The
 * kernel may show the stack as one with a neighbour above it, so the size the launcher asked for is
 * tried too; either way the path must be found where it belongs.
 */
#include "start.h"
#include "qemu_api.h"
#include "writer.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct extent {
    uint64_t start, end;
};

/* path_ends_at says whether the path, its zero and eight bytes more end at `top`. */
static bool path_ends_at(uint64_t top, const char *path)
{
    size_t n = strlen(path) + 1;

    return memcmp((const void *)(top - 8 - n), path, n) == 0;
}

/* is_stack looks at one writable mapping and stores the stack in it. */
static bool is_stack(struct extent map, uint64_t size, const char *path, struct extent *ret)
{
    const uint64_t tops[2] = {map.end, map.start + size};

    for (unsigned i = 0; i < 2; i++) {
        if (tops[i] > map.end || tops[i] - map.start < 4096 + strlen(path))
            continue;
        if (path_ends_at(tops[i], path)) {
            *ret = (struct extent){map.start, tops[i]};
            return true;
        }
    }
    return false;
}

/* find_stack reads this process's mappings: a writable one directly above one without access. */
static bool find_stack(uint64_t size, const char *path, struct extent *ret)
{
    FILE *f = fopen("/proc/self/maps", "re");
    uint64_t guard_end = 0;
    char line[512], prot[5];
    struct extent map;
    bool found = false;

    while (f && !found && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &map.start, &map.end, prot) != 3)
            continue;
        found = prot[0] == 'r' && prot[1] == 'w' && map.start == guard_end &&
                is_stack(map, size, path, ret);
        guard_end = prot[0] == '-' ? map.end : 0;
    }
    if (f)
        fclose(f);
    return found;
}

/* code_vaddr returns the lowest address of the executable segments in the file, as linked. */
static uint64_t code_vaddr(int fd)
{
    Elf64_Ehdr eh;
    uint64_t lowest = UINT64_MAX;

    if (pread(fd, &eh, sizeof eh, 0) != sizeof eh || eh.e_phentsize != sizeof(Elf64_Phdr))
        return UINT64_MAX;
    for (unsigned i = 0; i < eh.e_phnum; i++) {
        Elf64_Phdr ph;

        if (pread(fd, &ph, sizeof ph, (off_t)(eh.e_phoff + i * sizeof ph)) != sizeof ph)
            break;
        if (ph.p_type == PT_LOAD && ph.p_flags & PF_X && ph.p_vaddr < lowest)
            lowest = ph.p_vaddr;
    }
    return lowest;
}

static uint64_t load_bias(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t linked = fd < 0 ? UINT64_MAX : code_vaddr(fd);

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

void start_put(uint64_t stack_size)
{
    const char *path = qemu_plugin_path_to_binary();
    struct writer *w = &self;
    struct extent stack = {0, 0};

    if (!find_stack(stack_size, path, &stack))
        writer_stop(RING_E_STACK);
    writer_put(w, event_control(EV_START, 10 + writer_text_words(strlen(path))));
    writer_put(w, EV_VERSION);
    writer_put(w, (uint64_t)getpid());
    writer_put(w, w->tid);
    writer_put(w, load_bias(path));
    writer_put(w, qemu_plugin_entry_code());
    writer_put(w, qemu_plugin_start_code());
    writer_put(w, qemu_plugin_end_code());
    writer_put(w, stack.end);
    writer_put(w, stack.start);
    writer_put(w, writer_now());
    writer_text(w, path, strlen(path));
}
