/* pagewalk-qemu.c: a QEMU plugin that makes events and nothing else.
 *
 *   translate: block ─► table ─► id         callbacks get the id / the instruction's number
 *   execute:   on_block ─► BLOCK word, head published
 *              on_load, on_store ─► ACCESS word
 *   calls:     calls.c
 *
 * Arguments: fd=N (the region, a memfd; closed here), stack=BYTES (what QEMU was told with -s); of a
 * program that was executed: limit=, most= (RLIMIT_STACK, as that program's caller had set it), skip=BYTES
 * (of QEMU's path before the one that was executed), kept=N (a
 * descriptor through which QEMU opened the program; closed here); comm=NAME of the program's task.
 *
 * Invariants:
 *  I1  The guest sees no descriptor, no name, no output of ours; without RING_F_TREE a forked child
 *      inherits no part of the region (MADV_DONTFORK) and writes nothing.
 *  I2  An instruction that QEMU took back out of a block is not in its record (see insn.h).
 *  I3  The fast way of an access is one compare for space and high addresses and one store.
 *
 * Source: the plugin interface as in qemu_api.h; event words as in event/event.h.
 */
#include "answer.h"
#include "blocks.h"
#include "calls.h"
#include "exec.h"
#include "fork.h"
#include "insn.h"
#include "pools.h"
#include "qemu_api.h"
#include "quiet.h"
#include "sigframe.h"
#include "start.h"
#include "writer.h"

#include "event/qemu.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNLIKELY(x) __builtin_expect(!!(x), 0)

int qemu_plugin_version = 1;
static int api;              /* version that the loading QEMU speaks */
static uint64_t stack_size;  /* argument stack= */
static int kept_fd;          /* argument kept= */
static int path_skip;        /* argument skip=; -1: the launcher started us */
static char comm[QEMU_COMM]; /* argument comm=, "": not told */
static bool started;         /* EV_START is out */
static pthread_mutex_t translating = PTHREAD_MUTEX_INITIALIZER;

/* -- execution: the hot path ---------------------------------------------------------------------- */

/* ready makes sure that the calling thread has a stream; false when it is not observed. */
static __attribute__((noinline)) bool ready(void)
{
    if (self.slot)
        return true;
    if (self.tid == UINT32_MAX)
        return false;
    if (!region || !writer_open())
        return writer_forget(), false;
    if (fork_put(&self))
        return true;
    writer_put(&self, event_control(EV_THREAD_START, 3));
    writer_put(&self, (uint64_t)getpid());
    writer_put(&self, self.tid);
    writer_put(&self, writer_now());
    return true;
}

static __attribute__((noinline)) void block_slow(uint64_t word)
{
    if (!ready())
        return;
    writer_block(&self);
    *self.next++ = word;
    writer_publish(&self);
}

/* on_block: about 12 instructions. */
static void on_block(unsigned vcpu, void *udata)
{
    struct writer *w = &self;
    uint64_t word = (uint64_t)udata;

    (void)vcpu;
    if (UNLIKELY(w->next >= w->soft) ||
        UNLIKELY(w->epoch != atomic_load_explicit(&space_epoch, memory_order_relaxed))) {
        block_slow(word);
        return;
    }
    *w->next++ = word;
    writer_publish(w);
}

/* access_slow: no space left, or an address that needs a HIGH word, or nothing observed. */
static __attribute__((noinline)) void access_slow(uint64_t word, uint64_t addr)
{
    if (self.suspended)
        return;
    if (self.watched && event_is_store(word))
        fork_stored(addr, 1u << event_log2_size(word));
    if (!self.slot)
        return;
    if (event_needs_high(addr))
        writer_put(&self, event_high(addr));
    writer_put(&self, word | (addr & EV_ADDR_MASK));
}

/* put_access: about 10 instructions. `what` is all of the word but the address. */
static inline __attribute__((always_inline)) void put_access(uint64_t what, uint64_t addr)
{
    struct writer *w = &self;

    if (UNLIKELY(w->next == w->end) || UNLIKELY(addr >> 47)) { /* I3 */
        access_slow(what, addr);
        return;
    }
    *w->next++ = what | addr;
}

static void on_access_any(unsigned vcpu, uint32_t info, uint64_t addr, void *udata);
static qemu_mem_cb access_cb = on_access_any;

