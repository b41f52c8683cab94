/* Singular values by one-sided Jacobi rotations (Hestenes 1958; Demmel and Veselic 1992 for why small values are
 * accurate): pairs of rows of A are turned until all are orthogonal. Then the rows are s_i v_i, and the product of the
 * rotations is U^T.
 *
 * Every pair is visited in a sweep, in a fixed order; convergence is quadratic, six to ten sweeps in practice. */
#include "retrieval/jacobi.h"

#include "base/memory.h"
#include "retrieval/lanes.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define MAX_SWEEPS 60

BT_LANES_INLINE void turn(double *a, double *b, int64_t n, double c, double s) {
    bt_lanes x, y, u, v;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        bt_load(&x, a + i);
        bt_load(&y, b + i);
        u = c * x - s * y;
        v = s * x + c * y;
        bt_store(&u, a + i);
        bt_store(&v, b + i);
    }
    for (; i < n; i++) {
        double p = a[i], q = b[i];
        a[i] = c * p - s * q;
        b[i] = s * p + c * q;
    }
}

/** Makes rows p and q orthogonal; false if they were. norm (m): squared norms of the rows. Rows whose norm is at most
 * `nothing` are rounding: more of them than dimensions that are left can never all be orthogonal, and sweeps would not
 * end. */
BT_LANES
static bool rotate(double *a, double *ut, double *norm, double nothing, int64_t m, int64_t n, int64_t p, int64_t q) {
    if (norm[p] <= nothing || norm[q] <= nothing) return false;
    double mixed = bt_dot(a + p * n, a + q * n, n);
    double rounding = 4 * sqrt((double)n) * DBL_EPSILON; /* of the cosine: what a sum of n products may be off */
    if (!(fabs(mixed) > rounding * sqrt(norm[p]) * sqrt(norm[q]))) return false;
    double zeta = (norm[q] - norm[p]) / (2 * mixed);
    double t = (zeta < 0 ? -1 : 1) / (fabs(zeta) + sqrt(1 + zeta * zeta));
    double c = 1 / sqrt(1 + t * t), s = c * t;
    turn(a + p * n, a + q * n, n, c, s);
    turn(ut + p * m, ut + q * m, m, c, s);
    norm[p] = bt_dot(a + p * n, a + p * n, n);
    norm[q] = bt_dot(a + q * n, a + q * n, n);
    return true;
}

static void swap_rows(double *a, int64_t n, int64_t i, int64_t j) {
    for (int64_t c = 0; c < n; c++) {
        double swap = a[i * n + c];
        a[i * n + c] = a[j * n + c];
        a[j * n + c] = swap;
    }
}

/** Descending singular values; rows of a become unit vectors, zero where the value is nothing but rounding. */
static void sort_and_scale(double *a, double *ut, double *s, int64_t m, int64_t n) {
    for (int64_t i = 0; i < m; i++) s[i] = sqrt(bt_dot(a + i * n, a + i * n, n));
    for (int64_t i = 0; i < m; i++) {
        int64_t largest = i;
        for (int64_t j = i + 1; j < m; j++) largest = s[j] > s[largest] ? j : largest;
        if (largest == i) continue;
        swap_rows(a, n, i, largest);
        swap_rows(ut, m, i, largest);
        double swap = s[i];
        s[i] = s[largest];
        s[largest] = swap;
    }
    for (int64_t i = 0; i < m; i++) {
        bool nothing = s[i] <= s[0] * DBL_EPSILON * (double)n;
        for (int64_t c = 0; c < n; c++) a[i * n + c] = nothing ? 0 : a[i * n + c] / s[i];
    }
}

/** Fills the zero rows of v (m,n) so that all are orthonormal: the unit vector farthest from the rows so far, made
 * orthogonal to them. */
static void complete(double *v, int64_t m, int64_t n) {
    for (int64_t i = 0; i < m; i++) {
        double *row = v + i * n;
        if (bt_dot(row, row, n) > 0) continue;
        int64_t best = 0;
        double least = INFINITY;
        for (int64_t c = 0; c < n; c++) {
            double covered = 0;
            for (int64_t j = 0; j < m; j++) covered += v[j * n + c] * v[j * n + c];
            if (covered < least) {
                least = covered;
                best = c;
            }
        }
        row[best] = 1;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = 0; j < m; j++) {
                if (j == i) continue;
                double along = bt_dot(row, v + j * n, n);
                for (int64_t c = 0; c < n; c++) row[c] -= along * v[j * n + c];
            }
        double norm = sqrt(bt_dot(row, row, n));
        for (int64_t c = 0; c < n; c++) row[c] /= norm;
    }
}

/** Sweeps until no pair turns. ut (m,m) becomes U^T. */
static bt_status diagonalise(double *a, int64_t m, int64_t n, double *ut, double *norm) {
    for (int64_t i = 0; i < m * m; i++) ut[i] = i % (m + 1) == 0;
    double nothing = bt_dot(a, a, m * n) * DBL_EPSILON * DBL_EPSILON;
    for (int sweep = 0; sweep < MAX_SWEEPS; sweep++) {
        for (int64_t i = 0; i < m; i++) norm[i] = bt_dot(a + i * n, a + i * n, n);
        bool turned = false;
        for (int64_t p = 0; p + 1 < m; p++)
            for (int64_t q = p + 1; q < m; q++) turned = rotate(a, ut, norm, nothing, m, n, p, q) || turned;
        if (!turned) return BT_OK;
    }
    return bt_error(BT_ERR_NUMERIC, "singular values of a %lld x %lld matrix did not converge in %d sweeps",
                    (long long)m, (long long)n, MAX_SWEEPS);
}

bt_status bt_jacobi_svd(double *a, int64_t m, int64_t n, double *u, double *s, double *v) {
    BT_ASSERT(m <= n);
    double *ut = bt_memory_alloc((size_t)m * (size_t)m, sizeof *ut), *norm = bt_memory_alloc((size_t)m, sizeof *norm);
    bt_status status = ut && norm ? diagonalise(a, m, n, ut, norm) : BT_ERR_MEMORY;
    if (status == BT_OK) {
        sort_and_scale(a, ut, s, m, n);
        complete(a, m, n);
        memcpy(v, a, (size_t)m * (size_t)n * sizeof *v);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < m; j++) u[i * m + j] = ut[j * m + i];
    }
    bt_memory_free(ut);
    bt_memory_free(norm);
    return status;
}

/** Of a symmetric semi-definite matrix U holds the eigenvectors, an orthonormal set also where eigenvalues are 0. */
bt_status bt_jacobi_eigen(double *a, int64_t n, double *values, double *vectors) {
    double *norm = bt_memory_alloc((size_t)n, sizeof *norm);
    if (!norm) return BT_ERR_MEMORY;
    bt_status status = diagonalise(a, n, n, vectors, norm);
    if (status == BT_OK) sort_and_scale(a, vectors, values, n, n);
    bt_memory_free(norm);
    return status;
}
