/* bittern-bench: one file per benchmark, one JSON object a line. */
#ifndef BITTERN_BENCH_H
#define BITTERN_BENCH_H

#include "formats/json.h"
#include "tensor/backend.h"

typedef struct bt_bench_options {
    const char *model, *device, *dtype, *targets, *op;
    int image, batch, rank, bits, iterations, threads;
    bool json, profile;
} bt_bench_options;

bt_status bt_bench_vit(const bt_bench_options *o) BT_MUST_CHECK;
bt_status bt_bench_ops(const bt_bench_options *o) BT_MUST_CHECK;

/** Median of `count` values, which are sorted in place. */
double bt_bench_median(double *values, int count);

/** Achieved FLOP/s of y = x w^T with x (m,k), frozen w (n,k) on the device: median of a few runs. 0 with a message if refused. */
double bt_bench_product_rate(bt_device *device, bt_dtype dtype, int64_t m, int64_t n, int64_t k);

/** Resident memory of this process in bytes, now and at its peak (VmRSS, VmHWM). */
void bt_bench_resident(size_t *now, size_t *peak);

#endif
