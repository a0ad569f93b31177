/* test_mempolicy.c: mbind, set_mempolicy, get_mempolicy, set_mempolicy_home_node on one node: answers,
 * splits and merges, whose policy holds. Expectations: what LTP's mbind01, get_mempolicy01 and 02,
 * set_mempolicy01, set_mempolicy05 and set_mempolicy_home_node01 assert, and where a line says "6.18"
 * what the running kernel answered to the same call. */
#include "unit/mm/mm_fixture.h"

#include <linux/capability.h>

#define AT   UINT64_C(0x10000000)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static const uint64_t words[2] = {1, 0}, far_words[2] = {2, 0}, no_words[2] = {0, 0};
static const struct nodemask_arg node0 = {words, 2, 64}, node1 = {far_words, 2, 64};
static const struct nodemask_arg none = {no_words, 2, 64}, null = {NULL, 0, 0};

static int bind(struct box *b, uint64_t page, uint64_t pages, int mode,
                const struct nodemask_arg *mask)
{
    return mm_mbind(b->mm, va(AT + page * K), pages * K, mode, mask, 0);
}

static int ask(struct box *b, uint64_t addr, uint64_t flags, int *ret_policy, uint64_t *ret_nodes)
{
    struct mm_get_mempolicy q = {
        .addr = va(addr), .flags = flags, .want_nodes = true, .maxnode = 64};
    return mm_get_mempolicy(b->mm, &q, ret_policy, ret_nodes);
}

/* policies writes the policy of each page: d b i l m w p, upper case where a VMA starts. */
static const char *policies(const struct box *b, unsigned pages)
{
    static char text[64];
    char name[MPOL_STR_LEN];
    for (unsigned i = 0; i < pages; i++) {
        const struct vma *v = mm_vma_at(b->mm, va(AT + i * K));
        text[i] = '.';
        if (!v)
            continue;
        mm_numa_policy(b->mm, v, name, sizeof(name));
        text[i] = strncmp(name, "prefer (", 8) == 0 ? 'm' : name[0];
        if (v->start.v == AT + i * K)
            text[i] = (char)(text[i] - 'a' + 'A');
    }
    text[pages] = '\0';
    return text;
}

static void open_mapped(struct box *b, uint64_t pages)
{
    box_open(b, MIB(64), false);
    assert_int_equal(map_anon(b, AT, pages, RW), AT);
}

/* -- mbind ----------------------------------------------------------------------------------- */

static void mbind_accepts_every_mode_as_ltp_mbind01_says(void **state)
{
    (void)state;
    static const struct {
        int mode;
        const struct nodemask_arg *mask;
        int result;
    } rows[] = {
        {MPOL_DEFAULT, &null, 0},
        {MPOL_DEFAULT, &none, 0},
        {MPOL_DEFAULT, &node0, -EINVAL},
        {MPOL_BIND, &null, -EINVAL},
        {MPOL_BIND, &none, -EINVAL},
        {MPOL_BIND, &node0, 0},
        {MPOL_INTERLEAVE, &null, -EINVAL},
        {MPOL_INTERLEAVE, &none, -EINVAL},
        {MPOL_INTERLEAVE, &node0, 0},
        {MPOL_PREFERRED, &null, 0},
        {MPOL_PREFERRED, &none, 0},
        {MPOL_PREFERRED, &node0, 0},
        {MPOL_PREFERRED_MANY, &node0, 0},
        {MPOL_PREFERRED_MANY, &null, -EINVAL},
        {MPOL_LOCAL, &null, 0},
        {MPOL_LOCAL, &none, 0},
        {MPOL_LOCAL, &node0, -EINVAL},
        {MPOL_WEIGHTED_INTERLEAVE, &node0, 0},
        {MPOL_MAX + 1, &node0, -EINVAL},
        {MPOL_BIND, &node1, -EINVAL},
    };
    struct box b;
    open_mapped(&b, 4);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(bind(&b, 0, 4, rows[i].mode, rows[i].mask), rows[i].result);
    box_close(&b);
}

