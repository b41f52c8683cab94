/* Decompositions without a library; linalg.h checks their input and fixes signs. */
#ifndef BITTERN_RETRIEVAL_JACOBI_H
#define BITTERN_RETRIEVAL_JACOBI_H

#include <bittern/status.h>

#include <stdint.h>

/** A = U diag(s) V for finite a (m,n), m <= n, destroyed; u (m,m), s (m) descending, v (m,n). BT_ERR_NUMERIC,
 * BT_ERR_MEMORY. */
bt_status bt_jacobi_svd(double *a, int64_t m, int64_t n, double *u, double *s, double *v) BT_MUST_CHECK;

/** Of a finite symmetric semi-definite a (n,n), destroyed: values (n) descending, vectors (n,n), one a row. */
bt_status bt_jacobi_eigen(double *a, int64_t n, double *values, double *vectors) BT_MUST_CHECK;

#endif
