/* run.c: the verb `run`: execute a program, model it, tell the result.
 *
 *   options, machine, output files, program: all looked at first ─► sim_open ─► front_run
 *        ─► report_gather ─► summary, JSON ─► the program's own end: its status, or its signal
 *
 * Invariants:
 *  I1  Nothing is executed before everything that can be refused has been looked at.
 *  I2  stdout belongs to the program; only `--json -` adds to it, after the program's end.
 */
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/save.h"

#include "base/vec.h"
#include "front/front.h"
#include "front/tape.h"
#include "report/report.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct cli_option options[] = {
    CLI_MACHINE_OPTIONS,
    {"--json", 'j', "FILE",
     "Write everything as JSON (schema pagewalk.run/1); `-`: stdout, after the program's output."},
    {"--output", 'o', "FILE", "Write the summary to FILE instead of stderr."},
    {"--quiet", 'q', NULL, "No summary on stderr, no progress."},
    {"--verify", 0, NULL,
     "Let the front end count instructions and accesses plainly too, and compare (slower)."},
    {"--detach", 0, NULL,
     "End when the program ends. Processes of its tree that outlive it go on, unobserved; without "
     "this they are waited for."},
    {"--front-only", 0, NULL,
     "Model nothing: read the events and discard them, to see what emulation and their transport "
     "cost. One line instead of the summary."},
    {"--save", 0, "DIR",
     "Keep what /proc and /sys of the machine said at the program's end in DIR, for `view --from "
     "DIR`. Default: the last run's is kept in $XDG_STATE_HOME/pagewalk/last."},
    {"--no-save", 0, NULL, "Do not keep the end of the run."},
    {"--sysctl", 0, "TIME: KEY=VALUE",
     "Write a tunable of the modelled kernel when the program first enters the kernel at that time "
     "or "
     "later: `5ms: vm.drop_caches=3`. TIME is a whole number of us, ms or s of virtual time, or of "
     "instructions (i) of a thread. May be repeated."},
    {"--sysctls", 0, "FILE", "Take such orders from FILE, one a line; # begins a comment."},
    {"--timeline", 0, "FILE",
     "Write who ran on which modelled core from when to when, faults, shootdowns, forks and exits "
     "as "
     "a trace that Perfetto (ui.perfetto.dev) opens; times are virtual. timeline.moments bounds "
     "it."},
    {"--record", 0, "FILE",
     "Keep all that the model was told in FILE, about 9 bytes an access, for --replay."},
    {"--replay", 0, "FILE",
     "Run nothing: tell the machine of a recorded run the same again. The result is the same, to "
     "the "
     "last count, each time."},
    {"--no-progress", 0, NULL, "No progress line, even on a terminal."},
    {"--verbose", 'v', NULL, "Say which machine, files and tools are used."},
};

/* How a run writes its results. */
struct results {
    const char *json, *summary;  /* files, NULL: not asked for */
    const char *timeline;        /* the same */
    const char *record, *replay; /* recordings, NULL: none */
    const char *save;            /* directory for the end of the run, NULL: the user's place */
    bool no_save;                /* it is not kept at all */
    struct proc_order *orders;   /* of --sysctl, n_orders; owned */
    size_t orders_cap;
    uint32_t n_orders;
    bool to_stderr; /* the summary goes there */
    bool quiet;     /* nothing is said that is not an error */
};

/* check_swap_file: what the machine keeps in a file is no place for a result. */
static int check_swap_file(const struct results *r, const char *swap)
{
    const char *const option[] = {"--json", "--output", "--timeline"};
    const char *const path[] = {r->json, r->summary, r->timeline};
    for (size_t i = 0; i < 3 && swap[0] != '\0'; i++)
        if (path[i] != NULL && strcmp(path[i], swap) == 0)
            return cli_fail("swap.file: %s: %s names it, too; take two files", swap, option[i]);
    return 0;
}

