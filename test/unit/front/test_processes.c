/* links: front event base */
/* Many processes in one region: random trees of them are played by one thread, step by step, while the
 * reader reads at random moments. They fork, execute, start and end threads, call, exit, are killed, and
 * their numbers come again. What may be fed when is known here by counting, not by the reader's rules:
 * every word says which program wrote it, how many calls of that program had ended before, and how many
 * had begun. Live numbers are those of real sleeping children, so that the reader can ask about them. */
#include "event/ring.h"
#include "fake_sim.h"
#include "front/front_int.h"

#include "base/bits.h"

#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define IMAGES  400 /* programs ever, in one play */
#define THREADS 800
#define PIDS    12 /* numbers in use at once */
#define SEEDS   250

/* A program in a process; exec makes another. */
struct image {
    uint32_t pid;
    struct image *older;   /* had the number before; NULL: none */
    struct image *parent;  /* NULL: made by exec, or the first */
    uint32_t parent_call;  /* of the parent's that made it */
    uint32_t begun, ended; /* its calls, when the program made them */
    uint32_t applied;      /* when the reader fed them */
    unsigned threads;      /* that live */
    bool dead, fed;        /* over; some word of it was fed */
    bool heir;             /* all its threads ended, but one that has not written yet */
    struct thread *caller; /* inside a numbered call; NULL: nobody */
};

struct thread {
    struct image *image;
    struct ring_slot *slot;
    uint64_t *words;
    uint64_t written; /* words */
    uint64_t read;    /* words that came */
    uint32_t epoch;   /* told */
    bool forks;       /* the call it is inside of */
    bool child_made;  /* and the child is there */
    bool alive;
    bool torn; /* killed inside a record */
    struct sim_thread *sim;
};

struct play {
    struct region region;
    struct reader reader;
    struct sim *sim;
    struct image image[IMAGES];
    unsigned images;
    struct thread thread[THREADS];
    unsigned threads;
    pid_t pid[PIDS];        /* 0: none */
    struct image *of[PIDS]; /* who has it */
    uint64_t x;             /* random numbers */
    unsigned kills;
    const char *wrong;
};

static struct play *play; /* for the hook */

static uint32_t pick(uint32_t n)
{
    play->x ^= play->x << 13;
    play->x ^= play->x >> 7;
    play->x ^= play->x << 17;
    return (uint32_t)(play->x >> 11) % n;
}

/* -- numbers of processes ------------------------------------------------------------------------- */
static pid_t sleeper(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        alarm(60);
        for (;;)
            pause();
    }
    return pid;
}

/* take_pid returns a number for a new process; -1 when enough live. */
static int take_pid(void)
{
    unsigned i = pick(PIDS);

    if (play->of[i] && !play->of[i]->dead)
        return -1;
    if (play->pid[i] == 0)
        play->pid[i] = sleeper();
    return (int)i;
}

/* let_die: the number of a dead process is nobody's for a while, or belongs to another at once. */
static void let_die(const struct image *m)
{
    for (unsigned i = 0; i < PIDS; i++) {
        if (play->pid[i] != (pid_t)m->pid || pick(2) == 0)
            continue;
        kill(play->pid[i], SIGKILL);
        waitpid(play->pid[i], NULL, 0);
        play->pid[i] = 0;
    }
}

/* -- writing, as a front end does ------------------------------------------------------------------ */
static void put(struct thread *t, uint64_t w)
{
    t->words[(atomic_load(&t->slot->head) + t->written) & (RING_WORDS - 1)] = w;
    t->written++;
}

/* publish makes what was put visible. `written` counts from the last publishing on only in `put`. */
static uint64_t published[THREADS];
static void publish(struct thread *t)
{
    atomic_store(&t->slot->head, atomic_load(&t->slot->head) + t->written);
    published[t - play->thread] += t->written;
    t->written = 0;
}

static struct thread *new_thread(struct image *m)
{
    struct ring_region *ring = play->region.ring;
    struct thread *t = &play->thread[play->threads++];
    unsigned i = 0;

    while (atomic_load(&ring->slot[i].state) != RING_FREE)
        i++;
    *t = (struct thread){.image = m, .slot = &ring->slot[i], .alive = true};
    t->words = (uint64_t *)(void *)((char *)ring + ring->words_offset) + i * RING_WORDS;
    atomic_store(&t->slot->state, RING_LIVE);
    atomic_store(&t->slot->in_call, 0);
    atomic_store(&t->slot->pid, m->pid);
    atomic_fetch_add(&ring->threads, 1);
    m->threads++;
    return t;
}

/* The number of a thread stands where the time does: it grows, and says whose words these are. */
static uint64_t mark(const struct thread *t)
{
    return (uint64_t)(t - play->thread) + 1;
}

