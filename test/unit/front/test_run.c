/* links: front event base */
/* Real programs under the real QEMU and the real plugin, read by a simulator that only checks and
 * counts. Expected numbers come from the plugin's plain counters (kept without the ring), from the
 * architecture (fixtures/operands.c) and from what the programs themselves print. */
#include "fake_sim.h"
#include "front/front_int.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char work[] = "/tmp/pagewalk-run-XXXXXX", plugin[PATH_MAX];

/* -- set-up: the plugin and the fixtures ---------------------------------------------------------- */
static int shell(const char *format, ...)
{
    char line[3 * PATH_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return system(line);
}

/* find_plugin: the one of this build; its rule in the Makefile is asked to make it. */
static int find_plugin(void)
{
    char self[PATH_MAX] = "", *mode, *build;

    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return -1;
    for (int i = 0; i < 4; i++)
        dirname(self); /* BUILD/MODE/test/unit/front/test_run */
    if (snprintf(plugin, sizeof plugin, "%s/pagewalk-qemu.so", self) >= (int)sizeof plugin)
        return -1;
    build = strdup(self);
    mode = strrchr(build, '/');
    *mode++ = 0;
    int status = shell("env -u MAKEFLAGS -u MAKELEVEL make -s BUILD=%s MODE=%s %s >/dev/null",
                       build, mode, plugin);
    free(build);
    return status;
}

static int set_up(void **state)
{
    static const char *const fixtures[] = {"operands", "faults", "threads", "forks", "calls"};

    (void)state;
    if (!mkdtemp(work) || find_plugin() != 0)
        return -1;
    for (unsigned i = 0; i < 5; i++)
        if (shell("cc -O1 -pthread -o %s/%s test/e2e/fixtures/%s.c", work, fixtures[i],
                  fixtures[i]) != 0)
            return -1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return shell("rm -rf %s", work);
}

/* -- one run -------------------------------------------------------------------------------------- */
struct run {
    struct sim *sim;
    struct front_result result;
    int code;
    char err[512];
    char out[65536]; /* what the program wrote */
};

/* run starts argv with its stdout in a file; a first word without a slash that is a fixture's name
 * is that fixture. */
static struct run *run_with(struct front_options o,
                            void (*on_word)(struct sim *, struct sim_thread *, const uint64_t *))
{
    struct run *r = calloc(1, sizeof *r);
    char path[PATH_MAX];
    int out, saved = dup(STDOUT_FILENO);
    ssize_t n;

    r->sim = calloc(1, sizeof *r->sim);
    r->sim->on_word = on_word;
    snprintf(path, sizeof path, "%s/out", work);
    out = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    if (!o.plugin)
        o.plugin = plugin;
    r->code = front_run(&o, r->sim, &r->result, r->err, sizeof r->err);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    n = pread(out, r->out, sizeof r->out - 1, 0);
    r->out[n < 0 ? 0 : n] = 0;
    close(out);
    return r;
}

static struct run *run(const char *a, const char *b, const char *c)
{
    char path[PATH_MAX];
    char *argv[4] = {path, (char *)b, (char *)c, NULL};

    snprintf(path, sizeof path, strchr(a, '/') ? "%s" : "%s/%s", strchr(a, '/') ? a : work, a);
    return run_with((struct front_options){.argv = argv, .counts = true}, NULL);
}

static void done(struct run *r)
{
    fake_free(r->sim);
    free(r);
}

/* sound: it ran to that exit status, every stream is valid, no order was forced, and the words are
 * as many as the plugin's plain counters say at every system call. */
static void assert_sound(const struct run *r, int exit_code, bool whole_blocks)
{
    struct fake_sums f = fake_sum(r->sim);

    assert_int_equal(r->code, 0);
    assert_int_equal(r->result.signal, 0);
    assert_int_equal(r->result.exit_code, exit_code);
    if (r->sim->wrong)
        fail_msg("%s", r->sim->wrong);
    assert_int_equal(r->result.incomplete, RING_OK);
    assert_int_equal(r->sim->order_wrong, 0);
    assert_int_equal(r->sim->forced, 0);
    assert_true(f.counts_seen > 10);
    assert_int_equal(f.wrong_accesses, 0);
    if (whole_blocks)
        assert_int_equal(f.wrong_insns, 0);
}

/* -- counts --------------------------------------------------------------------------------------- */
static void counts_equal_on_a_shell(void **state)
{
    struct run *r = run("/bin/sh", "-c", "for i in 1 2 3; do echo $i; done; exit 3");

    (void)state;
    assert_sound(r, 3, true);
    assert_string_equal(r->out, "1\n2\n3\n");
    done(r);
}

static void counts_equal_on_an_interpreter(void **state)
{
    struct run *r;

    (void)state;
    if (access("/usr/bin/perl", X_OK) != 0)
        skip();
    r = run("/usr/bin/perl", "-e", "my %h; $h{$_ % 97} .= $_ for 1..3000; print scalar keys %h");
    assert_sound(r, 0, true);
    assert_string_equal(r->out, "97");
    done(r);
}

static void counts_equal_when_blocks_are_left_in_the_middle(void **state)
{
    static const char *const ways[] = {"retry", "longjmp", "divide", "timer", "smc"};

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        struct run *r = run("faults", ways[i], NULL);

        assert_sound(r, 0, false);
        done(r);
    }
}

