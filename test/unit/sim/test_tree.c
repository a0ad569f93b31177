/* test_tree.c: processes that fork, execute programs and end; whose every count is.
 *
 * Streams are written by hand. What a fault costs and when one happens follows from copy-on-write
 * (fork(2), Linux mm/memory.c do_wp_page): after a fork the first write of either side to a private page
 * faults once; vfork's child runs in its parent's memory. Sums are compared with those that the test
 * makes itself, of the differences of the machine's counters around each piece it feeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "sim/sim_int.h"

#include <sched.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define CODE   0x400000u
#define DATA   UINT64_C(0x10000000)
#define PAGES  64u
#define K4     UINT64_C(0x1000)
#define FIRST  1000u /* pid of the first process */
#define LIVING 48u   /* streams at a time */

struct tree {
    struct sim *sim;
    struct sim_thread *first;
};

/* -- words ---------------------------------------------------------------------------------------*/

static void feed(struct tree *x, struct sim_thread *t, const uint64_t *w, size_t n)
{
    enum sim_stop stop = SIM_LATER;
    size_t done = 0;
    for (unsigned i = 0; i < 8 && stop == SIM_LATER; i++) /* it may have to come on a core first */
        done = sim_feed(x->sim, t, w, n, true, &stop);
    assert_int_equal(done, n);
    x->sim->outbox.n = 0;
}

static void record(struct tree *x, struct sim_thread *t, enum event_control type, unsigned n,
                   const uint64_t *p)
{
    uint64_t w[64] = {event_control(type, n)};
    memcpy(w + 1, p, n * sizeof(*p));
    feed(x, t, w, n + 1);
}

static void touch(struct tree *x, struct sim_thread *t, uint64_t page, bool store)
{
    const uint64_t w[2] = {event_block(0), event_access(DATA + page * K4, 0, 3, store)};
    feed(x, t, w, 2);
}

static void enter(struct tree *x, struct sim_thread *t, uint64_t nr, uint64_t a0, uint64_t a1)
{
    record(x, t, EV_SYSCALL, 8, (const uint64_t[8]){nr, a0, a1});
}

static void leave(struct tree *x, struct sim_thread *t, uint64_t nr, int64_t result)
{
    record(x, t, EV_SYSCALL_RET, 3, (const uint64_t[3]){nr, (uint64_t)result, 0});
}

/* A fork is call k of its process: k begins with epoch 2k - 1 and ends with 2k. */
static void enter_fork(struct tree *x, struct sim_thread *t, uint32_t k, uint64_t nr)
{
    record(x, t, EV_EPOCH, 1, (const uint64_t[1]){2 * k - 1});
    enter(x, t, nr, 0, 0);
}

static void leave_fork(struct tree *x, struct sim_thread *t, uint32_t k, uint64_t nr, uint32_t pid)
{
    leave(x, t, nr, pid);
    record(x, t, EV_EPOCH, 1, (const uint64_t[1]){2 * k});
}

static struct sim_thread *child_of(struct tree *x, uint32_t parent, uint32_t k, uint32_t pid)
{
    struct sim_thread *t = sim_thread_open(x->sim);
    assert_non_null(t);
    record(x, t, EV_FORK, FORK_WORDS,
           (const uint64_t[FORK_WORDS]){[FORK_PID] = pid,
                                        [FORK_TID] = pid,
                                        [FORK_PPID] = parent,
                                        [FORK_PTID] = parent,
                                        [FORK_CALL] = k});
    return t;
}

static struct sim_thread *forked(struct tree *x, struct sim_thread *parent, uint32_t k, uint64_t nr,
                                 uint32_t pid)
{
    enter_fork(x, parent, k, nr);
    leave_fork(x, parent, k, nr, pid);
    return child_of(x, parent->tid, k, pid);
}

/* -- the machine ---------------------------------------------------------------------------------*/

