/* machines.c: finding, naming and loading presets. */
#include "conf/machines.h"

#include "base/vec.h"
#include "conf/conf_int.h"

#include <cpuid.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".ini"

/* -- where they lie -------------------------------------------------------------------------- */

int machines_dir(const char *binary_dir, char *ret, char *err, size_t err_size)
{
    static const char *const places[] = {"../share/pagewalk/machines", "../../machines"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        char path[MACHINES_PATH_MAX];
        int n = snprintf(path, sizeof(path), "%s/%s", binary_dir, places[i]);
        if (n < (int)sizeof(path) && access(path, R_OK | X_OK) == 0) {
            memcpy(ret, path, (size_t)n + 1);
            return 0;
        }
    }
    conf_refuse(err, err_size,
                "no machine files in %s/%s nor %s/%s; run `make install` or the program in its "
                "build tree",
                binary_dir, places[0], binary_dir, places[1]);
    return -ENOENT;
}

/* "zen4.ini" → 4; 0 for what is no machine file. */
static size_t stem_len(const char *file)
{
    size_t n = strlen(file), m = strlen(SUFFIX);
    bool fits = n > m && file[0] != '.' && strcmp(file + n - m, SUFFIX) == 0;
    return fits && n - m < MACHINES_NAME_MAX ? n - m : 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int add_name(struct machines *m, size_t *cap, const char *file)
{
    size_t len = stem_len(file);
    if (len == 0)
        return 0;
    void *names = vec_room(m->names, m->n, cap, sizeof(*m->names));
    if (!names)
        return -ENOMEM;
    m->names = names;
    memset(m->names[m->n], 0, MACHINES_NAME_MAX);
    memcpy(m->names[m->n++], file, len);
    return 0;
}

int machines_list(const char *dir, struct machines *ret)
{
    struct machines m = {0};
    size_t cap = 0;
    int r = 0;
    DIR *d = opendir(dir);
    if (!d)
        return -errno;
    for (struct dirent *e; r == 0 && (e = readdir(d));)
        r = add_name(&m, &cap, e->d_name);
    closedir(d);
    if (r < 0) {
        machines_free(&m);
        return r;
    }
    if (m.n > 0)
        qsort(m.names, m.n, sizeof(*m.names), by_name);
    *ret = m;
    return 0;
}

void machines_free(struct machines *m)
{
    free(m->names);
    *m = (struct machines){0};
}

/* -- loading --------------------------------------------------------------------------------- */

static int refuse_name(const char *dir, const char *name, char *err, size_t err_size)
{
    struct machines m = {0};
    char known[256] = "default, host";
    size_t len = strlen(known);
    if (machines_list(dir, &m) == 0)
        for (size_t i = 0; i < m.n && len + MACHINES_NAME_MAX + 2 < sizeof(known); i++)
            len += (size_t)snprintf(known + len, sizeof(known) - len, ", %s", m.names[i]);
    machines_free(&m);
    return conf_refuse(err, err_size, "unknown machine `%s`; take one of %s, or the path of a file",
                       name, known);
}

int machines_path(const char *dir, const char *name, char *ret, char *err, size_t err_size)
{
    bool is_path = strchr(name, '/') || stem_len(name) > 0;
    int n = is_path ? snprintf(ret, MACHINES_PATH_MAX, "%s", name)
                    : snprintf(ret, MACHINES_PATH_MAX, "%s/%s" SUFFIX, dir, name);
    if (n >= MACHINES_PATH_MAX)
        return conf_refuse(err, err_size, "the path of machine `%.40s…` is too long", name);
    if (!is_path && (*name == '\0' || access(ret, F_OK) < 0))
        return refuse_name(dir, name, err, err_size);
    return 0;
}

static int load_file(struct conf *c, const char *dir, const char *name, char *err, size_t err_size)
{
    char path[MACHINES_PATH_MAX], what[256];
    struct conf next = *c;
    int r = machines_path(dir, name, path, err, err_size);
    if (r == 0)
        r = conf_load(&next, path, err, err_size);
    if (r < 0)
        return r;
    if (conf_check(&next, what, sizeof(what)) < 0)
        return conf_refuse(err, err_size, "%s: %s", path, what);
    *c = next;
    return 0;
}

/* -- this CPU -------------------------------------------------------------------------------- */

void machines_signature(uint32_t eax, unsigned *ret_family, unsigned *ret_model)
{
    unsigned family = eax >> 8 & 15, model = eax >> 4 & 15;
    if (family == 6 || family == 15)
        model |= (eax >> 16 & 15) << 4;
    if (family == 15)
        family += eax >> 20 & 255;
    *ret_family = family;
    *ret_model = model;
}

static const char *nearest_to_host(char *note, size_t note_size)
{
    unsigned max = 0, b = 0, c = 0, d = 0, eax = 0, family, model;
    char vendor[13] = "";
    if (__get_cpuid(0, &max, &b, &c, &d)) {
        memcpy(vendor, &b, 4);
        memcpy(vendor + 4, &d, 4);
        memcpy(vendor + 8, &c, 4);
        __get_cpuid(1, &eax, &b, &c, &d);
    }
    machines_signature(eax, &family, &model);
    return machines_nearest(vendor, family, model, note, note_size);
}

int machines_load(struct conf *c, const char *dir, const char *name, char *note, size_t note_size,
                  char *err, size_t err_size)
{
    if (note_size > 0)
        note[0] = '\0';
    if (strcmp(name, "host") == 0)
        name = nearest_to_host(note, note_size);
    if (strcmp(name, "default") == 0)
        return 0;
    return load_file(c, dir, name, err, err_size);
}
