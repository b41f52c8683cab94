/* Scores at several cutoffs, for several meanings of "relevant", over shuffles of ties, with intervals: hand-made
 * cases, slow loops in double, and the exact expectation over all orders of ties. */
#include "check.h"

#include "base/memory.h"
#include "retrieval/distance.h"
#include "retrieval/scores.h"

#include <math.h>
#include <stdlib.h>

#ifdef _OPENMP
#include <omp.h>
#endif

static uint32_t state_word = 1;
static uint32_t draw(void) {
    return (state_word = state_word * 1664525u + 1013904223u) >> 8;
}

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.17g, wanted %.17g within %g", found, wanted, tolerance);
}

/* ---- by hand ---- */

/* One query of 3 bits, 000; database distances 0 1 1 2 3, labels 1 0 1 1 0: relevant at ranks 1, 3, 4. */
static void cutoffs_by_hand(void **state) {
    (void)state;
    const float query[] = {-9, -9, -9};
    const uint64_t bits[] = {0, 1, 2, 3, 7};
    const int32_t label[] = {1}, labels[] = {1, 0, 1, 1, 0};
    const int64_t k[] = {1, 2, 3, 5, 100};
    bt_items q = {1, 3, query, NULL, label}, db = {5, 3, NULL, bits, labels};
    bt_relevance r = bt_relevance_of_labels(&q, &db);
    bt_score_options o = {.distance = BT_SYMMETRIC, .k = k, .k_count = 5};
    bt_scores s[5];
    bt_map each[5];
    double curve[5];
    bt_score_detail detail = {each, curve, 5};
    check_ok(bt_score(&q, &db, &r, 1, &o, s, &detail));
    const double sums[] = {1, 1, 1 + 2.0 / 3, 1 + 2.0 / 3 + 3.0 / 4, 1 + 2.0 / 3 + 3.0 / 4}, hits[] = {1, 1, 2, 3, 3},
                 possible[] = {1, 2, 3, 3, 3};
    const int64_t used[] = {1, 2, 3, 5, 5};
    for (int c = 0; c < 5; c++) {
        assert_int_equal(s[c].k, used[c]);
        near(s[c].map.papers, sums[c] / hits[c], 1e-15);
        near(s[c].map.standard, sums[c] / possible[c], 1e-15);
        near(s[c].precision, hits[c] / (double)used[c], 1e-15);
        near(s[c].recall, hits[c] / 3, 1e-15);
        near(s[c].hit_rate, 1, 0);
        near(each[c].papers, s[c].map.papers, 0);
    }
    /* Recall 0, 1/4, 1/2, 3/4, 1 need 1, 1, 2, 3, 3 hits; precision there or later at best 1, 1, 3/4, 3/4, 3/4. */
    const double wanted[] = {1, 1, 0.75, 0.75, 0.75};
    for (int p = 0; p < 5; p++) near(curve[p], wanted[p], 1e-15);
}

/* Sets of labels over two words; a query without labels and one that shares none. */
static void sets_of_labels_by_hand(void **state) {
    (void)state;
    const float queries[] = {1, 0, 1, 0, 1, 0};
    const float items[] = {1, 0, 1, 0.1f, 1, 0.2f};
    const uint64_t query_sets[] = {1, 0, 0, UINT64_C(1) << 63, 0, 0}, sets[] = {2, 1, 3, 0, 0, UINT64_C(3) << 62};
    const int64_t k[] = {2, 3};
    bt_items q = {.count = 3, .width = 2, .values = queries}, db = {.count = 3, .width = 2, .values = items};
    bt_relevance r = {.query_sets = query_sets, .database_sets = sets, .words = 2};
    bt_score_options o = {.distance = BT_COSINE, .k = k, .k_count = 2};
    bt_scores s[2];
    check_ok(bt_score(&q, &db, &r, 1, &o, s, NULL));
    /* Query 0 shares bit 0 with item 1 (rank 2); query 1 shares bit 127 with item 2 (rank 3); query 2 has no label. */
    near(s[0].map.papers, 0.5 / 3, 1e-15);
    near(s[0].map.standard, 0.5 / 3, 1e-15);
    near(s[1].map.papers, (0.5 + 1.0 / 3) / 3, 1e-15);
    near(s[1].recall, 2.0 / 3, 1e-15);
    near(s[0].hit_rate, 1.0 / 3, 1e-15);
    assert_int_equal(s[0].without_relevant, 1);
}

