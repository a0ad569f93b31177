/* doctor.c: the verb `doctor`: would `run` work here, and how near would its figures be?
 *
 * One row of `checks` each. A check says ok, warn (run works, a figure may be off or slow) or fail
 * (run would not work), what it saw, and for warn and fail what to do. The last check runs a real
 * program, so a clean result is more than a list of files that exist.
 */
#include "cli/cli.h"

#include "conf/machines.h"
#include "front/front.h"
#include "report/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define DOCTOR_PROGRAM "/bin/true"
#define MEMORY_KIB_MIN (256 * 1024) /* the model's own, for a small program */

enum verdict { OK, WARN, FAIL };

struct finding {
    enum verdict verdict;
    char what[CLI_LINE]; /* what was seen */
    char fix[CLI_LINE];  /* what to do; "" when ok */
};

/* What several checks need. */
struct patient {
    char qemu[PATH_MAX], plugin[PATH_MAX], machines[PATH_MAX];
    char no_qemu[CLI_LINE], no_plugin[CLI_LINE], no_machines[CLI_LINE]; /* why not found, or "" */
    bool failed;                                                        /* some check before did */
};

static void find(struct finding *f, enum verdict v, const char *fix, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void find(struct finding *f, enum verdict v, const char *fix, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(f->what, sizeof(f->what), format, ap);
    va_end(ap);
    f->verdict = v;
    snprintf(f->fix, sizeof(f->fix), "%s", fix);
}

/* child_writes runs in the child: argv with stdout and stderr in the pipe. */
static _Noreturn void child_writes(int fd, char *const *argv)
{
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execv(argv[0], argv);
    _exit(127);
}

/* capture runs a command and keeps the start of what it prints. */
static int capture(char *const *argv, char *buf, size_t size)
{
    int fds[2], status = 0;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return -errno;
    pid_t child = fork();
    if (child == 0)
        child_writes(fds[1], argv);
    close(fds[1]);
    size_t used = 0;
    char rest[512];
    for (ssize_t n = 1; child > 0 && n > 0;) {
        bool full = used + 1 >= size;
        n = read(fds[0], full ? rest : buf + used, full ? sizeof(rest) : size - 1 - used);
        used += n > 0 && !full ? (size_t)n : 0;
    }
    buf[used] = '\0';
    close(fds[0]);
    return child > 0 && waitpid(child, &status, 0) == child ? 0 : -ECHILD;
}

/* first_line reads the first line of a small file; "" when it cannot. */
static char *first_line(const char *path, char *buf, size_t size)
{
    FILE *f = fopen(path, "re");
    if (f == NULL || fgets(buf, (int)size, f) == NULL)
        buf[0] = '\0';
    if (f != NULL)
        fclose(f);
    buf[strcspn(buf, "\n")] = '\0';
    return buf;
}

static void check_qemu(const struct patient *p, struct finding *f)
{
    char text[512] = "";
    if (p->qemu[0] == '\0') {
        find(f, FAIL, "apt install qemu-user", "%s", p->no_qemu);
        return;
    }
    char *argv[] = {(char *)p->qemu, "--version", NULL};
    capture(argv, text, sizeof(text));
    const char *version = strstr(text, "version ");
    if (version == NULL) {
        find(f, FAIL, "apt install --reinstall qemu-user", "%s does not tell its version", p->qemu);
        return;
    }
    version += strlen("version ");
    find(f, OK, "", "%s, version %.*s", p->qemu, (int)strcspn(version, "\n ("), version);
}

/* A QEMU built without plugins refuses the option itself; one with them misses the file. */
static void check_plugins(const struct patient *p, struct finding *f)
{
    char text[512] = "";
    char *argv[] = {(char *)p->qemu, "-plugin", "/nonexistent/pagewalk.so", DOCTOR_PROGRAM, NULL};
    if (p->qemu[0] != '\0')
        capture(argv, text, sizeof(text));
    if (strstr(text, "/nonexistent/pagewalk.so") != NULL && strstr(text, "nvalid") == NULL)
        find(f, OK, "", "this QEMU loads plugins");
    else
        find(f, FAIL, "take a QEMU configured with --enable-plugins (Debian's qemu-user is)",
             p->qemu[0] != '\0' ? "%s loads no plugins" : "there is no QEMU%s", p->qemu);
}

static void check_plugin(const struct patient *p, struct finding *f)
{
    if (p->plugin[0] != '\0')
        find(f, OK, "", "%s", p->plugin);
    else
        find(f, FAIL, "build pagewalk anew", "%s", p->no_plugin);
}

static void check_machines(const struct patient *p, struct finding *f)
{
    struct machines m;
    struct conf c;
    char note[256], err[CLI_LINE];
    int r = p->machines[0] == '\0' ? -ENOENT : machines_list(p->machines, &m);
    if (r != 0) {
        find(f, FAIL, "install pagewalk anew", "%s",
             p->machines[0] == '\0' ? p->no_machines : strerror(-r));
        return;
    }
    find(f, OK, "", "%zu presets in %s", m.n, p->machines);
    for (size_t i = 0; i < m.n; i++) {
        conf_init(&c);
        if (machines_load(&c, p->machines, m.names[i], note, sizeof(note), err, sizeof(err)) != 0)
            find(f, FAIL, "correct the line named", "%s", err);
    }
    machines_free(&m);
}

static void check_config(const struct patient *p, struct finding *f)
{
    static const struct cli_args none;
    char user[PATH_MAX], err[CLI_LINE];
    struct config config;
    int r = config_user_file(user, err, sizeof(err));
    struct config_layers layers = {.machines_dir = p->machines,
                                   .machine = "host",
                                   .user_file = user[0] != '\0' ? user : NULL,
                                   .env = getenv("PAGEWALK_SET"),
                                   .args = &none};
    if (r == 0)
        r = config_build(&config, &layers, err, sizeof(err));
    if (r != 0)
        find(f, FAIL, "correct the file or PAGEWALK_SET", "%s", err);
    else
        find(f, OK, "", "%s", user[0] != '\0' ? user : "no file of the user");
}

static void check_host(const struct patient *p, struct finding *f)
{
    struct conf c;
    char note[256], err[CLI_LINE];
    conf_init(&c);
    if (machines_load(&c, p->machines, "host", note, sizeof(note), err, sizeof(err)) != 0)
        find(f, FAIL, "correct that file, or use --machine default", "%s", err);
    else if (strcmp(c.machine_name, "default") == 0)
        find(f, WARN, "choose one: pagewalk machine list", "%s", note);
    else
        find(f, OK, "", "%s", note);
}

static void check_kernel(const struct patient *p, struct finding *f)
{
    struct utsname u;
    (void)p;
    if (uname(&u) != 0 || strcmp(u.machine, "x86_64") != 0)
        find(f, FAIL, "run it on x86-64 Linux", "this is no x86-64 Linux");
    else if (atoi(u.release) < 6)
        find(f, WARN, "fault counts follow Linux 6.x; compare them on such a kernel", "Linux %s",
             u.release);
    else
        find(f, OK, "", "Linux %s", u.release);
}

static void check_thp(const struct patient *p, struct finding *f)
{
    char line[128];
    (void)p;
    first_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof(line));
    if (strstr(line, "[always]") != NULL)
        find(f, WARN, "compare with native runs under `never` or `madvise`",
             "this kernel gives huge pages unasked (%s); the model uses 4 KiB pages", line);
    else
        find(f, OK, "", "transparent huge pages here: %s", line[0] != '\0' ? line : "none");
}

