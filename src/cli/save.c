/* save.c: writes the end of a run, see save.h.
 *
 *   make end-XXXXXX beside the target ─► all files ─► the mark ─► switch: rename, or the link `last`
 *
 * Invariants:
 *  I1  A reader finds the earlier end or the new one, complete, never a mixture.
 *  I2  Only directories with our mark are ever removed.
 */
#include "cli/save.h"

#include "base/check.h"
#include "cli/cli.h"
#include "mm/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* -- the machine --------------------------------------------------------------------------------- */

const struct mm *process_of(struct sim *sim, uint32_t pid)
{
    struct proc_machine p;
    sim_machine(sim, &p);
    const struct mm *m = NULL;
    do
        m = mm_next(p.sys, m);
    while (m && pid != 0 && mm_task(m)->pid != pid);
    return m;
}

/* -- places -------------------------------------------------------------------------------------- */

bool save_default(char ret[PATH_MAX])
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n = state && state[0] == '/' ? snprintf(ret, PATH_MAX, "%s/pagewalk/last", state)
            : home && home[0] == '/'
                ? snprintf(ret, PATH_MAX, "%s/.local/state/pagewalk/last", home)
                : -1;
    return n > 0 && n < PATH_MAX;
}

void save_name(const struct proc_target *t, char *path, size_t size)
{
    char name[PROC_PATH_MAX];
    snprintf(path, size, "%s%s", proc_target_path(t, name),
             proc_file(t->file)->binary ? ".runs" : "");
}

static bool is_ours(const char *dir)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof(path), "%s/" SAVE_MARK, dir) < (int)sizeof(path) &&
           access(path, F_OK) == 0;
}

static bool is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    unsigned names = 0;
    while (d && readdir(d) && names < 3)
        names++;
    if (d)
        closedir(d);
    return d && names == 2; /* . and .. */
}

/* beside makes a path in the same directory as `path`: name is a template of mkdtemp. */
static int beside(const char *path, const char *name, char ret[PATH_MAX])
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    int n = snprintf(ret, PATH_MAX, "%.*s%s", (int)len, path, name);
    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* make_parents makes the directories above a path that are missing. */
