/* binfmt.h: what the first bytes of a file say to who executes it. */
#ifndef EVENT_BINFMT_H
#define EVENT_BINFMT_H

#include <stdbool.h>
#include <stddef.h>

#define BINFMT_HEAD    256 /* BINPRM_BUF_SIZE: what the kernel looks at */
#define BINFMT_SCRIPTS 5   /* most interpreters of interpreters */

enum binfmt {
    BINFMT_NONE,    /* the kernel says ENOEXEC */
    BINFMT_SCRIPT,  /* "#! interpreter [argument]" */
    BINFMT_ELF,     /* an x86-64 program, as far as its header says */
    BINFMT_FOREIGN, /* an ELF program of another machine or class */
};

/* A script's first line: offsets into the head. */
struct binfmt_script {
    size_t interp, interp_end;
    size_t arg, arg_end; /* arg == 0: there is none */
};

/* binfmt_look judges the head of a file, filled with zeros to its full length. The line of a script is
 * stored in *ret_script. */
enum binfmt binfmt_look(const char head[BINFMT_HEAD], struct binfmt_script *ret_script);

#endif
