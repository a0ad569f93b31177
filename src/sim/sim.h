/* sim.h: one machine and the event loop that drives it.
 *
 *   front ─► sim_feed(thread, words) ─► core of the thread ─► mmu ─┬─► counters
 *                │ control words                    fault │        └─► attribution (VMA, site)
 *                └─► kern ─► mm ◄──────────────────────────┘
 *                              └─► outbox: flushes, kernel accesses, steps ─► drained here
 *
 * A struct sim is a complete value without globals. Several may consume the same words.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "cpu/cpu.h"
#include "event/event.h"
#include "event/ring.h"
#include "kern/kern.h"
#include "mm/view.h"
#include "mmu/mmu.h"
#include "proc/sysctl.h"

struct sim;
struct sim_thread;

int sim_open(struct sim **ret, const struct conf *conf);
void sim_close(struct sim *s);

/* sim_add_block announces a block under its id, below RING_BLOCK_MAX; ids come in any order, and some
 * never. The record is copied; one announced before stays. 0 or -ENOMEM. */
int sim_add_block(struct sim *s, uint32_t id, const struct ring_block *b);

/* sim_thread_open makes the consumer side of one stream. NULL when out of memory. */
struct sim_thread *sim_thread_open(struct sim *s);
/* sim_thread_close ends a stream and frees t; a block left open is credited as far as it is known to
 * have run. */
void sim_thread_close(struct sim *s, struct sim_thread *t);

enum sim_stop {
    SIM_ALL,   /* every complete word was consumed */
    SIM_LATER, /* the thread is not on its core (any more): look at the times of all again */
    SIM_ORDER, /* the next word is the return of an address-space call: feed again with `ordered` */
};
/* sim_feed consumes words of one stream and returns how many. Incomplete control records at the
 * end stay. An address-space call is applied only with `ordered` set (it covers the first such call
 * of this feed), else feeding stops before it: the caller first brings the other streams past it. */
size_t sim_feed(struct sim *s, struct sim_thread *t, const uint64_t *words, size_t n, bool ordered,
                enum sim_stop *ret_stop);

/* sim_thread_time returns the earliest virtual time at which a thread could run, in picoseconds: its
 * instructions at nominal CPI, the time it was asleep, and that it waited for a core. Of the threads that have
 * words the one with the least is fed. sim_thread_waits: another has its core, which may have more words
 * yet; sim_thread_ahead says which. sim_thread_epoch returns the last epoch it is known to have passed. */
uint64_t sim_thread_time(const struct sim_thread *t);
/* sim_thread_blocked: its next words end a call for which another thread has still to do something. To feed it
 * all the same says that no other has words. */
bool sim_thread_blocked(const struct sim_thread *t);
/* sim_expects returns how many tasks were made whose first words were not fed yet; as long as there are some the
 * model should wait for these. ret_pid: of a process among them, 0: none. sim_thread_new: no word of it was fed. */
uint32_t sim_expects(const struct sim *s, uint32_t *ret_pid);
bool sim_thread_new(const struct sim_thread *t);
bool sim_thread_waits(const struct sim_thread *t);
const struct sim_thread *sim_thread_ahead(const struct sim_thread *t);
uint32_t sim_thread_epoch(const struct sim_thread *t);

/* sim_follow_tree: children of the program are observed, too: their streams come (EV_FORK), and programs
 * they execute (EV_START). To be said before the first word. */
void sim_follow_tree(struct sim *s);
/* sim_left: nobody reads on; the processes that are not over run on. */
void sim_left(struct sim *s);
/* sim_process_status: process `pid` ended, with this status of waitpid. */
void sim_process_status(struct sim *s, uint32_t pid, int status);

/* sim_take_verdict: the words just fed asked (EV_ASK), and this is the answer for their producer. */
bool sim_take_verdict(struct sim_thread *t, int *ret);

/* sim_order_forced counts an address-space call applied before all streams were past it. */
void sim_order_forced(struct sim *s);

