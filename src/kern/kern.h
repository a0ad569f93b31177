/* kern.h: the modelled kernel's boundary: exec, system calls, signals, copies to and from user
 * memory. It turns what the front end saw into calls of mm and into user copies, which sim performs
 * on the hardware (each touched page may fault, in kernel mode, and is then handled by mm).
 *
 *   EV_SYSCALL_RET ─► kern_syscall ─► mm_mmap, mm_brk …          (the address space changes)
 *                                 └─► list of struct kern_copy  (user memory the kernel touches)
 */
#ifndef KERN_KERN_H
#define KERN_KERN_H

#include "mm/mm.h"

/* With what the kernel touches user memory; extable.c has the instructions. */
enum kern_routine {
    KERN_COPY_FROM,    /* copy_from_user */
    KERN_COPY_TO,      /* copy_to_user */
    KERN_GET_USER,     /* get_user */
    KERN_PUT_USER,     /* put_user */
    KERN_FROM_ITER,    /* copy_from_iter: what is written to files */
    KERN_TO_ITER,      /* copy_to_iter: what is read of them */
    KERN_IOVEC,        /* copy_iovec_from_user */
    KERN_STRNCPY,      /* strncpy_from_user */
    KERN_SIGSET,       /* get_sigset_argpack of pselect */
    KERN_FUTEX,        /* the word of a futex */
    KERN_SIGNAL_FRAME, /* the frame of a signal */
};

/* What a bad address in a copy means for the copies behind it, when the call returns EFAULT. */
enum kern_copy_rule {
    COPY_ENDS,    /* they are not made, but for COPY_LAST */
    COPY_FIRST,   /* the call returns at once: none is made */
    COPY_GOES_ON, /* they are made */
    COPY_LAST,    /* made at the end in any case, and a bad address here is no error */
};
/* How far a call came with its copies; all zero at first. */
struct kern_copy_run {
    bool bad;   /* one met a bad address, and that is an error */
    bool ended; /* only COPY_LAST is still made */
    bool over;  /* none is */
};

/* One stretch of user memory the kernel reads or writes for a call. */
struct kern_copy {
    vaddr addr;
    uint64_t bytes;
    bool store;
    bool named_only; /* the range is checked (kern_access_ok), not touched */
    uint8_t routine; /* enum kern_routine */
    uint8_t rule;    /* enum kern_copy_rule */
};
struct kern_copies {
    struct kern_copy *copy; /* grows; n entries are valid */
    uint32_t n, cap;
};

/* A file behind a descriptor at the time of the call, from EV_FILE. */
struct kern_file {
    bool present;
    int fd;
    uint64_t dev, ino, size;
    uint32_t mode;       /* st_mode */
    uint32_t open_flags; /* O_ACCMODE bits as F_GETFL gives them */
    uint32_t huge_log;   /* log2 of the page size of a file of huge pages, else 0 */
    char path[512];
};

struct kern_iovec {
    uint64_t base, len;
};

/* One finished system call as the program saw it. */
struct kern_call {
    uint64_t nr, arg[6];
    uint32_t tid; /* of the caller; 0: not known */
    int64_t result;
    bool asked;                   /* kern_ask has answered for it */
    struct kern_file file;        /* .present when the front end sent it */
    const struct kern_iovec *iov; /* the iovec contents, n_iov entries, or NULL */
    uint32_t n_iov;
    uint32_t iov_arg;     /* which argument held it */
    const uint8_t *bytes; /* contents of a pointed-to argument, or NULL */
    uint64_t bytes_addr, n_bytes;
    const uint8_t *earlier; /* the same of an argument told before that one, or NULL */
    uint64_t earlier_addr, n_earlier;
};

struct kern;      /* one per machine; knows the tasks */
struct kern_proc; /* one per process: its descriptors */

/* kern_open boots the kernel: its own address space and stacks are built in phys (NULL: it has no memory,
 * and no threads), whose upper half the spaces of sys (NULL: none) share. 0 or -ENOMEM. */
int kern_open(struct kern **ret, const struct conf *conf, struct phys *phys, struct mm_sys *sys,
              struct stat_set *stats, struct arch_outbox *outbox);
void kern_close(struct kern *k);

/* -- processes (process.c). The first one is there from kern_open on.
 * kern_switch lets a process make the calls that follow; kern_current returns it. */
void kern_switch(struct kern *k, struct kern_proc *p);
struct kern_proc *kern_current(const struct kern *k);
/* kern_proc_new makes a process without descriptors, kern_proc_fork a child of the current one with its
 * descriptors and a task `tid`. NULL without memory of the host. */
struct kern_proc *kern_proc_new(struct kern *k);
struct kern_proc *kern_proc_fork(struct kern *k, uint32_t tid);
/* kern_schedule_tail: what a new task writes first: its id at `child_tid`, and what it runs on into its
 * restartable sequence at `rseq`; 0: none. */
void kern_schedule_tail(vaddr child_tid, vaddr rseq, struct kern_copies *copies);
/* kern_proc_exec: the current process begins another program, as its only thread `tid`: descriptors
 * with FD_CLOEXEC are closed. */
