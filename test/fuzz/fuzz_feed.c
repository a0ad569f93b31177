/* fuzz_feed: everything the simulator takes from a front end: blocks, accesses, control records and their
 * payloads. Byte 0: how many blocks; they follow; the rest is words, taken in turns by two threads.
 *
 * Whatever comes, the machine stays sound: its audits hold, no more is consumed than was given, and
 * the result can be read. */
#include "event/ring.h"
#include "fuzz/fuzz.h"
#include "sim/sim.h"

#include <sys/syscall.h>

static void add_blocks(struct sim *s, struct fuzz_bytes *in)
{
    _Alignas(8) uint8_t record[256];
    struct ring_block *r = (struct ring_block *)(void *)record;
    for (uint32_t n = (uint32_t)fuzz_take(in, 1) % 16, id = 0; id < n / 2; id++) {
        fuzz_block_record(in, r);
        ASSERT(sim_add_block(s, n & 1 ? 2 * id : id, r) == 0); /* with holes, and without */
    }
}

/* feed gives all words to a thread; what it cannot take (a record cut off) is left out. */
static void feed(struct sim *s, struct sim_thread *t, const uint64_t *w, size_t n)
{
    enum sim_stop stop = SIM_LATER;
    unsigned idle = 0;
    for (size_t at = 0; at < n && stop != SIM_ALL;) {
        size_t took = sim_feed(s, t, w + at, n - at, stop == SIM_ORDER, &stop);
        ASSERT(took <= n - at);
        at += took;
        idle = took > 0 ? 0 : idle + 1;
        ASSERT(idle < 16); /* what is not taken now is taken soon */
    }
}

