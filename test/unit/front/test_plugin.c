/* links: front event base */
/* The plugin's own decisions, on hand-made blocks: what is a block, and which accesses are the
 * program's. */
#include "fake_qemu.h"
#include "fake_sim.h"
#include "front/front_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <cmocka.h>

#define LOAD_8 (3u << 4 | 1u << 16)
#define UPDATE (3u << 4 | 3u << 16)

static struct region shared;
static const uint64_t *words; /* of slot 0 */

static int set_up(void **state)
{
    (void)state;
    if (region_open(&shared, 0) != 0)
        return -1;
    shared.ring->consumer_pid = (uint32_t)getppid();
    writer_attach(shared.ring);
    words = region_words(&shared, 0);
    self = (struct writer){0};
    started = true;
    api = 1;
    access_cb = on_access;
    qemu_text_bytes = 0;
    return words ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    region_unmap_words(words);
    region_close(&shared);
    return 0;
}

/* put_insn appends an instruction to a block. */
static void put_insn(struct qemu_plugin_tb *tb, uint64_t pc, const void *code, size_t n)
{
    struct qemu_plugin_insn *i = &tb->insn[tb->n++];

    *i = (struct qemu_plugin_insn){.pc = pc, .size = n};
    memcpy(i->code, code, n);
}

static const struct ring_block *record(uint32_t id)
{
    const char *base = (const char *)shared.ring;
    uint32_t at = ((const uint32_t *)(const void *)(base + shared.ring->index_offset))[id];

    assert_int_not_equal(at, 0);
    return (const void *)(base + shared.ring->table_offset + (at - 1) * 8ull);
}

static void enter(struct qemu_plugin_tb *tb)
{
    tb->exec_cb(0, tb->exec_udata);
}
static void touch(struct qemu_plugin_tb *tb, unsigned insn, uint32_t info, uint64_t addr)
{
    tb->insn[insn].mem_cb[0](0, info, addr, tb->insn[insn].mem_udata[0]);
}
static uint64_t written(void)
{
    writer_publish(&self);
    return atomic_load(&shared.ring->slot[0].head);
}
/* load_block: mov (%rax),%rax at pc, then ret. */
static void load_block(struct qemu_plugin_tb *tb, uint64_t pc)
{
    *tb = (struct qemu_plugin_tb){.n = 0};
    put_insn(tb, pc, "\x48\x8b\x00", 3);
    put_insn(tb, pc + 3, "\xc3", 1);
    on_translate(0, tb);
}

static void the_same_code_has_one_id_and_changed_code_another(void **state)
{
    struct qemu_plugin_tb a, b;

    (void)state;
    load_block(&a, 0x1000);
    load_block(&b, 0x1000);
    assert_ptr_equal(a.exec_udata, b.exec_udata);
    assert_int_equal(atomic_load(&shared.ring->blocks), 1);
    load_block(&b, 0x2000);
    assert_int_equal(atomic_load(&shared.ring->blocks), 2);
    b = (struct qemu_plugin_tb){.n = 0};
    put_insn(&b, 0x1000, "\x48\x8b\x01", 3);
    put_insn(&b, 0x1003, "\xc3", 1);
    on_translate(0, &b);
    assert_int_equal(atomic_load(&shared.ring->blocks), 3);
    assert_int_equal(record(2)->pc, 0x1000);
    assert_memory_equal(record(2)->data, "\3\1\x48\x8b\x01\xc3", 6);
}

static void an_instruction_cut_off_by_a_page_is_not_in_its_block(void **state)
{
    struct qemu_plugin_tb tb = {.n = 0};

    (void)state;
    put_insn(&tb, 0x1ffb, "\x48\x8b\x00", 3);
    put_insn(&tb, 0x1ffe, "\x48\x8b", 2); /* its ModRM lies in the next page */
    on_translate(0, &tb);
    assert_int_equal(record(0)->insns, 1);
    assert_int_equal(record(0)->code_bytes, 3);
    assert_int_equal(tb.insn[1].mem_cbs, 0);
}