void kern_proc_exec(struct kern *k, uint32_t tid);
/* kern_proc_exit ends a process: its descriptors are closed, its tasks freed, p with them. The current
 * process is then none: kern_switch comes before the next call. */
void kern_proc_exit(struct kern *k, struct kern_proc *p);

/* kern_access_ok: is the range the program's to name? Else the copy fails without an access. */
bool kern_access_ok(const struct kern *k, vaddr a, uint64_t bytes);
/* kern_user_address is what a routine does with an address before it uses it: mask it, or refuse (false). */
bool kern_user_address(const struct kern *k, enum kern_routine routine, uint64_t bytes, vaddr *a);
/* kern_insn returns the instruction with which a routine touches user memory (offset in the kernel's text). */
uint64_t kern_insn(enum kern_routine routine);
/* fixup_exception: mm called a fault of an instruction a bad area. Returns the one that touches user memory
 * next, 0: none, the copy is over. What is in no table is an oops, and counted. */
uint64_t fixup_exception(struct kern *k, uint64_t insn);
/* kern_copy_made says whether the next copy of a call is made; kern_copy_bad, that it met a bad
 * address, in a call that returned `result`. */
bool kern_copy_made(const struct kern_copy_run *run, const struct kern_copy *c);
void kern_copy_bad(struct kern_copy_run *run, const struct kern_copy *c, int64_t result);
/* kern_outcome_agrees says whether a call's result goes with what its copies met: `bad` when one of
 * them ended at an address the program must not touch. */
bool kern_outcome_agrees(const struct kern_call *call, bool bad);

/* kern_copies_close frees the array; the list is empty and usable again. */
void kern_copies_close(struct kern_copies *c);

/* What exec needs to know of the new program, from EV_START and the launcher. */
struct kern_exec {
    const char *path;              /* of the ELF file, as opened */
    uint64_t argc, envc;           /* counts */
    uint64_t arg_bytes, env_bytes; /* of the strings, final zeros included */
    uint64_t load_bias;            /* of the main program, where the emulator really put it */
    uint64_t interp_base; /* of the ELF interpreter; 0: not known, found on its first block */
    uint64_t stack_top, stack_limit; /* highest and lowest address of the real stack */
    uint64_t stack_rlimit;           /* RLIMIT_STACK, bytes */
};
/* kern_exec replaces the address space: VMAs from the ELF headers of program and interpreter, the
 * growing stack, vvar and vdso, brk; and lists in `copies` the user memory Linux touches on the way
 * (argument strings, auxiliary vector, padzero). 0 or -errno (not an ELF file, unreadable). */
int kern_exec(struct kern *k, struct mm *m, const struct kern_exec *e, struct kern_copies *copies);
/* kern_interp_base returns where the ELF interpreter of a program lies, given the address of the
 * first instruction executed: that is the interpreter's entry. 0 for a program without interpreter,
 * and when the file or its interpreter cannot be read. */
uint64_t kern_interp_base(const char *path, uint64_t first_pc);

/* kern_syscall applies one finished call. Appends to copies what the kernel touched. Counts
 * divergence.syscall_answer where Linux would have answered a memory call otherwise than the
 * program was told. Returns 0, or 1 when the call was a memory call that changed the space. */
int kern_syscall(struct kern *k, struct mm *m, const struct kern_call *call,
                 struct kern_copies *copies);

/* kern_ask says, before a call is made, what Linux would answer to its wish for pages of a pool: 0, or
 * -errno, which the program then gets. */
int kern_ask(struct kern *k, struct mm *m, const struct kern_call *call);

/* kern_task_new adds a thread: kernel stack and task structure are allocated. -ENOMEM when none. */
int kern_task_new(struct kern *k, uint32_t tid);
void kern_task_exit(struct kern *k, uint32_t tid);
/* kern_mm_release: what an ending thread does to user memory: its robust list is looked through, and, while
 * others use the address space (shared), its id is cleared for who waits for that. */
void kern_mm_release(struct kern *k, uint32_t tid, bool shared, struct kern_copies *copies);
/* kern_set_cpu says which CPU the kernel runs on from now on. */
void kern_set_cpu(struct kern *k, unsigned cpu);

/* kern_signal_place returns the stack pointer a handler starts with when a signal interrupts a
 * program (not on an alternate stack) whose stack pointer is `sp`. */
vaddr kern_signal_place(vaddr sp);
/* kern_signal: delivery of a signal to a handler that starts with the stack pointer `frame`: the
 * kernel writes the signal frame, which begins there. */
void kern_signal(struct kern *k, vaddr frame, struct kern_copies *copies);
/* kern_sigreturn: the kernel reads the frame back. (kern_syscall counts the call itself.) */
void kern_sigreturn(struct kern *k, vaddr frame, struct kern_copies *copies);

/* kern_call_may_sleep says whether a task may leave its core to sleep in the call. */
bool kern_call_may_sleep(const struct kern_call *c);
/* kern_call_name returns the name of an x86-64 system call, or NULL. */
const char *kern_call_name(uint64_t nr);
/* kern_call_is_memory says whether the call changes an address space (and so is ordered by epochs). */
bool kern_call_is_memory(uint64_t nr);

#endif