#define INFO_LOAD  ((uint32_t)QEMU_MEM_R << 16)
#define INFO_STORE ((uint32_t)QEMU_MEM_W << 16)
static bool is_update(uint32_t info)
{
    return (info & (INFO_LOAD | INFO_STORE)) == (INFO_LOAD | INFO_STORE);
}

static uintptr_t qemu_text, qemu_text_bytes; /* QEMU's own code */

/* One callback serves loads and stores: QEMU 7.2 stops at the first callback of the wrong kind when
 * a helper accesses memory (plugins/core.c: qemu_plugin_vcpu_mem_cb), so two would lose events.
 *
 * on_access reads `info` itself: log2 of the size in bits 4..6, store in bit 17 in every QEMU so
 * far (include/exec/memopidx.h, plugins/api.c). info_is_known tries that when the plugin loads;
 * should it have moved, on_access_any asks QEMU each time. */
static void on_access(unsigned vcpu, uint32_t info, uint64_t addr, void *udata)
{
    uint64_t bits = info & 0x20070;

    (void)vcpu;
    bits |= bits >> 10; /* the store bit beside the size; the old one leaves at the top */
    put_access((uint64_t)udata | bits << (EV_SIZE_SHIFT - 4), addr);
}

/* on_helper_access serves instructions whose accesses may come from a helper. Beside other threads
 * an atomic update is one call with both bits of loads and stores (accel/tcg/atomic_template.h). */
static void on_helper_access(unsigned vcpu, uint32_t info, uint64_t addr, void *udata)
{
    if (is_update(info))
        access_cb(vcpu, info & ~INFO_STORE, addr, udata);
    access_cb(vcpu, info, addr, udata);
}

/* on_last_access serves the last instruction of a block. QEMU 7.2 leaves its callbacks armed after the
 * block when it ends in a jump through a helper, and the FXSAVE of a signal frame, done by QEMU in
 * the kernel's place, then runs into them (accel/tcg/plugin-gen.c: plugin_gen_disable_mem_helpers).
 * A plain instruction accesses memory in translated code only, so a call from QEMU's own code is
 * such a stray: nothing counts until the next block. */
static __attribute__((noinline)) void on_last_access(unsigned vcpu, uint32_t info, uint64_t addr,
                                                     void *udata)
{
    if (UNLIKELY((uintptr_t)__builtin_return_address(0) - qemu_text < qemu_text_bytes)) {
        if (self.slot && !self.suspended)
            writer_suspend(&self);
        return;
    }
    access_cb(vcpu, info, addr, udata);
}

static void on_access_any(unsigned vcpu, uint32_t info, uint64_t addr, void *udata)
{
    uint64_t what = (uint64_t)udata;

    (void)vcpu;
    what |= (uint64_t)(qemu_plugin_mem_size_shift(info) & 7) << EV_SIZE_SHIFT;
    what |= (uint64_t)qemu_plugin_mem_is_store(info) << EV_STORE_SHIFT;
    put_access(what, addr);
}

/* With RING_F_COUNTS two more callbacks count beside the stream, knowing nothing of it. */
static void count_insn(unsigned vcpu, void *udata)
{
    (void)vcpu, (void)udata;
    self.insns++;
}
static void count_access(unsigned vcpu, uint32_t info, uint64_t addr, void *udata)
{
    (void)vcpu, (void)addr, (void)udata;
    if (self.suspended)
        return;
    self.stores += qemu_plugin_mem_is_store(info);
    self.loads += is_update(info) || !qemu_plugin_mem_is_store(info);
}

/* -- translation ---------------------------------------------------------------------------------- */

static bool info_is_known(void)
{
    for (uint32_t info = 0; info < 0x1000; info++)
        for (uint32_t rw = QEMU_MEM_R; rw <= QEMU_MEM_W; rw++)
            if (qemu_plugin_mem_size_shift(info | rw << 16) != (info >> 4 & 7) ||
                qemu_plugin_mem_is_store(info | rw << 16) != (rw == QEMU_MEM_W))
                return false;
    return true;
}

/* insn_bytes copies the raw bytes of an instruction. */
static void insn_bytes(const struct qemu_plugin_insn *insn, uint8_t *to, size_t n)
{
    void *data = (void *)qemu_plugin_insn_data;
    qemu_insn_data_1 get = (qemu_insn_data_1)data;
    qemu_insn_data_3 copy = (qemu_insn_data_3)data;

    if (api >= 3)
        copy(insn, to, n);
    else
        memcpy(to, get(insn), n);
}