static int plain(struct box *b, uint64_t start, uint64_t len, uint64_t flags)
{
    return mm_mbind(b->mm, va(start), len, MPOL_BIND, &node0, flags);
}

static void mbind_checks_its_range_and_flags(void **state)
{
    (void)state;
    struct box b;
    open_mapped(&b, 4);
    assert_int_equal(plain(&b, AT, 4 * K, 8), -EINVAL);
    assert_int_equal(plain(&b, AT + 1, K, 0), -EINVAL);
    assert_int_equal(plain(&b, AT, 0, 0), 0);
    assert_int_equal(plain(&b, AT + 1, 0, 0), -EINVAL); /* 6.18 */
    assert_int_equal(plain(&b, AT, UINT64_MAX - 2 * K, 0), -EINVAL);
    assert_int_equal(plain(&b, AT, 1, 0), 0);
    assert_string_equal(policies(&b, 4), "BDdd");
    assert_int_equal(plain(&b, AT, K, MPOL_MF_MOVE_ALL), -EPERM);
    struct mm_task t = *mm_task(b.mm);
    t.caps |= BIT(CAP_SYS_NICE);
    mm_set_task(b.mm, &t);
    assert_int_equal(plain(&b, AT, K, MPOL_MF_MOVE_ALL), 0);
    box_close(&b);
}

static void mbind_of_holes_faults_but_default_only_minds_an_empty_range(void **state)
{
    (void)state;
    struct box b;
    open_mapped(&b, 4);
    mm_munmap(b.mm, va(AT + K), K);
    assert_int_equal(bind(&b, 0, 4, MPOL_BIND, &node0), -EFAULT);
    assert_string_equal(policies(&b, 4), "D.Dd");
    assert_int_equal(bind(&b, 1, 2, MPOL_BIND, &node0), -EFAULT);
    assert_int_equal(bind(&b, 2, 3, MPOL_BIND, &node0), -EFAULT);
    assert_int_equal(bind(&b, 2, 2, MPOL_BIND, &node0), 0);
    assert_int_equal(bind(&b, 0, 9, MPOL_DEFAULT, &null), 0);
    assert_string_equal(policies(&b, 4), "D.Dd");
    assert_int_equal(bind(&b, 1, 1, MPOL_DEFAULT, &null), -EFAULT);
    box_close(&b);
}

static void mbind_of_a_part_splits_and_its_undoing_merges(void **state)
{
    (void)state;
    struct box b;
    open_mapped(&b, 6);
    assert_int_equal(bind(&b, 2, 2, MPOL_BIND, &node0), 0);
    assert_string_equal(policies(&b, 6), "DdBbDd");
    assert_int_equal(bind(&b, 3, 2, MPOL_INTERLEAVE, &node0), 0);
    assert_string_equal(policies(&b, 6), "DdBIiD");
    assert_int_equal(bind(&b, 3, 2, MPOL_BIND, &node0), 0);
    assert_string_equal(policies(&b, 6), "DdBbbD");
    assert_int_equal(bind(&b, 0, 6, MPOL_DEFAULT, &null), 0);
    assert_string_equal(policies(&b, 6), "Dddddd");
    box_close(&b);
}

static void equal_policies_merge_and_unequal_flags_do_not(void **state)
{
    (void)state;
    struct box b;
    open_mapped(&b, 4);
    bind(&b, 0, 2, MPOL_BIND, &node0);
    bind(&b, 2, 2, MPOL_BIND | 0x8000, &node0);
    assert_string_equal(policies(&b, 4), "BbBb");
    bind(&b, 2, 2, MPOL_BIND, &node0);
    assert_string_equal(policies(&b, 4), "Bbbb");
    box_close(&b);
}

static void new_mappings_beside_a_policy_stay_apart(void **state)
{
    (void)state;
    struct box b;
    open_mapped(&b, 2);
    bind(&b, 0, 2, MPOL_BIND, &node0);
    map_anon(&b, AT + 2 * K, 2, RW);
    assert_string_equal(policies(&b, 4), "BbDd");
    assert_int_equal(
        mm_mremap(b.mm, va(AT), 2 * K, 2 * K, MREMAP_MAYMOVE | MREMAP_FIXED, va(AT + 8 * K), false),
        AT + 8 * K);
    assert_string_equal(policies(&b, 10), "..Dd....Bb");
    box_close(&b);
}

