/* sim_int.h: the inside of a machine and its event loop, for src/sim only. */
#ifndef SIM_SIM_INT_H
#define SIM_SIM_INT_H

#include "base/check.h"
#include "kern/tlb.h"
#include "base/map.h"
#include "kern/sched.h"
#include "mmu/mmu_hot.h"
#include "kern/entry.h"
#include "sim/sim.h"

/* What one instruction of the program cost beyond the fast path. */
struct site_cost {
    uint64_t stlb_hits, walks, walk_cycles;
    uint64_t faults, fault_cycles, l3_misses;
};

/* Of the instructions of one block. */
struct block_cost {
    uint32_t
        label; /* row of the mapping its code lay in when it cost something first, + 1; 0: none */
    uint64_t offset;         /* of the block in that mapping's file */
    struct site_cost insn[]; /* as many as it has */
};

/* How a block ends, read from its last instruction. */
enum block_end {
    END_UNKNOWN, /* not decoded yet */
    END_FALL,    /* the next instruction follows */
    END_JUMP,    /* direct jump or call: target */
    END_BRANCH,  /* conditional: target or the next instruction */
    END_ANY,     /* return, indirect jump or call, system call */
};

/* What decoding one instruction tells; made only for blocks where it is needed. */
struct insn_info {
    uint8_t operand_bytes; /* of one architectural memory access; 255: as many as come */
    bool memory;           /* always makes at least one access */
    bool divides;          /* may raise #DE */
    bool stack;            /* pushes to or pops from the stack without a memory operand */
    bool call;             /* a call */
    bool modifies;         /* reads and then writes its memory operand: faults as a write */
};

/* A translated block: 64 bytes, the first four fields are the hot ones. */
struct block {
    uint64_t count;   /* executions */
    uint64_t fetched; /* the core's fetch_state when all its lines were most recent, 0: never */
    uint32_t succ[2]; /* ids of blocks that may follow it, checked before */
    uint16_t insns;   /* instructions */
    uint16_t code_bytes;
    uint8_t lines;     /* 64-byte lines its code touches */
    uint8_t flags;     /* BLOCK_… */
    uint8_t end;       /* enum block_end */
    uint8_t next_succ; /* which succ to overwrite next */
    uint64_t pc;
    const uint8_t *data;     /* instruction lengths, then code; owned */
    struct block_cost *cost; /* NULL until something cost; owned */
    struct insn_info *info;  /* insns entries, NULL until decoded; owned */
};
#define BLOCK_REP_FIRST 1u /* one instruction, a rep string operation */
#define BLOCK_REP_LAST  2u /* its last instruction is a rep string operation */
#define BLOCK_SYSCALL   4u /* its last instruction is syscall */
#define BLOCK_HANDLER   8u /* starts at the address of a signal handler */
#define BLOCK_REP       (BLOCK_REP_FIRST | BLOCK_REP_LAST)
#define BLOCK_NONE      UINT32_MAX

#define CHUNK_LOG2 12
#define CHUNK      (1u << CHUNK_LOG2)

/* The call a thread is inside of, as far as its records have come. */
struct pending_call {
    struct kern_call call;
    struct kern_iovec *iov; /* grows */
    uint8_t *bytes;         /* grows */
    uint8_t *earlier;       /* the piece before it; grows */
    uint32_t iov_cap, bytes_cap, earlier_cap;
    uint64_t sig, handler; /* of rt_sigaction, sig 0: none */
    bool open;             /* between EV_SYSCALL and EV_SYSCALL_RET */
};

/* Why an access is not a plain one. RARE_REP has the value of BLOCK_REP_LAST. */
#define RARE_REP    BLOCK_REP_LAST
#define RARE_HIGH   16u /* a HIGH word came before */
#define RARE_SIGNAL 32u /* a signal handler starts; its frame is not yet placed */
#define NO_JOIN     (~UINT64_C(0))

/* A hold of a lock that is held shortly, in cycles of the clock of its thread. */
struct held {
    uint64_t lock; /* kind and which */
    uint64_t from, until;
};
#define HELD_MAX 4096u /* last ones of a thread */

/* A fault made while another thread's call was under way that is not applied yet, lock.c I2. */
struct late_fault {
    uint64_t at, mmap_at;   /* clock when it wanted its VMA's lock, mmap_lock (0: it did not) */
    uint64_t addr;          /* where */
    struct site_cost *site; /* who pays; NULL: no instruction */
    uint32_t area;          /* index of sim.areas */
    uint8_t kind;           /* enum fault_kind */
};
#define LATE_MAX 8u /* of one call */

