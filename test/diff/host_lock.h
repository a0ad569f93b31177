/* host_lock.h: a comparison with the running kernel keeps its settings as they are meanwhile.
 *
 * What `make check-kernel-global` starts changes settings of the whole host, and holds this lock
 * alone while it does.
 */
#ifndef TEST_DIFF_HOST_LOCK_H
#define TEST_DIFF_HOST_LOCK_H

#include <fcntl.h>
#include <sys/file.h>

/* host_settings_stay waits until nobody changes the host's settings, and lets nobody until the
 * process ends. Without the right to open the lock nobody else could change them either. */
static inline void host_settings_stay(void)
{
    int lock = open("/var/tmp/pagewalk-global.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock >= 0)
        flock(lock, LOCK_SH);
}

#endif
