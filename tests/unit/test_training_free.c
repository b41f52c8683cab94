/* PCA, ITQ and the training-free codes: known covariances, what ITQ promises, and the protocol composed from its parts.
 */
#include "check.h"

#include "base/memory.h"
#include "retrieval/distance.h"
#include "retrieval/linalg.h"
#include "retrieval/rotation.h"
#include "retrieval/training_free.h"

#include <math.h>
#include <stdlib.h>

#ifdef _OPENMP
#include <omp.h>
#endif

enum { N = 600, D = 24, Q = 40, K = 8 };

static float data[N * D], queries[Q * D];
static int32_t labels[N], query_labels[Q];

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.17g, wanted %.17g within %g", found, wanted, tolerance);
}

/* Clusters in a cloud whose deviation falls by a fifth with each of its directions, which are a rotation's; mean far
 * from 0. */
static void make_data(void) {
    static double g[(N + Q) * D], r[D * D], centre[6 * D];
    bt_random_gaussian(g, (N + Q) * D, 1, 0);
    bt_random_gaussian(centre, 6 * D, 1, 1);
    bt_random_rotation(r, D, 1, 2);
    for (int i = 0; i < N + Q; i++) {
        int label = i % 6;
        for (int c = 0; c < D; c++) {
            double sum = 3;
            for (int j = 0; j < D; j++) sum += (g[i * D + j] + 2 * centre[label * D + j]) * pow(0.8, j) * r[j * D + c];
            *(i < N ? &data[i * D + c] : &queries[(i - N) * D + c]) = (float)sum;
        }
        *(i < N ? &labels[i] : &query_labels[i - N]) = label;
    }
}

/* Components are eigenvectors of the covariance, computed here by plain loops; variances are along them. */
static void exact_components(void **state) {
    (void)state;
    make_data();
    bt_pca pca;
    check_ok(bt_pca_exact(data, N, D, K, &pca));
    double covariance[D][D], mean[D] = {0};
    for (int i = 0; i < N; i++)
        for (int c = 0; c < D; c++) mean[c] += (double)data[i * D + c] / N;
    for (int a = 0; a < D; a++)
        for (int b = 0; b < D; b++) {
            covariance[a][b] = 0;
            for (int i = 0; i < N; i++)
                covariance[a][b] += ((double)data[i * D + a] - mean[a]) * ((double)data[i * D + b] - mean[b]) / N;
        }
    for (int k = 0; k < K; k++) {
        const double *v = pca.components + k * D;
        assert_true(k == 0 || pca.variances[k] <= pca.variances[k - 1]);
        for (int a = 0; a < D; a++) {
            double sum = 0;
            for (int b = 0; b < D; b++) sum += covariance[a][b] * v[b];
            near(sum, pca.variances[k] * v[a], 1e-10);
            near(pca.mean[a], mean[a], 1e-12);
        }
    }
    float z[N * K];
    check_ok(bt_pca_project(&pca, data, N, z));
    for (int k = 0; k < K; k++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < N; i++) {
            sum += (double)z[i * K + k];
            squares += (double)z[i * K + k] * (double)z[i * K + k] / N;
        }
        near(sum / N, 0, 1e-6);
        near(squares, pca.variances[k], 1e-5 * pca.variances[0]);
    }
    bt_pca_free(&pca);
    bt_pca bad;
    check_message(bt_pca_exact(data, N, D, D + 1, &bad), BT_ERR_SHAPE,
                  "25 principal components of 600 embeddings of width 24; at most the width can be had");
}

/* With oversampling and iterations the randomised components are the exact ones; without, their subspace holds nearly
 * as much variance. */
static void randomised_components(void **state) {
    (void)state;
    make_data();
    bt_pca exact, sharp, plain, again;
    check_ok(bt_pca_exact(data, N, D, K, &exact));
    check_ok(bt_pca_randomised(data, N, D, K, 10, 12, 3, &sharp));
    for (int i = 0; i < K * D; i++) near(sharp.components[i], exact.components[i], 1e-6);
    for (int k = 0; k < K; k++) near(sharp.variances[k], exact.variances[k], 1e-10 * exact.variances[0]);
    check_ok(bt_pca_randomised(data, N, D, K, 0, 2, 3, &plain));
    double all = 0, held = 0;
    for (int k = 0; k < K; k++) {
        all += exact.variances[k];
        held += plain.variances[k];
    }
    assert_true(held < all && held > 0.98 * all);
    for (int threads = 1; threads <= 3; threads++) {
#ifdef _OPENMP
        omp_set_num_threads(threads);
#endif
        check_ok(bt_pca_randomised(data, N, D, K, 0, 2, 3, &again));
        assert_memory_equal(again.components, plain.components, K * D * sizeof(double));
        bt_pca_free(&again);
    }
    check_error(bt_pca_randomised(data, 5, D, K, 0, 2, 3, &again), BT_ERR_SHAPE,
                "at most 5 components of 5 embeddings; 8 are wanted");
    bt_pca_free(&exact);
    bt_pca_free(&sharp);
    bt_pca_free(&plain);
}

