/* one_box.h: one machine of 64 MiB for each test of a file, with a file of FILE_PAGES pages where that is
 * defined before it is included. */
#ifndef TEST_ONE_BOX_H
#define TEST_ONE_BOX_H

#include "unit/mm/mm_fixture.h"

static struct box box;
#ifdef FILE_PAGES
static struct mm_file *file;
#endif

static int setup(void **state)
{
    (void)state;
    box_open(&box, MIB(64), false);
#ifdef FILE_PAGES
    file = mm_file(box.sys, 1, 1, FILE_PAGES * K, "/data");
#endif
    return 0;
}

static int teardown(void **state)
{
    (void)state;
#ifdef FILE_PAGES
    mm_file_put(box.sys, file);
#endif
    box_close(&box);
    return 0;
}

#endif
