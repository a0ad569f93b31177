/* run.c: one run of a program, from its name to its exit status and the end of all its processes.
 *
 *   step ─ fed ─► step …
 *        └ nothing ─► all gone? ─► drain, done
 *                  └► sleep
 *   every few ms, whatever else: look who died; whose words have waited for two beats is forced on
 */
#include "front/front_int.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BEAT_NS        10000000u /* two of them without a turn: go on without the right order */
#define NAP_NS         200000u   /* sleep while some thread runs: its words are late at most that */
#define NAP_LONG_NS    10000000u /* while all threads are inside calls */
#define PROGRESS_NS    200000000u /* between two progress lines */
#define STEPS_PER_LOOK 32         /* steps between two looks at guest and clock */

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* -- progress ------------------------------------------------------------------------------------- */
struct progress {
    bool on;
    uint64_t began_ns, shown_ns; /* start of the run, last line */
    uint64_t shown_words;
    const struct front_options *options; /* for .poll */
    struct door *door;
    const struct region *region;
};

static void put_line(const char *line)
{
    if (write(STDERR_FILENO, line, strlen(line)) < 0)
        return; /* a progress line is not worth an error */
}

static void look_outside(const struct progress *p)
{
    door_poll(p->door, p->region);
    if (p->options->poll)
        p->options->poll(p->options->poll_data);
}

static void progress_show(struct progress *p, const struct reader *r, uint64_t now)
{
    char line[160], more[64] = "";

    if (!p->on || now - p->shown_ns < PROGRESS_NS)
        return;
    if (r->processes > 1)
        snprintf(more, sizeof more, ", %u of %" PRIu64 " processes", reader_alive(r), r->processes);
    snprintf(line, sizeof line, "\r\033[K%.1f s, %.1f M events, %.1f M/s%s",
             (double)(now - p->began_ns) / 1e9, (double)r->words / 1e6,
             (double)(r->words - p->shown_words) * 1e3 / (double)(now - p->shown_ns), more);
    put_line(line);
    p->shown_ns = now;
    p->shown_words = r->words;
}

static void progress_erase(const struct progress *p)
{
    if (p->on && p->shown_words)
        put_line("\r\033[K");
}

/* -- the loop ------------------------------------------------------------------------------------- */

/* What is done while the guest runs. */
struct run {
    struct reader *reader;
    struct guest *guest;
    struct progress *progress;
    uint64_t beat_ns; /* last beat */
    unsigned steps;
    bool left;  /* the rest of the tree is let alone */
    bool ended; /* the rest of the tree, because nobody wants to wait for it */
};

/* drain reads what the dead guest left behind. */
static void drain(struct reader *r)
{
    r->over = true;
    while (reader_step(r) || reader_force(r))
        ;
}

/* beat looks who died, and lets processes go on that have waited for too long. */
static void beat(struct run *run, uint64_t now)
{
    if (now - run->beat_ns < BEAT_NS)
        return;
    run->beat_ns = now;
    run->reader->beat++;
    reader_look(run->reader);
    while (reader_force(run->reader))
        ;
}

/* tend looks after the guest: whom the modelled OOM killer chose dies, and what nobody wants to wait for. */
static void tend(struct run *run)
{
    struct reader *r = run->reader;
    struct guest *g = run->guest;
    uint64_t now = now_ns();
    uint32_t victim;

    guest_poll(g);
    while (r->sim && sim_next_victim(r->sim, &victim))
        tree_kill_one((pid_t)victim);
    if (!run->ended && guest_unwanted(g)) {
        guest_kill(g);
        run->ended = true;
    }
    beat(run, now);
    look_outside(run->progress);
    progress_show(run->progress, r, now);
}

/* leave lets all alone that outlive the first process, once that is read to its end. What they write
 * from then on nobody reads. */
static void leave(struct run *run)
{
    const struct guest *g = run->guest;

    if (!run->progress->options->detach || !g->gone || g->over ||
        reader_reads(run->reader, (uint32_t)g->pid))
        return;
    atomic_store(&run->reader->region->ring->detached, 1);
    if (run->reader->sim)
        sim_left(run->reader->sim);
    tape_left(run->reader->tape);
    guest_leave(run->guest);
    run->left = true;
}

static void consume(struct run *run)
{
    struct reader *r = run->reader;

    while (!r->error && !run->left) {
        if (run->steps++ % STEPS_PER_LOOK == 0) {
            tend(run);
            leave(run);
        }
        if (reader_step(r))
            continue;
        run->steps = 0;
        if (run->guest->over)
            break;
        reader_sleep(r, r->lives && reader_idle(r) ? NAP_LONG_NS : NAP_NS);
    }
    if (!r->error && !run->left)
        drain(r);
}

