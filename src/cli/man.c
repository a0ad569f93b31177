/* man.c: the verb `man`: the manual page in roff, from the tables of verbs, options and counters.
 * Source of the macros: man(7). */
#include "cli/cli.h"

#include "report/explain.h"
#include "stat/stat.h"

#include <string.h>

/* put_roff prints text so that roff shows it as it is: no line begins with a request. */
static void put_roff(struct sink *out, const char *text)
{
    bool start = true;
    for (; *text != '\0'; text++) {
        if (start && (*text == '.' || *text == '\''))
            sink_text(out, "\\&");
        if (*text == '\\')
            sink_text(out, "\\e");
        else if (*text == '-')
            sink_text(out, "\\-");
        else if (text[0] == '\n' && text[1] == '\n')
            sink_text(out, "\n.PP");
        else
            sink_char(out, *text);
        start = *text == '\n';
    }
    sink_char(out, '\n');
}

static void put_cli_option(struct sink *out, const struct cli_option *o)
{
    sink_text(out, ".TP\n.B ");
    if (o->letter != 0)
        sink_fmt(out, "\\-%c, ", o->letter);
    sink_fmt(out, "\\-\\-%s", o->name + 2);
    if (o->value != NULL)
        sink_fmt(out, " \\fI%s\\fR", o->value);
    sink_char(out, '\n');
    put_roff(out, o->help);
}

static void put_verbs(struct sink *out)
{
    size_t n;
    const struct cli_verb *const *verbs = cli_verbs(&n);
    sink_text(out, ".SH VERBS\n");
    for (size_t i = 0; i < n; i++) {
        const struct cli_verb *v = verbs[i];
        sink_fmt(out, ".SS pagewalk %s", v->name);
        sink_fmt(out, "%s ", v->n_options > 0 ? " [options]" : "");
        put_roff(out, v->operands);
        put_roff(out, v->help);
        if (v->more != NULL) {
            sink_text(out, ".PP\n");
            put_roff(out, v->more);
        }
        for (size_t j = 0; j < v->n_options; j++)
            put_cli_option(out, &v->options[j]);
    }
}

static void put_machine_options(struct sink *out)
{
    struct conf defaults;
    char value[CONF_TEXT_MAX];
    size_t n;
    const struct conf_option *o = conf_options(&n);
    conf_init(&defaults);
    sink_text(out,
              ".SH MACHINE OPTIONS\nKeys of machine files and of \\-\\-set; the default stands "
              "in brackets.\n");
    for (size_t i = 0; i < n; i++) {
        sink_fmt(out, ".TP\n.B %s \\fR[%s%s%s]\n", o[i].key,
                 conf_format(&defaults, &o[i], value, sizeof(value)),
                 o[i].unit != NULL && o[i].unit[0] != '\0' ? " " : "",
                 o[i].unit != NULL ? o[i].unit : "");
        put_roff(out, o[i].help);
    }
}

static void put_counters(struct sink *out)
{
    sink_text(out, ".SH COUNTERS\n");
    for (int i = 0; i < STAT_NR; i++) {
        const struct stat_info *s = stat_info((enum stat_id)i);
        sink_fmt(out, ".TP\n.B %s \\fR[%s]\n", s->name, stat_unit_name(s->unit));
        put_roff(out, s->meaning);
    }
}

static void put_cycles(struct sink *out)
{
    size_t n;
    const struct explain_part *p = explain_parts(&n);
    sink_text(out, ".SH MODELLED CYCLES\n");
    for (size_t i = 0; i < n; i++) {
        sink_fmt(out, ".TP\n.B %s\n", p[i].name);
        put_roff(out, p[i].meaning);
        put_roff(out, p[i].formula);
    }
}

static const char head[] =
    ".TH PAGEWALK 1 \"\" \"pagewalk " PW_VERSION "\" \"User Commands\"\n"
    ".SH NAME\npagewalk \\- run a program on a modelled x86-64 Linux memory system\n"
    ".SH SYNOPSIS\n.B pagewalk\n.I VERB\n[options] [arguments]\n"
    ".SH DESCRIPTION\n"
    "Runs an unmodified x86-64 Linux program on a modelled memory system - TLBs, page walkers, "
    "caches, page tables and the kernel's memory manager - and says where its translation and "
    "page-fault time goes. It needs no performance counters and no root.\n";

static const char tail[] =
    ".SH EXIT STATUS\n.TP\n.B run\nThe status of the program; if a signal killed it, pagewalk "
    "kills itself with the same signal.\n"
    ".TP\n.B 125\npagewalk itself failed; one line on stderr says why.\n"
    ".TP\n.B 126\nThe program was found but cannot be run.\n"
    ".TP\n.B 127\nThe program was not found.\n"
    ".SH ENVIRONMENT\n.TP\n.B PAGEWALK_SET\nOptions \"key=value key=value\", weaker than "
    "\\-\\-set.\n"
    ".TP\n.B XDG_CONFIG_HOME\nWhere pagewalk/config is looked for (else ~/.config).\n"
    ".TP\n.B NO_COLOR\nIf set and not empty, the summary has no colour.\n"
    ".SH FILES\n.TP\n.I ~/.config/pagewalk/config\nOptions \"key = value\", one per line, over "
    "those of the machine file.\n"
    ".SH SEE ALSO\n.BR perf-stat (1),\n.BR qemu-user (1),\n.BR proc (5)\n";

static int run_man(const struct cli_args *args)
{
    if (!args_operands(args, 0, 0))
        return STATUS_FAILED;
    struct sink out;
    sink_memory(&out);
    sink_text(&out, head);
    put_verbs(&out);
    put_machine_options(&out);
    put_cycles(&out);
    put_counters(&out);
    sink_text(&out, tail);
    return cli_show(&out, 0);
}

const struct cli_verb verb_man = {
    .name = "man",
    .operands = "",
    .help = "Print the manual page (pagewalk man | man -l -).",
    .run = run_man,
};
