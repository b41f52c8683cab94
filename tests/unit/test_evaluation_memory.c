/* A database whose embeddings are larger than the memory that the evaluation may have: they are spilled to a file, and
 * everything is scored under a limit on the process's private memory (RLIMIT_DATA), which the kernel enforces.
 *   BITTERN_TEST_ITEMS=1000000 test_evaluation_memory      (default 200000; 128 numbers and 64 bits each)
 * Skipped under sanitizers, which keep memory of their own. */
#include "check.h"
#include "scratch.h"

#include "base/memory.h"
#include "base/thread.h"
#include "retrieval/distance.h"
#include "train/score_sides.h"

#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

#ifdef _OPENMP
#include <omp.h>
#endif

enum { WIDTH = 128, BITS = 64, CLASSES = 50, QUERIES = 48, ROWS = 1000 };

static uint32_t word = 9;
static float noise(void) {
    return (float)((word = word * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1;
}

static void make_row(int64_t sample, float *row) {
    for (int j = 0; j < WIDTH; j++) row[j] = noise() + (float)sin((double)(sample % CLASSES + 1) * (j + 1) * 0.31);
}

/** Rows go through a small buffer to the file, as bt_embedded_make does. */
static bt_embedded embed(const char *name, int64_t first, int64_t count, bool logits) {
    static float rows[ROWS * WIDTH];
    bt_embedded e = {.width = WIDTH, .outputs = BITS};
    bt_npy_rows file;
    e.samples = bt_memory_alloc((size_t)count, sizeof *e.samples);
    e.codes = bt_memory_alloc((size_t)count, sizeof *e.codes);
    e.logits = logits ? bt_memory_alloc((size_t)count * BITS, sizeof *e.logits) : NULL;
    assert_true(e.samples && e.codes && (e.logits || !logits));
    check_ok(bt_npy_rows_begin(scratch_path(name), BT_FILE_F32, WIDTH, &file));
    while (e.count < count) {
        int64_t n = count - e.count < ROWS ? count - e.count : ROWS;
        for (int64_t i = 0; i < n; i++) {
            make_row(first + e.count + i, rows + i * WIDTH);
            bt_codes_of(rows + i * WIDTH, 1, BITS, e.codes + e.count + i); /* the first numbers' signs */
            if (logits) memcpy(e.logits + (e.count + i) * BITS, rows + i * WIDTH, BITS * sizeof(float));
            e.samples[e.count + i] = first + e.count + i;
        }
        check_ok(bt_npy_rows_append(&file, rows, n));
        e.count += n;
    }
    check_ok(bt_npy_rows_commit(&file));
    check_ok(bt_npy_open(scratch_path(name), &e.map));
    e.embeddings = bt_npy_f32_in_place(&e.map);
    return e;
}

/** LAPACK keeps buffers of its own from its first call on (OpenBLAS: 128 MB, for which it waits for ever if it cannot
 * have them): they are there before the limit is. */
static void wake_lapack(void) {
    float x[4 * WIDTH];
    bt_pca pca;
    for (int i = 0; i < 4 * WIDTH; i++) x[i] = noise();
    check_ok(bt_pca_exact(x, 4, WIDTH, 8, &pca));
    bt_pca_free(&pca);
}

static int64_t private_bytes(void) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[200];
    long long kib = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmData: %lld kB", &kib) == 1) break;
    if (f) fclose(f);
    return (int64_t)kib * 1024;
}

static void make_truth(bt_truth *t, int64_t samples) {
    *t = (bt_truth){.samples = samples, .rank_count = 1};
    t->rank[0] = (bt_truth_rank){.name = bt_memory_copy_text("class"), .count = CLASSES};
    t->rank[0].labels = bt_memory_alloc((size_t)samples, sizeof(int32_t));
    t->rank[0].names = bt_memory_alloc(CLASSES, sizeof(char *));
    assert_true(t->rank[0].labels && t->rank[0].names);
    for (int64_t i = 0; i < samples; i++) t->rank[0].labels[i] = (int32_t)(i % CLASSES);
    for (int c = 0; c < CLASSES; c++) t->rank[0].names[c] = bt_memory_copy_text("class");
}

static void score_all(bt_run_scores *s, int64_t items) {
    bt_embedded query = embed("q.npy", 0, QUERIES, true), database = embed("db.npy", QUERIES, items, false);
    bt_embedded train = embed("t.npy", 0, 5000, false);
    bt_sides sides;
    check_ok(bt_sides_open(s, &query, &database, &sides));
    s->cutoff[0] = 1000;
    s->cutoff[1] = items;
    s->cutoffs = 2;
    for (int way = 0; way <= BT_WAY_CONTINUOUS; way++) check_ok(bt_sides_score(&sides, (bt_way)way, s));
    check_ok(bt_sides_describe(&sides, s));
    check_ok(bt_sides_score_free(&sides, &train, s));
    bt_embedded_free(&query);
    bt_embedded_free(&database);
    bt_embedded_free(&train);
}

static void bounded(void **state) {
    (void)state;
    const char *wanted = getenv("BITTERN_TEST_ITEMS");
    int64_t items = wanted ? atoll(wanted) : 200000;
    int threads = 1;
#ifdef _OPENMP
    if (omp_get_max_threads() > 4) omp_set_num_threads(4);
    threads = omp_get_max_threads();
#pragma omp parallel
    { (void)omp_get_thread_num(); } /* stacks of the threads exist before the limit does */
#endif
    wake_lapack();
    /* docs/evaluation.md: 60 bytes for each thread, 80 for codes, labels, samples, statistics; 48 MiB for the rest. */
    int64_t before = private_bytes(), allowed = items * (60 * threads + 80) + (48 << 20),
            embeddings = items * WIDTH * 4;
    struct rlimit limit = {(rlim_t)(before + allowed), (rlim_t)(before + allowed)};
    assert_int_equal(setrlimit(RLIMIT_DATA, &limit), 0);
    assert_null(malloc((size_t)allowed + (64 << 20))); /* the limit holds */
    bt_run_scores s = {.method = &bt_method_crovca, .bits = BITS, .width = WIDTH, .accuracy = -1};
    s.options = (bt_eval_section){.k = 1000, .all = true, .resamples = 100, .rotations = 2, .seed = 1, .taxonomy = ""};
    make_truth(&s.truth, QUERIES + items);
    double start = bt_clock_seconds();
    score_all(&s, items);
    print_message(
        "%lld items: %.0f MB of embeddings under a limit of %.0f MB, %d threads, %.1f s; mAP@1000 %.4f, all %.4f\n",
        (long long)items, (double)embeddings / 1e6, (double)allowed / 1e6, threads, bt_clock_seconds() - start,
        s.way[BT_WAY_BINARY].scores[0].map.papers, s.way[BT_WAY_BINARY].scores[1].map.papers);
    assert_true(s.way[BT_WAY_CONTINUOUS].scores[0].map.papers > 0.5 && s.has_free);
    bt_run_scores_free(&s);
}

int main(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("skipped: sanitizers keep memory of their own\n");
    return 77;
#endif
    const struct CMUnitTest tests[] = {cmocka_unit_test(bounded)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
