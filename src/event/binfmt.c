/* binfmt.c: see binfmt.h.
 *
 *   # !   / b i n / s h   - e   x \n       the argument is all the rest, blanks at its ends left out
 *         ^interp   ^end  ^arg    ^end
 *
 * Invariants:
 *  I1  An interpreter's name is never cut: without a newline in the head a blank or zero must follow it.
 *      Its argument may be cut.
 *  I2  Offsets lie in the head; interp < interp_end.
 *
 * Source: Linux 6.18 fs/binfmt_script.c load_script, fs/binfmt_elf.c load_elf_binary.
 */
#include "event/binfmt.h"

#include <elf.h>
#include <string.h>

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* skip_blanks returns the first place in [at, end) that is no blank; end when there is none. */
static size_t skip_blanks(const char *head, size_t at, size_t end)
{
    while (at < end && blank(head[at]))
        at++;
    return at;
}

/* next_end returns the first blank or zero in [at, end); end when there is none. */
static size_t next_end(const char *head, size_t at, size_t end)
{
    while (at < end && !blank(head[at]) && head[at] != '\0')
        at++;
    return at;
}

/* line_end stores where the line ends; false when the interpreter's name may be cut (I1). */
static bool line_end(const char *head, size_t *ret)
{
    const char *newline = memchr(head, '\n', BINFMT_HEAD);
    size_t name;

    if (newline) {
        *ret = (size_t)(newline - head);
        return true;
    }
    name = skip_blanks(head, 2, BINFMT_HEAD);
    *ret = BINFMT_HEAD - 1;
    return next_end(head, name, BINFMT_HEAD) < BINFMT_HEAD;
}

static bool look_at_script(const char *head, struct binfmt_script *ret)
{
    struct binfmt_script s = {0};
    size_t end;

    if (!line_end(head, &end))
        return false;
    while (end > 2 && blank(head[end - 1]))
        end--;
    s.interp = skip_blanks(head, 2, end);
    s.interp_end = next_end(head, s.interp, end);
    if (s.interp == s.interp_end)
        return false;
    if (s.interp_end < end && head[s.interp_end] != '\0')
        s.arg = skip_blanks(head, s.interp_end, end);
    if (s.arg)
        s.arg_end = s.arg + strnlen(head + s.arg, end - s.arg);
    *ret = s;
    return true;
}

static enum binfmt look_at_elf(const char *head)
{
    Elf64_Ehdr eh;

    memcpy(&eh, head, sizeof eh);
    if (eh.e_type != ET_EXEC && eh.e_type != ET_DYN) /* at the same place in both classes */
        return BINFMT_NONE;
    if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64)
        return BINFMT_FOREIGN;
    return eh.e_phentsize == sizeof(Elf64_Phdr) && eh.e_phnum > 0 &&
                   eh.e_phnum <= 65536 / sizeof(Elf64_Phdr)
               ? BINFMT_ELF
               : BINFMT_NONE;
}

enum binfmt binfmt_look(const char head[BINFMT_HEAD], struct binfmt_script *ret_script)
{
    if (head[0] == '#' && head[1] == '!')
        return look_at_script(head, ret_script) ? BINFMT_SCRIPT : BINFMT_NONE;
    return memcmp(head, ELFMAG, SELFMAG) == 0 ? look_at_elf(head) : BINFMT_NONE;
}