static int open_tree(void **state, unsigned cores)
{
    struct tree *x = calloc(1, sizeof(*x));
    struct ring_block *b = calloc(1, sizeof(*b) + 4);
    struct conf conf;

    conf_init(&conf);
    conf.phys_size = MIB(256);
    conf.phys_kernel_image = MIB(1);
    conf.cpu_cores = cores;
    conf.thp_enabled = 0;
    assert_int_equal(sim_open(&x->sim, &conf), 0);
    sim_follow_tree(x->sim);
    b->pc = CODE;
    b->insns = 1;
    b->code_bytes = 3;
    memcpy(b->data, "\3\x48\x89\x07", 4); /* mov [rdi],rax */
    assert_int_equal(sim_add_block(x->sim, 0, b), 0);
    free(b);
    x->first = sim_thread_open(x->sim);
    record(x, x->first, EV_THREAD_START, 3, (const uint64_t[3]){FIRST, FIRST, 0});
    for (int i = 0; i < 2; i++) {
        struct mm_map m = {.addr = va(i ? DATA : CODE),
                           .len = i ? PAGES * K4 : K4,
                           .prot = i ? PROT_READ | PROT_WRITE : PROT_READ | PROT_EXEC,
                           .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                           .forced = true};
        assert_true(mm_mmap(sim_mm(x->sim), &m) > 0);
    }
    x->sim->outbox.n = 0;
    *state = x;
    return 0;
}

static int setup(void **state)
{
    return open_tree(state, 1);
}

static int setup_cores(void **state)
{
    return open_tree(state, 4);
}

static int teardown(void **state)
{
    struct tree *x = *state;
    assert_int_equal(account_audit(x->sim), 0);
    assert_int_equal(sim_audit(x->sim), 0);
    sim_close(x->sim);
    free(x);
    return 0;
}

static uint64_t minor(struct tree *x, uint32_t pid)
{
    struct stat_set set;
    struct sim_proc *p = x->sim->procs;
    account(x->sim, x->sim->current);
    while (p && p->pid != pid)
        p = p->next;
    assert_non_null(p);
    account_proc(x->sim, p, &set);
    return STAT(&set, minor_faults);
}

static uint64_t anon(const struct tree *x)
{
    return phys_owner_frames(x->sim->phys, FRAME_USER_ANON);
}

static uint64_t tables(const struct tree *x)
{
    return phys_owner_frames(x->sim->phys, FRAME_PAGE_TABLE);
}

/* -- fork ----------------------------------------------------------------------------------------*/

static void after_a_fork_each_side_pays_for_its_own_first_writes(void **state)
{
    struct tree *x = *state;
    for (unsigned i = 0; i < 10; i++)
        touch(x, x->first, i, true);
    uint64_t before = minor(x, FIRST);
    struct sim_thread *c = forked(x, x->first, 1, SYS_fork, 1001);
    for (unsigned i = 0; i < 10; i++)
        touch(x, c, i, false);
    uint64_t reads =
        minor(x, 1001); /* one of code: not copied by fork, nothing was written there */
    assert_int_equal(reads, 1);
    for (unsigned i = 0; i < 6; i++)
        touch(x, c, i, true);
    assert_int_equal(minor(x, 1001), reads + 6);
    assert_int_equal(minor(x, FIRST), before);
    for (unsigned i = 0; i < 10; i++)
        touch(x, x->first, i, true); /* also of pages that are its own again */
    assert_int_equal(minor(x, FIRST), before + 10);
    sim_thread_close(x->sim, c);
}

