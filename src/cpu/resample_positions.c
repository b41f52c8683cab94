/* Position embeddings of another grid (bittern/positions.h): rows, then columns, so an element costs the sum of both
 * axes' taps and not their product. The gradient of the parameter is the same with the transposed taps. Each row of a
 * result is one thread's. */
#include "cpu/rows.h"
#include "tensor/position_taps.h"

#include "base/memory.h"

#include <string.h>

static void release(void *state) {
    bt_position_taps_free(state);
    bt_memory_free(state);
}

/** The taps, and scratch for the grid after its rows: rows of the result, columns of the input. */
static bt_status prepare_taps(bt_positions rule, const int *from, const int *to, bool transposed, int64_t cols,
                              bt_prepared *out) {
    bt_position_taps *taps = bt_memory_zeroed(1, sizeof *taps);
    if (!taps) return BT_ERR_MEMORY;
    bt_status status = bt_position_taps_make(taps, rule, from, to, transposed);
    if (status != BT_OK) {
        bt_memory_free(taps);
        return status;
    }
    int64_t columns = transposed ? to[1] : from[1];
    out->scratch_bytes = sizeof(float) * (size_t)(taps->rows.outputs * columns * cols);
    out->state = taps;
    out->release = release;
    return BT_OK;
}

typedef struct resampling {
    const bt_tensor *in, *out;
    const bt_position_taps *taps;
    int64_t prefix, columns; /* rows before the grid; columns of the input's grid */
    float *half;             /* (rows of the result, columns of the input, cols) */
    bool add;                /* to what `out` holds */
} resampling;

static void along_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)unused;
    const resampling *r = context;
    const bt_position_axis *taps = &r->taps->rows;
    int64_t cols = bt_shape_cols(r->in->shape);
    for (int64_t at = begin; at < end; at++) {
        int64_t row = at / r->columns, column = at % r->columns;
        float *y = r->half + at * cols;
        memset(y, 0, (size_t)cols * sizeof *y);
        for (int t = 0; t < taps->count[row]; t++) {
            const float *x = bt_row_f32(r->in, r->prefix + (taps->first[row] + t) * r->columns + column);
            v->add_weighted(y, x, taps->weight[row * taps->most + t], cols);
        }
    }
}

static void along_columns(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)unused;
    const resampling *r = context;
    const bt_position_axis *taps = &r->taps->columns;
    int64_t cols = bt_shape_cols(r->in->shape);
    for (int64_t at = begin; at < end; at++) {
        float *y = bt_row_f32(r->out, at);
        if (!r->add) memset(y, 0, (size_t)cols * sizeof *y);
        if (at < r->prefix) {
            v->add_weighted(y, bt_row_f32(r->in, at), 1, cols);
            continue;
        }
        int64_t row = (at - r->prefix) / taps->outputs, column = (at - r->prefix) % taps->outputs;
        for (int t = 0; t < taps->count[column]; t++) {
            const float *x = r->half + (row * r->columns + taps->first[column] + t) * cols;
            v->add_weighted(y, x, taps->weight[column * taps->most + t], cols);
        }
    }
}

static void resample(bt_device *device, resampling *r) {
    int64_t cols = bt_shape_cols(r->in->shape), first = r->taps->rows.outputs * r->columns,
            second = bt_shape_rows(r->out->shape);
    bt_over_rows(device, first, first * cols * r->taps->rows.most, along_rows, r, 0, NULL);
    bt_over_rows(device, second, second * cols * r->taps->columns.most, along_columns, r, 0, NULL);
}

static bt_status prepare(bt_device *device, const bt_resample_positions_args *a, bt_prepared *out) {
    (void)device;
    BT_TRY(BT_CHECK_OPERANDS("resample_positions", {"pos", &a->pos, BT_ALLOW_F32}, {"y", &a->y, BT_ALLOW_F32}));
    return prepare_taps(a->rule, a->from, a->to, false, bt_shape_cols(a->y.shape), out);
}

static bt_status run(bt_device *device, const bt_resample_positions_args *a, const bt_prepared *prepared,
                     void *scratch) {
    resampling r = {.in = &a->pos,
                    .out = &a->y,
                    .taps = prepared->state,
                    .prefix = a->prefix,
                    .columns = a->from[1],
                    .half = scratch};
    resample(device, &r);
    return BT_OK;
}

const bt_resample_positions_kernel bt_cpu_resample_positions = {prepare, run};

static bt_status prepare_dw(bt_device *device, const bt_resample_positions_dw_args *a, bt_prepared *out) {
    (void)device;
    BT_TRY(BT_CHECK_OPERANDS("resample_positions_dw", {"dy", &a->dy, BT_ALLOW_F32}, {"dpos", &a->dpos, BT_ALLOW_F32}));
    return prepare_taps(a->rule, a->from, a->to, true, bt_shape_cols(a->dy.shape), out);
}

static bt_status run_dw(bt_device *device, const bt_resample_positions_dw_args *a, const bt_prepared *prepared,
                        void *scratch) {
    resampling r = {.in = &a->dy,
                    .out = &a->dpos,
                    .taps = prepared->state,
                    .prefix = a->prefix,
                    .columns = a->to[1],
                    .half = scratch,
                    .add = a->accumulate != 0};
    resample(device, &r);
    return BT_OK;
}

const bt_resample_positions_dw_kernel bt_cpu_resample_positions_dw = {prepare_dw, run_dw};
