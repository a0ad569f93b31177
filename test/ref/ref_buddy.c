/* ref_buddy.c: see ref_buddy.h. Slow on purpose. */
#include "ref/ref_buddy.h"

#include <stdlib.h>
#include <string.h>

enum { UNMOVABLE, MOVABLE, RECLAIMABLE, HIGHATOMIC, ISOLATE };

/* -- arrays */

static void insert(struct ref_blocks *l, size_t at, uint64_t first)
{
    if (l->n == l->cap) {
        l->cap = l->cap * 2 + 16;
        l->first = realloc(l->first, l->cap * sizeof(*l->first));
        if (l->first == NULL)
            abort();
    }
    memmove(l->first + at + 1, l->first + at, (l->n - at) * sizeof(*l->first));
    l->first[at] = first;
    l->n++;
}

static uint64_t drop(struct ref_blocks *l, size_t at)
{
    uint64_t first = l->first[at];
    l->n--;
    memmove(l->first + at, l->first + at + 1, (l->n - at) * sizeof(*l->first));
    return first;
}

/* where returns the place of a block in a list, or -1. */
static long where(const struct ref_blocks *l, uint64_t first)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->first[i] == first)
            return (long)i;
    return -1;
}

static void *array(uint64_t n)
{
    void *a = calloc(n, 1);
    if (a == NULL)
        abort();
    return a;
}

void ref_buddy_open(struct ref_buddy *b, uint64_t pages)
{
    *b = (struct ref_buddy){.pages = pages, .pcp_on = true, .nodes = 1};
    b->page = array(pages);
    b->order_of = array(pages);
    b->lru = array(pages);
    b->type = array(pages / REF_BLOCK + 1);
    b->isolated = array(pages / REF_BLOCK + 1);
    memset(b->type, MOVABLE, pages / REF_BLOCK + 1);
    b->type[0] = UNMOVABLE;
}

void ref_buddy_close(struct ref_buddy *b)
{
    for (int z = 0; z < REF_ZONES; z++) {
        for (int t = 0; t < REF_TYPES; t++)
            for (int o = 0; o < REF_ORDERS; o++)
                free(b->zones[z].lists[t][o].first);
        for (int c = 0; c < REF_CPUS; c++)
            for (int l = 0; l < REF_PCPLISTS; l++)
                free(b->zones[z].pcp[c].lists[l].first);
    }
    free(b->page);
    free(b->order_of);
    free(b->lru);
    free(b->type);
    free(b->isolated);
}

unsigned ref_buddy_type(const struct ref_buddy *b, uint64_t page)
{
    return b->isolated[page / REF_BLOCK] ? ISOLATE : b->type[page / REF_BLOCK];
}

static void set_pages(struct ref_buddy *b, uint64_t first, unsigned order, enum ref_page kind)
{
    for (uint64_t i = 0; i < (uint64_t)1 << order; i++) {
        b->page[first + i] = (uint8_t)kind;
        b->order_of[first + i] = (uint8_t)order;
        b->lru[first + i] = false;
    }
}

static struct ref_zone *zone_of(struct ref_buddy *b, uint64_t page)
{
    for (unsigned z = 0; z < b->zones_nr; z++)
        if (page >= b->zones[z].first && page < b->zones[z].end)
            return &b->zones[z];
    abort();
}

static void account(struct ref_zone *z, unsigned type, long pages)
{
    if (type != ISOLATE)
        z->free += pages;
    if (type == HIGHATOMIC)
        z->free_highatomic += pages;
}

void ref_buddy_boot(struct ref_buddy *b, unsigned zone, uint64_t first, uint64_t end)
{
    struct ref_zone *z = &b->zones[zone];
    while (first < end) {
        unsigned o = REF_ORDERS - 1;
        while (first % ((uint64_t)1 << o) != 0 || first + ((uint64_t)1 << o) > end)
            o--;
        unsigned t = ref_buddy_type(b, first);
        insert(&z->lists[t][o], z->lists[t][o].n, first);
        set_pages(b, first, o, REF_FREE);
        account(z, t, 1l << o);
        first += (uint64_t)1 << o;
    }
}

/* -- the buddy allocator */

static bool mergeable(unsigned type)
{
    return type <= RECLAIMABLE;
}

