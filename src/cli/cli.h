/* cli.h: the command line: one table of verbs, each with its table of options.
 *
 *   main ─► verb_find ─► args_parse ─► verb->run(args) ─► exit status
 *
 * Help, the man page and the parser read the same tables. A new verb is one file and one row in
 * verbs.c. Statuses: that of the program for `run`; else 0, or 125 when pagewalk failed (126 and 127
 * as the shell has them: the program cannot be run, is not found).
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/sink.h"
#include "conf/conf.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define STATUS_FAILED 125
#define CLI_LINE      1024 /* bytes of a message */

struct cli_option {
    const char *name;  /* "--json" */
    char letter;       /* 'o' of -o, or 0 */
    const char *value; /* what it takes, as help shows it: "FILE"; NULL for a switch */
    const char *help;  /* one sentence */
};

/* A given option, in the order of the command line. */
struct cli_given {
    const struct cli_option *option;
    const char *value; /* NULL for a switch */
};

struct cli_args {
    const struct cli_verb *verb;
    struct cli_given *given; /* owned */
    size_t n_given;
    char **operands; /* NULL-terminated; owned, the strings are argv's */
    size_t n_operands;
};

struct cli_verb {
    const char *name;
    const char *operands; /* as help shows them: "[--] PROGRAM [ARGS]" */
    const char *help;     /* one line */
    const char *more;     /* paragraphs for help and man, separated by an empty line */
    const struct cli_option *options;
    size_t n_options;
    bool program; /* operands are a program's: the first ends the options */
    int (*run)(const struct cli_args *args); /* returns the exit status */
};

/* Options that choose the machine, shared by the verbs that need one. */
#define CLI_MACHINE_OPTIONS                                                                        \
    {"--machine", 'm', "NAME|FILE|host",                                                           \
     "The modelled machine: a preset (pagewalk machine list), a file, or `host`: the preset "      \
     "nearest to this CPU. Default: host."},                                                       \
    {                                                                                              \
        "--set", 's', "KEY=VALUE",                                                                 \
            "Set one option of the machine over its file; may be repeated. Sizes take K, M, G, T." \
    }

/* -- verbs.c */
const struct cli_verb *const *cli_verbs(size_t *ret_n);
const struct cli_verb *cli_verb_find(const char *name);

/* -- args.c */
/* args_parse reads argv after the verb. 0, or STATUS_FAILED after one line on stderr. --help is
 * known to every verb. */
int args_parse(struct cli_args *ret, const struct cli_verb *verb, int argc, char **argv);
void args_close(struct cli_args *a);
/* args_value returns the last value of an option, or NULL; args_has says whether it was given. */
const char *args_value(const struct cli_args *a, const char *name);
bool args_has(const struct cli_args *a, const char *name);
/* args_operands complains and returns false unless there are min to max operands. */
bool args_operands(const struct cli_args *a, size_t min, size_t max);

/* -- say.c */
/* cli_note prints one line "pagewalk: …" on stderr, control characters made harmless; cli_fail does
 * and returns STATUS_FAILED. */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* cli_show ends a verb that gathered its text in a memory sink: with status 0 it prints the text on
 * stdout and returns 0, or STATUS_FAILED after one line when not all could be written; with another
 * status it prints nothing and returns that. */
int cli_show(struct sink *text, int status);

/* -- config.c: the layers built-in < machine < user file < environment < --set */
struct config {
    struct conf conf;
    char note[256];           /* which preset `host` became and why; "" for a machine by name */
    char user_file[PATH_MAX]; /* "" when there is none */
};
/* What config_build reads, each NULL when it is not there. */
struct config_layers {
    const char *machines_dir;
    const char *machine; /* name, file or "host" */
    const char *user_file;
    const char *env;             /* "key=value key=value" */
    const struct cli_args *args; /* its --set */
};
/* config_load builds the machine the options ask for. 0, or STATUS_FAILED after one line. */
int config_load(struct config *ret, const struct cli_args *args);
/* config_build is config_load with its layers given. 0, or -EINVAL with one line in err; ret is then
 * untouched. */
int config_build(struct config *ret, const struct config_layers *l, char *err, size_t err_size);
/* config_machines_dir finds the presets of this program; config_user_file the file of the user, ""
 * when there is none. 0, or -errno with one line in err. */
int config_machines_dir(char ret[PATH_MAX], char *err, size_t err_size);
int config_user_file(char ret[PATH_MAX], char *err, size_t err_size);

/* -- output.c: result files that appear whole or not at all */
struct output {
    const char *path;         /* as given; "-" is stdout */
    int fd;                   /* of the file being written, or -1 */
    char temp[PATH_MAX + 16]; /* being written beside the target; "" when written in place */
    char target[PATH_MAX];    /* what temp becomes */
};
/* output_check finds out whether the file can be written, and leaves nothing behind. 0, or
 * STATUS_FAILED after one line. */
int output_check(const char *path);
/* output_open begins writing; output_commit makes the result visible. Each returns 0, or
 * STATUS_FAILED after one line; then what stood at path is as it was. */
int output_open(struct output *o, const char *path);
int output_commit(struct output *o);
void output_cancel(struct output *o);

/* -- help.c, man.c */
void help_all(struct sink *out);
void help_verb(struct sink *out, const struct cli_verb *verb);

extern const struct cli_verb verb_run, verb_view, verb_machine, verb_explain, verb_doctor, verb_man,
    verb_help;

#endif
