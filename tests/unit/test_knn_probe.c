/* Votes of neighbours and the linear probe: hand-made cases, slow loops, and the optimality conditions of the probe. */
#include "check.h"

#include "retrieval/distance.h"
#include "retrieval/knn.h"
#include "retrieval/probe.h"
#include "retrieval/rotation.h"

#include <math.h>
#include <stdlib.h>

#ifdef _OPENMP
#include <omp.h>
#endif

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.17g, wanted %.17g within %g", found, wanted, tolerance);
}

/* Cosines 1, 0.8, 0.6 to items of classes 2, 1, 1: a cold vote follows the nearest, a warm one the two. */
static void votes_by_hand(void **state) {
    (void)state;
    const float query[] = {0.01f, 0, 5, 0}, items[] = {3, 0, 0.8f, 0.6f, 6, 8, 0, 1};
    const int32_t labels[] = {2, 1, 1, 0}, wanted[] = {2, 7};
    bt_items q = {2, 2, query, NULL, wanted}, db = {4, 2, items, NULL, labels};
    bt_knn_options o = {.distance = BT_COSINE, .k = 3, .temperature = 0.1};
    int32_t predicted[2];
    double accuracy;
    check_ok(bt_knn_accuracy(&q, &db, &o, predicted, &accuracy));
    assert_true(predicted[0] == 2 && predicted[1] == 2);
    near(accuracy, 0.5, 0);
    o.temperature = INFINITY;
    check_ok(bt_knn_accuracy(&q, &db, &o, predicted, &accuracy));
    assert_int_equal(predicted[0], 1);
    o.k = 2; /* one vote each: the lowest class */
    check_ok(bt_knn_accuracy(&q, &db, &o, predicted, &accuracy));
    assert_int_equal(predicted[0], 1);
    const int32_t unlabelled[] = {-1, -1, 5, 0}, unknown[] = {5, -1};
    q.labels = unknown;
    db.labels = unlabelled;
    o.k = 3;
    check_ok(bt_knn_accuracy(&q, &db, &o, predicted, &accuracy)); /* only item 2 votes; query 1 is not counted */
    near(accuracy, 1, 0);
    o.k = 1;
    check_ok(bt_knn_accuracy(&q, &db, &o, predicted, &accuracy));
    assert_int_equal(predicted[0], -1);
    o.k = 0;
    check_message(bt_knn_accuracy(&q, &db, &o, predicted, &accuracy), BT_ERR_SHAPE,
                  "retrieval scores need k of at least 1; found 0");
}

enum { N = 150, D = 9, CLASSES = 5, K = 12 };

static float values[N * D];
static int32_t labels[N];
static uint64_t bits[N];

static void make_clusters(void) {
    double noise[N * D], centre[CLASSES * D];
    bt_random_gaussian(noise, N * D, 1, 0);
    bt_random_gaussian(centre, CLASSES * D, 2, 0);
    for (int i = 0; i < N; i++) labels[i] = i % CLASSES;
    for (int i = 0; i < N * D; i++) values[i] = (float)(noise[i] + centre[labels[i / D] * D + i % D] + 0.5);
    bt_codes_of(values, N, D, bits);
}

/* Votes summed over all items whose rank, counted slowly, is at most K. */
static void votes_against_a_slow_loop(void **state) {
    (void)state;
    make_clusters();
    int32_t predicted[N];
    double accuracy, right = 0;
    bt_items all = {N, D, values, bits, labels};
    bt_knn_options o = {.distance = BT_SYMMETRIC, .k = K, .temperature = 0.3, .leave_one_out = true};
    check_ok(bt_knn_accuracy(&all, &all, &o, predicted, &accuracy));
    for (int i = 0; i < N; i++) {
        double vote[CLASSES] = {0};
        for (int j = 0; j < N; j++) {
            int d = __builtin_popcountll(bits[i] ^ bits[j]), before = 0;
            for (int m = 0; m < N; m++) {
                int e = __builtin_popcountll(bits[i] ^ bits[m]);
                before += m != i && (e < d || (e == d && m < j));
            }
            if (j != i && before < K) vote[labels[j]] += exp((1 - 2.0 * d / D - 1) / 0.3);
        }
        int best = 0;
        for (int c = 1; c < CLASSES; c++) best = vote[c] > vote[best] * (1 + 1e-12) ? c : best;
        assert_int_equal(predicted[i], best);
        right += best == labels[i];
    }
    near(accuracy, right / N, 1e-15);
    assert_true(accuracy > 0.4 && accuracy < 1);
}

