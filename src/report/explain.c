/* explain.c: the tables of counters and options, told one row at a time.
 *
 * What a counter feeds and what perf calls it follow from its name, because stat.def takes its
 * names from perf: a rule is a prefix and a suffix. A new counter of a known family needs no edit.
 * Source of the event names: Intel's event lists (perfmon: HSW for page_walker_loads, SKX and SPR
 * for the others); Linux tools/perf/pmu-events/arch/x86/amdzen4/memory.json for AMD.
 */
#include "report/explain.h"

#include "base/bits.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct explain_part parts[] = {
    {"total", "All modelled cycles; the other five parts sum to it.",
     "base + memory + translation + fault + kernel"},
    {"base", "Cycles the instructions would take if every access hit L1 and the first-level TLBs.",
     "instructions x cpu.cpi / 1000"},
    {"memory", "Cycles the core waits for lines beyond the first-level caches.",
     "lines served by L2, L3, DRAM x latency beyond L1 x cpu.exposed.load, .store, .fetch"},
    {"translation", "Cycles the core waits for the second-level TLB and for page walks.",
     "stlb_hit x mmu.stlb_cycles x cpu.exposed.stlb + walk_active x cpu.exposed.walk"},
    {"fault", "Cycles of page faults, from exception entry to return.",
     "sum of fault_cycles.*, which are sums of the named steps cost.fault.*"},
    {"kernel", "Cycles of system calls, memory calls, user copies, signals and exec.",
     "sum of kernel_cycles.*"},
};

const struct explain_part *explain_parts(size_t *ret_n)
{
    *ret_n = ARRAY_LEN(parts);
    return parts;
}

struct rule {
    const char *prefix, *suffix; /* of the counter's name */
    const char *answer;
};

static const struct rule feeds[] = {
    {"instructions", "instructions", "base"},
    {"", "_misses.stlb_hit", "translation"},
    {"", "_misses.walk_active", "translation"},
    {"mem_load_retired.", "l2_hit", "memory"},
    {"mem_load_retired.", "l3_hit", "memory"},
    {"mem_load_retired.", "l3_miss", "memory"},
    {"mem_store.", "l2_hit", "memory"},
    {"mem_store.", "l3_hit", "memory"},
    {"mem_store.", "l3_miss", "memory"},
    {"icache.", "l2_hit", "memory"},
    {"icache.", "l3_hit", "memory"},
    {"icache.", "l3_miss", "memory"},
    {"fault_cycles.", "", "fault"},
    {"kernel_cycles.", "", "kernel"},
};

/* Generic events, the same on every CPU. */
static const struct rule generic_names[] = {
    {"instructions", "instructions", "instructions (generic hardware event)"},
    {"minor-faults", "minor-faults", "minor-faults (software event)"},
    {"major-faults", "major-faults", "major-faults (software event)"},
};

/* Intel's events have the counters' own names. */
static const struct rule intel_names[] = {
    {"dtlb_load_misses.", "", "the same name (Intel core event)"},
    {"dtlb_store_misses.", "", "the same name (Intel core event)"},
    {"itlb_misses.", "", "the same name (Intel core event)"},
    {"page_walker_loads.", "", "the same name (Intel core event, Haswell and Broadwell only)"},
    {"mem_inst_retired.", "", "the same name (Intel core event)"},
    {"mem_load_retired.", "", "the same name (Intel core event)"},
};

#define BOTH " (AMD core event; loads and stores together)"
static const struct rule amd_names[] = {
    {"dtlb_", ".stlb_hit", "ls_l1_d_tlb_miss.all less ls_l1_d_tlb_miss.all_l2_miss" BOTH},
    {"dtlb_", ".walk_completed", "ls_l1_d_tlb_miss.all_l2_miss" BOTH},
    {"dtlb_", ".walk_completed_4k", "ls_l1_d_tlb_miss.tlb_reload_4k_l2_miss" BOTH},
    {"dtlb_", ".walk_completed_2m_4m", "ls_l1_d_tlb_miss.tlb_reload_2m_l2_miss" BOTH},
    {"dtlb_", ".walk_completed_1g", "ls_l1_d_tlb_miss.tlb_reload_1g_l2_miss" BOTH},
    {"itlb_", ".stlb_hit", "bp_l1_tlb_miss_l2_tlb_hit (AMD core event)"},
    {"itlb_", ".walk_completed", "bp_l1_tlb_miss_l2_tlb_miss.all (AMD core event)"},
    {"itlb_", ".walk_completed_4k", "bp_l1_tlb_miss_l2_tlb_miss.if4k (AMD core event)"},
    {"itlb_", ".walk_completed_2m_4m", "bp_l1_tlb_miss_l2_tlb_miss.if2m (AMD core event)"},
    {"itlb_", ".walk_completed_1g", "bp_l1_tlb_miss_l2_tlb_miss.if1g (AMD core event)"},
    {"mem_inst_retired.", "split_loads", "ls_misal_loads.ma64 (AMD core event)"},
};

