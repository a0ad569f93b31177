/* threads: two threads sort and sum their own arrays and meet at a lock every 1000 steps.
 * usage: threads [N]   default 4,000,000 words per thread. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t total;

struct job {
    uint64_t words; /* length of the thread's array */
    uint64_t seed;  /* what it is filled from */
};

static void *work(void *arg)
{
    const struct job *job = arg;
    uint64_t *word = malloc(job->words * sizeof(*word)), x = job->seed, sum = 0;

    if (!word)
        return NULL;
    for (uint64_t i = 0; i < job->words; i++)
        word[i] = x = x * 6364136223846793005u + 1442695040888963407u;
    for (uint64_t i = 0; i < job->words; i++) {
        sum += word[word[i] % job->words];
        if (i % 1000 == 0) {
            pthread_mutex_lock(&lock);
            total += sum;
            pthread_mutex_unlock(&lock);
        }
    }
    free(word);
    return arg;
}

int main(int argc, char **argv)
{
    uint64_t words = argc > 1 ? strtoull(argv[1], NULL, 10) : 4000000;
    struct job job[2] = {{words, 1}, {words, 2}};
    pthread_t thread[2];
    void *ok[2] = {NULL, NULL};

    for (int i = 0; i < 2; i++) {
        if (pthread_create(&thread[i], NULL, work, &job[i]) != 0)
            return 1;
    }
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], &ok[i]);
    printf("%llx\n", (unsigned long long)total);
    return ok[0] && ok[1] ? 0 : 1;
}