static void a_child_that_ends_gives_all_its_frames_back(void **state)
{
    struct tree *x = *state;
    for (unsigned i = 0; i < 10; i++)
        touch(x, x->first, i, true);
    uint64_t frames = anon(x), kernel = tables(x),
             stacks = phys_owner_frames(x->sim->phys, FRAME_KERNEL_STACK);
    for (uint32_t k = 1; k < 20; k++) {
        struct sim_thread *c = forked(x, x->first, k, SYS_fork, 1000 + k);
        for (unsigned i = 0; i < 20; i++)
            touch(x, c, i, true);
        assert_int_equal(anon(x), frames + 20);
        assert_true(tables(x) > kernel);
        sim_thread_close(x->sim, c);
        assert_int_equal(anon(x), frames);
        assert_int_equal(tables(x), kernel);
        assert_int_equal(phys_owner_frames(x->sim->phys, FRAME_KERNEL_STACK), stacks);
    }
}

/* getrusage(2): faults by kind. A child has its parent's name until it executes a program; giving its memory up
 * is paid by who ended. */
static void a_report_names_a_child_as_its_parent_and_tells_what_its_end_cost(void **state)
{
    struct tree *x = *state;
    uint32_t n;
    touch(x, x->first, 0, true);
    memcpy(x->sim->procs->comm, "parent", 7);
    struct sim_thread *t = forked(x, x->first, 1, SYS_fork, 200);
    for (uint64_t page = 0; page < 5; page++)
        touch(x, t, page, true);
    account(x->sim, NULL);
    STAT(&t->sum->stats, major_faults) += 3; /* the disc was slow */
    STAT(&x->sim->stats, major_faults) += 3;
    STAT(&x->sim->mark, major_faults) += 3;
    STAT(&x->sim->core_stats[0], major_faults) += 3;
    uint64_t cost = STAT(&x->sim->stats, kernel_cycles_exit);
    sim_thread_close(x->sim, t);
    struct sim_process *p = sim_processes(x->sim, &n);
    assert_int_equal(n, 2);
    assert_string_equal(p[1].comm, "parent");
    assert_int_equal(p[1].mm.majflt, 3);
    assert_int_equal(p[1].mm.minflt, STAT(&p[1].stats, minor_faults));
    assert_true(p[1].mm.minflt >= 5);
    cost = STAT(&x->sim->stats, kernel_cycles_exit) - cost;
    assert_true(cost >= 5 * x->sim->conf.cost_zap); /* its pages, at least */
    assert_int_equal(STAT(&p[1].stats, kernel_cycles_exit), cost);
    free(p);
}

static void a_childs_word_may_come_before_its_parents_return(void **state)
{
    struct tree *x = *state;
    uint64_t faults[2][2];
    for (unsigned late = 0; late < 2; late++) {
        uint32_t k = late + 1, pid = 1001 + late;
        for (unsigned i = 0; i < 4; i++)
            touch(x, x->first, i, true);
        uint64_t before = minor(x, FIRST);
        enter_fork(x, x->first, k, SYS_fork);
        if (late)
            leave_fork(x, x->first, k, SYS_fork, pid);
        struct sim_thread *c = child_of(x, FIRST, k, pid);
        touch(x, c, 0, true);
        if (!late)
            leave_fork(x, x->first, k, SYS_fork, pid);
        touch(x, x->first, 0, true);
        faults[late][0] = minor(x, FIRST) - before;
        faults[late][1] = minor(x, pid);
        sim_thread_close(x->sim, c);
    }
    assert_memory_equal(faults[0], faults[1], sizeof(faults[0]));
    assert_int_equal(faults[0][0], 1);
    assert_int_equal(faults[0][1], 2);
}

static void a_child_whose_parent_died_inside_fork_has_the_parents_memory(void **state)
{
    struct tree *x = *state;
    touch(x, x->first, 3, true);
    struct sim_thread *c = forked(x, x->first, 1, SYS_fork, 1001);
    uint64_t frames = anon(x);
    enter_fork(x, c, 1, SYS_fork);
    sim_thread_close(x->sim, c); /* no return: it was killed */
    struct sim_thread *g = child_of(x, 1001, 1, 1002);
    touch(x, g, 3, false);
    assert_int_equal(STAT(sim_stats(x->sim), div_no_vma), 0);
    assert_int_equal(anon(x), frames);
    sim_thread_close(x->sim, g);
    touch(x, x->first, 3, true); /* nobody else has it: it is used again */
    assert_int_equal(anon(x), frames);
}