static int find_results(struct results *ret, const struct cli_args *args)
{
    struct results r = {.json = args_value(args, "--json"),
                        .summary = args_value(args, "--output"),
                        .timeline = args_value(args, "--timeline"),
                        .record = args_value(args, "--record"),
                        .replay = args_value(args, "--replay"),
                        .save = args_value(args, "--save"),
                        .no_save = args_has(args, "--no-save"),
                        .quiet = args_has(args, "--quiet")};
    r.to_stderr = r.summary == NULL && !args_has(args, "--quiet");
    if (r.json != NULL && r.summary != NULL && strcmp(r.json, r.summary) == 0)
        return cli_fail("--json and --output both name %s; take two files", r.json);
    if (r.timeline != NULL && ((r.json != NULL && strcmp(r.timeline, r.json) == 0) ||
                               (r.summary != NULL && strcmp(r.timeline, r.summary) == 0)))
        return cli_fail("--timeline and another option both name %s; take two files", r.timeline);
    if (args_has(args, "--front-only") && r.timeline != NULL)
        return cli_fail("--front-only models nothing; it has no result for --timeline");
    if (args_has(args, "--front-only") && (r.json != NULL || r.summary != NULL))
        return cli_fail("--front-only models nothing; it has no result for %s",
                        r.json != NULL ? "--json" : "--output");
    if (r.save != NULL && (r.no_save || args_has(args, "--front-only")))
        return cli_fail("--save and %s exclude each other",
                        r.no_save ? "--no-save" : "--front-only");
    if (r.record != NULL && (args_has(args, "--front-only") || r.replay != NULL))
        return cli_fail("--record and %s exclude each other",
                        r.replay != NULL ? "--replay" : "--front-only");
    int status = r.json != NULL ? output_check(r.json) : 0;
    if (status == 0 && r.record != NULL)
        status = output_check(r.record);
    if (status == 0 && r.timeline != NULL)
        status = output_check(r.timeline);
    if (status == 0 && r.save != NULL)
        status = save_check(r.save);
    if (status == 0 && r.summary != NULL)
        status = output_check(r.summary);
    if (status == 0)
        *ret = r;
    return status;
}

static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    bool plain = (no != NULL && no[0] != '\0') || (term != NULL && strcmp(term, "dumb") == 0);
    return !plain && isatty(STDERR_FILENO);
}

enum result { RESULT_SUMMARY, RESULT_JSON, RESULT_TIMELINE };

static void print_result(FILE *file, const struct report *r, enum result what, int *ret_error)
{
    struct sink out;
    sink_file(&out, file);
    if (what == RESULT_JSON)
        report_json(&out, r);
    else if (what == RESULT_TIMELINE)
        report_timeline(&out, r);
    else
        report_summary(&out, r, false);
    *ret_error = sink_close(&out);
}

static int write_result(const char *path, const struct report *r, enum result what)
{
    struct output o;
    int error = 0, status = output_open(&o, path);
    if (status != 0)
        return status;
    /* The stream has its own descriptor, so that output.c keeps its own until the commit. */
    int fd = dup(o.fd);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file != NULL) {
        print_result(file, r, what, &error);
        if (fclose(file) != 0 && error == 0)
            error = -errno;
    } else {
        error = -errno;
    }
    if (error == 0)
        return output_commit(&o);
    output_cancel(&o);
    return cli_fail("cannot write %s: %s", strcmp(path, "-") == 0 ? "stdout" : path,
                    strerror(-error));
}

static int tell(const struct results *results, const struct report *r)
{
    int status = 0;
    signal(SIGPIPE, SIG_IGN); /* a reader that left or a limit on files is an error to report, */
    signal(SIGXFSZ, SIG_IGN); /* not a death */
    if (results->to_stderr) {
        struct sink out;
        sink_file(&out, stderr);
        report_summary(&out, r, wants_colour());
        sink_close(&out); /* a lost stderr cannot be complained about */
    }
    if (results->summary != NULL)
        status = write_result(results->summary, r, RESULT_SUMMARY);
    if (status == 0 && results->json != NULL)
        status = write_result(results->json, r, RESULT_JSON);
    if (status == 0 && results->timeline != NULL)
        status = write_result(results->timeline, r, RESULT_TIMELINE);
    return status;
}