static const char *answer(const struct rule *rules, size_t n, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < n; i++) {
        size_t p = strlen(rules[i].prefix), s = strlen(rules[i].suffix);
        if (len >= p && len >= s && strncmp(name, rules[i].prefix, p) == 0 &&
            strcmp(name + len - s, rules[i].suffix) == 0)
            return rules[i].answer;
    }
    return NULL;
}

const char *explain_feeds(enum stat_id id)
{
    return answer(feeds, ARRAY_LEN(feeds), stat_info(id)->name);
}

const char *explain_perf(enum stat_id id, const struct conf *conf)
{
    const char *name = stat_info(id)->name;
    const char *generic = answer(generic_names, ARRAY_LEN(generic_names), name);
    if (generic != NULL)
        return generic;
    if (strncmp(conf->cpu_model, "AMD", 3) == 0)
        return answer(amd_names, ARRAY_LEN(amd_names), name);
    return answer(intel_names, ARRAY_LEN(intel_names), name);
}

/* -- one row ----------------------------------------------------------------------------------- */

static void explain_counter(struct sink *out, enum stat_id id, const struct conf *conf)
{
    static const char *const where[STAT_GROUP_NR] = {
        [STAT_HW] = "counters",  [STAT_FAULT] = "counters", [STAT_VM] = "vmstat",
        [STAT_DIV] = "counters", [STAT_SIM] = "counters",
    };
    const struct stat_info *i = stat_info(id);
    const char *part = explain_feeds(id), *perf = explain_perf(id, conf);
    sink_fmt(out, "%s: a counter, in %s\n  %s\n", i->name, stat_unit_name(i->unit), i->meaning);
    if (part != NULL)
        sink_fmt(out, "  feeds    cycles.%s (pagewalk explain %s)\n", part, part);
    else
        sink_text(out, "  feeds    no part of the cycles by itself\n");
    if (perf != NULL)
        sink_fmt(out, "  perf     %s\n", perf);
    else if (i->group == STAT_VM)
        sink_fmt(out, "  Linux    %s of /proc/vmstat\n", i->name);
    sink_fmt(out, "  JSON     %s[\"%s\"]\n", where[i->group], i->name);
}

static void explain_range(struct sink *out, const struct conf_option *o)
{
    switch (o->type) {
    case CONF_T_NUM:
        sink_fmt(out, "  range    %llu to %llu %s\n", (unsigned long long)o->min,
                 (unsigned long long)o->max, o->unit);
        break;
    case CONF_T_SIZE:
        sink_fmt(out, "  range    %llu to %llu bytes; K, M, G, T as suffix\n",
                 (unsigned long long)o->min, (unsigned long long)o->max);
        break;
    case CONF_T_BOOL:
        sink_text(out, "  values   on, off\n");
        break;
    case CONF_T_ENUM:
        sink_fmt(out, "  values   %s\n", o->choices);
        break;
    case CONF_T_TEXT:
        sink_text(out, "  values   any text\n");
        break;
    }
}

static void explain_option(struct sink *out, const struct conf_option *o, const struct conf *conf)
{
    struct conf defaults;
    char now[CONF_TEXT_MAX], then[CONF_TEXT_MAX];
    conf_init(&defaults);
    sink_fmt(out, "%s: an option (--set %s=VALUE)\n  %s\n", o->key, o->key, o->help);
    explain_range(out, o);
    sink_fmt(out, "  default  %s\n", conf_format(&defaults, o, then, sizeof(then)));
    sink_fmt(out, "  now      %s (machine %s)\n", conf_format(conf, o, now, sizeof(now)),
             conf->machine_name);
}

