/* Decompositions by LAPACK or by jacobi.c, and the products around them. Products have a fixed order of summation for
 * every element of the result, which one thread computes: the same bits for any number of threads. */
#include "retrieval/linalg.h"

#include "base/memory.h"
#include "retrieval/jacobi.h"
#include "retrieval/lanes.h"

#include <math.h>
#include <string.h>

#ifdef BITTERN_WITH_LAPACK
#include <lapacke.h>
#include <limits.h>

static bt_status failed(const char *routine, lapack_int info) {
    if (info == LAPACK_WORK_MEMORY_ERROR)
        return bt_error(BT_ERR_MEMORY, "no memory for the work of LAPACK's %s", routine);
    BT_ASSERT(info > 0); /* below 0: a wrong argument */
    return bt_error(BT_ERR_NUMERIC, "LAPACK's %s did not converge", routine);
}

/* By columns the memory holds A^T = V^T diag(s) U^T: what LAPACK calls U is our V, and its V^T our U. */
static bt_status library_svd(double *a, int64_t m, int64_t n, double *u, double *s, double *v) {
    BT_ASSERT(n <= INT_MAX);
    lapack_int info = LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'S', (lapack_int)n, (lapack_int)m, a, (lapack_int)n, s, v,
                                     (lapack_int)n, u, (lapack_int)m);
    return info == 0 ? BT_OK : failed("dgesdd", info);
}

static bt_status library_eigen(double *a, int64_t n, double *values, double *vectors) {
    BT_ASSERT(n <= INT_MAX);
    lapack_int info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'U', (lapack_int)n, a, (lapack_int)n, values);
    if (info != 0) return failed("dsyevd", info);
    for (int64_t i = 0; i < n; i++) /* LAPACK's values ascend */
        memcpy(vectors + i * n, a + (n - 1 - i) * n, (size_t)n * sizeof *vectors);
    for (int64_t i = 0; i < n / 2; i++) {
        double swap = values[i];
        values[i] = values[n - 1 - i];
        values[n - 1 - i] = swap;
    }
    return BT_OK;
}
#else
#define library_svd bt_jacobi_svd
#define library_eigen bt_jacobi_eigen
#endif

static bt_status check_finite(const double *a, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(a[i])) return bt_error(BT_ERR_NUMERIC, "a matrix to decompose has a value that is not finite");
    return BT_OK;
}

/** The sign rule for the rows of v (m,n); the columns of u (m,m), if there is one, follow. */
static void fix_signs(double *v, double *u, int64_t m, int64_t n) {
    for (int64_t i = 0; i < m; i++) {
        int64_t largest = 0;
        for (int64_t c = 1; c < n; c++) largest = fabs(v[i * n + c]) > fabs(v[i * n + largest]) ? c : largest;
        if (v[i * n + largest] >= 0) continue;
        for (int64_t c = 0; c < n; c++) v[i * n + c] = -v[i * n + c];
        for (int64_t j = 0; u && j < m; j++) u[j * m + i] = -u[j * m + i];
    }
}

typedef bt_status svd_by(double *a, int64_t m, int64_t n, double *u, double *s, double *v);
typedef bt_status eigen_by(double *a, int64_t n, double *values, double *vectors);

static bt_status svd(svd_by *decompose, double *a, int64_t m, int64_t n, double *u, double *s, double *v) {
    BT_ASSERT(m > 0 && m <= n);
    BT_TRY(check_finite(a, m * n));
    BT_TRY(decompose(a, m, n, u, s, v));
    fix_signs(v, u, m, n);
    return BT_OK;
}

static bt_status eigen(eigen_by *decompose, double *a, int64_t n, double *values, double *vectors) {
    BT_ASSERT(n > 0);
    BT_TRY(check_finite(a, n * n));
    BT_TRY(decompose(a, n, values, vectors));
    for (int64_t i = 0; i < n; i++) values[i] = values[i] > 0 ? values[i] : 0;
    fix_signs(vectors, NULL, n, n);
    return BT_OK;
}

bt_status bt_svd(double *a, int64_t m, int64_t n, double *u, double *s, double *v) {
    return svd(library_svd, a, m, n, u, s, v);
}

bt_status bt_svd_jacobi(double *a, int64_t m, int64_t n, double *u, double *s, double *v) {
    return svd(bt_jacobi_svd, a, m, n, u, s, v);
}

bt_status bt_eigen(double *a, int64_t n, double *values, double *vectors) {
    return eigen(library_eigen, a, n, values, vectors);
}

bt_status bt_eigen_jacobi(double *a, int64_t n, double *values, double *vectors) {
    return eigen(bt_jacobi_eigen, a, n, values, vectors);
}

BT_LANES
static void orthonormalise_row(double *q, int64_t i, int64_t n) {
    double *row = q + i * n, before = bt_dot(row, row, n);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t j = 0; j < i; j++) bt_add_scaled(row, -bt_dot(row, q + j * n, n), q + j * n, n);
    double after = bt_dot(row, row, n);
    double scale = after > before * 1e-26 ? 1 / sqrt(after) : 0; /* what is left is rounding: dependent */
    for (int64_t c = 0; c < n; c++) row[c] *= scale;
}

void bt_orthonormalise(double *q, int64_t k, int64_t n) {
    BT_ASSERT(k <= n);
    for (int64_t i = 0; i < k; i++) orthonormalise_row(q, i, n);
}

void bt_column_means(const float *x, int64_t n, int64_t d, double *mean) {
    for (int64_t c = 0; c < d; c++) mean[c] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++) mean[c] += (double)x[i * d + c];
    for (int64_t c = 0; c < d; c++) mean[c] /= (double)n;
}

/* ---- products ---- */

/** 4 rows and 8 columns of c += a b. The sums are single variables, not arrays: only so do they stay in registers at
 * -O2. */
