/* ref_asid.c: see ref_asid.h. Every rule on its own, as arch/x86/mm/tlb.c of Linux 6.18 has it, without
 * its data structures: a slot counts the requests it missed instead of comparing generations. */
#include "ref/ref_asid.h"

#include <string.h>

static void begin(struct ref_asid *r)
{
    memset(r->act, 0, sizeof(r->act));
    memset(r->ipi, 0, sizeof(r->ipi));
}

static void empty_slot(struct ref_asid_cpu *c, int slot)
{
    for (int p = 0; p < REF_PAGES; p++)
        c->holds[slot][p] = -1;
}

void ref_asid_open(struct ref_asid *r, bool pcid, int ceiling)
{
    memset(r, 0, sizeof(*r));
    r->pcid = pcid;
    r->ceiling = ceiling;
    for (int n = 0; n < REF_CPUS; n++)
        for (int s = 0; s < REF_SLOTS; s++) {
            r->cpu[n].next = 1;
            r->cpu[n].slots[s].space = s == 0 ? 0 : -1;
            empty_slot(&r->cpu[n], s);
        }
}

static void load(struct ref_asid *r, int cpu, int space, int slot, bool flush)
{
    struct ref_asid_cpu *c = &r->cpu[cpu];
    c->loaded = space;
    c->slot = slot;
    if (flush) {
        c->slots[slot].space = space;
        c->slots[slot].missed = 0;
        empty_slot(c, slot);
    }
    r->act[cpu] = flush ? ACT_LOAD_FLUSH : ACT_LOAD;
}

static void go(struct ref_asid *r, int cpu, int space)
{
    struct ref_asid_cpu *c = &r->cpu[cpu];
    bool lazy = c->lazy;
    c->lazy = false;
    if (c->loaded == space) {
        if (lazy && c->slots[c->slot].missed > 0)
            load(r, cpu, space, c->slot, true);
        return;
    }
    if (space != 0)
        r->member[space][cpu] = true;
    if (!r->pcid) {
        load(r, cpu, space, 0, true);
        return;
    }
    for (int s = 0; s < REF_SLOTS; s++)
        if (c->slots[s].space == space) {
            load(r, cpu, space, s, c->slots[s].missed > 0);
            return;
        }
    int slot = c->next % REF_SLOTS;
    c->next = slot + 1;
    load(r, cpu, space, slot, true);
}

void ref_asid_switch(struct ref_asid *r, int cpu, int space)
{
    begin(r);
    go(r, cpu, space);
}

void ref_asid_lazy(struct ref_asid *r, int cpu)
{
    begin(r);
    r->cpu[cpu].lazy = r->cpu[cpu].loaded != 0;
}

void ref_asid_reborn(struct ref_asid *r, int space)
{
    begin(r);
    for (int n = 0; n < REF_CPUS; n++)
        if (r->cpu[n].loaded == space)
            go(r, n, 0);
    for (int n = 0; n < REF_CPUS; n++) {
        r->member[space][n] = false;
        for (int s = 0; s < REF_SLOTS; s++)
            if (r->cpu[n].slots[s].space == space)
                r->cpu[n].slots[s].space = -1;
    }
    for (int p = 0; p < REF_PAGES; p++)
        r->version[space][p]++;
}

static void missed_by_all(struct ref_asid *r, int space)
{
    for (int n = 0; n < REF_CPUS; n++)
        for (int s = 0; s < REF_SLOTS; s++)
            r->cpu[n].slots[s].missed += r->cpu[n].slots[s].space == space;
}

/* The handler. space -1: whichever is loaded. */
static void obey(struct ref_asid *r, int cpu, int space, int first, int n, bool all)
{
    struct ref_asid_cpu *c = &r->cpu[cpu];
    struct ref_slot *s = &c->slots[c->slot];
    if (space >= 0 && c->loaded != space) {
        r->member[space][cpu] = false;
    } else if (c->loaded != 0 && c->lazy) {
        go(r, cpu, 0);
    } else if (c->loaded != 0 && s->missed > 0) {
        bool some = !all && s->missed == 1;
        for (int p = some ? first : 0; p < (some ? first + n : REF_PAGES); p++)
            c->holds[c->slot][p] = -1;
        s->missed = 0;
        r->act[cpu] = some ? ACT_PAGES : ACT_ALL;
    }
}

static bool spared(const struct ref_asid *r, int cpu, int space, bool trim)
{
    const struct ref_asid_cpu *c = &r->cpu[cpu];
    return c->lazy || (space >= 0 && c->loaded != space && !trim);
}

static void tell(struct ref_asid *r, int cpu, const bool *who, int space, int first, int n,
                 bool tables, bool trim)
{
    bool others = false, all = n > r->ceiling;
    for (int i = 0; i < REF_CPUS; i++)
        others |= i != cpu && who[i];
    if (!others && space >= 0 && r->cpu[cpu].loaded == space)
        obey(r, cpu, space, first, n, all);
    if (!others && space < 0 && who[cpu])
        obey(r, cpu, space, first, n, all);
    bool listed[REF_CPUS];
    memcpy(listed, who, sizeof(listed)); /* obeying takes members out */
    for (int i = 0; i < REF_CPUS && others; i++) {
        if (!listed[i] || (!tables && spared(r, i, space, trim)))
            continue;
        r->ipi[i] = i != cpu;
        obey(r, i, space, first, n, all);
    }
}

void ref_asid_flush(struct ref_asid *r, int cpu, int space, int first, int n, bool tables,
                    bool trim)
{
    begin(r);
    for (int p = first; p < first + n; p++)
        r->version[space][p]++;
    missed_by_all(r, space);
    tell(r, cpu, r->member[space], space, first, n, tables, trim);
}

void ref_asid_put_off(struct ref_asid *r, int cpu, int space, int page)
{
    bool others = false;
    for (int i = 0; i < REF_CPUS; i++)
        others |= i != cpu && r->member[space][i];
    if (!others) {
        ref_asid_flush(r, cpu, space, page, 1, false, false);
        return;
    }
    begin(r);
    r->version[space][page]++;
    missed_by_all(r, space);
    for (int i = 0; i < REF_CPUS; i++)
        r->batch[i] |= r->member[space][i];
    r->batched = true;
}

void ref_asid_put_off_end(struct ref_asid *r, int cpu)
{
    begin(r);
    if (r->batched)
        tell(r, cpu, r->batch, -1, 0, REF_PAGES + r->ceiling, false, false);
    memset(r->batch, 0, sizeof(r->batch));
    r->batched = false;
}

void ref_asid_use(struct ref_asid *r, int cpu, int page)
{
    struct ref_asid_cpu *c = &r->cpu[cpu];
    if (c->holds[c->slot][page] >= 0)
        return;
    c->holds[c->slot][page] = r->version[c->loaded][page];
    c->owner[c->slot][page] = c->loaded;
}
