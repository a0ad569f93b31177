/* crew: the same work by one process, by several, or by threads.
 *
 *   crew alone N      one process does N shares, one after the other
 *   crew forks N      N children do one share each, all at once
 *   crew turns N      N children, one after the other
 *   crew execs N      N children, all at once, each of which executes crew anew
 *   crew threads N    N threads, all at once
 *
 * A share makes about 25 M accesses to 2 MiB of its own, a third of them at random. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS  (UINT64_C(1) << 18)
#define ROUNDS 32

static void *share(void *arg)
{
    uint64_t *word = calloc(WORDS, sizeof(*word)), x = (uint64_t)(uintptr_t)arg + 1, sum = 0;

    if (!word)
        return NULL;
    for (unsigned round = 0; round < ROUNDS; round++)
        for (uint64_t i = 0; i < WORDS; i++) {
            word[i] += x = x * 6364136223846793005u + 1442695040888963407u;
            sum += word[x >> 46];
        }
    free(word);
    return (void *)(uintptr_t)(sum | 1);
}

static int child(const char *self, const char *mode, int i)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid > 0;
    if (strcmp(mode, "execs") == 0)
        execl(self, self, "alone", "1", (char *)NULL);
    else if (share((void *)(intptr_t)i))
        _exit(0);
    _exit(1);
}

static int reap(void)
{
    int status;

    return wait(&status) > 0 && status == 0;
}

static int children(const char *self, const char *mode, int n)
{
    int turns = strcmp(mode, "turns") == 0, ok = 1;

    for (int i = 0; i < n; i++)
        ok = ok && child(self, mode, i) && (!turns || reap());
    for (int i = 0; i < n && !turns; i++)
        ok = reap() && ok;
    return ok;
}

static int threads(int n)
{
    pthread_t thread[64];
    void *end;
    int ok = n <= 64;

    for (int i = 0; i < n && ok; i++)
        ok = pthread_create(&thread[i], NULL, share, (void *)(intptr_t)i) == 0;
    for (int i = 0; i < n && ok; i++)
        ok = pthread_join(thread[i], &end) == 0 && end;
    return ok;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "alone";
    int n = argc > 2 ? atoi(argv[2]) : 1, ok = 1;

    if (strcmp(mode, "threads") == 0)
        return !threads(n);
    if (strcmp(mode, "alone") != 0)
        return !children(argv[0], mode, n);
    for (int i = 0; i < n; i++)
        ok = ok && share((void *)(intptr_t)i);
    return !ok;
}
