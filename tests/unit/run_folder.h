/* A run's folder as the report reads it, made by hand: 12 queries of 12 species in 3 genera, 24 items, 12 neighbours.
 * For tests of the report and its fuzz target. */
#ifndef BITTERN_TESTS_RUN_FOLDER_H
#define BITTERN_TESTS_RUN_FOLDER_H

#include "base/file.h"
#include "base/text.h"
#include "formats/npy.h"

#include <stdlib.h>

enum { RUN_QUERIES = 12, RUN_ITEMS = 24, RUN_NEIGHBOURS = 12, RUN_BITS = 8 };

/* Of the first ten neighbours so many are right. Query 3 has one right, at rank 1: the papers' AP is 1. */
static const int run_right[RUN_QUERIES] = {8, 10, 8, 1, 0, 8, 5, 4, 3, 2, 7, 6};
static const double run_standard[RUN_QUERIES] = {0.5, 0.9, 0.6, 0.1, 0, 0.5, 0.3, 0.3, 0.3, 0.3, 0.4, 0.4};

static inline void run_check(bt_status status) {
    if (status == BT_OK) return;
    fprintf(stderr, "%s\n", bt_error_message());
    abort();
}

static inline void run_file(const char *run, const char *name, const void *data, size_t bytes) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", run, name);
    run_check(bt_file_write(path, data, bytes));
}

static inline void run_matrix(const char *run, const char *name, bt_file_dtype dtype, int64_t rows, int64_t columns,
                              const void *data) {
    char path[300];
    snprintf(path, sizeof path, "%s/evaluation/%s.npy", run, name);
    run_check(bt_npy_write(path, dtype, 2, (const int64_t[]){rows, columns}, data));
}

/** One way's scores at both ranks and cutoffs. */
static inline void run_way(bt_text *out, const char *name, double score) {
    bt_text_append(out, "\"%s\": {\"ranks\": [", name);
    for (int rank = 0; rank < 2; rank++) {
        bt_text_append(out, "%s{\"rank\": \"%s\", \"at\": [", rank ? ", " : "", rank ? "family" : "species");
        for (int c = 0; c < 2; c++)
            bt_text_append(
                out,
                "%s{\"k\": %d, \"papers\": %g, \"standard\": %g, \"papers_interval\": [%g, %g], \"standard_interval\": "
                "[%g, %g], \"precision\": 0.25, \"recall\": 0.5, \"hit_rate\": 0.75}",
                c ? ", " : "", c ? RUN_ITEMS : 20, score, score / 2, score - 0.1, score + 0.1, score / 2 - 0.05,
                score / 2 + 0.05);
        bt_text_append(out, "], \"curve\": [%g, %g, 0]}", score, score / 2);
    }
    bt_text_append(out,
                   "], \"vote\": 0.5, \"probe\": 0.625, \"effective_rank\": {\"entropy\": 7.5, \"participation\": 4}, "
                   "\"effective_rank_centred\": {\"entropy\": 6, \"participation\": 3.5}}");
}

static inline void run_confusion(bt_text *out, int classes) {
    bt_text_append(out, "[");
    for (int c = 0; c < classes; c++) {
        bt_text_append(out, c ? ", [" : "[");
        for (int d = 0; d < classes; d++)
            bt_text_append(out, d ? ", %g" : "%g", c == d ? 0.75 : d == (c + 1) % classes ? 0.25 : 0);
        bt_text_append(out, "]");
    }
    bt_text_append(out, "]");
}

/** evaluation.json; `pack` NULL: pictures are files. */
static inline void run_scores(bt_text *out, const char *pack, bool several) {
    bt_text_append(out,
                   "{\"format\": \"bittern evaluation\", \"version\": 1, \"method\": \"crovca\", \"bits\": %d, "
                   "\"step\": 40, \"k\": 20, "
                   "\"queries\": %d, \"database\": %d, \"multi_label\": %s, \"full\": true, ",
                   RUN_BITS, RUN_QUERIES, RUN_ITEMS, several ? "true" : "false");
    if (pack) bt_text_append(out, "\"pack\": \"%s\", ", pack);
    bt_text_append(out, "\"scores\": {");
    run_way(out, "binary", 0.7);
    bt_text_append(out, ", ");
    run_way(out, "continuous", 0.75);
    bt_text_append(out, ", ");
    run_way(out, "random", 0.2);
    bt_text_append(
        out,
        "}, \"curve_recall\": [0, 0.5, 1], \"training_free\": {\"encoder\": \"before\", \"bits\": 8, \"draws\": 10, "
        "\"at\": [{\"k\": 20, \"papers\": {\"mean\": 0.5, \"deviation\": 0.01}, \"standard\": {\"mean\": 0.25, "
        "\"deviation\": 0.02}}]}, \"bit_statistics\": {\"codes\": 24, \"distinct\": 20, \"dead\": 0, \"code_entropy\": "
        "4, "
        "\"entropy\": 0.9, \"least_entropy\": 0.5, \"imbalance\": 0.1, \"worst_imbalance\": 0.3, \"correlation\": 0.2, "
        "\"worst_correlation\": 0.6, \"ones\": [0.5, 0.25, 0.5, 0.75, 0, 1, 0.5, 0.5]}, \"ranks\": [{\"name\": "
        "\"species\", \"also\": [\"genus\"], \"classes\": 12, \"names\": [");
    for (int c = 0; c < 12; c++) bt_text_append(out, "%s\"Auk %d\"", c ? ", " : "", c);
    bt_text_append(out, "], \"confusion\": ");
    run_confusion(out, 12);
    bt_text_append(out, "}, {\"name\": \"family\", \"also\": [], \"classes\": 3, \"names\": [\"A\", \"B\", \"C & "
                        "<d>\"], \"confusion\": ");
    run_confusion(out, 3);
    bt_text_append(out, "}]}\n");
}

