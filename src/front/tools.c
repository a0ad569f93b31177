/* tools.c: where qemu-x86_64 and the plugin are.
 *
 * The plugin lies beside the running binary in the build directory, and in ../lib/pagewalk or
 * ../libexec/pagewalk from it after an installation.
 */
#include "front/front_int.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLUGIN_NAME "pagewalk-qemu.so"

static int missing(const char *line, char *err, size_t err_size)
{
    snprintf(err, err_size, "%s", line);
    return -ENOENT;
}

/* search looks for an executable in PATH. */
static bool search(const char *name, char *to, size_t size)
{
    const char *dirs = getenv("PATH"), *end;

    for (dirs = dirs ? dirs : "/bin:/usr/bin";; dirs = end + 1) {
        end = strchrnul(dirs, ':');
        if (snprintf(to, size, "%.*s/%s", (int)(end - dirs), dirs, name) < (int)size &&
            end > dirs && access(to, X_OK) == 0)
            return true;
        if (!*end)
            return false;
    }
}

static bool find_qemu(const char *wanted, char *to, size_t size)
{
    if (wanted && strchr(wanted, '/')) {
        snprintf(to, size, "%s", wanted);
        return access(to, X_OK) == 0;
    }
    if (wanted)
        return search(wanted, to, size);
    return search("qemu-x86_64", to, size) || search("qemu-x86_64-static", to, size);
}

static bool find_plugin(char *to, size_t size)
{
    static const char *const places[] = {"", "../lib/pagewalk/", "../libexec/pagewalk/"};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n < 0)
        return false;
    self[n] = 0;
    *(strrchr(self, '/') + 1) = 0;
    for (unsigned i = 0; i < 3; i++)
        if (snprintf(to, size, "%s%s%s", self, places[i], PLUGIN_NAME) < (int)size &&
            access(to, R_OK) == 0)
            return true;
    return false;
}

int front_tools(const struct front_options *o, char *ret_qemu, char *ret_plugin, size_t size,
                char *err, size_t err_size)
{
    char qemu[PATH_MAX], plugin[PATH_MAX];

    if (!find_qemu(o->qemu, qemu, sizeof qemu))
        return missing("qemu-x86_64 not found: install the package qemu-user", err, err_size);
    if (o->plugin)
        snprintf(plugin, sizeof plugin, "%s", o->plugin);
    if (o->plugin ? access(plugin, R_OK) != 0 : !find_plugin(plugin, sizeof plugin))
        return missing("the QEMU plugin " PLUGIN_NAME " not found: run make, or make install", err,
                       err_size);
    snprintf(ret_qemu, size, "%s", qemu);
    snprintf(ret_plugin, size, "%s", plugin);
    return 0;
}
