/* tlb.c: the translation array: set-associative or fully associative, of any size.
 *
 *   address ─► page number ─► set = (page ^ page >> fold) & mask ─► ways: compare whole tags
 *                                                       └─► mru[set]: copy of the last one touched
 *   Up to 128 ways: a byte of hash per way is compared first. More: tag ─► hash table ─► slot.
 *   Both are speed only; no result depends on them.
 *
 * Invariants: I1-I4 in tlb.h.
 * Source: Intel SDM vol. 3A, 4.10.2 (what an entry holds), 4.10.4.1 (what an invalidation drops).
 * XOR index: Gras, Razavi, Bos, Giuffrida, "Translation Leak-aside Buffer", USENIX Security 2018.
 */
#include "mmu/tlb.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool shape_ok(uint64_t entries, uint64_t ways)
{
    return ways > 0 && entries <= BIT(24) && entries % ways == 0 && is_pow2(entries / ways);
}

static int open_slots(struct tlb *t)
{
    size_t slots = (size_t)t->sets << t->stride_shift;
    t->tags = calloc(slots, sizeof(*t->tags));
    t->vals = calloc(slots, sizeof(*t->vals));
    t->room = calloc(t->sets, sizeof(*t->room));
    if (t->tags == NULL || t->vals == NULL || t->room == NULL)
        return -ENOMEM;
    if (t->ways <= TLB_SCAN_MAX) {
        t->sign_shift = t->stride_shift < 4 ? 4 : t->stride_shift;
        t->sign = calloc(t->sets, BIT(t->sign_shift));
        return t->sign != NULL ? 0 : -ENOMEM;
    }
    uint32_t size = 2;
    while (size < 2 * t->sets * t->ways)
        size *= 2;
    t->hash_mask = size - 1;
    t->hash = calloc(size, sizeof(*t->hash));
    return t->hash != NULL ? 0 : -ENOMEM;
}

int tlb_open(struct tlb *t, uint64_t entries, uint64_t ways, unsigned sizes, enum conf_index index,
             enum repl_policy policy, uint64_t seed)
{
    static const unsigned folds[] = {[INDEX_LINEAR] = 63, [INDEX_XOR7] = 7, [INDEX_XOR8] = 8};
    *t = (struct tlb){.sets = 1, .fold = folds[index]};
    t->odd = &t->own_odd;
    if (entries != 0 && !shape_ok(entries, ways))
        return -EINVAL;
    int e = 0;
    if (entries != 0) {
        t->sizes = sizes;
        t->sets = (uint32_t)(entries / ways);
        t->ways = (uint32_t)ways;
        while (BIT(t->stride_shift) < max_u64(ways, 2)) /* whole vectors of two tags */
            t->stride_shift++;
        e = open_slots(t);
        e = e == 0 ? repl_open(&t->repl, t->sets, t->ways, policy, seed, NULL, 0) : e;
    }
    t->set_mask = t->sets - 1;
    t->mru = calloc(t->sets, sizeof(*t->mru));
    if (e == 0 && t->mru != NULL)
        return 0;
    tlb_close(t);
    return -ENOMEM;
}

void tlb_close(struct tlb *t)
{
    free(t->mru);
    free(t->tags);
    free(t->vals);
    free(t->room);
    free(t->sign);
    free(t->hash);
    repl_close(&t->repl);
    *t = (struct tlb){0};
}

/* -- the hash: linear probing, erased by shifting back (Knuth, TAOCP vol. 3, 6.4, algorithm R); the
 * start is a multiplicative hash of the tag -- */
static inline uint32_t home_of(const struct tlb *t, uint64_t tag)
{
    return (uint32_t)(tlb_mix(tag) >> 32) & t->hash_mask;
}

uint32_t tlb_hash_find(const struct tlb *t, uint64_t tag)
{
    for (uint32_t h = home_of(t, tag); t->hash[h] != 0; h = (h + 1) & t->hash_mask)
        if (t->tags[t->hash[h] - 1] == tag)
            return t->hash[h] - 1;
    return TLB_NONE;
}

static void hash_add(struct tlb *t, uint32_t slot)
{
    uint32_t h = home_of(t, t->tags[slot]);
    while (t->hash[h] != 0)
        h = (h + 1) & t->hash_mask;
    t->hash[h] = slot + 1;
}