static void free_one_at(struct ref_buddy *b, uint64_t first, unsigned order, bool tail)
{
    struct ref_zone *z = zone_of(b, first);
    unsigned t = ref_buddy_type(b, first);
    set_pages(b, first, order, REF_FREE);
    account(z, t, 1l << order);
    for (; order + 1 < REF_ORDERS; order++) {
        uint64_t buddy = first ^ (uint64_t)1 << order;
        unsigned bt = buddy < b->pages ? ref_buddy_type(b, buddy) : t;
        if (order >= 9 && bt != t && !(mergeable(bt) && mergeable(t)))
            break;
        long at = where(&z->lists[order >= 9 ? bt : t][order], buddy);
        if (at < 0)
            break;
        drop(&z->lists[order >= 9 ? bt : t][order], (size_t)at);
        if (order >= 9 && bt != t)
            b->type[buddy / REF_BLOCK] = (uint8_t)t;
        first &= ~((uint64_t)1 << order);
    }
    if (order < REF_ORDERS - 2) {
        uint64_t pair = (first & ~((uint64_t)1 << order)) ^ (uint64_t)2 << order;
        for (unsigned any = 0; any < REF_TYPES; any++)
            tail |= where(&z->lists[any][order + 1], pair) >= 0;
    }
    insert(&z->lists[t][order], tail ? z->lists[t][order].n : 0, first);
}

static void free_one(struct ref_buddy *b, uint64_t first, unsigned order)
{
    free_one_at(b, first, order, false);
}

static void free_any(struct ref_buddy *b, uint64_t first, unsigned order)
{
    if (order == 10) {
        free_one(b, first, 9);
        free_one(b, first + REF_BLOCK, 9);
    } else {
        free_one(b, first, order);
    }
}

/* cut keeps the lowest pages of a block just taken off its list and returns the upper halves. */
static int64_t cut(struct ref_buddy *b, struct ref_zone *z, uint64_t first, unsigned have,
                   unsigned order, unsigned type)
{
    while (have > order) {
        have--;
        insert(&z->lists[type][have], 0, first + ((uint64_t)1 << have));
        account(z, type, 1l << have);
    }
    set_pages(b, first, order, REF_USED);
    return (int64_t)first;
}

static int64_t smallest(struct ref_buddy *b, struct ref_zone *z, unsigned order, unsigned type)
{
    for (unsigned o = order; o < REF_ORDERS; o++)
        if (z->lists[type][o].n > 0) {
            account(z, type, -(1l << o));
            return cut(b, z, drop(&z->lists[type][o], 0), o, order, type);
        }
    return -1;
}

/* -- other types */

static int other_type(const struct ref_zone *z, unsigned order, unsigned type)
{
    static const int next[3][2] = {
        {RECLAIMABLE, MOVABLE}, {RECLAIMABLE, UNMOVABLE}, {UNMOVABLE, MOVABLE}};
    for (int i = 0; i < 2; i++)
        if (z->lists[next[type][i]][order].n > 0)
            return next[type][i];
    return -1;
}

/* inside: is the pageblock of a page whole? Page 0 is never in a zone. */
static bool inside(const struct ref_zone *z, uint64_t page)
{
    uint64_t start = page / REF_BLOCK * REF_BLOCK;
    return start != 0 && start >= z->first && start + REF_BLOCK <= z->end;
}

/* convert moves the free blocks in a pageblock, by address, to the tails of another type. */
static long convert(struct ref_buddy *b, struct ref_zone *z, uint64_t page, unsigned to)
{
    uint64_t start = page / REF_BLOCK * REF_BLOCK;
    unsigned from = ref_buddy_type(b, page);
    long moved = 0;
    for (uint64_t i = start; i < start + REF_BLOCK; i++)
        for (unsigned o = 0; o < REF_ORDERS; o++) {
            bool fits = b->page[i] == REF_FREE && i % ((uint64_t)1 << o) == 0;
            long at = fits ? where(&z->lists[from][o], i) : -1;
            if (at < 0)
                continue;
            drop(&z->lists[from][o], (size_t)at);
            insert(&z->lists[to][o], z->lists[to][o].n, i);
            account(z, from, -(1l << o));
            account(z, to, 1l << o);
            moved += 1l << o;
        }
    return moved;
}