/* -- one run -------------------------------------------------------------------------------------- */
static int fail(char *err, size_t err_size, const char *line)
{
    snprintf(err, err_size, "%s", line);
    return 125;
}

/* no_region says why there is no memory to share with QEMU. */
static int no_region(int error, char *err, size_t err_size)
{
    const char *limit = error == -EFBIG    ? "; the limit on file sizes is too low (ulimit -f)"
                        : error == -ENOMEM ? "; the limit on memory may be too low (ulimit -v)"
                                           : "";

    snprintf(err, err_size, "cannot make 2.4 GB of memory to share with QEMU: %s%s",
             strerror(-error), limit);
    return 125;
}

/* was_killed: somebody ended the first process; QEMU does not end itself by such a signal. */
static bool was_killed(const struct guest *g)
{
    int sig = WIFSIGNALED(g->status) ? WTERMSIG(g->status) : 0;

    return sig == SIGKILL || sig == SIGTERM || sig == SIGINT || sig == SIGHUP || sig == SIGQUIT;
}

/* verdict fills the result from the guest's end; 125 when the program never started. */
static int verdict(const struct reader *r, const struct guest *g, struct front_result *ret,
                   char *err, size_t err_size)
{
    if (r->error)
        return fail(err, err_size,
                    r->error == -EPROTO
                        ? "the program wrote over the memory that QEMU and pagewalk "
                          "share; it cannot be observed"
                        : "out of memory for the model");
    if (atomic_load(&r->region->ring->threads) == 0 && !was_killed(g)) {
        snprintf(err, err_size, "QEMU could not run the program (its message is above; status %d)",
                 WIFEXITED(g->status) ? WEXITSTATUS(g->status) : 128 + WTERMSIG(g->status));
        return 125;
    }
    ret->exit_code = WIFEXITED(g->status) ? WEXITSTATUS(g->status) : 0;
    ret->signal = WIFSIGNALED(g->status) ? WTERMSIG(g->status) : 0;
    ret->words = r->words;
    ret->accesses = r->accesses;
    ret->incomplete = (int)atomic_load(&r->region->ring->error);
    ret->processes = r->processes;
    ret->unfollowed = atomic_load(&r->region->ring->unfollowed);
    ret->keeper_lost = g->lost;
    ret->left = g->left;
    return 0;
}

static int run_guest(const struct front_options *o, const struct front_command *c, struct reader *r,
                     struct front_result *ret, char *err, size_t err_size)
{
    struct door door;
    struct progress p = {
        .on = o->progress, .began_ns = now_ns(), .options = o, .door = &door, .region = r->region};
    char qemu[4096], plugin[4096];
    struct guest g;

    g.sim = r->sim;
    g.tape = o->tape;
    if (front_tools(o, qemu, plugin, sizeof qemu, err, err_size) != 0)
        return 125;
    door_open(&door, r->region->ring);
    if (guest_start(&g, c, qemu, plugin, r->region, err, err_size) != 0) {
        door_close(&door);
        return 125;
    }
    p.shown_ns = p.began_ns;
    consume(&(struct run){.reader = r, .guest = &g, .progress = &p, .beat_ns = p.began_ns});
    if (r->error)
        guest_kill(&g);
    guest_end(&g);
    door_close(&door);
    progress_erase(&p);
    ret->wall_ns = now_ns() - p.began_ns;
    snprintf(ret->path, sizeof ret->path, "%s", c->found);
    return verdict(r, &g, ret, err, err_size);
}

int front_run(const struct front_options *o, struct sim *sim, struct front_result *ret, char *err,
              size_t err_size)
{
    struct front_result result = {0};
    struct front_command command;
    struct region region;
    struct reader *reader;
    uint32_t flags = (o->counts ? RING_F_COUNTS : 0) | RING_F_TREE | (sim ? RING_F_POOLS : 0);
    int error, code = front_command_open(&command, o->argv, err, err_size);

    if (code)
        return code;
    reader = malloc(sizeof *reader);
    error = reader ? region_open(&region, flags) : -ENOMEM;
    if (error != 0) {
        code = no_region(error, err, err_size);
    } else {
        if (sim)
            sim_follow_tree(sim);
        reader_open(reader, sim, &region);
        reader->tape = o->tape;
        code = run_guest(o, &command, reader, &result, err, err_size);
        reader_close(reader);
        region_close(&region);
    }
    free(reader);
    front_command_close(&command);
    if (code == 0)
        *ret = result;
    return code;
}
