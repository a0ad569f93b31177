/* links: phys */
/* The buddy allocator against the naive one: the same random calls must give the same frames, the
 * same free blocks and the same refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/rng.h"
#include "phys/phys.h"
#include "ref/ref_buddy.h"

#define OPS 200000

/* Both allocators and what is allocated from them. */
struct pair {
    struct stat_set stats;
    struct phys *phys;
    struct ref_buddy ref;
    struct block {
        uint64_t first;
        unsigned order;
    } * held;
    size_t held_nr;
    uint64_t held_frames;
};

static void pair_open(struct pair *p, uint64_t size, uint64_t image)
{
    struct conf conf;
    conf_init(&conf);
    conf.phys_size = size;
    conf.phys_kernel_image = image;
    *p = (struct pair){0};
    assert_int_equal(phys_open(&p->phys, &conf, &p->stats), 0);
    uint64_t frames = size / 4096, memmap = (frames * 64 + 4095) / 4096, top = frames - memmap;
    ref_buddy_open(&p->ref, frames);
    ref_buddy_boot(&p->ref, 0, 256, 4096);
    uint64_t image_end = 4096 + image / 4096, four_gib = UINT64_C(1) << 20;
    ref_buddy_boot(&p->ref, 1, image_end, top < four_gib ? top : four_gib);
    if (top > four_gib)
        ref_buddy_boot(&p->ref, 2, four_gib, top);
    p->held = calloc(frames, sizeof(*p->held));
}

static void pair_close(struct pair *p)
{
    phys_close(p->phys);
    ref_buddy_close(&p->ref);
    free(p->held);
}

static void pair_alloc(struct pair *p, unsigned order, enum phys_gfp gfp)
{
    static const unsigned top[] = {0, 1, 2, 2};
    pfn n = PFN_NONE;
    int err = phys_alloc(p->phys, order, gfp, FRAME_USER_ANON, &n);
    int64_t want = ref_buddy_alloc(&p->ref, order, top[gfp]);
    assert_int_equal(err, want < 0 ? -12 : 0);
    assert_int_equal((int64_t)n.v, want); /* PFN_NONE is -1 too: untouched on failure */
    if (err == 0) {
        p->held[p->held_nr++] = (struct block){n.v, order};
        p->held_frames += UINT64_C(1) << order;
    }
}

static void pair_free(struct pair *p, size_t at)
{
    struct block b = p->held[at];
    p->held[at] = p->held[--p->held_nr];
    p->held_frames -= UINT64_C(1) << b.order;
    phys_free(p->phys, (pfn){b.first}, b.order);
    ref_buddy_free(&p->ref, b.first, b.order);
}

static void pair_compare(struct pair *p)
{
    uint64_t all = 0;
    for (unsigned z = 0; z < ZONE_NR; z++) {
        for (unsigned o = 0; o < PHYS_ORDERS; o++)
            assert_int_equal(phys_free_blocks(p->phys, z, o), ref_buddy_blocks(&p->ref, z, o));
        assert_int_equal(phys_zone_free(p->phys, z), ref_buddy_pages_free(&p->ref, z));
    }
    for (unsigned i = 0; i < FRAME_OWNER_NR; i++)
        all += phys_owner_frames(p->phys, i);
    assert_int_equal(all, phys_frames(p->phys));
    assert_int_equal(phys_owner_frames(p->phys, FRAME_USER_ANON), p->held_frames);
    assert_int_equal(phys_audit(p->phys), 0);
}

/* pair_run makes random calls; `grow` of 100 allocate while the tide comes in, and the tide turns
 * every `turn` calls, so that memory runs full and empty. */
static void pair_run(struct pair *p, uint64_t seed, unsigned max_order, unsigned turn, unsigned ops,
                     unsigned compare)
{
    struct rng rng = {seed};
    for (unsigned i = 0; i < ops; i++) {
        unsigned grow = i / turn % 2 == 0 ? 80 : 20;
        if (p->held_nr == 0 || rng_below(&rng, 100) < grow) {
            unsigned order = rng_below(&rng, 4) != 0 ? 0 : (unsigned)rng_below(&rng, max_order + 1);
            pair_alloc(p, order, (enum phys_gfp)rng_below(&rng, 4));
        } else {
            pair_free(p, rng_below(&rng, p->held_nr));
        }
        if (i % compare == compare - 1)
            pair_compare(p);
    }
}

static void test_small_machine_equals_naive_buddy_for_200000_calls(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, MIB(64), MIB(40));
    pair_run(&p, 1, 10, 2000, OPS, 10000);
    while (p.held_nr > 0)
        pair_free(&p, p.held_nr - 1);
    pair_compare(&p);
    pair_close(&p);
}

static void test_crowded_machine_equals_naive_buddy(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, MIB(24), MIB(4) + 4096);
    pair_run(&p, 2, 3, 10000, 60000, 5000);
    pair_close(&p);
}

static void test_virgin_memory_of_three_zones_equals_naive_buddy(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, GIB(4) + MIB(137), MIB(41));
    pair_run(&p, 3, 10, 4000, 20000, 10000);
    pair_close(&p);
}

/* The second image leaves ragged ends on both sides of the virgin run. */
static void test_every_frame_of_a_machine_comes_in_the_naive_order(void **state)
{
    (void)state;
    const uint64_t images[] = {MIB(40), MIB(13) + 4096};
    for (unsigned i = 0; i < 2; i++)
        for (unsigned order = 0; order < PHYS_ORDERS; order++) {
            struct pair p;
            pair_open(&p, MIB(64), images[i]);
            uint64_t most = phys_owner_frames(p.phys, FRAME_FREE) >> order;
            for (uint64_t n = 0; n <= most; n++) /* the last is refused by both */
                pair_alloc(&p, order, GFP_USER);
            assert_true(p.held_nr <= most);
            pair_compare(&p);
            pair_close(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_machine_equals_naive_buddy_for_200000_calls),
        cmocka_unit_test(test_crowded_machine_equals_naive_buddy),
        cmocka_unit_test(test_virgin_memory_of_three_zones_equals_naive_buddy),
        cmocka_unit_test(test_every_frame_of_a_machine_comes_in_the_naive_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
