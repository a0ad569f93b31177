/* tlb.h: one translation array: a first- or second-level TLB, or a page-walk cache.
 *
 * An entry is a tag, compared as a whole, and a value:
 *
 *          63                         16 15      4  3  2 1  0
 *   tag   +----------------------------+----------+--+----+--+
 *         | page's address, bits 12-59 |   PCID   |G |size|V |   V valid; size of the ENTRY;
 *         +----------------------------+----------+--+----+--+   G global: PCID is 0 then
 *          63 62     54 53 52 51                   12 8 6 2 1
 *   val   +--+---------+-----+----------------------+-+-+-+-+
 *         |NX|         |PAGE | physical address     |G|D|U|W|    PAGE: size of the page walked, larger
 *         +--+---------+-----+----------------------+-+-+-+-+    than the entry if it was broken up
 *
 * The bits of val stand where a page-table entry has them; W, U and NX are those of all levels
 * together. In a walk cache the address is that of the next table.
 *
 * Invariants (tlb_audit):
 *  I1  A tag stands at most once in the array, in the set its page number selects.
 *  I2  mru[set] is a copy of the entry touched last, or has tag 0.
 *  I3  count[size][global] is the number of such entries; broken the number of those broken up.
 *  I4  The bytes of hash, or the hash table, find every entry.
 */
#ifndef MMU_TLB_H
#define MMU_TLB_H

#include "cache/repl.h"
#include "conf/conf.h"
#include "pt/pte.h"

#define TLB_VALID      UINT64_C(1)
#define TLB_SIZE_SHIFT 1
#define TLB_GLOBAL     UINT64_C(8)
#define TLB_PCID_SHIFT 4
#define TLB_PCID_MASK  (UINT64_C(0xfff) << TLB_PCID_SHIFT)
#define TLB_PAGE_MASK  (~UINT64_C(0xffff))
#define TLB_NONE       UINT32_MAX
#define TLB_SCAN_MAX   64u /* arrays with more ways find entries through a hash */
#define VAL_PAGE_SHIFT 52
#define VAL_PAGE(v)    ((enum page_size)((v) >> VAL_PAGE_SHIFT & 3))

struct tlb_entry {
    uint64_t tag, val;
};

/* Entries that are no plain 4 KiB ones (tlb_is_odd): all, and those of the lower half, the user's. As long
 * as there are none a quick path may look for plain ones alone. */
struct tlb_odd {
    uint32_t all, low;
};

struct tlb {
    struct tlb_entry *mru; /* sets: what was touched last; all the fast path reads */
    uint64_t set_mask;     /* sets - 1 */
    unsigned fold;         /* the page number is xor-ed with itself shifted by this: 7, 8 or 63 */
    unsigned sizes;        /* mask of 1 << enum page_size it takes; 0: no such array */
    uint32_t sets, ways;
    uint32_t stride_shift; /* log2 of the slots from set to set; slot = set << stride_shift | way */
    uint64_t *tags, *vals; /* by slot; tag 0 = empty */
    uint32_t count[SIZE_NR][2]; /* entries by size, and global or not: empty kinds are not probed */
    uint32_t broken;            /* entries that are a piece of a larger page */
    struct tlb_odd *odd;        /* own_odd, or one for all arrays of a core */
    struct tlb_odd own_odd;
    uint8_t *sign; /* speed only: a byte of hash per slot, 16 compared at once; see tlb_scan */
    uint32_t sign_shift; /* log2 of its bytes from set to set */
    uint32_t *hash;      /* speed only: slot + 1, open addressing; NULL if sets are scanned */
    uint32_t hash_mask;
    uint32_t *room;   /* sets: no way below this one is empty */
    struct repl repl; /* replacement state */
};

/* tlb_is_odd says whether an entry is anything but a 4 KiB page of one PCID. */
static inline bool tlb_is_odd(uint64_t tag, uint64_t val)
{
    return ((tag & (TLB_GLOBAL | UINT64_C(3) << TLB_SIZE_SHIFT)) | VAL_PAGE(val)) != 0;
}

/* tlb_open makes an empty array; 0 entries: an array that takes nothing. ways must divide entries
 * and the number of sets be a power of two. 0, -EINVAL or -ENOMEM. */
int tlb_open(struct tlb *t, uint64_t entries, uint64_t ways, unsigned sizes, enum conf_index index,
             enum repl_policy policy, uint64_t seed);
void tlb_close(struct tlb *t);

/* tlb_tag returns the tag of the page of that size around an address. */
static inline uint64_t tlb_tag(uint64_t addr, enum page_size size, unsigned pcid, bool global)
{
    uint64_t page = (addr >> page_size_shift(size) << page_size_shift(size)) << 4 & TLB_PAGE_MASK;
    uint64_t owner = global ? TLB_GLOBAL : (uint64_t)pcid << TLB_PCID_SHIFT;
    return page | owner | (uint64_t)size << TLB_SIZE_SHIFT | TLB_VALID;
}
static inline enum page_size tlb_tag_size(uint64_t tag)
{
    return (enum page_size)(tag >> TLB_SIZE_SHIFT & 3);
}
/* tlb_set returns the set of a page number (of its own size). */
static inline uint32_t tlb_set(const struct tlb *t, uint64_t page)
{
    return (uint32_t)((page ^ page >> t->fold) & t->set_mask);
}

