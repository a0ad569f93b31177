/* exe.h: which file a path leads to, where it goes through what only /proc can follow. */
#ifndef PLUGIN_EXE_H
#define PLUGIN_EXE_H

#include <stdbool.h>

/* exe_open notes the file of the QEMU that we are in; exe_qemu is its path, "" when it is not known. */
void exe_open(void);
const char *exe_qemu(void);
/* exe_program: the program that this QEMU runs has begun. */
void exe_program(const char *path);

/* exe_magic: the path goes through a link of /proc (exe, fd/N, cwd, root): where that leads may be gone
 * once another program runs, and is not what its text says. */
bool exe_magic(const char *path);

/* exe_meant looks at a file that was opened by such a path. If it is QEMU, for the path is the exe of a
 * process that QEMU runs, it is closed, and what is returned is the program of that process, open for
 * reading; -1 when that cannot be found. Any other file is returned as it is. */
int exe_meant(int fd, const char *path);

#endif