/* A taxonomy of two ranks from one ranking gives what two calls give, and unlabelled items are relevant to nothing. */
static void ranks_of_a_taxonomy(void **state) {
    (void)state;
    enum { Q = 9, N = 40, W = 6 };
    float values[N * W];
    int32_t species[N], genus[N];
    for (int i = 0; i < N * W; i++) values[i] = (float)draw() / 8388608.0f - 1;
    for (int i = 0; i < N; i++) {
        species[i] = i % 11 == 0 ? -1 : (int32_t)(draw() % 6);
        genus[i] = species[i] < 0 ? -1 : species[i] / 2;
    }
    bt_items q = {Q, W, values, NULL, NULL}, db = {N, W, values, NULL, NULL};
    bt_relevance r[] = {{.query_labels = species, .database_labels = species},
                        {.query_labels = genus, .database_labels = genus}};
    const int64_t k[] = {5, N};
    bt_score_options o = {.distance = BT_COSINE, .k = k, .k_count = 2, .shuffles = 2, .seed = 1};
    bt_scores both[4], one[2];
    check_ok(bt_score(&q, &db, r, 2, &o, both, NULL));
    for (int i = 0; i < 2; i++) {
        check_ok(bt_score(&q, &db, &r[i], 1, &o, one, NULL));
        assert_memory_equal(&both[2 * i], one, sizeof one);
    }
    assert_int_equal(both[0].without_relevant, 1); /* query 0 is unlabelled */
    assert_true(both[3].map.standard > both[1].map.standard);
}

/* ---- ties ---- */

/* Expected standard AP@k over all orders of ties: McSherry and Najork 2008. At place i of a tie of n items, m of them
 * relevant, that begins after `before` ranks with `found` relevant: P(relevant) = m/n, and given that, (i-1)(m-1)/(n-1)
 * relevant ones are expected above it in the tie. */
static double expected_ap(const int *count, const int *relevant, int levels, int k, int possible) {
    double sum = 0;
    int before = 0, found = 0;
    for (int d = 0; d < levels; d++) {
        for (int i = 1; i <= count[d] && before + i <= k; i++) {
            double above = count[d] > 1 ? (double)(i - 1) * (relevant[d] - 1) / (count[d] - 1) : 0;
            if (relevant[d]) sum += (double)relevant[d] / count[d] * (found + above + 1) / (before + i);
        }
        before += count[d];
        found += relevant[d];
    }
    return possible ? sum / possible : 0;
}