static struct image *new_image(int nth)
{
    struct image *m = &play->image[play->images++];

    *m = (struct image){.pid = (uint32_t)play->pid[nth], .older = play->of[nth]};
    if (m->older && m->older->pid != m->pid)
        m->older = NULL;
    play->of[nth] = m;
    return m;
}

static void put_start(struct thread *t)
{
    put(t, event_control(EV_START, START_WORDS + 2));
    for (unsigned i = 0; i < START_WORDS + 2; i++)
        put(t, i == START_VERSION ? EV_VERSION
               : i == START_PID   ? t->image->pid
               : i == START_NS    ? mark(t)
                                  : 0);
}

static void put_fork(struct thread *t, const struct image *parent, uint32_t call)
{
    const uint64_t w[FORK_WORDS] = {[FORK_PID] = t->image->pid,
                                    [FORK_PPID] = parent->pid,
                                    [FORK_CALL] = call,
                                    [FORK_NS] = mark(t)};

    put(t, event_control(EV_FORK, FORK_WORDS));
    for (unsigned i = 0; i < FORK_WORDS; i++)
        put(t, w[i]);
}

/* -- what the actors do --------------------------------------------------------------------------- */
static void tell_epoch(struct thread *t, uint32_t epoch)
{
    t->epoch = epoch;
    put(t, event_control(EV_EPOCH, 1));
    put(t, epoch);
}

/* look_around: a block whose accesses say what the thread knew: calls ended, calls begun. */
static void look_around(struct thread *t)
{
    uint32_t epoch = t->image->begun + t->image->ended;

    if (t->epoch != epoch)
        tell_epoch(t, epoch);
    put(t, event_block(0));
    put(t, event_access(t->image->ended, 0, 3, false));
    put(t, event_access(t->image->begun, 1, 3, false));
    publish(t);
}

static void put_call(struct thread *t, uint64_t nr)
{
    put(t, event_control(EV_SYSCALL, 8));
    put(t, nr);
    for (unsigned i = 0; i < 7; i++)
        put(t, 0);
}

static void begin_call(struct thread *t, bool forks)
{
    struct image *m = t->image;

    m->begun++;
    m->caller = t;
    t->forks = forks;
    t->child_made = false;
    tell_epoch(t, m->begun + m->ended);
    put_call(t, forks ? SYS_fork : SYS_munmap);
    publish(t);
    atomic_store(&t->slot->in_call, 1);
}

static void end_call(struct thread *t)
{
    struct image *m = t->image;

    atomic_store(&t->slot->in_call, 0);
    put(t, event_control(EV_SYSCALL_RET, 3));
    put(t, t->forks ? SYS_fork : SYS_munmap);
    put(t, 0);
    put(t, 0);
    publish(t);
    m->ended++;
    t->epoch = m->begun + m->ended;
    m->caller = NULL;
}

static void make_child(struct thread *t)
{
    int nth = take_pid();
    struct image *m;
    struct thread *child;

    if (nth < 0)
        return;
    m = new_image(nth);
    m->parent = t->image;
    m->parent_call = t->image->begun;
    child = new_thread(m);
    put_fork(child, t->image, m->parent_call);
    publish(child);
    t->child_made = true;
}

static void start_thread(struct image *m)
{
    struct thread *t = new_thread(m);

    put(t, event_control(EV_THREAD_START, 3));
    put(t, m->pid);
    put(t, 0);
    put(t, mark(t));
    publish(t);
}

static void end_of(struct image *m)
{
    m->dead = true;
    m->caller = NULL;
    for (unsigned i = 0; i < play->threads; i++)
        if (play->thread[i].image == m)
            play->thread[i].alive = false;
}

static void exit_thread(struct thread *t)
{
    struct image *m = t->image;

    put(t, event_control(EV_THREAD_EXIT, 1));
    put(t, 0);
    publish(t);
    atomic_store(&t->slot->state, RING_DONE);
    t->alive = false;
    if (--m->threads != 0)
        return;
    m->heir = pick(2);
    if (!m->heir) {
        end_of(m);
        let_die(m);
    }
}

/* go_on: the thread that is left begins to write. */
static void go_on(struct image *m)
{
    if (m->heir)
        start_thread(m);
    m->heir = false;
}

static void execute(struct thread *t)
{
    struct image *m = t->image, *new;
    unsigned nth = 0;

    while (play->of[nth] != m)
        nth++;
    put_call(t, SYS_execve);
    publish(t);
    atomic_store(&t->slot->in_call, 1);
    atomic_store(&t->slot->state, RING_EXEC);
    end_of(m);
    new = new_image((int)nth);
    t = new_thread(new);
    put_start(t);
    publish(t);
}