/* -- operand forms -------------------------------------------------------------------------------- */
struct piece {
    uint64_t pc, addr, bytes, execution;
    bool store;
};
static struct piece *pieces; /* accesses of the program's own code */
static uint64_t pieces_nr, executions;

static void keep_pieces(struct sim *s, struct sim_thread *t, const uint64_t *w)
{
    if (event_kind(*w) == EV_BLOCK)
        executions++;
    if (event_kind(*w) != EV_ACCESS || fake_pc(s, t, *w) < s->start[START_CODE] ||
        fake_pc(s, t, *w) >= s->start[START_CODE_END])
        return;
    if ((pieces_nr & 0xfff) == 0)
        pieces = realloc(pieces, (pieces_nr + 0x1000) * sizeof *pieces);
    pieces[pieces_nr++] =
        (struct piece){fake_pc(s, t, *w), event_addr(*w), UINT64_C(1) << event_log2_size(*w),
                       executions, event_is_store(*w)};
}

/* What one instruction did: pieces joined when the next goes on where the one before ended. */
struct did {
    uint64_t n[2], bytes[2]; /* loads, stores */
    uint64_t low, high;      /* addresses touched */
};

static struct did did_at(uint64_t pc)
{
    struct did d = {.low = UINT64_MAX};
    const struct piece *last = NULL;

    for (uint64_t i = 0; i < pieces_nr; i++) {
        const struct piece *p = &pieces[i];

        if (p->pc != pc)
            continue;
        if (!last || last->store != p->store || last->execution != p->execution ||
            last->addr + last->bytes != p->addr)
            d.n[p->store]++;
        d.bytes[p->store] += p->bytes;
        d.low = p->addr < d.low ? p->addr : d.low;
        d.high = p->addr + p->bytes > d.high ? p->addr + p->bytes : d.high;
        last = p;
    }
    return d;
}

static void check_form(const char *line, uint64_t image)
{
    unsigned long long pc, loads, stores, load_bytes, store_bytes;
    char name[64], kind[16];
    struct did d;

    assert_int_equal(sscanf(line, "%63s %llx %15s %llu %llu %llu %llu", name, &pc, kind, &loads,
                            &stores, &load_bytes, &store_bytes),
                     7);
    d = did_at(pc);
    if (strcmp(kind, "image") ==
        0) { /* loads, stores: the bytes of the image that may be touched */
        if ((d.bytes[0] > 0) != (loads > 0) || (d.bytes[1] > 0) != (stores > 0) || d.low < image ||
            d.high > image + (loads > stores ? loads : stores))
            fail_msg("%s touches %llx..%llx", name, (unsigned long long)d.low,
                     (unsigned long long)d.high);
    } else if (d.n[0] != loads || d.n[1] != stores || d.bytes[0] != load_bytes ||
               d.bytes[1] != store_bytes) {
        fail_msg("%s: %llu loads of %llu bytes, %llu stores of %llu bytes", name,
                 (unsigned long long)d.n[0], (unsigned long long)d.bytes[0],
                 (unsigned long long)d.n[1], (unsigned long long)d.bytes[1]);
    }
}

