/* config.c: the machine a command line asks for, layer over layer:
 *
 *   built-in ─► machine file ─► user file ─► PAGEWALK_SET ─► --set ─► conf_check
 *
 * Each layer overrides single options; the first bad value of any layer ends it all with a line
 * that names the layer.
 */
#include "cli/cli.h"

#include "conf/machines.h"
#include "mm/swap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORD_MAX 256 /* of PAGEWALK_SET */

static int refuse(char *err, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int refuse(char *err, size_t size, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(err, size, format, ap);
    va_end(ap);
    return -EINVAL;
}

int config_machines_dir(char ret[PATH_MAX], char *err, size_t err_size)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return refuse(err, err_size, "/proc/self/exe: %s; is /proc mounted?", strerror(errno));
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    return machines_dir(self, ret, err, err_size);
}

int config_user_file(char ret[PATH_MAX], char *err, size_t err_size)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    ret[0] = '\0';
    int n = 0;
    /* The XDG base directory specification: a relative path is to be ignored. */
    if (xdg != NULL && xdg[0] == '/')
        n = snprintf(ret, PATH_MAX, "%s/pagewalk/config", xdg);
    else if (home != NULL && home[0] == '/')
        n = snprintf(ret, PATH_MAX, "%s/.config/pagewalk/config", home);
    if (n >= PATH_MAX)
        return refuse(err, err_size, "the path of the user's configuration is too long");
    if (access(ret, F_OK) != 0)
        ret[0] = '\0';
    return 0;
}

/* apply_words sets each blank-separated key=value of PAGEWALK_SET. */
static int apply_words(struct conf *c, const char *words, char *err, size_t err_size)
{
    static const char blanks[] = " \t\n";
    for (words += strspn(words, blanks); *words != '\0'; words += strspn(words, blanks)) {
        char word[WORD_MAX], what[CLI_LINE];
        size_t len = strcspn(words, blanks);
        if (len >= sizeof(word))
            return refuse(err, err_size, "PAGEWALK_SET: a word has more than %d bytes",
                          WORD_MAX - 1);
        memcpy(word, words, len);
        word[len] = '\0';
        if (conf_assign(c, word, what, sizeof(what)) != 0)
            return refuse(err, err_size, "PAGEWALK_SET: %s", what);
        words += len;
    }
    return 0;
}

static int apply_sets(struct conf *c, const struct cli_args *args, char *err, size_t err_size)
{
    for (size_t i = 0; i < args->n_given; i++) {
        char what[CLI_LINE];
        if (strcmp(args->given[i].option->name, "--set") == 0 &&
            conf_assign(c, args->given[i].value, what, sizeof(what)) != 0)
            return refuse(err, err_size, "--set: %s", what);
    }
    return 0;
}

int config_build(struct config *ret, const struct config_layers *l, char *err, size_t err_size)
{
    struct config c = {.note = ""};
    conf_init(&c.conf);
    int r = 0;
    if (l->machine != NULL)
        r = machines_load(&c.conf, l->machines_dir, l->machine, c.note, sizeof(c.note), err,
                          err_size);
    if (r == 0 && l->user_file != NULL) {
        snprintf(c.user_file, sizeof(c.user_file), "%s", l->user_file);
        r = conf_load(&c.conf, l->user_file, err, err_size);
    }
    if (r == 0 && l->env != NULL)
        r = apply_words(&c.conf, l->env, err, err_size);
    if (r == 0 && l->args != NULL)
        r = apply_sets(&c.conf, l->args, err, err_size);
    if (r == 0)
        r = conf_check(&c.conf, err, err_size);
    if (r == 0)
        r = mm_swap_check(&c.conf, err, err_size);
    if (r != 0)
        return -EINVAL;
    *ret = c;
    return 0;
}

int config_load(struct config *ret, const struct cli_args *args)
{
    char dir[PATH_MAX], user[PATH_MAX], err[CLI_LINE];
    const char *machine = args_value(args, "--machine");
    int r = config_machines_dir(dir, err, sizeof(err));
    if (r == 0)
        r = config_user_file(user, err, sizeof(err));
    if (r == 0) {
        struct config_layers layers = {
            .machines_dir = dir,
            .machine = machine != NULL ? machine : "host",
            .user_file = user[0] != '\0' ? user : NULL,
            .env = getenv("PAGEWALK_SET"),
            .args = args,
        };
        r = config_build(ret, &layers, err, sizeof(err));
    }
    return r == 0 ? 0 : cli_fail("%s", err);
}
