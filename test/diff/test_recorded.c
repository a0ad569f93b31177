/* links: front mmu event base */
/* test_recorded.c: the accesses of real programs, through the mmu and through the naive oracle.
 *
 *   program ─ QEMU ─ plugin ─ ring ─ front ─ fake sim: remembers (address, bytes, kind)
 *                                                └─► mmu (fast path first) ─┐ equal after
 *                                                └─► ref_mmu, own tables  ──┘ every event
 *
 * Every page the program touched is mapped on both sides before; instruction lines are fetched as
 * sim does. All three machines of machines/ are tried. */
#include "unit/front/fake_sim.h"
#include "conf/conf.h"
#include "front/front.h"
#include "mmu/mmu_hot.h"
#include "pt/pt.h"
#include "ref/ref_mmu.h"

#include <libgen.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef PW_CHECKS
#define EVENTS 15000u
#else
#define EVENTS 60000u
#endif
#define SKIP 60000u /* of the dynamic linker, for all but the first program */

struct event {
    uint64_t addr;
    uint8_t bytes, kind;
};

static struct event log_[EVENTS];
static unsigned n_log, skipped, to_skip;
static char plugin[PATH_MAX];

static void remember(uint64_t addr, unsigned bytes, enum access_kind kind)
{
    if (skipped < to_skip)
        skipped++;
    else if (n_log < EVENTS)
        log_[n_log++] = (struct event){addr, (uint8_t)bytes, (uint8_t)kind};
}

static void on_word(struct sim *s, struct sim_thread *t, const uint64_t *w)
{
    (void)t;
    if (event_kind(*w) == EV_ACCESS)
        remember(event_addr(*w), 1u << event_log2_size(*w),
                 event_is_store(*w) ? ACCESS_STORE : ACCESS_LOAD);
    if (event_kind(*w) != EV_BLOCK)
        return;
    const struct ring_block *b = s->block[(uint32_t)*w];
    uint64_t end = b->pc + b->code_bytes;
    for (uint64_t line = align_down(b->pc, LINE_SIZE); line < end; line += LINE_SIZE)
        remember(line, 1, ACCESS_FETCH);
}

static int set_up(void **state)
{
    char self[PATH_MAX] = "", line[3 * PATH_MAX], *mode;

    (void)state;
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return -1;
    for (int i = 0; i < 3; i++)
        dirname(self); /* BUILD/MODE/test/diff/test_recorded */
    snprintf(plugin, sizeof plugin, "%.4000s/pagewalk-qemu.so", self);
    mode = strrchr(self, '/');
    *mode++ = 0;
    snprintf(line, sizeof line,
             "env -u MAKEFLAGS -u MAKELEVEL make -s BUILD=%.4000s MODE=%.100s %.4000s >/dev/null",
             self, mode, plugin);
    return system(line);
}

static void record(char *const *argv, unsigned skip)
{
    struct sim *fake = calloc(1, sizeof *fake);
    struct front_options o = {.argv = argv, .plugin = plugin};
    struct front_result r;
    char err[1024];

    fake->on_word = on_word;
    n_log = skipped = 0;
    to_skip = skip;
    if (front_run(&o, fake, &r, err, sizeof err) != 0)
        fail_msg("%s", err);
    fake_free(fake);
    assert_int_equal(r.exit_code, 0);
    assert_int_equal(n_log, EVENTS);
}

/* -- the two machines ---------------------------------------------------------------------------*/

struct pair {
    struct conf conf;
    struct phys *phys[2];
    struct pt pt[2];
    struct stat_set stats, unused;
    struct cache l3;
    struct mmu_core core;
    struct ref_mmu ref;
    uint64_t frame;
    uint64_t quick; /* served by mmu_quick */
};

static void map_page(struct pair *p, uint64_t addr)
{
    pte *e = pt_lookup(&p->pt[0], va(addr), 0);

    if (e != NULL && !pte_none(*e))
        return;
    uint64_t bits = PTE_P | PTE_RW | PTE_US;
    p->frame++;
    for (unsigned side = 0; side < 2; side++) {
        unsigned made = 0;
        assert_int_equal(pt_lookup_alloc(&p->pt[side], va(addr), 0, &e, &made), 0);
        *e = pte_make((pfn){p->frame}, bits);
    }
}

static struct pair *pair_open(const char *machine)
{
    struct pair *p = aligned_alloc(64, align_up(sizeof *p, 64));
    char err[512];

