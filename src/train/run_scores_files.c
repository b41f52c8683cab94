/* What an evaluation leaves for others: codes, labels, neighbours, paths. */
#include "train/run_scores.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/pack.h"
#include "formats/npy.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { FILE_BYTES = 1400 };

static bt_status write_array(const char *folder, const char *name, bt_file_dtype dtype, int64_t rows, int64_t columns,
                             const void *data) {
    char path[FILE_BYTES];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return bt_error(BT_ERR_IO, "%s: a path of more than %d bytes", folder, FILE_BYTES - 1);
    return bt_npy_write(path, dtype, 2, (const int64_t[]){rows, columns}, data);
}

/** As `bittern hash --out`: 8 bits a byte, low bit first. */
static bt_status write_codes(const char *folder, const char *name, const uint64_t *codes, int64_t n, int bits) {
    int64_t bytes = (bits + 7) / 8, words = (bits + 63) / 64;
    unsigned char *rows = bt_memory_alloc((size_t)(n * bytes), 1);
    if (!rows) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < n; i++)
        for (int64_t b = 0; b < bytes; b++)
            rows[i * bytes + b] = (unsigned char)(codes[i * words + b / 8] >> (8 * (b % 8)));
    bt_status status = write_array(folder, name, BT_FILE_U8, n, bytes, rows);
    bt_memory_free(rows);
    return status;
}

/** (ranks, n) to a row for each item. */
static bt_status write_labels(const char *folder, const char *name, const int32_t *labels, int ranks, int64_t n) {
    int32_t *rows = bt_memory_alloc((size_t)n * (size_t)ranks, sizeof *rows);
    if (!rows) return BT_ERR_MEMORY;
    for (int r = 0; r < ranks; r++)
        for (int64_t i = 0; i < n; i++) rows[i * ranks + r] = labels[r * n + i];
    bt_status status = write_array(folder, name, BT_FILE_I32, n, ranks, rows);
    bt_memory_free(rows);
    return status;
}

/** A line each; a name with a line break in it gives a question mark there, so that lines and items agree. */
static bt_status write_paths(const char *folder, const char *name, const bt_dataset *images, const int64_t *samples,
                             int64_t n) {
    char path[PATH_MAX];
    bt_file_writer writer;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    BT_TRY(bt_file_begin(path, &writer));
    for (int64_t i = 0; i < n; i++) {
        if (!images->paths)
            snprintf(path, sizeof path, "#%lld", (long long)samples[i]); /* items that are no pictures */
        else if (!bt_dataset_path(images, samples[i], path, sizeof path - 1))
            path[0] = 0;
        for (char *c = path; *c; c++)
            if (*c == '\n' || *c == '\r') *c = '?';
        strcat(path, "\n");
        (void)bt_file_append(&writer, path, strlen(path)); /* kept until commit */
    }
    return bt_file_commit(&writer);
}

/** Rows of the pack. */
static bt_status write_rows(const char *folder, const char *name, const bt_dataset *images, const int64_t *samples,
                            int64_t n) {
    int64_t *rows = bt_memory_alloc((size_t)n, sizeof *rows);
    if (!rows) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < n; i++) rows[i] = bt_pack_row(images, samples[i]);
    bt_status status = write_array(folder, name, BT_FILE_I64, n, 1, rows);
    bt_memory_free(rows);
    return status;
}

static bool is_relevant(const bt_run_scores *s, int64_t query, int64_t item) {
    if (!s->query_sets) return s->query_labels[query] >= 0 && s->query_labels[query] == s->database_labels[item];
    uint64_t shared = 0;
    for (int w = 0; w < s->truth.words; w++)
        shared |= s->query_sets[query * s->truth.words + w] & s->database_sets[item * s->truth.words + w];
    return shared != 0;
}

/** 1 for each neighbour that is relevant to its query at rank 0. */
static bt_status write_relevant(const char *folder, const bt_run_scores *s) {
    int64_t columns = s->neighbour_count;
    unsigned char *found = bt_memory_alloc((size_t)s->queries * (size_t)columns, 1);
    if (!found) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < s->queries * columns; i++) found[i] = is_relevant(s, i / columns, s->neighbours[i]);
    bt_status status = write_array(folder, "relevant.npy", BT_FILE_U8, s->queries, columns, found);
    bt_memory_free(found);
    return status;
}

static bt_status write_precisions(const char *folder, const bt_run_scores *s) {
    const bt_scored *scored = &s->way[s->bits ? BT_WAY_BINARY : BT_WAY_CONTINUOUS];
    return write_array(folder, "average_precision.npy", BT_FILE_F64, s->queries, 2, scored->average_precision);
}

bt_status bt_run_scores_files(const bt_run_scores *s, const bt_dataset *images, const uint64_t *query_codes,
                              const uint64_t *database_codes, const char *folder) {
    int ranks = s->truth.rank_count;
    if (s->bits) {
        BT_TRY(write_codes(folder, "query_codes.npy", query_codes, s->queries, s->bits));
        BT_TRY(write_codes(folder, "database_codes.npy", database_codes, s->database, s->bits));
        BT_TRY(write_array(folder, "bit_correlation.npy", BT_FILE_F64, s->bits, s->bits, s->correlation));
    }
    BT_TRY(write_labels(folder, "query_labels.npy", s->query_labels, ranks, s->queries));
    BT_TRY(write_labels(folder, "database_labels.npy", s->database_labels, ranks, s->database));
    BT_TRY(write_array(folder, "neighbours.npy", BT_FILE_I32, s->queries, s->neighbour_count, s->neighbours));
    BT_TRY(write_array(folder, "distances.npy", BT_FILE_F32, s->queries, s->neighbour_count, s->distances));
    BT_TRY(write_relevant(folder, s));
    BT_TRY(write_precisions(folder, s));
    if (images->pack) {
        BT_TRY(write_rows(folder, "query_rows.npy", images, s->query_samples, s->queries));
        BT_TRY(write_rows(folder, "database_rows.npy", images, s->database_samples, s->database));
    }
    BT_TRY(write_paths(folder, "query_paths.txt", images, s->query_samples, s->queries));
    return write_paths(folder, "database_paths.txt", images, s->database_samples, s->database);
}
