/* PCA; see pca.h. The randomised form keeps its tall matrices as their transposes, one direction a row, so that
 * orthonormalising and products read memory in order; the data matrix is centred on the fly. */
#include "retrieval/pca.h"

#include "base/memory.h"
#include "retrieval/lanes.h"
#include "retrieval/linalg.h"
#include "retrieval/rotation.h"

#include <string.h>

static bt_status check(int64_t n, int64_t width, int64_t count) {
    if (count < 1 || count > width || n < 1)
        return bt_error(BT_ERR_SHAPE,
                        "%lld principal components of %lld embeddings of width %lld; at most the width can be had",
                        (long long)count, (long long)n, (long long)width);
    return BT_OK;
}

static bt_status allocate(int64_t width, int64_t count, bt_pca *out) {
    *out = (bt_pca){.width = width, .count = count};
    out->mean = bt_memory_alloc((size_t)width, sizeof(double));
    out->components = bt_memory_alloc((size_t)count * (size_t)width, sizeof(double));
    out->variances = bt_memory_alloc((size_t)count, sizeof(double));
    return out->mean && out->components && out->variances ? BT_OK : BT_ERR_MEMORY;
}

void bt_pca_free(bt_pca *pca) {
    bt_memory_free(pca->mean);
    bt_memory_free(pca->components);
    bt_memory_free(pca->variances);
    *pca = (bt_pca){.width = 0};
}

static bt_status fit_exact(const float *x, int64_t n, bt_pca *pca) {
    size_t d = (size_t)pca->width, k = (size_t)pca->count;
    double *moment = bt_memory_alloc(d * d, sizeof *moment), *vectors = bt_memory_alloc(d * d, sizeof *vectors);
    double *values = bt_memory_alloc(d, sizeof *values);
    bt_status status = moment && vectors && values ? BT_OK : BT_ERR_MEMORY;
    bt_column_means(x, n, pca->width, pca->mean);
    if (status == BT_OK) status = bt_second_moment(x, n, pca->width, pca->mean, moment);
    if (status == BT_OK) status = bt_eigen(moment, pca->width, values, vectors);
    if (status == BT_OK) {
        memcpy(pca->components, vectors, k * d * sizeof *vectors);
        memcpy(pca->variances, values, k * sizeof *values);
    }
    bt_memory_free(moment);
    bt_memory_free(vectors);
    bt_memory_free(values);
    return status;
}

bt_status bt_pca_exact(const float *x, int64_t n, int64_t width, int64_t count, bt_pca *out) {
    BT_TRY(check(n, width, count));
    bt_pca pca;
    bt_status status = allocate(width, count, &pca);
    if (status == BT_OK) status = fit_exact(x, n, &pca);
    if (status == BT_OK)
        *out = pca;
    else
        bt_pca_free(&pca);
    return status;
}

/* ---- randomised ---- */

/** Column i of y (q,n) = directions (q,d) (x - mean)^T. shift (q): directions mean. */
BT_LANES
static void apply_to(const float *row, int64_t i, int64_t n, int64_t d, const double *shift, const double *directions,
                     int64_t q, double *y) {
    for (int64_t r = 0; r < q; r++) y[r * n + i] = bt_dot_float(directions + r * d, row, d) - shift[r];
}

static void apply(const float *x, int64_t n, const bt_pca *pca, const double *directions, int64_t q, double *shift,
                  double *y) {
    int64_t d = pca->width;
    for (int64_t r = 0; r < q; r++) shift[r] = bt_dot(directions + r * d, pca->mean, d);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) apply_to(x + i * d, i, n, d, shift, directions, q, y);
}

/** Rows first .. last-1 of w (q,d) = y (q,n) (x - mean). A block of x serves all of these rows from cache. Rows of y,
 * made of centred data, sum to 0 but for rounding; a large mean would magnify it, so the mean is taken off. */