/* The last hold of mmap_lock for writing. */
struct mmap_hold {
    uint64_t begin, end; /* clock, half open */
    uint32_t owner;      /* serial of the thread; 0: none yet */
    uint32_t call;       /* its number by epochs, 0: not known */
    bool open;           /* its end has not come yet */
    unsigned n_ranges;
    struct vma_range {
        uint64_t start, end;
    } range[16]; /* VMAs it changes */
};
#define HOLD_RANGES ARRAY_LEN(((struct mmap_hold *)NULL)->range)

/* Who pays for what the outbox says: kernel threads' work costs the program nothing. */
enum payer { PAYER_NOBODY, PAYER_FAULT, PAYER_CALL };

/* Whose the counts are that are added now: a thread's and its core's. */
struct payee {
    struct thread_sum *sum; /* NULL: nobody's */
    unsigned core;          /* NO_CORE: no core's */
};
#define NO_CORE UINT32_MAX

/* What one thread was counted for; stays after it. */
struct thread_sum {
    struct sim_proc *proc;     /* its process */
    uint32_t tid;              /* 0: its stream never told */
    uint32_t core;             /* the one it ran on last */
    uint64_t begin_ps, end_ps; /* virtual time; end: once it is over */
    bool over;
    struct stat_set stats;
};

enum proc_state {
    PROC_NEW,    /* the first process, before anything is known of it */
    PROC_FORKED, /* made by its parent's call; its own words have not come */
    PROC_RUNS,
    PROC_EXECS, /* its last stream ended inside execve: another program follows */
    PROC_ENDED,
};

enum proc_killed { KILLED_NOT, KILLED, KILLED_TOLD }; /* told: to who ends it on the host */

/* A process: what its threads share. */
struct sim_proc {
    enum proc_state state;
    uint32_t number;         /* 0, 1 … in order of beginning */
    uint32_t ppid;           /* of its parent when it began; 0: not known */
    uint32_t generation;     /* how many with this pid there were before */
    uint32_t threads;        /* streams open now */
    uint32_t images;         /* programs it ran */
    struct sim_proc *parent; /* who forked it, NULL: not known */
    uint32_t fork_call;      /* FORKED: number of the parent's call */
    uint64_t child_tid;      /* FORKED: where the child writes its id; 0: nowhere */
    uint64_t rseq;           /* FORKED: of the forking thread */
    bool fork_open;          /* a thread of it died inside fork: the child's words may still come */
    struct thread_sum *in_exec; /* of the thread whose stream ended inside execve; NULL: none did */
    bool exit_known;            /* exit_code and exit_signal are */
    uint8_t exit_code;          /* when exit_signal is 0 */
    uint8_t exit_signal;        /* that ended it */
    bool left;                  /* nobody looked any more, and it went on */
    uint8_t native;             /* enum event_native: why it went on unobserved; 0: it did not */
    char native_path[512];      /* as what */
    bool reaped;                /* its parent was told of its end */
    uint8_t killed;             /* enum proc_killed: by the OOM killer, victim.c */
    uint64_t begin_ps;          /* virtual time of its beginning … */
    uint64_t last_ps;           /* … and of the last thread that ended */
    struct mm_counters peak;    /* of address spaces it gave up: highest of each */
    unsigned signals;           /* FORKED: handlers the forking thread was in … */
    vaddr signal_sp[16];        /* … and their frames */
    char *argv;                 /* argv_bytes: its arguments, each with its zero; owned */
    uint32_t argv_bytes;
    uint32_t pid;           /* 0: it has not started */
    char path[512];         /* of its program's file */
    char comm[16];          /* its name */
    struct mm *mm;          /* its address space; NULL: given up */
    struct kern_proc *kern; /* its descriptors; NULL with mm */
    uint64_t handlers[65];  /* handler of each signal, 0 none */
    struct mmap_hold hold;  /* of mmap_lock, lock.c */
    struct sched_task task; /* of its last thread that ended: what exec inherits */
    struct sim_proc *next;  /* the one that began after it */
};

/* Where a thread is, sched.c. */
enum thread_state {
    THREAD_NEW,     /* nothing of it was read */
    THREAD_ON_RQ,   /* runs on its core, or waits for it */
    THREAD_IN_CALL, /* asleep, nobody knows how long */
    THREAD_WAKING,  /* asleep until its time */
};

