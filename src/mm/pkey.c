/* pkey.c: protection keys: 16 keys an address space may hand out, and PROT_EXEC alone.
 *
 *   key 0    every mapping's until pkey_mprotect; never given out
 *   1 … 15   pkey_alloc, pkey_free; a mapping keeps its key after pkey_free
 *   one      is taken for mappings with PROT_EXEC alone, which then cannot be read
 *
 * Without mmu.pku no key exists, not even key 0: the calls refuse all. The first pkey_alloc finds key
 * 0 free and fails to set its rights, but cannot give it back: the next ones find none free.
 *
 * Source: Linux 6.18 mm/mprotect.c (pkey_alloc, pkey_free), arch/x86/mm/pkeys.c,
 * arch/x86/include/asm/pkeys.h.
 */
#include "mm/mm_int.h"

#define PKEYS            16u
#define PKEY_ACCESS_MASK 3u /* PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE */

void pkey_init(struct mm *m)
{
    m->pkeys = m->sys->conf.mmu_pku ? 1 : 0;
    m->execute_only_pkey = 0;
}

bool pkey_is_allocated(const struct mm *m, int pkey)
{
    return m->sys->conf.mmu_pku && pkey >= 0 && pkey < (int)PKEYS && (m->pkeys >> pkey & 1) &&
           !(pkey != 0 && pkey == m->execute_only_pkey);
}

static int take_key(struct mm *m)
{
    for (int k = 1; k < (int)PKEYS; k++)
        if (!(m->pkeys >> k & 1)) {
            m->pkeys |= (uint16_t)(1u << k);
            return k;
        }
    return -ENOSPC;
}

int mm_pkey_alloc(struct mm *m, uint64_t flags, uint64_t rights)
{
    if (flags != 0 || (rights & ~(uint64_t)PKEY_ACCESS_MASK))
        return -EINVAL;
    if (m->sys->conf.mmu_pku)
        return take_key(m);
    bool lost = m->pkeys & 1;
    m->pkeys |= 1;
    return lost ? -ENOSPC : -EINVAL;
}

int mm_pkey_free(struct mm *m, int pkey)
{
    if (!pkey_is_allocated(m, pkey))
        return -EINVAL;
    m->pkeys &= (uint16_t) ~(1u << pkey);
    return 0;
}

int execute_only_pkey(struct mm *m)
{
    if (!m->sys->conf.mmu_pku)
        return 0;
    if (m->execute_only_pkey == 0) {
        int key = take_key(m);
        m->execute_only_pkey = key > 0 ? key : 0;
    }
    return m->execute_only_pkey;
}

int override_mprotect_pkey(struct mm *m, const struct vma *v, uint32_t prot, int pkey)
{
    const uint32_t rwx = PROT_READ | PROT_WRITE | PROT_EXEC;
    int own = (int)((v->flags & VM_PKEY_MASK) >> VM_PKEY_SHIFT);
    if (pkey != -1)
        return pkey;
    if ((prot & rwx) == PROT_EXEC) {
        int key = execute_only_pkey(m);
        if (key > 0)
            return key;
    }
    bool exec_only = own != 0 && own == m->execute_only_pkey;
    return exec_only && (v->flags & VM_ACCESS_FLAGS) == VM_EXEC ? 0 : own;
}
