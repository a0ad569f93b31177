/* lock.c: who waits for a lock of the kernel, and how long.
 *
 *   mm says which lock (ARCH_LOCK), the cost of the messages says how long, the clocks of the threads
 *   say who comes too late:
 *
 *     call k of A   ─────┤ begin ═══ mmap_lock for writing ═══ end ├─ the rest, for reading ─────
 *     fault of B          ···── t ─ ─ ─ ─ waits end − t ─ ─ ─ ─ ─ ─┴─ fault ────
 *
 * The clock of a thread is its modelled cycles (cpu_cycles of what it did), and so says nothing of other
 * threads by itself. Clocks are set to each other where the stream tells an order (epochs, event.h), and
 * only forward; the gap is a thread's idle time, of unknown cause, and nobody is charged for it:
 *
 *   EV_EPOCH 2k − 1   B saw that call k had begun   → the two clocks agree here: begin = B's clock
 *   EV_EPOCH 2k       B saw it begin, and now end   → not before its end
 *   EV_EPOCH 2k       B did not run meanwhile: its host gave the processor to another, or it stood in a
 *                     fault. With a core of its own it would have gone on → begin = B's clock, too
 *                     B was in a call of its own    → not before its end
 *   a new thread, a return from a futex it slept at → not before any other thread's clock
 *
 *  I1  mmap_lock of a process is held for writing by one call at a time; only the last such hold is kept:
 *      its calls are one sequence, and what came before it is over in every stream.
 *  I2  Whether call k is applied before or after the faults that others made while it ran (after their
 *      mark 2k − 1) changes no wait: faults that were fed before it are kept in sim_thread.late.
 *  I3  With one thread nothing here is called but lock_feed_begin, which sees that.
 *  I4  A hold of a short lock is in the ring of its thread, in order of time; who comes second in the
 *      stream finds those of others and pays, whichever of both would have waited.
 *  I5  Threads that share a core have no holds at the same time: who comes on it is not before the one
 *      who left it.
 *
 * Source: Linux 6.18 mm/mmap_lock.c (lock_vma_under_rcu), include/linux/mmap_lock.h, mm/memory.c
 * (__vmf_anon_prepare), mm/vma.c (vms_complete_munmap_vmas), mm/page_alloc.c (rmqueue_bulk), mm/swap.c.
 */
#include "sim/sim_int.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>

/* -- clocks --------------------------------------------------------------------------------------*/

static uint64_t instructions(const struct sim_thread *t)
{
    return t->instructions + (t->uncounted ? *t->uncounted : 0);
}

/* clock_of returns the clock of the thread that is fed. */
static uint64_t clock_of(const struct sim *s, const struct sim_thread *t)
{
    return t->clock + clock_cycles(s, t) - t->fed_from;
}

static void not_before(const struct sim *s, struct sim_thread *t, uint64_t when)
{
    uint64_t now = clock_of(s, t);

    t->clock += when > now ? when - now : 0;
}

/* front returns the clock of the thread that is furthest. */
static uint64_t front(const struct sim *s, const struct sim_thread *but)
{
    uint64_t most = 0;

    for (const struct sim_thread *t = s->threads; t; t = t->next)
        most = t != but ? max_u64(most, t->clock) : most;
    return most;
}

void lock_feed_begin(struct sim *s, struct sim_thread *t)
{
    t->fed_from = s->outbox.locks ? clock_cycles(s, t) : 0;
}

void lock_feed_end(struct sim *s, struct sim_thread *t)
{
    if (s->outbox.locks)
        t->clock += clock_cycles(s, t) - t->fed_from;
}

void lock_not_before(struct sim *s, struct sim_thread *t, uint64_t when)
{
    if (s->outbox.locks)
        not_before(s, t, when);
}

void lock_stolen(struct sim *s, struct sim_thread *t, uint64_t cycles)
{
    if (!s->outbox.locks || t == s->current)
        return;
    if (s->current)
        s->current->fed_from += cycles;
    t->clock += cycles;
}

