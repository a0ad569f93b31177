/* main.c: finds the verb and runs it. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STACK_LEAST (128u << 10) /* bytes */

/* keep_closed occupies standard descriptors the caller left closed, so that no file of ours becomes
 * the program's stdout. Close-on-exec: the program finds them closed, as it would without us; and
 * opened so that using them fails, as it would. */
static void keep_closed(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", (fd == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

static int show_help(const struct cli_verb *verb)
{
    struct sink out;
    sink_memory(&out);
    if (verb != NULL)
        help_verb(&out, verb);
    else
        help_all(&out);
    return cli_show(&out, 0);
}

static int show_version(void)
{
    struct sink out;
    sink_memory(&out);
    sink_text(&out, "pagewalk " PW_VERSION "\n");
    return cli_show(&out, 0);
}

static int run_verb(const struct cli_verb *verb, int argc, char **argv)
{
    struct cli_args args;
    int status = args_parse(&args, verb, argc, argv);
    if (status != 0)
        return status;
    status = args_has(&args, "--help") ? show_help(verb) : verb->run(&args);
    args_close(&args);
    return status;
}

static int unknown(const char *word)
{
    if (word[0] == '-')
        return cli_fail("unknown option %s before the verb; `pagewalk help` lists the verbs", word);
    return cli_fail("unknown verb `%s`; `pagewalk help` lists the verbs, `pagewalk run -- PROGRAM` "
                    "runs a program",
                    word);
}

/* stack_suffices: for ourselves, whatever the program gets. 0, or it has said why not. */
static int stack_suffices(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= STACK_LEAST)
        return 0;
    unsigned kib = (unsigned)(limit.rlim_cur / 1024);
    return cli_fail(
        "a stack of %u KiB is too small for pagewalk itself: ulimit -s %u; for the program "
        "alone: pagewalk run -- sh -c 'ulimit -s %u; exec …'",
        kib, STACK_LEAST / 1024, kib);
}

int main(int argc, char **argv)
{
    keep_closed();
    const char *word = argc > 1 ? argv[1] : "";
    if (argc < 2)
        return cli_fail("no verb given; `pagewalk help` lists the verbs");
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return show_help(NULL);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return show_version();
    const struct cli_verb *verb = cli_verb_find(word);
    if (verb == NULL)
        return unknown(word);
    int status = stack_suffices();
    return status != 0 ? status : run_verb(verb, argc - 2, argv + 2);
}
