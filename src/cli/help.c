/* help.c: the verb `help`, and the text of --help, from the tables. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#define INDENT  4
#define COLUMNS 80

/* put_words prints text in lines of COLUMNS, each indented; an empty line in it stays one. */
static void put_words(struct sink *out, const char *text, size_t indent)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " \n");
        if (column > 0 && column + 1 + len > COLUMNS) {
            sink_char(out, '\n');
            column = 0;
        }
        sink_fill(out, ' ', column == 0 ? indent : 1);
        column += (column == 0 ? indent : 1) + len;
        sink_bytes(out, text, len);
        text += len;
        if (text[0] == '\n') {
            sink_text(out, text[1] == '\n' ? "\n\n" : "\n");
            column = 0;
        }
        text += strspn(text, " \n");
    }
    if (column > 0)
        sink_char(out, '\n');
}

static void put_option(struct sink *out, const struct cli_option *o)
{
    sink_text(out, "  ");
    if (o->letter != 0)
        sink_fmt(out, "-%c, ", o->letter);
    sink_fmt(out, "%s%s%s\n", o->name, o->value != NULL ? " " : "",
             o->value != NULL ? o->value : "");
    put_words(out, o->help, 8);
}

void help_verb(struct sink *out, const struct cli_verb *v)
{
    sink_fmt(out, "usage: pagewalk %s%s%s%s\n\n", v->name, v->n_options > 0 ? " [options]" : "",
             v->operands[0] != '\0' ? " " : "", v->operands);
    put_words(out, v->help, 0);
    if (v->more != NULL) {
        sink_char(out, '\n');
        put_words(out, v->more, 0);
    }
    sink_text(out, "\noptions:\n");
    for (size_t i = 0; i < v->n_options; i++)
        put_option(out, &v->options[i]);
    sink_text(out, "  -h, --help\n        Show this text.\n");
}

void help_all(struct sink *out)
{
    size_t n;
    const struct cli_verb *const *verbs = cli_verbs(&n);
    sink_text(out, "usage: pagewalk VERB [options] [arguments]\n\n");
    put_words(out,
              "Runs an unmodified x86-64 Linux program on a modelled memory system and says where "
              "its translation and page-fault time goes.",
              0);
    sink_text(out, "\nverbs:\n");
    for (size_t i = 0; i < n; i++)
        sink_fmt(out, "  %-9s %s\n", verbs[i]->name, verbs[i]->help);
    sink_text(out,
              "\nStart with:  pagewalk run -- ls -l\n"
              "`pagewalk VERB --help` shows a verb's options, `pagewalk --version` the version.\n");
}

static int run_help(const struct cli_args *args)
{
    if (!args_operands(args, 0, 1))
        return STATUS_FAILED;
    const struct cli_verb *v = args->n_operands == 1 ? cli_verb_find(args->operands[0]) : NULL;
    if (args->n_operands == 1 && v == NULL)
        return cli_fail("unknown verb `%s`; `pagewalk help` lists the verbs", args->operands[0]);
    struct sink out;
    sink_memory(&out);
    if (v != NULL)
        help_verb(&out, v);
    else
        help_all(&out);
    return cli_show(&out, 0);
}

const struct cli_verb verb_help = {
    .name = "help",
    .operands = "[VERB]",
    .help = "Show the verbs, or the options of one.",
    .run = run_help,
};
