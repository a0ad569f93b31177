/* writer.c: see writer.h. Waiting, waking, slots.
 *
 * The reader is never waited for without a time limit: it may die. Its launcher kills the guest then; a
 * process that waits here finds it out by itself.
 * Source: futex(2); the ring's protocol is stated in event/ring.h and docs/PROTOCOL.md.
 */
#include "writer.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAIT_NS 10000000L /* longest sleep before the peer is looked at again */

__thread struct writer self;
struct ring_region *region;
bool region_tree;
_Alignas(64) _Atomic uint32_t space_epoch;

static bool reader_seen; /* its process has a number here */

uint64_t writer_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* detached: nobody reads any more. What is written then is never looked at, so that it may overwrite what
 * was there. */
static bool detached(void)
{
    return atomic_load_explicit(&region->detached, memory_order_relaxed);
}

static bool reader_there(void)
{
    return detached() || kill((pid_t)region->consumer_pid, 0) == 0 || errno == EPERM;
}

bool writer_numbered(void)
{
    struct stat ns;

    if (region->pid_ns[1] && stat("/proc/self/ns/pid", &ns) == 0)
        return ns.st_dev == region->pid_ns[0] && ns.st_ino == region->pid_ns[1];
    return !reader_seen || reader_there(); /* without /proc: a namesake passes for it */
}

void writer_attach(struct ring_region *r)
{
    region = r;
    region_tree = r->flags & RING_F_TREE;
    if (!region_tree)
        madvise(r, r->region_bytes, MADV_DONTFORK);
    reader_seen = writer_numbered() && reader_there();
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* futex_wait sleeps while *word is `value`, at most WAIT_NS. */
static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    const struct timespec limit = {0, WAIT_NS};

    syscall(SYS_futex, word, FUTEX_WAIT, value, &limit, NULL, 0);
    if (reader_seen && !reader_there())
        kill(getpid(), SIGKILL);
}

static void wake_reader(void)
{
    if (atomic_load_explicit(&region->consumer_waiting, memory_order_relaxed) &&
        atomic_exchange(&region->consumer_waiting, 0))
        futex_wake(&region->consumer_waiting);
}

static uint64_t position(const struct writer *w)
{
    return ((uintptr_t)w->next >> 3) + w->bias;
}

static uint64_t free_words(const struct writer *w)
{
    if (detached())
        return RING_WORDS;
    return RING_WORDS - (position(w) - atomic_load_explicit(&w->slot->tail, memory_order_acquire));
}

/* await sleeps until `words` are free. */
static void await(struct writer *w, uint64_t words)
{
    while (free_words(w) < words) {
        wake_reader();
        atomic_exchange(&w->slot->producer_waiting, 1);
        if (free_words(w) < words)
            futex_wait(&w->slot->producer_waiting, 1);
    }
    atomic_store_explicit(&w->slot->producer_waiting, 0, memory_order_relaxed);
}

/* window sets next, end and soft from the stream position and what the reader has left free; a watched
 * thread gets room for `most` words and none to enter a block (I5). */
static void window(struct writer *w, uint64_t most)
{
    uint64_t pos = position(w), free = free_words(w), index = pos & (RING_WORDS - 1);
    uint64_t to_edge = RING_WORDS - index, room = free < to_edge ? free : to_edge;
    uint64_t soft = free > RING_MARGIN ? free - RING_MARGIN : 0;

    if (soft > WRITER_CHECK_WORDS)
        soft = WRITER_CHECK_WORDS;
    w->next = w->words + index;
    w->bias = pos - ((uintptr_t)w->next >> 3);
    w->end = w->next + room;
    w->soft = w->next + (soft < room ? soft : room);
    if (w->watched) {
        w->soft = w->next;
        w->end = w->next + (room < most ? room : most);
    }
}

void writer_more(struct writer *w)
{
    if (!w->slot)
        return;
    writer_publish(w);
    await(w, 1);
    window(w, 1);
}