static void shuffles_meet_their_expectation(void **state) {
    (void)state;
    enum { Q = 20, N = 300, BITS = 4, SHUFFLES = 400 };
    float logits[Q * BITS], items[N * BITS];
    uint64_t bits[N], code[Q];
    int32_t labels[N], query_labels[Q];
    for (int i = 0; i < Q * BITS; i++) logits[i] = (float)draw() / 8388608.0f - 1;
    for (int i = 0; i < N * BITS; i++) items[i] = (float)draw() / 8388608.0f - 1;
    for (int i = 0; i < N; i++) labels[i] = i < N / 3; /* the order by index flatters label 1 */
    for (int i = 0; i < Q; i++) query_labels[i] = 1;
    bt_codes_of(items, N, BITS, bits);
    bt_codes_of(logits, Q, BITS, code);
    bt_items q = {Q, BITS, logits, NULL, query_labels}, db = {N, BITS, NULL, bits, labels};
    bt_relevance r = bt_relevance_of_labels(&q, &db);
    const int64_t k[] = {40, N};
    bt_score_options o = {.distance = BT_SYMMETRIC, .k = k, .k_count = 2, .shuffles = SHUFFLES, .seed = 11};
    bt_scores s[2], again[2];
    check_ok(bt_score(&q, &db, &r, 1, &o, s, NULL));
    for (int c = 0; c < 2; c++) {
        double wanted = 0;
        for (int i = 0; i < Q; i++) {
            int count[BITS + 1] = {0}, relevant[BITS + 1] = {0};
            for (int j = 0; j < N; j++) {
                int d = __builtin_popcountll(code[i] ^ bits[j]);
                count[d]++;
                relevant[d] += labels[j];
            }
            wanted += expected_ap(count, relevant, BITS + 1, (int)k[c], k[c] < N / 3 ? (int)k[c] : N / 3) / Q;
        }
        near(s[c].shuffled.standard, wanted, 5 * s[c].shuffle_deviation.standard / sqrt(SHUFFLES));
        assert_true(s[c].shuffle_deviation.standard > 0.002 && s[c].shuffle_deviation.standard < 0.05);
        assert_true(s[c].map.standard > wanted + 0.1); /* what the order by index is worth here */
    }
    o.seed = 12;
    check_ok(bt_score(&q, &db, &r, 1, &o, again, NULL));
    assert_true(again[1].shuffled.standard < s[1].shuffled.standard ||
                again[1].shuffled.standard > s[1].shuffled.standard);
    near(again[1].map.standard, s[1].map.standard, 0);
}

/* ---- against slow loops ---- */

enum { Q = 23, N = 211, W = 19 };

typedef struct scene {
    float values[N * W];
    uint64_t bits[N];
    int32_t labels[N];
} scene;

static scene make_scene(void) {
    scene s;
    for (int i = 0; i < N * W; i++) s.values[i] = (float)draw() / 8388608.0f - 1;
    for (int i = 0; i < N; i++) s.labels[i] = (int32_t)(draw() % 5);
    bt_codes_of(s.values, N, W, s.bits);
    return s;
}

/* Distance of float rounding is compared as float, so that ties are the same. */
static float slow_distance(const scene *s, int i, int j, bt_distance kind) {
    double sum = 0, qq = 0, dd = 0;
    for (int c = 0; c < W; c++) {
        double x = (double)s->values[i * W + c], y = (double)s->values[j * W + c];
        sum += kind == BT_COSINE      ? x * y
               : kind == BT_SYMMETRIC ? (x > 0) != (y > 0)
                                      : fabs(1 / (1 + exp(-x)) - (y > 0));
        qq += x * x;
        dd += y * y;
    }
    return (float)(kind == BT_COSINE ? 1 - sum / sqrt(qq * dd) : sum);
}

/* Average precision, hits of query i by counting what comes before each item. */
static void slow_query(const scene *s, int i, bt_distance kind, int64_t k, bool leave_one_out, bt_map *ap,
                       int64_t *hits, int64_t *relevant) {
    float d[N];
    double sum = 0;
    *hits = *relevant = 0;
    for (int j = 0; j < N; j++) d[j] = slow_distance(s, i, j, kind);
    for (int j = 0; j < N; j++) {
        if (s->labels[j] != s->labels[i] || (leave_one_out && j == i)) continue;
        ++*relevant;
        int64_t before = 0, good = 0;
        for (int m = 0; m < N; m++)
            if (!(leave_one_out && m == i) && (d[m] < d[j] || (d[m] <= d[j] && m < j))) {
                before++;
                good += s->labels[m] == s->labels[i];
            }
        if (before >= k) continue;
        ++*hits;
        sum += (double)(good + 1) / (double)(before + 1);
    }
    int64_t possible = *relevant < k ? *relevant : k;
    *ap = (bt_map){*hits ? sum / (double)*hits : 0, possible ? sum / (double)possible : 0};
}