/* taken_back says whether QEMU took this instruction back out of its block (I2). */
static bool taken_back(const struct qemu_plugin_insn *insn)
{
    size_t n = qemu_plugin_insn_size(insn);
    uint8_t code[16];

    if ((qemu_plugin_insn_vaddr(insn) & 4095) + 15 <= 4096 || n > sizeof code)
        return false;
    insn_bytes(insn, code, n);
    return insn_length(code, (unsigned)n) == 0;
}

static bool is_plain(const struct qemu_plugin_insn *insn)
{
    size_t n = qemu_plugin_insn_size(insn);
    uint8_t code[16];

    if (n > sizeof code)
        return false;
    insn_bytes(insn, code, n);
    return insn_is_plain(code, (unsigned)n);
}

static unsigned insn_count(const struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);

    if (n > 1 && taken_back(qemu_plugin_tb_get_insn(tb, n - 1)))
        n--;
    return n < BLOCK_INSNS_MAX ? (unsigned)n : BLOCK_INSNS_MAX;
}

static void draft(const struct qemu_plugin_tb *tb, struct block_draft *d)
{
    d->pc = qemu_plugin_tb_vaddr(tb);
    d->insns = insn_count(tb);
    d->code_bytes = 0;
    for (unsigned i = 0; i < d->insns; i++) {
        const struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        size_t n = qemu_plugin_insn_size(insn);

        n = n < 15 ? n : 15;
        d->lengths[i] = (uint8_t)n;
        insn_bytes(insn, d->code + d->code_bytes, n);
        d->code_bytes += (unsigned)n;
    }
}

static void watch_insn(struct qemu_plugin_insn *insn, unsigned number, bool last)
{
    qemu_mem_cb cb = !is_plain(insn) ? on_helper_access : last ? on_last_access : access_cb;
    void *what = (void *)((uint64_t)number << EV_INSN_SHIFT);

    qemu_plugin_register_vcpu_mem_cb(insn, cb, QEMU_CB_NO_REGS, QEMU_MEM_RW, what);
    if (!(region->flags & RING_F_COUNTS))
        return;
    qemu_plugin_register_vcpu_insn_exec_cb(insn, count_insn, QEMU_CB_NO_REGS, NULL);
    qemu_plugin_register_vcpu_mem_cb(insn, count_access, QEMU_CB_NO_REGS, QEMU_MEM_RW, NULL);
}

/* watch_stores: of a child that is not observed, only what it stores for a parent in vfork matters. */
static void watch_stores(struct qemu_plugin_tb *tb)
{
    for (unsigned i = 0, n = insn_count(tb); self.watched && i < n; i++)
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), access_cb, QEMU_CB_NO_REGS,
                                         QEMU_MEM_RW, NULL);
}

/* first_words opens the first thread's stream: it must be EV_START that it begins with. */
static void first_words(void)
{
    if (started)
        return;
    started = true;
    start_ignore_signals();
    writer_open();
    start_put(stack_size, path_skip < 0 ? 0 : (unsigned)path_skip, path_skip >= 0, comm);
    exec_close_kept(kept_fd);
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
    static struct block_draft d; /* under the lock */
    uint32_t block;
    unsigned insns;
    bool ok;

    (void)id;
    if (!region) {
        watch_stores(tb);
        return;
    }
    pthread_mutex_lock(&translating);
    first_words();
    draft(tb, &d);
    insns = d.insns;
    ok = blocks_id(&d, &block);
    pthread_mutex_unlock(&translating);
    if (!ok) {
        writer_stop(RING_E_TABLE);
        return;
    }
    sigframe_watch(tb);
    answer_watch(tb);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_CB_NO_REGS, (void *)event_block(block));
    for (unsigned i = 0; i < insns; i++)
        watch_insn(qemu_plugin_tb_get_insn(tb, i), i, i + 1 == insns);
}

/* -- calls and processes -------------------------------------------------------------------------- */
static void on_syscall(uint64_t id, unsigned vcpu, int64_t num, uint64_t a1, uint64_t a2,
                       uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    const uint64_t args[6] = {a1, a2, a3, a4, a5, a6};

    (void)id, (void)vcpu, (void)a7, (void)a8;
    answer_none();
    if (self.slot)
        calls_enter(num, args);
    else
        calls_unobserved(num, args);
    answer_enter(num, a1);
}

