/* Distances. The asymmetric one is a sum of table look-ups: for each byte of a code, 256 partial sums. Cosines take a
 * block of database rows that fits a core's cache against a tile of queries. */
#include "retrieval/distance.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

#define BLOCK_FLOATS 32768 /* 128 KiB of database rows */

/* The processor's instruction where it has one; counts are whole numbers, so the result is the same. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&               \
    !defined(__SANITIZE_THREAD__)
#define POPCOUNT_CLONES __attribute__((target_clones("popcnt", "default")))
#else
#define POPCOUNT_CLONES
#endif

void bt_codes_of(const float *logits, int64_t n, int width, uint64_t *codes) {
    int words = (width + 63) / 64;
    memset(codes, 0, (size_t)n * (size_t)words * sizeof *codes);
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < width; j++)
            if (logits[i * width + j] > 0) codes[i * words + j / 64] |= UINT64_C(1) << (j % 64);
}

/** |sigmoid(z) - bit| summed over bits = sum of sigmoids + sum over set bits of (1 - 2 sigmoid). */
static void asymmetric(const float *logits, const bt_items *db, float (*table)[256], float *out) {
    int words = (db->width + 63) / 64, bytes = (db->width + 7) / 8;
    double base = 0;
    for (int b = 0; b < bytes; b++) {
        double weight[8] = {0};
        for (int j = 0; j < 8 && 8 * b + j < db->width; j++) {
            double s = 1 / (1 + exp(-(double)logits[8 * b + j]));
            base += s;
            weight[j] = 1 - 2 * s;
        }
        for (int v = 0; v < 256; v++) {
            double sum = 0;
            for (int j = 0; j < 8; j++) sum += v >> j & 1 ? weight[j] : 0;
            table[b][v] = (float)sum;
        }
    }
    for (int64_t i = 0; i < db->count; i++) {
        const uint64_t *code = db->bits + i * words;
        float sum = (float)base;
        for (int b = 0; b < bytes; b++) sum += table[b][code[b / 8] >> (8 * (b % 8)) & 255];
        out[i] = sum;
    }
}

POPCOUNT_CLONES
static void symmetric(const uint64_t *code, const bt_items *db, float *out) {
    int words = (db->width + 63) / 64;
    for (int64_t i = 0; i < db->count; i++) {
        int sum = 0;
        for (int w = 0; w < words; w++) sum += __builtin_popcountll(code[w] ^ db->bits[i * words + w]);
        out[i] = (float)sum;
    }
}

/** Dot product in eight running sums: a fixed order that the compiler can vectorise. */
static float dot(const float *a, const float *b, int n) {
    float sum[8] = {0};
    int i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) sum[j] += a[i + j] * b[i + j];
    for (int j = 0; i < n; i++, j++) sum[j] += a[i] * b[i];
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

static void cosine(const bt_distances *d, int64_t first, int count, float *out) {
    const bt_items *db = d->database;
    int width = db->width;
    int64_t block = BLOCK_FLOATS / width + 1;
    float inverse[BT_QUERY_TILE];
    for (int q = 0; q < count; q++) {
        const float *query = d->queries->values + (first + q) * width;
        float norm = sqrtf(dot(query, query, width));
        inverse[q] = norm > 0 ? 1 / norm : 0;
    }
    for (int64_t begin = 0; begin < db->count; begin += block) {
        int64_t end = begin + block < db->count ? begin + block : db->count;
        for (int q = 0; q < count; q++) {
            const float *query = d->queries->values + (first + q) * width;
            for (int64_t i = begin; i < end; i++)
                out[q * db->count + i] =
                    1 - dot(query, db->values + i * width, width) * inverse[q] * d->inverse_norm[i];
        }
    }
}

int64_t bt_distances_scratch(const bt_distances *d) {
    int64_t words = (d->database->width + 63) / 64;
    return d->kind == BT_ASYMMETRIC ? words * 8 * 256 : words * 2; /* tables for each byte, or the query's code */
}

void bt_distances_tile(const bt_distances *d, int64_t first, int count, float *scratch, float *out) {
    BT_ASSERT(count <= BT_QUERY_TILE);
    if (d->kind == BT_COSINE) {
        cosine(d, first, count, out);
        return;
    }
    for (int q = 0; q < count; q++) {
        const float *logits = d->queries->values + (first + q) * d->queries->width;
        float *row = out + q * d->database->count;
        if (d->kind == BT_ASYMMETRIC) {
            asymmetric(logits, d->database, (float(*)[256])(void *)scratch, row);
        } else {
            uint64_t *code = (uint64_t *)(void *)scratch;
            bt_codes_of(logits, 1, d->queries->width, code);
            symmetric(code, d->database, row);
        }
    }
}

/* ---- checks ---- */

static bt_status check(const bt_items *q, const bt_items *db, bt_distance kind) {
    if (q->count < 1 || db->count < 1)
        return bt_error(BT_ERR_SHAPE, "retrieval scores need queries and a database; found %lld and %lld",
                        (long long)q->count, (long long)db->count);
    if (db->count > INT32_MAX)
        return bt_error(BT_ERR_SHAPE, "a database of %lld items; at most 2147483647 can be ranked",
                        (long long)db->count);
    if (q->width != db->width || q->width < 1)
        return bt_error(BT_ERR_SHAPE, "queries have width %d, the database %d", q->width, db->width);
    BT_ASSERT(q->values && (kind == BT_COSINE ? db->values != NULL : db->bits != NULL));
    for (int64_t i = 0; i < q->count * q->width; i++)
        if (isnan(q->values[i])) return bt_error(BT_ERR_NUMERIC, "query %lld has a NaN", (long long)(i / q->width));
    return BT_OK;
}

/** 1/|x| of a side's rows, 0 for rows of zeros; `out` NULL: only checks. */
static bt_status inverse_norms(const bt_items *items, const char *what, float *out) {
    for (int64_t i = 0; i < items->count; i++) {
        float norm = sqrtf(dot(items->values + i * items->width, items->values + i * items->width, items->width));
        if (!isfinite(norm))
            return bt_error(BT_ERR_NUMERIC, "%s %lld has a NaN, or no finite norm in f32", what, (long long)i);
        if (out) out[i] = norm > 0 ? 1 / norm : 0;
    }
    return BT_OK;
}

bt_status bt_distances_open(const bt_items *q, const bt_items *db, bt_distance kind, bt_distances *out) {
    BT_TRY(check(q, db, kind));
    float *inverse = NULL;
    if (kind == BT_COSINE) {
        BT_TRY(inverse_norms(q, "query", NULL));
        inverse = bt_memory_alloc((size_t)db->count, sizeof *inverse);
        if (!inverse) return BT_ERR_MEMORY;
        bt_status status = inverse_norms(db, "database item", inverse);
        if (status != BT_OK) {
            bt_memory_free(inverse);
            return status;
        }
    }
    *out = (bt_distances){q, db, kind, inverse, kind == BT_SYMMETRIC ? q->width : 0};
    return BT_OK;
}

void bt_distances_close(bt_distances *d) {
    bt_memory_free(d->inverse_norm);
    d->inverse_norm = NULL;
}
