/* view.c: the verb `view`: a file of /proc or /sys of the modelled machine, as the last run left it.
 *
 *   NAME ─► proc_resolve ─► file of the saved end ─┬─ text: as it is ─────────────┬─► stdout
 *                                                  └─ runs: words of the range ───┘
 */
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/save.h"
#include "cli/words.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct cli_option options[] = {
    {"--pid", 'p', "PID", "The process a file of a process is about. Default: the program itself."},
    {"--run", 'r', "PID",
     "Ask the pagewalk that is running as process PID, instead of the end of a run."},
    {"--set", 's', "KEY=VALUE",
     "With --run: write a tunable of its kernel first, vm.drop_caches=3 say; may be repeated."},
    {"--from", 0, "DIR", "The end of a run kept with `run --save DIR`. Default: the last run's."},
    {"--range", 0, "START-END",
     "Of pagemap: addresses; of kpageflags and kpagecount: frame numbers; up to, but without END."},
    {"--output", 'o', "FILE",
     "Write to FILE instead of stdout; of a binary file all of it, with holes (a sparse file)."},
    {"--memory", 'm', NULL, "With numastat: the memory of each node in MB, as `numastat -m`."},
};

#define USER_PAGES                                                                                 \
    BIT(35) /* words of a pagemap: 47 bits of addresses; more only where there are more */

/* What is asked for. */
struct view {
    struct proc_target target;
    const char *dir;        /* of the saved end */
    char last[PATH_MAX];    /* what dir points to, when nobody named one */
    const char *range_text; /* NULL: all */
    const char *output;     /* file, NULL: stdout */
    uint32_t run;           /* process to ask, 0: the saved end is read */
};

/* -- names --------------------------------------------------------------------------------------- */

static void list_names(struct sink *out, const char *sep)
{
    for (int i = 0; i < PROC_FILE_NR; i++) {
        const struct proc_file *f = proc_file((enum proc_file_id)i);
        sink_fmt(out, "%s%s%s", i > 0 ? sep : "", f->scope == PROC_OF_NODE ? "node0/" : "",
                 f->name);
    }
}

static int unknown_name(const char *name)
{
    struct sink out;
    sink_memory(&out);
    list_names(&out, " ");
    char *names = sink_take(&out);
    int status = cli_fail("view: no file `%s`; there are: %s", name, names ? names : "");
    free(names);
    return status;
}

static int list_files(void)
{
    struct sink out;
    char name[PROC_PATH_MAX];
    sink_memory(&out);
    for (int i = 0; i < PROC_FILE_NR; i++) {
        const struct proc_file *f = proc_file((enum proc_file_id)i);
        snprintf(name, sizeof(name), "%s%s", f->scope == PROC_OF_NODE ? "node0/" : "", f->name);
        sink_fmt(&out, "%-24s %s\n", name, f->help);
    }
    sink_text(&out, "\nThe tunables sys/vm/NAME, or vm.NAME:\n");
    for (unsigned i = 0; proc_sysctl_name(i); i++)
        sink_fmt(&out, "%s%s", i == 0 ? "" : i % 3 == 0 ? "\n" : " ", proc_sysctl_name(i));
    sink_char(&out, '\n');
    return cli_show(&out, 0);
}

static int parse_pid(const char *text, uint32_t *ret)
{
    char *end;
    errno = 0;
    unsigned long v = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || v == 0 || v > UINT32_MAX || text[0] == '-')
        return cli_fail("view: `%s` is no process id", text);
    *ret = (uint32_t)v;
    return 0;
}

/* -- the saved end ------------------------------------------------------------------------------- */

static int no_end(const struct view *v, bool named)
{
    return named ? cli_fail("view: %s holds no end of a run; `pagewalk run --save %s -- PROGRAM` "
                            "makes one",
                            v->dir, v->dir)
                 : cli_fail("view: no run is kept yet; `pagewalk run -- PROGRAM` keeps its end");
}

/* choose_process fills in the pid, and refuses one that was not there. */
static int choose_process(struct view *v, bool named)
{
    char list[CLI_LINE / 2];
    uint32_t first;
    if (!save_list(v->dir, list, sizeof(list), &first))
        return no_end(v, named);
    if (proc_file(v->target.file)->scope != PROC_OF_PROCESS)
        return 0;
    if (first == 0)
        return cli_fail("view: the run ended without a process");
    v->target.pid = v->target.pid ? v->target.pid : first;
    char word[16];
    snprintf(word, sizeof(word), "%u (", v->target.pid);
    const char *at = strstr(list, word);
    if (at && (at == list || at[-1] == ' '))
        return 0;
    return cli_fail("view: no process %u; there were: %s", v->target.pid, list);
}