static void hash_remove(struct tlb *t, uint32_t slot)
{
    uint32_t hole = home_of(t, t->tags[slot]);
    while (t->hash[hole] != slot + 1)
        hole = (hole + 1) & t->hash_mask;
    for (uint32_t h = (hole + 1) & t->hash_mask; t->hash[h] != 0; h = (h + 1) & t->hash_mask) {
        uint32_t home = home_of(t, t->tags[t->hash[h] - 1]);
        if (((h - home) & t->hash_mask) < ((h - hole) & t->hash_mask))
            continue; /* it may not move before its home */
        t->hash[hole] = t->hash[h];
        hole = h;
    }
    t->hash[hole] = 0;
}

static inline uint32_t set_of(const struct tlb *t, uint64_t addr, enum page_size size)
{
    return tlb_set(t, addr >> page_size_shift(size));
}

/* empty_slot returns the slot of the lowest empty way of a set, or TLB_NONE. */
static inline uint32_t empty_slot(const struct tlb *t, uint32_t set)
{
    uint32_t way = t->room[set], first = set << t->stride_shift;
    while (way < t->ways && t->tags[first + way] != 0)
        way++;
    t->room[set] = way;
    return way < t->ways ? first + way : TLB_NONE;
}

bool tlb_has_room(const struct tlb *t, uint64_t addr, enum page_size size)
{
    return empty_slot(t, set_of(t, addr, size)) != TLB_NONE;
}

static inline void account(struct tlb *t, uint32_t slot, uint32_t sign)
{
    enum page_size size = tlb_tag_size(t->tags[slot]);
    t->count[size][(t->tags[slot] & TLB_GLOBAL) != 0] += sign;
    if (VAL_PAGE(t->vals[slot]) > size)
        t->broken += sign;
    if (tlb_is_odd(t->tags[slot], t->vals[slot])) {
        t->odd->all += sign;
        t->odd->low += t->tags[slot] >> 63 ? 0 : sign;
    }
}

static inline void put(struct tlb *t, uint32_t slot, uint64_t tag, uint64_t val)
{
    t->tags[slot] = tag;
    t->vals[slot] = val;
    if (t->hash != NULL) {
        hash_add(t, slot);
        return;
    }
    uint32_t set = slot >> t->stride_shift, way = slot & (uint32_t)(BIT(t->stride_shift) - 1);
    t->sign[((size_t)set << t->sign_shift) + way] = (uint8_t)(tlb_mix(tag) >> 56);
}

/* same_kind says whether two entries are counted alike; bit 63 of a tag is the half of the space. */
static inline bool same_kind(uint64_t tag, uint64_t val, uint64_t tag2, uint64_t val2)
{
    return (((tag ^ tag2) & (~(TLB_PAGE_MASK | TLB_PCID_MASK) | BIT(63))) |
            ((val ^ val2) >> VAL_PAGE_SHIFT & 3)) == 0;
}

void tlb_insert(struct tlb *t, uint64_t addr, enum page_size size, unsigned pcid, uint64_t val)
{
    uint64_t tag = tlb_tag(addr, size, pcid, (val & PTE_G) != 0);
    uint32_t set = set_of(t, addr, size), slot = empty_slot(t, set);
    CHECK(tlb_find_tag(t, set, tag) == TLB_NONE); /* I1 */
    bool over = slot == TLB_NONE;
    if (over)
        slot = (set << t->stride_shift) + repl_victim(&t->repl, set);
    if (over && t->hash != NULL)
        hash_remove(t, slot);
    if (!over || !same_kind(t->tags[slot], t->vals[slot], tag, val)) {
        if (over)
            account(t, slot, UINT32_MAX);
        put(t, slot, tag, val);
        account(t, slot, 1);
    } else {
        put(t, slot, tag, val);
    }
    tlb_touch(t, slot);
}

void tlb_erase(struct tlb *t, uint32_t slot)
{
    uint32_t set = slot >> t->stride_shift, way = slot & (uint32_t)(BIT(t->stride_shift) - 1);
    if (t->mru[set].tag == t->tags[slot])
        t->mru[set].tag = 0;
    account(t, slot, UINT32_MAX);
    if (t->hash != NULL)
        hash_remove(t, slot);
    t->tags[slot] = 0;
    repl_forget(&t->repl, set, way);
    if (way < t->room[set])
        t->room[set] = way;
}

