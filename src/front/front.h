/* front.h: runs a program under QEMU with the plugin and feeds its events to a sim.
 *
 *   front_run: find the program ─► make the region ─► keeper ─► qemu-x86_64 -plugin … and its children
 *              ─► consume rings until the guest is gone ─► its exit status
 *
 * Invariants:
 *  I1  The guest's stdin, stdout, stderr, signals and exit status are its own.
 *  I2  front_run returns when every process of the guest's tree has ended and what it left in the rings is
 *      read. When this process dies, all of them are killed.
 *  I3  Nothing is left behind: no file, no process, no shared-memory object.
 */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include "sim/sim.h"

struct front_options {
    char *const *argv;    /* program and arguments, NULL-terminated */
    const char *qemu;     /* path of qemu-x86_64, NULL: search PATH */
    const char *plugin;   /* path of the plugin, NULL: beside the running binary or in libdir */
    bool progress;        /* show a line on stderr while running */
    bool detach;          /* when the first process has ended let the others alone */
    bool counts;          /* ask the plugin for plain counters too */
    struct tape *tape;    /* what the sim is told is recorded (tape.h); NULL: it is not */
    void (*poll)(void *); /* called every few ms between two batches of events; NULL: nothing is */
    void *poll_data;      /* what it is called with */
};

struct front_result {
    int exit_code;  /* of the first process, when signal is 0 */
    int signal;     /* that killed it, or 0 */
    int incomplete; /* enum ring_error: why not everything was observed; 0: all was */
    uint64_t wall_ns;
    uint64_t processes;  /* observed: the first, and those that were forked */
    uint32_t unfollowed; /* processes and programs that were not observed */
    uint32_t left;       /* processes let alone, with `detach` */
    bool keeper_lost;    /* somebody killed the keeper of the processes: all were ended */
    uint64_t words;      /* events consumed */
    uint64_t accesses;   /* raw accesses among them, only counted when nothing is modelled */
    char path[4096];     /* the program as found in PATH */
};

/* front_find resolves a program as execvp does and looks at it: on failure returns 126 (found, not
 * runnable: no x bit, wrong architecture, directory …) or 127 (not found) and one line in err. */
int front_find(const char *name, char *ret_path, size_t path_size, char *err, size_t err_size);

/* What will be executed for a program name: an ELF file, because QEMU runs nothing else. A script
 * becomes its interpreter with the script as an argument, as in the kernel (fs/binfmt_script.c). */
struct front_command {
    char path[4096];  /* of the ELF file */
    char found[4096]; /* of the program as found in PATH: the script, or path again */
    char **argv;      /* its arguments, NULL-terminated, owned here as are the strings */
};

/* front_command_open resolves argv[0] as front_find does; same return values. */
int front_command_open(struct front_command *c, char *const *argv, char *err, size_t err_size);
void front_command_close(struct front_command *c);

/* front_run runs the program to its end. `sim` must be open; NULL: nothing is modelled, the events are
 * read and discarded. Returns 0 and the result, or 125, 126 or 127 with one line in err when it could
 * not be run. */
int front_run(const struct front_options *o, struct sim *sim, struct front_result *ret, char *err,
              size_t err_size);

/* front_tools finds qemu and the plugin; 0, or -ENOENT with one line in err. */
int front_tools(const struct front_options *o, char *ret_qemu, char *ret_plugin, size_t size,
                char *err, size_t err_size);

#endif