static int open_file(const struct view *v, FILE **ret)
{
    char path[PATH_MAX], name[PROC_PATH_MAX + 8];
    save_name(&v->target, name, sizeof(name));
    if (snprintf(path, sizeof(path), "%s/%s", v->dir, name) >= (int)sizeof(path))
        return cli_fail("view: %s: %s", v->dir, strerror(ENAMETOOLONG));
    FILE *f = fopen(path, "re");
    if (!f && errno == ENOENT && proc_file(v->target.file)->scope == PROC_OF_NODE)
        return cli_fail("view: the machine has no node %u", v->target.nid);
    if (!f && errno == ENOENT && proc_file(v->target.file)->scope == PROC_OF_SYSCTL)
        return cli_fail("view: vm.%s can only be written", proc_sysctl_name(v->target.sysctl));
    if (!f)
        return cli_fail("view: %s: %s", path, strerror(errno));
    *ret = f;
    return 0;
}

static int read_all(FILE *f, struct sink *out)
{
    char part[65536];
    size_t n;
    while ((n = fread(part, 1, sizeof(part), f)) > 0)
        sink_bytes(out, part, n);
    return ferror(f) ? -EIO : sink_error(out);
}

/* -- printing ------------------------------------------------------------------------------------ */

static bool is_file(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* whole_range: all frames up to the last run, or all user addresses. */
static struct word_range whole_range(const struct view *v, const struct proc_run *runs, size_t n)
{
    uint64_t end = n > 0 ? runs[n - 1].index + runs[n - 1].count : 0;
    return (struct word_range){0,
                               v->target.file == PROC_PID_PAGEMAP ? max_u64(end, USER_PAGES) : end};
}

/* choose_range finds what of a binary file is to be written. */
static int choose_range(const struct view *v, const struct proc_run *runs, size_t n,
                        struct word_range *ret)
{
    const char *name = proc_file(v->target.file)->name;
    bool pagemap = v->target.file == PROC_PID_PAGEMAP;
    struct word_range range = whole_range(v, runs, n);
    if (v->range_text && !words_parse_range(v->range_text, pagemap ? PAGE_SIZE : 1, &range))
        return cli_fail("view: `%s` is no range of %s: START-END, START below END", v->range_text,
                        pagemap ? "addresses" : "frame numbers");
    if (!v->range_text && !v->output)
        return cli_fail("view: %s is %" PRIu64 " bytes; name a part with --range START-END, or a "
                        "file for all of it with --output FILE",
                        name, (range.end - range.first) * 8);
    *ret = range;
    return 0;
}

/* put writes the file's text, or the words of `range`, to where they are wanted. */
static int put(const struct view *v, const struct sink *bytes, const struct word_range *range)
{
    struct output o;
    const char *path = v->output ? v->output : "-";
    int status = output_open(&o, path);
    if (status != 0)
        return status;
    int error =
        range ? words_write(o.fd, (const void *)bytes->data, bytes->len / sizeof(struct proc_run),
                            *range, v->output && is_file(o.fd))
              : words_write_all(o.fd, bytes->data, bytes->len);
    if (error == 0)
        return output_commit(&o);
    output_cancel(&o);
    return cli_fail("cannot write %s: %s", v->output ? v->output : "stdout", strerror(-error));
}

static int put_file(const struct view *v, const struct sink *bytes)
{
    const struct proc_run *runs = (const void *)bytes->data;
    struct word_range range;
    size_t n = bytes->len / sizeof(*runs);
    if (!proc_file(v->target.file)->binary)
        return put(v, bytes, NULL);
    if (bytes->len % sizeof(*runs) != 0 || !words_check(runs, n))
        return cli_fail("view: the saved %s is damaged", proc_file(v->target.file)->name);
    int status = choose_range(v, runs, n, &range);
    return status != 0 ? status : put(v, bytes, &range);
}

static int fetch_saved(const struct view *v, struct sink *bytes)
{
    FILE *f = NULL;
    int status = open_file(v, &f);
    if (status != 0)
        return status;
    int error = read_all(f, bytes);
    fclose(f);
    return error != 0 ? cli_fail("view: %s", strerror(-error)) : 0;
}

static int fetch_running(const struct view *v, struct sink *bytes)
{
    char request[CONTROL_MAX], path[PROC_PATH_MAX];
    const struct proc_file *f = proc_file(v->target.file);
    bool named = f->scope == PROC_OF_PROCESS || f->path[0] == 'n'; /* numastat: no file of Linux */
    snprintf(request, sizeof(request), "view %s%s %u\n", named ? "" : "/",
             named ? f->name : proc_target_path(&v->target, path), v->target.pid);
    return control_ask(v->run, request, bytes);
}

static int show(const struct view *v)
{
    struct sink bytes;
    sink_memory(&bytes);
    int status = v->run ? fetch_running(v, &bytes) : fetch_saved(v, &bytes);
    if (status == 0)
        status = put_file(v, &bytes);
    sink_close(&bytes);
    return status;
}

/* set_all writes what --set says to a running machine. */
static int set_all(const struct view *v, const struct cli_args *args)
{
    char request[CONTROL_MAX], err[CLI_LINE / 2];
    struct sink answer;
    struct proc_order o;
    int status = 0;
    sink_memory(&answer);
    for (size_t i = 0; i < args->n_given && status == 0; i++) {
        const struct cli_given *g = &args->given[i];
        if (strcmp(g->option->name, "--set") != 0)
            continue;
        if (v->run == 0)
            status = cli_fail("view: --set needs --run PID; `run --sysctl` sets one at a time");
        else if (proc_assignment_parse(g->value, &o, err, sizeof(err)) != 0)
            status = cli_fail("view: --set %s", err);
        snprintf(request, sizeof(request), "set %s=%s\n", o.key, o.value);
        if (status == 0)
            status = control_ask(v->run, request, &answer);
    }
    sink_close(&answer);
    return status;
}

static int resolve(struct view *v, const struct cli_args *args)
{
    const char *name = args->operands[0], *pid = args_value(args, "--pid");
    if (proc_resolve(name, &v->target) != 0)
        return unknown_name(name);
    const struct proc_file *f = proc_file(v->target.file);
    if (pid && f->scope != PROC_OF_PROCESS)
        return cli_fail("view: %s is not about a process; leave --pid out", name);
    if (pid && parse_pid(pid, &v->target.pid) != 0)
        return STATUS_FAILED;
    if (args_has(args, "--memory") && v->target.file != PROC_NUMASTAT)
        return cli_fail("view: --memory is for numastat");
    if (args_has(args, "--memory"))
        v->target.file = PROC_NUMASTAT_M;
    v->range_text = args_value(args, "--range");
    v->output = args_value(args, "--output");
    if (v->range_text && !f->binary)
        return cli_fail("view: %s is text; leave --range out", name);
    return 0;
}

static int view_saved(struct view *v, bool named)
{
    if (!named && !save_default(v->last))
        return cli_fail("view: neither XDG_STATE_HOME nor HOME is set; name a run with --from DIR");
    v->dir = named ? v->dir : v->last;
    int status = choose_process(v, named);
    return status != 0 ? status : show(v);
}

static int run_view(const struct cli_args *args)
{
    struct view v = {.dir = args_value(args, "--from")};
    const char *run = args_value(args, "--run");
    if (!args_operands(args, 0, 1))
        return STATUS_FAILED;
    if (run && v.dir)
        return cli_fail("view: --run and --from exclude each other");
    int status = run ? parse_pid(run, &v.run) : 0;
    if (status == 0 && args->n_operands == 1)
        status = resolve(&v, args);
    if (status == 0)
        status = set_all(&v, args);
    if (status != 0)
        return status;
    if (args->n_operands == 0)
        return args_has(args, "--set") ? 0 : list_files();
    return v.run ? show(&v) : view_saved(&v, v.dir != NULL);
}

const struct cli_verb verb_view = {
    .name = "view",
    .operands = "[NAME]",
    .help = "Show /proc and /sys of the modelled machine at the end of a run.",
    .more =
        "NAME is a file's name as Linux has it: meminfo, vmstat, buddyinfo, maps, smaps, "
        "node0/numastat … ; the whole path does, too. Without NAME all names are listed. The text "
        "is the kernel's own, byte for byte.\n\n"
        "Every run keeps its end in $XDG_STATE_HOME/pagewalk/last (~/.local/state without it), in "
        "place of the run before; `run --save DIR` keeps it in DIR, `run --no-save` nowhere.\n\n"
        "pagemap, kpageflags and kpagecount are words of 8 bytes, one a page or frame: take a part "
        "with --range, or all of it with --output FILE.",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .run = run_view,
};
