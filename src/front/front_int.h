/* front_int.h: the parts of the front end.
 *
 *   find.c     program name ─► file, scripts resolved to their interpreter
 *   tools.c    where qemu and the plugin are
 *   region.c   the shared memory
 *   door.c     gives the shared memory to programs that cannot open it
 *   launch.c   the guest's first process, signals
 *   keeper.c   a process that waits for all of the guest's, and ends them when we die
 *   tree.c     all processes below one
 *   witness.c  a signal to us alone, or to our group
 *   reader.c   rings ─► sim, least virtual time first; its parts: reader_int.h
 *   discard.c  the words of a run that models nothing
 *   run.c      all of it in order
 */
#ifndef FRONT_INT_H
#define FRONT_INT_H

#include "event/ring.h"
#include "front/front.h"
#include "front/tape.h"

#include <signal.h>
#include <sys/types.h>

/* -- region.c: memory shared with the plugin -------------------------------------------------- */
struct region {
    struct ring_region *ring;
    int fd; /* of the memfd, close-on-exec here */
    /* where its parts lie: what the header says to the producers, which may write over it */
    uint64_t bytes, index_offset, words_offset, table_offset;
};

/* region_open makes the memory; 0 or negative errno. */
int region_open(struct region *r, uint32_t flags);
void region_close(struct region *r);
/* region_words maps a slot's words twice, back to back, so that a span of them never wraps. NULL
 * without memory. region_unmap_words undoes it. */
const uint64_t *region_words(const struct region *r, unsigned slot);
void region_unmap_words(const uint64_t *words);
/* region_give_back frees the memory of a slot's words, which nobody reads or writes now. */
void region_give_back(const struct region *r, unsigned slot);

/* -- door.c: the descriptor of the region, for programs that the guest executes ---------------- */
#define DOOR_GUESTS 16 /* that have connected and not said the key yet */

struct door {
    int socket;             /* -1: nobody can knock */
    int guest[DOOR_GUESTS]; /* guests, oldest first */
    unsigned guests;
};

/* door_open makes the door and tells the region's users of it; without one they do as they can. */
void door_open(struct door *d, struct ring_region *ring);
/* door_poll answers one who knocks. */
void door_poll(struct door *d, const struct region *region);
void door_close(struct door *d);

/* -- reader.c: the consumer -------------------------------------------------------------------- */
#define READER_QUANTUM 20000 /* most words of one stream before the others get their turn */

/* Slots, each in at most one list. */
struct stream_list {
    uint16_t slot[RING_SLOTS];
    unsigned n;
};

struct stream {
    struct ring_slot *slot;
    const uint64_t *words;     /* of the slot, mapped twice; NULL: not mapped yet */
    struct stream_list *list;  /* that it is in; NULL: no stream is read in this slot */
    unsigned place;            /* in the list */
    struct process *process;   /* whose thread it is; NULL until its first record came */
    struct stream *sibling;    /* the next one of the process */
    uint64_t serial;           /* in order of opening */
    struct sim_thread *thread; /* NULL when nothing is modelled, or without process */
    uint64_t skip;             /* payload words still to come of a record half discarded */
    uint64_t fed;              /* reader.beat when words of it were taken last */
    uint64_t stuck_at;         /* head at which an incomplete record was all that was left, or 0 */
    unsigned empty;            /* looks that found no word, in succession */
    uint64_t taped;            /* words of the slot up to here are on the tape */
    bool wants_order;          /* the next word ends an address-space call */
};

/* One program that runs in a process; after exec the same pid is another struct process. */
struct process {
    uint32_t pid;
    bool used;              /* this entry is */
    bool begun;             /* some word of it was fed */
    bool replaced;          /* another began under its pid */
    bool over;              /* its threads are dead: what they wrote is all there will be */
    struct stream *streams; /* of its threads, at least one */
    struct process *older;  /* that had its pid and is not read to its end; NULL: none */
    struct process *parent; /* that forked it, until it has begun; NULL: none, or it is gone */
    uint32_t fork_call;     /* number of the parent's call that made it */
    struct process
        *lender; /* the parent, whose memory it has until it executes or ends: vfork; or NULL */
    uint32_t applied; /* address-space calls applied, 0 at first */
    uint32_t fed;     /* reader.beat when words of it were fed last */
};

