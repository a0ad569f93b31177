/* big_box.h: one machine of 256 MiB for each test of a file about huge pages, and the words of those. */
#ifndef TEST_BIG_BOX_H
#define TEST_BIG_BOX_H

#include "unit/mm/mm_fixture.h"

#define A  UINT64_C(0x200000000000)
#define HP UINT64_C(512) /* pages of a huge page */
#define M2 MIB(2)

static struct box b;

/* big_box opens it, with a pool of so many huge pages, and with the bytes of its frames. 0. */
static inline int big_box(uint64_t pool, bool contents)
{
    box_conf(&b, MIB(256));
    b.conf.hugetlb_2m = pool;
    b.conf.phys_contents = contents;
    box_start(&b);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    box_close(&b);
    return 0;
}

#endif
