/* cpu.h: time. First version: an additive model, cycles = Σ events × exposed latency, whose parts
 * sum to the total. It reads counters after the fact, so it costs the hot path nothing. A core
 * model with overlap can take its place behind this header.
 *
 *   base         instructions × cpu.cpi / 1000
 *   memory       data and instruction lines beyond L1, each at its latency × exposed share
 *   translation  second-level TLB hits × penalty and walker cycles, × exposed share
 *   fault        Σ fault_cycles.*   (named steps, exact)
 *   kernel       Σ kernel_cycles.*  (named steps, exact)
 */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include "conf/conf.h"
#include "stat/stat.h"

struct cpu_cycles {
    uint64_t total, base, memory, translation, fault, kernel; /* total = sum of the other five */
};

void cpu_cycles(const struct conf *conf, const struct stat_set *stats, struct cpu_cycles *ret);

/* cpu_translation returns the exposed cycles of some second-level TLB hits and walker cycles, for
 * attribution to a VMA or a site. */
uint64_t cpu_translation(const struct conf *conf, uint64_t stlb_hits, uint64_t walk_cycles);

#endif
