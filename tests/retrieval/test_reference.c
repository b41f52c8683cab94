/* The evaluation library against NumPy: reads the arrays of reference.py and prints, for each quantity, the largest
 * difference and what is allowed.   test_retrieval_reference FOLDER     Exit code 77: the folder has no arrays. */
#include "base/file.h"
#include "retrieval/bits.h"
#include "retrieval/distance.h"
#include "retrieval/embedding_file.h"
#include "retrieval/knn.h"
#include "retrieval/linalg.h"
#include "retrieval/neighbours.h"
#include "retrieval/probe.h"
#include "retrieval/rotation.h"
#include "retrieval/scores.h"
#include "retrieval/training_free.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPONENTS = 16, CUTOFF = 60, ITERATIONS = 20 };

/* Where distances are f32 here and f64 there, two items a rounding apart may change places; one such pair moves a mean
 * over 100 queries by some 1e-6. */
#define F32_RANKING 2e-5

static const char *folder;
static int failures;

static void must(bt_status status) {
    if (status == BT_OK) return;
    printf("FAILED: %s\n", bt_error_message());
    exit(1);
}

static const char *path_of(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    return path;
}

/* A float64 array, to be freed. */
static double *reference(const char *name, int64_t count) {
    bt_npy npy;
    must(bt_npy_open(path_of(name), &npy));
    if (npy.dtype != BT_FILE_F64 || npy.count != count) {
        printf("FAILED: %s.npy has %lld elements, %lld of f64 are expected\n", name, (long long)npy.count,
               (long long)count);
        exit(1);
    }
    double *values = malloc((size_t)count * sizeof *values);
    memcpy(values, npy.data, (size_t)count * sizeof *values);
    bt_npy_close(&npy);
    return values;
}

static void compare_with(const char *what, const double *found, const double *wanted, int64_t count, double allowed) {
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        double difference = fabs(found[i] - wanted[i]);
        worst = difference <= worst ? worst : difference; /* NaN stays */
    }
    bool good = worst <= allowed;
    failures += !good;
    printf("%s %-34s %6lld values, largest difference %.2e, allowed %.0e\n", good ? "ok    " : "FAILED", what,
           (long long)count, worst, allowed);
}

static void compare(const char *name, const double *found, int64_t count, double allowed) {
    double *wanted = reference(name, count);
    compare_with(name, found, wanted, count, allowed);
    free(wanted);
}

static bt_embedding_file x, q, logits, query_logits;
static bt_label_file y, yq, multi, multi_q;
static uint64_t *codes;

static void read_data(void) {
    must(bt_embedding_file_open(path_of("x"), &x));
    must(bt_embedding_file_open(path_of("q"), &q));
    must(bt_embedding_file_open(path_of("logits"), &logits));
    must(bt_embedding_file_open(path_of("query_logits"), &query_logits));
    must(bt_label_file_open(path_of("y"), &y));
    must(bt_label_file_open(path_of("yq"), &yq));
    must(bt_label_file_open(path_of("multi"), &multi));
    must(bt_label_file_open(path_of("multi_q"), &multi_q));
    codes = malloc((size_t)x.count * sizeof *codes);
    bt_codes_of(logits.values, x.count, COMPONENTS, codes);
}

static void close_data(void) {
    bt_embedding_file *const files[] = {&x, &q, &logits, &query_logits};
    bt_label_file *const labels[] = {&y, &yq, &multi, &multi_q};
    for (int i = 0; i < 4; i++) {
        bt_embedding_file_close(files[i]);
        bt_label_file_close(labels[i]);
    }
    free(codes);
}

static void components_and_itq(void) {
    bt_pca pca;
    must(bt_pca_exact(x.values, x.count, x.width, COMPONENTS, &pca));
    compare("variances", pca.variances, COMPONENTS, 1e-12);
    compare("components", pca.components, (int64_t)COMPONENTS * x.width, 1e-10);
    bt_pca randomised;
    must(bt_pca_randomised(x.values, x.count, x.width, COMPONENTS, 16, 30, 1, &randomised));
    compare_with("components, randomised", randomised.components, pca.components, (int64_t)COMPONENTS * x.width, 1e-9);
    float *z = malloc((size_t)x.count * COMPONENTS * sizeof *z);
    must(bt_pca_project(&pca, x.values, x.count, z));
    double *rotation = reference("start", COMPONENTS * COMPONENTS), losses[ITERATIONS + 1];
    must(bt_itq(z, x.count, COMPONENTS, ITERATIONS, rotation, losses));
    compare("itq_losses", losses, ITERATIONS + 1, 1e-12);
    compare("itq", rotation, COMPONENTS * COMPONENTS, 1e-9);
    free(rotation);
    free(z);
    bt_pca_free(&pca);
    bt_pca_free(&randomised);
}