static void check_forms(const char *option)
{
    char path[PATH_MAX], *argv[3] = {path, (char *)option, NULL}, *save, *line;
    unsigned long long image = 0;
    unsigned forms = 0;
    struct run *r;

    snprintf(path, sizeof path, "%s/operands", work);
    pieces_nr = executions = 0;
    r = run_with((struct front_options){.argv = argv, .counts = true}, keep_pieces);
    assert_sound(r, 0, option == NULL);
    line = strstr(r->out, "image ");
    assert_int_equal(sscanf(strstr(r->out, "\nimage ") + 1, "image %llx", &image), 1);
    *strstr(r->out, "\nimage ") = 0;
    for (line = strtok_r(r->out, "\n", &save); line; line = strtok_r(NULL, "\n", &save), forms++)
        check_form(line, image);
    assert_true(forms > 100);
    free(pieces);
    pieces = NULL;
    done(r);
}

static void every_operand_form_does_what_the_manual_says(void **state)
{
    (void)state;
    check_forms(NULL);
}

static void every_operand_form_does_so_beside_a_second_thread(void **state)
{
    (void)state;
    check_forms("-t");
}

/* -- threads and processes ------------------------------------------------------------------------ */
static void threads_come_and_go_by_the_hundred(void **state)
{
    struct run *r = run("threads", "400", "40");

    (void)state;
    assert_sound(r, 0, true);
    assert_string_equal(r->out, "400\n");
    assert_int_equal(r->sim->threads, 401);
    assert_int_equal(r->sim->control[EV_THREAD_START], 400);
    assert_true(r->sim->call[9].returns >= 1600); /* mmap: four of each thread */
    assert_true(r->sim->ordered > 3200);
    done(r);
}

/* Of 32 children 16 execute a shell, and 8 are forked by a second thread. */
static void children_are_observed_and_keep_their_exit_codes(void **state)
{
    struct run *r = run("forks", "8", NULL);

    (void)state;
    assert_sound(r, 0, true);
    assert_true(r->sim->tree);
    assert_string_equal(r->out, "32\n");
    assert_int_equal(r->result.processes, 33);
    assert_int_equal(r->sim->control[EV_FORK], 32);
    assert_int_equal(r->sim->control[EV_START], 17); /* itself, 16 shells */
    assert_int_equal(r->sim->control[EV_THREAD_START], 1);
    assert_int_equal(r->sim->control[EV_EXIT], 1 + 32 + 1); /* the second thread's, too */
    assert_int_equal(r->sim->threads, 1 + 1 + 32 + 16);
    assert_int_equal(r->result.unfollowed, 0);
    done(r);
}

static void the_end_of_the_first_process_is_told_with_its_status(void **state)
{
    struct run *r = run("/bin/sh", "-c", "(exit 3); exit 5");

    (void)state;
    assert_sound(r, 5, true);
    assert_int_equal(r->sim->ends, 1);
    assert_int_equal(r->sim->ended_pid, r->sim->start[START_PID]);
    assert_true(WIFEXITED(r->sim->ended_status) && WEXITSTATUS(r->sim->ended_status) == 5);
    done(r);
}

static void orphans_are_observed_to_their_end(void **state)
{
    struct run *r = run("/bin/sh", "-c", "(sleep 0.2; echo late) & exit 4");

    (void)state;
    assert_sound(r, 4, true);
    assert_string_equal(r->out, "late\n");
    assert_int_equal(r->sim->ends, 2); /* the orphan's, too */
    assert_int_equal(r->result.processes, 3);
    assert_int_equal(r->result.left, 0);
    done(r);
}

static void others_are_let_alone_when_asked_for(void **state)
{
    char *argv[] = {"/bin/sh", "-c", "(exec >&-; sleep 0.5) & echo first; exit 4", NULL};
    struct run *r = run_with((struct front_options){.argv = argv, .detach = true}, NULL);

    (void)state;
    assert_int_equal(r->code, 0);
    assert_int_equal(r->result.exit_code, 4);
    assert_string_equal(r->out, "first\n");
    assert_in_range(r->result.left, 1, 2);
    assert_null(r->sim->wrong);
    done(r);
}

