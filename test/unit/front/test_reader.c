/* test_reader.c: a region that somebody wrote over: the program shares QEMU's address space, and its wild
 * stores may hit it. The rules of a sound region are those of event/ring.h (I1, I4) and event.h. */
#include "event/ring.h"
#include "front/front_int.h"

#include "base/bits.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct rig {
    struct region region;
    struct reader reader;
    struct sim *sim;
    uint64_t *words; /* of slot 0 */
    struct ring_slot *slot;
};

static int setup(void **state)
{
    struct rig *g = calloc(1, sizeof *g);
    struct conf c;
    conf_init(&c);
    c.phys_size = MIB(256);
    c.phys_kernel_image = MIB(1);
    c.cpu_cores = 1;
    assert_int_equal(sim_open(&g->sim, &c), 0);
    assert_int_equal(region_open(&g->region, 0), 0);
    g->words = (void *)((char *)g->region.ring + g->region.ring->words_offset);
    g->slot = &g->region.ring->slot[0];
    g->slot->state = RING_DONE;
    g->region.ring->threads = 1;
    reader_open(&g->reader, g->sim, &g->region);
    *state = g;
    return 0;
}

static int teardown(void **state)
{
    struct rig *g = *state;
    reader_close(&g->reader);
    region_close(&g->region);
    sim_close(g->sim);
    free(g);
    return 0;
}

static void put(struct rig *g, uint64_t w)
{
    g->words[g->slot->head++] = w;
}

static void begin(struct rig *g)
{
    put(g, event_control(EV_THREAD_START, 3));
    put(g, 7);
    put(g, 7);
    put(g, 0);
}

/* read_all reads to the end, and returns the steps that took. */
static unsigned read_all(struct rig *g)
{
    unsigned steps = 0;
    g->reader.over = true;
    while (steps < 1000 && (reader_step(&g->reader) || reader_force(&g->reader)))
        steps++;
    return steps;
}

static uint32_t *index_of(struct rig *g, uint32_t id)
{
    return (uint32_t *)(void *)((char *)g->region.ring + g->region.ring->index_offset) + id;
}

/* block puts a record of one instruction into the table. */
static struct ring_block *block(struct rig *g)
{
    struct ring_region *ring = g->region.ring;
    struct ring_block *b = (void *)((char *)ring + ring->table_offset);
    *b = (struct ring_block){.pc = 0x400000, .bytes = 32, .insns = 1, .code_bytes = 3};
    memcpy(b->data, "\x03\x48\x8b\x07", 4);
    *index_of(g, 0) = 1;
    ring->blocks = 1;
    return b;
}

static void a_sound_region_is_read_to_its_end(void **state)
{
    struct rig *g = *state;
    block(g);
    begin(g);
    put(g, event_block(0));
    read_all(g);
    assert_int_equal(g->reader.error, 0);
    assert_int_equal(g->reader.words, 5);
    assert_int_equal(g->reader.blocks, 1);
}

static void a_head_beyond_its_ring_ends_the_run(void **state)
{
    struct rig *g = *state;
    begin(g);
    g->slot->head = RING_WORDS + 1;
    read_all(g);
    assert_int_equal(g->reader.error, -EPROTO);
    assert_int_equal(g->reader.words, 0);
}

static void a_head_before_its_tail_ends_the_run(void **state)
{
    struct rig *g = *state;
    g->slot->tail = 5;
    g->slot->head = 4;
    read_all(g);
    assert_int_equal(g->reader.error, -EPROTO);
}

static void assert_refused(struct rig *g)
{
    begin(g);
    read_all(g);
    assert_int_equal(g->reader.error, -EPROTO);
    assert_int_equal(g->reader.blocks, 0);
}

static void a_block_longer_than_its_record_is_refused(void **state)
{
    block(*state)->code_bytes = 4000;
    assert_refused(*state);
}

static void a_block_of_no_size_is_refused(void **state)
{
    block(*state)->bytes = 0;
    assert_refused(*state);
}

static void a_block_that_ends_outside_the_table_is_refused(void **state)
{
    block(*state)->bytes = RING_TABLE_SIZE + 8;
    assert_refused(*state);
}

static void instructions_that_are_not_the_block_are_refused(void **state)
{
    block(*state)->data[0] = 9;
    assert_refused(*state);
}

static void a_record_outside_the_table_is_refused(void **state)
{
    block(*state);
    *index_of(*state, 0) = RING_TABLE_SIZE / 8 + 1;
    assert_refused(*state);
}