/** The first 20 of each query, and where the first 10 come from. */
static void neighbours_by(const bt_items *queries, const bt_items *database, bt_distance distance, const char *name) {
    enum { SHOWN = 20, MOST_CLASSES = 64 };
    int64_t classes = 0, count = queries->count * SHOWN;
    for (int64_t i = 0; i < database->count; i++) classes = y.classes[i] >= classes ? y.classes[i] + 1 : classes;
    int32_t *index = malloc((size_t)count * sizeof *index);
    double *found = malloc((size_t)count * sizeof *found), share[MOST_CLASSES * MOST_CLASSES];
    if (!index || !found || classes > MOST_CLASSES) abort();
    must(bt_neighbours_find(queries, database, distance, SHOWN, index, NULL));
    for (int64_t i = 0; i < count; i++) found[i] = index[i];
    bt_neighbours_confuse(index, queries->count, SHOWN, 10, yq.classes, y.classes, classes, share);
    char label[64];
    snprintf(label, sizeof label, "neighbours_%s", name);
    compare(label, found, count, 0);
    snprintf(label, sizeof label, "confusion_%s", name);
    compare(label, share, classes * classes, 1e-12);
    free(index);
    free(found);
}

static void score_by(bt_distance distance, const char *name, double allowed) {
    bt_items queries = {q.count, q.width, q.values, NULL, yq.classes},
             database = {x.count, x.width, x.values, NULL, y.classes};
    if (distance != BT_COSINE) {
        queries = (bt_items){q.count, COMPONENTS, query_logits.values, NULL, yq.classes};
        database = (bt_items){x.count, COMPONENTS, NULL, codes, y.classes};
    }
    bt_relevance relevance[] = {bt_relevance_of_labels(&queries, &database),
                                {NULL, NULL, multi_q.sets, multi.sets, multi.words}};
    const int64_t k[] = {CUTOFF, x.count};
    bt_score_options options = {.distance = distance, .k = k, .k_count = 2};
    bt_scores scores[4];
    double rows[4][5], curve[22], accuracy;
    bt_score_detail detail = {NULL, curve, 11};
    must(bt_score(&queries, &database, relevance, 2, &options, scores, &detail));
    for (int i = 0; i < 4; i++) {
        const double row[] = {scores[i].map.papers, scores[i].map.standard, scores[i].precision, scores[i].recall,
                              scores[i].hit_rate};
        memcpy(rows[i], row, sizeof row);
    }
    char label[64];
    snprintf(label, sizeof label, "scores_%s", name);
    compare(label, rows[0], 20, allowed);
    if (distance == BT_COSINE) {
        compare("curve", curve, 11, allowed);
        compare("sklearn", &scores[1].map.standard, 1, allowed);
    }
    neighbours_by(&queries, &database, distance, name);
    bt_knn_options knn = {.distance = distance, .k = 20, .temperature = 0.1};
    must(bt_knn_accuracy(&queries, &database, &knn, NULL, &accuracy));
    snprintf(label, sizeof label, "votes_%s", name);
    compare(label, &accuracy, 1, 1e-12);
}

static void bits_and_ranks(void) {
    bt_bit_statistics s;
    must(bt_bits_measure(codes, x.count, COMPONENTS, NULL, &s));
    const double found[] = {s.imbalance,         s.entropy,          s.least_entropy, s.correlation,
                            s.worst_correlation, (double)s.distinct, s.code_entropy};
    compare("bits", found, 7, 1e-12);
    double correlation[COMPONENTS * COMPONENTS];
    must(bt_bits_correlate(codes, x.count, COMPONENTS, correlation));
    compare("bit_correlation", correlation, COMPONENTS * COMPONENTS, 1e-12);
    bt_effective_rank r[2];
    must(bt_effective_rank_of(x.values, x.count, x.width, false, &r[0]));
    must(bt_effective_rank_of(x.values, x.count, x.width, true, &r[1]));
    const double ranks[] = {r[0].entropy, r[0].participation, r[1].entropy, r[1].participation};
    compare("ranks", ranks, 4, 1e-9);
}

static void probe(void) {
    bt_items train = {x.count, x.width, x.values, NULL, y.classes},
             test = {q.count, q.width, q.values, NULL, yq.classes};
    bt_probe_options options = {.l2 = 1e-3, .iterations = 1000, .tolerance = 1e-10, .standardise = true};
    bt_probe p;
    double mean = 0, accuracy;
    must(bt_probe_fit(&train, &options, &p));
    compare("probe", p.weights, (int64_t)p.classes * p.width, 1e-6); /* gradient / l2 bounds the error */
    for (int c = 0; c < p.classes; c++) mean += p.bias[c] / p.classes;
    for (int c = 0; c < p.classes; c++) p.bias[c] -= mean; /* softmax does not see a constant */
    compare("probe_bias", p.bias, p.classes, 1e-6);
    must(bt_probe_accuracy(&p, &test, &accuracy));
    compare("probe_accuracy", &accuracy, 1, 1e-12);
    bt_probe_free(&p);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    folder = argv[1];
    if (!bt_file_exists(path_of("probe_accuracy"))) {
        printf("skipped: %s has no reference values (tests/retrieval/reference.sh makes them)\n", folder);
        return 77;
    }
    read_data();
    components_and_itq();
    score_by(BT_ASYMMETRIC, "asymmetric", F32_RANKING);
    score_by(BT_SYMMETRIC, "symmetric", 1e-12);
    score_by(BT_COSINE, "cosine", F32_RANKING);
    bits_and_ranks();
    probe();
    close_data();
    return failures > 0;
}
