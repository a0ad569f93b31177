/* swap_cluster.c: which slot of a swap area is taken next.
 *
 *   slot 0          1 … 511         512 … 1023             a cluster is 512 slots
 *   | header |  cluster 0   |    cluster 1    | …
 *                 ▲ next slot of CPU 0   ▲ of CPU 1        a rotating disk has one place for all
 *
 *   FREE ── first slot taken ──► FRAG ── last slot taken ──► FULL
 *    ▲                            │                           │
 *    └── last slot freed ── NONFULL ◄── a slot was freed ◄────┘
 *
 *   A CPU goes on where it was to the end of its cluster; then come NONFULL clusters, one after the
 *   other until a slot is found, then a FREE one, then one of FRAG.
 *
 * I1  Each cluster is on the queue its state names; none is OFF between calls.
 * I2  used = slots of the cluster in use, the header and slots behind the end of the area included.
 *
 * Source: Linux 6.18 mm/swapfile.c (setup_clusters, cluster_alloc_swap_entry, alloc_swap_scan_cluster,
 * relocate_cluster, swap_entries_free, partial_free_cluster, swap_reclaim_full_clusters).
 */
#include "mm/mm_int.h"

#define END UINT32_MAX /* of a queue */

/* -- queues ---------------------------------------------------------------------------------- */

static void queue_drop(struct swap_area *a, uint32_t c)
{
    struct swap_cluster *x = &a->cluster[c];
    struct swap_queue *q = &a->queue[x->state];
    *(x->prev != END ? &a->cluster[x->prev].next : &q->head) = x->next;
    *(x->next != END ? &a->cluster[x->next].prev : &q->tail) = x->prev;
}

/* move_cluster puts a cluster at the end of another queue; OFF: on none. */
static void move_cluster(struct swap_area *a, uint32_t c, enum swap_cluster_state state)
{
    struct swap_cluster *x = &a->cluster[c];
    struct swap_queue *q = &a->queue[state];
    if (x->state != CLUSTER_OFF)
        queue_drop(a, c);
    x->state = (uint8_t)state;
    if (state == CLUSTER_OFF)
        return;
    x->next = END;
    x->prev = q->tail;
    *(q->tail != END ? &a->cluster[q->tail].next : &q->head) = c;
    q->tail = c;
}

void setup_clusters(struct swap_area *a)
{
    uint64_t clusters = div_up(a->max, SWAPFILE_CLUSTER);
    for (unsigned q = 0; q < CLUSTER_STATES; q++)
        a->queue[q] = (struct swap_queue){END, END};
    a->cluster[0].used = 1; /* the header */
    a->cluster[clusters - 1].used += (uint16_t)(clusters * SWAPFILE_CLUSTER - a->max); /* I2 */
    for (uint32_t c = 0; c < clusters; c++)
        move_cluster(a, c, a->cluster[c].used > 0 ? CLUSTER_NONFULL : CLUSTER_FREE);
}

static void relocate_cluster(struct swap_area *a, uint32_t c)
{
    const struct swap_cluster *x = &a->cluster[c];
    enum swap_cluster_state state = x->used == 0                  ? CLUSTER_FREE
                                    : x->used == SWAPFILE_CLUSTER ? CLUSTER_FULL
                                                                  : CLUSTER_FRAG;
    if (x->state != state)
        move_cluster(a, c, state);
}

/* -- taking a slot --------------------------------------------------------------------------- */

/* place is the index of the running CPU's next slot: a rotating disk has one for all. */
static unsigned place(const struct mm_sys *s, const struct swap_area *a)
{
    return a->device == SWAP_DISK ? 0 : s->lru.cpu;
}

uint64_t swap_next_slot(const struct mm_sys *s, const struct swap_area *a)
{
    return a->next[place(s, a)];
}