static void vforks_child_runs_in_its_parents_memory(void **state)
{
    struct tree *x = *state;
    touch(x, x->first, 3, true);
    uint64_t before = minor(x, FIRST), kernel = tables(x);
    struct sim_thread *c = forked(x, x->first, 1, SYS_vfork, 1001);
    assert_int_equal(tables(x), kernel);
    touch(x, c, 3, true);
    assert_int_equal(minor(x, 1001), 0);
    touch(x, c, 4, true); /* a new page, made by the child and there for the parent */
    assert_int_equal(minor(x, 1001), 1);
    sim_thread_close(x->sim, c);
    touch(x, x->first, 3, true);
    touch(x, x->first, 4, true);
    assert_int_equal(minor(x, FIRST), before);
}

static void without_a_tree_children_are_only_counted(void **state)
{
    struct tree *x = *state;
    x->sim->tree = false;
    touch(x, x->first, 3, true);
    uint64_t before = minor(x, FIRST);
    enter_fork(x, x->first, 1, SYS_fork);
    leave_fork(x, x->first, 1, SYS_fork, 1001);
    touch(x, x->first, 3, true);
    assert_int_equal(minor(x, FIRST), before);
    assert_int_equal(STAT(sim_stats(x->sim), sim_children), 1);
}

/* -- exec ----------------------------------------------------------------------------------------*/

static struct sim_thread *program(struct tree *x, uint32_t pid, uint32_t ppid)
{
    uint64_t p[START_WORDS + 4] = {
        [START_VERSION] = EV_VERSION, [START_PID] = pid, [START_TID] = pid,
        [START_PPID] = ppid,          [START_WORDS] = 5, [START_WORDS + 2] = 4};
    struct sim_thread *t = sim_thread_open(x->sim);
    memcpy(&p[START_WORDS + 1], "/none", 5); /* no file: exec's mappings are not what is tested */
    memcpy(&p[START_WORDS + 3], "a\0b\0", 4);
    record(x, t, EV_START, START_WORDS + 4, p);
    return t;
}

static void exec_begins_with_an_empty_address_space_and_no_handlers(void **state)
{
    struct tree *x = *state;
    uint64_t frames = anon(x);
    struct sim_thread *c = forked(x, x->first, 1, SYS_fork, 1001);
    for (unsigned i = 0; i < 10; i++)
        touch(x, c, i, true);
    c->proc->handlers[2] = 0x1234;
    enter(x, c, SYS_execve, 0, 0);
    sim_thread_close(x->sim, c);
    assert_int_equal(anon(x), frames + 10); /* until the new program is known to run */
    struct sim_thread *n = program(x, 1001, FIRST);
    touch(x, n, 0, false);
    assert_int_equal(n->proc->generation, 0);
    assert_int_equal(n->proc->handlers[2], 0);
    assert_string_equal(n->proc->path, "/none");
    assert_int_equal(n->proc->argv_bytes, 4);
    assert_true(anon(x) < frames + 10);
    assert_non_null(mm_vma_at(sim_mm(x->sim), va(DATA))); /* the parent's stays */
    struct sim_proc *p = n->proc;
    sim_thread_close(x->sim, n);
    assert_int_equal(p->state, PROC_ENDED);
}

static void a_vforked_child_that_executes_a_program_leaves_its_parents_memory_alone(void **state)
{
    struct tree *x = *state;
    touch(x, x->first, 3, true);
    struct sim_thread *c = forked(x, x->first, 1, SYS_vfork, 1001);
    enter(x, c, SYS_execve, 0, 0);
    sim_thread_close(x->sim, c);
    struct sim_thread *n = program(x, 1001, FIRST);
    touch(x, n, 5, true);
    uint64_t before = minor(x, FIRST);
    touch(x, x->first, 3, true);
    assert_int_equal(minor(x, FIRST), before);
    sim_thread_close(x->sim, n);
    touch(x, x->first, 3, true);
    assert_int_equal(minor(x, FIRST), before);
}

