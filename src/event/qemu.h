/* qemu.h: the command line with which QEMU runs a program of the guest: its first one (front) and those
 * that the guest executes (the plugin). */
#ifndef EVENT_QEMU_H
#define EVENT_QEMU_H

#include <stddef.h>
#include <stdint.h>

#define QEMU_COMM 16 /* TASK_COMM_LEN: a task's name with its zero */

/* What is run, and how. Strings are the caller's. */
struct qemu_command {
    const char *qemu;    /* its path */
    const char *cpu;     /* model of CPU */
    const char *plugin;  /* its path */
    const char *options; /* of the plugin: ",name=number" each */
    const char *comm;    /* what the task is called */
    uint64_t stack;      /* bytes, of qemu_stack_bytes */
    const char *path;    /* of the program's file */
    char *const *argv;   /* of the program, at least one */
};

/* qemu_argv returns the vector and the strings made for it in one piece of memory, to be freed; NULL
 * without memory. */
char **qemu_argv(const struct qemu_command *c);
/* qemu_stack_bytes: what the kernel would let the stack grow to under this limit, RLIM_INFINITY: all its
 * bits set; without one QEMU's own 8 MiB. */
uint64_t qemu_stack_bytes(uint64_t limit);
/* qemu_reverse turns the order of a NULL-terminated list round: QEMU hands the environment on reversed. */
void qemu_reverse(char **list);
/* qemu_comm writes the name that Linux gives a task which executes `filename`: its end, cut. */
void qemu_comm(char ret_comm[QEMU_COMM], const char *filename);

#endif
