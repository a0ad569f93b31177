/* json.c: the document "pagewalk.run/1". Its key names are a promise: other tools read them.
 *
 *   schema pagewalk program incomplete machine counters cycles vmstat processes owners frames_total
 *   vmas functions sites
 *
 * Invariants:
 *  I1  cycles: base + memory + translation + fault + kernel = total.
 *  I2  owners sum to frames_total.
 *  I3  Every counter of stat.def stands in exactly one of counters and vmstat; every option of
 *      conf.def stands in machine.
 * Numbers are integers; addresses are strings in hex, because 64 bits do not fit the doubles some
 * readers use.
 */
#include "report/report.h"

#include "report/jsonw.h"
#include "report/processes.h"

#include <string.h>

static void put_program(struct jsonw *w, const struct report_run *run)
{
    jsonw_open(w, "program", '{');
    jsonw_open(w, "argv", '[');
    for (char *const *a = run->argv; *a != NULL; a++)
        jsonw_text(w, NULL, *a);
    jsonw_close(w, ']');
    jsonw_text(w, "path", run->path);
    jsonw_open(w, "exit", '{');
    if (run->signal == 0) {
        jsonw_i64(w, "code", run->exit_code);
        jsonw_null(w, "signal");
    } else {
        jsonw_null(w, "code");
        jsonw_i64(w, "signal", run->signal);
    }
    jsonw_close(w, '}');
    jsonw_u64(w, "wall_ns", run->wall_ns);
    jsonw_close(w, '}');
}

static void put_incomplete(struct jsonw *w, const struct report_run *run)
{
    const char *word = report_incomplete(run->incomplete);
    jsonw_text(w, "incomplete", word);
}

static void put_option(struct jsonw *w, const struct conf *conf, const struct conf_option *o)
{
    char value[CONF_TEXT_MAX];
    uint64_t number = 0;
    if (o->type == CONF_T_NUM || o->type == CONF_T_SIZE || o->type == CONF_T_BOOL)
        memcpy(&number, (const char *)conf + o->offset, sizeof(number));
    if (o->type == CONF_T_NUM || o->type == CONF_T_SIZE)
        jsonw_u64(w, o->key, number);
    else if (o->type == CONF_T_BOOL)
        jsonw_bool(w, o->key, number != 0);
    else
        jsonw_text(w, o->key, conf_format(conf, o, value, sizeof(value)));
}

static void put_machine(struct jsonw *w, const struct conf *conf)
{
    size_t n;
    const struct conf_option *options = conf_options(&n);
    jsonw_open(w, "machine", '{');
    jsonw_text(w, "name", conf->machine_name);
    for (size_t i = 0; i < n; i++)
        put_option(w, conf, &options[i]);
    jsonw_close(w, '}');
}

/* I3: the group VM goes to vmstat, all others to counters. */
static void put_counters(struct jsonw *w, const struct stat_set *stats, const char *key, bool vm)
{
    jsonw_open(w, key, '{');
    for (int i = 0; i < STAT_NR; i++)
        if ((stat_info((enum stat_id)i)->group == STAT_VM) == vm)
            jsonw_u64(w, stat_info((enum stat_id)i)->name, stats->v[i]);
    jsonw_close(w, '}');
}

static void put_cycles(struct jsonw *w, const struct cpu_cycles *c)
{
    jsonw_open(w, "cycles", '{');
    jsonw_u64(w, "total", c->total);
    jsonw_u64(w, "base", c->base);
    jsonw_u64(w, "memory", c->memory);
    jsonw_u64(w, "translation", c->translation);
    jsonw_u64(w, "fault", c->fault);
    jsonw_u64(w, "kernel", c->kernel);
    jsonw_close(w, '}');
}

static void put_owners(struct jsonw *w, const struct report *r)
{
    jsonw_open(w, "owners", '{');
    for (int i = 0; i < FRAME_OWNER_NR; i++)
        jsonw_u64(w, phys_owner_name((enum frame_owner)i), r->owner[i]);
    jsonw_close(w, '}');
    jsonw_u64(w, "frames_total", r->frames);
}

/* put_pools: an object for each size of which pages were asked for or are there. */
static void put_pools(struct jsonw *w, const struct report *r)
{
    jsonw_open(w, "hugetlb", '[');
    for (unsigned i = 0; i < MM_HUGETLB_NR; i++) {
        const struct sim_pool *p = &r->pool[i];
        if (p->asked + p->now.boot + p->now.nr + p->now.overcommit == 0)
            continue;
        jsonw_open(w, NULL, '{');
        jsonw_u64(w, "page_kb", p->now.bytes / 1024);
        jsonw_u64(w, "asked", p->asked);
        jsonw_u64(w, "boot", p->now.boot);
        jsonw_open(w, "boot_nodes", '[');
        for (unsigned nid = 0; nid < p->nodes; nid++)
            jsonw_u64(w, NULL, p->boot_node[nid]);
        jsonw_close(w, ']');
        jsonw_u64(w, "total", p->now.nr);
        jsonw_u64(w, "free", p->now.free);
        jsonw_u64(w, "reserved", p->now.resv);
        jsonw_u64(w, "surplus", p->now.surplus);
        jsonw_close(w, '}');
    }
    jsonw_close(w, ']');
}

