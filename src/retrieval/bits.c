/* Statistics of codes, by columns: 64 codes of one bit are a word, so pairs of bits are counted by AND and popcount. */
#include "retrieval/bits.h"

#include "base/memory.h"
#include "retrieval/linalg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/** columns (bits, ceil(n/64)): bit i%64 of word i/64 is that bit of code i. */
static void transpose(const uint64_t *codes, int64_t n, int bits, uint64_t *columns) {
    int64_t words = (bits + 63) / 64, column = (n + 63) / 64;
    memset(columns, 0, (size_t)bits * (size_t)column * sizeof *columns);
    for (int64_t i = 0; i < n; i++)
        for (int b = 0; b < bits; b++)
            columns[b * column + i / 64] |= (codes[i * words + b / 64] >> (b % 64) & 1) << (i % 64);
}

static double entropy_of(double p) {
    return p > 0 && p < 1 ? -(p * log2(p) + (1 - p) * log2(1 - p)) : 0;
}

/** Pearson correlation of two bits that both change: a share `both` of the codes has both set. */
static double correlation_of(double both, double p, double q) {
    return (both - p * q) / sqrt(p * (1 - p) * q * (1 - q));
}

static int64_t count_both(const uint64_t *columns, int64_t column, int a, int b) {
    int64_t both = 0;
    for (int64_t w = 0; w < column; w++)
        both += __builtin_popcountll(columns[a * column + w] & columns[b * column + w]);
    return both;
}

static void measure_bits(const double *p, bt_bit_statistics *out) {
    out->least_entropy = 1;
    for (int b = 0; b < out->bits; b++) {
        double imbalance = fabs(2 * p[b] - 1), entropy = entropy_of(p[b]);
        out->imbalance += imbalance / out->bits;
        out->entropy += entropy / out->bits;
        out->worst_imbalance = fmax(out->worst_imbalance, imbalance);
        out->least_entropy = fmin(out->least_entropy, entropy);
        out->dead += p[b] <= 0 || p[b] >= 1;
    }
}

static void measure_pairs(const uint64_t *columns, const double *p, bt_bit_statistics *out) {
    int64_t column = (out->count + 63) / 64, pairs = 0;
    double sum = 0;
    for (int a = 0; a < out->bits; a++)
        for (int b = a + 1; b < out->bits; b++) {
            if (entropy_of(p[a]) <= 0 || entropy_of(p[b]) <= 0) continue;
            int64_t both = count_both(columns, column, a, b);
            double r = fabs(correlation_of((double)both / (double)out->count, p[a], p[b]));
            out->worst_correlation = fmax(out->worst_correlation, r);
            sum += r;
            pairs++;
        }
    out->correlation = pairs ? sum / (double)pairs : 0;
}

/* Heap sort of whole rows: qsort has no place for the row's length. */
static bool below(const uint64_t *a, const uint64_t *b, int64_t words) {
    for (int64_t w = 0; w < words; w++)
        if (a[w] != b[w]) return a[w] < b[w];
    return false;
}

static void swap_rows(uint64_t *a, uint64_t *b, int64_t words) {
    for (int64_t w = 0; w < words; w++) {
        uint64_t swap = a[w];
        a[w] = b[w];
        b[w] = swap;
    }
}

static void sift_down(uint64_t *rows, int64_t n, int64_t words, int64_t at) {
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && below(rows + child * words, rows + (child + 1) * words, words)) child++;
        if (!below(rows + at * words, rows + child * words, words)) return;
        swap_rows(rows + at * words, rows + child * words, words);
    }
}

static void measure_codes(uint64_t *sorted, int64_t words, bt_bit_statistics *out) {
    int64_t n = out->count, run = 0;
    for (int64_t i = n / 2; i-- > 0;) sift_down(sorted, n, words, i);
    for (int64_t left = n - 1; left > 0; left--) {
        swap_rows(sorted, sorted + left * words, words);
        sift_down(sorted, left, words, 0);
    }
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        run++;
        if (i + 1 < n && memcmp(sorted + i * words, sorted + (i + 1) * words, (size_t)words * sizeof *sorted) == 0)
            continue;
        out->distinct++;
        sum += (double)run * log2((double)run);
        run = 0;
    }
    out->code_entropy = log2((double)n) - sum / (double)n;
}

