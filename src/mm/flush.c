/* flush.c: what mm tells the hardware to forget. Who must hear of it is not mm's business (kern/tlb.c).
 *
 *   flush_tlb_range, _page, flush_space   at once
 *   unmap_flush_later … unmap_flush_end   reclaim and migration take many pages: one flush for all
 *
 * Source: Linux 6.18 arch/x86/include/asm/tlbflush.h (flush_tlb_range lets tables be freed, a page's
 * flush does not), include/linux/pgtable.h, mm/pgtable-generic.c, mm/rmap.c.
 */
#include "mm/mm_int.h"

static void flush(struct mm *m, struct arch_msg msg)
{
    msg.mm = m->mm_id;
    arch_put(m->sys->outbox, msg);
}

void flush_tlb_range(struct mm *m, uint64_t start, uint64_t end, unsigned shift)
{
    flush(m,
          (struct arch_msg){
              .kind = ARCH_FLUSH_RANGE, .n = (uint8_t)shift, .tables = true, .a = start, .b = end});
}

void flush_tlb_page(struct mm *m, vaddr a)
{
    flush(m, (struct arch_msg){
                 .kind = ARCH_FLUSH_RANGE, .n = PAGE_SHIFT, .a = a.v, .b = a.v + PAGE_SIZE});
}

void flush_pmd_tlb_range(struct mm *m, uint64_t at)
{
    flush_tlb_range(m, at, at + HPAGE_PMD_SIZE, PAGE_SHIFT);
}

void flush_space(struct mm *m)
{
    flush(m, (struct arch_msg){.kind = ARCH_FLUSH_ALL, .tables = true});
}

void unmap_flush_later(struct mm *m, uint64_t start, uint64_t end, bool dirty)
{
    m->put_off = true;
    flush(m, (struct arch_msg){.kind = ARCH_FLUSH_UNMAP, .n = dirty, .a = start, .b = end});
}

void flush_tlb_pending(struct mm *m)
{
    if (m->put_off)
        flush(m, (struct arch_msg){.kind = ARCH_FLUSH_LATE});
    m->put_off = false;
}

void unmap_flush_end(struct mm_sys *s)
{
    arch_put(s->outbox, (struct arch_msg){.kind = ARCH_FLUSH_BATCH});
}

void unmap_flush_dirty(struct mm_sys *s)
{
    arch_put(s->outbox, (struct arch_msg){.kind = ARCH_FLUSH_BATCH, .n = true});
}