static void put_vmas(struct jsonw *w, const struct report *r)
{
    jsonw_open(w, "vmas", '[');
    for (uint32_t i = 0; i < r->n_areas; i++) {
        const struct sim_area *a = &r->areas[i];
        jsonw_open(w, NULL, '{');
        jsonw_text(w, "name", a->label->name);
        jsonw_text(w, "program", a->label->program);
        json_rights(w, a->label->flags);
        jsonw_hex(w, "start", a->label->first_start);
        jsonw_u64(w, "bytes", a->label->cur_bytes);
        jsonw_u64(w, "bytes_max", a->label->max_bytes);
        jsonw_u64(w, "slow_accesses", a->accesses_slow);
        jsonw_u64(w, "stlb_hits", a->stlb_hits);
        jsonw_u64(w, "walks", a->walks);
        jsonw_u64(w, "walk_cycles", a->walk_cycles);
        jsonw_u64(w, "translation_cycles", report_area_translation(r, a));
        jsonw_u64(w, "faults", a->faults);
        jsonw_u64(w, "fault_cycles", a->fault_cycles);
        jsonw_u64(w, "l3_misses", a->l3_misses);
        jsonw_close(w, '}');
    }
    jsonw_close(w, ']');
}

static void put_functions(struct jsonw *w, const struct report *r)
{
    jsonw_open(w, "functions", '[');
    for (uint32_t i = 0; i < r->n_functions; i++) {
        const struct report_function *f = &r->functions[i];
        jsonw_open(w, NULL, '{');
        jsonw_text(w, "name", f->name);
        jsonw_text(w, "object", f->object);
        jsonw_u64(w, "sites", f->sites);
        jsonw_u64(w, "stlb_hits", f->stlb_hits);
        jsonw_u64(w, "walks", f->walks);
        jsonw_u64(w, "walk_cycles", f->walk_cycles);
        jsonw_u64(w, "faults", f->faults);
        jsonw_u64(w, "fault_cycles", f->fault_cycles);
        jsonw_u64(w, "cycles", f->cycles);
        jsonw_close(w, '}');
    }
    jsonw_close(w, ']');
}

static void put_site(struct jsonw *w, const struct sim_site *s, const struct symbol *symbol)
{
    jsonw_open(w, NULL, '{');
    jsonw_hex(w, "pc", s->pc);
    jsonw_text(w, "object", symbol->object);
    jsonw_text(w, "symbol", symbol->name);
    jsonw_u64(w, "offset", symbol->offset);
    jsonw_u64(w, "executed", s->executed);
    jsonw_u64(w, "stlb_hits", s->stlb_hits);
    jsonw_u64(w, "walks", s->walks);
    jsonw_u64(w, "walk_cycles", s->walk_cycles);
    jsonw_u64(w, "faults", s->faults);
    jsonw_u64(w, "fault_cycles", s->fault_cycles);
    jsonw_u64(w, "l3_misses", s->l3_misses);
    jsonw_close(w, '}');
}

static void put_sites(struct jsonw *w, const struct report *r)
{
    jsonw_open(w, "sites", '[');
    for (uint32_t i = 0; i < r->n_sites && i < REPORT_SITES_MAX; i++)
        put_site(w, &r->sites[i], &r->symbols[i]);
    jsonw_close(w, ']');
}

/* put_oom: the last processes the OOM killer chose, oldest first; the lines are the kernel's. */
static void put_oom(struct jsonw *w, const struct sim_oom *o)
{
    jsonw_open(w, "oom", '[');
    for (uint64_t i = o->kills - min_u64(o->kills, OOM_EVENTS_MAX); i < o->kills; i++) {
        const struct mm_oom_event *e = &o->event[i % OOM_EVENTS_MAX];
        jsonw_open(w, NULL, '{');
        jsonw_u64(w, "pid", e->pid);
        jsonw_u64(w, "pgfault", e->pgfault);
        jsonw_u64(w, "diverged_at_event", o->at_event);
        jsonw_text(w, "line", e->line);
        jsonw_close(w, '}');
    }
    jsonw_close(w, ']');
}

/* put_overflow: the first kernel stack that was too small. */
static void put_overflow(struct jsonw *w, const struct sim_overflow *o)
{
    if (o->times == 0) {
        jsonw_null(w, "kernel_stack_overflow");
        return;
    }
    jsonw_open(w, "kernel_stack_overflow", '{');
    jsonw_u64(w, "times", o->times);
    jsonw_u64(w, "pid", o->pid);
    jsonw_u64(w, "tid", o->tid);
    jsonw_text(w, "comm", o->comm);
    jsonw_text(w, "entry", o->outer);
    jsonw_text(w, "in", o->last);
    jsonw_u64(w, "used", o->used);
    jsonw_u64(w, "size", o->size);
    jsonw_text(w, "hit", o->guarded ? "guard page" : "memory below");
    jsonw_close(w, '}');
}

void report_json(struct sink *out, const struct report *r)
{
    struct jsonw w = {.out = out};
    jsonw_open(&w, NULL, '{');
    jsonw_text(&w, "schema", "pagewalk.run/1");
    jsonw_open(&w, "pagewalk", '{');
    jsonw_text(&w, "version", PW_VERSION);
    jsonw_close(&w, '}');
    put_program(&w, r->run);
    put_incomplete(&w, r->run);
    put_machine(&w, r->conf);
    put_counters(&w, r->stats, "counters", false);
    put_cycles(&w, &r->cycles);
    put_counters(&w, r->stats, "vmstat", true);
    json_processes(&w, r);
    put_owners(&w, r);
    put_pools(&w, r);
    put_oom(&w, &r->oom);
    put_overflow(&w, &r->overflow);
    put_vmas(&w, r);
    put_functions(&w, r);
    put_sites(&w, r);
    jsonw_close(&w, '}');
}