/* A core in time, sched.c. */
struct sim_cpu {
    struct sim_thread *runs;       /* NULL: idle */
    const struct sched_task *next; /* who waits first, NULL: nobody */
    uint64_t clock_ps;             /* virtual time it was modelled up to */
    uint64_t came_ps;              /* its clock when `runs` came */
    uint64_t busy_ps;              /* time it ran somebody */
    uint64_t tick_ps;              /* busy_ps of its next tick … */
    uint64_t nmi_ps;               /* … and of its next NMI; UINT64_MAX: none comes */
    uint64_t lock_clock;           /* lock.c: clock of the thread that was fed on it last */
    bool switched;                 /* a thread was fed on it */
};

#define AWAITED_MAX 16u /* threads made whose streams have not begun */

/* The pipes of the call that a thread is in, or about to make; channel.c. */
struct channel_use {
    struct channel *from, *to; /* it reads, writes; NULL: none */
    uint64_t wanted;           /* bytes it would read at most */
    uint64_t needs;            /* it reads on when there are so many */
    uint64_t to_write, put;    /* bytes it has still to write, has written */
    uint64_t until_ns;         /* at_end: when the host told it, host_ns */
    bool blocking, whole;      /* it may sleep; its bytes are put at once or not at all */
    bool known;                /* whether it sleeps follows from who put what */
    bool waits;                /* it sleeps for that … */
    bool blocked;              /* … and its return has been seen */
    bool at_end;               /* it waits for the end of the file */
    bool child;                /* it waits for a child to end */
    const struct sim_proc
        *vfork; /* it waits for the memory it lent to that child; NULL: for none */
};

struct sim_thread {
    struct sim_proc *proc;  /* its process; the first one until a record says which */
    struct thread_sum *sum; /* what it is counted for */
    bool joined;            /* it is one of proc->threads */
    uint64_t rseq;          /* address of its restartable sequence; 0: none */
    bool rseq_shared;       /* it forked since it slept last */
    uint32_t forked;        /* call of its own whose child was made before it returned; 0: none */
    struct mmu_core *core;
    unsigned core_id;
    uint32_t serial; /* 1, 2 … in order of opening */
    uint32_t tid;
    uint32_t epoch;       /* last epoch passed */
    struct block *block;  /* running now, NULL before the first */
    uint64_t join;        /* the access word that would continue the last one, ~0: none */
    uint32_t join_bytes;  /* bytes of the access so far */
    uint64_t high;        /* bits 48..63 of the next address, with RARE_HIGH */
    uint64_t rep_line[3]; /* lines a rep instruction used last: two loaded, one stored */
    uint8_t rare;         /* RARE_…: the next access needs a closer look */
    vaddr signal_sp[16];  /* frames of handlers running, a ring */
    unsigned signals;     /* depth */
    uint64_t call_sp; /* where the block before a handler pushed a return address, 0: it did not */
    uint64_t instructions; /* retired by this thread */
    const uint64_t
        *uncounted;     /* during sim_feed: more of them, not in .instructions yet; else NULL */
    uint64_t *until;    /* during sim_feed: how many of those may come before a look at the clock */
    uint64_t raw[2];    /* pieces loaded, stored */
    uint64_t rep_extra; /* rep iterations not counted as instructions */
    uint64_t partials;  /* instructions that faulted and were not retired */
    struct sched_task task; /* what the scheduler knows of it */
    struct sim_cpu *cpu;    /* sim.cpu */
    uint64_t off_ps;        /* … and did not: asleep, waiting */
    uint64_t slept_ps;      /* its time when it fell asleep last */
    uint64_t ran_ps;        /* virtual time it ran … */
    uint64_t look_at;       /* .instructions at which the clock is looked at next, clock.c */
    uint64_t host_ns;       /* the host's clock when its last call began */
    struct channel_use uses;
    uint8_t state;     /* enum thread_state */
    bool ran;          /* it was on a core */
    bool came_on;      /* it came on its core since it was fed */
    bool slept;        /* in the call it is in, for another */
    bool let_go;       /* of that: nobody could do any more what it waited for */
    bool returned;     /* the time of the call it is in was passed: it only remains to do */
    bool counts_wrong; /* an EV_COUNTS record differed from what was modelled */
    uint64_t start[START_WORDS]; /* EV_START payload until the first block, … */
    char path[512];              /* … its program's file … */
    char comm[SIM_COMM];         /* … and what the task will be called */
    bool starting;
    struct pending_call pending;
    int verdict;       /* of the last EV_ASK: 0 or -errno */
    bool answered;     /* it was not taken yet */
    uint64_t clock;    /* modelled cycles, lock.c; while it is fed: without what it did since … */
    uint64_t fed_from; /* … the machine had so many */
    uint32_t seen;     /* call it saw begin that is not applied yet; 0: none */
    uint64_t seen_at;  /* its clock then */
    uint32_t saw;      /* last call it saw begin */
    uint64_t returned_at; /* instructions + 1 when its last call returned; 0: none did */
    struct late_fault late[LATE_MAX]; /* n_late, faults since */
    unsigned n_late;
    struct held *held;       /* ring of HELD_MAX, NULL before the first; owned */
    uint64_t n_held;         /* ever */
    uint32_t entry_bytes[4]; /* of its kernel stack: entries under way, one inside the other … */
    unsigned entries;        /* … so many */
    struct sim_thread *next,
        **link; /* list of live threads, owned by sim; what points to this one */
};

