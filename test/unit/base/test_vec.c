/* Growing arrays. */
#include "base/vec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void vec_keeps_elements_while_it_grows(void **state)
{
    int *v = NULL;
    size_t cap = 0;
    (void)state;
    for (size_t n = 0; n < 1000; n++) {
        v = vec_room(v, n, &cap, sizeof(*v));
        assert_non_null(v);
        assert_true(cap > n && cap <= 2 * n + 8);
        v[n] = (int)n;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(v[i], i);
    free(v);
}

static void vec_refuses_a_size_that_overflows(void **state)
{
    size_t cap = 0;
    (void)state;
    assert_null(vec_room(NULL, SIZE_MAX / 4, &cap, 16));
    assert_int_equal(cap, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vec_keeps_elements_while_it_grows),
        cmocka_unit_test(vec_refuses_a_size_that_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