static void against_slow_loops(void **state) {
    (void)state;
    scene s = make_scene();
    const int64_t k[] = {1, 13, 100, N};
    for (int kind = 0; kind < 3; kind++)
        for (int leave = 0; leave < 2; leave++) {
            int count = leave ? N : Q;
            bt_items q = {count, W, s.values, NULL, s.labels}, db = {N, W, s.values, s.bits, s.labels};
            bt_relevance r = bt_relevance_of_labels(&q, &db);
            bt_score_options o = {.distance = (bt_distance)kind, .k = k, .k_count = 4, .leave_one_out = leave};
            bt_scores found[4];
            check_ok(bt_score(&q, &db, &r, 1, &o, found, NULL));
            for (int c = 0; c < 4; c++) {
                bt_map map = {0, 0}, ap;
                double precision = 0, recall = 0, hit = 0;
                int64_t used = k[c] < N - leave ? k[c] : N - leave;
                for (int i = 0; i < count; i++) {
                    int64_t hits, relevant;
                    slow_query(&s, i, (bt_distance)kind, used, leave, &ap, &hits, &relevant);
                    map.papers += ap.papers / count;
                    map.standard += ap.standard / count;
                    precision += (double)hits / (double)used / count;
                    recall += (double)hits / (double)relevant / count;
                    hit += (double)(hits > 0) / count;
                }
                near(found[c].map.papers, map.papers, 1e-12);
                near(found[c].map.standard, map.standard, 1e-12);
                near(found[c].precision, precision, 1e-12);
                near(found[c].recall, recall, 1e-12);
                near(found[c].hit_rate, hit, 1e-12);
            }
        }
}

static void same_bits_on_any_threads(void **state) {
    (void)state;
    scene s = make_scene();
    const int64_t k[] = {13, N};
    bt_items q = {Q, W, s.values, NULL, s.labels}, db = {N, W, s.values, s.bits, s.labels};
    bt_relevance r = bt_relevance_of_labels(&q, &db);
    bt_score_options o = {
        .distance = BT_ASYMMETRIC, .k = k, .k_count = 2, .shuffles = 3, .resamples = 50, .level = 0.9, .seed = 4};
    bt_scores found[3][2];
    double curve[3][11];
    for (int t = 0; t < 3; t++) {
#ifdef _OPENMP
        omp_set_num_threads(t + 1);
#endif
        bt_score_detail detail = {NULL, curve[t], 11};
        check_ok(bt_score(&q, &db, &r, 1, &o, found[t], &detail));
        assert_memory_equal(found[t], found[0], sizeof found[0]);
        assert_memory_equal(curve[t], curve[0], sizeof curve[0]);
    }
    assert_true(found[0][0].papers.low < found[0][0].map.papers && found[0][0].map.papers < found[0][0].papers.high);
}

/* ---- intervals ---- */