void lock_thread_open(struct sim *s, struct sim_thread *t)
{
    s->outbox.locks = t->next != NULL;
    t->clock = front(s, t);
}

void lock_thread_close(struct sim *s, struct sim_thread *t)
{
    const struct sim_thread *first = s->threads == t ? t->next : s->threads;
    const struct sim_thread *second = first && first->next == t ? t->next
                                      : first                   ? first->next
                                                                : NULL;

    s->outbox.locks = second != NULL;
    free(t->held);
}

/* -- what a thread tells of others ---------------------------------------------------------------*/

/* meet_at_begin: t saw the last call begin. Whoever's clock is behind is set to the other's. */
static void meet_at_begin(struct sim *s, struct sim_thread *t)
{
    struct mmap_hold *h = &t->proc->hold;
    uint64_t now = clock_of(s, t), late = now > h->begin ? now - h->begin : 0;

    not_before(s, t, h->begin);
    h->begin += late;
    h->end += late;
    for (struct sim_thread *o = s->threads; o; o = o->next)
        o->clock += o->serial == h->owner ? late : 0;
}

void lock_epoch(struct sim *s, struct sim_thread *t, uint32_t epoch)
{
    const struct mmap_hold *h = &t->proc->hold;
    uint32_t call = epoch / 2 + epoch % 2;
    bool applied = h->call == call && call != 0;

    if (!s->outbox.locks)
        return;
    t->seen = 0;
    t->n_late = 0;
    if (applied && h->owner != t->serial) {
        bool ran = t->saw == call, called = t->returned_at == instructions(t) + 1;
        if (epoch % 2 || (!ran && !called))
            meet_at_begin(s, t);
        else
            not_before(s, t, h->end);
    } else if (epoch % 2) {
        t->seen = call;
        t->seen_at = clock_of(s, t);
    }
    t->saw = epoch % 2 ? call : t->saw;
}

void lock_returned(struct sim *s, struct sim_thread *t)
{
    const struct kern_call *c = &t->pending.call;

    t->returned_at = instructions(t) + 1;
    uint64_t op = c->arg[1] & (uint64_t)FUTEX_CMD_MASK;

    if (s->outbox.locks && c->nr == SYS_futex && c->result == 0 &&
        (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET))
        not_before(s, t, front(s, t));
}

/* -- waiting -------------------------------------------------------------------------------------*/

/* pays adds a wait to the counters of who waits. */
static uint64_t pays(struct sim *s, enum stat_id waits, enum stat_id cycles, uint64_t wait)
{
    bool call = s->payer == PAYER_CALL;

    s->stats.v[call ? STAT_lock_waits_call : waits]++;
    s->stats.v[call ? STAT_lock_cycles_call : cycles] += wait;
    return wait;
}

/* Who finds mmap_lock taken sleeps and is woken. */
static uint64_t sleeps(const struct sim *s, uint64_t until, uint64_t at)
{
    return until - at + s->step_cost[STEP_CONTENTION];
}

static bool changes_vma(const struct mmap_hold *h, uint64_t addr)
{
    for (unsigned i = 0; i < h->n_ranges; i++)
        if (addr >= h->range[i].start && addr < h->range[i].end)
            return true;
    return false;
}

/* -- mmap_lock and the locks of VMAs -------------------------------------------------------------*/

/* begin_after returns the clock at which call `call` of t begins: no thread saw it begin before. */
static uint64_t begin_after(const struct sim *s, const struct sim_thread *t, uint32_t call,
                            uint64_t at)
{
    for (const struct sim_thread *o = s->threads; o && call != 0; o = o->next)
        if (o != t && o->proc == t->proc && o->seen == call)
            at = max_u64(at, o->seen_at);
    return at;
}