static void exec_begins_another_program_and_ends_with_its_status(void **state)
{
    struct run *r = run("/bin/sh", "-c", "exec /bin/sh -c 'echo second; exit 7'");

    (void)state;
    assert_int_equal(r->code, 0);
    assert_int_equal(r->result.exit_code, 7);
    assert_string_equal(r->out, "second\n");
    assert_true(r->sim->call[59].entries == 1 && r->sim->call[59].returns == 0);
    assert_int_equal(r->sim->control[EV_START], 2);
    assert_int_equal(r->sim->threads, 2);
    assert_int_equal(r->result.processes, 1);
    done(r);
}

static void a_killed_guest_tells_its_signal_and_loses_no_word(void **state)
{
    static const struct {
        const char *way;
        int signal;
    } end[] = {{"crash", SIGSEGV}, {"abort", SIGABRT}, {"kill", SIGKILL}};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        int null = open("/dev/null", O_WRONLY), saved = dup(STDERR_FILENO); /* QEMU's message */
        struct run *r;

        dup2(null, STDERR_FILENO);
        r = run("faults", end[i].way, NULL);
        dup2(saved, STDERR_FILENO);
        close(null);
        close(saved);
        assert_int_equal(r->code, 0);
        assert_int_equal(r->result.signal, end[i].signal);
        assert_null(r->sim->wrong);
        assert_int_equal(fake_sum(r->sim).wrong_accesses, 0);
        if (end[i].signal == SIGKILL)
            assert_int_equal(r->sim->call[62].entries, 1); /* the kill(2) itself */
        done(r);
    }
}

/* -- the program sees no difference --------------------------------------------------------------- */
static void the_program_sees_only_its_own_descriptors(void **state)
{
    struct run *r = run("/bin/sh", "-c",
                        "exec 5</dev/null; ls /proc/self/fd | tail -n +4; "
                        "for i in /proc/$$/fd/*; do readlink $i; done");

    (void)state;
    assert_int_equal(r->code, 0);
    assert_null(strstr(r->out, "pagewalk\n"));
    assert_null(strstr(r->out, "memfd"));
    done(r);
}

static void scripts_run_under_their_interpreter(void **state)
{
    char path[PATH_MAX], expected[PATH_MAX + 16];
    struct run *r;

    (void)state;
    snprintf(path, sizeof path, "%s/script", work);
    assert_int_equal(
        shell("printf '#!/bin/sh -e\\necho $0 $#\\nfalse\\necho not reached\\n' > %s && "
              "chmod +x %s",
              path, path),
        0);
    r = run("script", "a b", "c");
    snprintf(expected, sizeof expected, "%s 2\n", path);
    assert_int_equal(r->code, 0);
    assert_int_equal(r->result.exit_code, 1);
    assert_string_equal(r->out, expected);
    assert_string_equal(r->result.path, path);
    done(r);
}

/* -- contents of control words -------------------------------------------------------------------- */
static void calls_carry_what_their_arguments_point_to(void **state)
{
    unsigned long long argv_at, act, handler;
    char path[PATH_MAX];
    struct run *r;
    struct stat st;

    (void)state;
    snprintf(path, sizeof path, "%s/file", work);
    assert_int_equal(shell("head -c 8192 /dev/zero > %s", path), 0);
    r = run("calls", path, NULL);
    assert_sound(r, 0, true);
    assert_int_equal(stat(path, &st), 0);
    assert_string_equal(r->sim->file_path, path); /* of ftruncate, the last */
    assert_int_equal(r->sim->file[1], st.st_dev);
    assert_int_equal(r->sim->file[2], st.st_ino);
    assert_int_equal(r->sim->file[3], 12345);
    assert_int_equal(r->sim->file[5] & O_ACCMODE, O_RDWR);
    /* writev 2, readv 1, sendmsg 3, recvmsg 1 pairs, with index and count each */
    assert_int_equal(r->sim->iovec_words, 4 * 2 + 2 * (2 + 1 + 3 + 1));
    assert_true(r->sim->control[EV_SIGACTION] >= 1);
    assert_int_equal(r->sim->call[4].entries + r->sim->call[262].entries >= 1, 1);
    assert_int_equal(sscanf(r->out, "%llx %llx %llx", &argv_at, &act, &handler), 3);
    assert_true(r->sim->start[START_STACK_LIMIT] < act && act < argv_at &&
                argv_at < r->sim->start[START_STACK_TOP]);
    assert_true(r->sim->start[START_CODE] <= handler && handler < r->sim->start[START_CODE_END]);
    done(r);
}