/* -- ends ----------------------------------------------------------------------------------------*/

static void native_exec(struct tree *x, struct sim_thread *t, const char *path)
{
    uint64_t w[2 + 2] = {NATIVE_REFUSED, strlen(path)};

    memcpy(w + 2, path, strlen(path));
    enter(x, t, SYS_execve, 0, 0);
    record(x, t, EV_NATIVE, 4, w);
}

static void what_ran_on_unobserved_is_known_by_its_path_unless_the_call_returned(void **state)
{
    struct tree *x = *state;
    struct sim_thread *c = forked(x, x->first, 1, SYS_fork, 1001);
    struct sim_proc *p = c->proc;

    native_exec(x, c, "/nowhere/it");
    assert_int_equal(p->native, NATIVE_REFUSED);
    leave(x, c, SYS_execve, -ENOENT);
    assert_int_equal(p->native, 0);
    native_exec(x, c, "/bin/login");
    sim_thread_close(x->sim, c);
    assert_int_equal(p->native, NATIVE_REFUSED);
    assert_string_equal(p->native_path, "/bin/login");
}

static void a_pid_used_again_is_another_process(void **state)
{
    struct tree *x = *state;
    for (uint32_t k = 1; k < 4; k++) {
        struct sim_thread *c = forked(x, x->first, k, SYS_fork, 1001);
        assert_int_equal(c->proc->generation, k - 1);
        touch(x, c, 0, true);
        sim_thread_close(x->sim, c);
    }
}

static void how_a_process_ended_is_what_it_said_or_what_was_waited_for(void **state)
{
    struct tree *x = *state;
    struct sim_thread *c[2];
    for (uint32_t i = 0; i < 2; i++)
        c[i] = forked(x, x->first, 1 + i, SYS_fork, 1001 + i);
    struct sim_proc *p[2] = {c[0]->proc, c[1]->proc};
    enter(x, c[0], SYS_exit_group, 7, 0);
    record(x, c[0], EV_EXIT, 1, (const uint64_t[1]){7});
    sim_thread_close(x->sim, c[0]);
    assert_true(p[0]->exit_known && p[0]->exit_code == 7 && p[0]->exit_signal == 0);
    sim_thread_close(x->sim, c[1]);
    assert_false(p[1]->exit_known);
    enter(x, x->first, SYS_wait4, 1002, DATA);
    record(x, x->first, EV_BYTES, 3, (const uint64_t[3]){DATA, 4, 9 /* SIGKILL */});
    leave(x, x->first, SYS_wait4, 1002);
    assert_true(p[1]->exit_known && p[1]->exit_signal == 9);
}

static void the_last_process_stays_to_be_looked_at_until_another_begins(void **state)
{
    struct tree *x = *state;
    struct sim_thread *c = forked(x, x->first, 1, SYS_fork, 1001);
    struct sim_proc *child = c->proc;
    sim_thread_close(x->sim, x->first);
    assert_null(sim_mm(x->sim)); /* the child lives */
    touch(x, c, 1, true);
    sim_thread_close(x->sim, c);
    assert_non_null(child->mm);
    struct sim_thread *late = program(x, 1009, 1);
    touch(x, late, 1, true);
    assert_null(child->mm);
}

/* -- sums ----------------------------------------------------------------------------------------*/

/* What the test itself adds up. */
struct naive {
    struct sim_proc *proc[400];
    struct stat_set set[400];
    unsigned n;
    struct stat_set core[4];
};

static struct stat_set *of_proc(struct naive *v, struct sim_proc *p)
{
    for (unsigned i = 0; i < v->n; i++)
        if (v->proc[i] == p)
            return &v->set[i];
    assert_true(v->n < 400);
    v->proc[v->n] = p;
    return &v->set[v->n++];
}