static uint64_t mmap_write(struct sim *s, struct sim_thread *t, uint64_t at)
{
    struct mmap_hold *h = &t->proc->hold;
    uint32_t call = t->epoch % 2 ? t->epoch / 2 + 1 : 0;
    uint64_t wait = 0, begin;

    if (h->owner != t->serial && at >= h->begin && at < h->end)
        wait = pays(s, STAT_lock_waits_mmap, STAT_lock_cycles_mmap, sleeps(s, h->end, at));
    begin = begin_after(s, t, call, max_u64(at + wait, h->end));
    t->clock += begin - (at + wait);
    *h = (struct mmap_hold){
        .begin = begin, .end = begin, .owner = t->serial, .call = call, .open = true};
    return wait;
}

static void vma_write(struct mmap_hold *h, uint64_t start, uint64_t end)
{
    if (!h->open)
        return;
    if (h->n_ranges == HOLD_RANGES) { /* all that changed after so many is one piece */
        struct vma_range *last = &h->range[HOLD_RANGES - 1];
        last->start = min_u64(last->start, start);
        last->end = max_u64(last->end, end);
        return;
    }
    h->range[h->n_ranges++] = (struct vma_range){start, end};
}

/* charge_late lets a fault wait that was fed before the call it met. The fed thread's clock does not
 * see these cycles of another. */
static void charge_late(struct sim *s, struct sim_thread *fed, struct sim_thread *o,
                        const struct late_fault *f, bool vma, uint64_t wait)
{
    STAT(&s->stats, lock_waits_vma) += vma;
    STAT(&s->stats, lock_waits_mmap) += !vma;
    s->stats.v[vma ? STAT_lock_cycles_vma : STAT_lock_cycles_mmap] += wait;
    s->stats.v[STAT_fault_cycles_anon + f->kind] += wait;
    if (f->site)
        f->site->fault_cycles += wait;
    s->areas[f->area].fault_cycles += wait;
    fed->fed_from += wait;
    o->clock += wait;
}

/* meet_late finds the first fault of o, made while this call was under way, that had to wait: all that
 * o did after it came later, then. */
static void meet_late(struct sim *s, struct sim_thread *fed, struct sim_thread *o)
{
    const struct mmap_hold *h = &fed->proc->hold;
    uint64_t shift = h->begin - o->seen_at;

    o->clock += shift;
    for (unsigned i = 0; i < o->n_late; i++) {
        const struct late_fault *f = &o->late[i];
        bool vma = f->at + shift < h->end && changes_vma(h, f->addr);
        if (!vma && (f->mmap_at == 0 || f->mmap_at + shift >= h->end))
            continue;
        charge_late(s, fed, o, f, vma, sleeps(s, h->end, (vma ? f->at : f->mmap_at) + shift));
        break;
    }
    o->seen = 0;
    o->n_late = 0;
}

static void mmap_end(struct sim *s, struct sim_thread *t, uint64_t at)
{
    struct mmap_hold *h = &t->proc->hold;

    if (!h->open)
        return;
    h->open = false;
    h->end = at;
    for (struct sim_thread *o = s->threads; o && h->call != 0; o = o->next)
        if (o != t && o->proc == t->proc && o->seen == h->call)
            meet_late(s, t, o);
}

static uint64_t fault_reads(struct sim *s, struct sim_thread *t, const struct arch_msg *m,
                            uint64_t at)
{
    const struct mmap_hold *h = &t->proc->hold;
    bool vma = m->n == LOCK_VMA_READ;

    if (s->payer != PAYER_FAULT)
        return 0;
    if (vma)
        s->now_late = (struct late_fault){.at = at, .addr = m->a};
    else if (s->now_late.mmap_at == 0)
        s->now_late.mmap_at = at;
    if (h->owner == t->serial || at < h->begin || at >= h->end || (vma && !changes_vma(h, m->a)))
        return 0;
    return pays(s, vma ? STAT_lock_waits_vma : STAT_lock_waits_mmap,
                vma ? STAT_lock_cycles_vma : STAT_lock_cycles_mmap, sleeps(s, h->end, at));
}

