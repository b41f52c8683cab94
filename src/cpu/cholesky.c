/* Cholesky factor: dpotrf, or a plain row-by-row loop (see cpu/cholesky.h). */
#include "cpu/cholesky.h"

#include <bittern/status.h>

#include <limits.h>
#include <math.h>

#ifdef BITTERN_WITH_LAPACK
#include <lapacke.h>

/* The lower part of a row-major matrix is the upper part of the same memory read by columns. */
static int64_t factor(double *a, int64_t n, int64_t ld) {
    BT_ASSERT(ld <= INT_MAX);
    lapack_int info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', (lapack_int)n, a, (lapack_int)ld);
    BT_ASSERT(info >= 0);
    return info;
}
#else
static int64_t factor(double *a, int64_t n, int64_t ld) {
    for (int64_t i = 0; i < n; i++) {
        double *row = a + i * ld;
        for (int64_t j = 0; j <= i; j++) {
            const double *above = a + j * ld;
            double s = row[j];
            for (int64_t k = 0; k < j; k++) s -= row[k] * above[k];
            if (j < i) {
                row[j] = s / above[j];
            } else {
                if (!(s > 0)) return i + 1;
                row[i] = sqrt(s);
            }
        }
    }
    return 0;
}
#endif

/* LAPACK's comparison with 0 may let a NaN pass as a pivot. */
int64_t bt_cholesky(double *a, int64_t n, int64_t ld) {
    int64_t failed = factor(a, n, ld), finished = failed ? failed - 1 : n;
    for (int64_t i = 0; i < finished; i++)
        if (!(a[i * ld + i] > 0 && isfinite(a[i * ld + i]))) return i + 1;
    return failed;
}