/* Cost of the areas, same index as mm's labels. */
struct area_cost {
    uint64_t accesses_slow, stlb_hits, walks, walk_cycles, faults, fault_cycles, l3_misses;
};

/* A thread of the kernel's own on a core, kthread.c. */
struct kthread {
    bool runs;    /* the rest is valid */
    bool entered; /* the core was in user mode */
    unsigned cpu; /* the core */
    struct kern_space
        *mm;          /* whose tables it borrowed from who ran there; NULL: the core was idle */
    struct payee was; /* before */
};

struct sim {
    struct conf conf;
    struct stat_set stats;
    struct phys *phys;
    struct cache l3;
    struct mmu_core *cores;              /* conf.cpu_cores */
    struct sched sched;                  /* who runs where … */
    struct sim_cpu cpu[SCHED_CORES_MAX]; /* … and when */
    uint32_t n_waking;                   /* threads that are THREAD_WAKING */
    struct arch_outbox outbox;
    struct mm_sys *mm_sys;
    struct kern *kern;
    enum kern_kpti kpti;         /* page-table isolation */
    uint64_t kernel_mode;        /* bit n: core n has the kernel's CR3; only with isolation */
    struct kern_tlb tlb;         /* ASIDs, who has which address space loaded */
    struct sim_proc *procs;      /* all processes ever, in order of their beginning */
    struct sim_proc **procs_end; /* where the next one is hung */
    uint32_t n_procs;            /* length of procs */
    struct map pids;             /* pid → the youngest process that has it */
    bool tree;                   /* children are observed, too */
    struct sim_thread *current;  /* whose words are fed, or were last; NULL: nobody's */
    struct thread_sum **sums;    /* n_sums, of all threads ever; account.c */
    size_t sums_cap;
    uint32_t n_sums;
    struct payee payee;
    uint64_t cycles_seen;        /* the machine's, up to which clocks were set; clock.c */
    struct stat_set *core_stats; /* of each core */
    struct stat_set mark;        /* stats as of the last change of payee … */
    struct stat_set others;      /* … of which this is nobody's … */
    struct stat_set coreless;    /* … and this of no core */
    struct kern_copies copies;   /* reused for every call */
    uint64_t step_cost[STEP_NR];
    uint64_t lock_cost[LOCK_NR];       /* cycles a short lock is held for a unit of work */
    struct late_fault now_late;        /* the fault under way */
    enum payer payer;                  /* of what is drained now */
    uint64_t level_cost[MEM_LEVEL_NR]; /* cycles beyond L1 */
    struct block **chunks;             /* blocks by id */
    uint32_t n_chunks, n_blocks;
    struct sim_thread *threads;
    uint32_t n_threads;    /* ever */
    uint32_t counts_wrong; /* ended threads whose plain counts differed */
    struct map marked;     /* addresses that ever handled a signal: their blocks are flagged */
    struct area_cost *areas;
    uint32_t areas_cap;
    vaddr vma_start, vma_end; /* attribution: the range last looked up … */
    uint32_t vma_label;     /* … and its label; valid until the space, or the process, changes */
    uint32_t deep;          /* recent accesses beyond L2 or with a walk, for looking ahead */
    uint64_t now_ms;        /* virtual time the kernel's threads know of */
    uint64_t oom_at_event;  /* events read when memory was out first */
    bool oom;               /* it was */
    struct kthread kthread; /* of the kernel's own, that works now */
    uint64_t oom_kills;     /* of the OOM killer that were noted */
    bool timeline;          /* moments are kept, timeline.c: */
    struct sim_moment *moments; /* n_moments; owned */
    size_t moments_cap;
    uint64_t n_moments, moments_lost;
    struct proc_order *orders; /* n_orders, not carried out yet */
    size_t orders_cap;
    uint32_t n_orders;
    char order_err[256]; /* why one was refused; "" none was */
    size_t decoder;      /* capstone handle, 0 until first used */

