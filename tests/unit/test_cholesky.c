/* The Cholesky factor of the CPU backend: what it is, and the pivot it stops at. */
#include "check.h"

#include "cpu/cholesky.h"

#include <math.h>

enum { N = 4, LD = 6 };

/* L of the test: positive diagonal, so it is the factor of L L^T. */
static const double lower[N][N] = {{2, 0, 0, 0}, {-1, 3, 0, 0}, {0.5, 1, 1.5, 0}, {4, -2, 0.25, 1}};

static void product(double *a) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i * LD + j] = 0;
            for (int k = 0; k < N; k++) a[i * LD + j] += lower[i][k] * lower[j][k];
        }
}

static void factor(void **state) {
    (void)state;
    double a[N * LD];
    product(a);
    assert_int_equal(bt_cholesky(a, N, LD), 0);
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i; j++) assert_true(fabs(a[i * LD + j] - lower[i][j]) < 1e-14);
}

static void pivots(void **state) {
    (void)state;
    const double bad[] = {NAN, INFINITY, -INFINITY, -1, 0};
    for (int pivot = 0; pivot < N; pivot++)
        for (int i = 0; i < 5; i++) {
            double a[N * LD];
            product(a);
            for (int j = 0; j < pivot; j++) a[pivot * LD + j] = 0; /* nothing is taken off this pivot */
            a[pivot * LD + pivot] = bad[i];
            assert_int_equal(bt_cholesky(a, N, LD), pivot + 1);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(factor), cmocka_unit_test(pivots)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
