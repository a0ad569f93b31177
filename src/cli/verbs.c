/* verbs.c: the table of verbs, in the order help shows them. */
#include "cli/cli.h"

#include "base/bits.h"

#include <string.h>

static const struct cli_verb *const verbs[] = {
    &verb_run, &verb_view, &verb_machine, &verb_explain, &verb_doctor, &verb_man, &verb_help,
};

const struct cli_verb *const *cli_verbs(size_t *ret_n)
{
    *ret_n = ARRAY_LEN(verbs);
    return verbs;
}

const struct cli_verb *cli_verb_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}