/* sim_timeline: keep what happens when, at most timeline.moments of it. To be said before the first word. */
void sim_timeline(struct sim *s);

/* -- reading the result (report) */
enum sim_moment_kind {
    MOMENT_RAN,       /* a thread had a core */
    MOMENT_FAULT,     /* what: address; detail: enum fault_kind */
    MOMENT_SHOOTDOWN, /* what: cores interrupted, bit n is core n */
    MOMENT_FORK,      /* what: pid of the child */
    MOMENT_EXEC,
    MOMENT_EXIT,     /* the process' last thread ended */
    MOMENT_RECEIVED, /* a core was interrupted by another's shootdown; pid and tid 0: it was idle */
};
#define SIM_COMM 16u
struct sim_moment {
    uint64_t at_ps, for_ps; /* virtual time; for_ps 0: an instant */
    uint64_t what;
    uint32_t pid, tid;   /* of the thread */
    char comm[SIM_COMM]; /* name of its program, cut as Linux does */
    uint8_t kind;        /* enum sim_moment_kind */
    uint8_t core, detail;
};
/* sim_moments returns what was kept, in the order in which it became known; NULL: nothing. Of a core the
 * slices are in order of time. ret_lost: how many there was no room for. */
const struct sim_moment *sim_moments(const struct sim *s, uint64_t *ret_n, uint64_t *ret_lost);

struct sim_site { /* one instruction of a program that cost something */
    uint64_t pc;
    const struct mm_label *label; /* of the mapping it lay in; NULL: not known */
    uint64_t offset;              /* in that mapping's file */
    uint64_t executed;            /* times its block ran */
    uint64_t stlb_hits, walks, walk_cycles;
    uint64_t faults, fault_cycles, l3_misses;
};
struct sim_area { /* one label of the address space */
    const struct mm_label *label;
    uint64_t accesses_slow; /* accesses that left the fast path */
    uint64_t stlb_hits, walks, walk_cycles;
    uint64_t faults, fault_cycles;
    uint64_t l3_misses;
};
/* How a process ended, as far as it was seen. */
enum sim_end {
    SIM_END_NONE,    /* it has not */
    SIM_END_EXIT,    /* exit_code */
    SIM_END_SIGNAL,  /* signal */
    SIM_END_NATIVE,  /* it went on unobserved: native */
    SIM_END_UNSEEN,  /* its parent made it, and no word of it ever came */
    SIM_END_UNKNOWN, /* its words ended: nobody said how it did */
};
struct sim_process {
    uint32_t pid, ppid;  /* ppid: its parent when it began; 0: not known */
    uint32_t generation; /* processes with this pid before it */
    char path[512];      /* of its last program */
    char comm[16];       /* its name: the end of the path */
    const char *argv;    /* argv_bytes: arguments, each with its zero; lives as long as sim */
    uint32_t argv_bytes; /* may be cut (EV_ARGV_BYTES) */
    enum sim_end end;
    int exit_code, signal;     /* see end */
    uint32_t native;           /* enum event_native: why it is not observed any more, or 0 */
    char native_path[512];     /* the program that it executed then */
    uint32_t programs;         /* it executed */
    uint32_t threads;          /* ever */
    uint64_t begin_ns, end_ns; /* virtual time */
    const struct mm *space;    /* its address space at the end; NULL: given up */
    struct mm_counters mm;     /* peaks and faults of all its life, the rest as of the end */
    struct stat_set stats;     /* its share of the machine's counters (sim_processes) */
};
/* A thread. */
struct sim_row {
    uint32_t pid, tid, core;   /* core: the last it ran on */
    uint64_t begin_ns, end_ns; /* virtual time; end_ns once it is over */
    bool over;
    const struct stat_set *stats; /* its share; lives as long as sim */
};

