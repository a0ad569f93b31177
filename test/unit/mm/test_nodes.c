/* test_nodes.c: where pages land on a machine of four nodes, by policy, and how they move between
 * nodes. Placement: closed forms of mm/mempolicy.c (page i of an interleaved mapping lies on node
 * (vm_pgoff + i) mod n, and so on); assertions of LTP's mbind02 to 04, set_mempolicy01 to 04,
 * move_pages02 to 04 and migrate_pages02 in the same words. */
#include "unit/mm/mm_fixture.h"

#include "base/rng.h"
#include "mm/swap.h"

#include <linux/capability.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define AT UINT64_C(0x10000000)

/* Four nodes of 64 MiB, one CPU each; for every node the others are equally near. */
static void open_nodes(struct box *b, unsigned nodes)
{
    memset(b, 0, sizeof(*b));
    conf_init(&b->conf);
    b->conf.phys_size = MIB(64) * nodes;
    b->conf.phys_kernel_image = MIB(1);
    b->conf.numa_nodes = nodes;
    b->conf.cpu_cores = nodes;
    b->conf.phys_contents = true;
    assert_int_equal(arch_outbox_open(&b->out), 0);
    assert_int_equal(phys_open(&b->phys, &b->conf, &b->stats), 0);
    assert_int_equal(mm_sys_open(&b->sys, &b->conf, b->phys, &b->stats, &b->out), 0);
    assert_int_equal(mm_open(&b->mm, b->sys), 0);
    struct mm_task t = *mm_task(b->mm);
    t.caps |= BIT(CAP_SYS_NICE);
    mm_set_task(b->mm, &t);
}

static int bind(struct box *b, uint64_t page, uint64_t pages, int mode, uint64_t nodes,
                unsigned how)
{
    struct nodemask_arg mask = {&nodes, 1, 64};
    return mm_mbind(b->mm, va(AT + page * K), pages * K, mode, &mask, how);
}

static int task(struct box *b, int mode, uint64_t nodes)
{
    struct nodemask_arg mask = {&nodes, 1, 64};
    return mm_set_mempolicy(b->mm, mode, &mask);
}

/* nodes_of writes the node of each page, '-' where there is none. */
static const char *nodes_of(struct box *b, uint64_t page, unsigned n)
{
    static char text[80];
    for (unsigned i = 0; i < n; i++) {
        unsigned level;
        const pte *e = pt_leaf(mm_pt(b->mm), va(AT + (page + i) * K), &level);
        bool there = e && pte_present(*e) && !(e->v & PTE_SPECIAL);
        text[i] = there ? (char)('0' + phys_frame(b->phys, pte_pfn(*e))->nid) : '-';
    }
    text[n] = '\0';
    return text;
}

static void fill(struct box *b, uint64_t pages)
{
    map_anon(b, AT, pages, RW);
    touch_pages(b, AT, pages, true);
}

/* -- placement ------------------------------------------------------------------------------- */

static void without_a_policy_memory_comes_from_the_cpus_node(void **state)
{
    (void)state;
    struct box b;
    open_nodes(&b, 4);
    map_anon(&b, AT, 8, RW);
    for (unsigned i = 0; i < 8; i++) {
        mm_set_cpu(b.sys, i / 2);
        touch(&b, AT + i * K, true);
    }
    assert_string_equal(nodes_of(&b, 0, 8), "00112233");
    assert_int_equal(STAT(&b.stats, numa_miss) + STAT(&b.stats, numa_foreign), 0);
    assert_int_equal(STAT(&b.stats, numa_other), 0);
    assert_int_equal(STAT(&b.stats, numa_hit), STAT(&b.stats, numa_local));
    box_close(&b);
}

