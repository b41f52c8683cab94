/* Decompositions: LAPACK's (where the build has it) and our own against each other, against their definitions, and
 * known values. */
#include "check.h"

#include "retrieval/linalg.h"
#include "retrieval/rotation.h"

#include <math.h>
#include <stdlib.h>

#ifdef _OPENMP
#include <omp.h>
#endif

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.17g, wanted %.17g within %g", found, wanted, tolerance);
}

static double *gaussian(int64_t n, uint64_t seed) {
    double *x = malloc((size_t)n * sizeof *x);
    bt_random_gaussian(x, n, seed, 0);
    return x;
}

/* Largest |rows rows^T - I|. */
static double from_orthonormal(const double *rows, int64_t m, int64_t n) {
    double worst = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < m; j++) {
            double sum = 0;
            for (int64_t c = 0; c < n; c++) sum += rows[i * n + c] * rows[j * n + c];
            worst = fmax(worst, fabs(sum - (i == j)));
        }
    return worst;
}

typedef bt_status svd_of(double *a, int64_t m, int64_t n, double *u, double *s, double *v);
static svd_of *const decompositions[] = {bt_svd, bt_svd_jacobi};

/* a (m,n) of rank at most `rank`: product of Gaussian factors. */
static double *matrix(int64_t m, int64_t n, int64_t rank) {
    double *left = gaussian(m * rank, 1), *right = gaussian(rank * n, 2), *a = calloc((size_t)(m * n), sizeof *a);
    for (int64_t i = 0; i < m; i++)
        for (int64_t r = 0; r < rank; r++)
            for (int64_t j = 0; j < n; j++) a[i * n + j] += left[i * rank + r] * right[r * n + j];
    free(left);
    free(right);
    return a;
}

static void check_svd(int64_t m, int64_t n, int64_t rank) {
    double *a = matrix(m, n, rank), *work = malloc((size_t)(m * n) * sizeof *work), *u = gaussian(m * m, 3), *v[2],
           *s[2];
    for (int which = 0; which < 2; which++) {
        s[which] = gaussian(m, 3);
        v[which] = gaussian(m * n, 3);
        memcpy(work, a, (size_t)(m * n) * sizeof *work);
        check_ok(decompositions[which](work, m, n, u, s[which], v[which]));
        near(from_orthonormal(u, m, m), 0, 1e-13);
        near(from_orthonormal(v[which], m, n), 0, 1e-13);
        for (int64_t i = 0; i < m; i++) {
            assert_true(s[which][i] >= 0 && (i == 0 || s[which][i] <= s[which][i - 1]));
            int64_t largest = 0;
            for (int64_t c = 1; c < n; c++)
                if (fabs(v[which][i * n + c]) > fabs(v[which][i * n + largest])) largest = c;
            assert_true(v[which][i * n + largest] > 0);
            for (int64_t j = 0; j < n; j++) {
                double sum = 0;
                for (int64_t k = 0; k < m; k++) sum += u[i * m + k] * s[which][k] * v[which][k * n + j];
                near(sum, a[i * n + j], 1e-12 * s[which][0]);
            }
        }
    }
    for (int64_t i = 0; i < m; i++) near(s[0][i], s[1][i], 1e-13 * s[0][0]);
    for (int64_t i = 0; i < rank * n; i++)
        near(v[0][i], v[1][i], 1e-9); /* the vectors of non-zero values, apart as they are here */
    for (int which = 0; which < 2; which++) {
        free(s[which]);
        free(v[which]);
    }
    free(a);
    free(work);
    free(u);
}

static void singular_values(void **state) {
    (void)state;
    check_svd(1, 1, 1);
    check_svd(4, 4, 4);
    check_svd(7, 33, 7);
    check_svd(24, 24, 24);
    check_svd(9, 20, 5); /* four values are 0: vectors are completed */
    check_svd(6, 6, 1);
}

/* Eight rows that live in two columns: six are rounding, and no rotation can make them orthogonal. */
static void rows_in_few_columns(void **state) {
    (void)state;
    enum { M = 8 };
    double *g = gaussian(M * M, 5);
    for (int which = 0; which < 2; which++) {
        double a[M * M], u[M * M], s[M], v[M * M];
        for (int i = 0; i < M * M; i++) a[i] = i % M < 2 ? g[i] * 100 : 0;
        check_ok(decompositions[which](a, M, M, u, s, v));
        assert_true(s[1] > 1 && s[2] < 1e-13 * s[0]);
        near(from_orthonormal(v, M, M), 0, 1e-13);
        near(from_orthonormal(u, M, M), 0, 1e-13);
    }
    free(g);
}

/* Sweeps end for many matrices, large and tiny, with values from 1 down to far below rounding; rotations among them,
 * whose rows are orthogonal and of one length but for rounding. */
