/* discard.c: a consumer that looks at every word and models nothing. What a run takes with it is what
 * the emulator, the plugin and the rings cost.
 *
 *   BLOCK ACCESS ACCESS CONTROL payload … | payload ACCESS …      | is where one quantum ends
 *            1      2                      `skip` goes over       3
 *
 * I1  Payload words of a control record are never taken for accesses, wherever a quantum ends.
 */
#include "event/event.h"
#include "front/front_int.h"

uint64_t discard_words(const uint64_t *words, size_t n, uint64_t *skip)
{
    uint64_t accesses = 0;
    size_t i = *skip < n ? *skip : n;

    *skip -= i; /* I1 */
    while (i < n) {
        unsigned kind = event_kind(words[i]);
        size_t step = kind == EV_CONTROL ? 1 + event_words(words[i]) : 1;

        accesses += kind == EV_ACCESS;
        if (step > n - i)
            *skip = step - (n - i);
        i += step;
    }
    return accesses;
}