void lock_fault_done(struct sim *s, struct sim_thread *t, enum fault_kind kind,
                     struct site_cost *site, const struct area_cost *area)
{
    if (!s->outbox.locks || t->seen == 0 || t->n_late == LATE_MAX || s->now_late.at == 0)
        return;
    s->now_late.kind = (uint8_t)kind;
    s->now_late.site = site;
    s->now_late.area = (uint32_t)(area - s->areas);
    t->late[t->n_late++] = s->now_late;
}

/* -- locks held shortly --------------------------------------------------------------------------*/

static const struct held *ring_at(const struct sim_thread *t, uint64_t i)
{
    return &t->held[i % HELD_MAX];
}

/* first_after returns the first hold kept of a thread that ended after `at`, or n_held. */
static uint64_t first_after(const struct sim_thread *t, uint64_t at)
{
    uint64_t low = t->n_held > HELD_MAX ? t->n_held - HELD_MAX : 0, high = t->n_held;

    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        if (ring_at(t, mid)->until > at)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* meets returns how long one of both waits, when o's holds and [at, at + hold) overlap. */
static uint64_t meets(const struct sim_thread *o, uint64_t lock, uint64_t at, uint64_t hold)
{
    for (uint64_t i = first_after(o, at); i < o->n_held && ring_at(o, i)->from < at + hold; i++) {
        const struct held *h = ring_at(o, i);
        if (h->lock == lock)
            return h->from <= at ? h->until - at : at + hold - h->from;
    }
    return 0;
}

/* keep begins no hold before the one before it ended: instructions that turn out not to have retired are
 * taken back, and with them a few cycles of the clock. */
static void keep(struct sim_thread *t, uint64_t lock, uint64_t from, uint64_t hold)
{
    if (!t->held)
        t->held = malloc(HELD_MAX * sizeof(*t->held));
    if (!t->held)
        return; /* nobody waits for it then */
    if (t->n_held > 0)
        from = max_u64(from, ring_at(t, t->n_held - 1)->until);
    t->held[t->n_held++ % HELD_MAX] = (struct held){lock, from, from + hold};
}

static uint64_t short_lock(struct sim *s, struct sim_thread *t, const struct arch_msg *m,
                           uint64_t at)
{
    uint64_t lock = m->a << 8 | m->n, hold = m->b * s->lock_cost[m->n], wait = 0;
    unsigned nth = (unsigned)m->n - LOCK_PTE;

    for (const struct sim_thread *o = s->threads; o; o = o->next)
        if (o != t)
            wait = max_u64(wait, meets(o, lock, at, hold));
    keep(t, lock, at + wait, hold);
    return wait == 0 ? 0
                     : pays(s, (enum stat_id)(STAT_lock_waits_pte + nth),
                            (enum stat_id)(STAT_lock_cycles_pte + nth), wait);
}

/* -- from the outbox -----------------------------------------------------------------------------*/

uint64_t lock_message(struct sim *s, struct sim_thread *t, const struct arch_msg *m, uint64_t spent)
{
    if (s->payer == PAYER_NOBODY || !s->outbox.locks)
        return 0;
    uint64_t at = clock_of(s, t) + spent;
    switch ((enum arch_lock)m->n) {
    case LOCK_MMAP_WRITE:
        return mmap_write(s, t, at);
    case LOCK_MMAP_END:
        mmap_end(s, t, at);
        return 0;
    case LOCK_VMA_WRITE:
        vma_write(&t->proc->hold, m->a, m->b);
        return 0;
    case LOCK_VMA_READ:
    case LOCK_MMAP_READ:
        return fault_reads(s, t, m, at);
    default:
        return short_lock(s, t, m, at);
    }
}
