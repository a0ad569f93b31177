/* find.c: from a program name to the ELF file and the arguments that QEMU is given.
 *
 *   name ─ PATH ─► file ─┬─ ELF, 64 bit, x86-64 ─────────────────► run it
 *                        ├─ "#! interpreter argument" ─► file again, at most 5 times
 *                        └─ other text ─► /bin/sh file            (as execvp does)
 *
 * Exit codes are those of POSIX "Command Search and Execution", as in env(1): 127 not found, 126
 * found but not runnable. Source: execvp(3), execve(2), fs/binfmt_script.c, fs/binfmt_elf.c.
 */
#include "front/front_int.h"

#include "event/binfmt.h"
#include "base/line.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOT_RUNNABLE 126
#define NOT_FOUND    127

/* What the first bytes of a file say. */
struct head {
    char bytes[BINFMT_HEAD + 1]; /* with a zero behind */
    size_t n;
};

static int refuse(int code, const char *path, const char *why, char *err, size_t err_size)
{
    snprintf(err, err_size, "%s: %s", path, why);
    line_only(err); /* names come from files */
    return code;
}

/* look_at reads the head of a file that could be executed; 0 or a code with a line in err. */
static int look_at(const char *path, struct head *h, char *err, size_t err_size)
{
    struct stat st;
    ssize_t n;
    int fd;

    memset(h->bytes, 0, sizeof h->bytes);
    if (stat(path, &st) != 0)
        return refuse(errno == ENOENT || errno == ENOTDIR ? NOT_FOUND : NOT_RUNNABLE, path,
                      strerror(errno), err, err_size);
    if (!S_ISREG(st.st_mode))
        return refuse(NOT_RUNNABLE, path,
                      S_ISDIR(st.st_mode) ? "is a directory" : "is not a regular file", err,
                      err_size);
    if (access(path, X_OK) != 0)
        return refuse(NOT_RUNNABLE, path, "is not executable (chmod +x it)", err, err_size);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, h->bytes, BINFMT_HEAD);
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return refuse(NOT_RUNNABLE, path, "cannot be read, which running it in QEMU needs", err,
                      err_size);
    h->n = (size_t)n;
    return 0;
}

static bool is_elf(const struct head *h)
{
    return h->n >= SELFMAG && memcmp(h->bytes, ELFMAG, SELFMAG) == 0;
}

/* check_interpreter: the program loader that PT_INTERP names must be there; 127 without, as a shell
 * says natively. */
static int check_interpreter(const char *path, int fd, const Elf64_Phdr *ph, char *err,
                             size_t err_size)
{
    char name[4096], why[4200];

    if (ph->p_filesz < 2 || ph->p_filesz > sizeof name ||
        pread(fd, name, ph->p_filesz, (off_t)ph->p_offset) != (ssize_t)ph->p_filesz ||
        name[ph->p_filesz - 1])
        return refuse(NOT_RUNNABLE, path, "is a broken ELF file: its interpreter has no name", err,
                      err_size);
    if (access(name, F_OK) == 0)
        return 0;
    snprintf(why, sizeof why, "its interpreter %s is not there", name);
    return refuse(NOT_FOUND, path, why, err, err_size);
}

/* check_segments: what QEMU trusts and the kernel checks (load_elf_binary). The segments must lie in
 * the file too: what lies beyond its end cannot be touched. */
static int check_segments(const char *path, int fd, const Elf64_Ehdr *eh, char *err,
                          size_t err_size)
{
    unsigned loads = 0;
    struct stat st;
    int code = 0;

    if (fstat(fd, &st) != 0 || eh->e_phentsize != sizeof(Elf64_Phdr) || eh->e_phnum == 0)
        return refuse(NOT_RUNNABLE, path, "is a broken ELF file: no program headers", err,
                      err_size);
    for (unsigned i = 0; i < eh->e_phnum && !code; i++) {
        Elf64_Phdr ph;
        off_t at = (off_t)(eh->e_phoff + i * sizeof ph);

        if (pread(fd, &ph, sizeof ph, at) != sizeof ph ||
            ((ph.p_type == PT_LOAD || ph.p_type == PT_INTERP) &&
             (ph.p_filesz > (uint64_t)st.st_size ||
              ph.p_offset > (uint64_t)st.st_size - ph.p_filesz)))
            return refuse(NOT_RUNNABLE, path, "is a truncated ELF file", err, err_size);
        loads += ph.p_type == PT_LOAD;
        if (ph.p_type == PT_INTERP)
            code = check_interpreter(path, fd, &ph, err, err_size);
    }
    if (!code && !loads)
        code = refuse(NOT_RUNNABLE, path, "is an ELF file without code", err, err_size);
    return code;
}