    /* whom the model waits for */
    struct map channels;           /* dev and ino → struct channel */
    uint32_t at_end;               /* threads that wait for the end of one */
    uint32_t expected;             /* processes made by a call whose stream has not begun */
    uint32_t awaited[AWAITED_MAX]; /* ids of threads made so; 0: none */
    bool made;                     /* a call just fed made one */
    bool woke;                     /* somebody's time came while a thread was fed */
};

static inline struct block *sim_block(const struct sim *s, uint32_t id)
{
    return &s->chunks[id >> CHUNK_LOG2][id & (CHUNK - 1)];
}

/* block.c */
/* block_decode fills info and end; cheap when done before. false if the host has no memory. */
bool block_decode(struct sim *s, struct block *b);
const struct insn_info *block_insn(struct sim *s, struct block *b, unsigned insn);
uint64_t block_insn_pc(const struct block *b, unsigned insn);
void blocks_close(struct sim *s);
/* block_edge looks at a step from one block to another that was not seen before: it learns it, or
 * finds that `from` was left in the middle (fault, self-modifying code) and takes back what did not
 * run. */
void block_edge(struct sim *s, struct sim_thread *t, struct block *from, uint32_t to_id);
/* block_handles returns the signal of a process whose handler starts at pc, or 0. */
int block_handles(const struct sim_proc *p, uint64_t pc);
void blocks_mark_handler(struct sim *s, uint64_t pc);
/* block_cut takes back the instructions of the running block that did not retire, if any. */
void block_cut(struct sim *s, struct sim_thread *t, bool divide_error);

/* access.c */
void sim_access_slow(struct sim *s, struct sim_thread *t, uint64_t addr, unsigned bytes,
                     enum access_kind kind, unsigned insn);
/* sim_copies performs and empties s->copies in kernel mode on the thread's core, for a call that returned
 * `result` (0: no call). False if one met an address that the program must not touch. */
bool sim_copies(struct sim *s, struct sim_thread *t, int64_t result);
/* sim_drain does what the outbox says and returns the cycles it cost. */
uint64_t sim_drain(struct sim *s, struct sim_thread *t);

/* entry.c */
/* entry_begin: the thread enters the kernel; nr is a system call's number. entry_end: it is back where it
 * was, in an outer entry, or in user mode; if it is to leave its core, that stays in the kernel. */
void entry_begin(struct sim *s, struct sim_thread *t, enum kern_entry e, uint64_t nr);
void entry_end(struct sim *s, struct sim_thread *t);
/* With isolation: entry_kernel_mode lets a core load the kernel's CR3, false if it has it; entry_user_mode
 * undoes it. Entries do so; whatever else is done in the kernel needs it around. */
bool entry_kernel_mode(struct sim *s, unsigned cpu);
void entry_user_mode(struct sim *s, unsigned cpu);
/* entry_window: the kernel is about to use addresses of the program, or has done. */
void entry_window(struct sim *s, unsigned cpu, bool open);
/* entry_ipi: another core interrupts this one, and what runs there, t, NULL: the idle task; in kernel mode.
 * Returns the cycles that the footprint waited. */
uint64_t entry_ipi(struct sim *s, unsigned cpu, const struct sim_thread *t);
/* entry_open: every core runs the kernel's own address space. */
void entry_open(struct sim *s);
/* entry_tick: the timer interrupts the thread, and its core is in the kernel from then on. entry_switch: it
 * comes on its core. */
void entry_tick(struct sim *s, struct sim_thread *t);
void entry_switch(struct sim *s, struct sim_thread *t);
/* entry_nmi: a non-maskable interrupt, there and back. entry_double_fault: the kernel's stack was full; what the
 * handler touches. The machine would have stopped: that the run goes on is the report's to say. */
void entry_nmi(struct sim *s, struct sim_thread *t);
void entry_double_fault(struct sim *s, unsigned cpu);
/* entry_kthread: a thread of the kernel's own comes on a core; its cycles count if it preempts another. */
void entry_kthread(struct sim *s, unsigned cpu, bool preempts);
/* entry_direct: the kernel reads or writes physical memory: through its direct map, or past the TLBs without
 * kernel.footprint. Adds the lines' cycles, not yet scaled, and returns those of translation. */
uint64_t entry_direct(struct sim *s, struct mmu_core *core, paddr a, uint64_t bytes, bool store,
                      uint64_t *ret_lines);
/* sim_thread_instructions returns what a thread has retired, also while it is fed. */
static inline uint64_t sim_thread_instructions(const struct sim_thread *t)
{
    return t->instructions + (t->uncounted ? *t->uncounted : 0);
}

