/* Percentile bootstrap; see interval.h. */
#include "retrieval/interval.h"

#include "base/memory.h"

#include <bittern/random.h>

#include <math.h>
#include <stdlib.h>

#define STREAM_BOOTSTRAP 0x4253u

static double resampled_mean(const double *values, int64_t n, int64_t stride, uint64_t seed, int resample) {
    double sum = 0;
    for (int64_t i = 0; i < n; i += 2) { /* a block of random numbers makes two draws */
        bt_philox r = bt_random_block(seed, resample, STREAM_BOOTSTRAP, i / 2, 0);
        for (int j = 0; j < 2 && i + j < n; j++) {
            uint64_t word = (uint64_t)r.word[2 * j + 1] << 32 | r.word[2 * j];
            sum += values[(int64_t)(word % (uint64_t)n) * stride]; /* uneven by less than 2^-32 */
        }
    }
    return sum / (double)n;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, int count, double at) {
    double place = at * (count - 1);
    int below = (int)floor(place), above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

bt_status bt_bootstrap_mean(const double *values, int64_t n, int64_t stride, int resamples, double level, uint64_t seed,
                            bt_interval *out) {
    BT_ASSERT(n > 0 && resamples > 0 && level > 0 && level < 1);
    double *means = bt_memory_alloc((size_t)resamples, sizeof *means);
    if (!means) return BT_ERR_MEMORY;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < resamples; i++) means[i] = resampled_mean(values, n, stride, seed, i);
    qsort(means, (size_t)resamples, sizeof *means, ascending);
    *out = (bt_interval){quantile(means, resamples, (1 - level) / 2), quantile(means, resamples, (1 + level) / 2)};
    bt_memory_free(means);
    return BT_OK;
}