const struct conf *sim_conf(const struct sim *s);
const struct stat_set *sim_stats(const struct sim *s);
void sim_cycles(const struct sim *s, struct cpu_cycles *ret);
const struct phys *sim_phys(const struct sim *s);
/* A pool of huge pages: what was asked for, what boot found, what it is now. */
struct sim_pool {
    uint64_t asked;                   /* hugetlb.2m, hugetlb.1g */
    uint64_t boot_node[MM_NODES_MAX]; /* pages that boot found on each of `nodes` nodes */
    unsigned nodes;
    struct mm_hugetlb_info now; /* .boot: what boot found on all of them */
};
void sim_pool(const struct sim *s, enum mm_hugetlb_size size, struct sim_pool *ret);
/* sim_machine gives the parts of a machine to who prints or changes them (src/proc). */
void sim_machine(struct sim *s, struct proc_machine *ret);
/* sim_sysctl writes a tunable of the modelled kernel between two events, as proc_sysctl_set does. */
int sim_sysctl(struct sim *s, const char *key, const char *value, char *err, size_t err_size);
/* sim_order keeps an order for its time: it is carried out when a thread of the program enters the
 * kernel (fault, system call) then or later. 0 or -ENOMEM. */
int sim_order(struct sim *s, const struct proc_order *order);
/* sim_orders_open returns how many orders had no occasion yet. sim_order_error returns why one was
 * refused, "" when none was. */
unsigned sim_orders_open(const struct sim *s);
const char *sim_order_error(const struct sim *s);
/* sim_sites and sim_areas return malloc'd arrays, costliest translation + fault first. */
struct sim_site *sim_sites(const struct sim *s, uint32_t *ret_n);
struct sim_area *sim_areas(const struct sim *s, uint32_t *ret_n);
/* sim_process reads the first process, without its share of the counters. */
void sim_process(const struct sim *s, struct sim_process *ret);
/* sim_processes and sim_thread_rows return malloc'd arrays, in order of beginning; NULL without memory. */
struct sim_process *sim_processes(struct sim *s, uint32_t *ret_n);
struct sim_row *sim_thread_rows(struct sim *s, uint32_t *ret_n);
/* sim_core_stats: the share of a core; sim_coreless_stats: of none: boot, orders. sim_nobodys_stats: of no
 * thread: these, the kernel's own threads, what idle cores are interrupted for. */
const struct stat_set *sim_core_stats(struct sim *s, unsigned core);
const struct stat_set *sim_coreless_stats(struct sim *s);
const struct stat_set *sim_nobodys_stats(struct sim *s);
/* sim_mm returns the address space of the first process. */
struct mm *sim_mm(struct sim *s);
/* What the modelled OOM killer did. */
struct sim_oom {
    uint64_t kills;    /* ever */
    uint64_t panics;   /* times nobody could be killed, or vm.panic_on_oom forbade it */
    uint64_t at_event; /* events read when memory was out for the first time */
    const struct mm_oom_event *event; /* a ring of OOM_EVENTS_MAX: the last ones */
};
void sim_oom(const struct sim *s, struct sim_oom *ret);
/* The first kernel stack that was too small. */
struct sim_overflow {
    uint64_t times;      /* how many were; 0: none */
    uint32_t pid, tid;   /* whose it was */
    char comm[SIM_COMM]; /* name of the process */
    const char *outer,
        *last; /* what it entered the kernel for; what was too much (the same: that itself) */
    uint32_t used, size; /* bytes */
    bool guarded;        /* the guard page was hit: the machine would have stopped */
};
void sim_overflow(const struct sim *s, struct sim_overflow *ret);
/* sim_next_victim returns, once each, the processes that the OOM killer chose while kernel.oom_kill_guest says
 * that they die: those that share a victim's address space, too. What their streams still say is not modelled. */
bool sim_next_victim(struct sim *s, uint32_t *ret_pid);
/* sim_counts_wrong compares EV_COUNTS words with what was modelled; returns the number of threads
 * whose counts differ (0 also when none were sent). */
unsigned sim_counts_wrong(const struct sim *s);
int sim_audit(struct sim *s);

#endif