/* keep saves the end of the run. Where nobody asked for a place, a failure costs the run nothing. */
static int keep(const struct results *results, struct sim *sim, char *const *argv)
{
    int error = results->no_save ? 0 : save_machine(results->save, sim, argv);
    if (error == 0)
        return 0;
    if (results->save != NULL)
        return cli_fail("--save %s: %s", results->save, strerror(-error));
    if (!results->quiet)
        cli_note("the end of this run is not kept for `view`: %s; --save DIR names a place, "
                 "--no-save needs none",
                 strerror(-error));
    return 0;
}

/* end_like_program ends as the program ended: a shell sees the same. No core of ours for a signal
 * that was the program's. */
static int end_like_program(const struct front_result *result)
{
    if (result->signal == 0)
        return result->exit_code;
    struct rlimit none = {0, 0};
    sigset_t set;
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    signal(result->signal, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, result->signal);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(result->signal);
    return 128 + result->signal;
}

static void explain_run(const struct config *config, const char *program,
                        const struct front_options *front)
{
    char qemu[PATH_MAX], plugin[PATH_MAX], err[CLI_LINE];
    if (config->note[0] != '\0')
        cli_note("machine %s", config->note);
    if (config->user_file[0] != '\0')
        cli_note("options of %s", config->user_file);
    cli_note("program %s", program);
    if (front_tools(front, qemu, plugin, sizeof(qemu), err, sizeof(err)) == 0)
        cli_note("emulator %s, plugin %s", qemu, plugin);
}

/* tell_orders says which orders of --sysctl came to nothing. */
static void tell_orders(const struct results *results, const struct sim *sim)
{
    if (results->quiet)
        return;
    if (sim_order_error(sim)[0] != '\0')
        cli_note("--sysctl: %s", sim_order_error(sim));
    if (sim_orders_open(sim) > 0)
        cli_note("--sysctl: %u orders were for a time after the program's end",
                 sim_orders_open(sim));
}

/* tell_lost says when a timeline ends before the program did. */
static void tell_lost(const struct results *results, const struct sim *sim)
{
    uint64_t n, lost;
    sim_moments(sim, &n, &lost);
    if (results->timeline != NULL && lost > 0 && !results->quiet)
        cli_note("--timeline: %" PRIu64 " moments are kept, %" PRIu64
                 " later ones are not; --set timeline.moments=… keeps more",
                 n, lost);
}

/* run_front runs the program while others may ask about it. */
static int run_front(const struct front_options *given, struct sim *sim, struct front_result *ret,
                     char *err, size_t err_size)
{
    struct front_options front = *given;
    struct control control;
    control_open(&control, sim);
    front.poll = control_poll;
    front.poll_data = &control;
    int status = front_run(&front, sim, ret, err, err_size);
    control_close(&control);
    return status;
}

/* tell_run writes the results of a run that is over, and of one that was told again. */
static int tell_run(const struct config *config, const struct results *results, struct sim *sim,
                    char *const *argv, const struct front_result *result)
{
    if (result->keeper_lost)
        cli_note("the process that keeps the program's processes together was killed; they were "
                 "ended");
    if (result->left > 0 && !results->quiet)
        cli_note("%" PRIu32 " %s the program; unobserved from here on", result->left,
                 result->left == 1 ? "process outlives" : "processes outlive");
    struct report_run run = {
        .argv = argv,
        .path = result->path,
        .machine_note = config->note,
        .exit_code = result->exit_code,
        .signal = result->signal,
        .wall_ns = result->wall_ns,
        .incomplete = (uint32_t)result->incomplete,
    };
    struct report report;
    int error = report_gather(&report, &run, sim);
    int status = error != 0 ? cli_fail("cannot make the report: %s", strerror(-error))
                            : tell(results, &report);
    report_close(&report);
    tell_orders(results, sim);
    tell_lost(results, sim);
    if (status == 0)
        status = keep(results, sim, argv);
    return status != 0 ? status : results->replay ? 0 : end_like_program(result);
}