/* tlb_scan returns the slot of a set that holds a tag, tlb_hash_find the slot of any set, or
 * TLB_NONE. */
uint32_t tlb_hash_find(const struct tlb *t, uint64_t tag);
static inline uint64_t tlb_mix(uint64_t tag)
{
    return tag * UINT64_C(0x9e3779b97f4a7c15); /* the upper bits depend on all bits of the tag */
}
static inline uint32_t tlb_scan(const struct tlb *t, uint32_t set, uint64_t tag)
{
    uint32_t first = set << t->stride_shift;
    const uint64_t *tags = t->tags + first;
#ifdef __SSE2__
    const uint8_t *sign = t->sign + ((size_t)set << t->sign_shift);
    __m128i key = _mm_set1_epi8((char)(tlb_mix(tag) >> 56));
    for (uint32_t i = 0; i < t->ways; i += 16) {
        __m128i eq = _mm_cmpeq_epi8(_mm_load_si128((const __m128i *)(sign + i)), key);
        for (unsigned m = (unsigned)_mm_movemask_epi8(eq); m != 0; m &= m - 1) {
            uint32_t way = i + (uint32_t)__builtin_ctz(m);
            if (likely(way < t->ways && tags[way] == tag))
                return first + way;
        }
    }
#else
    for (uint32_t i = 0; i < t->ways; i++)
        if (tags[i] == tag)
            return first + i;
#endif
    return TLB_NONE;
}

/* tlb_find_tag returns the slot of a tag in the set it belongs to, or TLB_NONE. */
static inline uint32_t tlb_find_tag(const struct tlb *t, uint32_t set, uint64_t tag)
{
    return t->hash != NULL ? tlb_hash_find(t, tag) : tlb_scan(t, set, tag);
}

/* tlb_find returns the slot of the entry of that size for an address: the PCID's own one, else a
 * global one, else TLB_NONE. Nothing changes. */
static inline uint32_t tlb_find(const struct tlb *t, uint64_t addr, enum page_size size,
                                unsigned pcid)
{
    uint32_t set = tlb_set(t, addr >> page_size_shift(size)), slot = TLB_NONE;
    if (t->count[size][0] != 0)
        slot = tlb_find_tag(t, set, tlb_tag(addr, size, pcid, false));
    if (slot == TLB_NONE && unlikely(t->count[size][1] != 0))
        slot = tlb_find_tag(t, set, tlb_tag(addr, size, pcid, true));
    return slot;
}

/* tlb_touch makes a slot the most recent of its set. */
static inline void tlb_touch(struct tlb *t, uint32_t slot)
{
    uint32_t set = slot >> t->stride_shift;
    repl_touch(&t->repl, set, slot & (uint32_t)(BIT(t->stride_shift) - 1));
    t->mru[set] = (struct tlb_entry){t->tags[slot], t->vals[slot]};
}

/* tlb_has_room says whether an entry of that size would take an empty way. */
bool tlb_has_room(const struct tlb *t, uint64_t addr, enum page_size size);
/* tlb_insert adds an entry that is not there, into the lowest empty way or over the victim. */
void tlb_insert(struct tlb *t, uint64_t addr, enum page_size size, unsigned pcid, uint64_t val);
void tlb_erase(struct tlb *t, uint32_t slot);

/* tlb_insert_plain is tlb_insert of a plain 4 KiB entry into an array that holds nothing else. */
static inline void tlb_insert_plain(struct tlb *t, uint64_t addr, uint64_t tag, uint64_t val)
{
    uint32_t set = tlb_set(t, addr >> PAGE_SHIFT);
    if (unlikely(t->room[set] < t->ways || t->hash != NULL)) {
        tlb_insert(t, addr, SIZE_4K, (unsigned)(tag >> TLB_PCID_SHIFT & 0xfff), val);
        return;
    }
    uint32_t way = repl_victim(&t->repl, set), slot = (set << t->stride_shift) + way;
    t->tags[slot] = tag;
    t->vals[slot] = val;
    t->sign[((size_t)set << t->sign_shift) + way] = (uint8_t)(tlb_mix(tag) >> 56);
    repl_touch(&t->repl, set, way);
    t->mru[set] = (struct tlb_entry){tag, val};
}

/* tlb_drop_page erases the entries that map an address under a PCID, of every size, and all pieces
 * of a page that was broken up; global ones too if asked. */
void tlb_drop_page(struct tlb *t, uint64_t addr, unsigned pcid, bool globals);
#define TLB_ALL_PCIDS UINT32_MAX
/* tlb_flush erases all entries of a PCID or of TLB_ALL_PCIDS; global ones only if asked. */
void tlb_flush(struct tlb *t, unsigned pcid, bool globals);

/* tlb_audit returns 0 or the number of the broken invariant. */
int tlb_audit(const struct tlb *t);

#endif