static void a_whole_instruction_at_a_pages_end_stays(void **state)
{
    struct qemu_plugin_tb tb = {.n = 0};

    (void)state;
    put_insn(&tb, 0x1ffa, "\x48\x8b\x00", 3);
    put_insn(&tb, 0x1ffd, "\x48\x8b\x00", 3);
    on_translate(0, &tb);
    assert_int_equal(record(0)->insns, 2);
}

static void a_long_table_keeps_its_ids(void **state)
{
    struct qemu_plugin_tb tb;
    void *first[2000];

    (void)state;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 20000; i++) {
            load_block(&tb, 0x10000 + 16 * i);
            assert_int_equal((uint32_t)(uintptr_t)tb.exec_udata, i);
            if (i < 2000 && round == 0)
                first[i] = tb.exec_udata;
            else if (i < 2000)
                assert_ptr_equal(first[i], tb.exec_udata);
        }
    assert_int_equal(atomic_load(&shared.ring->blocks), 20000);
}

/* All processes share the table: what one has added another finds, and of two that come at the same
 * time each has an id that is right. */
static void processes_that_add_the_same_blocks_share_them(void **state)
{
    enum { BLOCKS = 3000, PROCESSES = 4 };
    struct qemu_plugin_tb tb;
    pid_t pid[PROCESSES];

    (void)state;
    for (unsigned p = 0; p < PROCESSES; p++) {
        pid[p] = fork();
        for (unsigned i = 0; pid[p] == 0 && i < BLOCKS; i++)
            load_block(&tb, 0x10000 + 16 * i);
        if (pid[p] == 0)
            _exit(0);
    }
    for (unsigned p = 0; p < PROCESSES; p++)
        assert_int_equal(waitpid(pid[p], NULL, 0), pid[p]);
    assert_in_range(atomic_load(&shared.ring->blocks), BLOCKS, BLOCKS * PROCESSES);
    for (unsigned i = 0; i < BLOCKS; i++) {
        uint32_t before = atomic_load(&shared.ring->blocks);

        load_block(&tb, 0x10000 + 16 * i);
        assert_int_equal(atomic_load(&shared.ring->blocks), before);
        assert_int_equal(record((uint32_t)(uintptr_t)tb.exec_udata)->pc, 0x10000 + 16 * i);
    }
}

/* A producer killed at any point hurts nobody: what it had taken is a hole, what it had written is
 * whole or not there. */
static void a_process_killed_while_it_adds_leaves_the_table_sound(void **state)
{
    struct qemu_plugin_tb tb;

    (void)state;
    for (unsigned round = 0; round < 40; round++) {
        pid_t pid = fork();

        for (uint64_t pc = 0x10000; pid == 0; pc += 16)
            load_block(&tb, pc % 0x800000);
        nanosleep(&(struct timespec){0, 200000 + round * 7000}, NULL);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        load_block(&tb, 0x900000 + 16 * round);
        assert_int_equal(record((uint32_t)(uintptr_t)tb.exec_udata)->pc, 0x900000 + 16 * round);
    }
    for (uint32_t id = 0; id < atomic_load(&shared.ring->blocks); id++)
        if (atomic_load(index_at(id)))
            assert_memory_equal(record(id)->data, "\3\1\x48\x8b\x00\xc3", 6);
}

static void code_beyond_the_table_has_no_id(void **state)
{
    struct qemu_plugin_tb tb;

    (void)state;
    load_block(&tb, 0x1000);
    atomic_store(&shared.ring->blocks, RING_BLOCK_MAX);
    load_block(&tb, 0x1000); /* what is known stays known */
    assert_non_null(tb.exec_cb);
    load_block(&tb, 0x2000);
    assert_null(tb.exec_cb);
    assert_int_equal(atomic_load(&shared.ring->error), RING_E_TABLE);
}