static int check_elf(const char *path, const struct head *h, char *err, size_t err_size)
{
    int fd, code;
    Elf64_Ehdr eh;
    char why[96];

    if (h->n < sizeof eh)
        return refuse(NOT_RUNNABLE, path, "is a truncated ELF file", err, err_size);
    memcpy(&eh, h->bytes, sizeof eh);
    if (eh.e_ident[EI_CLASS] != ELFCLASS64)
        return refuse(NOT_RUNNABLE, path, "is a 32-bit program; only x86-64 programs can be run",
                      err, err_size);
    if (eh.e_machine != EM_X86_64) {
        snprintf(why, sizeof why, "is built for another processor (ELF machine %u), not x86-64",
                 eh.e_machine);
        return refuse(NOT_RUNNABLE, path, why, err, err_size);
    }
    if (eh.e_type != ET_EXEC && eh.e_type != ET_DYN)
        return refuse(NOT_RUNNABLE, path, "is an ELF file but not a program", err, err_size);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return refuse(NOT_RUNNABLE, path, strerror(errno), err, err_size);
    code = check_segments(path, fd, &eh, err, err_size);
    close(fd);
    return code;
}

/* -- PATH ----------------------------------------------------------------------------------------- */

/* join writes directory/name; an empty directory is the current one. */
static bool join(char *to, size_t size, const char *dir, size_t dir_n, const char *name)
{
    int n = dir_n ? snprintf(to, size, "%.*s/%s", (int)dir_n, dir, name)
                  : snprintf(to, size, "%s", name);

    return n >= 0 && (size_t)n < size;
}

static bool runnable_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* search_path walks PATH. A file that is there but may not be executed is remembered: 126. */
static int search_path(const char *name, char *ret_path, size_t size, char *err, size_t err_size)
{
    const char *dirs = getenv("PATH"), *end;
    char path[4096], seen[4096] = "";

    for (dirs = dirs ? dirs : "/bin:/usr/bin";; dirs = end + 1) {
        end = strchrnul(dirs, ':');
        if (join(path, sizeof path, dirs, (size_t)(end - dirs), name)) {
            if (runnable_file(path)) {
                snprintf(ret_path, size, "%s", path);
                return 0;
            }
            if (!seen[0] && access(path, F_OK) == 0)
                snprintf(seen, sizeof seen, "%s", path);
        }
        if (!*end)
            break;
    }
    if (seen[0])
        return refuse(NOT_RUNNABLE, seen, "is not an executable file", err, err_size);
    return refuse(NOT_FOUND, name, "not found in PATH", err, err_size);
}

static int locate(const char *name, char *ret_path, size_t size, char *err, size_t err_size)
{
    if (!*name)
        return refuse(NOT_FOUND, "''", "no such program", err, err_size);
    if (!strchr(name, '/'))
        return search_path(name, ret_path, size, err, err_size);
    if (strlen(name) >= size)
        return refuse(NOT_RUNNABLE, name, strerror(ENAMETOOLONG), err, err_size);
    snprintf(ret_path, size, "%s", name);
    return 0;
}

/* -- scripts -------------------------------------------------------------------------------------- */

