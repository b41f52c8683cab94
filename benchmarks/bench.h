/* bittern-bench: one file per benchmark, one JSON object a line. */
#ifndef BITTERN_BENCH_H
#define BITTERN_BENCH_H

#include "formats/json.h"
#include "measure.h"
#include "train/session.h"

typedef struct bt_bench_options {
    const char *model, *device, *dtype, *targets, *op, *data, *weights;
    int image, batch, rank, bits, iterations, threads;
    bool json, profile, no_graphs;
} bt_bench_options;

bt_status bt_bench_vit(const bt_bench_options *o) BT_MUST_CHECK;
bt_status bt_bench_ops(const bt_bench_options *o) BT_MUST_CHECK;
bt_status bt_bench_shapes(const bt_bench_options *o) BT_MUST_CHECK;
bt_status bt_bench_loader(const bt_bench_options *o) BT_MUST_CHECK;
bt_status bt_bench_pack(const bt_bench_options *o) BT_MUST_CHECK;
bt_status bt_bench_open(const bt_bench_options *o) BT_MUST_CHECK;

/** --dtype, and --batch as a step of two views has it. */
bt_status bt_bench_check(const bt_bench_options *o, bt_dtype *dtype) BT_MUST_CHECK;

/** The model of a CroVCA LoRA step with two views, not committed. `out` owns memory on success (bt_model_release). */
bt_status bt_bench_model(const bt_bench_options *o, bt_dtype dtype, bt_model *out) BT_MUST_CHECK;

/** Session options of its forward (all of --batch at once) or of its step (half of it in each view). */
bt_session_options bt_bench_session(const bt_bench_options *o, bt_dtype dtype, bool step);

#endif