BT_LANES_INLINE void add_tile(bt_strided a, const double *b, int64_t b_stride, int64_t depth, double *c,
                              int64_t c_stride) {
    double *c1 = c + c_stride, *c2 = c1 + c_stride, *c3 = c2 + c_stride;
    bt_lanes x, y, s0, t0, s1, t1, s2, t2, s3, t3;
    bt_load(&s0, c), bt_load(&t0, c + 4);
    bt_load(&s1, c1), bt_load(&t1, c1 + 4);
    bt_load(&s2, c2), bt_load(&t2, c2 + 4);
    bt_load(&s3, c3), bt_load(&t3, c3 + 4);
    for (int64_t p = 0; p < depth; p++) {
        const double *left = a.data + p * a.column;
        bt_load(&x, b + p * b_stride), bt_load(&y, b + p * b_stride + 4);
        s0 += left[0] * x, t0 += left[0] * y;
        s1 += left[a.row] * x, t1 += left[a.row] * y;
        s2 += left[2 * a.row] * x, t2 += left[2 * a.row] * y;
        s3 += left[3 * a.row] * x, t3 += left[3 * a.row] * y;
    }
    bt_store(&s0, c), bt_store(&t0, c + 4);
    bt_store(&s1, c1), bt_store(&t1, c1 + 4);
    bt_store(&s2, c2), bt_store(&t2, c2 + 4);
    bt_store(&s3, c3), bt_store(&t3, c3 + 4);
}

BT_LANES
void bt_multiply_add(bt_strided a, const double *b, int64_t b_stride, int64_t rows, int64_t columns, int64_t depth,
                     double *c, int64_t c_stride) {
    BT_ASSERT(rows % 4 == 0 && columns % 8 == 0);
    for (int64_t i = 0; i < rows; i += 4)
        for (int64_t j = 0; j < columns; j += 8)
            add_tile((bt_strided){a.data + i * a.row, a.row, a.column}, b + j, b_stride, depth, c + i * c_stride + j,
                     c_stride);
}

#define MOMENT_ROWS 256 /* rows of x made double at once: 768 of width are 1.5 MiB */

bt_status bt_second_moment(const float *x, int64_t n, int64_t d, const double *mean, double *out) {
    int64_t padded = (d + 7) / 8 * 8;
    double *block = bt_memory_zeroed(MOMENT_ROWS * (size_t)padded, sizeof *block);
    double *sums = bt_memory_zeroed((size_t)padded * (size_t)padded, sizeof *sums);
    bt_status status = block && sums ? BT_OK : BT_ERR_MEMORY;
    for (int64_t begin = 0; begin < n && status == BT_OK; begin += MOMENT_ROWS) {
        int64_t rows = n - begin < MOMENT_ROWS ? n - begin : MOMENT_ROWS;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < d; c++)
                block[r * padded + c] = (double)x[(begin + r) * d + c] - (mean ? mean[c] : 0);
#pragma omp parallel for schedule(static, 1)
        for (int64_t i = 0; i < padded; i += 8) /* up to the diagonal: the rest is its mirror image */
            bt_multiply_add((bt_strided){block + i, 1, padded}, block, padded, 8, i + 8, rows, sums + i * padded,
                            padded);
    }
    for (int64_t i = 0; i < d && status == BT_OK; i++)
        for (int64_t j = 0; j <= i; j++) out[i * d + j] = out[j * d + i] = sums[i * padded + j] / (double)n;
    bt_memory_free(block);
    bt_memory_free(sums);
    return status;
}

enum { PROJECT_ROWS = 16, PROJECT_COLUMNS = 64, PROJECT_DEPTH = 128 }; /* 24 KiB of stack */

/** Columns `first`.. of `rows` rows of out. transposed (d, padded). */
static void project_block(const float *x, int64_t rows, int64_t d, const double *mean, const double *transposed,
                          int64_t padded, int64_t first, int64_t k, float *out) {
    double block[PROJECT_ROWS * PROJECT_DEPTH] = {0}, sums[PROJECT_ROWS * PROJECT_COLUMNS] = {0};
    int64_t columns = padded - first < PROJECT_COLUMNS ? padded - first : PROJECT_COLUMNS;
    for (int64_t from = 0; from < d; from += PROJECT_DEPTH) {
        int64_t depth = d - from < PROJECT_DEPTH ? d - from : PROJECT_DEPTH;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t c = 0; c < depth; c++)
                block[i * PROJECT_DEPTH + c] = (double)x[i * d + from + c] - (mean ? mean[from + c] : 0);
        bt_multiply_add((bt_strided){block, PROJECT_DEPTH, 1}, transposed + from * padded + first, padded, PROJECT_ROWS,
                        columns, depth, sums, PROJECT_COLUMNS);
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns && first + j < k; j++)
            out[i * k + first + j] = (float)sums[i * PROJECT_COLUMNS + j];
}

bt_status bt_project(const float *x, int64_t n, int64_t d, const double *mean, const double *rows, int64_t k,
                     float *out) {
    int64_t padded = (k + 7) / 8 * 8;
    double *transposed = bt_memory_zeroed((size_t)d * (size_t)padded, sizeof *transposed);
    if (!transposed) return BT_ERR_MEMORY;
    for (int64_t r = 0; r < k; r++)
        for (int64_t c = 0; c < d; c++) transposed[c * padded + r] = rows[r * d + c];
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i += PROJECT_ROWS)
        for (int64_t first = 0; first < padded; first += PROJECT_COLUMNS)
            project_block(x + i * d, n - i < PROJECT_ROWS ? n - i : PROJECT_ROWS, d, mean, transposed, padded, first, k,
                          out + i * k);
    bt_memory_free(transposed);
    return BT_OK;
}