struct reader {
    struct sim *sim;   /* NULL: words are counted and discarded */
    struct tape *tape; /* what the sim is told is recorded; NULL: it is not */
    const struct region *region;
    struct stream stream[RING_SLOTS];
    struct stream_list unborn; /* first record not read yet */
    struct stream_list ready;  /* words were found lately */
    struct stream_list quiet;  /* none were: looked at now and then */
    struct process process[RING_SLOTS];
    unsigned top;               /* entries of process that were ever used */
    unsigned looked;            /* the one whose life is looked at next */
    unsigned lives;             /* streams with a process */
    uint64_t serial;            /* of the newest stream */
    uint32_t steps;             /* counts, for the quiet ones */
    uint32_t beat;              /* time in beats of who drives the reader */
    uint32_t threads;           /* ring->threads when slots were last looked at */
    uint32_t blocks;            /* block ids looked at so far */
    uint32_t holes[RING_SLOTS]; /* of them those without a record yet, n_holes */
    uint32_t n_holes;
    bool holds;             /* nobody goes on before a task that was made has begun … */
    uint32_t held, held_at; /* … of so many, since that beat; … */
    uint32_t moved;         /* beat at which words were taken last */
    uint32_t given_up;      /* … but for so many, which never came */
    uint64_t processes;     /* ever */
    uint64_t words;         /* consumed */
    uint64_t accesses;      /* of them, when discarded */
    bool over;              /* the producers are dead: what is there is all there will be */
    int error; /* -ENOMEM: a stream could not be opened; -EPROTO: the region is damaged */
};

/* reader_open begins with no stream; sim NULL: nothing is modelled, and no order kept. */
void reader_open(struct reader *r, struct sim *sim, const struct region *region);
void reader_close(struct reader *r);
/* reader_step feeds one quantum of the stream that is behind the others in virtual time; false when
 * there is nothing that may be fed now. */
bool reader_step(struct reader *r);
/* reader_force lets a waiting stream go on although the order is not known to be right, in a process
 * that has had no turn for two beats (reader.beat) though it has words; false when there is none. Once
 * `over` is set it does not wait for beats. */
bool reader_force(struct reader *r);
/* reader_look finds processes that died without saying so, some of them in each call. */
void reader_look(struct reader *r);
/* reader_reads says whether the process of that pid is not read to its end yet. */
bool reader_reads(const struct reader *r, uint32_t pid);
/* reader_idle says that every thread is inside a system call, or there is none. */
bool reader_idle(const struct reader *r);
/* reader_alive returns how many processes are not known to be dead. */
unsigned reader_alive(const struct reader *r);
/* reader_sleep waits for words, at most `ns`. */
void reader_sleep(struct reader *r, uint64_t ns);

/* -- discard.c --------------------------------------------------------------------------------- */
/* discard_words returns the accesses among n words. *skip, 0 at first, is kept between calls. */
uint64_t discard_words(const uint64_t *words, size_t n, uint64_t *skip);

/* -- tree.c: all processes below one ------------------------------------------------------------ */
#define TREE_SPARED_MAX 64

/* Children of a process that are none of ours. */
struct tree_spared {
    pid_t pid[TREE_SPARED_MAX];
    size_t n;
};

/* tree_kill ends every process below the caller but the spared ones; when it returns all that may be
 * killed are dead, not reaped. */
void tree_kill(const struct tree_spared *spared);
/* tree_kill_one ends one process, if it is below the caller. */
void tree_kill_one(pid_t pid);
/* tree_reap takes the dead among the caller's children but the spared ones: where the init process does
 * not, they would stay for ever. */