static void read_result(struct sim *s)
{
    struct sim_process p;
    uint32_t n;
    free(sim_sites(s, &n));
    free(sim_areas(s, &n));
    sim_process(s, &p);
    ASSERT(memchr(p.path, '\0', sizeof p.path));
    ASSERT(sim_audit(s) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes in = {data, size};
    uint64_t words[FUZZ_MAX / 8];
    struct sim *s = fuzz_sim();
    struct sim_thread *t[2] = {sim_thread_open(s), sim_thread_open(s)};
    add_blocks(s, &in);
    size_t n = min_u64(in.left / 8, ARRAY_LEN(words));
    memcpy(words, in.at, n * 8);
    feed(s, t[0], words, n);
    feed(s, t[1], words + n / 2, n - n / 2);
    read_result(s);
    sim_thread_close(s, t[0]);
    sim_thread_close(s, t[1]);
    read_result(s);
    sim_close(s);
    return 0;
}

#define LOAD(at, insn)  event_access(FUZZ_DATA + (at), insn, 3, false)
#define STORE(at, insn) event_access(FUZZ_DATA + (at), insn, 3, true)
#define CALL(nr, a, b, c, d, e, f, result, ...)                                                    \
    event_control(EV_SYSCALL, 8), nr, a, b, c, d, e, f, 0,                                         \
        __VA_ARGS__ event_control(EV_SYSCALL_RET, 3), nr, (uint64_t)(result), 5
#define PATH_WORDS 4, 0x687361622f
/* Two blocks: mov (rdi),rax; jmp rax  and  rep movsb. */
static const char blocks[] = "\4\1\0\0\2\1\x48\x8b\x07\xff\xe0\0\0\1\1\xf3\xa4";

static size_t start_seed(uint8_t *buf)
{
    const uint64_t words[] = {
        event_control(EV_START, START_WORDS + 4),
        EV_VERSION,
        7, /* pid, tid, ppid */
        7,
        1,
        0x555555554000, /* bias, entry, code, stack */
        0x401000,
        0x400000,
        0x402000,
        0x7ffffffff000,
        0x7fffff7ff000,
        0,
        1, /* arguments, environment, limit, ids */
        8,
        1,
        8,
        8 << 20,
        0,
        0,
        PATH_WORDS,
        0,
        event_block(0),
        LOAD(0, 0),
        event_block(1),
        STORE(8, 0),
        event_block(1),
        STORE(16, 0),
    };
    return fuzz_copy_seed(buf, words, sizeof words);
}
static size_t call_seed(uint8_t *buf)
{
    const uint64_t words[] = {
        event_control(EV_THREAD_START, 3),
        7,
        8,
        0,
        event_block(0),
        LOAD(0x2ffc, 0),
        CALL(SYS_mmap, 0, 0x4000, 3, 0x22, (uint64_t)-1, 0, 0x7ffff7ff0000, ),
        CALL(SYS_write, 1, FUZZ_DATA, 100, 0, 0, 0, 100, ),
        CALL(SYS_writev, 1, FUZZ_DATA, 1, 0, 0, 0, 16, event_control(EV_IOVEC, 4), 1, 1,
             FUZZ_DATA + 64, 16, ),
        CALL(SYS_recvmsg, 3, FUZZ_DATA, 0, 0, 0, 0, 8, event_control(EV_BYTES, 9), FUZZ_DATA, 56,
             FUZZ_DATA + 256, 16, FUZZ_DATA + 512, 1, FUZZ_DATA + 1024, 64, 0, ),
        CALL(SYS_mbind, FUZZ_DATA, 0x4000, 2, FUZZ_DATA, 8, 0, 0, event_control(EV_BYTES, 3),
             FUZZ_DATA, 8, 1, ),
        CALL(SYS_munmap, FUZZ_DATA, 0x1000, 0, 0, 0, 0, 0, ),
    };
    return fuzz_copy_seed(buf, words, sizeof words);
}
static size_t signal_seed(uint8_t *buf)
{
    const uint64_t words[] = {
        event_control(EV_THREAD_START, 3),
        7,
        8,
        0,
        CALL(SYS_rt_sigaction, 11, FUZZ_DATA, 0, 8, 0, 0, 0, event_control(EV_SIGACTION, 3), 11,
             FUZZ_CODE + 256, 0, ),
        event_block(0),
        LOAD(0, 0),
        event_block(1),
        STORE(0x100, 0),
        CALL(SYS_rt_sigreturn, 0, 0, 0, 0, 0, 0, 0, ),
        event_high(UINT64_C(0xfff0) << 48),
        event_access(0x10, 0, 6, true),
        CALL(SYS_brk, 0x700000, 0, 0, 0, 0, 0, 0x700000, ),
        event_control(EV_EPOCH, 1),
        3,
        event_control(EV_COUNTS, 3),
        4,
        2,
        1,
        event_control(EV_SYSCALL, 8),
        SYS_exit_group,
        3,
        0,
        0,
        0,
        0,
        0,
        0,
        event_control(EV_EXIT, 1),
        3,
        event_control(EV_THREAD_EXIT, 1),
        8,
    };
    return fuzz_copy_seed(buf, words, sizeof words);
}
static size_t file_seed(uint8_t *buf)
{
    const uint64_t words[] = {
        event_control(EV_THREAD_START, 3),
        7,
        8,
        0,
        CALL(SYS_mmap, 0, 0x4000, 1, 2, 3, 0, 0x7ffff7fe0000, event_control(EV_FILE, 8), 3, 1, 2,
             0x5000, 0100644, 0, 4, 0x687361622f, ),
        CALL(SYS_mremap, 0x7ffff7fe0000, 0x4000, 0x8000, 1, 0, 0, 0x7ffff7fe0000, ),
        CALL(SYS_madvise, FUZZ_DATA, 0x10000, 4, 0, 0, 0, 0, ),
        CALL(SYS_move_pages, 0, 1, FUZZ_DATA, FUZZ_DATA + 64, FUZZ_DATA + 128, 2, 0,
             event_control(EV_BYTES, 3), FUZZ_DATA, 8, FUZZ_DATA, event_control(EV_BYTES, 3),
             FUZZ_DATA + 64, 4, 0, ),
        CALL(SYS_mprotect, FUZZ_DATA, 0x8000, 1, 0, 0, 0, 0, ),
        CALL(SYS_clone, 0x50f00, 0, 0, 0, 0, 0, 9, ),
    };
    return fuzz_copy_seed(buf, words, sizeof words);
}

size_t fuzz_seed(unsigned nth, uint8_t *buf)
{
    size_t n = fuzz_copy_seed(buf, blocks, sizeof blocks - 1);
    switch (nth) {
    case 0:
        return n + start_seed(buf + n);
    case 1:
        return n + call_seed(buf + n);
    case 2:
        return n + signal_seed(buf + n);
    case 3:
        return n + file_seed(buf + n);
    default:
        return 0;
    }
}
