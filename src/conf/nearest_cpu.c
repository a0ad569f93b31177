/* nearest_cpu.c: which preset stands nearest to a CPU.
 *
 * Source of the model numbers: Linux 6.x, arch/x86/include/asm/intel-family.h; for AMD the
 * "Revision Guide" of each family, as in arch/x86/kernel/cpu/amd.c (bsp_init_amd, init_amd_zn).
 * Rows are searched from the top, so the last row of a vendor, which takes every model, is the
 * answer for CPUs younger than this table.
 */
#include "conf/machines.h"

#include <stdio.h>
#include <string.h>

struct row {
    const char *vendor;   /* as in CPUID leaf 0 */
    unsigned family;      /* display family; 0: any */
    unsigned first, last; /* display models, inclusive */
    const char *preset;   /* the file */
    const char *cpu;      /* what the CPU is */
    const char *why;      /* NULL: it is that CPU; else why the preset is near */
};

#define INTEL      "GenuineIntel"
#define AMD        "AuthenticAMD"
#define OLDER_LAKE "its TLBs have the same organisation or are one generation older"
#define SUNNY      "its second-level TLB has the same two halves"

static const struct row rows[] = {
    {INTEL, 6, 0x55, 0x55, "skylake-sp", "Skylake-SP or Cascade Lake", NULL},
    {INTEL, 6, 0x8f, 0x8f, "golden-cove", "Sapphire Rapids", NULL},
    {INTEL, 6, 0xcf, 0xcf, "golden-cove", "Emerald Rapids", NULL},
    {INTEL, 6, 0x97, 0x97, "golden-cove", "Alder Lake", "the same core with smaller caches"},
    {INTEL, 6, 0x9a, 0x9a, "golden-cove", "Alder Lake", "the same core with smaller caches"},
    {INTEL, 6, 0xb7, 0xb7, "golden-cove", "Raptor Lake", "the same core with smaller caches"},
    {INTEL, 6, 0xba, 0xba, "golden-cove", "Raptor Lake", "the same core with smaller caches"},
    {INTEL, 6, 0xbf, 0xbf, "golden-cove", "Raptor Lake", "the same core with smaller caches"},
    {INTEL, 6, 0xad, 0xae, "golden-cove", "Granite Rapids", "the next core of the same line"},
    {INTEL, 6, 0x6a, 0x6c, "golden-cove", "Ice Lake server", SUNNY},
    {INTEL, 6, 0x7d, 0x7e, "golden-cove", "Ice Lake", SUNNY},
    {INTEL, 6, 0x8c, 0x8d, "golden-cove", "Tiger Lake", SUNNY},
    {INTEL, 6, 0xa7, 0xa7, "golden-cove", "Rocket Lake", SUNNY},
    {INTEL, 6, 0x4e, 0x4e, "skylake-sp", "Skylake", OLDER_LAKE},
    {INTEL, 6, 0x5e, 0x5e, "skylake-sp", "Skylake", OLDER_LAKE},
    {INTEL, 6, 0x8e, 0x8e, "skylake-sp", "Kaby Lake", OLDER_LAKE},
    {INTEL, 6, 0x9e, 0x9e, "skylake-sp", "Kaby Lake", OLDER_LAKE},
    {INTEL, 6, 0xa5, 0xa6, "skylake-sp", "Comet Lake", OLDER_LAKE},
    {INTEL, 6, 0x3d, 0x3d, "skylake-sp", "Broadwell", OLDER_LAKE},
    {INTEL, 6, 0x47, 0x47, "skylake-sp", "Broadwell", OLDER_LAKE},
    {INTEL, 6, 0x4f, 0x4f, "skylake-sp", "Broadwell server", OLDER_LAKE},
    {INTEL, 6, 0x56, 0x56, "skylake-sp", "Broadwell server", OLDER_LAKE},
    {INTEL, 6, 0x3c, 0x3c, "skylake-sp", "Haswell", OLDER_LAKE},
    {INTEL, 6, 0x3f, 0x3f, "skylake-sp", "Haswell server", OLDER_LAKE},
    {INTEL, 6, 0x45, 0x46, "skylake-sp", "Haswell", OLDER_LAKE},
    {INTEL, 6, 0x00, 0x54, "skylake-sp", "an older Intel core", "the oldest Intel preset"},
    {INTEL, 0, 0x00, 0xff, "golden-cove", "an Intel core unknown here", "the newest Intel preset"},
    {AMD, 0x19, 0x10, 0x1f, "zen4", "Zen 4 (EPYC 9004)", NULL},
    {AMD, 0x19, 0xa0, 0xaf, "zen4", "Zen 4c (EPYC 9004)", NULL},
    {AMD, 0x19, 0x60, 0x7f, "zen4", "Zen 4 (Ryzen)", NULL},
    {AMD, 0x19, 0x00, 0xff, "zen4", "Zen 3", "the next core of the same line"},
    {AMD, 0x17, 0x00, 0xff, "zen4", "Zen, Zen+ or Zen 2", "the only AMD preset"},
    {AMD, 0x1a, 0x00, 0xff, "zen4", "Zen 5", "the core before it"},
    {AMD, 0, 0x00, 0xff, "zen4", "an AMD core unknown here", "the only AMD preset"},
    {"HygonGenuine", 0, 0x00, 0xff, "zen4", "a Hygon Dhyana", "it descends from AMD's Zen"},
};

static const struct row *find_row(const char *vendor, unsigned family, unsigned model)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        if (strcmp(r->vendor, vendor) == 0 && (r->family == 0 || r->family == family) &&
            model >= r->first && model <= r->last)
            return r;
    }
    return NULL;
}

const char *machines_nearest(const char *vendor, unsigned family, unsigned model, char *note,
                             size_t note_size)
{
    const struct row *r = find_row(vendor, family, model);
    if (!r) {
        snprintf(note, note_size, "host: no preset is near a CPU of vendor `%s`; taking default",
                 vendor);
        return "default";
    }
    snprintf(note, note_size, "host: family %u model %u is %s; taking %s%s%s", family, model,
             r->cpu, r->preset, r->why ? ": " : "", r->why ? r->why : "");
    return r->preset;
}
