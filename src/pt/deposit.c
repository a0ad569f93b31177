/* deposit.c: PTE tables put aside for huge pages.
 *
 *   table of level 1 ─ link_next ─► T2 ─► T1      one for each of its huge leaves
 *        │ entry: huge leaf                       split: T2 is filled and takes the leaf's place
 *
 * The list hangs on the record of the level-1 table's frame, so tables that move with their level-1
 * table (mremap of whole GiB) take their deposits along.
 *
 * I1  A table put aside is all none and has index 0: no entry points to it.
 *
 * Source: Linux 6.18 mm/pgtable-generic.c (pgtable_trans_huge_deposit, pgtable_trans_huge_withdraw).
 */
#include "pt/pt.h"

#include "base/check.h"

/* list_of returns the frame record that heads the deposits of an address. */
static struct frame *list_of(const struct pt *t, vaddr a)
{
    paddr at = pt_entry_paddr(t, a, 1);
    CHECK(at.v != 0);
    return phys_frame(t->phys, paddr_pfn(at));
}

void pt_deposit_table(struct pt *t, vaddr a, pfn table)
{
    struct frame *list = list_of(t, a), *f = phys_frame(t->phys, table);
    f->index = 0; /* I1 */
    f->link_next = list->link_next;
    list->link_next = (uint32_t)(table.v + 1);
    t->deposited++;
}

int pt_deposit(struct pt *t, vaddr a, pfn *ret)
{
    int err = phys_alloc(t->phys, 0, GFP_KERNEL, FRAME_PAGE_TABLE, ret);
    if (err == 0)
        pt_deposit_table(t, a, *ret);
    return err;
}

pfn pt_withdraw(struct pt *t, vaddr a)
{
    struct frame *list = list_of(t, a);
    CHECK(list->link_next != 0 && t->deposited > 0);
    pfn table = {list->link_next - 1};
    struct frame *f = phys_frame(t->phys, table);
    list->link_next = f->link_next;
    f->link_next = 0;
    t->deposited--;
    return table;
}

void pt_withdraw_free(struct pt *t, vaddr a)
{
    phys_free(t->phys, pt_withdraw(t, a), 0);
}

void pt_link(struct pt *t, vaddr a, pfn table)
{
    pte *e = pt_lookup(t, a, 1);
    CHECK(e && (pte_none(*e) || (e->v & PTE_PS)));
    phys_frame(t->phys, table)->index = pt_entry_paddr(t, a, 1).v;
    *e = pte_make(table, PT_TABLE_BITS);
    t->tables[0]++;
}

pfn pt_unlink(struct pt *t, vaddr a)
{
    pte *e = pt_lookup(t, a, 1);
    CHECK(e && pte_present(*e) && !pte_is_leaf(*e, 1));
    pfn table = pte_pfn(*e);
    phys_frame(t->phys, table)->index = 0;
    *e = (pte){0};
    t->tables[0]--;
    return table;
}
