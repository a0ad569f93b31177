/* quiet.h: keeps one remark of QEMU out of the program's stderr. */
#ifndef QUIET_H
#define QUIET_H

/* quiet_open replaces the stderr of QEMU's C library; the program's descriptor 2 is not touched. */
void quiet_open(void);

#endif