static void the_start_tells_where_the_program_lies(void **state)
{
    struct run *r = run("operands", "nothing", "1");
    char path[PATH_MAX];
    uint64_t *s = r->sim->start;

    (void)state;
    snprintf(path, sizeof path, "%s/operands", work);
    assert_sound(r, 0, true);
    assert_int_equal(s[START_VERSION], EV_VERSION);
    assert_string_equal(r->sim->path, path);
    assert_int_equal(s[START_BIAS] & 0xfff, 0);
    assert_true(s[START_BIAS] < s[START_CODE] && s[START_CODE] < s[START_CODE_END]);
    assert_int_equal(s[START_STACK_TOP] & 0xfff, 0);
    assert_int_equal(s[START_STACK_LIMIT] & 0xfff, 0);
    assert_true(s[START_STACK_TOP] - s[START_STACK_LIMIT] >= 128 << 10);
    done(r);
}

/* strings returns the bytes of a list of strings with their zeros. */
static uint64_t strings(char *const *list, uint64_t *ret_n)
{
    uint64_t bytes = 0, n = 0;

    for (; list[n]; n++)
        bytes += strlen(list[n]) + 1;
    *ret_n = n;
    return bytes;
}

static void the_start_tells_arguments_environment_limit_and_ids(void **state)
{
    struct run *r = run("operands", "nothing", "");
    uint64_t *s = r->sim->start, envc, env_bytes = strings(environ, &envc), args;
    struct rlimit limit;

    (void)state;
    assert_sound(r, 0, true);
    args = strlen(r->sim->path) + 1;
    assert_int_equal(s[START_ARGC], 3);
    assert_int_equal(s[START_ARG_BYTES], args + sizeof "nothing" + sizeof "");
    assert_string_equal(r->sim->argv, r->sim->path);
    assert_memory_equal(r->sim->argv + args, "nothing\0", sizeof "nothing\0");
    assert_int_equal(s[START_ENVC], envc);
    assert_int_equal(s[START_ENV_BYTES], env_bytes);
    assert_int_equal(getrlimit(RLIMIT_STACK, &limit), 0);
    assert_int_equal(s[START_STACK_RLIMIT], limit.rlim_cur);
    assert_int_equal(s[START_UID], getuid());
    assert_int_equal(s[START_GID], getgid());
    assert_int_equal(r->sim->control[EV_EXIT], 1);
    done(r);
}

static void the_start_tells_the_parent_that_the_program_sees(void **state)
{
    struct run *r = run("/bin/sh", "-c", "echo $PPID");

    (void)state;
    assert_sound(r, 0, true);
    assert_int_equal(r->sim->start[START_PPID], atoi(r->out));
    done(r);
}

/* -- nothing modelled ------------------------------------------------------------------------------ */

/* discard_run runs argv without a simulator, what it writes thrown away. */
static struct front_result discard_run(char *const *argv)
{
    struct front_options o = {.argv = argv, .plugin = plugin};
    struct front_result result;
    int null = open("/dev/null", O_WRONLY), saved = dup(STDOUT_FILENO), code;
    char err[512];

    fflush(stdout);
    dup2(null, STDOUT_FILENO);
    code = front_run(&o, NULL, &result, err, sizeof err);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(null);
    assert_int_equal(code, 0);
    return result;
}

/* The words are those of a run that is checked word by word; a program alone runs the same twice. */
static void discarded_words_are_counted_as_a_simulator_would(void **state)
{
    char *argv[] = {"/bin/true", NULL};
    struct run *r = run_with((struct front_options){.argv = argv}, NULL);
    struct fake_sums f = fake_sum(r->sim);
    struct front_result result = discard_run(argv);

    (void)state;
    assert_int_equal(r->code, 0);
    assert_int_equal(result.exit_code, 0);
    assert_true(f.loads + f.stores > 1000);
    assert_int_equal(result.accesses, f.loads + f.stores);
    assert_int_equal(result.words, f.words);
    done(r);
}

