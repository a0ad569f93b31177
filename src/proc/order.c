/* order.c: reads "TIME: KEY=VALUE". What it reads comes from a command line, a file or a socket. */
#include "proc/sysctl.h"

#include "base/line.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad(char *err, size_t err_size, const char *text, const char *why)
{
    text += strspn(text, " \t\r\n");
    snprintf(err, err_size, "`%.80s`: %s", text, why);
    line_only(err);
    return -EINVAL;
}

/* copy_trimmed copies [from, end) without blanks around it; false when empty or too long. */
static bool copy_trimmed(char *to, size_t size, const char *from, const char *end)
{
    while (from < end && isspace((unsigned char)*from))
        from++;
    while (from < end && isspace((unsigned char)end[-1]))
        end--;
    if (from == end || (size_t)(end - from) >= size)
        return false;
    memcpy(to, from, (size_t)(end - from));
    to[end - from] = '\0';
    return true;
}

int proc_assignment_parse(const char *text, struct proc_order *ret, char *err, size_t err_size)
{
    struct proc_order o = *ret;
    const char *sign = strchr(text, '=');
    if (sign == NULL)
        return bad(err, err_size, text, "KEY=VALUE is wanted, vm.drop_caches=1 say");
    if (!copy_trimmed(o.key, sizeof(o.key), text, sign) || proc_sysctl_find(o.key) < 0)
        return bad(err, err_size, text,
                   "there is no such tunable; `pagewalk view` lists sys/vm/NAME");
    if (!copy_trimmed(o.value, sizeof(o.value), sign + 1, sign + strlen(sign)))
        return bad(err, err_size, text, "the value is empty or too long");
    if (proc_sysctl_check(o.key, o.value, err, err_size) != 0)
        return -EINVAL;
    *ret = o;
    return 0;
}

/* Units of time, in picoseconds; of instructions, 0. */
static const struct {
    const char *name;
    uint64_t ps;
} units[] = {{"us", 1000000}, {"ms", 1000000000}, {"s", 1000000000000}, {"i", 0}};

static bool parse_time(const char *text, const char *end, struct proc_order *o)
{
    char word[32], *unit;
    if (!copy_trimmed(word, sizeof(word), text, end) || !isdigit((unsigned char)word[0]))
        return false;
    errno = 0;
    uint64_t v = strtoull(word, &unit, 10);
    for (size_t i = 0; i < ARRAY_LEN(units) && errno == 0; i++)
        if (strcmp(unit, units[i].name) == 0) {
            o->instructions = units[i].ps == 0;
            return !__builtin_mul_overflow(v, units[i].ps ? units[i].ps : 1, &o->at);
        }
    return false;
}

int proc_order_parse(const char *text, struct proc_order *ret, char *err, size_t err_size)
{
    struct proc_order o = {0};
    const char *colon = strchr(text, ':');
    if (colon == NULL || !parse_time(text, colon, &o))
        return bad(
            err, err_size, text,
            "TIME: KEY=VALUE is wanted, TIME a whole number of us, ms, s or i (instructions): "
            "`5ms: vm.drop_caches=1`");
    int error = proc_assignment_parse(colon + 1, &o, err, err_size);
    if (error == 0)
        *ret = o;
    return error;
}