static int make_parents(const char *path, mode_t mode)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof(dir), "%s", path);
    for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(dir, mode) != 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void remove_tree(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int save_check(const char *dir)
{
    char probe[PATH_MAX];
    struct stat st;
    if (dir[0] == '\0')
        return cli_fail("the directory of --save is empty");
    if (lstat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
        return cli_fail("--save %s: it is no directory; name one that does not exist", dir);
    if (lstat(dir, &st) == 0 && !is_ours(dir) && !is_empty(dir))
        return cli_fail("--save %s: it holds other files; name a directory that does not exist",
                        dir);
    int error = beside(dir, ".pagewalk-XXXXXX", probe);
    if (error == 0)
        error = mkdtemp(probe) ? 0 : -errno;
    if (error != 0)
        return cli_fail("--save %s: %s; choose a directory you can write to", dir,
                        strerror(-error));
    rmdir(probe);
    return 0;
}

/* -- writing ------------------------------------------------------------------------------------- */

/* Where the files of one end go. */
struct writer {
    const char *dir;
    struct proc_machine machine;
    int error; /* the first one */
};

static int write_text(const char *path, const struct sink *text)
{
    int error = make_parents(path, 0777);
    int fd = error ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return error ? error : -errno;
    for (size_t at = 0; at < text->len && error == 0;) {
        ssize_t n = write(fd, text->data + at, text->len - at);
        if (n < 0 && errno != EINTR)
            error = -errno;
        at += n > 0 ? (size_t)n : 0;
    }
    if (close(fd) != 0 && error == 0)
        error = -errno;
    return error;
}

static void save_file(struct writer *w, const struct proc_target *t, const struct mm *process)
{
    char path[PATH_MAX], name[PROC_PATH_MAX + 8];
    struct sink text;
    if (w->error != 0)
        return;
    save_name(t, name, sizeof(name));
    sink_memory(&text);
    w->error = proc_put(&text, t, &w->machine, process);
    if (w->error == -EACCES) { /* write-only: nothing to keep */
        w->error = 0;
        return;
    }
    if (w->error == 0 && snprintf(path, sizeof(path), "%s/%s", w->dir, name) >= (int)sizeof(path))
        w->error = -ENAMETOOLONG;
    if (w->error == 0)
        w->error = write_text(path, &text);
    sink_close(&text);
}

static void save_processes(struct writer *w, struct proc_target t)
{
    const struct mm *m = NULL;
    while ((m = mm_next(w->machine.sys, m)) != NULL) {
        t.pid = mm_task(m)->pid;
        save_file(w, &t, m);
    }
}

static void save_files(struct writer *w)
{
    for (int i = 0; i < PROC_FILE_NR; i++) {
        struct proc_target t = {.file = (enum proc_file_id)i};
        enum proc_scope scope = proc_file(t.file)->scope;
        if (scope == PROC_OF_MACHINE)
            save_file(w, &t, NULL);
        for (; scope == PROC_OF_SYSCTL && proc_sysctl_name(t.sysctl); t.sysctl++)
            save_file(w, &t, NULL);
        for (; scope == PROC_OF_NODE && t.nid < phys_nodes(w->machine.phys); t.nid++)
            save_file(w, &t, NULL);
        if (scope == PROC_OF_PROCESS)
            save_processes(w, t);
    }
}

/* save_mark tells what was run; it is written last. */
static void save_mark(struct writer *w, char *const *argv)
{
    char path[PATH_MAX];
    struct sink text;
    const struct mm *m = NULL;
    if (w->error != 0)
        return;
    sink_memory(&text);
    sink_text(&text, SAVE_FIRST "\nprogram ");
    for (; *argv; argv++) {
        sink_json_string(&text, *argv);
        sink_text(&text, argv[1] ? " " : "\n");
    }
    sink_fmt(&text, "machine %s\n", w->machine.conf->machine_name);
    while ((m = mm_next(w->machine.sys, m)) != NULL) {
        sink_fmt(&text, "process %u ", mm_task(m)->pid);
        sink_json_string(&text, mm_task(m)->comm);
        sink_char(&text, '\n');
    }
    snprintf(path, sizeof(path), "%s/" SAVE_MARK, w->dir);
    w->error = sink_error(&text) != 0 ? sink_error(&text) : write_text(path, &text);
    sink_close(&text);
}

bool save_list(const char *dir, char *list, size_t size, uint32_t *ret_first)
{
    char path[PATH_MAX], line[CLI_LINE], comm[64];
    uint32_t pid;
    size_t at = 0;
    snprintf(path, sizeof(path), "%s/" SAVE_MARK, dir);
    FILE *f = fopen(path, "re");
    bool ours = f && fgets(line, sizeof(line), f) && strcmp(line, SAVE_FIRST "\n") == 0;
    list[0] = '\0';
    *ret_first = 0;
    while (ours && fgets(line, sizeof(line), f))
        if (sscanf(line, "process %u \"%63[^\"\n]", &pid, comm) == 2 && at < size) {
            at += (size_t)snprintf(list + at, size - at, "%s%u (%s)", at ? ", " : "", pid, comm);
            *ret_first = *ret_first ? *ret_first : pid;
        }
    if (f)
        fclose(f);
    return ours;
}

/* -- switching ----------------------------------------------------------------------------------- */

/* put_dir lets `from` take the place of `to`, an empty directory or an earlier end, or none. */
static int put_dir(const char *from, const char *to)
{
    char old[PATH_MAX];
    if (rename(from, to) == 0)
        return 0;
    int error =
        errno == ENOTEMPTY || errno == EEXIST ? beside(to, ".pagewalk-XXXXXX", old) : -errno;
    if (error == 0 && !is_ours(to))
        error = -ENOTEMPTY; /* I2 */
    if (error == 0)
        error = mkdtemp(old) && rename(to, old) == 0 && rename(from, to) == 0 ? 0 : -errno;
    if (error == 0)
        remove_tree(old);
    return error;
}

/* lock_beside waits for others who replace an end in the same directory. Returns a descriptor to close,
 * or -1 where there are no locks. */
static int lock_beside(const char *path)
{
    char dir[PATH_MAX];
    int fd = beside(path, ".", dir) == 0 ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0)
        flock(fd, LOCK_EX);
    return fd;
}

/* link_to lets the link `link` name `dir`, and removes the end it named. */
static int link_to(const char *dir, const char *link)
{
    char old[PATH_MAX] = "", temp[PATH_MAX], name[PATH_MAX];
    ssize_t n = readlink(link, name, sizeof(name) - 1);
    if (n > 0) {
        name[n] = '\0';
        if (strchr(name, '/') || beside(link, name, old) != 0)
            old[0] = '\0'; /* not made here */
    }
    int error = beside(link, ".last-XXXXXX", temp);
    if (error != 0 || !mkdtemp(temp))
        return error ? error : -errno;
    rmdir(temp); /* the name is ours now */
    if (symlink(strrchr(dir, '/') + 1, temp) != 0 || rename(temp, link) != 0) {
        error = -errno;
        unlink(temp);
        return error;
    }
    if (old[0] != '\0' && is_ours(old))
        remove_tree(old);
    return 0;
}

static int put_link(const char *dir, const char *link)
{
    int lock = lock_beside(link);
    int error = link_to(dir, link);
    if (lock >= 0)
        close(lock);
    return error;
}

/* open_mode gives a directory of mkdtemp the mode a new one usually has. */
static void open_mode(const char *dir)
{
    mode_t mask = umask(0);
    umask(mask);
    if (chmod(dir, 0777 & ~mask) != 0)
        return; /* then only its owner may look */
}

int save_machine(const char *dir, struct sim *sim, char *const *argv)
{
    char target[PATH_MAX], temp[PATH_MAX];
    if (!dir && !save_default(target))
        return -ENOENT;
    if (dir)
        snprintf(target, sizeof(target), "%s", dir);
    int error = dir ? 0 : make_parents(target, 0700);
    if (error == 0)
        error = beside(target, dir ? ".pagewalk-XXXXXX" : "end-XXXXXX", temp);
    if (error != 0 || !mkdtemp(temp))
        return error ? error : -errno;
    struct writer w = {.dir = temp};
    sim_machine(sim, &w.machine);
    save_files(&w);
    save_mark(&w, argv);
    if (dir)
        open_mode(temp);
    if (w.error == 0)
        w.error = dir ? put_dir(temp, target) : put_link(temp, target);
    if (w.error != 0)
        remove_tree(temp);
    return w.error;
}
