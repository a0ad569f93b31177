/* front_int.h: the parts of the front end.
 *
 *   find.c     program name ─► file, scripts resolved to their interpreter
 *   tools.c    where qemu and the plugin are
 *   region.c   the shared memory
 *   launch.c   the guest's process, signals
 *   witness.c  a signal to us alone, or to our group
 *   reader.c   rings ─► sim, least virtual time first
 *   discard.c  the words of a run that models nothing
 *   run.c      all of it in order
 */
#ifndef FRONT_INT_H
#define FRONT_INT_H

#include "event/ring.h"
#include "front/front.h"

#include <signal.h>
#include <sys/types.h>

/* -- region.c: memory shared with the plugin -------------------------------------------------- */
struct region {
    struct ring_region *ring;
    int fd; /* of the memfd, close-on-exec here */
};

/* region_open makes the memory; 0 or negative errno. */
int region_open(struct region *r, uint32_t flags);
void region_close(struct region *r);
/* region_words maps a slot's words twice, back to back, so that a span of them never wraps. NULL
 * without memory. region_unmap_words undoes it. */
const uint64_t *region_words(const struct region *r, unsigned slot);
void region_unmap_words(const uint64_t *words);

/* -- reader.c: the consumer -------------------------------------------------------------------- */
#define READER_QUANTUM 20000 /* most words of one stream before the others get their turn */

struct stream {
    struct ring_slot *slot;
    const uint64_t *words;     /* of the slot, mapped twice; NULL: not mapped yet */
    bool open;                 /* a stream is being read in this slot */
    struct sim_thread *thread; /* of an open stream; NULL when nothing is modelled */
    uint64_t skip;             /* payload words still to come of a record half discarded */
    uint64_t stuck_at;         /* head at which an incomplete record was all that was left, or 0 */
    bool wants_order;          /* the next word ends an address-space call */
};

struct reader {
    struct sim *sim; /* NULL: words are counted and discarded */
    const struct region *region;
    struct stream stream[RING_SLOTS];
    uint16_t live[RING_SLOTS];  /* slots with an open stream, in order of opening */
    unsigned lives;             /* length of live */
    uint32_t threads;           /* ring->threads when slots were last looked at */
    uint32_t blocks;            /* block ids looked at so far */
    uint32_t holes[RING_SLOTS]; /* of them those without a record yet, n_holes */
    uint32_t n_holes;
    uint32_t applied;  /* address-space calls applied, 0 at first */
    uint64_t words;    /* consumed */
    uint64_t accesses; /* of them, when discarded */
    bool over;         /* the producers are dead: what is there is all there will be */
    int error;         /* -ENOMEM: a stream could not be opened; -EPROTO: the region is damaged */
};

/* reader_open begins with no stream; sim NULL: nothing is modelled, and no order kept. */
void reader_open(struct reader *r, struct sim *sim, const struct region *region);
void reader_close(struct reader *r);
/* reader_step feeds one quantum of the stream that is behind the others in virtual time; false when
 * there is nothing that may be fed now. */
bool reader_step(struct reader *r);
/* reader_force lets one waiting stream go on although the order is not known to be right; false
 * when none waits. */
bool reader_force(struct reader *r);
/* reader_idle says that every thread is inside a system call, or there is none. */
bool reader_idle(const struct reader *r);
/* reader_sleep waits for words, at most `ns`. */
void reader_sleep(struct reader *r, uint64_t ns);

/* -- discard.c --------------------------------------------------------------------------------- */
/* discard_words returns the accesses among n words. *skip, 0 at first, is kept between calls. */
uint64_t discard_words(const uint64_t *words, size_t n, uint64_t *skip);

/* -- witness.c: whom a signal was sent to ------------------------------------------------------ */
#define WITNESS_KERNEL_RTMIN 32 /* of the kernel; glibc keeps some for itself */

struct witness {
    pid_t pid; /* -1: none */
    int fd;    /* where notes go; -1: none */
};

/* witness_open starts it, with all signals blocked by the caller; 0 or -1. */
int witness_open(struct witness *w, pid_t guest);
/* witness_tell: this signal reached us. If it reached us alone, the guest gets it. Async-signal-safe. */
void witness_tell(const struct witness *w, int sig, const siginfo_t *info);
void witness_close(struct witness *w);

/* -- launch.c: the guest's process ------------------------------------------------------------- */
struct guest {
    pid_t pid;
    int status; /* of waitpid, once gone */
    bool gone;
};

/* guest_start runs qemu with the command; 0, or 125 with a line in err. */
int guest_start(struct guest *g, const struct front_command *c, const char *qemu,
                const char *plugin, const struct region *region, char *err, size_t err_size);
/* guest_poll says whether the guest is gone. */
bool guest_poll(struct guest *g);
/* guest_end waits for it and gives the signals back to who had them. */
void guest_end(struct guest *g);

#endif
