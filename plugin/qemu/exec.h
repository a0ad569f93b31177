/* exec.h: programs that the program executes are observed, too.
 *
 *   execve(path, argv, envp) ─► would Linux? what would it run? ─► execve(QEMU, plugin, …, path, argv)
 *                                     └ no, or QEMU cannot: the call goes its own way
 */
#ifndef PLUGIN_EXEC_H
#define PLUGIN_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/* What to do with a call. Others: enum event_native: if it runs, it will not be observed. */
#define EXEC_READY 0

struct exec_plan;

/* exec_open notes how this QEMU was started; `limit` is the program's RLIMIT_STACK. */
void exec_open(struct rlimit limit);
/* exec_stack_limit is the program's RLIMIT_STACK now; QEMU 7.2 tells the kernel nothing of it. */
struct rlimit exec_stack_limit(void);
/* exec_noted: a call of the program returned that may have set the limit. */
void exec_noted(uint64_t num, const uint64_t args[6], int64_t result);

/* exec_plan judges execve or execveat. With EXEC_READY *ret_plan is for exec_go and exec_drop. The path
 * is the one that was executed, of a descriptor the task's name. */
int exec_plan(uint64_t num, const uint64_t args[6], struct exec_plan **ret_plan, char *ret_path,
              size_t path_size);
/* exec_go executes; it returns only if that failed. */
void exec_go(struct exec_plan *p);
void exec_drop(struct exec_plan *p);

/* exec_unmask gives a variable of the environment that would have acted on QEMU its name back. */
void exec_unmask(char *variable);
/* exec_close_kept closes the descriptor that only served to name the program to QEMU. */
void exec_close_kept(int fd);

#endif