static void an_atomic_update_is_a_load_then_a_store(void **state)
{
    struct qemu_plugin_tb tb = {.n = 0};
    uint64_t at;

    (void)state;
    put_insn(&tb, 0x1000, "\xf0\x48\xff\x00", 4); /* lock incq (%rax) */
    put_insn(&tb, 0x1004, "\xc3", 1);
    on_translate(0, &tb);
    enter(&tb);
    at = written();
    touch(&tb, 0, UPDATE, 0x5000);
    assert_int_equal(written(), at + 2);
    assert_int_equal(words[at], event_access(0x5000, 0, 3, false));
    assert_int_equal(words[at + 1], event_access(0x5000, 0, 3, true));
}

static void a_high_address_takes_two_words(void **state)
{
    struct qemu_plugin_tb tb;
    uint64_t at;

    (void)state;
    load_block(&tb, 0x1000);
    enter(&tb);
    at = written();
    touch(&tb, 0, LOAD_8, 0x0123456789abcdef);
    assert_int_equal(written(), at + 2);
    assert_int_equal(words[at], event_high(0x0123456789abcdef));
    assert_int_equal(words[at + 1] & EV_ADDR_MASK, 0x456789abcdef);
    touch(&tb, 0, LOAD_8, UINT64_C(0xffffffffff600000)); /* sign-extends: one word */
    assert_int_equal(written(), at + 3);
}

static void accesses_inside_a_call_are_dropped(void **state)
{
    const uint64_t args[6] = {0};
    struct qemu_plugin_tb tb;
    uint64_t at;

    (void)state;
    load_block(&tb, 0x1000);
    enter(&tb);
    calls_enter(SYS_getpid, args);
    at = written();
    touch(&tb, 0, LOAD_8, 0x5000);
    assert_int_equal(written(), at);
    calls_return(SYS_getpid, 1);
    assert_int_equal(written(), at + 5);
    touch(&tb, 0, LOAD_8, 0x5000);
    assert_int_equal(written(), at + 6);
}

static void accesses_of_qemu_itself_are_dropped_until_the_next_block(void **state)
{
    struct qemu_plugin_tb tb;
    uint64_t at;

    (void)state;
    load_block(&tb, 0x1000);
    enter(&tb);
    at = written();
    touch(&tb, 1, LOAD_8, 0x5000); /* the return's own load, from translated code */
    assert_int_equal(written(), at + 1);
    dl_iterate_phdr(find_text, NULL); /* from here on this test is "QEMU's code" */
    touch(&tb, 1, LOAD_8, 0x6000);
    touch(&tb, 1, LOAD_8, 0x6008);
    assert_int_equal(written(), at + 1);
    enter(&tb);
    touch(&tb, 0, LOAD_8, 0x7000);
    assert_int_equal(written(), at + 3);
    assert_int_equal(words[at + 2], event_access(0x7000, 0, 3, false));
}

