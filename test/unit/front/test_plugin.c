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
    assert_int_equal(written(), at + 4);
    touch(&tb, 0, LOAD_8, 0x5000);
    assert_int_equal(written(), at + 5);
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

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_same_code_has_one_id_and_changed_code_another),
        T(an_instruction_cut_off_by_a_page_is_not_in_its_block),
        T(a_whole_instruction_at_a_pages_end_stays),
        T(a_long_table_keeps_its_ids),
        T(processes_that_add_the_same_blocks_share_them),
        T(a_process_killed_while_it_adds_leaves_the_table_sound),
        T(code_beyond_the_table_has_no_id),
        T(an_atomic_update_is_a_load_then_a_store),
        T(a_high_address_takes_two_words),
        T(accesses_inside_a_call_are_dropped),
        T(accesses_of_qemu_itself_are_dropped_until_the_next_block),
        T(a_forked_child_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