static int64_t claim_block(struct ref_buddy *b, struct ref_zone *z, unsigned have, unsigned order,
                           unsigned type, unsigned from)
{
    uint64_t first = z->lists[from][have].first[0];
    if (have >= 9) {
        account(z, from, -(1l << have));
        drop(&z->lists[from][have], 0);
        for (uint64_t i = 0; i < (uint64_t)1 << have; i += REF_BLOCK)
            b->type[(first + i) / REF_BLOCK] = (uint8_t)type;
        return cut(b, z, first, have, order, type);
    }
    long most = z->wmark[2] / 10000 * 15000 + z->wmark[2] % 10000 * 15000 / 10000;
    most = most < REF_BLOCK ? REF_BLOCK : most;
    if (4 * REF_BLOCK <= z->managed && z->wmark[2] * 15000 / 10000 > 0)
        z->boost = z->boost + REF_BLOCK < most ? z->boost + REF_BLOCK : most;
    if (!inside(z, first))
        return -1;
    long free_pages = 0, movable = 0, start = (long)(first / REF_BLOCK * REF_BLOCK);
    for (long i = start; i < start + REF_BLOCK; i++) {
        free_pages += b->page[i] == REF_FREE;
        movable += b->page[i] == REF_USED && b->lru[i];
    }
    long alike = type == MOVABLE ? movable : from == MOVABLE ? REF_BLOCK - free_pages - movable : 0;
    if (free_pages + alike < REF_BLOCK / 2)
        return -1;
    convert(b, z, first, type);
    b->type[first / REF_BLOCK] = (uint8_t)type;
    return smallest(b, z, order, type);
}

static int64_t claim(struct ref_buddy *b, struct ref_zone *z, const struct ref_req *r,
                     bool nofragment)
{
    unsigned least = nofragment && r->order < 9 ? 9 : r->order;
    for (int have = REF_ORDERS - 1; have >= (int)least; have--) {
        if (have < 4 && r->type == MOVABLE)
            return -1;
        int from = other_type(z, (unsigned)have, r->type);
        int64_t got = -1;
        if (from >= 0)
            got = claim_block(b, z, (unsigned)have, r->order, r->type, (unsigned)from);
        if (got >= 0)
            return got;
    }
    return -1;
}

static int64_t steal(struct ref_buddy *b, struct ref_zone *z, const struct ref_req *r)
{
    for (unsigned o = r->order; o < REF_ORDERS; o++) {
        int from = other_type(z, o, r->type);
        if (from < 0)
            continue;
        account(z, (unsigned)from, -(1l << o));
        return cut(b, z, drop(&z->lists[from][o], 0), o, r->order, (unsigned)from);
    }
    return -1;
}

/* remove: *mode 0 as usual, 1 stealing because the block before was stolen. */
static int64_t remove_block(struct ref_buddy *b, struct ref_zone *z, const struct ref_req *r,
                            bool nofragment, int *mode)
{
    int64_t got = -1;
    if (*mode == 0) {
        got = smallest(b, z, r->order, r->type);
        if (got < 0)
            got = claim(b, z, r, nofragment);
    }
    if (got < 0 && !nofragment) {
        got = steal(b, z, r);
        if (got >= 0)
            *mode = 1;
    }
    return got;
}

/* -- per-CPU lists */

static long clamp(long v, long lo, long hi)
{
    return v >= hi ? hi : v <= lo ? lo : v; /* lo may be above hi: hi wins then */
}

static long at_least(long v, long lo)
{
    return v < lo ? lo : v;
}

static bool has_pcp(unsigned order)
{
    return order <= 3 || order == 9;
}

static unsigned pcp_list(unsigned order, unsigned type)
{
    return order == 9 ? 12u + (type == MOVABLE) : order * 3 + type;
}

static long refill_blocks(struct ref_zone *z, struct ref_pcp *c, unsigned order)
{
    long n = order == 0 ? z->batch << c->alloc_factor : z->batch;
    c->high = clamp(c->high, z->high_min, z->high_max);
    if (c->high < z->batch)
        return 1;
    long high = c->high;
    if (z->high_min != z->high_max && !z->below_high) {
        c->high = c->high + n < z->high_max ? c->high + n : z->high_max;
        high = c->high;
    }
    if (order == 0) {
        long most = at_least(high - c->count - z->batch, z->batch);
        if (n <= most && c->alloc_factor < 5)
            c->alloc_factor++;
        n = n < most ? n : most;
    }
    return n > 1 ? at_least(n >> order, 2) : n;
}