static void a_forked_child_writes_nothing(void **state)
{
    struct qemu_plugin_tb tb, in_the_child;
    uint64_t at;
    int status;
    pid_t pid;

    (void)state;
    load_block(&tb, 0x1000);
    enter(&tb);
    at = written();
    pid = fork();
    if (pid == 0) {
        in_child();
        enter(&tb);
        touch(&tb, 0, LOAD_8, 0x5000);
        in_the_child = (struct qemu_plugin_tb){.n = 0};
        put_insn(&in_the_child, 0x9000, "\xc3", 1);
        on_translate(0, &in_the_child);
        _exit(in_the_child.exec_cb != NULL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(written(), at);
    assert_int_equal(atomic_load(&shared.ring->blocks), 1);
}

/* -- observed children ------------------------------------------------------------------------------ */
static int set_up_tree(void **state)
{
    int err = set_up(state);

    shared.ring->flags |= RING_F_TREE;
    madvise(shared.ring, shared.ring->region_bytes, MADV_DOFORK);
    writer_attach(shared.ring);
    return err;
}

static const uint64_t *words_of(unsigned slot)
{
    return (const uint64_t *)(const void *)((const char *)shared.ring + shared.ring->words_offset) +
           slot * RING_WORDS;
}

/* in_a_child runs `body` as QEMU's fork of a system call does, and returns its status. */
static int in_a_child(uint64_t num, const uint64_t args[6], void (*body)(struct qemu_plugin_tb *),
                      struct qemu_plugin_tb *tb)
{
    int status;
    pid_t pid;

    calls_enter((int64_t)num, args);
    pid = fork();
    if (pid == 0) {
        in_child();
        body(tb);
        _exit(0);
    }
    calls_return((int64_t)num, pid);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(atomic_load(&shared.ring->slot[1].pid), pid);
    return status;
}

static void enter_and_load(struct qemu_plugin_tb *tb)
{
    enter(tb);
    touch(tb, 0, LOAD_8, 0x5000);
    writer_publish(&self);
}

static void a_forked_child_begins_a_stream_of_its_own(void **state)
{
    const uint64_t none[6] = {0}, munmap_args[6] = {0x1000, 0x1000}, *w = words_of(1);
    struct qemu_plugin_tb tb;
    struct ring_slot *slot;

    (void)state;
    load_block(&tb, 0x1000);
    enter(&tb);
    calls_enter(SYS_munmap, munmap_args); /* call 1; the fork is call 2 */
    calls_return(SYS_munmap, 0);
    assert_int_equal(in_a_child(SYS_fork, none, enter_and_load, &tb), 0);
    slot = &shared.ring->slot[1];
    assert_int_equal(atomic_load(&slot->state), RING_LIVE);
    assert_int_equal(atomic_load(&slot->head), 1 + FORK_WORDS + 2);
    assert_int_equal(w[0], event_control(EV_FORK, FORK_WORDS));
    assert_int_equal(w[1 + FORK_PID], atomic_load(&slot->pid));
    assert_int_equal(w[1 + FORK_TID], atomic_load(&slot->pid));
    assert_int_equal(w[1 + FORK_PPID], getpid());
    assert_int_equal(w[1 + FORK_PTID], gettid());
    assert_int_equal(w[1 + FORK_CALL], 2);
    assert_int_equal(w[1 + FORK_FLAGS], SIGCHLD);
    assert_int_equal(w[1 + FORK_WORDS], (uint64_t)(uintptr_t)tb.exec_udata);
    assert_int_equal(atomic_load(&space_epoch), 4);
    assert_int_equal(atomic_load(&shared.ring->unfollowed), 0);
}

static unsigned char here[2 * 4096] __attribute__((aligned(4096)));

static void store_and_exit(struct qemu_plugin_tb *tb)
{
    const uint64_t args[6] = {7};

    enter(tb);
    memset(here, 'c', sizeof here);
    touch(tb, 0, 3u << 4 | 2u << 16, (uintptr_t)here + 4092); /* eight bytes over the edge */
    touch(tb, 1, 0u << 4 | 2u << 16, (uintptr_t)here + 10);   /* one */
    calls_enter(SYS_exit_group, args);
}

/* vfork(2): the parent goes on when the child has gone, and sees what it stored. Only what it stored: the
 * parent's other threads may have stored beside it. */
static void what_the_child_of_a_vfork_stores_is_stored_in_the_parent(void **state)
{
    const uint64_t clone_args[6] = {CLONE_VM | CLONE_VFORK | SIGCHLD};
    struct qemu_plugin_tb tb;

    (void)state;
    load_block(&tb, 0x1000);
    enter(&tb);
    memset(here, 'p', sizeof here);
    assert_int_equal(in_a_child(SYS_clone, clone_args, store_and_exit, &tb), 0);
    for (unsigned i = 0; i < sizeof here; i++)
        assert_int_equal(here[i], i == 10 || (i >= 4092 && i < 4100) ? 'c' : 'p');
    assert_int_equal(words_of(1)[1 + FORK_FLAGS], CLONE_VM | CLONE_VFORK | SIGCHLD);
    assert_int_equal(atomic_load(&shared.ring->slot[1].state), RING_DONE);
    assert_int_equal(atomic_load(&shared.ring->slot[0].in_call), 0);
}

static void die(struct qemu_plugin_tb *tb)
{
    enter(tb);
    memset(here, 'c', sizeof here);
    touch(tb, 0, 3u << 4 | 2u << 16, (uintptr_t)here);
    raise(SIGKILL);
}

static void the_parent_of_a_vfork_goes_on_when_the_child_is_killed(void **state)
{
    const uint64_t none[6] = {0};
    struct qemu_plugin_tb tb;

    (void)state;
    load_block(&tb, 0x1000);
    enter(&tb);
    memset(here, 'p', sizeof here);
    assert_int_equal(in_a_child(SYS_vfork, none, die, &tb), SIGKILL);
    assert_int_equal(here[0], 'p'); /* a child that is killed cannot tell */
}

/* -- what an executed program is given -------------------------------------------------------------- */
static void variables_that_act_on_qemu_are_hidden_from_it_and_given_back(void **state)
{
    static const char *const given[] = {
        "LD_PRELOAD=x", "QEMU_STRACE=", "G_SLICE=1", "HOME=/", "LDX=1", "=", "", "\xc3\xa9=1"};
    static const bool hidden[] = {true, true, true, false, false, false, false, false};
    char text[32];

    (void)state;
    for (unsigned i = 0; i < sizeof given / sizeof *given; i++) {
        snprintf(text, sizeof text, "%s", given[i]);
        mask(text);
        assert_int_equal(strcmp(text, given[i]) != 0, hidden[i]);
        exec_unmask(text);
        assert_string_equal(text, given[i]);
    }
}

static void the_stack_limit_is_the_one_the_program_set_last(void **state)
{
    const uint64_t limit[2] = {1 << 20, 1 << 21};
    const uint64_t set[6] = {RLIMIT_STACK, (uintptr_t)limit},
                   other[6] = {RLIMIT_CORE, (uintptr_t)limit}, nowhere[6] = {RLIMIT_STACK, 8},
                   by_pid[6] = {1, RLIMIT_STACK, (uintptr_t)limit};

    (void)state;
    stack_limit = (struct rlimit){8 << 20, RLIM_INFINITY};
    exec_noted(SYS_setrlimit, other, 0);
    exec_noted(SYS_setrlimit, nowhere, 0);
    exec_noted(SYS_setrlimit, set, -EPERM);
    exec_noted(SYS_prlimit64, by_pid, 0);
    assert_int_equal(exec_stack_limit().rlim_cur, 8 << 20);
    exec_noted(SYS_setrlimit, set, 0);
    assert_int_equal(exec_stack_limit().rlim_cur, 1 << 20);
    assert_int_equal(exec_stack_limit().rlim_max, 1 << 21);
    assert_int_equal(qemu_stack_bytes(stack_limit.rlim_cur), 1 << 20);
}

/* -- the door ---------------------------------------------------------------------------------------- */
static int descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* knock_at asks from a child, and returns whether the region came. */
static bool knock_at(struct door *door)
{
    int status = 0;
    pid_t pid;

    shared.ring->consumer_fd = 1000; /* as if /proc were another's */
    pid = fork();
    if (pid == 0)
        _exit(door_fetch() >= 0);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        door_poll(door, &shared);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return WEXITSTATUS(status);
}

static void the_door_gives_the_region_to_who_has_the_key(void **state)
{
    struct door door;
    int before = descriptors();

    (void)state;
    door_open(&door, shared.ring);
    assert_true(knock_at(&door));
    assert_int_equal(door.guests, 0);
    door_close(&door);
    assert_int_equal(descriptors(), before);
}

static void without_the_key_the_door_stays_closed(void **state)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n;
    struct door door;
    char byte;
    int s = socket(AF_UNIX, SOCK_SEQPACKET, 0);

    (void)state;
    door_open(&door, shared.ring);
    n = strlen(shared.ring->door);
    memcpy(to.sun_path + 1, shared.ring->door, n);
    assert_int_equal(connect(s, (void *)&to, (socklen_t)(sizeof to.sun_family + 1 + n)), 0);
    door_poll(&door, &shared);
    assert_int_equal(door.guests, 1); /* it has said nothing yet */
    assert_int_equal(send(s, "0123456789abcdef", RING_KEY, 0), RING_KEY);
    door_poll(&door, &shared);
    assert_int_equal(door.guests, 0);
    assert_int_equal(recv(s, &byte, 1, 0), 0);
    close(s);
    door_close(&door);
}

static void without_proc_or_door_there_is_no_region_to_hand_down(void **state)
{
    (void)state;
    shared.ring->door[0] = 0;
    shared.ring->consumer_fd = 1000;
    assert_int_equal(door_fetch(), -1);
    shared.ring->consumer_fd = 0; /* something else */
    assert_int_equal(door_fetch(), -1);
    shared.ring->consumer_pid = (uint32_t)getpid();
    shared.ring->consumer_fd = (uint32_t)shared.fd;
    assert_true(door_fetch() >= 0);
}

/* -- frames of signals ------------------------------------------------------------------------------ */
#define FRAME_WORDS (MOVED / 8)

/* qemu_frame makes the registers with which QEMU 7.2 enters a handler, the frame at `at`. */
static void qemu_frame(uint64_t *at, uint64_t regs[8])
{
    memset(regs, 0, 8 * sizeof *regs);
    for (unsigned i = 0; i < FRAME_WORDS; i++)
        at[i] = 1000 + i;
    regs[RSP] = (uintptr_t)at;
    regs[RDX] = regs[RSP] + 8;
    regs[RSI] = regs[RDX] + UC_BYTES;
    regs[RDI] = SIGUSR1;
}

static void a_frame_off_the_abi_moves_with_the_pointers_into_it(void **state)
{
    _Alignas(16) uint64_t memory[2 + FRAME_WORDS + 1] = {0}, *at = memory + 2;
    uint64_t regs[8], again[8];

    (void)state;
    qemu_frame(at, regs);
    at[FRAME_WORDS] = 7; /* the floating-point state begins here */
    repair_frame(regs);
    assert_int_equal(regs[RSP], (uintptr_t)at - 8);
    assert_int_equal(regs[RSP] % 16, 8);
    assert_int_equal(regs[RDX], regs[RSP] + 8);
    assert_int_equal(regs[RSI], regs[RDX] + UC_BYTES);
    for (unsigned i = 0; i < FRAME_WORDS; i++)
        assert_int_equal(at[(int)i - 1], 1000 + i);
    assert_int_equal(at[FRAME_WORDS], 7);
    assert_int_equal(memory[0], 0);
    memcpy(again, regs, sizeof regs);
    repair_frame(again);
    assert_memory_equal(again, regs, sizeof regs);
}

static void what_is_no_entry_of_a_handler_is_left_alone(void **state)
{
    _Alignas(16) uint64_t memory[2 + FRAME_WORDS], *at = memory + 2;
    static const unsigned who[] = {RSP, RDX, RSI, RDI};
    uint64_t regs[8], before[8];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        qemu_frame(at, regs);
        regs[who[i]] += who[i] == RDI ? 64 : 16;
        memcpy(before, regs, sizeof regs);
        repair_frame(regs);
        assert_memory_equal(regs, before, sizeof regs);
        assert_int_equal(at[0], 1000);
    }
}