BT_LANES
static void apply_transposed_to(const float *x, int64_t n, const bt_pca *pca, const double *y, int64_t first,
                                int64_t last, double *w) {
    enum { BLOCK = 64 };
    int64_t d = pca->width;
    memset(w + first * d, 0, (size_t)((last - first) * d) * sizeof *w);
    for (int64_t begin = 0; begin < n; begin += BLOCK)
        for (int64_t r = first; r < last; r++)
            for (int64_t i = begin; i < n && i < begin + BLOCK; i++)
                bt_add_scaled_float(w + r * d, y[r * n + i], x + i * d, d);
    for (int64_t r = first; r < last; r++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += y[r * n + i];
        bt_add_scaled(w + r * d, -sum, pca->mean, d);
    }
}

static void apply_transposed(const float *x, int64_t n, const bt_pca *pca, const double *y, int64_t q, double *w) {
    enum { ROWS = 8 };
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < q; r += ROWS) apply_transposed_to(x, n, pca, y, r, r + ROWS < q ? r + ROWS : q, w);
}

/** w (q,d): the data projected on an orthonormal basis y (q,n) of what they do to random directions, sharpened by
 * iterations. pca->mean is set. s (q): room. */
static void sample_range(const float *x, int64_t n, int64_t q, int iterations, uint64_t seed, double *s, double *y,
                         double *w, const bt_pca *pca) {
    bt_random_gaussian(w, q * pca->width, seed, 0);
    for (int i = 0; i <= iterations; i++) {
        apply(x, n, pca, w, q, s, y);
        bt_orthonormalise(y, q, n);
        apply_transposed(x, n, pca, y, q, w);
        if (i < iterations) bt_orthonormalise(w, q, pca->width);
    }
}

/** y (q,n), w (q,d): room. */
static bt_status fit_randomised(const float *x, int64_t n, int64_t q, int iterations, uint64_t seed, double *y,
                                double *w, bt_pca *pca) {
    int64_t d = pca->width, k = pca->count;
    double *u = bt_memory_alloc((size_t)q * (size_t)q, sizeof *u), *s = bt_memory_alloc((size_t)q, sizeof *s);
    double *v = bt_memory_alloc((size_t)q * (size_t)d, sizeof *v);
    bt_status status = u && s && v ? BT_OK : BT_ERR_MEMORY;
    if (status == BT_OK) sample_range(x, n, q, iterations, seed, s, y, w, pca);
    if (status == BT_OK)
        status = bt_svd(w, q, d, u, s, v); /* the data in the sampled directions: its right singular vectors */
    if (status == BT_OK) memcpy(pca->components, v, (size_t)k * (size_t)d * sizeof *v);
    for (int64_t i = 0; i < k && status == BT_OK; i++) pca->variances[i] = s[i] * s[i] / (double)n;
    bt_memory_free(u);
    bt_memory_free(s);
    bt_memory_free(v);
    return status;
}

bt_status bt_pca_randomised(const float *x, int64_t n, int64_t width, int64_t count, int64_t oversample, int iterations,
                            uint64_t seed, bt_pca *out) {
    BT_TRY(check(n, width, count));
    int64_t most = n < width ? n : width, q = count + oversample < most ? count + oversample : most;
    if (q < count)
        return bt_error(BT_ERR_SHAPE,
                        "randomised PCA finds at most %lld components of %lld embeddings; %lld are wanted",
                        (long long)q, (long long)n, (long long)count);
    bt_pca pca;
    bt_status status = allocate(width, count, &pca);
    double *y = bt_memory_alloc((size_t)q * (size_t)n, sizeof *y),
           *w = bt_memory_alloc((size_t)q * (size_t)width, sizeof *w);
    if (status == BT_OK && (!y || !w)) status = BT_ERR_MEMORY;
    if (status == BT_OK) {
        bt_column_means(x, n, width, pca.mean);
        status = fit_randomised(x, n, q, iterations, seed, y, w, &pca);
    }
    bt_memory_free(y);
    bt_memory_free(w);
    if (status == BT_OK)
        *out = pca;
    else
        bt_pca_free(&pca);
    return status;
}

bt_status bt_pca_project(const bt_pca *pca, const float *x, int64_t n, float *z) {
    return bt_project(x, n, pca->width, pca->mean, pca->components, pca->count, z);
}