void tree_reap(const struct tree_spared *spared);
/* tree_count returns how many live below the caller. */
unsigned tree_count(void);
/* tree_children finds the caller's children; false when they are more than fit. */
bool tree_children(struct tree_spared *ret);

/* -- witness.c: whom a signal was sent to ------------------------------------------------------ */
#define WITNESS_KERNEL_RTMIN 32 /* of the kernel; glibc keeps some for itself */

/* witness_judge, in a process of our group that blocks all signals: `sig` reached pagewalk with this
 * siginfo. If it reached pagewalk alone, the first process gets it, too. */
void witness_judge(int sig, int code, union sigval value, pid_t first);

/* -- keeper.c: the process that knows all processes of the guest --------------------------------- */
enum keeper_kind {
    KEEPER_STARTED, /* pid: the first process */
    KEEPER_ENDED,   /* pid, status of waitpid: the first process, or an orphan */
    KEEPER_LEFT,    /* status: as many processes were left alone */
};
struct keeper_word {
    enum keeper_kind kind;
    pid_t pid;
    int status;
};

struct keeper {
    pid_t pid, first; /* its own, the first process'; -1: none */
    int orders;       /* to it; -1: none */
    int tells;        /* from it, never waited for; -1: none */
    bool over;        /* it has ended */
    bool lost;        /* by somebody's hand, before the tree did */
};

/* A keeper_first becomes the first process; when it cannot, it writes its errno into the report. */
typedef void keeper_first(void *arg, int report);

/* keeper_start starts keeper and first process, with all signals blocked by the caller; 0 or an errno of
 * either of them. */
int keeper_start(struct keeper *k, keeper_first *run, void *arg);
/* keeper_read returns the next word, false when there is none now, or ever: then k->over is set. */
bool keeper_read(struct keeper *k, struct keeper_word *ret);
/* keeper_wait sleeps until there is a word or the end. */
void keeper_wait(const struct keeper *k);
/* keeper_signal: this signal reached us. Async-signal-safe. */
void keeper_signal(const struct keeper *k, int sig, const siginfo_t *info);
/* keeper_leave lets the rest of the tree alone, keeper_end kills it. */
void keeper_leave(const struct keeper *k);
void keeper_end(const struct keeper *k);
void keeper_close(struct keeper *k);

/* -- launch.c: the guest's processes ------------------------------------------------------------ */
struct guest {
    struct sim *sim;   /* told of ends; NULL: nobody is */
    struct tape *tape; /* the same; NULL: no recording is made */
    struct keeper keeper;
    struct tree_spared spared; /* children that we had before */
    pid_t pid;                 /* of the first process */
    int status;                /* of its waitpid, once gone */
    bool gone;                 /* it has ended */
    bool over;                 /* every process of the tree has, or they were left alone */
    bool lost;                 /* the keeper was killed, so we ended the tree */
    bool adopts;               /* orphans come to us when the keeper is lost */
    bool was_reaper;           /* they did before */
    uint32_t left;             /* processes left alone */
};

/* -- blocks.c
 * block_valid says whether the record of a block holds together and ends within `room` bytes. */
bool block_valid(const struct ring_block *b, uint64_t room);

/* guest_start runs qemu with the command; 0, or 125 with a line in err. */
int guest_start(struct guest *g, const struct front_command *c, const char *qemu,
                const char *plugin, const struct region *region, char *err, size_t err_size);
/* guest_poll looks what has ended, and says whether all have. */
bool guest_poll(struct guest *g);
/* guest_unwanted: the first process is gone, and a signal asks us not to wait for the others. */
bool guest_unwanted(const struct guest *g);
/* guest_kill ends the whole tree, guest_leave lets it alone from now on. */
void guest_kill(struct guest *g);
void guest_leave(struct guest *g);
/* guest_end waits for the end of the tree and gives the signals back to who had them. */
void guest_end(struct guest *g);

#endif
