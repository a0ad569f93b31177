/* control.c: both ends of the control socket, see control.h.
 *
 * I1  Only the user who runs the simulation, and root, get answers.
 * I2  A partner that says nothing, or does not read, delays the run by WAIT_MS at most.
 *
 * Source: unix(7), abstract sockets and SO_PEERCRED.
 */
#include "cli/control.h"

#include "cli/cli.h"
#include "cli/save.h"
#include "mm/view.h"

#include <errno.h>
#include <stddef.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_MS   500
#define ANSWER_MS 30000 /* a batch of events may take its time */
#define RUNS_FILE "/proc/net/unix"
#define PREFIX    "pagewalk/"

static socklen_t address_of(struct sockaddr_un *a, uint32_t pid)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1, PREFIX "%u", pid);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static bool send_all(int fd, const char *at, size_t n)
{
    while (n > 0) {
        ssize_t done = send(fd, at, n, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

static void set_timeouts(int fd, unsigned ms)
{
    struct timeval t = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

/* -- answering ----------------------------------------------------------------------------------- */

static void refuse(struct sink *answer, const char *reason)
{
    sink_fmt(answer, "no %s\n", reason);
}

static void list_processes(const struct proc_machine *m, char *list, size_t size)
{
    size_t at = 0;
    for (const struct mm *p = NULL; (p = mm_next(m->sys, p)) != NULL && at < size;)
        at += (size_t)snprintf(list + at, size - at, "%s%u (%s)", at ? ", " : "", mm_task(p)->pid,
                               mm_task(p)->comm);
}

static int bad_request(char *err, size_t err_size, const char *why)
{
    snprintf(err, err_size, "%s", why);
    return -EINVAL;
}

int control_parse(const char *text, struct control_request *ret, char *err, size_t err_size)
{
    struct control_request r = {.set = strncmp(text, "set ", 4) == 0};
    char name[CONTROL_MAX];
    unsigned pid;
    int used = 0;
    if (r.set) {
        if (proc_assignment_parse(text + 4, &r.order, err, err_size) != 0)
            return -EINVAL;
    } else {
        if (sscanf(text, "view %511s %10u%n", name, &pid, &used) != 2 || text[used] != '\n' ||
            text[used + 1] != '\0')
            return bad_request(err, err_size, "it does not understand the question");
        if (proc_resolve(name, &r.target) != 0)
            return bad_request(err, err_size, "it knows no such file");
        r.target.pid = r.target.pid ? r.target.pid : pid;
    }
    *ret = r;
    return 0;
}

static void answer_view(struct sim *sim, const struct proc_target *t, struct sink *answer)
{
    struct proc_machine m;
    struct sink text;
    char why[CLI_LINE / 2], list[CLI_LINE / 4] = "";
    sim_machine(sim, &m);
    sink_memory(&text);
    int error = proc_put(&text, t, &m, process_of(sim, t->pid));
    if (error == 0) {
        sink_fmt(answer, "ok %zu\n", text.len);
        sink_bytes(answer, text.data ? text.data : "", text.len);
    } else if (error == -ESRCH && proc_file(t->file)->scope == PROC_OF_PROCESS) {
        list_processes(&m, list, sizeof(list));
        snprintf(why, sizeof(why), "no process %u; there are: %s", t->pid, list);
        refuse(answer, why);
    } else {
        refuse(answer, error == -ESRCH    ? "the machine has no such node"
                       : error == -EACCES ? "it can only be written"
                                          : strerror(-error));
    }
    sink_close(&text);
}

void control_answer(struct sim *sim, const char *request, struct sink *answer)
{
    struct control_request r;
    char err[CLI_LINE / 2];
    if (control_parse(request, &r, err, sizeof(err)) != 0)
        refuse(answer, err);
    else if (!r.set)
        answer_view(sim, &r.target, answer);
    else if (sim_sysctl(sim, r.order.key, r.order.value, err, sizeof(err)) != 0)
        refuse(answer, err);
    else
        sink_text(answer, "ok 0\n");
}

static bool may_ask(int fd)
{
    struct ucred who;
    socklen_t n = sizeof(who);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
           (who.uid == geteuid() || who.uid == 0); /* I1 */
}

static bool read_request(int fd, char request[CONTROL_MAX])
{
    size_t n = 0;
    while (n < CONTROL_MAX - 1) {
        ssize_t got = recv(fd, request + n, CONTROL_MAX - 1 - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        request[n] = '\0';
        if (request[n - 1] == '\n')
            return strlen(request) == n;
    }
    return false;
}

void control_poll(void *control)
{
    struct control *c = control;
    char request[CONTROL_MAX];
    struct sink answer;
    int fd = c->fd < 0 ? -1 : accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    set_timeouts(fd, WAIT_MS);
    if (may_ask(fd) && read_request(fd, request)) {
        sink_memory(&answer);
        control_answer(c->sim, request, &answer);
        if (sink_error(&answer) == 0)
            send_all(fd, answer.data, answer.len);
        sink_close(&answer);
    }
    close(fd);
}

void control_open(struct control *c, struct sim *sim)
{
    struct sockaddr_un a;
    socklen_t n = address_of(&a, (uint32_t)getpid());
    *c = (struct control){socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), sim};
    if (c->fd >= 0 && (bind(c->fd, (struct sockaddr *)&a, n) != 0 || listen(c->fd, 8) != 0))
        control_close(c);
}

void control_close(struct control *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

/* -- asking -------------------------------------------------------------------------------------- */

void control_list_runs(FILE *sockets, char *list, size_t size)
{
    char line[CLI_LINE];
    size_t at = 0;
    list[0] = '\0';
    while (fgets(line, sizeof(line), sockets) && at < size) {
        const char *name = strstr(line, "@" PREFIX);
        unsigned pid;
        if (name && sscanf(name, "@" PREFIX "%9u", &pid) == 1 && strstr(line, " 00010000 "))
            at += (size_t)snprintf(list + at, size - at, "%s%u", at ? ", " : "", pid);
    }
}

static int not_running(uint32_t pid)
{
    char list[CLI_LINE / 4] = "";
    FILE *f = fopen(RUNS_FILE, "re");
    if (f) {
        control_list_runs(f, list, sizeof(list));
        fclose(f);
    }
    return list[0] == '\0' ? cli_fail("no pagewalk runs as process %u, nor as any other", pid)
                           : cli_fail("no pagewalk runs as process %u; running: %s", pid, list);
}

int control_take(const struct sink *all, uint32_t pid, struct sink *ret)
{
    size_t n = 0;
    int used = 0;
    const char *text = all->data ? all->data : "", *end = strchr(text, '\n');
    if (end && strncmp(text, "no ", 3) == 0)
        return cli_fail("process %u: %.*s", pid, (int)(end - text - 3), text + 3);
    if (!end || sscanf(text, "ok %zu\n%n", &n, &used) != 1 ||
        all->len != (size_t)(end - text) + 1 + n)
        return cli_fail("process %u ended, or did not answer", pid);
    sink_bytes(ret, end + 1, n);
    return 0;
}

int control_ask(uint32_t pid, const char *request, struct sink *ret)
{
    struct sockaddr_un a;
    socklen_t len = address_of(&a, pid);
    struct sink all;
    char part[65536];
    ssize_t n = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return cli_fail("cannot make a socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&a, len) != 0) {
        close(fd);
        return not_running(pid);
    }
    set_timeouts(fd, ANSWER_MS);
    sink_memory(&all);
    if (send_all(fd, request, strlen(request)))
        while ((n = recv(fd, part, sizeof(part), 0)) > 0)
            sink_bytes(&all, part, (size_t)n);
    close(fd);
    int status = control_take(&all, pid, ret);
    sink_close(&all);
    return status;
}
