/* matmul: dense N x N product, dot products of a row and a column: two loads per step, nearly all
 * of them hits once a column's pages are in the TLB.
 * usage: matmul [N]   default 512: 269 M accesses. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 512;
    double *a = malloc(n * n * sizeof(*a)), *b = malloc(n * n * sizeof(*b));
    double *c = malloc(n * n * sizeof(*c));

    if (!a || !b || !c)
        return 1;
    for (size_t i = 0; i < n * n; i++) {
        a[i] = (double)(i % 7);
        b[i] = (double)(i % 11);
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t k = 0; k < n; k++)
                sum += a[i * n + k] * b[k * n + j];
            c[i * n + j] = sum;
        }
    }
    printf("%g\n", c[n * n / 2]);
    return 0;
}