    memset(p, 0, sizeof *p);
    conf_init(&p->conf);
    if (conf_load(&p->conf, machine, err, sizeof err) != 0)
        fail_msg("%s", err);
    p->conf.phys_size = MIB(512);
    for (unsigned side = 0; side < 2; side++) {
        assert_int_equal(phys_open(&p->phys[side], &p->conf, &p->unused), 0);
        assert_int_equal(pt_open(&p->pt[side], p->phys[side], &p->conf), 0);
    }
    p->frame = 8192;
    for (unsigned i = 0; i < n_log; i++) {
        map_page(p, log_[i].addr);
        map_page(p, log_[i].addr + log_[i].bytes - 1u);
    }
    assert_int_equal(cache_open(&p->l3, p->conf.l3_size, (unsigned)p->conf.l3_ways,
                                (enum conf_cache_policy)p->conf.l3_policy, p->conf.seed),
                     0);
    ref_mmu_open(&p->ref, &p->conf, p->phys[1], 1);
    assert_int_equal(mmu_core_open(&p->core, &p->conf, p->phys[0], &p->l3, &p->core, 1, &p->stats),
                     0);
    mmu_load_cr3(&p->core, p->pt[0].root, 1, false);
    ref_mmu_load_cr3(&p->ref, 0, p->pt[1].root.v << 12, 1, false);
    return p;
}

static void pair_close(struct pair *p)
{
    mmu_core_close(&p->core);
    cache_close(&p->l3);
    ref_mmu_close(&p->ref);
    phys_close(p->phys[0]);
    phys_close(p->phys[1]);
    free(p);
}

static bool by_fast_path(struct pair *p, const struct event *e)
{
    static const enum stat_id hit[] = {
        [ACCESS_LOAD] = STAT_load_l1_hit,
        [ACCESS_STORE] = STAT_store_l1_hit,
        [ACCESS_FETCH] = STAT_fetch_l1_hit,
    };
    bool fast = e->kind == ACCESS_FETCH
                    ? mmu_fetch_hit(&p->core, e->addr)
                    : mmu_data_hit(&p->core, e->addr, e->bytes, e->kind == ACCESS_STORE);

    p->stats.v[hit[e->kind]] += fast;
    if (fast)
        return true;
    int quick = (e->addr & 63) + e->bytes > 64
                    ? -1
                    : mmu_quick(&p->core, e->addr, (enum access_kind)e->kind);
    p->quick += quick >= 0;
    if (quick != MMU_QUICK_MISSED)
        return quick >= 0;
    struct mmu_event ev;
    struct arch_fault fault;
    assert_int_equal(
        mmu_access_missed(&p->core, va(e->addr), (enum access_kind)e->kind, &ev, &fault), 0);
    return true;
}

static void step(struct pair *p, unsigned i)
{
    const struct event *e = &log_[i];
    struct mmu_event ev, ev_ref;
    struct arch_fault fault;

    if (!by_fast_path(p, e))
        assert_int_equal(mmu_access(&p->core, va(e->addr), e->bytes, (enum access_kind)e->kind,
                                    true, &ev, &fault),
                         0);
    assert_int_equal(ref_mmu_access(&p->ref, 0, e->addr, e->bytes, (enum access_kind)e->kind, true,
                                    &ev_ref, &fault),
                     0);
    if (memcmp(&p->stats, &p->ref.stats, sizeof p->stats) == 0)
        return;
    for (unsigned k = 0; k < STAT_NR; k++)
        if (p->stats.v[k] != p->ref.stats.v[k])
            fail_msg("event %u (%llx): %s is %llu, oracle %llu", i, (unsigned long long)e->addr,
                     stat_info((enum stat_id)k)->name, (unsigned long long)p->stats.v[k],
                     (unsigned long long)p->ref.stats.v[k]);
}

static void compare(const char *machine)
{
    struct pair *p = pair_open(machine);

    for (unsigned i = 0; i < n_log; i++)
        step(p, i);
    assert_true(STAT(&p->stats, dtlb_load_walk) > 0);
    assert_true(p->quick > n_log / 100);
    pair_close(p);
}

static void equal_on_every_machine(char *const *argv, unsigned skip)
{
    record(argv, skip);
    compare("machines/skylake-sp.ini");
    compare("machines/golden-cove.ini");
    compare("machines/zen4.ini");
}

static void the_start_of_a_dynamic_program(void **state)
{
    char *argv[] = {"/bin/ls", "-d", "/", NULL};

    (void)state;
    equal_on_every_machine(argv, 0);
}

static void an_interpreter(void **state)
{
    char *argv[] = {"/usr/bin/perl", "-e", "my %h; $h{$_ * 7919 % 9973} = $_ for 1..2000", NULL};

    (void)state;
    equal_on_every_machine(argv, SKIP);
}

static void a_sort(void **state)
{
    char *argv[] = {"/usr/bin/sort", "-o", "/dev/null", "src/stat/stat.def", NULL};

    (void)state;
    equal_on_every_machine(argv, SKIP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_start_of_a_dynamic_program),
        cmocka_unit_test(an_interpreter),
        cmocka_unit_test(a_sort),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