/* record_open begins the recording that was asked for. */
static int record_open(const struct config *config, const struct results *results,
                       const struct front_options *front, struct tape **ret)
{
    struct tape_run run = {.conf = config->conf,
                           .orders = results->orders,
                           .n_orders = results->n_orders,
                           .argv = (char **)front->argv};
    snprintf(run.note, sizeof(run.note), "%s", config->note);
    int error = results->record ? tape_open(ret, results->record, &run) : 0;
    return error != 0 ? cli_fail("--record %s: %s", results->record, strerror(-error)) : 0;
}

static int run_and_tell(const struct config *config, struct front_options *front,
                        const struct results *results, struct sim *sim)
{
    struct front_result result;
    char err[CLI_LINE] = "";
    int status = record_open(config, results, front, &front->tape);
    if (status != 0)
        return status;
    status = run_front(front, sim, &result, err, sizeof(err));
    int error = tape_close(front->tape, status == 0 ? &result : NULL);
    if (error != 0)
        return cli_fail("--record %s: %s", results->record, strerror(-error));
    if (status != 0) {
        cli_note("%s", err);
        return status;
    }
    return tell_run(config, results, sim, front->argv, &result);
}
/* open_machine makes what a run and a replay need; *ret is NULL when it cannot. */
static int open_machine(const struct config *config, const struct results *results,
                        struct sim **ret)
{
    *ret = NULL;
    int error = sim_open(ret, &config->conf);
    if (error != 0) {
        *ret = NULL;
        return cli_fail("cannot make machine %s: %s; a smaller phys.size or cache may do",
                        config->conf.machine_name, strerror(-error));
    }
    if (results->timeline != NULL)
        sim_timeline(*ret);
    for (uint32_t i = 0; i < results->n_orders && error == 0; i++)
        error = sim_order(*ret, &results->orders[i]);
    return error != 0 ? cli_fail("%s", strerror(-error)) : 0;
}

/* replay tells a machine like the recorded run's what that one was told. */
static int replay(struct results *results)
{
    struct config config = {.note = ""};
    char err[CLI_LINE / 2] = "";
    struct tape_in *tape;
    struct tape_run run;
    struct sim *sim = NULL;
    if (tape_read(&tape, results->replay, &run, err, sizeof(err)) != 0)
        return cli_fail("--replay %s: %s", results->replay, err);
    config.conf = run.conf;
    snprintf(config.note, sizeof(config.note), "%s", run.note);
    struct results own = *results;
    own.orders = run.orders;
    own.n_orders = run.n_orders;
    int status = open_machine(&config, &own, &sim);
    if (status == 0 && tape_play(tape, sim, &run, err, sizeof(err)) != 0)
        status = cli_fail("--replay %s: %s", results->replay, err);
    if (status == 0)
        status = tell_run(&config, &own, sim, run.argv, &run.result);
    sim_close(sim);
    tape_done(tape, &run);
    return status;
}

/* run_command runs what has been looked at. */
static int run_command(const struct config *config, const struct results *results,
                       struct front_options *front)
{
    struct sim *sim;
    int status = open_machine(config, results, &sim);
    if (status == 0)
        status = run_and_tell(config, front, results, sim);
    sim_close(sim);
    return status;
}

/* run_front_only measures the way from the program to a simulator that is not there. */
static int run_front_only(const struct results *results, const struct front_options *front)
{
    struct front_result result;
    char err[CLI_LINE] = "";
    int status = front_run(front, NULL, &result, err, sizeof(err));
    if (status != 0) {
        cli_note("%s", err);
        return status;
    }
    if (results->to_stderr)
        cli_note("%" PRIu64 " events, %" PRIu64 " accesses among them, %.3f s, nothing modelled",
                 result.words, result.accesses, (double)result.wall_ns / 1e9);
    return end_like_program(&result);
}

static int run_program(const struct config *config, const struct results *results,
                       const struct cli_args *args)
{
    bool quiet = args_has(args, "--quiet") || args_has(args, "--no-progress");
    struct front_options front = {
        .argv = args->operands,
        .progress = !quiet && isatty(STDERR_FILENO),
        .counts = args_has(args, "--verify"),
        .detach = args_has(args, "--detach"),
    };
    struct front_command command;
    char err[CLI_LINE] = "";
    int status = front_command_open(&command, front.argv, err, sizeof(err));
    if (status != 0) {
        cli_note("%s", err);
        return status;
    }
    if (args_has(args, "--verbose"))
        explain_run(config, command.found, &front);
    status = args_has(args, "--front-only") ? run_front_only(results, &front)
                                            : run_command(config, results, &front);
    front_command_close(&command);
    return status;
}