static void bound_memory_comes_from_its_nodes_and_hits_them(void **state)
{
    (void)state;
    struct box b;
    open_nodes(&b, 4);
    map_anon(&b, AT, 8, RW);
    bind(&b, 0, 4, MPOL_BIND, BIT(2), 0);
    bind(&b, 4, 2, MPOL_PREFERRED, BIT(3), 0);
    bind(&b, 6, 2, MPOL_LOCAL, 0, 0);
    touch_pages(&b, AT, 8, true);
    assert_string_equal(nodes_of(&b, 0, 8), "22223300");
    assert_int_equal(STAT(&b.stats, numa_miss), 0);
    assert_int_equal(STAT(&b.stats, numa_other), 6); /* not the CPU's node, yet the wanted one */
    box_close(&b);
}

static void interleaved_pages_lie_by_their_offset_not_by_time(void **state)
{
    (void)state;
    struct box b;
    open_nodes(&b, 4);
    map_anon(&b, AT, 12, RW); /* vm_pgoff = 0x10000, 0x10000 mod 3 = 1 */
    bind(&b, 0, 12, MPOL_INTERLEAVE, BIT(0) | BIT(2) | BIT(3), 0);
    for (unsigned i = 12; i-- > 0;)
        touch(&b, AT + i * K, true);
    assert_string_equal(nodes_of(&b, 0, 12), "230230230230");
    assert_int_equal(STAT(&b.stats, numa_interleave), 12);
    box_close(&b);
}

static void weighted_pages_follow_the_weights(void **state)
{
    (void)state;
    struct box b;
    open_nodes(&b, 4);
    mm_close(b.mm);
    mm_sys_close(b.sys);
    snprintf(b.conf.numa_weights, sizeof(b.conf.numa_weights), "3,1,2,1");
    assert_int_equal(mm_sys_open(&b.sys, &b.conf, b.phys, &b.stats, &b.out), 0);
    assert_int_equal(mm_open(&b.mm, b.sys), 0);
    map_anon(&b, AT, 12, RW); /* 0x10000 mod 6 = 4 */
    bind(&b, 0, 12, MPOL_WEIGHTED_INTERLEAVE, BIT(0) | BIT(1) | BIT(2), 0);
    touch_pages(&b, AT, 12, true);
    assert_string_equal(nodes_of(&b, 0, 12), "220001220001");
    box_close(&b);
}