static void intervals(void **state) {
    (void)state;
    enum { COUNT = 400 };
    double values[2 * COUNT], mean = 0, variance = 0;
    for (int i = 0; i < COUNT; i++) {
        values[2 * i] = (double)draw() / 16777216;
        values[2 * i + 1] = NAN; /* behind the stride */
        mean += values[2 * i] / COUNT;
    }
    for (int i = 0; i < COUNT; i++) variance += (values[2 * i] - mean) * (values[2 * i] - mean) / COUNT;
    bt_interval wide, narrow, again;
    check_ok(bt_bootstrap_mean(values, COUNT, 2, 4000, 0.95, 1, &wide));
    check_ok(bt_bootstrap_mean(values, COUNT, 2, 4000, 0.50, 1, &narrow));
    check_ok(bt_bootstrap_mean(values, COUNT, 2, 4000, 0.95, 1, &again));
    assert_memory_equal(&wide, &again, sizeof wide);
    /* The bootstrap distribution of a mean of 400 is normal enough: 1.960 and 0.6745 deviations. */
    double deviation = sqrt(variance / COUNT);
    near(wide.high - wide.low, 2 * 1.960 * deviation, 0.15 * deviation);
    near(narrow.high - narrow.low, 2 * 0.6745 * deviation, 0.1 * deviation);
    near((wide.high + wide.low) / 2, mean, 0.15 * deviation);
    /* Two resamples: the quantiles lie on the line between them, half and 0.98 of its length apart. */
    check_ok(bt_bootstrap_mean(values, COUNT, 2, 2, 0.98, 1, &wide));
    check_ok(bt_bootstrap_mean(values, COUNT, 2, 2, 0.50, 1, &narrow));
    near((wide.high - wide.low) / (narrow.high - narrow.low), 1.96, 1e-9);
    const double one[] = {0.25};
    check_ok(bt_bootstrap_mean(one, 1, 1, 10, 0.9, 1, &wide));
    assert_true(wide.low == 0.25 && wide.high == 0.25);
}

/* ---- wrong input ---- */

static void refuses_wrong_input(void **state) {
    (void)state;
    const float good[] = {1, 2}, infinite[] = {1, INFINITY}, large[] = {1e30f, 1e30f};
    const int32_t label[] = {0};
    int64_t k = 0;
    bt_items q = {1, 2, good, NULL, label}, db = {1, 2, infinite, NULL, label};
    bt_relevance r = bt_relevance_of_labels(&q, &db);
    bt_score_options o = {.distance = BT_COSINE, .k = &k, .k_count = 1};
    bt_scores s;
    check_message(bt_score(&q, &db, &r, 1, &o, &s, NULL), BT_ERR_SHAPE,
                  "retrieval scores need k of at least 1; found 0");
    k = 1;
    check_message(bt_score(&q, &db, &r, 1, &o, &s, NULL), BT_ERR_NUMERIC,
                  "database item 0 has a NaN, or no finite norm in f32");
    db.values = good;
    q.values = large;
    check_message(bt_score(&q, &db, &r, 1, &o, &s, NULL), BT_ERR_NUMERIC,
                  "query 0 has a NaN, or no finite norm in f32");
    q.count = 0;
    check_message(bt_score(&q, &db, &r, 1, &o, &s, NULL), BT_ERR_SHAPE,
                  "retrieval scores need queries and a database; found 0 and 1");
}

static void out_of_memory_is_an_error(void **state) {
    (void)state;
    scene s = make_scene();
    int64_t k = 10;
    bt_items q = {Q, W, s.values, NULL, s.labels}, db = {N, W, s.values, s.bits, s.labels};
    bt_relevance r = bt_relevance_of_labels(&q, &db);
    bt_score_options o = {.distance = BT_SYMMETRIC, .k = &k, .k_count = 1, .shuffles = 1, .resamples = 3, .level = 0.5};
    int failures = 0;
    for (int64_t n = 1; n < 60; n++) {
        bt_scores found;
        double curve[3];
        bt_score_detail detail = {NULL, curve, 3};
        bt_memory_fail_at(n);
        bt_status status = bt_score(&q, &db, &r, 1, &o, &found, &detail);
        bt_memory_fail_at(0);
        assert_true(status == BT_OK || status == BT_ERR_MEMORY);
        failures += status == BT_ERR_MEMORY;
    }
    assert_true(failures >= 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cutoffs_by_hand),
        cmocka_unit_test(sets_of_labels_by_hand),
        cmocka_unit_test(ranks_of_a_taxonomy),
        cmocka_unit_test(shuffles_meet_their_expectation),
        cmocka_unit_test(against_slow_loops),
        cmocka_unit_test(same_bits_on_any_threads),
        cmocka_unit_test(intervals),
        cmocka_unit_test(refuses_wrong_input),
        cmocka_unit_test(out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