static void explain_part_of_cycles(struct sink *out, const struct explain_part *p)
{
    sink_fmt(out, "%s: a part of the modelled cycles\n  %s\n  is       %s\n", p->name, p->meaning,
             p->formula);
    if (strcmp(p->name, "total") != 0)
        sink_text(out, "  fed by  ");
    for (int i = 0; i < STAT_NR; i++) {
        const char *part = explain_feeds((enum stat_id)i);
        if (part != NULL && strcmp(part, p->name) == 0)
            sink_fmt(out, " %s", stat_info((enum stat_id)i)->name);
    }
    sink_fmt(out, "%s  JSON     cycles[\"%s\"]\n", strcmp(p->name, "total") != 0 ? "\n" : "",
             p->name);
}

static const struct explain_part *part_find(const char *name)
{
    if (strncasecmp(name, "cycles.", 7) == 0)
        name += 7;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strcasecmp(parts[i].name, name) == 0)
            return &parts[i];
    return NULL;
}

static const struct conf_option *option_find(const char *name)
{
    size_t n;
    const struct conf_option *o = conf_options(&n);
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(o[i].key, name) == 0)
            return &o[i];
    return NULL;
}

int explain(struct sink *out, const char *name, const struct conf *conf)
{
    int id = stat_find(name);
    const struct conf_option *option = option_find(name);
    const struct explain_part *part = part_find(name);
    if (id >= 0)
        explain_counter(out, (enum stat_id)id, conf);
    else if (option != NULL)
        explain_option(out, option, conf);
    else if (part != NULL)
        explain_part_of_cycles(out, part);
    else
        return -ENOENT;
    return 0;
}

/* -- the nearest names ------------------------------------------------------------------------- */

#define NAME_MAX_LEN 64 /* longer words are not compared */
#define NEAR_MAX     3

struct near {
    const char *name[NEAR_MAX];
    unsigned distance[NEAR_MAX];
    unsigned n;
};

/* distance is the number of letters to insert, delete or replace (Levenshtein 1966). */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_MAX_LEN + 1];
    size_t n = strlen(b);
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            unsigned above = row[j];
            unsigned change =
                diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            unsigned shift = (row[j - 1] < above ? row[j - 1] : above) + 1;
            row[j] = change < shift ? change : shift;
            diagonal = above;
        }
    }
    return row[n];
}

/* nearness is 0 for a name that contains what was typed, the distance otherwise. */
static unsigned nearness(const char *typed, const char *name)
{
    if (strlen(typed) >= 3 && strcasestr(name, typed) != NULL)
        return 0;
    if (strlen(typed) > NAME_MAX_LEN || strlen(name) > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    return distance(typed, name);
}

static void near_add(struct near *near, const char *typed, const char *name)
{
    unsigned d = nearness(typed, name), i = near->n;
    unsigned limit = (unsigned)strlen(typed) / 3 > 2 ? (unsigned)strlen(typed) / 3 : 2;
    if (d > limit)
        return;
    if (near->n < NEAR_MAX)
        near->n++;
    else if (near->distance[--i] <= d)
        return;
    for (; i > 0 && near->distance[i - 1] > d; i--) {
        near->name[i] = near->name[i - 1];
        near->distance[i] = near->distance[i - 1];
    }
    near->name[i] = name;
    near->distance[i] = d;
}

char *explain_nearest(const char *name, char *buf, size_t size)
{
    struct near near = {.n = 0};
    size_t n, used = 0;
    for (int i = 0; i < STAT_NR; i++)
        near_add(&near, name, stat_info((enum stat_id)i)->name);
    const struct conf_option *o = conf_options(&n);
    for (size_t i = 0; i < n; i++)
        near_add(&near, name, o[i].key);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        near_add(&near, name, parts[i].name);
    buf[0] = '\0';
    for (unsigned i = 0; i < near.n && used < size; i++) {
        const char *between = i == 0 ? "" : i + 1 == near.n ? " or " : ", ";
        int len = snprintf(buf + used, size - used, "%s%s", between, near.name[i]);
        used += len < 0 ? 0 : (size_t)len;
    }
    return buf;
}