static void on_syscall_ret(uint64_t id, unsigned vcpu, int64_t num, int64_t ret)
{
    (void)id, (void)vcpu;
    ret = answer_of(ret);
    if (self.slot)
        calls_return(num, ret);
    else
        calls_unobserved_return(num, ret);
}

/* in_child runs in a forked child, whose only thread is this one. */
static void in_child(void)
{
    pthread_mutex_init(&translating, NULL);
    calls_child();
    fork_child();
}

/* -- loading -------------------------------------------------------------------------------------- */

/* Before QEMU reads qemu_plugin_version: the newest one that both sides know, see qemu_api.h. */
static __attribute__((constructor)) void choose_version(void)
{
    static const char *const first[] = {
        "qemu_plugin_scoreboard_new", "qemu_plugin_register_vcpu_tb_exec_cond_cb",
        "qemu_plugin_read_memory_vaddr", "qemu_plugin_write_memory_vaddr"};

    for (int i = 0; i < 4 && dlsym(RTLD_DEFAULT, first[i]); i++)
        qemu_plugin_version = i + 2;
}

/* argument returns the number after "name=" in the plugin's arguments; else what it is without. */
static int64_t argument(int argc, char **argv, const char *name, int64_t without)
{
    size_t n = strlen(name);

    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=')
            return strtoll(argv[i] + n + 1, NULL, 10);
    return without;
}

/* note_comm keeps the name of the program's task, the last of the arguments, and gives it to this thread, the
 * program's first: QEMU's is of no interest to who looks at /proc. */
static void note_comm(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "comm=", 5) == 0)
            qemu_comm(comm, argv[i] + 5);
    if (comm[0])
        prctl(PR_SET_NAME, comm);
}

/* stack_limit_of: RLIMIT_STACK of the program, which an earlier program may have set for it. */
static struct rlimit stack_limit_of(int argc, char **argv)
{
    struct rlimit given = {RLIM_INFINITY, RLIM_INFINITY};

    getrlimit(RLIMIT_STACK, &given);
    return (struct rlimit){(rlim_t)argument(argc, argv, "limit", (int64_t)given.rlim_cur),
                           (rlim_t)argument(argc, argv, "most", (int64_t)given.rlim_max)};
}

/* find_text stores where the code of the main program, QEMU, lies. */
static int find_text(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

        if (ph->p_type == PT_LOAD && ph->p_flags & PF_X) {
            qemu_text = info->dlpi_addr + ph->p_vaddr;
            qemu_text_bytes = ph->p_memsz;
        }
    }
    return 1; /* the first object is the main program */
}

/* map_region maps the descriptor's memory and closes it. */
static struct ring_region *map_region(int fd)
{
    struct ring_region *r = mmap(NULL, sizeof *r, PROT_READ, MAP_SHARED, fd, 0);
    uint64_t bytes;

    if (r == MAP_FAILED || r->magic != RING_MAGIC)
        return NULL;
    bytes = r->region_bytes;
    munmap(r, sizeof *r);
    r = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    close(fd);
    if (r == MAP_FAILED)
        return NULL;
    madvise(r, bytes, MADV_DONTDUMP);
    return r;
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
    struct ring_region *r;

    if (info->system_emulation || strcmp(info->target_name, "x86_64") != 0)
        return -1;
    r = map_region((int)argument(argc, argv, "fd", -1));
    if (!r)
        return -1;
    writer_attach(r);
    api = info->version.cur;
    stack_size = (uint64_t)argument(argc, argv, "stack", 0);
    kept_fd = (int)argument(argc, argv, "kept", -1);
    path_skip = (int)argument(argc, argv, "skip", -1);
    exec_open(stack_limit_of(argc, argv));
    if (info_is_known())
        access_cb = on_access;
    dl_iterate_phdr(find_text, NULL);
    note_comm(argc, argv);
    start_note_signals();
    sigframe_open(api);
    answer_open(api);
    quiet_open();
    if (region->flags & RING_F_POOLS)
        pools_open();
    pthread_atfork(NULL, NULL, in_child);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    qemu_plugin_register_vcpu_syscall_ret_cb(id, on_syscall_ret);
    return 0;
}