static int64_t pcp_take(struct ref_buddy *b, struct ref_zone *z, const struct ref_req *r,
                        bool nofragment)
{
    struct ref_pcp *c = &z->pcp[b->cpu];
    struct ref_blocks *l = &c->lists[pcp_list(r->order, r->type)];
    int mode = 0;
    c->free_count /= 2;
    for (long n = l->n == 0 ? refill_blocks(z, c, r->order) : 0; n > 0; n--) {
        int64_t got = remove_block(b, z, r, nofragment, &mode);
        if (got < 0)
            break;
        set_pages(b, (uint64_t)got, r->order, REF_PCP);
        insert(l, l->n, (uint64_t)got);
        c->count += 1l << r->order;
    }
    if (l->n == 0)
        return -1;
    c->count -= 1l << r->order;
    uint64_t first = drop(l, 0);
    set_pages(b, first, r->order, REF_USED);
    return (int64_t)first;
}

static void give_back(struct ref_buddy *b, struct ref_pcp *c, long count, unsigned list)
{
    count = count < c->count ? count : c->count;
    while (count > 0) {
        struct ref_blocks *l = &c->lists[list];
        unsigned order = list >= 12 ? 9 : list / 3;
        while (count > 0 && l->n > 0) {
            count -= 1l << order;
            c->count -= 1l << order;
            free_one(b, drop(l, l->n - 1), order);
        }
        list = (list + 1) % REF_PCPLISTS;
    }
}

static bool watermark(const struct ref_zone *z, const struct ref_req *r, long mark);

static void pcp_put(struct ref_buddy *b, struct ref_zone *z, uint64_t first, unsigned order,
                    unsigned type)
{
    struct ref_pcp *c = &z->pcp[b->cpu];
    unsigned list = pcp_list(order, type);
    set_pages(b, first, order, REF_PCP);
    insert(&c->lists[list], 0, first);
    c->alloc_factor /= 2;
    c->count += 1l << order;
    bool high_order = order >= 1 && order <= 3;
    bool all = high_order && c->free_count >= z->batch + z->high_min / 2 && c->prev_high &&
               (c->count >= z->batch || !z->large_cache);
    c->prev_high = high_order;
    if (c->free_count < z->batch * 32)
        c->free_count += 1l << order;
    long high = c->high = clamp(c->high, z->high_min, z->high_max);
    if (all) {
        c->high = at_least(high - z->batch * 32, z->high_min);
        give_back(b, c, z->batch * 32, list);
    } else {
        if (z->high_min != z->high_max && z->below_high) {
            c->high = at_least(high - at_least(c->free_count, z->batch), z->high_min);
            high = at_least(c->count, z->high_min);
        } else if (z->high_min != z->high_max && c->count >= high &&
                   c->high < c->free_count + z->batch) {
            c->high = clamp(c->free_count + z->batch, z->high_min, z->high_max);
        }
        if (c->count < high)
            return;
        long n = c->free_count < high - z->batch ? c->free_count : high - z->batch;
        give_back(b, c, high < z->batch ? 1 : at_least(n, z->batch), list);
    }
    struct ref_req any = {.top = 3, .mark = REF_HIGH};
    if (z->below_high && watermark(z, &any, z->wmark[2] + z->boost))
        z->below_high = false;
}

void ref_buddy_drain(struct ref_buddy *b, unsigned cpu)
{
    for (unsigned z = 0; z < b->zones_nr; z++)
        while (b->zones[z].pcp[cpu].count > 0)
            give_back(b, &b->zones[z].pcp[cpu], b->zones[z].batch * 32, 0);
}

void ref_buddy_decay(struct ref_buddy *b, unsigned cpu)
{
    for (unsigned i = 0; i < b->zones_nr; i++) {
        struct ref_zone *z = &b->zones[i];
        struct ref_pcp *c = &z->pcp[cpu];
        if (c->high > z->high_min) {
            long a = c->count - z->batch * 32, e = c->high - c->high / 8;
            c->high = at_least(a > e ? a : e, z->high_min);
        }
        c->expire = c->used ? 3 : c->expire;
        c->used = c->count > c->high;
        for (long left = c->count - c->high; left > 0; left -= z->batch)
            give_back(b, c, left < z->batch ? left : z->batch, 0);
        if (c->expire == 0 || c->count == 0)
            continue;
        if (b->cpu_node[cpu] == z->node) {
            c->expire = 0;
        } else if (--c->expire == 0) {
            give_back(b, c, z->batch, 0);
            c->used = true;
        }
    }
}