/* kill_one kills a process, perhaps while one of its threads writes a record. */
static void kill_one(struct thread *t)
{
    if (pick(3) == 0) {
        put(t, event_control(EV_SYSCALL, 8));
        put(t, SYS_munmap);
        publish(t);
        t->torn = true;
    }
    end_of(t->image);
    let_die(t->image);
    play->kills++;
}

/* act lets a random thread do something random. */
static void act(bool kills)
{
    struct thread *t = &play->thread[pick(play->threads)];
    struct image *m = t->image;

    if (play->threads > THREADS - 4 || play->images > IMAGES - 4)
        return;
    if (pick(4) == 0)
        go_on(m);
    if (!t->alive)
        return;
    if (m->caller == t) {
        if (t->forks && !t->child_made && pick(2))
            make_child(t);
        else if (kills && pick(20) == 0)
            kill_one(t);
        else if (pick(2))
            end_call(t);
        return;
    }
    switch (pick(32)) {
    case 0:
        start_thread(m);
        break;
    case 1:
        if (play->threads > 8)
            exit_thread(t);
        break;
    case 2:
        if (!m->caller)
            execute(t);
        break;
    case 3:
        if (kills)
            kill_one(t);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        if (!m->caller)
            begin_call(t, pick(2));
        break;
    default:
        look_around(t);
    }
}

/* -- what came, and whether it may ----------------------------------------------------------------- */
static struct thread *thread_of(const struct sim_thread *t)
{
    for (unsigned i = 0; i < play->threads; i++)
        if (play->thread[i].sim == t)
            return &play->thread[i];
    return NULL;
}

/* unread says whether a thread of an image, or of one that had its number before, has words to come. */
static bool unread(const struct image *m)
{
    for (; m; m = m->older)
        for (unsigned i = 0; i < play->threads; i++) {
            const struct thread *t = &play->thread[i];

            if (t->image == m && t->read < published[i] - (t->torn ? 2 : 0))
                return true;
        }
    return false;
}

static void check_first(const struct image *m)
{
    if (unread(m->older))
        play->wrong = "a program before the end of the one that had its number";
    if (m->parent && m->parent->applied < m->parent_call && play->sim->forced == 0)
        play->wrong = "a child before the call that made it";
}

/* check_access: the words of look_around. */
static void check_access(const struct image *m, uint64_t w)
{
    if (play->sim->forced)
        return;
    if (event_insn(w) == 0 && m->applied < event_addr(w))
        play->wrong = "an access before a call that had ended";
    if (event_insn(w) == 1 && m->applied > event_addr(w))
        play->wrong = "an access after a call that had not begun";
}

static uint64_t mark_in(const uint64_t *w)
{
    switch (event_type(*w)) {
    case EV_START:
        return w[1 + START_NS];
    case EV_FORK:
        return w[1 + FORK_NS];
    case EV_THREAD_START:
        return w[3];
    }
    return 0;
}

static void on_word(struct sim *s, struct sim_thread *st, const uint64_t *w)
{
    struct thread *t = thread_of(st);

    (void)s;
    if (!t) {
        assert_int_equal(event_kind(*w), EV_CONTROL);
        assert_in_range(mark_in(w), 1, play->threads);
        t = &play->thread[mark_in(w) - 1];
        if (t->sim)
            play->wrong = "a stream twice";
        t->sim = st;
        if (!t->image->fed)
            check_first(t->image);
        t->image->fed = true;
    }
    t->read += event_kind(*w) == EV_CONTROL ? 1 + event_words(*w) : 1;
    if (event_kind(*w) == EV_ACCESS)
        check_access(t->image, *w);
    if (event_kind(*w) == EV_CONTROL && event_type(*w) == EV_SYSCALL_RET)
        t->image->applied++;
}

/* -- one play ------------------------------------------------------------------------------------- */
static void add_block(struct ring_region *ring)
{
    struct ring_block *b = (void *)((char *)ring + ring->table_offset);

    *b = (struct ring_block){.pc = 0x1000, .bytes = 32, .insns = 2, .code_bytes = 2};
    memcpy(b->data, "\1\1\x90\x90", 4);
    *(uint32_t *)(void *)((char *)ring + ring->index_offset) = 1;
    ring->blocks = 1;
}

static void open_play(uint64_t seed)
{
    struct thread *t;

    play = calloc(1, sizeof *play);
    memset(published, 0, sizeof published);
    play->x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    play->sim = calloc(1, sizeof *play->sim);
    play->sim->on_word = on_word;
    assert_int_equal(region_open(&play->region, 0), 0);
    add_block(play->region.ring);
    reader_open(&play->reader, play->sim, &play->region);
    play->pid[0] = sleeper();
    t = new_thread(new_image(0));
    put_start(t);
    publish(t);
}