/* lock.c */
void lock_feed_begin(struct sim *s, struct sim_thread *t);
void lock_feed_end(struct sim *s, struct sim_thread *t);
/* lock_thread_open, lock_thread_close: a thread that is in the list, or will leave it. */
void lock_thread_open(struct sim *s, struct sim_thread *t);
void lock_thread_close(struct sim *s, struct sim_thread *t);
/* lock_epoch: a thread tells the epoch it saw. */
void lock_epoch(struct sim *s, struct sim_thread *t, uint32_t epoch);
/* lock_returned: the thread's call returned; perhaps another's work had to be done first. */
void lock_returned(struct sim *s, struct sim_thread *t);
/* lock_message does one ARCH_LOCK that comes `spent` cycles after the outbox' first message, and
 * returns the cycles waited for it. */
uint64_t lock_message(struct sim *s, struct sim_thread *t, const struct arch_msg *m,
                      uint64_t spent);
/* lock_fault_done keeps the fault that just ended for a call that comes later, if there may be one. */
void lock_fault_done(struct sim *s, struct sim_thread *t, enum fault_kind kind,
                     struct site_cost *site, const struct area_cost *area);

/* lock_stolen: thread t lost so many cycles, which the machine has counted, to what the fed one asked for. */
void lock_stolen(struct sim *s, struct sim_thread *t, uint64_t cycles);
/* lock_not_before: the core that t came on was another's until `when` of its clock. */
void lock_not_before(struct sim *s, struct sim_thread *t, uint64_t when);

/* sched.c */
void sched_open_machine(struct sim *s);
void sched_thread_open(struct sim *s, struct sim_thread *t);
/* sched_thread_ends: its last call, or a signal, takes t into the kernel, from where it does not return. */
void sched_thread_ends(struct sim *s, const struct sim_thread *t);
void sched_thread_close(struct sim *s, struct sim_thread *t);
/* sched_time returns the virtual time of a thread, exact to the block while it is fed. */
uint64_t sched_time(const struct sim_thread *t);
/* sched_front returns the latest moment at which a thread but t is known to have run. */
uint64_t sched_front(const struct sim *s, const struct sim_thread *t);
/* sched_may_feed: the caller has words (n > 0) of t. True: it is on its core now, feed. False: it is not
 * its turn, or (THREAD_IN_CALL) it sleeps on. */
bool sched_may_feed(struct sim *s, struct sim_thread *t, const uint64_t *w, size_t n);
/* sched_asleep takes the words that tell more of the call that t is asleep in, and returns how many. */
size_t sched_asleep(struct sim *s, struct sim_thread *t, const uint64_t *w, size_t n);
void sched_feed_begin(struct sim *s, struct sim_thread *t);
void sched_feed_end(struct sim *s, struct sim_thread *t);
/* sched_until_look returns the instructions that t may run before its core's clock is looked at. */
uint64_t sched_until_look(const struct sim_thread *t);
/* sched_due_in returns after how many cycles of kernel work for t the timer interrupts it; UINT64_MAX: not in it.
 * sched_tick_inside is that tick; it returns the cycles to the next. */
uint64_t sched_due_in(struct sim *s, const struct sim_thread *t);
uint64_t sched_tick_inside(struct sim *s, struct sim_thread *t);
/* sched_ticks does the ticks that are due. sched_stays: t still has its core. */
bool sched_ticks(struct sim *s, struct sim_thread *t);
bool sched_stays(const struct sim *s, const struct sim_thread *t);
/* sched_returns looks at an EV_SYSCALL_RET (its payload): false when t slept in the call, and so is not on
 * its core now. */
bool sched_returns(struct sim *s, struct sim_thread *t, const uint64_t *p, size_t n);
/* sched_goes_on: what the last word brought about: who sleeps, who wakes. False: t has not its core any more. */
bool sched_goes_on(struct sim *s, struct sim_thread *t);
/* sched_sleeps: t, on its core, waits for another. sched_woken: that one did what it waits for, at `ps`. */
void sched_sleeps(struct sim *s, struct sim_thread *t);
void sched_woken(struct sim *s, struct sim_thread *t, uint64_t ps);
/* sched_call does what the finished call says about scheduling. */
void sched_call(struct sim *s, struct sim_thread *t);

/* channel.c */
/* channel_told reads an EV_CHANNEL. channel_begins: the call begins; t may fall asleep. */
void channel_told(struct sim *s, struct sim_thread *t, const uint64_t *p, size_t n);
void channel_begins(struct sim *s, struct sim_thread *t);
/* channel_goes_on lets a writer on a core go on writing; true: one fell asleep again. */
bool channel_goes_on(struct sim *s);
/* channel_returns: t's call returned `result`. WAITS: not yet, DONE: now, UNKNOWN: the host knows best. */
enum channel_answer { CHANNEL_UNKNOWN, CHANNEL_DONE, CHANNEL_WAITS };
enum channel_answer channel_returns(struct sim *s, struct sim_thread *t, int64_t result,
                                    uint64_t took_ns);