static void add_difference(struct stat_set *to, const struct stat_set *from,
                           const struct stat_set *now)
{
    for (int k = 0; k < STAT_NR; k++)
        to->v[k] += now->v[k] - from->v[k];
}

static void step(struct tree *x, struct naive *v, struct sim_thread *t, struct rng *r)
{
    struct stat_set before = *sim_stats(x->sim);
    touch(x, t, rng_below(r, PAGES), rng_below(r, 2));
    add_difference(of_proc(v, t->proc), &before, sim_stats(x->sim));
    add_difference(&v->core[t->core_id], &before, sim_stats(x->sim));
}

/* Of a random tree: forks and ends are not in the naive sums, so only counts of touching are compared. */
static const enum stat_id compared[] = {STAT_stores, STAT_loads, STAT_instructions, STAT_blocks};

static void compare(struct tree *x, struct naive *v)
{
    struct stat_set set;
    account(x->sim, x->sim->current);
    for (unsigned i = 0; i < v->n; i++) {
        account_proc(x->sim, v->proc[i], &set);
        for (unsigned k = 0; k < ARRAY_LEN(compared); k++)
            assert_int_equal(set.v[compared[k]], v->set[i].v[compared[k]]);
        assert_int_equal(STAT(&set, minor_faults), STAT(&v->set[i], minor_faults));
    }
    for (unsigned c = 0; c < 4; c++)
        for (unsigned k = 0; k < ARRAY_LEN(compared); k++)
            assert_int_equal(x->sim->core_stats[c].v[compared[k]], v->core[c].v[compared[k]]);
    assert_int_equal(account_audit(x->sim), 0);
}

static void counts_of_random_trees_are_those_of_whose_words_they_were(void **state)
{
    struct tree *x = *state;
    struct naive *v = calloc(1, sizeof(*v));
    struct sim_thread *t[LIVING] = {x->first};
    uint32_t calls[LIVING] = {0}, n = 1, pid = FIRST;
    struct rng r = {20261122};
    for (unsigned i = 0; i < 6000; i++) {
        uint32_t at = rng_below(&r, n);
        if (n < LIVING && pid < FIRST + 300 && rng_below(&r, 20) == 0) {
            calls[n] = 0;
            t[n++] = forked(x, t[at], ++calls[at], rng_below(&r, 4) ? SYS_fork : SYS_vfork, ++pid);
        } else if (n > 1 && rng_below(&r, 25) == 0) {
            sim_thread_close(x->sim, t[at]);
            calls[at] = calls[--n];
            t[at] = t[n];
        } else {
            step(x, v, t[at], &r);
        }
    }
    compare(x, v);
    assert_true(v->n > 100);
    free(v);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(after_a_fork_each_side_pays_for_its_own_first_writes),
        TEST(a_child_that_ends_gives_all_its_frames_back),
        TEST(a_report_names_a_child_as_its_parent_and_tells_what_its_end_cost),
        TEST(a_childs_word_may_come_before_its_parents_return),
        TEST(a_child_whose_parent_died_inside_fork_has_the_parents_memory),
        TEST(vforks_child_runs_in_its_parents_memory),
        TEST(without_a_tree_children_are_only_counted),
        TEST(exec_begins_with_an_empty_address_space_and_no_handlers),
        TEST(a_vforked_child_that_executes_a_program_leaves_its_parents_memory_alone),
        TEST(what_ran_on_unobserved_is_known_by_its_path_unless_the_call_returned),
        TEST(a_pid_used_again_is_another_process),
        TEST(how_a_process_ended_is_what_it_said_or_what_was_waited_for),
        TEST(the_last_process_stays_to_be_looked_at_until_another_begins),
        cmocka_unit_test_setup_teardown(counts_of_random_trees_are_those_of_whose_words_they_were,
                                        setup_cores, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
