/* Retrieval scores against hand-made cases and a slow independent count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "retrieval/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Database codes of 2 bits: 00 01 11 10, labels 0 1 0 1. Query logits (large): bits 00, label 0. */
static void hand_made(void **state) {
    (void)state;
    const uint64_t bits[] = {0, 1, 3, 2};
    const int32_t labels[] = {0, 1, 0, 1}, label[] = {0};
    const float query[] = {-50, -50};
    bt_items q = {.count = 1, .width = 2, .values = query, .labels = label};
    bt_items db = {.count = 4, .width = 2, .bits = bits, .labels = labels};
    bt_map map;
    /* Hamming 0 1 2 1: order 0, 1, 3, 2 (tie by index): relevant at ranks 1 and 4. */
    assert_int_equal(bt_mean_average_precision(&q, &db, BT_SYMMETRIC, 4, &map), BT_OK);
    assert_true(fabs(map.papers - (1 + 2.0 / 4) / 2) < 1e-12);
    assert_true(fabs(map.standard - (1 + 2.0 / 4) / 2) < 1e-12);
    /* k = 2: one relevant inside: papers 1/1, standard 1/min(2, 2). */
    assert_int_equal(bt_mean_average_precision(&q, &db, BT_SYMMETRIC, 2, &map), BT_OK);
    assert_true(fabs(map.papers - 1) < 1e-12 && fabs(map.standard - 0.5) < 1e-12);
    assert_int_equal(bt_mean_average_precision(&q, &db, BT_ASYMMETRIC, 4, &map), BT_OK);
    assert_true(fabs(map.papers - 0.75) < 1e-12);
}

static void nothing_relevant_is_zero(void **state) {
    (void)state;
    const uint64_t bits[] = {0, 1};
    const int32_t labels[] = {3, 3}, label[] = {0};
    const float query[] = {1};
    bt_items q = {.count = 1, .width = 1, .values = query, .labels = label},
             db = {.count = 2, .width = 1, .bits = bits, .labels = labels};
    bt_map map = {9, 9};
    assert_int_equal(bt_mean_average_precision(&q, &db, BT_SYMMETRIC, 10, &map), BT_OK);
    assert_true(map.papers == 0 && map.standard == 0);
}

static double slow_distance(const bt_items *q, int64_t i, const bt_items *db, int64_t j, bt_distance kind) {
    double sum = 0, qq = 0, dd = 0;
    for (int c = 0; c < q->width; c++) {
        double z = (double)q->values[i * q->width + c];
        if (kind == BT_COSINE) {
            double v = (double)db->values[j * q->width + c];
            sum += z * v;
            qq += z * z;
            dd += v * v;
            continue;
        }
        int bit = db->bits[j * ((q->width + 63) / 64) + c / 64] >> (c % 64) & 1;
        sum += kind == BT_ASYMMETRIC ? fabs(1 / (1 + exp(-z)) - bit) : (z > 0) != bit;
    }
    return kind == BT_COSINE ? 1 - sum / sqrt(qq * dd) : sum;
}

static double slow_map(const bt_items *q, const bt_items *db, bt_distance kind, int64_t k) {
    double total = 0;
    for (int64_t i = 0; i < q->count; i++) {
        double sum = 0;
        int64_t hits = 0;
        for (int64_t j = 0; j < db->count; j++) { /* the rank of j is one plus how many come before it */
            if (db->labels[j] != q->labels[i]) continue;
            int64_t before = 0, relevant_before = 0;
            double d = slow_distance(q, i, db, j, kind);
            for (int64_t m = 0; m < db->count; m++) {
                double e = slow_distance(q, i, db, m, kind);
                if (e < d || (e == d && m < j)) {
                    before++;
                    relevant_before += db->labels[m] == q->labels[i];
                }
            }
            if (before >= k) continue;
            hits++;
            sum += (double)(relevant_before + 1) / (double)(before + 1);
        }
        total += hits ? sum / (double)hits : 0;
    }
    return total / (double)q->count;
}

static void against_slow_count(void **state) {
    (void)state;
    enum { Q = 7, N = 150, W = 70 };
    static float values[(Q + N) * W];
    static uint64_t bits[N * 2];
    static int32_t labels[Q + N];
    uint32_t s = 7;
    for (int i = 0; i < (Q + N) * W; i++) values[i] = (float)((s = s * 1664525u + 1013904223u) >> 8) / 4194304.0f - 2;
    for (int i = 0; i < Q + N; i++) labels[i] = (int32_t)((s = s * 1664525u + 1013904223u) >> 16) % 4;
    for (int i = 0; i < N; i++)
        for (int c = 0; c < W; c++)
            if (values[(Q + i) * W + c] > 0) bits[2 * i + c / 64] |= UINT64_C(1) << (c % 64);
    bt_items q = {Q, W, values, NULL, labels}, db = {N, W, values + Q * W, bits, labels + Q};
    const bt_distance kinds[] = {BT_ASYMMETRIC, BT_SYMMETRIC, BT_COSINE};
    for (int kind = 0; kind < 3; kind++)
        for (int64_t k = 1; k <= N; k += 37) {
            bt_map map;
            assert_int_equal(bt_mean_average_precision(&q, &db, kinds[kind], k, &map), BT_OK);
            assert_true(fabs(map.papers - slow_map(&q, &db, kinds[kind], k)) < 1e-9);
        }
}

static void refuses_bad_input(void **state) {
    (void)state;
    const uint64_t bits[] = {0};
    const int32_t labels[] = {0};
    const float query[] = {1, NAN};
    bt_items q = {.count = 1, .width = 2, .values = query, .labels = labels},
             db = {.count = 1, .width = 1, .bits = bits, .labels = labels};
    bt_map map;
    assert_int_equal(bt_mean_average_precision(&q, &db, BT_SYMMETRIC, 1, &map), BT_ERR_SHAPE);
    assert_string_equal(bt_error_message(), "queries have width 2, the database 1");
    db.width = 2;
    assert_int_equal(bt_mean_average_precision(&q, &db, BT_SYMMETRIC, 1, &map), BT_ERR_NUMERIC);
    assert_string_equal(bt_error_message(), "query 0 has a NaN");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(hand_made), cmocka_unit_test(nothing_relevant_is_zero),
                                       cmocka_unit_test(against_slow_count), cmocka_unit_test(refuses_bad_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