static void blocks_that_begin_a_handler_are_watched(void **state)
{
    struct kernel_action {
        uint64_t handler, flags;
    } act = {0x401000, 0}, none = {1, 0};
    struct qemu_plugin_tb tb = {.n = 1, .insn[0].pc = 0x401000};

    (void)state;
    sigframe_open(1);
    sigframe_watch(&tb);
    assert_null(tb.exec_cb);
    sigframe_noted((uint64_t[6]){SIGUSR1, (uintptr_t)&act});
    sigframe_noted((uint64_t[6]){SIGUSR2, (uintptr_t)&none});
    sigframe_watch(&tb);
    assert_non_null(tb.exec_cb);
    tb = (struct qemu_plugin_tb){.n = 1, .insn[0].pc = 1};
    sigframe_watch(&tb);
    assert_null(tb.exec_cb);
    for (uint64_t i = 0; i < 2 * HANDLERS_MAX; i++) { /* more than there is room for */
        act.handler = 0x500000 + 16 * i;
        sigframe_noted((uint64_t[6]){SIGUSR1, (uintptr_t)&act});
    }
    tb.insn[0].pc = 0x401000;
    sigframe_open(2); /* a QEMU that makes no such frames */
    sigframe_watch(&tb);
    assert_null(tb.exec_cb);
}