static int add_order(struct results *r, const char *text, const char *where)
{
    char err[CLI_LINE / 2];
    struct proc_order o;
    if (proc_order_parse(text, &o, err, sizeof(err)) != 0)
        return cli_fail("%s: %s", where, err);
    struct proc_order *all = vec_room(r->orders, r->n_orders, &r->orders_cap, sizeof(o));
    if (all == NULL)
        return cli_fail("%s", strerror(ENOMEM));
    r->orders = all;
    all[r->n_orders++] = o;
    return 0;
}

/* add_order_file reads a file of orders: one a line, # begins a comment. A line too long is refused: its
 * end would be taken for an order of its own. */
static int add_order_file(struct results *r, const char *path)
{
    char line[CLI_LINE], where[PATH_MAX + 16];
    FILE *f = fopen(path, "re");
    int status = f != NULL ? 0 : cli_fail("--sysctls %s: %s", path, strerror(errno));
    for (unsigned n = 1; status == 0 && fgets(line, sizeof(line), f) != NULL; n++) {
        bool cut = strlen(line) == sizeof(line) - 1 && line[sizeof(line) - 2] != '\n';
        line[strcspn(line, "#\n")] = '\0';
        snprintf(where, sizeof(where), "%s:%u", path, n);
        if (cut)
            status = cli_fail("%s: the line is too long", where);
        else if (line[strspn(line, " \t\r")] != '\0')
            status = add_order(r, line, where);
    }
    if (f != NULL)
        fclose(f);
    return status;
}

static int find_orders(struct results *r, const struct cli_args *args)
{
    int status = 0;
    for (size_t i = 0; i < args->n_given && status == 0; i++) {
        const struct cli_given *g = &args->given[i];
        if (strcmp(g->option->name, "--sysctl") == 0)
            status = add_order(r, g->value, "--sysctl");
        else if (strcmp(g->option->name, "--sysctls") == 0)
            status = add_order_file(r, g->value);
    }
    return status;
}

/* run_replay: the machine and the program are those of the recording. */
static int run_replay(const struct cli_args *args, struct results *results)
{
    static const char *const none[] = {"--machine", "--set",    "--sysctl",    "--sysctls",
                                       "--verify",  "--detach", "--front-only"};
    if (args->n_operands > 0)
        return cli_fail("run: --replay runs no program; leave %s away", args->operands[0]);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        if (args_has(args, none[i]))
            return cli_fail("run: --replay tells the recorded machine; leave %s away", none[i]);
    int status = find_results(results, args);
    return status != 0 ? status : replay(results);
}

static int run_run(const struct cli_args *args)
{
    struct config config;
    struct results results = {.json = NULL};
    if (args_has(args, "--replay"))
        return run_replay(args, &results);
    if (args->n_operands == 0)
        return cli_fail("run: no program given; usage: pagewalk run [options] -- PROGRAM [ARGS]");
    int status = config_load(&config, args);
    if (status == 0)
        status = find_results(&results, args);
    if (status == 0)
        status = check_swap_file(&results, config.conf.swap_file);
    if (status == 0)
        status = find_orders(&results, args);
    if (status == 0)
        status = run_program(&config, &results, args);
    free(results.orders);
    return status;
}

const struct cli_verb verb_run = {
    .name = "run",
    .operands = "[--] PROGRAM [ARGS]",
    .help = "Run a program on the modelled machine and summarise.",
    .more = "The program's stdin, stdout, stderr, signals and exit status pass through. The "
            "summary goes to stderr. Status 125: pagewalk failed; 126: the program cannot be run; "
            "127: it was not found.\n\n"
            "Options of the machine come, weakest first, from: built-in defaults, the machine "
            "file, ~/.config/pagewalk/config, the environment variable PAGEWALK_SET "
            "(\"key=value key=value\"), --set.",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .program = true,
    .run = run_run,
};
