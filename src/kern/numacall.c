/* numacall.c: NUMA calls of the program, applied to its modelled policies and pages.
 *
 *   mbind, set_mempolicy, set_mempolicy_home_node     policy: always as Linux, whatever the answer was
 *   migrate_pages, move_pages                         of the program itself; pages of the model move
 *   get_mempolicy                                     compared, nothing changes
 *
 * Emulators answer ENOSYS to all of them; a program that goes on nevertheless gets the placement it
 * asked for. Masks and arrays come as the front end found them in memory (EV_BYTES); one it could not
 * read is a bad address here, too.
 *
 * I1  Only what the answer says is compared: nodes and status words that Linux would store stay out
 *     of the program's memory.
 *
 * Source: Linux 6.18 mm/mempolicy.c (kernel_mbind, kernel_set_mempolicy, kernel_migrate_pages,
 * kernel_get_mempolicy), mm/migrate.c (kernel_move_pages).
 */
#include "kern/kern_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define MOVE_PAGES_MAX 512u /* pages of one call that the front end sends */

/* bytes_at returns what the front end found at an address, or NULL. */
static const uint8_t *bytes_at(const struct kern_call *c, uint64_t addr, uint64_t *ret_n)
{
    if (c->bytes && c->bytes_addr == addr) {
        *ret_n = c->n_bytes;
        return c->bytes;
    }
    *ret_n = c->n_earlier;
    return c->earlier && c->earlier_addr == addr ? c->earlier : NULL;
}

/* A mask argument with room for its words. */
struct mask {
    struct nodemask_arg arg;
    uint64_t words[512]; /* one page: more is refused before it is read */
};

static const struct nodemask_arg *mask_of(const struct kern_call *c, uint64_t addr,
                                          uint64_t maxnode, struct mask *m)
{
    uint64_t n = 0;
    const uint8_t *bytes = addr != 0 ? bytes_at(c, addr, &n) : NULL;
    n = bytes ? min_u64(n, sizeof(m->words)) : 0;
    if (bytes)
        memcpy(m->words, bytes, n);
    m->arg = (struct nodemask_arg){
        .words = addr != 0 ? m->words : NULL, .words_nr = n / 8, .maxnode = maxnode};
    return &m->arg;
}

/* of_itself: pid 0 or one of the program's threads; others are not modelled. */
static bool of_itself(const struct kern *k, uint64_t pid)
{
    bool found = pid == 0;
    for (uint32_t i = 0; i < k->n_task; i++)
        found |= k->task[i].tid == (uint32_t)pid;
    return found;
}

static int64_t apply_migrate_pages(struct mm *m, const struct kern_call *c)
{
    struct mask from, to;
    return mm_migrate_pages(m, m, mask_of(c, c->arg[2], c->arg[1], &from),
                            mask_of(c, c->arg[3], c->arg[1], &to));
}

static int64_t apply_move_pages(struct mm *m, const struct kern_call *c)
{
    uint64_t pages[MOVE_PAGES_MAX], n = 0;
    int32_t nodes[MOVE_PAGES_MAX], status[MOVE_PAGES_MAX];
    struct mm_move_pages q = {.nr = min_u64(c->arg[1], MOVE_PAGES_MAX),
                              .pages = pages,
                              .status = status,
                              .status_nr = MOVE_PAGES_MAX,
                              .flags = c->arg[5]};
    const uint8_t *bytes = bytes_at(c, c->arg[2], &n);
    q.pages_nr = bytes ? min_u64(n, sizeof(pages)) / sizeof(pages[0]) : 0;
    if (bytes)
        memcpy(pages, bytes, q.pages_nr * sizeof(pages[0]));
    if (c->arg[3] != 0) {
        bytes = bytes_at(c, c->arg[3], &n);
        q.nodes = nodes;
        q.nodes_nr = bytes ? min_u64(n, sizeof(nodes)) / sizeof(nodes[0]) : 0;
        if (bytes)
            memcpy(nodes, bytes, q.nodes_nr * sizeof(nodes[0]));
    }
    return mm_move_pages(m, m, &q);
}

/* ask_mempolicy: what Linux would have answered; with a page's node wanted, the page is touched. */
static int64_t ask_mempolicy(struct mm *m, const struct kern_call *c)
{
    int policy;
    uint64_t nodes;
    struct mm_get_mempolicy q = {.addr = va(c->arg[3]),
                                 .flags = c->arg[4],
                                 .want_nodes = c->arg[1] != 0,
                                 .maxnode = c->arg[2]};
    return mm_get_mempolicy(m, &q, &policy, &nodes);
}

static int64_t apply(struct mm *m, const struct kern_call *c)
{
    struct mask mask;
    switch (c->nr) {
    case SYS_mbind:
        return mm_mbind(m, va(c->arg[0]), c->arg[1], (int)c->arg[2],
                        mask_of(c, c->arg[3], c->arg[4], &mask), c->arg[5]);
    case SYS_set_mempolicy:
        return mm_set_mempolicy(m, (int)c->arg[0], mask_of(c, c->arg[1], c->arg[2], &mask));
    case SYS_set_mempolicy_home_node:
        return mm_set_mempolicy_home_node(m, va(c->arg[0]), c->arg[1], c->arg[2], c->arg[3]);
    case SYS_migrate_pages:
        return apply_migrate_pages(m, c);
    case SYS_move_pages:
        return apply_move_pages(m, c);
    default:
        return ask_mempolicy(m, c);
    }
}

bool numacall_is(uint64_t nr)
{
    return nr == SYS_mbind || nr == SYS_set_mempolicy || nr == SYS_get_mempolicy ||
           nr == SYS_set_mempolicy_home_node || nr == SYS_migrate_pages || nr == SYS_move_pages;
}

int numacall_apply(struct kern *k, struct mm *m, const struct kern_call *c)
{
    bool of_other = c->nr == SYS_migrate_pages || c->nr == SYS_move_pages;
    if (of_other && !of_itself(k, c->arg[0]))
        return 0;
    if (c->nr == SYS_get_mempolicy && c->result == -ENOSYS)
        return 0;                                         /* the program learnt nothing */
    if (apply(m, c) != c->result && c->result != -ENOSYS) /* that is counted by the caller */
        STAT(k->stats, div_syscall_answer)++;
    return 1;
}
