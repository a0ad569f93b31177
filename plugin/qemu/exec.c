/* exec.c: see exec.h.
 *
 *   path ─► open ─► would Linux execute it? ─┬─ "#! interpreter" ─► open, at most 5 times
 *                                            └─ ELF, x86-64 ─► no change of user? our root? ─► plan
 *   plan: QEMU -cpu … -s STACK -plugin PLUGIN,fd=N,… -0 argv[0] PATH argv[1] …
 *
 * The kernel is asked whatever it can be asked, and where it would refuse, QEMU makes the call as ever and
 * the kernel says why, in its own order. So only what would succeed must be told from the rest.
 *
 * Invariants:
 *  I1  Nothing of the process is changed before exec_go but a descriptor that is closed on exec; if
 *      exec_go fails, all is as before.
 *  I2  The new QEMU cannot fail for want of the region: its descriptor is open before we go.
 *  I3  Variables of the program's environment reach it under their names, in their order, and none acts
 *      on QEMU: those that would have their first letter's top bit set until they lie in the new program's
 *      stack (start.c). QEMU reverses the order, so it is given reversed.
 *  I4  Memory of the program is copied once, before anything is judged.
 *
 * Source: Linux 6.18 fs/exec.c do_execveat_common, bprm_execve, exec_binprm, bprm_fill_uid;
 * fs/binfmt_script.c; fs/binfmt_elf.c. QEMU 7.2 linux-user/main.c, util/envlist.c.
 */
#include "exec.h"
#include "door.h"
#include "exe.h"
#include "guest.h"
#include "writer.h"

#include "event/binfmt.h"
#include "event/qemu.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef AT_EXECVE_CHECK
#define AT_EXECVE_CHECK 0x10000 /* Linux 6.14 */
#endif

#define STRING_MAX (32u * 4096)        /* MAX_ARG_STRLEN */
#define COPY_MAX   (6u << 20)          /* bytes of all: three quarters of the default stack */
#define HIGH_FD    700                 /* first number tried for a descriptor that stays open */
#define OWN_STACK  (UINT64_C(1) << 20) /* least that QEMU itself should have */

/* A list of strings; all owned. */
struct list {
    char **v; /* NULL-terminated */
    size_t n, cap;
    size_t bytes; /* of the strings, with zeros */
};

struct exec_plan {
    struct list argv, envp; /* of the program */
    char path[PATH_MAX];    /* of the file that is run; what QEMU is given */
    char comm[QEMU_COMM];   /* what Linux would call the task */
    int file;               /* open for reading, closed on exec */
    unsigned skip;          /* bytes of path before what the program's caller said */
    bool kept;              /* `file` must stay open, for path names it */
    int region_fd;
};

/* How this QEMU was started. */
static char own_plugin[PATH_MAX];
static struct rlimit stack_limit;

/* -- how we were started -------------------------------------------------------------------------- */

void exec_open(struct rlimit limit)
{
    Dl_info info;

    exe_open();
    if (dladdr((void *)(uintptr_t)exec_open, &info) && !realpath(info.dli_fname, own_plugin))
        own_plugin[0] = 0;
    stack_limit = limit;
}

struct rlimit exec_stack_limit(void)
{
    return stack_limit;
}

void exec_noted(uint64_t num, const uint64_t a[6], int64_t result)
{
    bool own =
        num == SYS_setrlimit || (num == SYS_prlimit64 && (a[0] == 0 || a[0] == (uint64_t)getpid()));
    unsigned at = num == SYS_setrlimit ? 0 : 1;
    uint64_t limit[2];

    if (!own || result != 0 || a[at] != RLIMIT_STACK || !a[at + 1] ||
        guest_read(limit, a[at + 1], sizeof limit) != sizeof limit || limit[0] > limit[1])
        return;
    stack_limit = (struct rlimit){limit[0], limit[1]};
}

/* -- strings -------------------------------------------------------------------------------------- */
static bool list_add(struct list *l, const char *text)
{
    size_t bytes = strlen(text) + 1;

    if (l->n + 2 > l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        char **v = realloc(l->v, cap * sizeof *v);

        if (!v)
            return false;
        l->v = v;
        l->cap = cap;
    }
    l->v[l->n] = strdup(text);
    if (!l->v[l->n])
        return false;
    l->v[++l->n] = NULL;
    l->bytes += bytes;
    return l->bytes <= COPY_MAX;
}