static void the_limit_of_vmas_refuses_a_split(void **state)
{
    (void)state;
    struct box b;
    open_mapped(&b, 40);
    mm_close(b.mm);
    mm_sys_close(b.sys);
    b.conf.kernel_max_map_count = 16;
    assert_int_equal(mm_sys_open(&b.sys, &b.conf, b.phys, &b.stats, &b.out), 0);
    assert_int_equal(mm_open(&b.mm, b.sys), 0);
    map_anon(&b, AT, 40, RW);
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(bind(&b, 2 * i + 1, 1, MPOL_BIND, &node0), 0); /* 15 VMAs */
    assert_int_equal(bind(&b, 39, 1, MPOL_BIND, &node0), 0);            /* 16 */
    assert_int_equal(bind(&b, 20, 1, MPOL_BIND, &node0), -ENOMEM);
    box_close(&b);
}

/* -- shared memory --------------------------------------------------------------------------- */

static void a_policy_of_shared_memory_belongs_to_the_object(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 1, 7, 16 * K, "/memfd:x (deleted)");
    int policy;
    uint64_t nodes;
    map_full(&b, AT, 8 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    assert_int_equal(bind(&b, 2, 3, MPOL_BIND, &node0), 0);
    map_full(&b, AT + 32 * K, 8 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    const char *want = "ddbbbddd";
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(ask(&b, AT + (32 + i) * K, MPOL_F_ADDR, &policy, &nodes), 0);
        assert_int_equal(policy, want[i] == 'b' ? MPOL_BIND : MPOL_DEFAULT);
        assert_int_equal(nodes, want[i] == 'b' ? 1 : 0);
    }
    mm_munmap(b.mm, va(AT), 8 * K);
    assert_int_equal(ask(&b, AT + 34 * K, MPOL_F_ADDR, &policy, &nodes), 0);
    assert_int_equal(policy, MPOL_BIND);
    mm_file_put(b.sys, f);
    box_close(&b);
}

static void later_policies_cut_earlier_ones_of_shared_memory(void **state)
{
    (void)state;
    struct box b;
    box_open(&b, MIB(64), false);
    struct mm_file *f = mm_file(b.sys, 1, 7, 16 * K, "/memfd:x (deleted)");
    int policy;
    uint64_t nodes;
    map_full(&b, AT, 10 * K, RW, MAP_SHARED | MAP_FIXED, f, 0);
    bind(&b, 0, 9, MPOL_BIND, &node0);
    bind(&b, 2, 2, MPOL_INTERLEAVE, &node0);
    bind(&b, 3, 3, MPOL_DEFAULT, &null);
    bind(&b, 7, 3, MPOL_LOCAL, &null);
    const int want[10] = {2, 2, 3, 0, 0, 0, 2, 4, 4, 4};
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(ask(&b, AT + i * K, MPOL_F_ADDR, &policy, &nodes), 0);
        assert_int_equal(policy, want[i]);
    }
    mm_file_put(b.sys, f);
    box_close(&b);
}

/* -- set_mempolicy, get_mempolicy ------------------------------------------------------------ */