int writer_ask(struct writer *w)
{
    uint32_t before = atomic_load(&w->slot->verdicts);

    writer_put(w, event_control(EV_ASK, 0));
    writer_publish(w);
    while (atomic_load(&w->slot->verdicts) == before) {
        if (detached())
            return -ENOMEM; /* as without a pool */
        wake_reader();
        futex_wait(&w->slot->verdicts, before);
    }
    return atomic_load(&w->slot->verdict);
}

void writer_suspend(struct writer *w)
{
    w->suspended = true;
    w->end = w->soft = w->next;
}

void writer_resume(struct writer *w)
{
    w->suspended = false;
    window(w, 0);
}

static void tell_epoch(struct writer *w, uint32_t epoch)
{
    w->epoch = epoch;
    writer_put(w, event_control(EV_EPOCH, 1));
    writer_put(w, epoch);
}

void writer_block(struct writer *w)
{
    uint32_t epoch = atomic_load_explicit(&space_epoch, memory_order_acquire);

    if (w->suspended)
        writer_resume(w);
    if (w->next >= w->soft) {
        writer_publish(w);
        wake_reader();
        if (free_words(w) < 2 * RING_MARGIN)
            await(w, RING_WORDS / 4);
        window(w, 0);
    }
    if (w->epoch != epoch)
        tell_epoch(w, epoch);
    if (w->next == w->end)
        writer_more(w);
}

void writer_text(struct writer *w, const char *text, size_t n)
{
    writer_put(w, n);
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word = 0;

        memcpy(&word, text + i, n - i < 8 ? n - i : 8);
        writer_put(w, word);
    }
}

/* take_slot returns a slot that was FREE, now LIVE. With every slot taken it waits for one whose
 * thread has ended to be read to its end; NULL when all their threads live. */
static struct ring_slot *take_slot(void)
{
    bool ending = true;

    while (ending && !detached()) {
        ending = false;
        for (unsigned i = 0; i < RING_SLOTS; i++) {
            uint32_t was = RING_FREE;

            if (atomic_compare_exchange_strong(&region->slot[i].state, &was, RING_LIVE)) {
                atomic_fetch_add(&region->threads, 1);
                return &region->slot[i];
            }
            ending |= was == RING_DONE;
        }
        if (ending) {
            wake_reader();
            nanosleep(&(struct timespec){0, 200000}, NULL);
        }
    }
    return NULL;
}

void writer_stop(enum ring_error why)
{
    uint32_t none = RING_OK;

    atomic_compare_exchange_strong(&region->error, &none, why);
}

bool writer_open(void)
{
    struct ring_slot *slot = take_slot();
    struct writer *w = &self;

    if (!slot) {
        writer_stop(RING_E_SLOTS);
        return false;
    }
    *w = (struct writer){.slot = slot, .tid = (uint32_t)gettid()};
    w->words = (uint64_t *)((char *)region + region->words_offset) +
               (uint64_t)(slot - region->slot) * RING_WORDS;
    w->bias = atomic_load_explicit(&slot->head, memory_order_relaxed);
    atomic_store_explicit(&slot->in_call, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->pid, (uint32_t)getpid(), memory_order_relaxed);
    atomic_store_explicit(&slot->tid, w->tid, memory_order_relaxed);
    window(w, 0);
    return true;
}

void writer_close(void)
{
    struct writer *w = &self;

    writer_put(w, event_control(EV_THREAD_EXIT, 1));
    writer_put(w, w->tid);
    writer_publish(w);
    atomic_store_explicit(&w->slot->state, RING_DONE, memory_order_release);
    wake_reader();
    writer_forget();
}

void writer_watch(struct writer *w)
{
    w->watched = true;
    w->end = w->soft = w->next;
}

void writer_exec(struct writer *w, bool begins)
{
    atomic_store(&w->slot->state, begins ? RING_EXEC : RING_LIVE);
}

void writer_child(bool observed)
{
    atomic_store(&space_epoch, 0);
    if (!observed)
        region = NULL;
    self = (struct writer){.tid = observed ? 0 : UINT32_MAX};
    if (observed)
        reader_seen = reader_there();
}

void writer_forget(void)
{
    self = (struct writer){.tid = UINT32_MAX};
}
