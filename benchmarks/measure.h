/* Measuring one operation by itself, and what a machine can do. */
#ifndef BITTERN_BENCH_MEASURE_H
#define BITTERN_BENCH_MEASURE_H

#include "program/plan.h"

/** Median of `count` values, which are sorted in place. */
double bt_bench_median(double *values, int count);

/** Resident memory of this process in bytes, now and at its peak (VmRSS, VmHWM). */
void bt_bench_resident(size_t *now, size_t *peak);

/** An instruction to be measured: operands need dtype, shape, ld and flags, not memory. They are filled with random
 * values, as a GPU is faster on zeros. */
typedef struct bt_bench_call {
    bt_op op;
    const void *args; /**< bt_<name>_args */
    bool in_place;    /**< the output has the memory of an input, by the operation's first alias in ops.def */
} bt_bench_call;

/** Seconds of one run, the median of `iterations`. Where a run is short, several go between two waits for the device.
 */
bt_status bt_bench_call_seconds(bt_device *device, const bt_bench_call *call, int iterations,
                                double *seconds) BT_MUST_CHECK;

/** Copies device memory into an input of a plan, as bt_plan_set does from the host; needs bt_backend.copy. */
bt_status bt_bench_set_input(bt_plan *plan, const char *name, const void *device_memory, size_t bytes) BT_MUST_CHECK;

/** Seconds of each instruction of a bound plan by itself (bt_plan_summary.instructions of them), in their order, each
 * run often enough between two waits for the device that the wait does not show. What adds to its output adds that
 * often: values are of no use afterwards. Inputs must have been set. */
bt_status bt_bench_plan_seconds(bt_plan *plan, double *seconds) BT_MUST_CHECK;

/** A matrix product: y = x w^T, dx = dy w, dw = dy^T x. */
typedef enum bt_bench_role { BT_BENCH_FORWARD, BT_BENCH_DX, BT_BENCH_DW } bt_bench_role;

typedef struct bt_bench_product {
    bt_bench_role role;
    bt_dtype dtype;
    int64_t m, n, k; /**< the result is (m,n) */
    bool add;        /**< is added to the result in place */
    bool frozen;     /**< the weight may be packed */
} bt_bench_product;

/** False if the device has a fault that stays (a kernel's wild access): whatever is measured afterwards fails too. */
bool bt_bench_answers(bt_device *device);

/** Seconds of a product on the device, as its kernels run it: of the library's first choice, and of the fastest of its
 * first eight candidates (`best`, its index in *candidate). A candidate that fails is said on standard error and left
 * out (*first is NAN if it was the first one); the last error where none runs, or where the device answers no more. */
bt_status bt_bench_product_seconds(bt_device *device, const bt_bench_product *product, int iterations, double *first,
                                   double *best, int *candidate) BT_MUST_CHECK;

/** Bytes per second of reading and writing large tensors once (relu, the plainest kernel). */
bt_status bt_bench_bandwidth(bt_device *device, int iterations, double *bytes_per_second) BT_MUST_CHECK;

/** Seconds from one launch to the next where the kernel has nothing to do. */
bt_status bt_bench_launch_seconds(bt_device *device, double *seconds) BT_MUST_CHECK;

#endif
