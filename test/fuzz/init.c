/* init.c: before libFuzzer reads its corpus directory, the last word of its command line, the seeds of
 * the target are written there. */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <sys/stat.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *dir = (*argv)[*argc - 1];
    uint8_t buf[FUZZ_MAX];
    struct stat st;
    size_t n;
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
        return 0; /* one input is tried again */
    for (unsigned i = 0; (n = fuzz_seed(i, buf)) > 0; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/seed-%u", dir, i);
        FILE *f = fopen(path, "wb");
        ASSERT(f && fwrite(buf, 1, n, f) == n && fclose(f) == 0);
    }
    return 0;
}
