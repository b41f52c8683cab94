/* Dense linear algebra in double for PCA, rotations and spectra: LAPACK where the build has it, otherwise our own
 * one-sided Jacobi (right, and about ten times slower; a 768 x 768 covariance takes half a minute). Row-major. Signs
 * are fixed, so both give the same vectors where singular values are apart.
 */
#ifndef BITTERN_RETRIEVAL_LINALG_H
#define BITTERN_RETRIEVAL_LINALG_H

#include <bittern/status.h>

#include <stdint.h>

/** Singular value decomposition A = U diag(s) V of a (m,n), m <= n; a is destroyed. u (m,m) is orthogonal, the rows of
 * v (m,n) are orthonormal (also where values are 0), s (m) descends. Of each row of v the component of largest
 * magnitude (the first of equals) is positive. BT_ERR_NUMERIC for values that are not finite, BT_ERR_MEMORY. */
bt_status bt_svd(double *a, int64_t m, int64_t n, double *u, double *s, double *v) BT_MUST_CHECK;

/** The same by one-sided Jacobi rotations, in every build. */
bt_status bt_svd_jacobi(double *a, int64_t m, int64_t n, double *u, double *s, double *v) BT_MUST_CHECK;

/** Eigenvalues, descending, and unit eigenvectors, the rows of vectors (n,n), of a symmetric positive semi-definite a
 * (n,n), which is destroyed. Values that rounding made negative become 0. Signs and errors as in bt_svd. */
bt_status bt_eigen(double *a, int64_t n, double *values, double *vectors) BT_MUST_CHECK;
bt_status bt_eigen_jacobi(double *a, int64_t n, double *values, double *vectors) BT_MUST_CHECK;

/** Makes the rows of q (k,n), k <= n, orthonormal in order: Q of a QR factorisation of the transpose whose R has a
 * positive diagonal. A row that depends on those before it becomes 0. Gram-Schmidt, done twice (Giraud, Langou,
 * Rozloznik 2005: twice is enough). */
void bt_orthonormalise(double *q, int64_t k, int64_t n);

/** mean (d) of the rows of x (n,d). */
void bt_column_means(const float *x, int64_t n, int64_t d, double *mean);

/** out (d,d) = sum over rows of (x - mean)(x - mean)^T / n; mean NULL: nothing is subtracted. Same bits for any number
 * of threads. BT_ERR_MEMORY. */
bt_status bt_second_moment(const float *x, int64_t n, int64_t d, const double *mean, double *out) BT_MUST_CHECK;

/** out (n,k) = (x - mean) rows^T for x (n,d), mean (d) or NULL, rows (k,d). Sums in double in the order of d, rounded
 * once. BT_ERR_MEMORY. */
bt_status bt_project(const float *x, int64_t n, int64_t d, const double *mean, const double *rows, int64_t k,
                     float *out) BT_MUST_CHECK;

/** A matrix of any strides: element (i,j) is data[i * row + j * column]. */
typedef struct bt_strided {
    const double *data;
    int64_t row, column;
} bt_strided;

/** c (rows,columns) += a (rows,depth) b (depth,columns), each element summed in the order of depth. rows a multiple of
 * 4, columns of 8. One thread. */
void bt_multiply_add(bt_strided a, const double *b, int64_t b_stride, int64_t rows, int64_t columns, int64_t depth,
                     double *c, int64_t c_stride);

#endif