static inline void run_queries(const char *run) {
    int32_t labels[RUN_ITEMS][2], neighbours[RUN_QUERIES][RUN_NEIGHBOURS];
    uint8_t relevant[RUN_QUERIES][RUN_NEIGHBOURS];
    double precision[RUN_QUERIES][2], correlation[RUN_BITS][RUN_BITS];
    int64_t rows[RUN_ITEMS];
    for (int i = 0; i < RUN_ITEMS; i++) {
        labels[i][0] = i % RUN_QUERIES;
        labels[i][1] = i % RUN_QUERIES / 4;
        rows[i] = 100 + i;
    }
    for (int i = 0; i < RUN_QUERIES; i++) {
        for (int r = 0; r < RUN_NEIGHBOURS; r++) {
            neighbours[i][r] = (7 * i + r) % RUN_ITEMS;
            relevant[i][r] = r < run_right[i] || r >= 10; /* those behind the tenth do not count */
        }
        precision[i][0] = i == 3 ? 1 : run_standard[i];
        precision[i][1] = run_standard[i];
    }
    for (int i = 0; i < RUN_BITS * RUN_BITS; i++)
        correlation[i / RUN_BITS][i % RUN_BITS] = i % 9 == 0 ? 1 : (i % 5 - 2) * 0.4;
    run_matrix(run, "query_labels", BT_FILE_I32, RUN_QUERIES, 2, labels);
    run_matrix(run, "database_labels", BT_FILE_I32, RUN_ITEMS, 2, labels);
    run_matrix(run, "neighbours", BT_FILE_I32, RUN_QUERIES, RUN_NEIGHBOURS, neighbours);
    run_matrix(run, "relevant", BT_FILE_U8, RUN_QUERIES, RUN_NEIGHBOURS, relevant);
    run_matrix(run, "average_precision", BT_FILE_F64, RUN_QUERIES, 2, precision);
    run_matrix(run, "bit_correlation", BT_FILE_F64, RUN_BITS, RUN_BITS, correlation);
    run_matrix(run, "query_rows", BT_FILE_I64, RUN_QUERIES, 1, rows);
    run_matrix(run, "database_rows", BT_FILE_I64, RUN_ITEMS, 1, rows);
}

/** The whole folder; `run` exists. */
static inline void run_folder(const char *run, const char *pack, bool several) {
    static const char config[] = "# a run\nmodel:\n  width: 64  # default\nrun:\n  dir: x  # small.yaml:3\n";
    static const char metrics[] =
        "{\"kind\": \"step\", \"step\": 1, \"loss\": 0.5, \"align\": 0.3, \"lr\": 0.001, \"views_per_s\": 100}\n"
        "{\"kind\": \"scores\", \"step\": 1, \"map_binary\": 0.1, \"map_continuous\": 0.2}\n"
        "{\"kind\": \"step\", \"step\": 2, \"loss\": \"nan\", \"align\": 0.2, \"lr\": 0.001, \"views_per_s\": 120}\n"
        "{\"kind\": \"scores\", \"step\": 2, \"map_binary\": 0.3, \"map_continuous\": 0.2}\n{\"kind\": \"st";
    static const char start[] =
        "{\"time\": \"2026-01-01T00:00:00Z\", \"commit\": \"abc\", \"device\": \"CPU\", \"step\": 0}\n";
    char path[300];
    bt_text text = {0};
    snprintf(path, sizeof path, "%s/evaluation", run);
    run_check(bt_file_make_folders(path));
    run_file(run, "config.yaml", config, sizeof config - 1);
    run_file(run, "metrics.jsonl", metrics, sizeof metrics - 1);
    run_file(run, "provenance.jsonl", start, sizeof start - 1);
    run_scores(&text, pack, several);
    run_file(run, "evaluation.json", bt_text_get(&text), text.length);
    run_queries(run);
    bt_text_clear(&text);
    for (int i = 0; i < RUN_ITEMS; i++) {
        bt_text_append(&text, "pictures/%d.png\n", i);
        if (i == RUN_QUERIES - 1) run_file(run, "evaluation/query_paths.txt", bt_text_get(&text), text.length);
    }
    run_file(run, "evaluation/database_paths.txt", bt_text_get(&text), text.length);
    run_check(bt_text_status(&text));
    bt_text_free(&text);
}

#endif
