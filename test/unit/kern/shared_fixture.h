/* shared_fixture.h: an empty world for tests of what calls leave behind: shared memory, descriptors. */
#ifndef TEST_SHARED_FIXTURE_H
#define TEST_SHARED_FIXTURE_H

#include "unit/kern/kern_fixture.h"

/* open_world and close_world are a test's set-up and tear-down. */
static inline int open_world(void **state)
{
    static struct world w;
    *state = &w;
    return world_open(&w, 0);
}

static inline int close_world(void **state)
{
    return world_close(*state);
}

/* told lets the kernel hear of a call that returned `result`. */
static inline void told(struct world *w, int64_t result, uint64_t nr, uint64_t a0, uint64_t a1,
                        uint64_t a2)
{
    struct kern_call c = {.nr = nr, .arg = {a0, a1, a2}, .result = result};
    kern_syscall(w->kern, w->mm, &c, &w->copies);
    w->outbox.n = 0;
}

/* shmem returns the frames of shared memory. */
static inline uint64_t shmem(const struct world *w)
{
    return phys_owner_frames(w->phys, FRAME_SHMEM);
}

#endif
