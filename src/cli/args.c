/* args.c: reads a command line by a verb's table of options.
 *
 * Long options take their value as the next word or after `=`; letters may be joined (-qv), the
 * last of them may take a value (-oFILE, -o FILE). `--` ends the options; so does the first operand
 * of a verb that runs a program.
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static const struct cli_option option_help = {"--help", 'h', NULL, "Show this text."};

struct parser {
    struct cli_args *args;
    char **argv;
    int argc, at; /* words, and the one that is read next */
};

static const struct cli_option *find_name(const struct cli_verb *v, const char *name, size_t len)
{
    for (size_t i = 0; i < v->n_options; i++)
        if (strlen(v->options[i].name) == len && strncmp(v->options[i].name, name, len) == 0)
            return &v->options[i];
    bool help = len == strlen(option_help.name) && strncmp(option_help.name, name, len) == 0;
    return help ? &option_help : NULL;
}

static const struct cli_option *find_letter(const struct cli_verb *v, char letter)
{
    for (size_t i = 0; i < v->n_options; i++)
        if (v->options[i].letter == letter)
            return &v->options[i];
    return letter == option_help.letter ? &option_help : NULL;
}

static void give(struct parser *p, const struct cli_option *option, const char *value)
{
    p->args->given[p->args->n_given++] = (struct cli_given){option, value};
}

/* next_value takes the word after an option, or complains. */
static int next_value(struct parser *p, const struct cli_option *option)
{
    if (p->at == p->argc)
        return cli_fail("option %s needs a value: %s %s", option->name, option->name,
                        option->value);
    give(p, option, p->argv[p->at++]);
    return 0;
}

static int unknown(const struct parser *p, const char *word)
{
    const char *verb = p->args->verb->name;
    return cli_fail("unknown option %s; `pagewalk %s --help` lists the options", word, verb);
}

static int long_option(struct parser *p, const char *word)
{
    const char *equals = strchr(word, '=');
    size_t len = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const struct cli_option *option = find_name(p->args->verb, word, len);
    if (option == NULL)
        return unknown(p, word);
    if (option->value != NULL && equals == NULL)
        return next_value(p, option);
    if (option->value == NULL && equals != NULL)
        return cli_fail("option %s takes no value; leave %s away", option->name, equals);
    give(p, option, equals != NULL ? equals + 1 : NULL);
    return 0;
}

static int letters(struct parser *p, const char *word)
{
    for (const char *c = word + 1; *c != '\0'; c++) {
        const struct cli_option *option = find_letter(p->args->verb, *c);
        if (option == NULL)
            return unknown(p, word);
        if (option->value == NULL) {
            give(p, option, NULL);
            continue;
        }
        if (c[1] == '\0')
            return next_value(p, option);
        give(p, option, c + 1);
        return 0;
    }
    return 0;
}

static void operand(struct parser *p, char *word)
{
    p->args->operands[p->args->n_operands++] = word;
}

static int read_words(struct parser *p)
{
    while (p->at < p->argc) {
        char *word = p->argv[p->at++];
        bool dash = word[0] == '-' && word[1] != '\0';
        if (dash && strcmp(word, "--") != 0) {
            int status = word[1] == '-' ? long_option(p, word) : letters(p, word);
            if (status != 0)
                return status;
            continue;
        }
        if (!dash)
            operand(p, word);
        if (dash || p->args->verb->program)
            break;
    }
    while (p->at < p->argc)
        operand(p, p->argv[p->at++]);
    return 0;
}

int args_parse(struct cli_args *ret, const struct cli_verb *verb, int argc, char **argv)
{
    size_t letters_max = 1;
    for (int i = 0; i < argc; i++)
        letters_max += strlen(argv[i]) + 1;
    struct cli_args args = {.verb = verb,
                            .given = calloc(letters_max, sizeof(*args.given)),
                            .operands = calloc((size_t)argc + 1, sizeof(*args.operands))};
    struct parser p = {.args = &args, .argv = argv, .argc = argc};
    int status =
        args.given == NULL || args.operands == NULL ? cli_fail("out of memory") : read_words(&p);
    if (status != 0)
        args_close(&args);
    else
        *ret = args;
    return status;
}

void args_close(struct cli_args *a)
{
    free(a->given);
    free(a->operands);
    *a = (struct cli_args){0};
}

const char *args_value(const struct cli_args *a, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < a->n_given; i++)
        if (strcmp(a->given[i].option->name, name) == 0)
            value = a->given[i].value;
    return value;
}

bool args_has(const struct cli_args *a, const char *name)
{
    for (size_t i = 0; i < a->n_given; i++)
        if (strcmp(a->given[i].option->name, name) == 0)
            return true;
    return false;
}

bool args_operands(const struct cli_args *a, size_t min, size_t max)
{
    const char *verb = a->verb->name;
    if (a->n_operands < min)
        cli_fail("%s: something is missing; usage: pagewalk %s %s", verb, verb, a->verb->operands);
    else if (a->n_operands > max)
        cli_fail("%s: `%s` is one word too many; `pagewalk %s --help` says what it takes", verb,
                 a->operands[max], verb);
    return a->n_operands >= min && a->n_operands <= max;
}
