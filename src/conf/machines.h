/* machines.h: the presets. A machine is one INI file of options; its name is the file's.
 *
 *   name ──┬─ "default"          the table's own defaults, no file
 *          ├─ "host"             the preset nearest to this CPU, by CPUID
 *          ├─ a word             DIR/word.ini
 *          └─ with / or .ini     that file
 *
 * The directory is found beside the program, in its source tree or where it was installed.
 */
#ifndef CONF_MACHINES_H
#define CONF_MACHINES_H

#include "conf/conf.h"

#define MACHINES_NAME_MAX 64 /* bytes of a name, the final 0 included */
#define MACHINES_PATH_MAX 4096

struct machines {
    char (*names)[MACHINES_NAME_MAX]; /* sorted; without "default" and "host" */
    size_t n;                         /* how many */
};

/* machines_dir finds the directory of presets for a program that lies in binary_dir: that of the
 * installation (binary_dir/../share/pagewalk/machines), then that of the tree it was built in
 * (binary_dir/../../machines). 0, or -ENOENT with one line in err that names both. ret has MACHINES_PATH_MAX bytes. */
int machines_dir(const char *binary_dir, char *ret, char *err, size_t err_size);
/* machines_list names the presets in dir. 0, -ENOMEM, or -errno when dir cannot be read; then ret
 * is untouched. */
int machines_list(const char *dir, struct machines *ret);
void machines_free(struct machines *m);
/* machines_path gives the file behind a name; -EINVAL with one line in err (the names there are)
 * when there is none. Not for "default" and "host". ret has MACHINES_PATH_MAX bytes. */
int machines_path(const char *dir, const char *name, char *ret, char *err, size_t err_size);
/* machines_load reads a machine over c and checks it. For "host" a line in note says which preset
 * was taken and why; else note becomes "". On an error returns -errno with one line in err; c is
 * untouched. */
int machines_load(struct conf *c, const char *dir, const char *name, char *note, size_t note_size,
                  char *err, size_t err_size);
/* machines_nearest returns the preset nearest to a CPU (vendor as CPUID leaf 0 spells it, display
 * family and model) and writes one line to note: which and why. */
const char *machines_nearest(const char *vendor, unsigned family, unsigned model, char *note,
                             size_t note_size);
/* machines_signature takes display family and model out of CPUID leaf 1 EAX (Intel SDM vol. 2A,
 * CPUID; AMD64 APM vol. 3, E.3.2). */
void machines_signature(uint32_t eax, unsigned *ret_family, unsigned *ret_model);

#endif