/* prepend puts up to three strings in place of argv[0]; the vector grows by at most 2. */
static int prepend(struct front_command *c, const char *interpreter, const char *argument,
                   const char *script)
{
    const char *head[3] = {interpreter, argument ? argument : script, argument ? script : NULL};
    size_t n = 0, heads = argument ? 3 : 2;
    char **v;

    while (c->argv[n])
        n++;
    v = calloc(n + 3, sizeof *v);
    if (!v)
        return -ENOMEM;
    for (size_t i = 0; i < heads; i++)
        v[i] = strdup(head[i]);
    for (size_t i = 1; i <= n; i++)
        v[heads + i - 1] = c->argv[i];
    free(c->argv[0]);
    free(c->argv);
    c->argv = v;
    return v[0] && v[1] && (heads < 3 || v[2]) ? 0 : -ENOMEM;
}

/* parse_script cuts "#! interpreter argument" out of the head in place; NULL when there is no interpreter.
 * The argument is the rest of the line without blanks at its ends, or NULL. */
static char *parse_script(struct head *h, char **ret_argument)
{
    struct binfmt_script s;

    if (binfmt_look(h->bytes, &s) != BINFMT_SCRIPT)
        return NULL;
    h->bytes[s.interp_end] = 0;
    h->bytes[s.arg_end] = 0; /* without an argument: the first byte, which has been looked at */
    *ret_argument = s.arg ? h->bytes + s.arg : NULL;
    return h->bytes + s.interp;
}

/* resolve_script replaces the program, which is no ELF file, by what interprets it. */
static int resolve_script(struct front_command *c, struct head *h, char *err, size_t err_size)
{
    char *interpreter = NULL, *argument = NULL;

    if (h->n >= 2 && h->bytes[0] == '#' && h->bytes[1] == '!')
        interpreter = parse_script(h, &argument);
    else if (!memchr(h->bytes, 0, h->n))
        interpreter = "/bin/sh";
    if (!interpreter)
        return refuse(NOT_RUNNABLE, c->path, "is neither an x86-64 program nor a script", err,
                      err_size);
    if (prepend(c, interpreter, argument, c->path) != 0)
        return refuse(125, c->path, strerror(ENOMEM), err, err_size);
    snprintf(c->path, sizeof c->path, "%s", interpreter);
    return 0;
}

static int resolve(struct front_command *c, char *err, size_t err_size)
{
    struct head h;

    for (int i = 0; i <= BINFMT_SCRIPTS; i++) {
        int code = look_at(c->path, &h, err, err_size);

        if (code && i > 0)
            code = NOT_RUNNABLE; /* the script is there, its interpreter is not */
        if (code)
            return code;
        if (is_elf(&h))
            return check_elf(c->path, &h, err, err_size);
        code = resolve_script(c, &h, err, err_size);
        if (code)
            return code;
    }
    return refuse(NOT_RUNNABLE, c->found, "has too many levels of interpreters", err, err_size);
}

/* copy_arguments copies argv. */
static int copy_arguments(struct front_command *c, char *const *argv)
{
    size_t n = 0;

    while (argv[n])
        n++;
    c->argv = calloc(n + 1, sizeof *c->argv);
    for (size_t i = 0; c->argv && i < n; i++) {
        c->argv[i] = strdup(argv[i]);
        if (!c->argv[i])
            return -ENOMEM;
    }
    return c->argv ? 0 : -ENOMEM;
}

int front_command_open(struct front_command *c, char *const *argv, char *err, size_t err_size)
{
    int code;

    *c = (struct front_command){.argv = NULL};
    code = locate(argv[0], c->path, sizeof c->path, err, err_size);
    if (code)
        return code;
    memcpy(c->found, c->path, sizeof c->found);
    code = copy_arguments(c, argv) == 0 ? resolve(c, err, err_size)
                                        : refuse(125, argv[0], strerror(ENOMEM), err, err_size);
    if (code)
        front_command_close(c);
    return code;
}

void front_command_close(struct front_command *c)
{
    for (size_t i = 0; c->argv && c->argv[i]; i++)
        free(c->argv[i]);
    free(c->argv);
    c->argv = NULL;
}

int front_find(const char *name, char *ret_path, size_t path_size, char *err, size_t err_size)
{
    char *argv[2] = {(char *)name, NULL};
    struct front_command c;
    int code = front_command_open(&c, argv, err, err_size);

    if (code)
        return code;
    snprintf(ret_path, path_size, "%s", c.found);
    front_command_close(&c);
    return 0;
}
