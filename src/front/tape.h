/* tape.h: a recorded run: all that a sim was told, in order, so that it can be told again.
 *
 *   run --record FILE:  front_run ─► sim            run --replay FILE:  FILE ─► tape_read, tape_play ─► sim
 *                           └─────► tape ─► FILE
 *
 * What a sim does follows from its options and from what it is told, so a replay has the same result, to the
 * last count, each time; which threads were read first in the live run is part of what is recorded.
 */
#ifndef FRONT_TAPE_H
#define FRONT_TAPE_H

#include "front/front.h"
#include "sim/sim.h"

struct tape; /* being written */

/* What a run was besides its words. */
struct tape_run {
    struct conf conf;           /* the machine, as sim_open got it */
    struct proc_order *orders;  /* n_orders; of tape_read: owned */
    uint32_t n_orders;          /* orders of --sysctl */
    char note[256];             /* how the machine was found */
    char **argv;                /* NULL-terminated; of tape_read: owned */
    struct front_result result; /* how it ended */
};

/* tape_open begins a recording in a file. 0 or -errno. */
int tape_open(struct tape **ret, const char *path, const struct tape_run *run);
/* tape_close ends it with the result; without one (NULL) it is not to be replayed. 0 or -errno: what was written
 * is not whole then. */
int tape_close(struct tape *t, const struct front_result *result);

/* What is told to the sim; a tape of NULL takes nothing. `stream` is a number of its own for each stream;
 * tape_feed comes before the words are fed, `at` is how many words of the stream came before them; tape_fed
 * behind it. */
void tape_block(struct tape *t, uint32_t id, const struct ring_block *b);
void tape_stream(struct tape *t, uint64_t stream);
void tape_feed(struct tape *t, uint64_t stream, const uint64_t *words, uint64_t n, uint64_t fresh,
               bool ordered);
void tape_fed(struct tape *t, uint64_t stream, uint64_t done);
void tape_end(struct tape *t, uint64_t stream);
void tape_forced(struct tape *t);
void tape_status(struct tape *t, uint32_t pid, int status);
void tape_left(struct tape *t);

struct tape_in; /* being read */
/* tape_read opens a recording and reads what it begins with. 0, or -errno with a line in err. */
int tape_read(struct tape_in **ret, const char *path, struct tape_run *run, char *err,
              size_t err_size);
/* tape_play tells a sim made of run->conf all of it, and fills run->result. 0, or -errno with
 * a line in err. */
int tape_play(struct tape_in *t, struct sim *sim, struct tape_run *run, char *err, size_t err_size);
/* tape_done closes it, and frees what tape_read put into run. */
void tape_done(struct tape_in *t, struct tape_run *run);

#endif
