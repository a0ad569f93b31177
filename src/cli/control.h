/* control.h: how a running pagewalk is asked.
 *
 *   view --run PID ─► abstract socket "pagewalk/PID" ─► asked between two batches of events ─► answer
 *
 * Signals belong to the program, and so do its descriptors: the socket is closed on exec, has no file
 * name that could stay behind, and vanishes with the process.
 *
 *   request  "view NAME PID\n" or "set KEY=VALUE\n"      (PID 0: the program)
 *   answer   "ok LENGTH\n" and LENGTH bytes, or "no REASON\n"
 */
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include "base/sink.h"
#include "proc/files.h"
#include "sim/sim.h"

#include <stdio.h>
#include <sys/types.h>

#define CONTROL_MAX 512 /* bytes of a request, its newline included */

struct control {
    int fd; /* listens, or -1 */
    struct sim *sim;
};

/* A request taken apart. */
struct control_request {
    bool set; /* write .order's value to its key; else show .target */
    struct proc_target target;
    struct proc_order order; /* .key and .value */
};
/* control_parse reads a request. 0, or -EINVAL with the reason in err. */
int control_parse(const char *text, struct control_request *ret, char *err, size_t err_size);

/* control_open begins to listen for questions about `sim`. A run goes on without, so it cannot fail. */
void control_open(struct control *c, struct sim *sim);
/* control_poll answers who asks now: at most one, and it waits for nobody. */
void control_poll(void *control);
void control_close(struct control *c);
/* control_answer answers one request; the text it appends is the whole answer. */
void control_answer(struct sim *sim, const char *request, struct sink *answer);

/* control_list_runs lists the pids of all pagewalks that can be asked, from the text of /proc/net/unix;
 * what does not fit is left out. */
void control_list_runs(FILE *sockets, char *list, size_t size);
/* control_take reads the answer of process pid and appends its bytes to ret. 0, or STATUS_FAILED after one
 * line when it is a refusal or not all of it came. */
int control_take(const struct sink *all, uint32_t pid, struct sink *ret);
/* control_ask sends a request to the pagewalk that runs as `pid` and appends the answer's bytes to ret.
 * 0, or STATUS_FAILED after one line. */
int control_ask(uint32_t pid, const char *request, struct sink *ret);

#endif