static void shared_memory_interleaves_from_its_inode_number_on(void **state)
{
    (void)state;
    struct box b;
    open_nodes(&b, 2);
    struct mm_file *f = mm_file(b.sys, 1, 7, 16 * K, "/memfd:x (deleted)");
    map_full(&b, AT, 6 * K, RW, MAP_SHARED | MAP_FIXED, f, 4 * K);
    bind(&b, 0, 6, MPOL_INTERLEAVE, 3, 0);
    touch_pages(&b, AT, 6, true);
    assert_string_equal(nodes_of(&b, 0, 6), "101010"); /* 7 + 4 + i */
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void task_policies_hold_where_mappings_have_none(void **state)
{
    (void)state;
    struct box b;
    open_nodes(&b, 4);
    task(&b, MPOL_INTERLEAVE, BIT(1) | BIT(3));
    map_anon(&b, AT, 6, RW); /* 0x10000 mod 2 = 0 */
    bind(&b, 4, 2, MPOL_BIND, BIT(2), 0);
    touch_pages(&b, AT, 6, true);
    assert_string_equal(nodes_of(&b, 0, 6), "131322");
    box_close(&b);
}

static void page_cache_goes_round_the_tasks_nodes(void **state)
{
    (void)state;
    struct box b;
    open_nodes(&b, 4);
    struct mm_file *f = mm_file(b.sys, 8, 1, 16 * K, "/f");
    map_full(&b, AT, 4 * K, PROT_READ, MAP_SHARED | MAP_FIXED, f, 0);
    bind(&b, 0, 4, MPOL_BIND, BIT(2), 0); /* says nothing to the page cache */
    task(&b, MPOL_INTERLEAVE, BIT(0) | BIT(1));
    touch(&b, AT, false); /* fault-around reads pages 0 to 3 in order */
    assert_string_equal(nodes_of(&b, 0, 4), "0101");
    mm_file_put(b.sys, f);
    box_close(&b);
}

/* fill_node takes what a node has, so that only other nodes can serve. */
static unsigned fill_node(struct box *b, unsigned nid, pfn *ret, unsigned max)
{
    struct phys_req r = phys_request(9, GFP_USER, FRAME_SLAB);
    unsigned n = 0;
    r.nid = nid;
    r.nodes = BIT(nid);
    r.mark = PHYS_NO_WATERMARKS;
    while (n < max && phys_alloc_req(b->phys, &r, &ret[n]) == 0)
        n++;
    for (r.order = 0; n < max && phys_alloc_req(b->phys, &r, &ret[n]) == 0;)
        n++;
    return n;
}

static void a_full_node_is_missed_and_its_neighbour_serves(void **state)
{
    (void)state;
    struct box b;
    static pfn taken[20000];
    open_nodes(&b, 4);
    map_anon(&b, AT, 4, RW);
    bind(&b, 0, 4, MPOL_PREFERRED, BIT(2), 0);
    unsigned n = fill_node(&b, 2, taken, ARRAY_LEN(taken));
    uint64_t miss = STAT(&b.stats, numa_miss), foreign = STAT(&b.stats, numa_foreign);
    touch_pages(&b, AT, 4, true);
    assert_string_equal(nodes_of(&b, 0, 4), "3333"); /* the order of node 2 is 2 3 0 1 */
    assert_int_equal(STAT(&b.stats, numa_miss) - miss, 4);
    assert_int_equal(STAT(&b.stats, numa_foreign) - foreign, 4);
    bind(&b, 0, 4, MPOL_DEFAULT, 0, 0);
    mm_madvise(b.mm, va(AT), 4 * K, MADV_DONTNEED);
    bind(&b, 0, 4, MPOL_PREFERRED_MANY, BIT(2) | BIT(1), 0);
    touch_pages(&b, AT, 4, true);
    assert_string_equal(nodes_of(&b, 0, 4), "1111");
    for (unsigned i = 0; i < n; i++)
        phys_free(b.phys, taken[i], phys_frame(b.phys, taken[i])->order);
    box_close(&b);
}

static void home_nodes_come_first_among_the_bound(void **state)
{
    (void)state;
    struct box b;
    open_nodes(&b, 4);
    map_anon(&b, AT, 2, RW);
    bind(&b, 0, 2, MPOL_BIND, BIT(1) | BIT(2) | BIT(3), 0);
    assert_int_equal(mm_set_mempolicy_home_node(b.mm, va(AT + K), K, 3, 0), 0);
    touch_pages(&b, AT, 2, true);
    assert_string_equal(nodes_of(&b, 0, 2), "13"); /* the order of node 0 is 0 1 2 3 */
    box_close(&b);
}

static void get_mempolicy_names_nodes(void **state)
{
    (void)state;
    struct box b;
    int policy;
    uint64_t nodes;
    open_nodes(&b, 4);
    struct mm_get_mempolicy q = {.flags = MPOL_F_NODE};
    task(&b, MPOL_INTERLEAVE, BIT(1) | BIT(3));
    assert_int_equal(mm_get_mempolicy(b.mm, &q, &policy, &nodes), 0);
    assert_int_equal(policy, 1);
    map_anon(&b, AT, 2, RW);
    bind(&b, 0, 2, MPOL_BIND, BIT(2), 0);
    q = (struct mm_get_mempolicy){.addr = va(AT), .flags = MPOL_F_NODE | MPOL_F_ADDR};
    touch(&b, AT, true);
    assert_int_equal(mm_get_mempolicy(b.mm, &q, &policy, &nodes), 0);
    assert_int_equal(policy, 2);
    q.flags = MPOL_F_MEMS_ALLOWED;
    assert_int_equal(mm_get_mempolicy(b.mm, &q, &policy, &nodes), 0);
    assert_int_equal(nodes, 15);
    box_close(&b);
}

/* -- moving ---------------------------------------------------------------------------------- */

static void mbind_strict_finds_misplaced_pages_and_move_moves_them(void **state)
{
    (void)state;
    struct box b;
    open_nodes(&b, 4);
    fill(&b, 6);
    assert_int_equal(bind(&b, 0, 6, MPOL_BIND, BIT(1), MPOL_MF_STRICT), -EIO); /* mbind02 */
    assert_string_equal(nodes_of(&b, 0, 6), "000000");
    assert_int_equal(bind(&b, 0, 6, MPOL_BIND, BIT(1), MPOL_MF_STRICT | MPOL_MF_MOVE), 0);
    assert_string_equal(nodes_of(&b, 0, 6), "111111"); /* mbind03 */
    assert_int_equal(STAT(&b.stats, pgmigrate_success), 6);
    assert_int_equal(bind(&b, 0, 6, MPOL_BIND, BIT(1), MPOL_MF_STRICT), 0);
    assert_int_equal(bind(&b, 0, 6, MPOL_INTERLEAVE, BIT(0) | BIT(2), MPOL_MF_MOVE), 0);
    assert_string_equal(nodes_of(&b, 0, 6), "020202"); /* where a fault would have put them */
    assert_int_equal(bind(&b, 0, 6, MPOL_PREFERRED, BIT(3), 0), 0);
    assert_string_equal(nodes_of(&b, 0, 6), "020202");
    assert_int_equal(mm_audit(b.mm), 0);
    box_close(&b);
}

static void a_strict_move_fails_when_the_nodes_are_full(void **state)
{
    (void)state;
    struct box b;
    static pfn taken[20000];
    open_nodes(&b, 2);
    fill(&b, 4);
    unsigned n = fill_node(&b, 1, taken, ARRAY_LEN(taken));
    assert_int_equal(bind(&b, 0, 4, MPOL_BIND, BIT(1), MPOL_MF_STRICT | MPOL_MF_MOVE), -EIO);
    assert_string_equal(nodes_of(&b, 0, 4), "0000");
    assert_int_equal(mm_audit(b.mm), 0);
    for (unsigned i = 0; i < n; i++)
        phys_free(b.phys, taken[i], phys_frame(b.phys, taken[i])->order);
    box_close(&b);
}

static void migrate_pages_moves_a_process_from_nodes_to_nodes(void **state)
{
    (void)state;
    struct box b;
    const uint64_t from = 3, to = 6;
    const struct nodemask_arg f = {&from, 1, 64}, t = {&to, 1, 64};
    open_nodes(&b, 4);
    map_anon(&b, AT, 8, RW);
    bind(&b, 0, 8, MPOL_INTERLEAVE, 15, 0);
    touch_pages(&b, AT, 8, true);
    assert_string_equal(nodes_of(&b, 0, 8), "01230123");
    assert_int_equal(mm_migrate_pages(b.mm, b.mm, &f, &t), 0);
    assert_string_equal(nodes_of(&b, 0, 8), "12231223"); /* 1 to 2 first, then 0 to 1 */
    assert_int_equal(mm_audit(b.mm), 0);
    box_close(&b);
}

static void move_pages_moves_each_page_to_its_node(void **state)
{
    (void)state;
    struct box b;
    uint64_t pages[6];
    const int32_t nodes[6] = {1, 2, 2, 0, 3, 3};
    int32_t status[6] = {77, 77, 77, 77, 77, 77};
    const int32_t want[6] = {1, 2, 2, 0, 3, -ENOENT};
    open_nodes(&b, 4);
    map_anon(&b, AT, 6, RW);
    touch_pages(&b, AT, 5, true);
    for (uint64_t i = 0; i < 6; i++) {
        pages[i] = AT + i * K;
        if (i < 5) {
            unsigned level;
            memcpy(phys_bytes(b.phys, pte_pfn(*pt_leaf(mm_pt(b.mm), va(pages[i]), &level))), &i, 8);
        }
    }
    struct mm_move_pages q = move_pages_of(pages, nodes, status, 6);
    q.flags = MPOL_MF_MOVE;
    assert_int_equal(mm_move_pages(b.mm, b.mm, &q), 0);
    assert_memory_equal(status, want, sizeof(want));
    assert_string_equal(nodes_of(&b, 0, 6), "12203-");
    for (uint64_t i = 0; i < 5; i++) {
        unsigned level;
        assert_memory_equal(
            phys_bytes(b.phys, pte_pfn(*pt_leaf(mm_pt(b.mm), va(pages[i]), &level))), &i, 8);
    }
    assert_int_equal(mm_audit(b.mm), 0);
    box_close(&b);
}

static void pages_shared_with_a_child_need_move_all(void **state)
{
    (void)state;
    struct box b;
    struct mm *child;
    uint64_t page = AT;
    int32_t node = 1, status = 77;
    struct mm_move_pages q = {.nr = 1,
                              .pages = &page,
                              .pages_nr = 1,
                              .nodes = &node,
                              .nodes_nr = 1,
                              .status = &status,
                              .status_nr = 1,
                              .flags = MPOL_MF_MOVE};
    open_nodes(&b, 2);
    fill(&b, 1);
    assert_int_equal(mm_fork(&child, b.mm), 0);
    assert_int_equal(mm_move_pages(b.mm, b.mm, &q), 0);
    assert_int_equal(status, -EACCES); /* move_pages03 */
    q.flags = MPOL_MF_MOVE_ALL;
    assert_int_equal(mm_move_pages(b.mm, b.mm, &q), 0);
    assert_int_equal(status, 1);
    unsigned level;
    pfn theirs = pte_pfn(*pt_leaf(mm_pt(child), va(AT), &level));
    assert_int_equal(theirs.v, pte_pfn(*pt_leaf(mm_pt(b.mm), va(AT), &level)).v);
    assert_false(phys_frame(b.phys, theirs)->flags & FRAME_F_EXCLUSIVE);
    assert_int_equal(mm_audit(b.mm), 0);
    mm_close(child);
    box_close(&b);
}

static uint64_t dirty_on(const struct box *b, unsigned nid)
{
    return mm_node(b->sys, nid)->stat.v[NODE_nr_dirty];
}

/* mm/migrate.c __folio_migrate_mapping moves NR_FILE_DIRTY to the node of the copy; mm/gup.c
 * follow_page_pte marks what it takes for writing with folio_mark_dirty, which counts. */
static void a_dirty_page_of_a_file_counts_where_it_lies(void **state)
{
    (void)state;
    struct box b;
    unsigned level;
    open_nodes(&b, 2);
    struct mm_file *f = mm_file(b.sys, 8, 1, 4 * K, "/data");
    assert_int_equal(map_full(&b, AT, 2 * K, RW, MAP_SHARED | MAP_FIXED, f, 0), AT);
    touch(&b, AT, true);
    assert_int_equal(dirty_on(&b, 0), 1);
    assert_int_equal(bind(&b, 0, 1, MPOL_BIND, BIT(1), MPOL_MF_STRICT | MPOL_MF_MOVE), 0);
    assert_string_equal(nodes_of(&b, 0, 1), "1");
    assert_int_equal(dirty_on(&b, 0), 0);
    assert_int_equal(dirty_on(&b, 1), 1);
    assert_int_equal(mm_msync(b.mm, va(AT), K, MS_SYNC), 0);
    assert_int_equal(dirty_on(&b, 1), 0);
    touch(&b, AT + K, false); /* clean, then writable as after a move */
    pt_leaf(mm_pt(b.mm), va(AT + K), &level)->v |= PTE_RW;
    assert_int_equal(mm_madvise(b.mm, va(AT + K), K, MADV_POPULATE_WRITE), 0);
    assert_int_equal(dirty_on(&b, 0), 1);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void huge_pages_move_whole(void **state)
{
    (void)state;
    struct box b;
    open_nodes(&b, 2);
    mm_close(b.mm);
    mm_sys_close(b.sys);
    b.conf.thp_enabled = 0; /* always */
    assert_int_equal(mm_sys_open(&b.sys, &b.conf, b.phys, &b.stats, &b.out), 0);
    assert_int_equal(mm_open(&b.mm, b.sys), 0);
    map_anon(&b, AT, 512, RW);
    touch(&b, AT, true);
    unsigned level = 9;
    const pte *e = pt_leaf(mm_pt(b.mm), va(AT), &level);
    assert_int_equal(level, 1);
    assert_int_equal(phys_frame(b.phys, pte_leaf_pfn(*e, 1))->nid, 0);
    assert_int_equal(bind(&b, 0, 512, MPOL_BIND, BIT(1), MPOL_MF_STRICT | MPOL_MF_MOVE), 0);
    e = pt_leaf(mm_pt(b.mm), va(AT), &level);
    assert_int_equal(level, 1);
    assert_int_equal(phys_frame(b.phys, pte_leaf_pfn(*e, 1))->nid, 1);
    assert_int_equal(STAT(&b.stats, pgmigrate_success), 512);
    assert_int_equal(mm_node(b.sys, 0)->stat.v[NODE_nr_anon_transparent_hugepages], 0);
    assert_int_equal(mm_node(b.sys, 1)->stat.v[NODE_nr_anon_transparent_hugepages], 512);
    assert_int_equal(counters(&b).rss[MM_ANONPAGES], 512);
    assert_int_equal(mm_audit(b.mm), 0);
    box_close(&b);
}

/* hpage_collapse_find_target_node of 6.18: most of the small pages decide, not the CPU that asks. */
static void a_collapsed_page_lies_where_most_of_its_pages_lay(void **state)
{
    (void)state;
    struct box b;
    unsigned level = 9;
    open_nodes(&b, 2);
    map_anon(&b, AT, 512, RW);
    touch_pages(&b, AT, 200, true);
    mm_set_cpu(b.sys, 1);
    touch_pages(&b, AT + 200 * K, 312, true);
    mm_set_cpu(b.sys, 0);
    assert_int_equal(mm_madvise(b.mm, va(AT), MIB(2), MADV_COLLAPSE), 0);
    const pte *e = pt_leaf(mm_pt(b.mm), va(AT), &level);
    assert_int_equal(level, 1);
    assert_int_equal(phys_frame(b.phys, pte_leaf_pfn(*e, 1))->nid, 1);
    box_close(&b);
}

/* -- everything at once ------------------------------------------------------------------------ */

#define CROWD 192u /* pages */

/* Two processes write, share, give up, push out and move pages over three nodes, and memory is compacted;
 * `want` says what each page of each process holds. */
struct crowd {
    struct box b;
    struct mm *child;        /* NULL: none now */
    uint64_t want[2][CROWD]; /* 0: nothing was written */
};

static void write_page(struct crowd *c, unsigned who, unsigned page, uint64_t value)
{
    struct mm *m = who == 0 ? c->b.mm : c->child;
    assert_int_equal(mm_copy_to_user(m, va(AT + page * K), &value, 8), 8);
    c->want[who][page] = value;
}

static void check_all(struct crowd *c)
{
    for (unsigned who = 0; who < (c->child ? 2 : 1); who++)
        for (unsigned i = 0; i < CROWD; i++) {
            uint64_t got = 1;
            struct mm *m = who == 0 ? c->b.mm : c->child;
            assert_int_equal(mm_copy_from_user(m, &got, va(AT + i * K), 8), 8);
            assert_int_equal(got, c->want[who][i]);
        }
    assert_int_equal(mm_audit(c->b.mm), 0);
    assert_int_equal(phys_audit(c->b.phys), 0);
}

static void fork_or_end(struct crowd *c)
{
    if (c->child) {
        mm_close(c->child);
        c->child = NULL;
    } else if (mm_fork(&c->child, c->b.mm) == 0) {
        memcpy(c->want[1], c->want[0], sizeof(c->want[0]));
    }
}

static void move_somewhere(struct crowd *c, struct rng *r, uint64_t page, uint64_t pages)
{
    static const int modes[] = {MPOL_BIND, MPOL_INTERLEAVE, MPOL_PREFERRED,
                                MPOL_WEIGHTED_INTERLEAVE, MPOL_PREFERRED_MANY};
    uint64_t from = 1 + rng_below(r, 7), to = 1 + rng_below(r, 7);
    struct nodemask_arg f = {&from, 1, 64}, t = {&to, 1, 64};
    if (rng_below(r, 3) == 0) {
        assert_true(mm_migrate_pages(c->b.mm, c->child ? c->child : c->b.mm, &f, &t) >= 0);
        return;
    }
    int mode = modes[rng_below(r, ARRAY_LEN(modes))];
    bind(&c->b, page, pages, mode, to, (unsigned)rng_below(r, 8));
}

static void crowd_step(struct crowd *c, struct rng *r)
{
    uint64_t page = rng_below(r, CROWD - 16), pages = 1 + rng_below(r, 16);
    switch (rng_below(r, 9)) {
    case 0:
        fork_or_end(c);
        break;
    case 1:
        mm_madvise(c->b.mm, va(AT + page * K), pages * K, MADV_DONTNEED);
        memset(&c->want[0][page], 0, pages * 8);
        break;
    case 2:
        mm_madvise(c->b.mm, va(AT + page * K), pages * K, MADV_PAGEOUT);
        break;
    case 3:
        mm_compact_memory(c->b.sys);
        break;
    case 4:
    case 5:
        move_somewhere(c, r, page, pages);
        break;
    default:
        for (uint64_t i = 0; i < pages; i++)
            write_page(c, c->child ? (unsigned)rng_below(r, 2) : 0, (unsigned)(page + i),
                       rng_next(r) | 1);
    }
    c->b.out.n = 0;
}

static void no_byte_is_lost_while_pages_move_are_shared_and_swapped(void **state)
{
    (void)state;
    static struct crowd c;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rng r = {seed};
        memset(&c, 0, sizeof(c));
        open_nodes(&c.b, 3);
        mm_close(c.b.mm);
        mm_sys_close(c.b.sys);
        c.b.conf.swap_size = MIB(4);
        assert_int_equal(mm_sys_open(&c.b.sys, &c.b.conf, c.b.phys, &c.b.stats, &c.b.out), 0);
        assert_int_equal(mm_open(&c.b.mm, c.b.sys), 0);
        struct mm_task t = *mm_task(c.b.mm);
        t.caps |= BIT(CAP_SYS_NICE);
        mm_set_task(c.b.mm, &t);
        map_anon(&c.b, AT, CROWD, RW);
        for (unsigned i = 0; i < 2000; i++) {
            mm_set_cpu(c.b.sys, (unsigned)rng_below(&r, 3));
            crowd_step(&c, &r);
            if (i % 50 == 49)
                check_all(&c);
        }
        check_all(&c);
        assert_true(STAT(&c.b.stats, pgmigrate_success) > 1000);
        if (c.child)
            mm_close(c.child);
        box_close(&c.b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_policy_memory_comes_from_the_cpus_node),
        cmocka_unit_test(bound_memory_comes_from_its_nodes_and_hits_them),
        cmocka_unit_test(interleaved_pages_lie_by_their_offset_not_by_time),
        cmocka_unit_test(weighted_pages_follow_the_weights),
        cmocka_unit_test(shared_memory_interleaves_from_its_inode_number_on),
        cmocka_unit_test(task_policies_hold_where_mappings_have_none),
        cmocka_unit_test(page_cache_goes_round_the_tasks_nodes),
        cmocka_unit_test(a_full_node_is_missed_and_its_neighbour_serves),
        cmocka_unit_test(home_nodes_come_first_among_the_bound),
        cmocka_unit_test(get_mempolicy_names_nodes),
        cmocka_unit_test(mbind_strict_finds_misplaced_pages_and_move_moves_them),
        cmocka_unit_test(a_strict_move_fails_when_the_nodes_are_full),
        cmocka_unit_test(migrate_pages_moves_a_process_from_nodes_to_nodes),
        cmocka_unit_test(move_pages_moves_each_page_to_its_node),
        cmocka_unit_test(pages_shared_with_a_child_need_move_all),
        cmocka_unit_test(a_dirty_page_of_a_file_counts_where_it_lies),
        cmocka_unit_test(huge_pages_move_whole),
        cmocka_unit_test(a_collapsed_page_lies_where_most_of_its_pages_lay),
        cmocka_unit_test(no_byte_is_lost_while_pages_move_are_shared_and_swapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
