/* fuzz_reader: the memory shared with QEMU, where a wild store of the program may write anything. The
 * input: three slots (tail, words in it, state, in_call), the count of blocks, three words of their
 * index, 64 bytes of their table, and words, the same in each slot.
 *
 * The reader stays inside the region, never takes more words than there are, and comes to an end. */
#include "fuzz/fuzz.h"
#include "front/front_int.h"
#include "sim/sim.h"

#include <sys/syscall.h>

#define SLOTS     3
#define INDEX     3u
#define TABLE     64u
#define STEPS_MAX 100000

/* widen makes small numbers likely, and all 32-bit numbers possible. */
static uint64_t widen(struct fuzz_bytes *in)
{
    uint64_t v = fuzz_take(in, 2);
    return v < 0xff00 ? v : v << (v & 63);
}

static void fill(struct ring_region *ring, struct fuzz_bytes *in)
{
    char *base = (char *)ring;
    _Atomic uint32_t *index = (void *)(base + ring->index_offset);
    for (unsigned i = 0; i < SLOTS; i++) {
        struct ring_slot *s = &ring->slot[i];
        uint64_t tail = widen(in);
        atomic_store(&s->tail, tail);
        atomic_store(&s->head, tail + widen(in));
        atomic_store(&s->state, (uint32_t)fuzz_take(in, 1) % 4);
        atomic_store(&s->in_call, (uint32_t)fuzz_take(in, 1) & 1);
    }
    atomic_store(&ring->threads, 1);
    atomic_store(&ring->blocks, (uint32_t)widen(in));
    for (unsigned i = 0; i < INDEX; i++)
        atomic_store(&index[i], (uint32_t)widen(in));
    for (unsigned i = 0; i < TABLE; i++)
        base[ring->table_offset + i] = (char)fuzz_take(in, 1);
    for (unsigned i = 0; i < SLOTS; i++) {
        uint64_t *w = (uint64_t *)(void *)(base + ring->words_offset) + i * RING_WORDS;
        uint64_t tail = atomic_load(&ring->slot[i].tail);
        for (size_t k = 0; k < in->left / 8; k++)
            memcpy(&w[(tail + k) % RING_WORDS], in->at + 8 * k, 8);
    }
}

/* words_left returns what lies in the slots; of one that is damaged, nothing. */
static uint64_t words_left(const struct ring_region *ring)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        uint64_t n = atomic_load(&ring->slot[i].head) - atomic_load(&ring->slot[i].tail);
        sum += n <= RING_WORDS ? n : 0;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes in = {data, size};
    struct reader *r = malloc(sizeof *r);
    struct region region;
    struct sim *s = fuzz_sim();
    unsigned steps = 0;
    ASSERT(r && region_open(&region, 0) == 0);
    fill(region.ring, &in);
    uint64_t given = words_left(region.ring);
    reader_open(r, s, &region);
    while (!r->error && reader_step(r))
        ASSERT(++steps < STEPS_MAX);
    r->over = true;
    while (!r->error && (reader_step(r) || reader_force(r)))
        ASSERT(++steps < STEPS_MAX);
    ASSERT(r->words <= given && r->lives <= RING_SLOTS);
    ASSERT(r->blocks <= RING_BLOCK_MAX && r->n_holes <= RING_SLOTS);
    reader_close(r);
    region_close(&region);
    free(r);
    ASSERT(sim_audit(s) == 0);
    sim_close(s);
    return 0;
}

size_t fuzz_seed(unsigned nth, uint8_t *buf)
{
    const uint64_t words[] = {
        event_control(EV_THREAD_START, 3),
        7,
        7,
        0,
        event_block(0),
        event_access(FUZZ_DATA, 0, 3, false),
        event_control(EV_EPOCH, 1),
        1,
        event_control(EV_SYSCALL, 8),
        SYS_munmap,
        FUZZ_DATA,
        0x1000,
        0,
        0,
        0,
        0,
        0,
        event_control(EV_SYSCALL_RET, 3),
        SYS_munmap,
        0,
        1,
        event_control(EV_EPOCH, 1),
        2,
        event_block(1),
        event_control(EV_THREAD_EXIT, 1),
        7,
    };
    const uint8_t slots[3][18] = {
        {0, 0, 26, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
        {5, 0, 26, 0, 2, 0, 0, 1, 26, 0, 2, 0, 0xf0, 0xfe, 26, 0, 1, 1},
        {0, 0, 0, 0xff, 1, 0, 0, 0, 26, 0, 2, 0, 0, 0, 0xff, 0xff, 2, 0},
    };
    _Alignas(8) uint8_t table[TABLE] = {0};
    struct ring_block *b = (struct ring_block *)(void *)table;
    if (nth >= ARRAY_LEN(slots))
        return 0;
    *b = (struct ring_block){FUZZ_CODE, 32, 1, 3};
    memcpy(b->data, "\3\x48\x8b\x07", 4);
    memcpy(table + 32, table, 32);
    size_t n = fuzz_copy_seed(buf, slots[nth], sizeof slots[nth]);
    const uint8_t index[] = {3, 0, 1, 0, 0, 0, 5, 0}; /* three ids, one a hole */
    n += fuzz_copy_seed(buf + n, index, sizeof index);
    n += fuzz_copy_seed(buf + n, table, TABLE);
    return n + fuzz_copy_seed(buf + n, words, sizeof words);
}
