/* Bootstrap confidence intervals of a mean over queries (Efron 1979): percentile, seeded. */
#ifndef BITTERN_RETRIEVAL_INTERVAL_H
#define BITTERN_RETRIEVAL_INTERVAL_H

#include <bittern/status.h>

#include <stdint.h>

typedef struct bt_interval {
    double low, high;
} bt_interval;

/** Means of `resamples` samples of n values, drawn with replacement; the interval holds the middle `level` (0 < level <
 * 1) of them, between order statistics linearly. values (n), `stride` doubles apart. A seed draws the same items for
 * every array of n values, so the difference of two methods on the same queries may be bootstrapped by giving its
 * values. Same bits for any number of threads. BT_ERR_MEMORY. */
bt_status bt_bootstrap_mean(const double *values, int64_t n, int64_t stride, int resamples, double level, uint64_t seed,
                            bt_interval *out) BT_MUST_CHECK;

#endif
