/* kern_int.h: what the files of kern share. */
#ifndef KERN_KERN_INT_H
#define KERN_KERN_INT_H

#include "base/map.h"
#include "kern/kern.h"
#include "kern/layout.h"
#include "kern/stack.h"

#include <sys/syscall.h>

#ifndef SYS_mseal
#define SYS_mseal 462 /* 6.10 */
#endif
#define KERN_TASK_SIZE     UINT64_C(0x7ffffffff000) /* end of user space, 4 levels */
#define KERN_COPY_MAX      UINT64_C(0x7ffff000)     /* MAX_RW_COUNT of read and write */
#define KERN_SLAB_ORDER    3                        /* the task_struct slab: 32 KiB */
#define KERN_TASKS_IN_SLAB 3                        /* objects of about 10 KiB in it */

/* One thread as the modelled kernel holds it. */
struct kern_task {
    uint32_t tid;
    const struct kern_proc *proc; /* whose */
    uint32_t slab;                /* index of the slab its task structure lies in */
    uint32_t slot;                /* and which object of it */
    vaddr clear_child_tid;        /* of user memory, zeroed when it ends; 0: none */
    vaddr robust_list;            /* head of its list of robust futexes; 0: none */
    struct kern_stack stack;
};

/* A thread that clone told of and that has not begun. */
struct kern_born {
    uint32_t tid; /* 0: nobody */
    vaddr clear_child_tid;
};
#define KERN_BORN_MAX 16u

/* A slab of task structures. */
struct kern_slab {
    pfn first;     /* PFN_NONE: not allocated, the record may be used again */
    uint32_t used; /* bit i: object i is taken */
};

/* An open descriptor of a memfd, or of another file in memory without a name. */
struct kern_fd {
    uint32_t fd;
    bool mapped;       /* dev and ino are known, from a call that named the file */
    bool cloexec;      /* FD_CLOEXEC */
    uint64_t object;   /* the same in every descriptor of one file; counted up from 1 */
    uint64_t dev, ino; /* what the model knows the file by */
};

/* What the threads of a process share: its descriptors. */
struct kern_proc {
    struct kern_fd *fd; /* n_fd are valid, in no order */
    uint32_t n_fd, cap_fd;
    struct map opened; /* descriptor → number of its open file description, twice, + FD_CLOEXEC */
    struct kern_proc *next; /* another process of the machine */
};

struct kern {
    const struct conf *conf;
    struct phys *phys;
    struct mm_sys *sys;
    struct stat_set *stats;
    struct arch_outbox *outbox;
    struct kern_layout layout; /* the kernel's own address space */
    struct kern_stacks stacks;
    unsigned cpu;           /* that runs now */
    struct kern_task *task; /* n_task are valid, in no order */
    uint32_t n_task, cap_task;
    uint32_t last_task;                   /* index of the one looked for last */
    struct kern_born born[KERN_BORN_MAX]; /* a ring … */
    uint32_t n_born;                      /* … of so many ever */
    struct kern_slab *slab;               /* n_slab records */
    uint32_t n_slab, cap_slab;
    struct kern_proc *procs;   /* all that live */
    struct kern_proc *current; /* who makes the calls */
    uint64_t last_object;      /* number last given out */
    uint64_t last_opened;      /* the same of open file descriptions */
};

/* -- elf.c: the parts of an ELF file exec looks at, checked. */
struct elf_seg { /* one PT_LOAD */
    uint64_t vaddr, offset, filesz, memsz;
    uint32_t flags; /* PF_R, PF_W, PF_X */
};
struct elf {
    uint16_t type;       /* ET_EXEC or ET_DYN */
    uint64_t entry;      /* as in the file, without load bias */
    struct elf_seg *seg; /* n_seg, malloc'd */
    uint32_t n_seg;
    bool exec_stack; /* PT_GNU_STACK asks for an executable stack */
    bool has_interp;
    char interp[4096]; /* path of the ELF interpreter */
    uint64_t dev, ino, size;
};
/* elf_read reads and checks the headers. -errno of open, -ENOEXEC: not a usable ELF file. */
int elf_read(struct elf *e, const char *path);
void elf_close(struct elf *e);
/* elf_span returns the bytes from the first to the last mapped byte, from a page boundary on, and
 * stores that boundary: total_mapping_size(). */
uint64_t elf_span(const struct elf *e, uint64_t *ret_start);

/* -- uaccess.c: the list of copies. */
/* copies_add appends one stretch; empty ones are dropped, one that wraps is cut. */
void copies_add(struct kern_copies *c, uint64_t addr, uint64_t bytes, bool store);
/* copies_add_by is copies_add with another routine than copy_from_user and copy_to_user. */
void copies_add_by(struct kern_copies *c, enum kern_routine routine, uint64_t addr, uint64_t bytes,
                   bool store);
/* mul_sat multiplies and stays at the top instead of wrapping. */
uint64_t mul_sat(uint64_t a, uint64_t b);
/* grow makes room for one more element: returns the array, dies when the host has no memory. */
void *kern_grow(void *array, uint32_t n, uint32_t *cap, size_t size);

/* -- shared.c: System V segments, and how long memory without a name lives. 1: the space changed. */
int shared_apply(struct kern *k, struct mm *m, const struct kern_call *call);

/* fds_close closes a range of descriptors of the current process; with `only_cloexec` those marked so. */
void fds_close(struct kern *k, uint32_t first, uint32_t last, bool only_cloexec);

/* opened_apply follows open, dup and close; opened_id returns the number of a descriptor's open file
 * description: two descriptors have the same if one is a dup of the other. */
void opened_apply(struct kern *k, const struct kern_call *call);
uint64_t opened_id(struct kern *k, int fd);

/* -- task.c: task_of finds a thread, or NULL; the last one asked for is looked at first. */
struct kern_task *task_of(struct kern *k, uint32_t tid);

/* -- exit.c: tid_apply follows calls that say what a thread leaves behind. tid_expected returns, once, what clone
 * said of a thread that begins now: its clear_child_tid. */
void tid_apply(struct kern *k, const struct kern_call *call);
vaddr tid_expected(struct kern *k, uint32_t tid);

/* -- task.c: tasks_exit ends all threads of a process; de_thread all but one, which has that id then. */
void tasks_exit(struct kern *k, const struct kern_proc *p);
void de_thread(struct kern *k, const struct kern_proc *p, uint32_t tid);

/* -- process.c */
void kern_procs_close(struct kern *k);

/* -- filecall.c: calls that write a file back, or take parts out of it. */
void filecall_apply(struct kern *k, const struct kern_call *call);

/* -- extcall.c: keys, seals, limits, advice by descriptor. 1: the space changed. */
/* splices_in: vmsplice into a pipe, which takes the pages as they are and copies nothing. One that failed with
 * EFAULT looked for the bad one. */
bool splices_in(const struct kern_call *c);
int extcall_apply(struct kern *k, struct mm *m, const struct kern_call *call);

/* -- memcall.c: memory calls applied to the address space. 1: the space may have changed. */
int memcall_apply(struct kern *k, struct mm *m, const struct kern_call *call);
/* memcall_ask, shared_ask: kern_ask of mmap and of shmget. */
int memcall_ask(struct kern *k, struct mm *m, const struct kern_call *call);
int shared_ask(struct kern *k, struct mm *m, const struct kern_call *call);

/* -- numacall.c: NUMA calls. numacall_is names them; 1: the space, or where its pages lie, may have
 * changed. */
bool numacall_is(uint64_t nr);
int numacall_apply(struct kern *k, struct mm *m, const struct kern_call *call);

#endif