static bool owned(uint64_t tag, unsigned pcid, bool globals)
{
    if (tag & TLB_GLOBAL)
        return globals;
    return pcid == TLB_ALL_PCIDS || (tag & TLB_PCID_MASK) == (uint64_t)pcid << TLB_PCID_SHIFT;
}

/* drop_pieces erases every piece of the broken-up page around an address. */
static void drop_pieces(struct tlb *t, uint64_t addr, unsigned pcid, bool globals)
{
    uint32_t slots = t->sets << t->stride_shift;
    for (uint32_t s = 0; s < slots && t->broken != 0; s++) {
        uint64_t tag = t->tags[s];
        enum page_size page = VAL_PAGE(t->vals[s]);
        if (tag == 0 || page <= tlb_tag_size(tag) || !owned(tag, pcid, globals))
            continue;
        if ((((addr << 4) ^ tag) & TLB_PAGE_MASK) >> 4 >> page_size_shift(page) == 0)
            tlb_erase(t, s);
    }
}

void tlb_drop_page(struct tlb *t, uint64_t addr, unsigned pcid, bool globals)
{
    if (t->sizes == 0)
        return;
    for (enum page_size size = SIZE_4K; size < SIZE_NR; size++) {
        uint32_t set = set_of(t, addr, size);
        uint32_t own = tlb_find_tag(t, set, tlb_tag(addr, size, pcid, false));
        if (own != TLB_NONE)
            tlb_erase(t, own);
        uint32_t global = tlb_find_tag(t, set, tlb_tag(addr, size, pcid, true));
        if (globals && global != TLB_NONE)
            tlb_erase(t, global);
    }
    drop_pieces(t, addr, pcid, globals);
}

static uint32_t entries(const struct tlb *t)
{
    uint32_t n = 0;
    for (int s = 0; s < SIZE_NR; s++)
        n += t->count[s][0] + t->count[s][1];
    return n;
}

void tlb_flush(struct tlb *t, unsigned pcid, bool globals)
{
    uint32_t slots = entries(t) != 0 ? t->sets << t->stride_shift : 0;
    for (uint32_t s = 0; s < slots; s++)
        if (t->tags[s] != 0 && owned(t->tags[s], pcid, globals))
            tlb_erase(t, s);
}

/* address_of returns the address a tag was made of, sign-extended from bit 59. */
static uint64_t address_of(uint64_t tag)
{
    return (uint64_t)((int64_t)(tag & TLB_PAGE_MASK) >> 4);
}

static int slot_audit(const struct tlb *t, uint32_t slot)
{
    uint32_t set = slot >> t->stride_shift;
    uint64_t tag = t->tags[slot];
    if (set_of(t, address_of(tag), tlb_tag_size(tag)) != set)
        return 1;
    for (uint32_t w = 0; w < slot - (set << t->stride_shift) && w < 64; w++)
        if (t->tags[(set << t->stride_shift) + w] == tag)
            return 1;
    return tlb_find_tag(t, set, tag) == slot ? 0 : 4;
}

static int mru_audit(const struct tlb *t, uint32_t set)
{
    if (t->mru[set].tag == 0)
        return 0;
    uint32_t slot = tlb_find_tag(t, set, t->mru[set].tag);
    return slot == TLB_NONE || t->vals[slot] != t->mru[set].val ? 2 : 0;
}

static int counts_audit(const struct tlb *t)
{
    uint32_t count[SIZE_NR][2] = {{0}}, broken = 0, slots = t->sets << t->stride_shift;
    for (uint32_t s = 0; s < slots; s++)
        if (t->tags[s] != 0) {
            enum page_size size = tlb_tag_size(t->tags[s]);
            count[size][(t->tags[s] & TLB_GLOBAL) != 0]++;
            broken += VAL_PAGE(t->vals[s]) > size;
        }
    return memcmp(count, t->count, sizeof(count)) != 0 || broken != t->broken ? 3 : 0;
}

int tlb_audit(const struct tlb *t)
{
    if (t->sizes == 0)
        return 0;
    int broken = 0;
    for (uint32_t s = 0; s < t->sets << t->stride_shift && broken == 0; s++)
        broken = t->tags[s] != 0 ? slot_audit(t, s) : 0;
    for (uint32_t set = 0; set < t->sets && broken == 0; set++)
        broken = mru_audit(t, set);
    if (broken == 0)
        broken = counts_audit(t);
    return broken == 0 && repl_audit(&t->repl) != 0 ? 2 : broken;
}