static void payload_is_no_access_wherever_a_quantum_ends(void **state)
{
    const uint64_t w[] = {event_block(0),
                          event_access(0x1000, 0, 3, false),
                          event_control(EV_SYSCALL, 8),
                          0,
                          1,
                          2,
                          3,
                          4,
                          5,
                          6,
                          7,
                          event_high(UINT64_C(1) << 63),
                          event_access(0x2000, 0, 3, true),
                          event_control(EV_EPOCH, 1),
                          0,
                          event_access(0x3000, 0, 0, false)};
    const size_t n = sizeof w / sizeof *w;

    (void)state;
    for (size_t quantum = 1; quantum <= n; quantum++) {
        uint64_t skip = 0, accesses = 0;

        for (size_t i = 0; i < n; i += quantum)
            accesses += discard_words(w + i, quantum < n - i ? quantum : n - i, &skip);
        assert_int_equal(accesses, 3);
        assert_int_equal(skip, 0);
    }
}

static void many_threads_are_discarded_without_order(void **state)
{
    char path[PATH_MAX], *argv[] = {path, "400", "40", NULL};
    struct front_result result;

    (void)state;
    snprintf(path, sizeof path, "%s/threads", work);
    result = discard_run(argv);
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(result.incomplete, RING_OK);
}

/* -- what cannot be run --------------------------------------------------------------------------- */
static void a_qemu_that_fails_gives_125_and_one_line(void **state)
{
    char *argv[] = {"/bin/true", NULL};
    struct run *r = run_with((struct front_options){.argv = argv, .qemu = "/bin/false"}, NULL);

    (void)state;
    assert_int_equal(r->code, 125);
    assert_non_null(strstr(r->err, "QEMU could not run"));
    assert_null(strchr(r->err, '\n'));
    done(r);
    r = run_with((struct front_options){.argv = argv, .qemu = "/no/qemu"}, NULL);
    assert_int_equal(r->code, 125);
    done(r);
    r = run_with((struct front_options){.argv = argv, .plugin = "/no/plugin.so"}, NULL);
    assert_int_equal(r->code, 125);
    done(r);
}

static void a_program_that_is_not_there_gives_127(void **state)
{
    struct run *r = run("/no/such/program", NULL, NULL);

    (void)state;
    assert_int_equal(r->code, 127);
    assert_non_null(strstr(r->err, "/no/such/program"));
    done(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_equal_on_a_shell),
        cmocka_unit_test(counts_equal_on_an_interpreter),
        cmocka_unit_test(counts_equal_when_blocks_are_left_in_the_middle),
        cmocka_unit_test(every_operand_form_does_what_the_manual_says),
        cmocka_unit_test(every_operand_form_does_so_beside_a_second_thread),
        cmocka_unit_test(threads_come_and_go_by_the_hundred),
        cmocka_unit_test(children_are_observed_and_keep_their_exit_codes),
        cmocka_unit_test(the_end_of_the_first_process_is_told_with_its_status),
        cmocka_unit_test(orphans_are_observed_to_their_end),
        cmocka_unit_test(others_are_let_alone_when_asked_for),
        cmocka_unit_test(exec_begins_another_program_and_ends_with_its_status),
        cmocka_unit_test(a_killed_guest_tells_its_signal_and_loses_no_word),
        cmocka_unit_test(the_program_sees_only_its_own_descriptors),
        cmocka_unit_test(scripts_run_under_their_interpreter),
        cmocka_unit_test(calls_carry_what_their_arguments_point_to),
        cmocka_unit_test(the_start_tells_where_the_program_lies),
        cmocka_unit_test(the_start_tells_arguments_environment_limit_and_ids),
        cmocka_unit_test(the_start_tells_the_parent_that_the_program_sees),
        cmocka_unit_test(discarded_words_are_counted_as_a_simulator_would),
        cmocka_unit_test(payload_is_no_access_wherever_a_quantum_ends),
        cmocka_unit_test(many_threads_are_discarded_without_order),
        cmocka_unit_test(a_qemu_that_fails_gives_125_and_one_line),
        cmocka_unit_test(a_program_that_is_not_there_gives_127),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
