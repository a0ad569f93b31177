/* made.h: a report made by hand, for tests of what reads one. Every figure is chosen so that the
 * results can be computed on paper. */
#ifndef TEST_REPORT_MADE_H
#define TEST_REPORT_MADE_H

#include "report/report.h"

#include <string.h>

#define MADE_AREAS 4
#define MADE_SITES 3

struct made {
    struct report report;
    struct report_run run;
    struct conf conf;
    struct stat_set stats, nobodys;
    struct sim_process process[3];
    struct mm_label label[MADE_AREAS];
    struct sim_area area[MADE_AREAS];
    struct sim_site site[MADE_SITES];
    struct symbol symbol[MADE_SITES];
    struct report_function function[MADE_SITES];
    char *argv[4];
};

static inline void made_area(struct made *m, unsigned i, const char *name, uint64_t bytes,
                             uint64_t walks, uint64_t walk_cycles, uint64_t faults)
{
    m->label[i] = (struct mm_label){.flags = VM_READ | VM_WRITE,
                                    .first_start = 0x10000000 * (i + 1),
                                    .max_bytes = bytes,
                                    .cur_bytes = bytes};
    strncpy(m->label[i].name, name, sizeof(m->label[i].name) - 1);
    m->area[i] = (struct sim_area){.label = &m->label[i],
                                   .walks = walks,
                                   .walk_cycles = walk_cycles,
                                   .faults = faults,
                                   .fault_cycles = faults * 2000};
}

/* made_open fills a program of 1 G instructions that walks for its heap. Full exposure, so that
 * translation cycles equal walk cycles. */
static inline void made_open(struct made *m)
{
    *m = (struct made){.argv = {"prog", "-x", "file", NULL}};
    conf_init(&m->conf);
    m->conf.cpu_exposed_walk = 100;
    m->conf.cpu_exposed_stlb = 100;
    m->run = (struct report_run){
        .argv = m->argv, .path = "/bin/prog", .machine_note = "", .wall_ns = 1500000000};
    made_area(m, 0, "[heap]", MIB(512), 1000000, 60000000, 131072);
    made_area(m, 1, "/usr/lib/libc.so.6", MIB(2), 1000, 40000, 30);
    made_area(m, 2, "[stack]", KIB(132), 10, 400, 5);
    made_area(m, 3, "[vdso]", KIB(8), 0, 0, 0);
    STAT(&m->stats, instructions) = 1000000000;
    STAT(&m->stats, loads) = 300000000;
    STAT(&m->stats, stores) = 100000000;
    STAT(&m->stats, dtlb_load_walk) = 1001010;
    STAT(&m->stats, dtlb_load_walk_active) = 60040400;
    STAT(&m->stats, fault_anon) = 131077;
    STAT(&m->stats, fault_cycles_anon) = 262154000;
    STAT(&m->stats, fault_file_read) = 30;
    STAT(&m->stats, fault_cycles_file_read) = 60000;
    STAT(&m->stats, minor_faults) = 131107;
    STAT(&m->stats, sim_threads) = 1;
    m->report = (struct report){.run = &m->run,
                                .conf = &m->conf,
                                .stats = &m->stats,
                                .frames = 4096,
                                .areas = m->area,
                                .n_areas = MADE_AREAS,
                                .sites = m->site,
                                .symbols = m->symbol,
                                .functions = m->function};
    cpu_cycles(&m->conf, &m->stats, &m->report.cycles);
    m->report.owner[FRAME_FREE] = 4000;
    m->report.owner[FRAME_USER_ANON] = 96;
    m->report.process = (struct sim_process){.pid = 42, .path = "/bin/prog", .comm = "prog"};
    m->process[0] = m->report.process;
    m->process[0].stats = m->stats;
    m->report.processes = m->process;
    m->report.n_processes = 1;
    m->report.nobodys = m->report.coreless = &m->nobodys;
}

#endif