/* channel_done: it is over in the model, too. channel_forget: and did nothing. */
void channel_done(struct sim *s, struct sim_thread *t, int64_t result);
void channel_forget(struct sim *s, struct sim_thread *t);
/* channel_ends: at `now` somebody made a call, or ended. */
void channel_ends(struct sim *s, uint64_t now);
/* channel_let_go: nobody can do any more what t waits for. */
void channel_let_go(struct sim *s, struct sim_thread *t);
void channels_close(struct sim *s);

/* wait.c */
/* wait_begins: t's call begins; t may fall asleep for a child to end. wait_returns is its channel_returns. */
void wait_begins(struct sim *s, struct sim_thread *t);
enum channel_answer wait_returns(struct sim *s, struct sim_thread *t, int64_t result);
/* wait_vfork: if t's call, which is done, was a vfork, it sleeps until the child is gone from its memory. */
void wait_vfork(struct sim *s, struct sim_thread *t);
/* wait_executed, wait_ended: what p's parent may wait for. */
void wait_executed(struct sim *s, const struct sim_proc *p, uint64_t now);
void wait_ended(struct sim *s, const struct sim_proc *p, uint64_t now);

/* space.c */
/* space_switch loads the address space of a thread's process on its core, if it is not. */
void space_switch(struct sim *s, struct sim_thread *t);
/* space_leave: a core whose CR3 may name the tables of `m` goes on with the kernel's own. */
void space_leave(struct sim *s, unsigned cpu, const struct mm *m);
/* space_flush does what one ARCH_FLUSH_… asks for on behalf of thread t, on core `cpu`, and returns the cycles
 * that core waits. */
uint64_t space_flush(struct sim *s, struct sim_thread *t, unsigned cpu, const struct arch_msg *m);
/* space_borrow: a kernel thread comes on a core and goes on with the tables that are loaded; returns whose they
 * are, NULL: the core was idle and had borrowed them already. space_return loads them again. */
struct kern_space *space_borrow(struct sim *s, unsigned cpu);
void space_return(struct sim *s, unsigned cpu, struct kern_space *x);
void spaces_close(struct sim *s);
/* space_audit: 0, or what mmu_audit says, for all that any core holds of any space; 7: I1 … I5 of
 * kern/tlb.c. */
int space_audit(const struct sim *s);

/* timeline.c: what is kept if it was asked for. A slice; an instant of a thread. */
void timeline_ran(struct sim *s, const struct sim_thread *t, unsigned core, uint64_t from_ps,
                  uint64_t to_ps);
void timeline_at(struct sim *s, const struct sim_thread *t, enum sim_moment_kind kind,
                 uint64_t what, unsigned detail);
/* An instant of a core: of the thread that runs there, or of nobody. */
void timeline_core(struct sim *s, unsigned core, enum sim_moment_kind kind);

/* order.c */
/* sim_clock runs what waits for this moment of a thread that enters the kernel: the kernel's own
 * threads, and orders. */
void sim_clock(struct sim *s, struct sim_thread *t);

/* control.c */
/* control_complete returns the words of the record at w if all are there (n available), else 0. */
size_t control_complete(const uint64_t *w, size_t n);
/* control_signal_frame decides, from the stack pointer at a handler's start, whether it was delivered
 * a signal or just called, and performs the kernel's write of the frame. */
void control_signal_frame(struct sim *s, struct sim_thread *t, uint64_t sp);
/* control_word handles one complete control record. Returns false if it is an address-space call
 * that may not be applied yet. */
bool control_word(struct sim *s, struct sim_thread *t, const uint64_t *w, bool ordered);
/* control_makes_process says whether a call that succeeds makes a process, not a thread. */
bool control_makes_process(const struct kern_call *c);
/* control_is_ordered says whether the call `nr` that the thread is in changes the address space or
 * copies it: it has a number (EV_EPOCH) and a place among the calls of the other threads. */
bool control_is_ordered(const struct sim_thread *t, uint64_t nr);
/* control_comm: what a task is called that executes a file of this path (fs/exec.c begin_new_exec). */
void control_comm(char comm[SIM_COMM], const char *path);
/* control_first_block does the program's exec once its first instruction is known. */
void control_first_block(struct sim *s, struct sim_thread *t, uint64_t pc);

