/* output.c: result files.
 *
 *   output_check (before the program runs) ─► … ─► output_open ─► write ─► output_commit
 *                                                      │ .target.XXXXXX     rename over target
 *                                                      └─► output_cancel: unlink
 *
 * Invariants:
 *  I1  What stood at the path stays as it was until a complete result replaces it.
 *  I2  Between output_check and output_open nothing of ours exists, so a kill leaves no litter.
 *  I3  Devices, fifos and /dev, /proc names are written in place: they have nothing to keep.
 */
#include "cli/cli.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot(const char *path, int error)
{
    const char *fix = error == ENOENT   ? "; make the directory first"
                      : error == EISDIR ? "; name a file in it"
                                        : "; choose another file";
    return cli_fail("cannot write %s: %s%s", path, strerror(error), fix);
}

static bool is_stdout(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* in_place says whether the path must be written directly (I3). */
static bool in_place(const char *path)
{
    struct stat st;
    if (strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0)
        return true;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

/* find_target follows symbolic links, so that a link stays one and its file is replaced. */
static int find_target(const char *path, char target[PATH_MAX])
{
    if (realpath(path, target) != NULL)
        return 0;
    if (errno != ENOENT || strlen(path) >= PATH_MAX)
        return errno;
    snprintf(target, PATH_MAX, "%s", path);
    return 0;
}

/* make_temp creates an empty file beside the target. */
static int make_temp(const char *target, char *temp, size_t size)
{
    const char *slash = strrchr(target, '/');
    int dir = slash == NULL ? 0 : (int)(slash - target + 1);
    if (snprintf(temp, size, "%.*s.pagewalk.XXXXXX", dir, target) >= (int)size) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return mkostemp(temp, O_CLOEXEC);
}

/* may_replace looks at what stands at the target: rename would ignore its own rights. */
static int may_replace(const char *target)
{
    struct stat st;
    if (stat(target, &st) != 0)
        return errno == ENOENT ? 0 : errno;
    if (S_ISDIR(st.st_mode))
        return EISDIR;
    return access(target, W_OK) == 0 ? 0 : errno;
}

static int check_in_place(const char *path)
{
    int fd = access(path, W_OK);
    return fd == 0 ? 0 : cannot(path, errno);
}

int output_check(const char *path)
{
    char target[PATH_MAX], temp[PATH_MAX + 16];
    if (path[0] == '\0')
        return cli_fail("the name of an output file is empty");
    if (is_stdout(path))
        return (fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY ? cannot("stdout", EBADF)
                                                                       : 0;
    if (in_place(path))
        return check_in_place(path);
    int error = find_target(path, target);
    if (error == 0)
        error = may_replace(target);
    if (error != 0)
        return cannot(path, error);
    int fd = make_temp(target, temp, sizeof(temp));
    if (fd < 0)
        return cannot(path, errno);
    close(fd);
    unlink(temp); /* I2 */
    return 0;
}

/* give_mode makes the new file as accessible as the old one, or as a new file usually is. */
static void give_mode(int fd, const char *target)
{
    struct stat st;
    mode_t mask = umask(0);
    umask(mask);
    mode_t mode = stat(target, &st) == 0 ? st.st_mode & 07777 : 0666 & ~mask;
    if (fchmod(fd, mode) != 0)
        return; /* some file systems have no modes; the content is what matters */
}

int output_open(struct output *o, const char *path)
{
    *o = (struct output){.path = path, .fd = -1};
    if (is_stdout(path)) {
        o->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    } else if (in_place(path)) {
        o->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    } else {
        int error = find_target(path, o->target);
        if (error == 0)
            error = may_replace(o->target);
        if (error != 0)
            return cannot(path, error);
        o->fd = make_temp(o->target, o->temp, sizeof(o->temp));
    }
    if (o->fd >= 0)
        return 0;
    o->temp[0] = '\0';
    return cannot(is_stdout(path) ? "stdout" : path, errno);
}

int output_commit(struct output *o)
{
    int error = 0;
    if (o->temp[0] != '\0')
        give_mode(o->fd, o->target);
    if (close(o->fd) != 0)
        error = errno;
    o->fd = -1;
    if (error == 0 && o->temp[0] != '\0' && rename(o->temp, o->target) != 0)
        error = errno;
    if (error == 0)
        return 0;
    output_cancel(o);
    return cannot(o->path, error);
}

void output_cancel(struct output *o)
{
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
    if (o->temp[0] != '\0')
        unlink(o->temp);
    o->temp[0] = '\0';
}