static void the_task_policy_is_what_was_set(void **state)
{
    (void)state;
    struct box b;
    int policy;
    uint64_t nodes;
    open_mapped(&b, 2);
    static const int modes[] = {
        MPOL_PREFERRED,           MPOL_BIND,          MPOL_INTERLEAVE, MPOL_PREFERRED_MANY,
        MPOL_WEIGHTED_INTERLEAVE, MPOL_BIND | 0x8000, 0x4003,          0x2002};
    for (unsigned i = 0; i < ARRAY_LEN(modes); i++) {
        assert_int_equal(mm_set_mempolicy(b.mm, modes[i], &node0), 0);
        assert_int_equal(ask(&b, 0, 0, &policy, &nodes), 0);
        assert_int_equal(policy, modes[i]);
        assert_int_equal(nodes, 1);
    }
    assert_int_equal(mm_set_mempolicy(b.mm, MPOL_PREFERRED, &none), 0);
    assert_int_equal(ask(&b, 0, 0, &policy, &nodes), 0);
    assert_int_equal(policy, MPOL_LOCAL);
    assert_int_equal(nodes, 0);
    assert_int_equal(mm_set_mempolicy(b.mm, MPOL_DEFAULT, &null), 0);
    assert_int_equal(ask(&b, 0, 0, &policy, &nodes), 0);
    assert_int_equal(policy, MPOL_DEFAULT);
    assert_int_equal(mm_set_mempolicy(b.mm, MPOL_BIND, &none), -EINVAL);
    assert_int_equal(mm_set_mempolicy(b.mm, MPOL_BIND, &node1), -EINVAL);
    assert_int_equal(mm_set_mempolicy(b.mm, MPOL_BIND, &(struct nodemask_arg){words, 0, 64}),
                     -EFAULT);
    box_close(&b);
}

static void get_mempolicy_refuses_what_ltp_get_mempolicy02_says(void **state)
{
    (void)state;
    struct box b;
    int policy = 77;
    uint64_t nodes = 77;
    open_mapped(&b, 2);
    assert_int_equal(ask(&b, AT + 9 * K, MPOL_F_ADDR, &policy, &nodes), -EFAULT);
    assert_int_equal(ask(&b, AT, 0, &policy, &nodes), -EINVAL);
    assert_int_equal(ask(&b, 0, 8, &policy, &nodes), -EINVAL);
    assert_int_equal(ask(&b, 0, MPOL_F_NODE, &policy, &nodes), -EINVAL);
    assert_int_equal(ask(&b, 0, MPOL_F_MEMS_ALLOWED | MPOL_F_NODE, &policy, &nodes), -EINVAL);
    assert_int_equal(ask(&b, AT, MPOL_F_MEMS_ALLOWED | MPOL_F_ADDR, &policy, &nodes), -EINVAL);
    struct mm_get_mempolicy q = {.want_nodes = true, .maxnode = 0};
    assert_int_equal(mm_get_mempolicy(b.mm, &q, &policy, &nodes), -EINVAL);
    assert_int_equal(policy, 77);
    assert_int_equal(ask(&b, 0, MPOL_F_MEMS_ALLOWED, &policy, &nodes), 0);
    assert_int_equal(nodes, 1);
    box_close(&b);
}

static void asking_for_a_pages_node_touches_it(void **state)
{
    (void)state;
    struct box b;
    int policy = 77;
    uint64_t nodes;
    open_mapped(&b, 2);
    map_anon(&b, AT + 2 * K, 1, PROT_NONE);
    uint64_t before = counters(&b).minflt;
    assert_int_equal(ask(&b, AT + K + 5, MPOL_F_NODE | MPOL_F_ADDR, &policy, &nodes), 0);
    assert_int_equal(policy, 0);
    assert_int_equal(counters(&b).minflt - before, 1);
    assert_int_equal(ask(&b, AT + 2 * K, MPOL_F_NODE | MPOL_F_ADDR, &policy, &nodes), -EFAULT);
    box_close(&b);
}

static void asking_for_the_next_node_needs_interleaving(void **state)
{
    (void)state;
    struct box b;
    int policy = 77;
    uint64_t nodes;
    open_mapped(&b, 2);
    mm_set_mempolicy(b.mm, MPOL_BIND, &node0);
    assert_int_equal(ask(&b, 0, MPOL_F_NODE, &policy, &nodes), -EINVAL);
    mm_set_mempolicy(b.mm, MPOL_INTERLEAVE, &node0);
    assert_int_equal(ask(&b, 0, MPOL_F_NODE, &policy, &nodes), 0);
    assert_int_equal(policy, 0);
    mm_set_mempolicy(b.mm, MPOL_WEIGHTED_INTERLEAVE, &node0);
    assert_int_equal(ask(&b, 0, MPOL_F_NODE, &policy, &nodes), 0); /* 6.18 */
    box_close(&b);
}