/* -- requests */

static bool watermark(const struct ref_zone *z, const struct ref_req *r, long mark)
{
    long free_pages = z->free - ((1l << r->order) - 1), min = mark;
    bool atomic = r->order > 0 && r->high && r->non_block;
    if (!r->high && !r->non_block && !r->oom)
        free_pages -= z->free_highatomic;
    if (r->high)
        min = min - min / 2;
    if (r->high && r->non_block)
        min = min - min / 4;
    if (r->oom)
        min = min - min / 2;
    if (free_pages <= min + z->protection[r->top])
        return false;
    for (unsigned o = r->order; o < REF_ORDERS; o++)
        for (unsigned t = UNMOVABLE; t <= (atomic || r->oom ? HIGHATOMIC : RECLAIMABLE); t++)
            if (r->order == 0 || z->lists[t][o].n > 0)
                return true;
    return false;
}

static bool room(struct ref_zone *z, const struct ref_req *r)
{
    if (!z->below_high && watermark(z, r, z->wmark[2] + z->boost))
        return true;
    z->below_high = true;
    if (r->mark == REF_NO_MARK || watermark(z, r, z->wmark[r->mark] + z->boost))
        return true;
    return r->order == 0 && r->high && r->mark == REF_MIN && watermark(z, r, z->wmark[0]);
}

static int64_t from_zone(struct ref_buddy *b, struct ref_zone *z, const struct ref_req *r,
                         bool nofragment)
{
    bool atomic = r->order > 0 && r->high && r->non_block;
    int mode = 0;
    int64_t got = -1;
    if (b->pcp_on && has_pcp(r->order))
        got = pcp_take(b, z, r, nofragment);
    if (got < 0 && atomic)
        got = smallest(b, z, r->order, HIGHATOMIC);
    if (got < 0)
        got = remove_block(b, z, r, nofragment, &mode);
    if (got < 0 && (r->oom || r->non_block))
        got = smallest(b, z, r->order, HIGHATOMIC);
    z->pcp[b->cpu].used |= got >= 0;
    return got;
}

/* Up to about 1 % of a zone is kept for requests like this one. */
static void reserve(struct ref_buddy *b, struct ref_zone *z, uint64_t page, unsigned order)
{
    long percent = z->managed / 100;
    if (percent < REF_BLOCK || z->reserved_highatomic >= (percent + 511) / 512 * 512)
        return;
    if (!mergeable(ref_buddy_type(b, page)) || (order < 9 && !inside(z, page)))
        return;
    if (order < 9)
        convert(b, z, page, HIGHATOMIC);
    for (uint64_t i = 0; i < (uint64_t)1 << order; i += REF_BLOCK)
        b->type[(page + i) / REF_BLOCK] = HIGHATOMIC;
    z->reserved_highatomic += order < 9 ? REF_BLOCK : 1l << order;
}

static int64_t pass(struct ref_buddy *b, const struct ref_req *r, bool nofragment)
{
    for (unsigned i = 0; i < r->zones_nr; i++) {
        struct ref_zone *z = &b->zones[r->zones[i]];
        if (nofragment && z->node != b->zones[r->zones[0]].node)
            return -1;
        if (!room(z, r))
            continue;
        int64_t got = from_zone(b, z, r, nofragment);
        if (got < 0)
            continue;
        if (r->order > 0 && r->high && r->non_block)
            reserve(b, z, (uint64_t)got, r->order);
        return got;
    }
    return -1;
}

int64_t ref_buddy_alloc(struct ref_buddy *b, const struct ref_req *r)
{
    int64_t got = r->nofragment ? pass(b, r, true) : -1;
    return got >= 0 ? got : pass(b, r, false);
}