static void always_ends(void **state) {
    (void)state;
    enum { MOST = 24 };
    double a[MOST * MOST], u[MOST * MOST], s[MOST], v[MOST * MOST];
    for (int i = 0; i < 400; i++) {
        int64_t m = 2 + i % (MOST - 2), n = m + i % 3 < MOST ? m + i % 3 : m;
        if (i % 5 == 0) n = m;
        if (i % 5 == 0)
            bt_random_rotation(a, m, 77, i);
        else
            bt_random_gaussian(a, m * n, 77, i);
        for (int64_t j = 0; j < m * n; j++) a[j] *= pow(10, i % 7 * 20 - 60) * pow(10, -(double)(j / n) * (i % 5));
        check_ok(bt_svd_jacobi(a, m, n, u, s, v));
        near(from_orthonormal(v, m, n), 0, 1e-12);
        near(from_orthonormal(u, m, m), 0, 1e-12);
    }
}

/* [[3, 0], [4, 5]] has singular values sqrt(45), sqrt(5): Golub and Van Loan's example of the kind that is done by
 * hand. */
static void singular_values_by_hand(void **state) {
    (void)state;
    for (int which = 0; which < 2; which++) {
        double a[] = {3, 0, 4, 5}, u[4], s[2], v[4];
        check_ok(decompositions[which](a, 2, 2, u, s, v));
        near(s[0], sqrt(45), 1e-14);
        near(s[1], sqrt(5), 1e-14);
        near(v[0], sqrt(0.5), 1e-14);
        near(v[1], sqrt(0.5), 1e-14);
        near(u[0], 1 / sqrt(10), 1e-14);
        near(u[2], 3 / sqrt(10), 1e-14);
        double zero[4] = {0};
        check_ok(decompositions[which](zero, 2, 2, u, s, v));
        assert_true(s[0] == 0 && s[1] == 0);
        near(from_orthonormal(v, 2, 2), 0, 1e-15);
        double bad[] = {1, NAN, 0, 1};
        check_message(decompositions[which](bad, 2, 2, u, s, v), BT_ERR_NUMERIC,
                      "a matrix to decompose has a value that is not finite");
    }
}

static void check_eigen(int64_t n, int64_t rank) {
    double *g = matrix(n, rank, rank), *a = malloc((size_t)(n * n) * sizeof *a),
           *work = malloc((size_t)(n * n) * sizeof *work);
    double *vectors[2], *values[2];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            a[i * n + j] = 0;
            for (int64_t r = 0; r < rank; r++) a[i * n + j] += g[i * rank + r] * g[j * rank + r];
        }
    for (int which = 0; which < 2; which++) {
        vectors[which] = gaussian(n * n, 3);
        values[which] = gaussian(n, 3);
        memcpy(work, a, (size_t)(n * n) * sizeof *work);
        check_ok((which ? bt_eigen_jacobi : bt_eigen)(work, n, values[which], vectors[which]));
        near(from_orthonormal(vectors[which], n, n), 0, 1e-13);
        for (int64_t k = 0; k < n; k++) {
            assert_true(values[which][k] >= 0 && (k == 0 || values[which][k] <= values[which][k - 1]));
            for (int64_t i = 0; i < n; i++) {
                double sum = 0;
                for (int64_t j = 0; j < n; j++) sum += a[i * n + j] * vectors[which][k * n + j];
                near(sum, values[which][k] * vectors[which][k * n + i], 1e-12 * values[which][0]);
            }
        }
    }
    for (int64_t k = 0; k < n; k++) near(values[0][k], values[1][k], 1e-12 * values[0][0]);
    for (int64_t i = 0; i < rank * n; i++) near(vectors[0][i], vectors[1][i], 1e-8);
    for (int which = 0; which < 2; which++) {
        free(vectors[which]);
        free(values[which]);
    }
    free(g);
    free(a);
    free(work);
}

static void eigenvalues(void **state) {
    (void)state;
    check_eigen(1, 1);
    check_eigen(5, 5);
    check_eigen(30, 30);
    check_eigen(30, 12);
}

static void orthonormal_rows(void **state) {
    (void)state;
    enum { K = 20, D = 31 };
    double *q = gaussian(K * D, 4), before[K * D];
    memcpy(before, q, sizeof before);
    for (int c = 0; c < D; c++) before[7 * D + c] = q[7 * D + c] = 2 * q[3 * D + c] - q[5 * D + c]; /* dependent */
    bt_orthonormalise(q, K, D);
    for (int i = 0; i < K; i++) {
        for (int j = 0; j < K; j++) {
            double sum = 0, along = 0;
            for (int c = 0; c < D; c++) {
                sum += q[i * D + c] * q[j * D + c];
                along += q[i * D + c] * before[j * D + c];
            }
            near(sum, i == j && i != 7, 1e-14);
            if (j < i) near(along, 0, 1e-13);             /* R is triangular */
            if (j == i && i != 7) assert_true(along > 0); /* and its diagonal positive */
        }
    }
    free(q);
}

