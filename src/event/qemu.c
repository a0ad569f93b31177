/* qemu.c: see qemu.h.
 *
 *   QEMU -cpu CPU -s STACK -plugin PLUGIN,options…,comm=NAME -0 argv[0] PATH argv[1] …
 *
 * QEMU's parser of options takes a comma for the end of a value; one that belongs to it is written twice.
 *
 * Linked into the plugin, too, so it stands alone. Source: QEMU 7.2 linux-user/main.c, util/qemu-option.c,
 * util/envlist.c; Linux 6.18 fs/exec.c begin_new_exec, __set_task_comm, string_helpers.c kbasename.
 */
#include "event/qemu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OWN = 9, NUMBER = 32 }; /* words before the program's path; bytes of a number */

/* put_doubled writes text with its commas doubled and returns where its zero is. */
static char *put_doubled(char *to, const char *text)
{
    for (; *text; text++) {
        *to++ = *text;
        if (*text == ',')
            *to++ = ',';
    }
    *to = 0;
    return to;
}

/* plugin_option writes the value of -plugin. */
static void plugin_option(char *to, const struct qemu_command *c)
{
    to = put_doubled(to, c->plugin);
    to = stpcpy(to, c->options);
    to = stpcpy(to, ",comm=");
    put_doubled(to, c->comm);
}

char **qemu_argv(const struct qemu_command *c)
{
    size_t n = 0, text = 2 * strlen(c->plugin) + strlen(c->options) + 2 * strlen(c->comm) +
                         sizeof ",comm=";
    char **v, *stack, *option;

    while (c->argv[n])
        n++;
    v = malloc((OWN + n + 1) * sizeof *v + NUMBER + text);
    if (!v)
        return NULL;
    stack = (char *)(v + OWN + n + 1);
    option = stack + NUMBER;
    snprintf(stack, NUMBER, "%llu", (unsigned long long)c->stack);
    plugin_option(option, c);
    memcpy(v,
           (char *[OWN]){(char *)c->qemu, "-cpu", (char *)c->cpu, "-s", stack, "-plugin", option,
                         "-0", c->argv[0]},
           OWN * sizeof *v);
    v[OWN] = (char *)c->path;
    memcpy(v + OWN + 1, c->argv + 1, n * sizeof *v); /* its NULL included */
    return v;
}

uint64_t qemu_stack_bytes(uint64_t limit)
{
    const uint64_t least = UINT64_C(128) << 10, most = UINT64_C(16) << 30;

    if (limit == UINT64_MAX)
        return UINT64_C(8) << 20;
    if (limit < least)
        return least;
    return (limit < most ? limit : most) & ~UINT64_C(0xfff);
}

void qemu_reverse(char **list)
{
    size_t n = 0;

    while (list[n])
        n++;
    for (size_t i = 0; i < n / 2; i++) {
        char *s = list[i];

        list[i] = list[n - 1 - i];
        list[n - 1 - i] = s;
    }
}

void qemu_comm(char ret_comm[QEMU_COMM], const char *filename)
{
    const char *slash = strrchr(filename, '/'), *name = slash ? slash + 1 : filename;
    size_t n = strnlen(name, QEMU_COMM - 1);

    memset(ret_comm, 0, QEMU_COMM);
    memcpy(ret_comm, name, n);
}
