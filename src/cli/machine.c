/* machine.c: the verb `machine`: list the presets, show one as a machine file. */
#include "cli/cli.h"

#include "conf/machines.h"

#include <stdio.h>
#include <string.h>

static const struct cli_option options[] = {
    {"--set", 's', "KEY=VALUE",
     "Show the machine with this option changed; may be repeated (machine show)."},
};

static int list_one(struct sink *out, const char *dir, const char *name)
{
    struct conf c;
    char note[256], err[CLI_LINE];
    conf_init(&c);
    if (machines_load(&c, dir, name, note, sizeof(note), err, sizeof(err)) != 0)
        return cli_fail("%s", err);
    sink_fmt(out, "%-14s %s\n", name, note[0] != '\0' ? note : c.cpu_model);
    return 0;
}

static int list(struct sink *out, const char *dir)
{
    struct machines m;
    int r = machines_list(dir, &m);
    if (r != 0)
        return cli_fail("%s: %s", dir, strerror(-r));
    int status = 0;
    for (size_t i = 0; i < m.n && status == 0; i++)
        status = list_one(out, dir, m.names[i]);
    machines_free(&m);
    if (status == 0)
        status = list_one(out, dir, "default");
    return status == 0 ? list_one(out, dir, "host") : status;
}

/* show prints a file that --machine can read back. */
static int show(struct sink *out, const char *dir, const char *name, const struct cli_args *args)
{
    struct config config;
    char value[CONF_TEXT_MAX], err[CLI_LINE];
    struct config_layers layers = {.machines_dir = dir, .machine = name, .args = args};
    if (config_build(&config, &layers, err, sizeof(err)) != 0)
        return cli_fail("%s", err);
    if (config.note[0] != '\0')
        sink_fmt(out, "# %s\n", config.note);
    size_t n;
    const struct conf_option *o = conf_options(&n);
    for (size_t i = 0; i < n; i++)
        sink_fmt(out, "%s = %s\n", o[i].key,
                 conf_format(&config.conf, &o[i], value, sizeof(value)));
    return 0;
}

static int run_machine(const struct cli_args *args)
{
    char dir[PATH_MAX], err[CLI_LINE];
    if (!args_operands(args, 1, 2))
        return STATUS_FAILED;
    const char *what = args->operands[0];
    bool is_list = strcmp(what, "list") == 0;
    if (!is_list && strcmp(what, "show") != 0)
        return cli_fail("machine: `%s` is unknown; take list or show NAME", what);
    if (is_list && !args_operands(args, 1, 1))
        return STATUS_FAILED;
    if (config_machines_dir(dir, err, sizeof(err)) != 0)
        return cli_fail("%s", err);
    struct sink out;
    sink_memory(&out);
    const char *name = args->n_operands == 2 ? args->operands[1] : "host";
    return cli_show(&out, is_list ? list(&out, dir) : show(&out, dir, name, args));
}

const struct cli_verb verb_machine = {
    .name = "machine",
    .operands = "list | show [NAME|FILE|host]",
    .help = "List the modelled machines, or show all options of one.",
    .more = "`machine show` prints a machine file: save it, change it, and give it to "
            "`run --machine FILE`.",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .run = run_machine,
};