bt_status bt_bits_measure(const uint64_t *codes, int64_t n, int bits, double *p, bt_bit_statistics *out) {
    if (n < 1 || bits < 1)
        return bt_error(BT_ERR_SHAPE, "bit statistics need codes; found %lld of %d bits", (long long)n, bits);
    int64_t words = (bits + 63) / 64, column = (n + 63) / 64;
    uint64_t *columns = bt_memory_alloc((size_t)bits * (size_t)column, sizeof *columns);
    uint64_t *sorted = bt_memory_alloc((size_t)n * (size_t)words, sizeof *sorted);
    double *share = bt_memory_alloc((size_t)bits, sizeof *share);
    bt_status status = columns && sorted && share ? BT_OK : BT_ERR_MEMORY;
    if (status == BT_OK) {
        *out = (bt_bit_statistics){.count = n, .bits = bits};
        transpose(codes, n, bits, columns);
        for (int b = 0; b < bits; b++) {
            int64_t ones = 0;
            for (int64_t w = 0; w < column; w++) ones += __builtin_popcountll(columns[b * column + w]);
            share[b] = (double)ones / (double)n;
        }
        measure_bits(share, out);
        measure_pairs(columns, share, out);
        memcpy(sorted, codes, (size_t)n * (size_t)words * sizeof *sorted);
        measure_codes(sorted, words, out);
        if (p) memcpy(p, share, (size_t)bits * sizeof *p);
    }
    bt_memory_free(columns);
    bt_memory_free(sorted);
    bt_memory_free(share);
    return status;
}

bt_status bt_bits_correlate(const uint64_t *codes, int64_t n, int bits, double *out) {
    if (n < 1 || bits < 1)
        return bt_error(BT_ERR_SHAPE, "bit statistics need codes; found %lld of %d bits", (long long)n, bits);
    int64_t column = (n + 63) / 64;
    uint64_t *columns = bt_memory_alloc((size_t)bits * (size_t)column, sizeof *columns);
    double *share = bt_memory_alloc((size_t)bits, sizeof *share);
    if (columns && share) {
        transpose(codes, n, bits, columns);
        for (int b = 0; b < bits; b++) share[b] = (double)count_both(columns, column, b, b) / (double)n;
        for (int a = 0; a < bits; a++)
            for (int b = 0; b < bits; b++) {
                bool change = entropy_of(share[a]) > 0 && entropy_of(share[b]) > 0;
                double both = (double)count_both(columns, column, a, b) / (double)n;
                out[(int64_t)a * bits + b] = !change ? 0 : a == b ? 1 : correlation_of(both, share[a], share[b]);
            }
    }
    bt_status status = columns && share ? BT_OK : BT_ERR_MEMORY;
    bt_memory_free(columns);
    bt_memory_free(share);
    return status;
}

/* ---- effective rank ---- */

static bt_effective_rank rank_of(const double *variances, int64_t count) {
    double s_sum = 0, sum = 0, squares = 0, entropy = 0, least = variances[0] * 1e-16;
    for (int64_t i = 0; i < count && variances[i] > least; i++) {
        s_sum += sqrt(variances[i]);
        sum += variances[i];
        squares += variances[i] * variances[i];
    }
    if (!(s_sum > 0)) return (bt_effective_rank){0, 0};
    for (int64_t i = 0; i < count && variances[i] > least; i++) {
        double share = sqrt(variances[i]) / s_sum;
        entropy -= share * log(share);
    }
    return (bt_effective_rank){exp(entropy), sum * sum / squares};
}

bt_status bt_effective_rank_of(const float *x, int64_t n, int64_t width, bool centred, bt_effective_rank *out) {
    size_t d = (size_t)width;
    double *mean = bt_memory_alloc(d, sizeof *mean), *values = bt_memory_alloc(d, sizeof *values);
    double *moment = bt_memory_alloc(d * d, sizeof *moment), *vectors = bt_memory_alloc(d * d, sizeof *vectors);
    bt_status status = mean && values && moment && vectors ? BT_OK : BT_ERR_MEMORY;
    if (status == BT_OK && centred) bt_column_means(x, n, width, mean);
    if (status == BT_OK) status = bt_second_moment(x, n, width, centred ? mean : NULL, moment);
    if (status == BT_OK) status = bt_eigen(moment, width, values, vectors);
    if (status == BT_OK) *out = rank_of(values, width);
    bt_memory_free(mean);
    bt_memory_free(values);
    bt_memory_free(moment);
    bt_memory_free(vectors);
    return status;
}