static void check_cores(const struct patient *p, struct finding *f)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    (void)p;
    if (n < 2)
        find(f, WARN, "give it two cores", "1 core: program and model take turns");
    else
        find(f, OK, "", "%ld cores: program and model run side by side", n);
}

static void check_memory(const struct patient *p, struct finding *f)
{
    long pages = sysconf(_SC_AVPHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    uint64_t kib = (uint64_t)pages * (uint64_t)bytes / 1024;
    (void)p;
    if (kib < MEMORY_KIB_MIN)
        find(f, WARN, "stop something else first", "%s free, not counting caches",
             text_bytes(kib * 1024).s);
    else
        find(f, OK, "", "%s free", text_bytes(kib * 1024).s);
}

/* run_small models DOCTOR_PROGRAM on a small machine. */
static int run_small(uint64_t *ret_instructions, char *err, size_t err_size)
{
    char *argv[] = {DOCTOR_PROGRAM, NULL};
    struct front_options front = {.argv = argv, .counts = true};
    struct front_result result;
    struct conf c;
    struct sim *sim;
    conf_init(&c);
    snprintf(err, err_size, "the machine cannot be made");
    if (sim_open(&sim, &c) != 0)
        return -ENOMEM;
    int status = front_run(&front, sim, &result, err, err_size);
    if (status == 0 && (result.signal != 0 || result.exit_code != 0)) {
        snprintf(err, err_size, "%s failed under QEMU", DOCTOR_PROGRAM);
        status = -EIO;
    }
    *ret_instructions = STAT(sim_stats(sim), instructions);
    sim_close(sim);
    return status;
}

static void check_run(const struct patient *p, struct finding *f)
{
    char err[CLI_LINE];
    uint64_t instructions = 0;
    if (p->failed)
        find(f, FAIL, "correct the above", "not tried");
    else if (run_small(&instructions, err, sizeof(err)) != 0)
        find(f, FAIL, "please report it", "%s", err);
    else if (instructions == 0)
        find(f, FAIL, "rebuild: plugin and program are of different versions",
             "%s ran, but no instruction arrived", DOCTOR_PROGRAM);
    else
        find(f, OK, "", "%s: %s instructions modelled", DOCTOR_PROGRAM, text_count(instructions).s);
}

static const struct {
    const char *name;
    void (*check)(const struct patient *p, struct finding *f);
} checks[] = {
    {"qemu", check_qemu},
    {"qemu plugins", check_plugins},
    {"plugin", check_plugin},
    {"machines", check_machines},
    {"configuration", check_config},
    {"this cpu", check_host},
    {"kernel", check_kernel},
    {"huge pages", check_thp},
    {"cores", check_cores},
    {"memory", check_memory},
    {"run", check_run},
};

static void examine(struct patient *p)
{
    /* Each tool is looked for with the other one given, so that both are named when missing. */
    struct front_options qemu = {.plugin = "/proc/self/exe"}, plugin = {.qemu = "/proc/self/exe"};
    char other[PATH_MAX];
    *p = (struct patient){.no_qemu = ""};
    front_tools(&qemu, p->qemu, other, PATH_MAX, p->no_qemu, CLI_LINE);
    front_tools(&plugin, other, p->plugin, PATH_MAX, p->no_plugin, CLI_LINE);
    config_machines_dir(p->machines, p->no_machines, CLI_LINE);
}

static int run_doctor(const struct cli_args *args)
{
    static const char *const word[] = {"ok", "warn", "fail"};
    struct patient patient;
    struct sink out;
    if (!args_operands(args, 0, 0))
        return STATUS_FAILED;
    examine(&patient);
    sink_memory(&out);
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        struct finding f = {.verdict = FAIL};
        checks[i].check(&patient, &f);
        sink_fmt(&out, "%-5s %-14s %s", word[f.verdict], checks[i].name, f.what);
        sink_fmt(&out, "%s%s\n", f.fix[0] != '\0' ? "; " : "", f.fix);
        patient.failed = patient.failed || f.verdict == FAIL;
    }
    int status = cli_show(&out, 0);
    return patient.failed ? STATUS_FAILED : status;
}

const struct cli_verb verb_doctor = {
    .name = "doctor",
    .operands = "",
    .help = "Check that everything `run` needs is here.",
    .more = "Prints one line per check: ok, warn or fail, and what to do. The last check runs a "
            "small program. Exit status 0 if `run` would work, 125 if not.",
    .run = run_doctor,
};
