/* machine.c: the machine that fuzz targets of sim, kern and front share, see fuzz.h. */
#include "event/ring.h"
#include "fuzz/fuzz.h"
#include "sim/sim.h"

#include <sys/mman.h>

void fuzz_conf_small(struct conf *c)
{
    conf_init(c);
    c->phys_size = MIB(64);
    c->phys_kernel_image = MIB(1);
    c->cpu_cores = 1;
    c->l2_size = MIB(1);
    c->l2_ways = 16;
    c->l3_size = MIB(1);
    c->l3_ways = 16;
}

static void map(struct sim *s, uint64_t at, uint32_t prot)
{
    struct mm_map m = {.addr = va(at),
                       .len = FUZZ_MAPPED,
                       .prot = prot,
                       .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                       .forced = true};
    ASSERT(mm_mmap(sim_mm(s), &m) == (int64_t)at);
}

struct sim *fuzz_sim(void)
{
    struct sim *s;
    struct conf c;
    fuzz_conf_small(&c);
    ASSERT(sim_open(&s, &c) == 0);
    map(s, FUZZ_CODE, PROT_READ | PROT_EXEC);
    map(s, FUZZ_DATA, PROT_READ | PROT_WRITE);
    return s;
}

void fuzz_block_record(struct fuzz_bytes *b, struct ring_block *at)
{
    unsigned insns = 1 + fuzz_take(b, 1) % 8, bytes = 0;
    memset(at, 0, sizeof *at);
    at->pc = FUZZ_CODE + fuzz_take(b, 2);
    for (unsigned i = 0; i < insns; i++) {
        at->data[i] = (uint8_t)(1 + fuzz_take(b, 1) % 15);
        bytes += at->data[i];
    }
    for (unsigned i = 0; i < bytes; i++)
        at->data[insns + i] = (uint8_t)fuzz_take(b, 1);
    at->insns = (uint16_t)insns;
    at->code_bytes = (uint16_t)bytes;
    at->bytes = (uint32_t)align_up(sizeof *at + insns + bytes, 8);
}