/* Loss by its definition. */
static double slow_loss(const float *z, const double *r) {
    double lost = 0;
    for (int i = 0; i < N; i++)
        for (int b = 0; b < K; b++) {
            double u = 0;
            for (int c = 0; c < K; c++) u += r[b * K + c] * (double)z[i * K + c];
            lost += ((u > 0 ? 1 : -1) - u) * ((u > 0 ? 1 : -1) - u);
        }
    return lost / (N * K);
}

static void itq_keeps_its_promises(void **state) {
    (void)state;
    enum { ITERATIONS = 30 };
    make_data();
    bt_pca pca;
    static float z[N * K];
    double first[K * K], r[K * K], again[K * K], loss[ITERATIONS + 1];
    check_ok(bt_pca_exact(data, N, D, K, &pca));
    check_ok(bt_pca_project(&pca, data, N, z));
    bt_random_rotation(first, K, 1, 0);
    memcpy(r, first, sizeof r);
    check_ok(bt_itq(z, N, K, ITERATIONS, r, loss));
    near(loss[0], slow_loss(z, first), 1e-12);
    near(loss[ITERATIONS], slow_loss(z, r), 1e-12);
    for (int i = 0; i < ITERATIONS; i++) assert_true(loss[i + 1] <= loss[i] * (1 + 1e-14));
    assert_true(loss[ITERATIONS] < 0.99 * loss[0]);
    for (int a = 0; a < K; a++)
        for (int b = 0; b < K; b++) {
            double sum = 0;
            for (int c = 0; c < K; c++) sum += r[a * K + c] * r[b * K + c];
            near(sum, a == b, 1e-13);
        }
    for (int threads = 1; threads <= 3; threads++) {
#ifdef _OPENMP
        omp_set_num_threads(threads);
#endif
        memcpy(again, first, sizeof again);
        check_ok(bt_itq(z, N, K, ITERATIONS, again, NULL));
        assert_memory_equal(again, r, sizeof r);
    }
    memcpy(again, first, sizeof again);
    check_ok(bt_itq(z, N, K, 0, again, loss));
    assert_memory_equal(again, first, sizeof first);
    bt_pca_free(&pca);
}

/* Dead dimensions: B^T Z has no full rank, and the rotation is still orthogonal. */
static void itq_of_few_dimensions(void **state) {
    (void)state;
    static float z[N * K];
    double r[K * K];
    make_data();
    for (int i = 0; i < N * K; i++) z[i] = i % K < 2 ? data[i] - 3 : 0;
    bt_random_rotation(r, K, 1, 0);
    check_ok(bt_itq(z, N, K, 20, r, NULL));
    for (int a = 0; a < K; a++)
        for (int b = 0; b < K; b++) {
            double sum = 0;
            for (int c = 0; c < K; c++) sum += r[a * K + c] * r[b * K + c];
            near(sum, a == b, 1e-12);
        }
}

/* The protocol put together by hand from public parts: z = V (x - mean), u = R z, three draws, both distances. */
static void protocol_of_rotations(void **state) {
    (void)state;
    enum { DRAWS = 3 };
    make_data();
    bt_items q = {Q, D, queries, NULL, query_labels}, db = {N, D, data, NULL, labels};
    bt_relevance relevance = bt_relevance_of_labels(&q, &db);
    bt_pca pca;
    check_ok(bt_pca_exact(data, N, D, D, &pca));
    bt_free_options o = {
        .method = BT_FREE_ROTATION, .bits = K, .draws = DRAWS, .seed = 9, .k = 50, .neighbours = 5, .temperature = 0.1};
    bt_free_scores s;
    uint64_t codes[N];
    check_ok(bt_training_free_score(&o, &pca, NULL, 0, &q, &db, &relevance, codes, &s));
    assert_true(s.components.papers == 0);
    o.components = true;
    check_ok(bt_training_free_score(&o, &pca, NULL, 0, &q, &db, &relevance, codes, &s));
    assert_int_equal(s.draws, DRAWS);
    double found[DRAWS], symmetric[DRAWS], mean = 0, variance = 0;
    for (int draw = 0; draw < DRAWS; draw++) {
        double r[K * K];
        static float z[N * K], u[N * K], zq[Q * K], uq[Q * K];
        uint64_t bits[N];
        bt_map map;
        bt_random_rotation(r, K, 9, draw);
        check_ok(bt_project(data, N, D, pca.mean, pca.components, K, z));
        check_ok(bt_project(queries, Q, D, pca.mean, pca.components, K, zq));
        check_ok(bt_project(z, N, K, NULL, r, K, u));
        check_ok(bt_project(zq, Q, K, NULL, r, K, uq));
        bt_codes_of(u, N, K, bits);
        if (draw == 0) assert_memory_equal(bits, codes, sizeof bits); /* no logit is within rounding of 0 here */
        bt_items cq = {Q, K, uq, NULL, query_labels}, cdb = {N, K, NULL, bits, labels};
        check_ok(bt_mean_average_precision(&cq, &cdb, BT_ASYMMETRIC, 50, &map));
        found[draw] = map.papers;
        check_ok(bt_mean_average_precision(&cq, &cdb, BT_SYMMETRIC, 50, &map));
        symmetric[draw] = map.standard;
        mean += found[draw] / DRAWS;
    }
    for (int draw = 0; draw < DRAWS; draw++) variance += (found[draw] - mean) * (found[draw] - mean) / DRAWS;
    near(s.papers.mean, mean, 2e-4); /* sigmoids of f32 logits that were rounded once more */
    near(s.papers.deviation, sqrt(variance), 2e-4);
    near(s.symmetric_standard.mean, (symmetric[0] + symmetric[1] + symmetric[2]) / DRAWS, 1e-12);
    assert_true(s.papers.deviation > 0 && s.neighbours.mean > 0.5 && s.components.papers > 0.3);
    bt_pca_free(&pca);
}