/* Rotations are orthogonal, differ by draw, and their entries have the moments of the uniform distribution: mean 0,
 * variance 1/k. */
static void random_rotations(void **state) {
    (void)state;
    enum { K = 16, DRAWS = 400 };
    double r[K * K], other[K * K], sum = 0, squares = 0, corner = 0;
    for (int draw = 0; draw < DRAWS; draw++) {
        bt_random_rotation(r, K, 7, draw);
        near(from_orthonormal(r, K, K), 0, 1e-14);
        for (int i = 0; i < K * K; i++) {
            sum += r[i];
            squares += r[i] * r[i];
        }
        corner += r[0]; /* without the sign rule the diagonal would lean to one side */
    }
    near(squares / DRAWS, K, 1e-10);
    near(sum / (DRAWS * K * K), 0, 4 / sqrt((double)DRAWS * K * K * K));
    near(corner / DRAWS, 0, 4 / sqrt((double)DRAWS * K));
    bt_random_rotation(r, K, 7, 1);
    bt_random_rotation(other, K, 7, 1);
    assert_memory_equal(r, other, sizeof r);
    bt_random_rotation(other, K, 8, 1);
    assert_memory_not_equal(r, other, sizeof r);
}

static void gaussian_moments(void **state) {
    (void)state;
    enum { COUNT = 40001 };
    double *x = gaussian(COUNT, 6), moment[5] = {0};
    for (int i = 0; i < COUNT; i++)
        for (int p = 1; p <= 4; p++) moment[p] += pow(x[i], p) / COUNT;
    near(moment[1], 0, 4 / sqrt(COUNT));
    near(moment[2], 1, 4 * sqrt(2.0 / COUNT));
    near(moment[3], 0, 4 * sqrt(15.0 / COUNT));
    near(moment[4], 3, 4 * sqrt(96.0 / COUNT));
    free(x);
}

/* Second moment and projection against plain loops, for sizes around every block, on one to three threads. */
static void products(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1}, {5, 3, 2}, {255, 9, 9}, {257, 17, 8}, {600, 130, 65}, {33, 129, 128}};
    for (size_t c = 0; c < sizeof sizes / sizeof sizes[0]; c++) {
        int64_t n = sizes[c][0], d = sizes[c][1], k = sizes[c][2];
        double *x64 = gaussian(n * d, c), *rows = gaussian(k * d, 9), *mean = gaussian(d, 10),
               *moment = gaussian(d * d, 3), *first = gaussian(d * d, 3);
        float *x = malloc((size_t)(n * d) * sizeof *x), *z = malloc((size_t)(n * k) * sizeof *z);
        for (int64_t i = 0; i < n * d; i++) x[i] = (float)x64[i];
        bt_column_means(x, n, d, mean);
        for (int threads = 1; threads <= 3; threads++) {
#ifdef _OPENMP
            omp_set_num_threads(threads);
#endif
            check_ok(bt_second_moment(x, n, d, mean, moment));
            if (threads == 1) memcpy(first, moment, (size_t)(d * d) * sizeof *first);
            assert_memory_equal(moment, first, (size_t)(d * d) * sizeof *first);
        }
        check_ok(bt_project(x, n, d, mean, rows, k, z));
        for (int64_t i = 0; i < d; i++)
            for (int64_t j = 0; j < d; j += 1 + d / 40) {
                double sum = 0;
                for (int64_t r = 0; r < n; r++)
                    sum += ((double)x[r * d + i] - mean[i]) * ((double)x[r * d + j] - mean[j]);
                near(moment[i * d + j], sum / (double)n, 1e-12);
            }
        for (int64_t i = 0; i < n; i++)
            for (int64_t r = 0; r < k; r += 1 + k / 20) {
                double sum = 0;
                for (int64_t j = 0; j < d; j++) sum += ((double)x[i * d + j] - mean[j]) * rows[r * d + j];
                near((double)z[i * k + r], sum, 1e-5);
            }
        free(x64), free(rows), free(mean), free(moment), free(first), free(x), free(z);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(singular_values),
                                       cmocka_unit_test(singular_values_by_hand),
                                       cmocka_unit_test(rows_in_few_columns),
                                       cmocka_unit_test(always_ends),
                                       cmocka_unit_test(eigenvalues),
                                       cmocka_unit_test(orthonormal_rows),
                                       cmocka_unit_test(random_rotations),
                                       cmocka_unit_test(gaussian_moments),
                                       cmocka_unit_test(products)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
