/* timeline.c: the moments of a run in the Trace Event Format, which Perfetto and about:tracing read.
 *
 *   process "modelled cores", a thread a core:   M  names        X  who ran there, from, for
 *                                                i  fault, shootdown, its receipt, fork, exec, exit
 *
 * Times are microseconds in decimal, picoseconds behind the point; they are virtual (otherData.clock).
 *
 * Source: "Trace Event Format" (Google, 2016), sections JSON Object Format, Complete, Instant and Metadata
 * Events.
 */
#include "report/report.h"

#include "report/jsonw.h"

#include <inttypes.h>

#define CORES_PID    1u /* the process the cores are threads of; 0 is the idle task to Perfetto */
#define PS_PER_US    UINT64_C(1000000)
#define TID_OF(core) ((core) + 1u)

static void put_us(struct sink *out, const char *key, uint64_t ps)
{
    sink_fmt(out, ",\"%s\":%" PRIu64 ".%06" PRIu64, key, ps / PS_PER_US, ps % PS_PER_US);
}

static void put_name(struct sink *out, const char *what, unsigned tid, const char *name, unsigned n)
{
    sink_fmt(out, "{\"ph\":\"M\",\"pid\":%u,\"tid\":%u,\"name\":\"%s\",\"args\":{\"name\":\"%s",
             CORES_PID, tid, what, name);
    if (tid != 0)
        sink_fmt(out, " %u", n);
    sink_text(out, "\"}}");
}

static void put_head(struct sink *out, const struct sim_moment *m, const char *name,
                     const char *category, char phase)
{
    sink_text(out, ",\n{\"name\":");
    sink_json_string(out, name);
    sink_fmt(out, ",\"cat\":\"%s\",\"ph\":\"%c\",\"pid\":%u,\"tid\":%u", category, phase, CORES_PID,
             TID_OF(m->core));
    put_us(out, "ts", m->at_ps);
}

static void put_args(struct sink *out, const struct sim_moment *m)
{
    sink_fmt(out, ",\"args\":{\"pid\":%" PRIu32 ",\"tid\":%" PRIu32, m->pid, m->tid);
    if (m->kind == MOMENT_FAULT)
        sink_fmt(out, ",\"address\":\"0x%" PRIx64 "\"", m->what);
    else if (m->kind == MOMENT_SHOOTDOWN)
        sink_fmt(out, ",\"cores\":\"0x%" PRIx64 "\"", m->what);
    else if (m->kind == MOMENT_FORK)
        sink_fmt(out, ",\"child\":%" PRIu64, m->what);
    sink_text(out, "}}");
}

static const char *instant_name(const struct sim_moment *m)
{
    static const char *const name[] = {[MOMENT_SHOOTDOWN] = "shootdown",
                                       [MOMENT_FORK] = "fork",
                                       [MOMENT_EXEC] = "exec",
                                       [MOMENT_EXIT] = "exit",
                                       [MOMENT_RECEIVED] = "shootdown received"};

    return m->kind == MOMENT_FAULT ? stat_info(STAT_fault_anon + m->detail)->name : name[m->kind];
}

static void put_moment(struct sink *out, const struct sim_moment *m)
{
    if (m->kind == MOMENT_RAN) {
        put_head(out, m, m->comm, "sched", 'X');
        put_us(out, "dur", m->for_ps);
    } else {
        put_head(out, m, instant_name(m), m->kind == MOMENT_FAULT ? "fault" : "kernel", 'i');
        sink_text(out, ",\"s\":\"t\"");
    }
    put_args(out, m);
}

static void put_about(struct sink *out, const struct conf *conf, uint64_t lost)
{
    sink_text(out, "\n],\n\"displayTimeUnit\":\"ns\",\n\"otherData\":{\"clock\":\"virtual: "
                   "instructions at nominal CPI, sleeps in real time\",\"machine\":");
    sink_json_string(out, conf->machine_name);
    sink_fmt(out, ",\"lost\":\"%" PRIu64 "\",\"producer\":\"pagewalk\"}}\n", lost);
}

void report_timeline(struct sink *out, const struct report *r)
{
    uint64_t n, lost;
    const struct sim_moment *m = sim_moments(r->sim, &n, &lost);

    sink_text(out, "{\"traceEvents\":[\n");
    put_name(out, "process_name", 0, "modelled cores", 0);
    for (unsigned i = 0; i < r->conf->cpu_cores; i++) {
        sink_text(out, ",\n");
        put_name(out, "thread_name", TID_OF(i), "core", i);
    }
    for (uint64_t i = 0; i < n; i++)
        put_moment(out, &m[i]);
    put_about(out, r->conf, lost);
}