static void interleaved_pages_are_counted_and_others_are_not(void **state)
{
    (void)state;
    struct box b;
    open_mapped(&b, 128);
    bind(&b, 0, 64, MPOL_INTERLEAVE, &node0);
    touch_pages(&b, AT, 128, true);
    assert_int_equal(STAT(&b.stats, numa_interleave), 64); /* 6.18: 64 for 64 pages */
    mm_set_mempolicy(b.mm, MPOL_WEIGHTED_INTERLEAVE, &node0);
    map_anon(&b, AT + 256 * K, 8, RW);
    touch_pages(&b, AT + 256 * K, 8, true);
    assert_in_range(STAT(&b.stats, numa_interleave), 72, 73); /* its page table, perhaps */
    box_close(&b);
}

/* -- set_mempolicy_home_node ----------------------------------------------------------------- */

static int home(struct box *b, uint64_t page, uint64_t pages, uint64_t node, uint64_t flags)
{
    return mm_set_mempolicy_home_node(b->mm, va(AT + page * K), pages * K, node, flags);
}

static void home_nodes_are_for_bind_and_preferred_many(void **state)
{
    (void)state;
    struct box b;
    open_mapped(&b, 8);
    assert_int_equal(home(&b, 0, 8, 0, 0), -ENOENT);
    bind(&b, 0, 2, MPOL_BIND, &node0);
    bind(&b, 2, 2, MPOL_PREFERRED_MANY, &node0);
    bind(&b, 6, 2, MPOL_INTERLEAVE, &node0);
    assert_int_equal(home(&b, 0, 4, 0, 0), 0);
    assert_int_equal(home(&b, 0, 6, 0, 0), 0);
    assert_int_equal(home(&b, 4, 2, 0, 0), -ENOENT);
    assert_int_equal(home(&b, 6, 2, 0, 0), -EOPNOTSUPP);
    assert_int_equal(home(&b, 0, 4, 1, 0), -EINVAL);
    assert_int_equal(home(&b, 0, 4, 5000, 0), -EINVAL);
    assert_int_equal(home(&b, 0, 4, 0, 1), -EINVAL);
    assert_int_equal(home(&b, 0, 0, 0, 0), 0);
    assert_int_equal(mm_set_mempolicy_home_node(b.mm, va(AT + 1), K, 0, 0), -EINVAL);
    box_close(&b);
}

static void a_home_node_of_a_part_splits(void **state)
{
    (void)state;
    struct box b;
    open_mapped(&b, 6);
    bind(&b, 0, 6, MPOL_BIND, &node0);
    assert_int_equal(home(&b, 2, 2, 0, 0), 0);
    assert_string_equal(policies(&b, 6), "BbBbBb");
    box_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mbind_accepts_every_mode_as_ltp_mbind01_says),
        cmocka_unit_test(mbind_checks_its_range_and_flags),
        cmocka_unit_test(mbind_of_holes_faults_but_default_only_minds_an_empty_range),
        cmocka_unit_test(mbind_of_a_part_splits_and_its_undoing_merges),
        cmocka_unit_test(equal_policies_merge_and_unequal_flags_do_not),
        cmocka_unit_test(new_mappings_beside_a_policy_stay_apart),
        cmocka_unit_test(the_limit_of_vmas_refuses_a_split),
        cmocka_unit_test(a_policy_of_shared_memory_belongs_to_the_object),
        cmocka_unit_test(later_policies_cut_earlier_ones_of_shared_memory),
        cmocka_unit_test(the_task_policy_is_what_was_set),
        cmocka_unit_test(get_mempolicy_refuses_what_ltp_get_mempolicy02_says),
        cmocka_unit_test(asking_for_a_pages_node_touches_it),
        cmocka_unit_test(asking_for_the_next_node_needs_interleaving),
        cmocka_unit_test(interleaved_pages_are_counted_and_others_are_not),
        cmocka_unit_test(home_nodes_are_for_bind_and_preferred_many),
        cmocka_unit_test(a_home_node_of_a_part_splits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
