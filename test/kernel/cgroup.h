/* cgroup.h: where the processes of a sequence are charged for their memory. */
#ifndef TEST_KERNEL_CGROUP_H
#define TEST_KERNEL_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup {
    char all[80];      /* of the observer; "": there is none */
    char one[112];     /* of the sequence that runs; "": none was made yet */
    pid_t zygote;      /* who starts the subjects */
    bool each;         /* each sequence has one of its own */
    uint64_t n;        /* groups made so far, of sequences */
    char why_not[224]; /* not each: the reason, and what is done instead; else "" */
};
/* cgroup_open makes the observer's group and puts the zygote in. */
void cgroup_open(struct cgroup *g, pid_t zygote);
/* cgroup_next: the zygote, alone by now, gets a new group. */
void cgroup_next(struct cgroup *g);
/* cgroup_close removes all groups. pre: the zygote is gone. */
void cgroup_close(struct cgroup *g);

#endif