/* A producer that dies between taking an id and writing the record leaves a hole (ring.h I4). */
static void an_id_without_a_record_is_stepped_over(void **state)
{
    struct rig *g = *state;
    block(g);
    *index_of(g, 0) = 0;
    *index_of(g, 1) = 1;
    g->region.ring->blocks = 3;
    begin(g);
    put(g, event_block(1));
    read_all(g);
    assert_int_equal(g->reader.error, 0);
    assert_int_equal(g->reader.words, 5);
    assert_int_equal(g->reader.n_holes, 2);
    assert_int_equal(STAT(sim_stats(g->sim), blocks), 1);
    assert_int_equal(STAT(sim_stats(g->sim), sim_unique_blocks), 1);
}

static void a_record_that_comes_late_is_taken_before_the_words_that_name_it(void **state)
{
    struct rig *g = *state;
    block(g);
    *index_of(g, 0) = 0;
    g->slot->state = RING_LIVE;
    begin(g);
    assert_true(reader_step(&g->reader));
    assert_int_equal(g->reader.n_holes, 1);
    *index_of(g, 0) = 1;
    put(g, event_block(0));
    assert_true(reader_step(&g->reader));
    assert_int_equal(g->reader.n_holes, 0);
    assert_int_equal(STAT(sim_stats(g->sim), instructions), 1);
}

static void more_holes_than_there_can_be_end_the_run(void **state)
{
    struct rig *g = *state;
    g->region.ring->blocks = RING_SLOTS + 1;
    begin(g);
    read_all(g);
    assert_int_equal(g->reader.error, -EPROTO);
}

/* Epochs are 32 bits wide (ring.h); a word of more once kept the reader busy for ever. */
static void an_epoch_of_more_than_32_bits_comes_to_an_end(void **state)
{
    struct rig *g = *state;
    struct ring_slot *other = &g->region.ring->slot[1];
    begin(g);
    put(g, event_control(EV_EPOCH, 1));
    put(g, UINT64_C(0x100000000000));
    other->state = RING_LIVE; /* with one stream nothing waits */
    other->in_call = 1;
    assert_true(read_all(g) < 100);
    assert_int_equal(g->reader.error, 0);
    assert_int_equal(g->reader.words, 6);
}

/* The header tells the producers where things lie; the reader knows. */
static void a_header_that_was_written_over_misleads_nobody(void **state)
{
    struct rig *g = *state;
    struct ring_region *ring = g->region.ring;
    block(g);
    begin(g);
    put(g, event_block(0));
    ring->index_offset = ring->table_offset = ring->words_offset = ring->region_bytes = MIB(1)
                                                                                        << 30;
    read_all(g);
    assert_int_equal(g->reader.error, 0);
    assert_int_equal(g->reader.words, 5);
    assert_int_equal(g->reader.blocks, 1);
}

static void a_record_longer_than_any_ends_the_run(void **state)
{
    struct rig *g = *state;
    begin(g);
    put(g, event_control(EV_START, 0xffff));
    g->slot->head += 3 * READER_QUANTUM;
    assert_true(read_all(g) < 10);
    assert_int_equal(g->reader.error, -EPROTO);
}

/* A slot comes back without its last owner's pid: the next one takes it before he can say who he is, and
 * must not be looked for under the number of a process that is dead. */
static void a_slot_that_comes_back_names_no_process(void **state)
{
    struct rig *g = *state;
    pid_t gone = fork();
    if (gone == 0)
        _exit(0);
    waitpid(gone, NULL, 0);
    g->slot->pid = (uint32_t)gone;
    begin(g);
    read_all(g);
    assert_int_equal(g->slot->state, RING_FREE);
    assert_int_equal(g->slot->pid, 0);
    g->reader.over = false;
    g->slot->state = RING_LIVE; /* taken, and nothing said yet */
    g->region.ring->threads++;
    reader_step(&g->reader);
    reader_look(&g->reader);
    assert_int_equal(g->slot->state, RING_LIVE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_sound_region_is_read_to_its_end),
        TEST(a_head_beyond_its_ring_ends_the_run),
        TEST(a_head_before_its_tail_ends_the_run),
        TEST(a_block_longer_than_its_record_is_refused),
        TEST(a_block_of_no_size_is_refused),
        TEST(a_block_that_ends_outside_the_table_is_refused),
        TEST(instructions_that_are_not_the_block_are_refused),
        TEST(a_record_outside_the_table_is_refused),
        TEST(an_id_without_a_record_is_stepped_over),
        TEST(a_record_that_comes_late_is_taken_before_the_words_that_name_it),
        TEST(more_holes_than_there_can_be_end_the_run),
        TEST(a_header_that_was_written_over_misleads_nobody),
        TEST(a_record_longer_than_any_ends_the_run),
        TEST(an_epoch_of_more_than_32_bits_comes_to_an_end),
        TEST(a_slot_that_comes_back_names_no_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
