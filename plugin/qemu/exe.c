/* exe.c: see exe.h.
 *
 *   path ─► links, one by one ─► /proc/PID/exe ─► QEMU's file? ─► program of PID: ours, or by its command line
 *                                                                 └ its file has no name any more: map_files
 *
 * For the kernel a program of the tree is QEMU, and /proc says so to whoever asks it: a program that executes
 * itself, or what another process runs, would get QEMU.
 *
 * Invariants:
 *  I1  A file that is found by a name is a program of that process only if the process maps it: names may
 *      have got other files since.
 *  I2  All descriptors are closed on exec.
 *
 * Source: Linux 6.18 fs/proc/base.c (proc_exe_link, proc_map_files_get_link: root's alone), fs/namei.c
 * (nd_jump_link, LOOKUP_NO_MAGICLINKS); the command line is event/qemu.c's.
 */
#include "exe.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINKS_MAX 40 /* MAXSYMLINKS */
#define OPEN      (O_RDONLY | O_CLOEXEC | O_NONBLOCK)

/* Words of QEMU's command line: see event/qemu.c. */
enum { WORD_PLUGIN = 5, WORD_PATH = 9 };

static char own_qemu[PATH_MAX];
static struct stat qemu;           /* st_ino 0: not known */
static char own_program[PATH_MAX]; /* its path when it began; "" if it had none */
static struct stat program;        /* its file */

void exe_open(void)
{
    ssize_t n = readlink("/proc/self/exe", own_qemu, sizeof own_qemu - 1);

    own_qemu[n < 0 ? 0 : n] = 0;
    if (stat("/proc/self/exe", &qemu) != 0)
        qemu = (struct stat){0};
}

const char *exe_qemu(void)
{
    return own_qemu;
}

void exe_program(const char *path)
{
    if (!realpath(path, own_program))
        own_program[0] = 0;
    if (stat(path, &program) != 0)
        program = (struct stat){0};
}

bool exe_magic(const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);

    if (fd >= 0)
        close((int)fd);
    if (fd < 0 && errno == ENOSYS) /* before Linux 5.6 */
        return strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/dev/", 5) == 0;
    return fd < 0 && errno == ELOOP;
}

static bool is_file(int fd, const struct stat *file)
{
    struct stat st;

    return file->st_ino && fstat(fd, &st) == 0 && st.st_dev == file->st_dev &&
           st.st_ino == file->st_ino;
}

/* -- which process ---------------------------------------------------------------------------------- */

/* split cuts a path at its last slash; `dir` is then where it leads, without links. */
static bool split(char *path, char dir[PATH_MAX], const char **ret_name)
{
    char *slash = strrchr(path, '/');

    if (slash)
        *slash = 0;
    *ret_name = slash ? slash + 1 : path;
    return realpath(!slash ? "." : *path ? path : "/", dir) != NULL;
}

/* below makes a link's text, which was said from a directory on, a whole path. */
static bool below(const char *dir, char text[PATH_MAX])
{
    char whole[PATH_MAX];

    if (snprintf(whole, sizeof whole, "%s/%s", dir, text) >= (int)sizeof whole)
        return false;
    memcpy(text, whole, sizeof whole);
    return true;
}

/* process_of returns the process whose exe the path leads to; 0: it leads elsewhere. */
static int process_of(const char *path)
{
    char at[PATH_MAX], dir[PATH_MAX], to[PATH_MAX];
    const char *name;
    int pid;

    snprintf(at, sizeof at, "%s", path);
    for (unsigned i = 0; i < LINKS_MAX && split(at, dir, &name); i++) {
        ssize_t n;

        if (strcmp(name, "exe") == 0 && sscanf(dir, "/proc/%d", &pid) == 1)
            return pid;
        if (snprintf(to, sizeof to, "%s/%s", dir, name) >= (int)sizeof to ||
            (n = readlink(to, at, sizeof at - 1)) <= 0)
            return 0;
        at[n] = 0;
        if (at[0] != '/' && !below(dir, at))
            return 0;
    }
    return 0;
}

/* -- its program ------------------------------------------------------------------------------------ */

/* open_mapped opens the file that process `pid` maps and that has this inode, or this name in its maps; -1 when
 * it maps none such, or we may not. */
static int open_mapped(int pid, ino_t inode, const char *name)
{
    char line[PATH_MAX + 128], path[64];
    uint64_t start, end, ino;
    int fd = -1, at;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    f = fopen(path, "re");
    while (f && fd < 0 && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64 " %n", &start, &end, &ino,
                   &at) != 3 ||
            !ino || !(inode ? ino == inode : strcmp(line + at, name) == 0))
            continue;
        snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, start, end);
        fd = open(path, OPEN);
    }
    if (f)
        fclose(f);
    return fd;
}

static int own_file(void)
{
    int fd = own_program[0] ? open(own_program, OPEN) : -1;

    if (fd >= 0 && is_file(fd, &program))
        return fd;
    if (fd >= 0)
        close(fd);
    fd = program.st_ino ? open_mapped(getpid(), program.st_ino, "") : -1;
    if (fd >= 0 && !is_file(fd, &program)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* named_by copies the path of the program from the command line of its QEMU. */
static bool named_by(int pid, char path[PATH_MAX])
{
    char name[64], *word = NULL;
    bool is_ours = false;
    size_t cap = 0;
    unsigned i = 0;
    FILE *f;

    snprintf(name, sizeof name, "/proc/%d/cmdline", pid);
    f = fopen(name, "re");
    path[0] = 0;
    for (; f && i <= WORD_PATH && getdelim(&word, &cap, 0, f) > 0; i++) {
        is_ours |= i == WORD_PLUGIN && strcmp(word, "-plugin") == 0;
        if (is_ours && i == WORD_PATH)
            snprintf(path, PATH_MAX, "%s", word);
    }
    free(word);
    if (f)
        fclose(f);
    return path[0] != 0;
}

/* maps_inode says whether a process maps a file with this inode. */
static bool maps_inode(int pid, ino_t inode)
{
    char line[PATH_MAX + 128], path[64];
    bool found = false;
    uint64_t ino;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f))
        found = sscanf(line, "%*s %*s %*s %*s %" SCNu64, &ino) == 1 && ino == inode;
    if (f)
        fclose(f);
    return found;
}

/* other_file: a relative path was said in a directory that the process may have left. */
static int other_file(int pid)
{
    char path[PATH_MAX], from[PATH_MAX + 64];
    struct stat st;
    int fd;

    if (!named_by(pid, path))
        return -1;
    snprintf(from, sizeof from, "/proc/%d/cwd/%s", pid, path);
    fd = open(path[0] == '/' ? path : from, OPEN);
    if (fd >= 0 && fstat(fd, &st) == 0 && maps_inode(pid, st.st_ino)) /* I1 */
        return fd;
    if (fd >= 0)
        close(fd);
    snprintf(from, sizeof from, "%s (deleted)", path);
    return open_mapped(pid, 0, from);
}

int exe_meant(int fd, const char *path)
{
    int pid = is_file(fd, &qemu) ? process_of(path) : 0;

    if (pid <= 0)
        return fd;
    close(fd);
    return pid == getpid() ? own_file() : other_file(pid);
}