/* list_end makes an empty list one that ends. */
static bool list_end(struct list *l)
{
    if (!l->v)
        l->v = calloc(1, sizeof *l->v);
    return l->v != NULL;
}

static void list_free(struct list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
    *l = (struct list){0};
}

/* list_read copies the program's list at `from`, 0: an empty one. False when the kernel would find a
 * pointer that leads nowhere or too much to copy. */
static bool list_read(struct list *l, uint64_t from)
{
    char *text = malloc(STRING_MAX);
    uint64_t at = 0;
    bool ok = text != NULL;

    for (; ok && from; from += 8) {
        ok = guest_read(&at, from, sizeof at) == sizeof at;
        if (!ok || !at)
            break;
        ok = guest_text(text, STRING_MAX, at) && list_add(l, text);
    }
    free(text);
    return ok;
}

/* list_replace puts `n` strings in the place of the first one. */
static bool list_replace(struct list *l, const char *const *with, size_t n)
{
    struct list new = {0};
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++)
        ok = list_add(&new, with[i]);
    for (size_t i = 1; ok && i < l->n; i++)
        ok = list_add(&new, l->v[i]);
    list_free(l);
    *l = new;
    return ok;
}

/* -- the environment (I3) -------------------------------------------------------------------------- */
static bool acts_on_qemu(const char *name)
{
    static const char *const prefixes[] = {"LD_", "QEMU_", "MALLOC_", "GLIBC_TUNABLES=", "G_"};

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* mask hides a variable; false when it looks hidden by itself: it could not be told from others. */
static bool mask(char *variable)
{
    bool hidden = (*variable & 0x80) != 0;

    *variable = (char)(*variable & 0x7f);
    if (hidden && acts_on_qemu(variable))
        return false;
    if (hidden || acts_on_qemu(variable))
        *variable = (char)(*variable | 0x80);
    return true;
}

void exec_unmask(char *variable)
{
    char was = *variable;

    *variable = (char)(was & 0x7f);
    if (!acts_on_qemu(variable))
        *variable = was;
}

/* -- would Linux execute it? ------------------------------------------------------------------------ */

/* checked asks the kernel: permissions, a mount without execution, writers. */
static bool checked(int fd)
{
    char *const none[] = {"", NULL};

    if (syscall(SYS_execveat, fd, "", none, none, AT_EMPTY_PATH | AT_EXECVE_CHECK) == 0)
        return true;
    return errno == EINVAL || errno == ENOSYS; /* a kernel that cannot be asked */
}

static bool may_execute(int fd)
{
    struct statvfs fs;
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fstatvfs(fd, &fs) == 0 &&
           !(fs.f_flag & ST_NOEXEC) &&
           syscall(SYS_faccessat2, fd, "", X_OK, AT_EACCESS | AT_EMPTY_PATH) == 0 && checked(fd);
}

/* read_head fills the first bytes of a file, zeros behind its end; false when it cannot be read. */
static bool read_head(int fd, char head[BINFMT_HEAD])
{
    memset(head, 0, BINFMT_HEAD);
    return pread(fd, head, BINFMT_HEAD, 0) >= 0;
}

/* interp_runs: the program loader that PT_INTERP names can be loaded, too. */
static bool interp_runs(int fd, const Elf64_Phdr *ph)
{
    struct binfmt_script s;
    char name[PATH_MAX], head[BINFMT_HEAD];
    int interp;
    bool ok;

    if (ph->p_filesz < 2 || ph->p_filesz > sizeof name ||
        pread(fd, name, ph->p_filesz, (off_t)ph->p_offset) != (ssize_t)ph->p_filesz ||
        name[ph->p_filesz - 1])
        return false;
    interp = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ok = interp >= 0 && may_execute(interp) && read_head(interp, head) &&
         binfmt_look(head, &s) == BINFMT_ELF;
    if (interp >= 0)
        close(interp);
    return ok;
}

/* segments_load: what QEMU takes on trust and the kernel looks at (load_elf_binary). */
static bool segments_load(int fd, const char *head)
{
    unsigned loads = 0;
    struct stat st;
    Elf64_Ehdr eh;
    Elf64_Phdr ph;

    memcpy(&eh, head, sizeof eh);
    if (fstat(fd, &st) != 0)
        return false;
    for (unsigned i = 0; i < eh.e_phnum; i++) {
        if (pread(fd, &ph, sizeof ph, (off_t)(eh.e_phoff + i * sizeof ph)) != sizeof ph ||
            (ph.p_type == PT_LOAD && (ph.p_filesz > (uint64_t)st.st_size ||
                                      ph.p_offset > (uint64_t)st.st_size - ph.p_filesz)) ||
            (ph.p_type == PT_INTERP && !interp_runs(fd, &ph)))
            return false;
        loads += ph.p_type == PT_LOAD;
    }
    return loads > 0;
}

/* changes_user: the program would run as another user or group, or with more capabilities. */
static bool changes_user(int fd)
{
    struct statvfs fs;
    struct stat st;

    if (fstat(fd, &st) != 0 || fstatvfs(fd, &fs) != 0 || (fs.f_flag & ST_NOSUID) ||
        prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return false;
    if ((st.st_mode & S_ISUID) && st.st_uid != geteuid())
        return true;
    if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getegid())
        return true;
    return geteuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

/* can_start: QEMU and the plugin are where they were, for this process, and the plugin can find there what
 * QEMU makes (start.c). */
static bool can_start(void)
{
    struct stat root;

    return stat("/", &root) == 0 && root.st_dev == region->root[0] &&
           root.st_ino == region->root[1] && exe_qemu()[0] && own_plugin[0] &&
           faccessat(AT_FDCWD, exe_qemu(), X_OK, AT_EACCESS) == 0 &&
           faccessat(AT_FDCWD, own_plugin, R_OK, AT_EACCESS) == 0 &&
           access("/proc/self/maps", R_OK) == 0;
}

/* -- from the call to the file ---------------------------------------------------------------------- */

/* open_at opens the file of execveat: a name from a directory on, or with none the descriptor itself. */
static int open_at(int dir, const char *name, unsigned flags)
{
    char self_fd[32];

    if (name[0] || !(flags & AT_EMPTY_PATH)) {
        int nofollow = flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0;

        return openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | nofollow);
    }
    snprintf(self_fd, sizeof self_fd, "/proc/self/fd/%d", dir);
    return open(self_fd, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* name_of writes the name under which Linux knows what execveat executes (alloc_bprm). */
static bool name_of(int dir, const char *name, char *to, size_t size)
{
    int n = dir == AT_FDCWD || name[0] == '/' ? snprintf(to, size, "%s", name)
            : name[0]                         ? snprintf(to, size, "/dev/fd/%d/%s", dir, name)
                                              : snprintf(to, size, "/dev/fd/%d", dir);

    return n >= 0 && (size_t)n < size;
}

/* same_file says whether a path leads to the file that is open. */
static bool same_file(const char *path, int fd)
{
    struct stat a, b;

    return stat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* path_for_qemu makes sure that p->path still leads to the file when the descriptors that close on exec are
 * closed: by its real path, or by a descriptor that stays open. */
static bool path_for_qemu(struct exec_plan *p)
{
    char link[32];
    ssize_t n;
    int high;

    snprintf(link, sizeof link, "/proc/self/fd/%d", p->file);
    n = readlink(link, p->path, sizeof p->path - 1);
    if (n > 0) {
        p->path[n] = 0;
        if (same_file(p->path, p->file))
            return true;
    }
    high = fcntl(p->file, F_DUPFD_CLOEXEC, HIGH_FD);
    if (high >= 0) {
        close(p->file);
        p->file = high;
    }
    p->kept = true;
    snprintf(p->path, sizeof p->path, "/proc/self/fd/%d", p->file);
    return true;
}

/* set_path notes the path of the file, from the root on: QEMU opens it again for /proc/self/exe when the
 * program may be in another directory. */
static bool set_path(struct exec_plan *p, const char *path)
{
    char here[PATH_MAX];
    int n;

    p->skip = 0;
    if (path[0] == '/')
        return snprintf(p->path, sizeof p->path, "%s", path) < (int)sizeof p->path;
    if (!getcwd(here, sizeof here))
        return false;
    n = snprintf(p->path, sizeof p->path, "%s/%s", here, path);
    p->skip = (unsigned)strlen(here) + 1;
    return n < (int)sizeof p->path;
}

/* open_next replaces the file by the one at `path`; false when there is none. Where a link of /proc leads is
 * known now, and path_for_qemu will find a path that lasts. */
static bool open_next(struct exec_plan *p, const char *path)
{
    if (p->file >= 0)
        close(p->file);
    p->path[0] = 0;
    p->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (p->file < 0 || !exe_magic(path))
        return p->file >= 0 && set_path(p, path);
    p->file = exe_meant(p->file, path);
    return p->file >= 0;
}

/* take_script puts a script's interpreter in its place; `name` is the script's. */
static bool take_script(struct exec_plan *p, const char *head, const struct binfmt_script *s,
                        char *name)
{
    char interp[BINFMT_HEAD], arg[BINFMT_HEAD];
    const char *with[3] = {interp, s->arg ? arg : name, name};

    snprintf(interp, sizeof interp, "%.*s", (int)(s->interp_end - s->interp), head + s->interp);
    if (s->arg)
        snprintf(arg, sizeof arg, "%.*s", (int)(s->arg_end - s->arg), head + s->arg);
    if (!list_replace(&p->argv, with, s->arg ? 3 : 2) || !open_next(p, interp))
        return false;
    snprintf(name, PATH_MAX, "%s", interp);
    return true;
}

/* judge_elf: the file is an ELF program of this machine. */
static int judge_elf(const struct exec_plan *p, const char *head)
{
    if (!segments_load(p->file, head))
        return NATIVE_REFUSED;
    if (changes_user(p->file))
        return NATIVE_SETID;
    return can_start() ? EXEC_READY : NATIVE_CONFINED;
}

/* judge follows scripts to the file that is run. `name` is what it is called. */
static int judge(struct exec_plan *p, char name[PATH_MAX])
{
    struct binfmt_script s;
    char head[BINFMT_HEAD];

    for (unsigned depth = 0; depth <= BINFMT_SCRIPTS; depth++) {
        if (!may_execute(p->file) || !read_head(p->file, head))
            return NATIVE_REFUSED;
        switch (binfmt_look(head, &s)) {
        case BINFMT_ELF:
            return judge_elf(p, head);
        case BINFMT_FOREIGN:
            return NATIVE_ELF;
        case BINFMT_NONE:
            return NATIVE_REFUSED;
        case BINFMT_SCRIPT:
            if (!take_script(p, head, &s, name))
                return NATIVE_REFUSED;
        }
    }
    return NATIVE_REFUSED;
}

/* unreadable: a program that may be executed but not read: QEMU cannot. */
static int unreadable(int dir, const char *path)
{
    return errno == EACCES && faccessat(dir, path, X_OK, AT_EACCESS) == 0 ? NATIVE_ELF
                                                                          : NATIVE_REFUSED;
}

/* lasting: what is ready has a path that leads to it from the next program, too. */
static int lasting(struct exec_plan *p, int verdict)
{
    return verdict == EXEC_READY && !p->path[0] && !path_for_qemu(p) ? NATIVE_FAILED : verdict;
}

static int judge_execve(struct exec_plan *p, const char *path)
{
    char name[PATH_MAX];

    snprintf(name, sizeof name, "%s", path);
    qemu_comm(p->comm, name);
    if (!open_next(p, path))
        return unreadable(AT_FDCWD, path);
    return lasting(p, judge(p, name));
}

/* comm_of_file: who executes a descriptor is called as the file is in its directory; a script's task as the
 * interpreter is (comm_from_dentry). */
static void comm_of_file(char comm[QEMU_COMM], int fd)
{
    static const char gone[] = " (deleted)";
    char link[32], path[PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = 0;
    if (n > (ssize_t)strlen(gone) && strcmp(path + n - strlen(gone), gone) == 0)
        path[n - (ssize_t)strlen(gone)] = 0;
    qemu_comm(comm, path);
}

/* judge_execveat: a script behind a descriptor that is closed by the exec cannot be opened again. */
static int judge_execveat(struct exec_plan *p, int dir, const char *path, unsigned flags)
{
    bool by_fd = dir != AT_FDCWD && path[0] != '/';
    char name[PATH_MAX], link[PATH_MAX];
    int verdict;

    if (flags & ~(unsigned)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
        return NATIVE_REFUSED;
    p->file = open_at(dir, path, flags);
    if (p->file < 0 || !name_of(dir, path, name, sizeof name))
        return NATIVE_REFUSED;
    snprintf(link, sizeof link, "%s", name);
    p->path[0] = 0;
    verdict = judge(p, name);
    if (path[0])
        qemu_comm(p->comm, link);
    else
        comm_of_file(p->comm, p->file);
    if (by_fd && strcmp(link, name) != 0 && (fcntl(dir, F_GETFD) & FD_CLOEXEC))
        return NATIVE_REFUSED;
    return lasting(p, verdict);
}

/* -- the plan --------------------------------------------------------------------------------------- */

/* read_lists copies arguments and environment. Without arguments Linux gives one that is empty. */
static bool read_lists(struct exec_plan *p, uint64_t argv, uint64_t envp)
{
    if (!list_read(&p->argv, argv) || !list_read(&p->envp, envp))
        return false;
    if (p->argv.n == 0 && !list_add(&p->argv, ""))
        return false;
    if (!list_end(&p->envp))
        return false;
    qemu_reverse(p->envp.v);
    return true;
}

static bool mask_all(struct exec_plan *p)
{
    for (size_t i = 0; i < p->envp.n; i++)
        if (!mask(p->envp.v[i]))
            return false;
    return true;
}

int exec_plan(uint64_t num, const uint64_t a[6], struct exec_plan **ret_plan, char *ret_path,
              size_t path_size)
{
    unsigned at = num == SYS_execveat;
    struct exec_plan *p = malloc(sizeof *p);
    char path[PATH_MAX] = "";
    int verdict = NATIVE_REFUSED;

    ret_path[0] = 0;
    if (!p)
        return NATIVE_FAILED;
    *p = (struct exec_plan){.file = -1, .region_fd = -1};
    if (guest_text(path, sizeof path, a[at]) && read_lists(p, a[at + 1], a[at + 2]))
        verdict = at ? judge_execveat(p, (int)a[0], path, (unsigned)a[4]) : judge_execve(p, path);
    if (verdict == EXEC_READY && !mask_all(p))
        verdict = NATIVE_FAILED;
    if (verdict == EXEC_READY) {
        p->region_fd = door_fetch();
        verdict = p->region_fd < 0 ? NATIVE_CONFINED : EXEC_READY;
    }
    snprintf(ret_path, path_size, "%s", path[0] ? path : p->comm);
    if (verdict != EXEC_READY)
        exec_drop(p);
    else
        *ret_plan = p;
    return verdict;
}

void exec_drop(struct exec_plan *p)
{
    if (p->file >= 0)
        close(p->file);
    if (p->region_fd >= 0)
        close(p->region_fd);
    list_free(&p->argv);
    list_free(&p->envp);
    free(p);
}

/* -- going ------------------------------------------------------------------------------------------ */

static char **command(const struct exec_plan *p)
{
    uint64_t stack = qemu_stack_bytes(stack_limit.rlim_cur);
    char options[256];

    snprintf(options, sizeof options, ",fd=%d,stack=%llu,limit=%lld,most=%lld,skip=%u,kept=%d",
             p->region_fd, (unsigned long long)stack, (long long)stack_limit.rlim_cur,
             (long long)stack_limit.rlim_max, p->skip, p->kept ? p->file : -1);
    return qemu_argv(&(struct qemu_command){.qemu = exe_qemu(),
                                            .cpu = RING_QEMU_CPU,
                                            .plugin = own_plugin,
                                            .options = options,
                                            .comm = p->comm,
                                            .stack = stack,
                                            .path = p->path,
                                            .argv = p->argv.v});
}

void exec_go(struct exec_plan *p)
{
    char **v = command(p);
    struct rlimit was;
    bool limited = stack_limit.rlim_cur >= OWN_STACK && getrlimit(RLIMIT_STACK, &was) == 0;

    if (!v)
        return;
    fcntl(p->region_fd, F_SETFD, 0);
    if (p->kept)
        fcntl(p->file, F_SETFD, 0);
    if (limited)
        setrlimit(RLIMIT_STACK, &stack_limit);
    execve(exe_qemu(), v, p->envp.v);
    if (limited) /* I1 */
        setrlimit(RLIMIT_STACK, &was);
    free(v);
}

void exec_close_kept(int fd)
{
    if (fd >= 0)
        close(fd);
}