/* The objective by its definition, on standardised data, at weights for x itself. */
static double objective(const bt_probe *p, double l2, double *gradient_of_bias) {
    double loss = 0, decay = 0;
    for (int c = 0; c < CLASSES; c++) gradient_of_bias[c] = 0;
    for (int i = 0; i < N; i++) {
        double logit[CLASSES], sum = 0;
        for (int c = 0; c < CLASSES; c++) {
            logit[c] = p->bias[c];
            for (int j = 0; j < D; j++) logit[c] += p->weights[c * D + j] * (double)values[i * D + j];
            sum += exp(logit[c]);
        }
        loss += (log(sum) - logit[labels[i]]) / N;
        for (int c = 0; c < CLASSES; c++) gradient_of_bias[c] += (exp(logit[c]) / sum - (labels[i] == c)) / N;
    }
    for (int j = 0; j < D; j++) {
        double mean = 0, variance = 0;
        for (int i = 0; i < N; i++) mean += (double)values[i * D + j] / N;
        for (int i = 0; i < N; i++)
            variance += ((double)values[i * D + j] - mean) * ((double)values[i * D + j] - mean) / N;
        for (int c = 0; c < CLASSES; c++) decay += p->weights[c * D + j] * p->weights[c * D + j] * variance;
    }
    return loss + l2 / 2 * decay;
}

static void probe_is_at_the_minimum(void **state) {
    (void)state;
    make_clusters();
    bt_items train = {N, D, values, NULL, labels};
    bt_probe_options o = {.l2 = 0.01, .iterations = 500, .tolerance = 1e-9, .standardise = true};
    bt_probe p, other;
    check_ok(bt_probe_fit(&train, &o, &p));
    assert_true(p.converged && p.iterations < 100);
    double gradient[CLASSES], unused[CLASSES], value = objective(&p, o.l2, gradient);
    near(p.loss, value, 1e-12);
    for (int c = 0; c < CLASSES; c++) near(gradient[c], 0, 1e-8);
    uint32_t word = 1;
    for (int i = 0; i < CLASSES * D; i += 3) { /* convex: any step away costs, about the square of it */
        double kept = p.weights[i], step = ((word = word * 1664525u + 1013904223u) >> 16) % 2 ? 1e-3 : -1e-3;
        p.weights[i] += step;
        double moved = objective(&p, o.l2, unused);
        assert_true(moved > value && moved < value + 1e-5);
        p.weights[i] = kept;
    }
    for (int threads = 1; threads <= 3; threads++) {
#ifdef _OPENMP
        omp_set_num_threads(threads);
#endif
        check_ok(bt_probe_fit(&train, &o, &other));
        assert_memory_equal(other.weights, p.weights, CLASSES * D * sizeof(double));
        assert_memory_equal(other.bias, p.bias, CLASSES * sizeof(double));
        bt_probe_free(&other);
    }
    double accuracy, right = 0;
    check_ok(bt_probe_accuracy(&p, &train, &accuracy));
    for (int i = 0; i < N; i++) {
        double best = -INFINITY, own = 0;
        for (int c = 0; c < CLASSES; c++) {
            double logit = p.bias[c];
            for (int j = 0; j < D; j++) logit += p.weights[c * D + j] * (double)values[i * D + j];
            best = fmax(best, logit);
            if (c == labels[i]) own = logit;
        }
        right += own >= best;
    }
    near(accuracy, right / N, 1e-15);
    assert_true(accuracy > 0.7 && accuracy < 1);
    bt_probe_free(&p);
}

/* Two classes at -1 and 1 of one dimension: by symmetry w1 = -w0 = w, b = 0, and the derivative of log(1 + exp(-2w)) +
 * l2 w^2 is 0. */
static void probe_by_hand(void **state) {
    (void)state;
    const float x[] = {-1, 1};
    const int32_t y[] = {0, 1};
    bt_items train = {2, 1, x, NULL, y};
    bt_probe_options o = {.l2 = 0.1, .iterations = 100, .tolerance = 1e-12, .standardise = false};
    bt_probe p;
    check_ok(bt_probe_fit(&train, &o, &p));
    double w = p.weights[1];
    near(p.weights[0], -w, 1e-10);
    near(p.bias[0], p.bias[1], 1e-10);
    near(-2 / (1 + exp(2 * w)) + 2 * o.l2 * w, 0, 1e-10);
    bt_probe_free(&p);
}

static void probe_refuses_wrong_input(void **state) {
    (void)state;
    const float x[] = {1, 2, INFINITY, 3};
    const int32_t one[] = {3, 3}, none[] = {-1, -1}, two[] = {0, 1};
    bt_items train = {2, 2, x, NULL, one};
    bt_probe_options o = {.l2 = 0.1, .iterations = 10, .tolerance = 1e-6};
    bt_probe p = {.width = 9};
    check_error(bt_probe_fit(&train, &o, &p), BT_ERR_SHAPE,
                "at least two classes, below 1048576; found 2 labels up to 3");
    train.labels = none;
    check_error(bt_probe_fit(&train, &o, &p), BT_ERR_SHAPE, "found 0 labels");
    train.labels = two;
    check_message(bt_probe_fit(&train, &o, &p), BT_ERR_NUMERIC, "item 1 has a value that is not finite");
    assert_int_equal(p.width, 9); /* untouched */
    double accuracy;
    check_message(bt_probe_accuracy(&p, &train, &accuracy), BT_ERR_SHAPE, "items have width 2, the probe 9");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(votes_by_hand), cmocka_unit_test(votes_against_a_slow_loop),
                                       cmocka_unit_test(probe_is_at_the_minimum), cmocka_unit_test(probe_by_hand),
                                       cmocka_unit_test(probe_refuses_wrong_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