static void an_answer_is_told_once_in_the_place_of_enosys(void **state)
{
    int64_t regs[1] = {-ENOSYS};

    (void)state;
    answer_open(1);
    assert_int_equal(answer_of(-ENOSYS), -ENOSYS); /* there is none */
    answer_is(-ENOENT);
    assert_int_equal(answer_of(-EACCES), -EACCES); /* QEMU knows the call */
    answer_none();
    tell_answer(regs);
    assert_int_equal(regs[0], -ENOSYS);
    answer_is(-ENOENT);
    assert_int_equal(answer_of(-ENOSYS), -ENOENT);
    tell_answer(regs);
    assert_int_equal(regs[0], -ENOENT);
    regs[0] = -ENOSYS;
    tell_answer(regs);
    assert_int_equal(regs[0], -ENOSYS);
    answer_is(-ENOENT);
    answer_of(-ENOSYS);
    regs[0] = 5; /* something else has been done */
    tell_answer(regs);
    assert_int_equal(regs[0], 5);
    answer_is(-ENOENT);
    answer_of(-ENOSYS);
    answer_none(); /* a handler's call came between */
    regs[0] = -ENOSYS;
    tell_answer(regs);
    assert_int_equal(regs[0], -ENOSYS);
}

static void blocks_behind_a_call_are_watched(void **state)
{
    static _Alignas(4096) const uint8_t code[4096] = {0x0f, 0x05, 0x90, 0x0f, 0x05};
    struct qemu_plugin_tb tb = {.n = 1};

    (void)state;
    answer_open(1);
    for (unsigned at = 0; at < 8; at++) {
        tb.exec_cb = NULL;
        tb.insn[0].pc = (uintptr_t)code + at;
        answer_watch(&tb);
        assert_int_equal(tb.exec_cb != NULL, at == 2 || at == 5);
    }
}

