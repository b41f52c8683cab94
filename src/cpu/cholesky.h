/* The lower Cholesky factor of a small symmetric matrix in double, by LAPACK where the build has it. */
#ifndef BITTERN_CPU_CHOLESKY_H
#define BITTERN_CPU_CHOLESKY_H

#include <stdint.h>

/** a (n,n), rows ld apart, lower part: A becomes L with A = L L^T; the part above the diagonal is neither read nor
 * kept. Returns 0, or the 1-based index of the first pivot that is not a positive finite number. */
int64_t bt_cholesky(double *a, int64_t n, int64_t ld);

#endif
