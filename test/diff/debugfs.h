/* debugfs.h: a look into debugfs for tests, also where it is not mounted: then it is mounted, read
 * only, for this process alone. */
#ifndef TEST_DEBUGFS_H
#define TEST_DEBUGFS_H

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

static inline void debugfs_mount(void)
{
    if (access("/sys/kernel/debug/extfrag", R_OK) == 0 || unshare(CLONE_NEWNS) != 0)
        return;
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        (void)mount("debugfs", "/sys/kernel/debug", "debugfs", MS_RDONLY, NULL);
}

#endif