#define T(f)    cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define TREE(f) cmocka_unit_test_setup_teardown(f, set_up_tree, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_same_code_has_one_id_and_changed_code_another),
        T(an_instruction_cut_off_by_a_page_is_not_in_its_block),
        T(a_whole_instruction_at_a_pages_end_stays),
        T(a_long_table_keeps_its_ids),
        TREE(processes_that_add_the_same_blocks_share_them),
        TREE(a_process_killed_while_it_adds_leaves_the_table_sound),
        T(code_beyond_the_table_has_no_id),
        T(an_atomic_update_is_a_load_then_a_store),
        T(a_high_address_takes_two_words),
        T(accesses_inside_a_call_are_dropped),
        T(accesses_of_qemu_itself_are_dropped_until_the_next_block),
        T(a_forked_child_writes_nothing),
        TREE(a_forked_child_begins_a_stream_of_its_own),
        TREE(what_the_child_of_a_vfork_stores_is_stored_in_the_parent),
        TREE(the_parent_of_a_vfork_goes_on_when_the_child_is_killed),
        T(variables_that_act_on_qemu_are_hidden_from_it_and_given_back),
        T(the_stack_limit_is_the_one_the_program_set_last),
        T(a_frame_off_the_abi_moves_with_the_pointers_into_it),
        T(what_is_no_entry_of_a_handler_is_left_alone),
        T(blocks_that_begin_a_handler_are_watched),
        T(an_answer_is_told_once_in_the_place_of_enosys),
        T(blocks_behind_a_call_are_watched),
        TREE(the_door_gives_the_region_to_who_has_the_key),
        T(without_the_key_the_door_stays_closed),
        T(without_proc_or_door_there_is_no_region_to_hand_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
