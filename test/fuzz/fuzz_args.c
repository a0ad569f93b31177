/* fuzz_args: command lines. Byte 0: the verb; then the words, each behind a newline.
 *
 * What is taken has values where options take them and words of the command line as operands; what is
 * refused gives one line on stderr and no arguments. */
#include "fuzz/fuzz.h"

#include "cli/cli.h"

#define WORDS_MAX 64

static void check_args(const struct cli_args *a, int argc, char **argv)
{
    for (size_t i = 0; i < a->n_given; i++)
        ASSERT((a->given[i].value != NULL) == (a->given[i].option->value != NULL));
    ASSERT(a->n_operands <= (size_t)argc && a->operands[a->n_operands] == NULL);
    for (size_t i = 0; i < a->n_operands; i++) /* they are the last words that are no options */
        ASSERT(!a->verb->program || a->operands[i] == argv[argc - (int)a->n_operands + (int)i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t verbs;
    const struct cli_verb *const *verb = cli_verbs(&verbs);
    char *argv[WORDS_MAX + 1] = {NULL}, *word;
    struct cli_args a = {0};
    int argc = 0;
    if (size == 0)
        return 0;
    char *text = fuzz_text(data + 1, size - 1), *rest = text;
    while (argc < WORDS_MAX && (word = strsep(&rest, "\n")))
        argv[argc++] = word;
    fuzz_hush();
    int status = args_parse(&a, verb[data[0] % verbs], argc, argv);
    unsigned lines = fuzz_heard();
    ASSERT(status == 0 ? lines == 0 : status == STATUS_FAILED && lines == 1 && a.given == NULL);
    if (status == 0) {
        check_args(&a, argc, argv);
        args_close(&a);
    }
    free(text);
    return 0;
}

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\0--machine\nhost\n--set=phys.size=1G\n-qv\n--\nls\n-l"),
    FUZZ_SEED("\0-oFILE\n-o\nFILE\n--json=a\nprogram\n--json"),
    FUZZ_SEED("\1--pid\n7\n--range=0x1000-0x2000\npagemap"),
    FUZZ_SEED("\2list"),
    FUZZ_SEED("\2show\n--help"),
    FUZZ_SEED("\3tlb.l2.entries"),
    FUZZ_SEED("\4-h"),
    FUZZ_SEED("\1-p"),
    FUZZ_SEED("\0-\n--\n--"),
};
FUZZ_SEEDS(seeds)