/* victim.c */
/* victims_die notes what the OOM killer did; with kernel.oom_kill_guest whom it chose is dead from now on. */
void victims_die(struct sim *s);
/* is_victim: its process is one. A stream of which nothing was read belongs to nobody yet (proc.c I1). */
static inline bool is_victim(const struct sim_thread *t)
{
    return t->proc->killed != KILLED_NOT && t->joined;
}
/* victim_skip takes the words of a thread of one, and returns how many: none is modelled. */
size_t victim_skip(struct sim *s, struct sim_thread *t, const uint64_t *w, size_t n);

/* kthread.c */
/* kthread_task does one ARCH_TASK of thread t's outbox: from now on it works, or one of the kernel's own threads. */
void kthread_task(struct sim *s, struct sim_thread *t, const struct arch_msg *m);

/* attrib.c */
struct site_cost *attrib_site(const struct sim *s, struct block *b, unsigned insn);
/* attrib_area finds the area of an address of the process whose thread is fed. */
struct area_cost *attrib_area(struct sim *s, vaddr a);
/* attrib_forget: the address space may have changed. */
static inline void attrib_forget(struct sim *s)
{
    s->vma_end = s->vma_start;
}

/* account.c */
/* account_open makes the sum of a thread that begins, and counts it. */
void account_open(struct sim *s, struct sim_thread *t);
void accounts_close(struct sim *s);
/* clock_cycles returns the machine's modelled cycles until now; `fed`: the thread that is fed, if one is. */
uint64_t clock_cycles(const struct sim *s, const struct sim_thread *fed);
/* clock_look: what was counted since the last look is time of the payee's core. */
void clock_look(struct sim *s);
/* clock_look_next looks, and says when t's hot path has to: t->look_at. */
void clock_look_next(struct sim *s, struct sim_thread *t);
/* clock_enter: t enters the kernel; a tick that is due comes before its next block. */
void clock_enter(struct sim *s, struct sim_thread *t);

/* account lets a thread and its core be counted for what is added from now on; NULL: nobody. account_core: a
 * core, and the thread that runs there; it returns who was before, for account_back. */
void account(struct sim *s, struct sim_thread *payee);
struct payee account_core(struct sim *s, unsigned core);
void account_back(struct sim *s, struct payee was);
/* account_proc adds up the threads of a process. Up to date after account. */
void account_proc(const struct sim *s, const struct sim_proc *p, struct stat_set *ret);
int account_audit(struct sim *s);

/* proc.c */
/* procs_open makes the first process, with an empty address space. 0 or -ENOMEM. */
int procs_open(struct sim *s);
void procs_close(struct sim *s);
/* proc_start, proc_forked, proc_thread: the first record of a stream says whose it is (EV_START, EV_FORK,
 * EV_THREAD_START of process `pid`). */
void proc_start(struct sim *s, struct sim_thread *t, const uint64_t *start);
void proc_forked(struct sim *s, struct sim_thread *t, const uint64_t *fork);
void proc_thread(struct sim *s, struct sim_thread *t, uint32_t pid);
/* proc_begins returns the virtual time at which a stream begins whose first words are w. proc_left_task:
 * whose nice value, policy and cores it inherits, if that task is no longer there; or NULL. */
uint64_t proc_begins(const struct sim *s, const uint64_t *w, size_t n);
const struct sched_task *proc_left_task(const struct sim *s, const uint64_t *w, size_t n);
/* proc_exec: the process of t begins a program, in an empty address space of its own. True if it never
 * had another, and no task yet. */
bool proc_exec(struct sim *s, struct sim_thread *t);
/* proc_fork: the call of t returned the child `pid`. */
void proc_fork(struct sim *s, struct sim_thread *t, uint32_t pid);
/* proc_thread_made: the call of t returned the new thread `tid`. */
void proc_thread_made(struct sim *s, const struct sim_thread *t, uint32_t tid);
/* proc_reaped: a call of process `by` told it of that child's end. */
void proc_reaped(struct sim *s, const struct sim_proc *by, uint32_t pid);
/* proc_status: what waitpid told of a process: how it ended. */
void proc_status(struct sim_proc *p, int status);
/* proc_set_argv keeps a copy of the arguments, each with its zero. */
void proc_set_argv(struct sim_proc *p, const char *text, uint32_t bytes);
/* proc_left: the stream of t ends. */
void proc_left(struct sim *s, struct sim_thread *t);
/* proc_find returns the process that has that pid, or NULL. */
struct sim_proc *proc_find(const struct sim *s, uint32_t pid);
/* proc_switch lets what follows be the work of thread t: "current", and the space of its core. */
void proc_switch(struct sim *s, struct sim_thread *t);

#endif
