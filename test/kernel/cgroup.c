/* cgroup.c: a memory cgroup for each sequence, where the host has cgroup v1 memory.
 *
 *   /sys/fs/cgroup/memory/pagewalk-check.PID      of the observer: the limit, what goes wrong hurts nobody
 *                         └─ N                    of one sequence: its zygote is moved here before it
 *                                                 starts a subject, so all its processes are born here
 *
 * A group goes when the next sequence has its own: then nobody is left in it. Groups of observers that
 * were killed are removed by the next one. Moving one process costs 0.02 ms (the first time 8 ms).
 */
#include "kernel/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CGROUPS      "/sys/fs/cgroup/memory"
#define CGROUP_NAME  "pagewalk-check."
#define CAMPAIGN_MAX "1073741824" /* bytes: memory all processes of a sequence may use */

static bool write_file(const char *dir, const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int err = errno;
    close(fd);
    errno = err;
    return ok;
}

static bool move(const char *dir, pid_t pid)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", pid);
    return write_file(dir, "cgroup.procs", text);
}

/* remove_all removes a group of an observer and those in it. */
static void remove_all(const char *dir)
{
    char path[sizeof(((struct cgroup *)0)->one) + 256];
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (e->d_type == DT_DIR && e->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
            rmdir(path);
        }
    if (d)
        closedir(d);
    rmdir(dir);
}

/* remove_left_over removes what observers left that do not live any more. */
static void remove_left_over(void)
{
    char path[320];
    DIR *d = opendir(CGROUPS);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (strncmp(e->d_name, CGROUP_NAME, strlen(CGROUP_NAME)) != 0)
            continue;
        pid_t pid = atoi(e->d_name + strlen(CGROUP_NAME));
        if (pid <= 0 || kill(pid, 0) == 0 || errno != ESRCH)
            continue;
        snprintf(path, sizeof(path), CGROUPS "/%s", e->d_name);
        remove_all(path);
    }
    if (d)
        closedir(d);
}

static void give_up(struct cgroup *g, const char *what, const char *goes_on)
{
    snprintf(g->why_not, sizeof(g->why_not), "%s: %s; %s", what, strerror(errno), goes_on);
    g->each = false;
}

void cgroup_open(struct cgroup *g, pid_t zygote)
{
    *g = (struct cgroup){.zygote = zygote, .each = true};
    remove_left_over();
    snprintf(g->all, sizeof(g->all), CGROUPS "/" CGROUP_NAME "%d", getpid());
    if (mkdir(g->all, 0755) != 0 && errno != EEXIST) {
        give_up(g, CGROUPS, "sequences run in no memory cgroup");
        g->all[0] = '\0';
        return;
    }
    if (!write_file(g->all, "memory.limit_in_bytes", CAMPAIGN_MAX) || !move(g->all, zygote))
        give_up(g, g->all, "sequences run in no memory cgroup");
}

void cgroup_next(struct cgroup *g)
{
    char before[sizeof(g->one)];
    if (!g->each)
        return;
    memcpy(before, g->one, sizeof(before));
    snprintf(g->one, sizeof(g->one), "%s/%llu", g->all, (unsigned long long)g->n++);
    if (mkdir(g->one, 0755) != 0 || !move(g->one, g->zygote)) {
        give_up(g, g->one, "all sequences run in one memory cgroup");
        rmdir(g->one);
        memcpy(g->one, before, sizeof(before)); /* where the zygote stays */
    } else if (before[0]) {
        rmdir(before);
    }
}

void cgroup_close(struct cgroup *g)
{
    if (g->all[0])
        remove_all(g->all);
}