/* reclaim_slot frees a slot that only the swap cache holds (__try_to_reclaim_swap). */
static bool reclaim_slot(struct mm_sys *s, const struct swap_slot *slot)
{
    pfn n = {(slot->cache >> 1) - 1};
    if (slot->count > 0 || !swap_slot_cached(slot))
        return false;
    return !(phys_frame(s->phys, n)->flags & FRAME_F_LOCKED) && folio_free_swap(s, n);
}

static bool slot_free(struct mm_sys *s, const struct swap_slot *slot)
{
    if (!swap_slot_busy(slot))
        return true;
    return vm_swap_full(s) && reclaim_slot(s, slot);
}

/* scan_cluster takes the first free slot of a cluster from `at` on, or 0, and notes the next one. */
static uint64_t scan_cluster(struct mm_sys *s, struct swap_area *a, uint32_t c, uint64_t at)
{
    struct swap_cluster *x = &a->cluster[c];
    uint64_t start = (uint64_t)c * SWAPFILE_CLUSTER, found = 0;
    uint64_t end = min_u64(start + SWAPFILE_CLUSTER, a->max);
    at = max_u64(at, 1);
    while (x->used < SWAPFILE_CLUSTER && at < end && found == 0) {
        if (slot_free(s, &a->slot[at]))
            found = x->used == 0 ? start : at; /* what was reclaimed may have been its last one */
        at++;
    }
    x->used += found != 0;
    a->next[place(s, a)] =
        found != 0 && x->used < SWAPFILE_CLUSTER && found + 1 < end ? found + 1 : 0;
    relocate_cluster(a, c);
    return found;
}

static uint64_t scan_queue(struct mm_sys *s, struct swap_area *a, enum swap_cluster_state q,
                           bool all)
{
    uint64_t found = 0;
    do {
        uint32_t c = a->queue[q].head;
        if (c == END)
            break;
        move_cluster(a, c, CLUSTER_OFF);
        found = scan_cluster(s, a, c, (uint64_t)c * SWAPFILE_CLUSTER);
    } while (all && found == 0);
    return found;
}

/* reclaim_full frees what only the swap cache holds in the cluster that is full for longest. */
static void reclaim_full(struct mm_sys *s, struct swap_area *a)
{
    uint32_t c = a->queue[CLUSTER_FULL].head;
    if (c == END)
        return;
    move_cluster(a, c, CLUSTER_OFF);
    uint64_t start = (uint64_t)c * SWAPFILE_CLUSTER;
    uint64_t end = min_u64(start + SWAPFILE_CLUSTER, a->max);
    for (uint64_t i = start; i < end; i++)
        reclaim_slot(s, &a->slot[i]);
    if (a->cluster[c].state == CLUSTER_OFF)
        relocate_cluster(a, c);
}

uint64_t cluster_alloc_swap_entry(struct mm_sys *s, struct swap_area *a)
{
    uint64_t next = swap_next_slot(s, a), found = 0;
    uint32_t c = (uint32_t)(next / SWAPFILE_CLUSTER);
    if (next != 0 && a->cluster[c].state != CLUSTER_FULL)
        found = scan_cluster(s, a, c, a->cluster[c].used == 0 ? c * SWAPFILE_CLUSTER : next);
    if (found == 0)
        found = scan_queue(s, a, CLUSTER_NONFULL, true);
    if (found == 0)
        found = scan_queue(s, a, CLUSTER_FREE, false);
    if (found == 0 && vm_swap_full(s))
        reclaim_full(s, a);
    if (found == 0)
        found = scan_queue(s, a, CLUSTER_FRAG, false);
    return found;
}

/* -- giving one back ------------------------------------------------------------------------- */

void swap_entry_free(struct mm_sys *s, struct swap_area *a, uint64_t offset)
{
    uint32_t c = (uint32_t)(offset / SWAPFILE_CLUSTER);
    a->slot[offset] = (struct swap_slot){0};
    a->inuse--;
    s->swap.inuse--;
    enum swap_cluster_state to = --a->cluster[c].used == 0 ? CLUSTER_FREE : CLUSTER_NONFULL;
    if (a->cluster[c].state != to)
        move_cluster(a, c, to);
}