/* A database of several blocks (of 16384) has the codes of its items, whatever block they fall in. */
static void blocks_of_the_database(void **state) {
    (void)state;
    enum { COUNT = 2 * 16384 + 5, WIDTH = 6, BITS = 5 };
    static float x[COUNT * WIDTH], u[COUNT * BITS];
    static uint64_t codes[COUNT], wanted[COUNT];
    double rows[BITS * WIDTH];
    bt_random_gaussian(rows, BITS * WIDTH, 3, 0);
    for (int i = 0; i < COUNT * WIDTH; i++) x[i] = (float)sin(i * 0.37) + (float)(i % 7) * 0.1f;
    bt_pca pca;
    check_ok(bt_pca_exact(x, COUNT, WIDTH, BITS, &pca));
    bt_items db = {COUNT, WIDTH, x, NULL, NULL};
    bt_free_options o = {.method = BT_FREE_LSH, .bits = BITS, .draws = 1, .seed = 4, .k = 1};
    bt_free_scores s;
    check_ok(bt_training_free_score(&o, &pca, NULL, 0, NULL, &db, NULL, codes, &s));
    check_ok(bt_training_free_matrix(&o, &pca, NULL, 0, 0, rows));
    check_ok(bt_project(x, COUNT, WIDTH, pca.mean, rows, BITS, u));
    bt_codes_of(u, COUNT, BITS, wanted);
    assert_memory_equal(codes, wanted, sizeof wanted);
    bt_pca_free(&pca);
}

/* What the methods are for: itq > rotation > lsh on such data, and codes alone need no queries. */
static void methods_in_their_order(void **state) {
    (void)state;
    make_data();
    bt_items q = {Q, D, queries, NULL, query_labels}, db = {N, D, data, NULL, labels};
    bt_relevance relevance = bt_relevance_of_labels(&q, &db);
    bt_pca pca;
    check_ok(bt_pca_exact(data, N, D, K, &pca));
    double map[4];
    uint64_t codes[N], alone[N];
    for (int m = BT_FREE_PCA; m <= BT_FREE_LSH; m++) {
        bt_free_options o = {
            .method = (bt_training_free)m, .bits = K, .draws = 5, .seed = 2, .itq_iterations = 30, .k = INT64_MAX};
        bt_free_scores s;
        check_ok(bt_training_free_score(&o, &pca, data, N, &q, &db, &relevance, codes, &s));
        map[m] = s.papers.mean;
        assert_int_equal(s.draws, m == BT_FREE_PCA ? 1 : 5);
        near(s.papers.mean, s.standard.mean, 1e-15); /* over the whole database both are one */
        check_ok(bt_training_free_score(&o, &pca, data, N, NULL, &db, NULL, alone, &s));
        assert_memory_equal(codes, alone, sizeof codes);
        assert_true(s.bits.count == N && s.bits.bits == K && s.bits.distinct > 10);
    }
    assert_true(map[BT_FREE_ITQ] > map[BT_FREE_ROTATION] && map[BT_FREE_ROTATION] > map[BT_FREE_LSH]);
    db.width = D - 1;
    bt_free_options o = {.method = BT_FREE_PCA, .bits = K, .draws = 1, .k = 5};
    bt_free_scores s;
    check_message(bt_training_free_score(&o, &pca, data, N, &q, &db, &relevance, NULL, &s), BT_ERR_SHAPE,
                  "the database has width 23, the training embeddings 24");
    bt_pca_free(&pca);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_components),       cmocka_unit_test(randomised_components),
        cmocka_unit_test(itq_keeps_its_promises), cmocka_unit_test(itq_of_few_dimensions),
        cmocka_unit_test(protocol_of_rotations),  cmocka_unit_test(blocks_of_the_database),
        cmocka_unit_test(methods_in_their_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
