/* explain.c: the verb `explain`. */
#include "report/explain.h"

#include "cli/cli.h"
#include "stat/stat.h"

#include <stddef.h>

static const struct cli_option options[] = {CLI_MACHINE_OPTIONS};

/* list_all prints every name that can be explained, one per line with the start of its meaning. */
static void list_all(struct sink *out)
{
    size_t n;
    const struct explain_part *parts = explain_parts(&n);
    for (size_t i = 0; i < n; i++)
        sink_fmt(out, "%-36s %s\n", parts[i].name, parts[i].meaning);
    for (int i = 0; i < STAT_NR; i++)
        sink_fmt(out, "%-36s %s\n", stat_info((enum stat_id)i)->name,
                 stat_info((enum stat_id)i)->meaning);
    const struct conf_option *o = conf_options(&n);
    for (size_t i = 0; i < n; i++)
        sink_fmt(out, "%-36s %s\n", o[i].key, o[i].help);
}

static int unknown(const char *name)
{
    char near[256];
    explain_nearest(name, near, sizeof(near));
    if (near[0] == '\0')
        return cli_fail("unknown metric `%s`; `pagewalk explain` lists all of them", name);
    return cli_fail("unknown metric `%s`; did you mean %s?", name, near);
}

static int run_explain(const struct cli_args *args)
{
    struct config config;
    struct sink out;
    int status = config_load(&config, args);
    if (status != 0)
        return status;
    sink_memory(&out);
    for (size_t i = 0; i < args->n_operands && status == 0; i++) {
        if (i > 0)
            sink_char(&out, '\n');
        if (explain(&out, args->operands[i], &config.conf) != 0)
            status = unknown(args->operands[i]);
    }
    if (args->n_operands == 0)
        list_all(&out);
    return cli_show(&out, status);
}

const struct cli_verb verb_explain = {
    .name = "explain",
    .operands = "[METRIC...]",
    .help = "Say what a counter, an option or a part of the cycles means.",
    .more = "Without METRIC every name is listed with its meaning. For an option the value on the "
            "chosen machine is shown.",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .run = run_explain,
};
