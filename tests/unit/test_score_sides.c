/* Scores of two sides against the library's own functions called by hand: several ranks, several labels, training-free
 * codes, a full evaluation; and its JSON. */
#include "check.h"

#include "base/memory.h"
#include "formats/json.h"
#include "retrieval/distance.h"
#include "train/score_sides.h"

#include <math.h>
#include <stdlib.h>

enum { Q = 12, N = 70, T = 60, SAMPLES = Q + N + T, W = 10, BITS = 8, CLASSES = 4 };

typedef struct scene {
    bt_run_scores s;
    bt_embedded query, database, train;
    bt_sides sides;
} scene;

static uint32_t word = 3;
static float draw(void) {
    return (float)((word = word * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1;
}

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.17g, wanted %.17g within %g", found, wanted, tolerance);
}

/** Embeddings around the centre of the sample's class; samples `first`, first + 1, ... */
static bt_embedded embed(const bt_truth *t, int64_t first, int64_t count) {
    bt_embedded e = {.count = count, .width = W, .outputs = BITS};
    e.memory = bt_memory_alloc((size_t)(count * W), sizeof(float));
    e.logits = bt_memory_alloc((size_t)(count * BITS), sizeof(float));
    e.codes = bt_memory_zeroed((size_t)count, sizeof(uint64_t));
    e.samples = bt_memory_alloc((size_t)count, sizeof(int64_t));
    assert_true(e.memory && e.logits && e.codes && e.samples);
    e.embeddings = e.memory;
    for (int64_t i = 0; i < count; i++) {
        int32_t c = t->rank[0].labels[first + i];
        e.samples[i] = first + i;
        for (int j = 0; j < W; j++) e.memory[i * W + j] = draw() + (j % CLASSES == c ? 1.2f : 0);
        for (int j = 0; j < BITS; j++) e.logits[i * BITS + j] = draw() + (j / 2 == c ? 0.8f : -0.2f);
    }
    bt_codes_of(e.logits, count, BITS, e.codes);
    return e;
}

static bt_truth_rank make_rank(const char *name, int64_t count, int per) {
    bt_truth_rank r = {.name = bt_memory_copy_text(name), .count = count};
    r.labels = bt_memory_alloc(SAMPLES, sizeof *r.labels);
    r.names = bt_memory_alloc((size_t)count, sizeof *r.names);
    assert_true(r.labels && r.names);
    for (int i = 0; i < SAMPLES; i++) r.labels[i] = (i * 7 % CLASSES) / per;
    for (int64_t c = 0; c < count; c++) r.names[c] = bt_memory_copy_text(c ? "b" : "a & <b>");
    return r;
}

static scene make_scene(bool full, bool sets) {
    scene v = {.s = {.method = &bt_method_crovca, .bits = BITS, .width = W, .full = full, .accuracy = -1}};
    bt_run_scores *s = &v.s;
    s->run = bt_memory_copy_text("run");
    s->checkpoint = bt_memory_copy_text("step_00000001");
    s->options = (bt_eval_section){.k = 20,
                                   .all = true,
                                   .baselines = true,
                                   .resamples = 50,
                                   .shuffles = 3,
                                   .rotations = 4,
                                   .neighbours = 5,
                                   .seed = 2,
                                   .taxonomy = ""};
    s->truth = (bt_truth){.samples = SAMPLES, .rank_count = 2};
    s->truth.rank[0] = make_rank("species", CLASSES, 1);
    s->truth.rank[1] = make_rank("genus", CLASSES / 2, 2);
    if (sets) {
        s->truth.words = 1;
        s->truth.sets = bt_memory_alloc(SAMPLES, sizeof(uint64_t));
        for (int i = 0; i < SAMPLES; i++) s->truth.sets[i] = UINT64_C(1) << (i % 3) | (i % 5 == 0 ? 8 : 0);
    }
    for (int way = 0; way < BT_WAYS; way++) s->way[way].vote = s->way[way].probe = -1;
    v.query = embed(&s->truth, 0, Q);
    v.database = embed(&s->truth, Q, N);
    v.train = embed(&s->truth, Q + N, T);
    return v;
}

static void open_sides(scene *v) {
    check_ok(bt_sides_open(&v->s, &v->query, &v->database, &v->sides));
    v->s.cutoff[0] = 20;
    v->s.cutoff[1] = N;
    v->s.cutoffs = 2;
}

static void free_scene(scene *v) {
    bt_embedded_free(&v->query);
    bt_embedded_free(&v->database);
    bt_embedded_free(&v->train);
    bt_run_scores_free(&v->s);
}

static void ways_and_ranks(void **state) {
    (void)state;
    scene v = make_scene(false, false);
    open_sides(&v);
    for (int way = 0; way <= BT_WAY_CONTINUOUS; way++) check_ok(bt_sides_score(&v.sides, (bt_way)way, &v.s));
    check_ok(bt_sides_describe(&v.sides, &v.s));
    for (int r = 0; r < 2; r++) {
        const int32_t *ql = v.s.query_labels + r * Q, *dl = v.s.database_labels + r * N;
        bt_items qc = {Q, BITS, v.query.logits, NULL, ql}, dc = {N, BITS, NULL, v.database.codes, dl};
        bt_items qe = {Q, W, v.query.embeddings, NULL, ql}, de = {N, W, v.database.embeddings, NULL, dl};
        for (int c = 0; c < 2; c++) {
            bt_map map;
            check_ok(bt_mean_average_precision(&qc, &dc, BT_ASYMMETRIC, v.s.cutoff[c], &map));
            near(v.s.way[BT_WAY_BINARY].scores[2 * r + c].map.papers, map.papers, 0);
            check_ok(bt_mean_average_precision(&qc, &dc, BT_SYMMETRIC, v.s.cutoff[c], &map));
            near(v.s.way[BT_WAY_SYMMETRIC].scores[2 * r + c].map.standard, map.standard, 0);
            check_ok(bt_mean_average_precision(&qe, &de, BT_COSINE, v.s.cutoff[c], &map));
            near(v.s.way[BT_WAY_CONTINUOUS].scores[2 * r + c].map.papers, map.papers, 0);
        }
        double sum = 0;
        for (int64_t i = 0; i < v.s.confusion[r].classes * v.s.confusion[r].classes; i++)
            sum += v.s.confusion[r].share[i];
        near(sum, r ? 2 : 4, 1e-12);
    }
    assert_true(v.s.way[BT_WAY_BINARY].scores[2].map.papers > v.s.way[BT_WAY_BINARY].scores[0].map.papers);
    assert_true(v.s.way[BT_WAY_BINARY].vote < 0 && !v.s.way[BT_WAY_CONTINUOUS].has_effective_rank);
    assert_int_equal(v.s.neighbour_count, BT_SHEET_NEIGHBOURS);
    assert_int_equal(v.s.bit_statistics.count, N);
    free_scene(&v);
}

/* Relevance of rank 0 is by sets; what needs one class each is left out. */
static void several_labels(void **state) {
    (void)state;
    scene v = make_scene(true, true);
    open_sides(&v);
    check_ok(bt_sides_score(&v.sides, BT_WAY_SYMMETRIC, &v.s));
    check_ok(bt_sides_describe(&v.sides, &v.s));
    check_ok(bt_sides_probe(&v.sides, &v.train, BT_WAY_CONTINUOUS, &v.s));
    bt_items q = {Q, BITS, v.query.logits, NULL, NULL}, db = {N, BITS, NULL, v.database.codes, NULL};
    bt_relevance shared = {.query_sets = v.s.truth.sets, .database_sets = v.s.truth.sets + Q, .words = 1};
    bt_score_options o = {.distance = BT_SYMMETRIC, .k = v.s.cutoff, .k_count = 2};
    bt_scores wanted[2];
    check_ok(bt_score(&q, &db, &shared, 1, &o, wanted, NULL));
    near(v.s.way[BT_WAY_SYMMETRIC].scores[0].map.papers, wanted[0].map.papers, 0);
    near(v.s.way[BT_WAY_SYMMETRIC].scores[1].map.standard, wanted[1].map.standard, 0);
    assert_true(v.s.confusion[0].classes == 0 && v.s.confusion[1].classes == 2);
    assert_true(v.s.way[BT_WAY_SYMMETRIC].vote < 0 && v.s.way[BT_WAY_CONTINUOUS].probe < 0);
    free_scene(&v);
}

static void everything(void **state) {
    (void)state;
    scene v = make_scene(true, false);
    bt_text json = {0}, table = {0};
    bt_json *read;
    open_sides(&v);
    for (int way = 0; way < BT_WAYS; way++) check_ok(bt_sides_score(&v.sides, (bt_way)way, &v.s));
    check_ok(bt_sides_describe(&v.sides, &v.s));
    check_ok(bt_sides_probe(&v.sides, &v.train, BT_WAY_CONTINUOUS, &v.s));
    v.s.free_of = "before";
    check_ok(bt_sides_score_free(&v.sides, &v.train, &v.s));
    const bt_scored *binary = &v.s.way[BT_WAY_BINARY], *continuous = &v.s.way[BT_WAY_CONTINUOUS];
    assert_true(binary->vote > 0.3 && continuous->vote > 0.3 && continuous->probe > 0.5 &&
                continuous->has_effective_rank);
    assert_true(v.s.way[BT_WAY_SYMMETRIC].scores[0].shuffle_deviation.papers > 0);
    assert_true(v.s.has_free && v.s.free[0].draws == 4 && v.s.free[0].papers.mean > 0.2 && v.s.free_itq.draws == 4);
    near(v.s.free[1].papers.mean, v.s.free[1].standard.mean, 1e-12); /* the whole database */
    check_ok(bt_run_scores_json(&v.s, &json));
    check_ok(bt_json_parse(bt_text_get(&json), json.length, "json", 0, &read));
    double value;
    check_ok(bt_json_get_number(bt_json_root(read), "map_training_free", &value));
    near(value, v.s.free[0].papers.mean, 0);
    check_ok(bt_json_get_number(bt_json_root(read), "map_binary", &value));
    near(value, binary->scores[0].map.papers, 0);
    bt_run_scores_table(&v.s, &table);
    assert_non_null(strstr(bt_text_get(&table), "training-free"));
    assert_non_null(strstr(bt_text_get(&table), "\ngenus"));
    assert_non_null(strstr(bt_text_get(&table), "linear probe"));
    bt_text_clear(&table);
    bt_run_scores_headline(&v.s, &table);
    assert_non_null(strstr(bt_text_get(&table), "mAP@20 continuous 0."));
    assert_non_null(strstr(bt_text_get(&table), ", training-free 0."));
    bt_json_free(read);
    bt_text_free(&json);
    bt_text_free(&table);
    free_scene(&v);
}

static void what_does_not_fit(void **state) {
    (void)state;
    scene v = make_scene(false, false);
    open_sides(&v);
    v.database.samples[3] = 0;
    check_message(bt_sides_open(&v.s, &v.query, &v.database, &v.sides), BT_ERR_SHAPE,
                  "pictures became readable or unreadable during the evaluation; start it again");
    v.s.bits = 64;
    check_ok(bt_sides_score_free(&v.sides, &v.train, &v.s));
    assert_false(v.s.has_free);
    assert_string_equal(v.s.free_reason,
                        "64 bits are more than there are principal components: the embeddings have width 10");
    free_scene(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ways_and_ranks), cmocka_unit_test(several_labels),
                                       cmocka_unit_test(everything), cmocka_unit_test(what_does_not_fit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