static void close_play(void)
{
    reader_close(&play->reader);
    for (unsigned i = 0; i < RING_SLOTS; i++)
        assert_int_equal(atomic_load(&play->region.ring->slot[i].state), RING_FREE);
    region_close(&play->region);
    fake_free(play->sim);
    for (unsigned i = 0; i < PIDS; i++)
        if (play->pid[i]) {
            kill(play->pid[i], SIGKILL);
            waitpid(play->pid[i], NULL, 0);
        }
    free(play);
}

/* read_some lets the reader do a few steps, and what who drives it does now and then. */
static void read_some(bool kills)
{
    struct reader *r = &play->reader;

    for (unsigned n = pick(6); n--;)
        reader_step(r);
    if (kills && pick(20) == 0) {
        r->beat++;
        reader_look(r);
        while (reader_force(r))
            ;
    }
}

static void read_the_rest(bool kills)
{
    struct reader *r = &play->reader;
    unsigned steps = 0;

    while (reader_step(r))
        assert_true(++steps < 1000000);
    for (unsigned i = 0; kills && i < 300; i++) {
        r->beat++;
        reader_look(r);
        while (reader_force(r) || reader_step(r))
            assert_true(++steps < 1000000);
    }
}

/* assert_all_read: every word but a torn record at the end of a killed thread. */
static void assert_all_read(void)
{
    for (unsigned i = 0; i < play->threads; i++)
        assert_int_equal(play->thread[i].read + (play->thread[i].torn ? 2 : 0), published[i]);
}

static void play_tree(uint64_t seed, unsigned acts, bool kills)
{
    open_play(seed);
    for (unsigned i = 0; i < acts && !play->wrong; i++) {
        act(kills);
        if (pick(3) == 0)
            read_some(kills);
    }
    for (unsigned i = 0; i < play->threads; i++) /* nobody stays inside a call for ever */
        if (play->thread[i].alive && play->thread[i].image->caller == &play->thread[i])
            end_call(&play->thread[i]);
    for (unsigned i = 0; i < play->images && play->threads < THREADS; i++)
        go_on(&play->image[i]);
    for (unsigned i = 0; i < play->threads; i++) /* and all go on */
        if (play->thread[i].alive)
            look_around(&play->thread[i]);
    read_the_rest(kills);
    if (play->wrong || play->sim->wrong)
        fail_msg("seed %u: %s", (unsigned)seed, play->wrong ? play->wrong : play->sim->wrong);
    assert_int_equal(play->reader.error, 0);
    assert_all_read();
    if (!kills)
        assert_int_equal(play->sim->forced, 0);
    close_play();
}

static void every_order_of_a_tree_is_kept(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        play_tree(seed, 1500, false);
}

static void killed_processes_hold_up_nobody(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        play_tree(1000 + seed, 1500, true);
}

/* -- vfork ---------------------------------------------------------------------------------------- */

/* The parent's munmap takes away what the child stood on: the child has executed or ended before the parent
 * made it (kernel/fork.c, wait_for_vfork_done), so all its words come first. */
static void on_word_of_vfork(struct sim *s, struct sim_thread *st, const uint64_t *w)
{
    const struct image *parent = &play->image[0];

    on_word(s, st, w);
    if (parent->applied == 2 && unread(&play->image[1]))
        play->wrong = "a call before the words of the process that had the memory";
}

static void a_parent_that_lent_its_memory_makes_no_call_meanwhile(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        open_play(seed);
        play->sim->on_word = on_word_of_vfork;
        struct thread *parent = &play->thread[0];
        begin_call(parent, true);
        while (!parent->child_made)
            make_child(parent);
        play->thread[1].words[1 + FORK_FLAGS] = CLONE_VM | CLONE_VFORK;
        end_call(parent);
        for (unsigned i = 0; i < 100; i++) /* it is far ahead in virtual time */
            look_around(&play->thread[1]);
        read_the_rest(false);
        for (unsigned i = 0; i < 20; i++)
            look_around(&play->thread[1]);
        if (pick(2))
            read_some(false);
        begin_call(parent, false);
        end_call(parent);
        read_the_rest(false);
        assert_null(play->wrong);
        assert_int_equal(play->image[0].applied, 2);
        assert_int_equal(play->sim->forced, 0);
        assert_all_read();
        close_play();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_of_a_tree_is_kept),
        cmocka_unit_test(killed_processes_hold_up_nobody),
        cmocka_unit_test(a_parent_that_lent_its_memory_makes_no_call_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
