/* Statistics of codes and the effective rank: hand-made cases and slow loops. */
#include "check.h"

#include "retrieval/bits.h"
#include "retrieval/rotation.h"

#include <math.h>
#include <stdlib.h>

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.17g, wanted %.17g within %g", found, wanted, tolerance);
}

/* Four codes of 4 bits: bit 0 balanced, bit 1 its opposite, bit 2 always set, bit 3 set once. */
static void by_hand(void **state) {
    (void)state;
    const uint64_t codes[] = {5, 5, 6, 14};
    double p[4];
    bt_bit_statistics s;
    check_ok(bt_bits_measure(codes, 4, 4, p, &s));
    assert_true(p[0] == 0.5 && p[1] == 0.5 && p[2] == 1 && p[3] == 0.25);
    double h = -(0.25 * log2(0.25) + 0.75 * log2(0.75));
    near(s.imbalance, (0 + 0 + 1 + 0.5) / 4, 1e-15);
    near(s.worst_imbalance, 1, 0);
    near(s.entropy, (1 + 1 + 0 + h) / 4, 1e-15);
    near(s.least_entropy, 0, 0);
    assert_int_equal(s.dead, 1);
    assert_int_equal(s.distinct, 3);
    near(s.code_entropy, 1.5, 1e-15); /* 1/2, 1/4, 1/4 */
    /* Pairs 01: 1. Pairs 03 and 13: (0 - 1/8) / sqrt(1/4 * 3/16) and (1/4 - 1/8) / ...: 0.577. */
    near(s.correlation, (1 + 2 * 0.125 / sqrt(0.25 * 0.1875)) / 3, 1e-15);
    near(s.worst_correlation, 1, 1e-15);
    double r[16], third = 0.125 / sqrt(0.25 * 0.1875);
    const double wanted[16] = {1, -1, 0, -third, -1, 1, 0, third, 0, 0, 0, 0, -third, third, 0, 1};
    check_ok(bt_bits_correlate(codes, 4, 4, r));
    for (int i = 0; i < 16; i++) near(r[i], wanted[i], 1e-15);
    check_message(bt_bits_correlate(codes, 0, 4, r), BT_ERR_SHAPE, "bit statistics need codes; found 0 of 4 bits");
}

static void against_slow_loops(void **state) {
    (void)state;
    enum { N = 333, BITS = 70 };
    uint64_t codes[N][2] = {{0}};
    uint32_t word = 5;
    for (int i = 0; i < N; i++)
        for (int b = 0; b < BITS; b++) {
            word = word * 1664525u + 1013904223u;
            bool one = (word >> 8) % 100 < (uint32_t)(20 + b);          /* bits of every balance */
            if (i % 3 == 2) one = codes[i - 1][b / 64] >> (b % 64) & 1; /* a third are copies */
            codes[i][b / 64] |= (uint64_t)one << (b % 64);
        }
    double p[BITS], correlation = 0, worst = 0, code_entropy = 0;
    bt_bit_statistics s;
    check_ok(bt_bits_measure(codes[0], N, BITS, p, &s));
#define BIT(i, b) ((double)(codes[i][(b) / 64] >> ((b) % 64) & 1))
    for (int a = 0; a < BITS; a++) {
        double mean = 0;
        for (int i = 0; i < N; i++) mean += BIT(i, a) / N;
        near(p[a], mean, 1e-12);
        for (int b = a + 1; b < BITS; b++) {
            double other = 0, ab = 0, aa = 0, bb = 0;
            for (int i = 0; i < N; i++) other += BIT(i, b) / N;
            for (int i = 0; i < N; i++) {
                double x = BIT(i, a) - mean, y = BIT(i, b) - other;
                ab += x * y;
                aa += x * x;
                bb += y * y;
            }
            correlation += fabs(ab) / sqrt(aa * bb) / (BITS * (BITS - 1) / 2);
            worst = fmax(worst, fabs(ab) / sqrt(aa * bb));
        }
    }
    int distinct = 0;
    for (int i = 0; i < N; i++) {
        int same = 0, before = 0;
        for (int j = 0; j < N; j++) {
            bool equal = codes[i][0] == codes[j][0] && codes[i][1] == codes[j][1];
            same += equal;
            before += equal && j < i;
        }
        distinct += before == 0;
        code_entropy -= log2((double)same / N) / N;
    }
    near(s.correlation, correlation, 1e-12);
    near(s.worst_correlation, worst, 1e-12);
    near(s.code_entropy, code_entropy, 1e-12);
    assert_int_equal(s.distinct, distinct);
    assert_int_equal(s.dead, 0);
    check_message(bt_bits_measure(codes[0], 0, BITS, NULL, &s), BT_ERR_SHAPE,
                  "bit statistics need codes; found 0 of 70 bits");
}

/* Orthogonal columns of known lengths: singular values 4, 2, 2, 0. */
static void effective_rank_by_hand(void **state) {
    (void)state;
    const float x[] = {4, 0, 0, 0, /**/ 0, 2, 0, 0, /**/ 0, 0, 2, 0, /**/ 0, 0, 0, 0};
    bt_effective_rank r;
    check_ok(bt_effective_rank_of(x, 4, 4, false, &r));
    near(r.entropy, exp(1.5 * log(2)), 1e-12);            /* shares 1/2, 1/4, 1/4 */
    near(r.participation, 24.0 * 24 / (256 + 32), 1e-12); /* variances 16, 4, 4 */
    const float zero[4] = {0};
    check_ok(bt_effective_rank_of(zero, 2, 2, true, &r));
    assert_true(r.entropy == 0 && r.participation == 0);
}

/* An isotropic cloud far from 0: centred it has full rank, not centred the mean is all there is. */
static void effective_rank_and_the_mean(void **state) {
    (void)state;
    enum { N = 4000, D = 10 };
    static double g[N * D];
    static float x[N * D];
    bt_random_gaussian(g, N * D, 1, 0);
    for (int i = 0; i < N * D; i++) x[i] = (float)g[i] + 1000;
    bt_effective_rank centred, not_centred;
    check_ok(bt_effective_rank_of(x, N, D, true, &centred));
    check_ok(bt_effective_rank_of(x, N, D, false, &not_centred));
    assert_true(centred.entropy > 9.9 && centred.entropy <= 10 && centred.participation > 9.8 &&
                centred.participation < centred.entropy);
    assert_true(not_centred.entropy < 1.1 && not_centred.participation < 1.01);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(against_slow_loops),
                                       cmocka_unit_test(effective_rank_by_hand),
                                       cmocka_unit_test(effective_rank_and_the_mean)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