void ref_buddy_free(struct ref_buddy *b, uint64_t first, unsigned order)
{
    unsigned t = ref_buddy_type(b, first);
    zone_of(b, first)->pcp[b->cpu].used = true;
    if (b->pcp_on && has_pcp(order) && t != ISOLATE)
        pcp_put(b, zone_of(b, first), first, order, t == HIGHATOMIC ? MOVABLE : t);
    else
        free_any(b, first, order);
}

/* -- pageblocks */

/* lift takes a free block of order 10 around a page off its list; its first page, or -1. */
static int64_t lift(struct ref_buddy *b, struct ref_zone *z, uint64_t page)
{
    uint64_t first = page / 1024 * 1024;
    unsigned t = ref_buddy_type(b, first);
    long at = where(&z->lists[t][10], first);
    if (at < 0)
        return -1;
    drop(&z->lists[t][10], (size_t)at);
    account(z, t, -1024);
    return (int64_t)first;
}

/* merge_again: a free pageblock meets its free neighbour once neither is isolated. */
static void merge_again(struct ref_buddy *b, struct ref_zone *z, uint64_t first)
{
    unsigned t = ref_buddy_type(b, first);
    uint64_t other = first ^ REF_BLOCK;
    bool near = other >= z->first && other < z->end;
    long at = where(&z->lists[t][9], first);
    if (!near || at < 0 || ref_buddy_type(b, other) == ISOLATE ||
        where(&z->lists[ref_buddy_type(b, other)][9], other) < 0)
        return;
    drop(&z->lists[t][9], (size_t)at);
    account(z, t, -REF_BLOCK);
    free_one_at(b, first, 9, true);
}

bool ref_buddy_isolate(struct ref_buddy *b, uint64_t page, bool isolate)
{
    struct ref_zone *z = zone_of(b, page);
    if (!inside(z, page) || b->isolated[page / REF_BLOCK] == isolate)
        return false;
    int64_t large = lift(b, z, page);
    if (large < 0)
        convert(b, z, page, isolate ? ISOLATE : b->type[page / REF_BLOCK]);
    b->isolated[page / REF_BLOCK] = isolate;
    if (large >= 0)
        free_any(b, (uint64_t)large, 10);
    else if (!isolate)
        merge_again(b, z, page / REF_BLOCK * REF_BLOCK);
    return true;
}

bool ref_buddy_set_type(struct ref_buddy *b, uint64_t page, unsigned type)
{
    struct ref_zone *z = zone_of(b, page);
    if (!inside(z, page) || b->isolated[page / REF_BLOCK])
        return false;
    int64_t large = lift(b, z, page);
    if (large < 0)
        convert(b, z, page, type);
    b->type[page / REF_BLOCK] = (uint8_t)type;
    if (large >= 0)
        free_any(b, (uint64_t)large, 10);
    return true;
}

bool ref_buddy_unreserve(struct ref_buddy *b, const struct ref_req *r, bool force)
{
    for (unsigned i = 0; i < r->zones_nr; i++) {
        struct ref_zone *z = &b->zones[r->zones[i]];
        if (!force && z->reserved_highatomic <= REF_BLOCK)
            continue;
        for (unsigned o = 0; o < REF_ORDERS; o++) {
            if (z->lists[HIGHATOMIC][o].n == 0)
                continue;
            uint64_t first = z->lists[HIGHATOMIC][o].first[0];
            long size = o < 9 ? REF_BLOCK : 1l << o;
            z->reserved_highatomic -= clamp(size, 0, z->reserved_highatomic);
            if (o < 9) {
                convert(b, z, first, r->type);
                b->type[first / REF_BLOCK] = (uint8_t)r->type;
                return true;
            }
            drop(&z->lists[HIGHATOMIC][o], 0);
            insert(&z->lists[r->type][o], z->lists[r->type][o].n, first);
            account(z, HIGHATOMIC, -size);
            account(z, r->type, size);
            for (long j = 0; j < size; j += REF_BLOCK)
                b->type[first / REF_BLOCK + (uint64_t)j / REF_BLOCK] = (uint8_t)r->type;
            return true;
        }
    }
    return false;
}

uint64_t ref_buddy_pages(const struct ref_buddy *b, unsigned zone, enum ref_page kind)
{
    uint64_t count = 0;
    for (uint64_t i = b->zones[zone].first; i < b->zones[zone].end; i++)
        count += b->page[i] == kind;
    return count;
}
