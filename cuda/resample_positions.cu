/* Position embeddings of another grid (bittern/positions.h), and their gradient: the same with the transposed taps.
 *
 * One thread does a pack of columns of one row of the result and sums over the taps of both axes in their order,
 * columns inside. That is the product of the axes' taps where two passes would cost their sum (at 37 x 37 to 16 x 16
 * with antialiasing 100 reads from the second cache); it happens once a step for one sample, where a launch counts
 * more. The taps lie in device memory from `prepare` on.
 */
#include "operands.cuh"
#include "tensor/position_taps.h"

#include <stdlib.h>

namespace {

constexpr int THREADS = 128;

/** Kept from prepare to run; pointers of `taps` are those of the device. */
struct tap_state {
    bt_device *device;
    void *memory;
    bt_position_taps taps;
};

void release(void *memory) {
    tap_state *state = static_cast<tap_state *>(memory);
    if (state->memory != NULL) state->device->backend->free(state->device, state->memory);
    free(state);
}

/** Moves the pointers of an axis from one block to its copy. */
void move(bt_position_axis *axis, const int32_t *from, const int32_t *to) {
    axis->first = to + (axis->first - from);
    axis->count = to + (axis->count - from);
    axis->weight = reinterpret_cast<const float *>(to) + (axis->weight - reinterpret_cast<const float *>(from));
}

bt_status prepare_taps(bt_device *device, const char *operation, bt_positions rule, const int *from, const int *to,
                       bool transposed, bt_prepared *out) {
    bt_position_taps taps;
    BT_TRY(bt_position_taps_make(&taps, rule, from, to, transposed));
    tap_state *state = static_cast<tap_state *>(calloc(1, sizeof *state));
    bt_status status =
        state == NULL ? bt_error(BT_ERR_MEMORY, "%s on " BT_CUDA_BACKEND ": no memory for its plan", operation) : BT_OK;
    if (status == BT_OK) {
        state->device = device;
        status = device->backend->alloc(device, taps.bytes, &state->memory);
    }
    if (status == BT_OK) status = device->backend->upload(device, state->memory, taps.words, taps.bytes);
    if (status == BT_OK) {
        state->taps = taps;
        state->taps.words = NULL;
        move(&state->taps.rows, taps.words, static_cast<const int32_t *>(state->memory));
        move(&state->taps.columns, taps.words, static_cast<const int32_t *>(state->memory));
        out->state = state;
        out->release = release;
    } else if (state != NULL) {
        release(state);
    }
    bt_position_taps_free(&taps);
    return status;
}

/* out (prefix + rows*columns, packs*W) (+)= in (prefix + .. x in_columns, packs*W) through the taps. */
struct resampling {
    float *out;
    const float *in;
    bt_position_axis rows, columns;
    int64_t prefix, in_columns, packs, ldout, ldin;
    int accumulate;
};

template <int W> __global__ void __launch_bounds__(THREADS) resample(const resampling a) {
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x, place = at / a.packs,
                  column = (at - place * a.packs) * W;
    const int64_t patch = place - a.prefix;
    if (patch >= (int64_t)a.rows.outputs * a.columns.outputs) return;
    float sum[W] = {};
    if (patch < 0) {
        bt_load(sum, a.in + place * a.ldin + column);
    } else {
        const int64_t i = patch / a.columns.outputs, j = patch - i * a.columns.outputs;
        const float *down = a.rows.weight + i * a.rows.most, *across = a.columns.weight + j * a.columns.most;
        for (int s = 0; s < a.rows.count[i]; s++) {
            const int64_t first = a.prefix + (a.rows.first[i] + s) * a.in_columns + a.columns.first[j];
            float line[W] = {};
#pragma unroll 4
            for (int t = 0; t < a.columns.count[j]; t++) {
                float x[W];
                bt_load(x, a.in + (first + t) * a.ldin + column);
#pragma unroll
                for (int k = 0; k < W; k++) line[k] = fmaf(across[t], x[k], line[k]);
            }
#pragma unroll
            for (int k = 0; k < W; k++) sum[k] = fmaf(down[s], line[k], sum[k]);
        }
    }
    float *out = a.out + place * a.ldout + column;
    if (a.accumulate) bt_load_add(sum, out);
    bt_store(out, sum);
}

bt_status run_taps(bt_device *device, const bt_tensor &out, const bt_tensor &in, const bt_prepared *prepared,
                   int64_t prefix, int64_t in_columns, int accumulate) {
    const tap_state *state = static_cast<const tap_state *>(prepared->state);
    const int W = bt_packable(out, 4) && bt_packable(in, 4) ? 4 : 1;
    const int64_t packs = bt_shape_cols(out.shape) / W;
    const resampling a = {bt_data<float>(out),
                          bt_data<float>(in),
                          state->taps.rows,
                          state->taps.columns,
                          prefix,
                          in_columns,
                          packs,
                          out.ld,
                          in.ld,
                          accumulate};
    const unsigned blocks = bt_blocks(bt_shape_rows(out.shape) * packs, THREADS);
    return W == 4 ? BT_LAUNCH((resample<4>), blocks, THREADS, 0, bt_cuda_stream(device), a)
                  : BT_LAUNCH((resample<1>), blocks, THREADS, 0, bt_cuda_stream(device), a);
}

bt_status prepare(bt_device *device, const bt_resample_positions_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require("resample_positions", "pos", a->pos, BT_F32));
    BT_TRY(bt_cuda_require("resample_positions", "y", a->y, BT_F32));
    return prepare_taps(device, "resample_positions", a->rule, a->from, a->to, false, out);
}

bt_status run(bt_device *device, const bt_resample_positions_args *a, const bt_prepared *prepared, void *) {
    return run_taps(device, a->y, a->pos, prepared, a->prefix, a->from[1], 0);
}

bt_status prepare_dw(bt_device *device, const bt_resample_positions_dw_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require("resample_positions_dw", "dy", a->dy, BT_F32));
    BT_TRY(bt_cuda_require("resample_positions_dw", "dpos", a->dpos, BT_F32));
    return prepare_taps(device, "resample_positions_dw", a->rule, a->from, a->to, true, out);
}

bt_status run_dw(bt_device *device, const bt_resample_positions_dw_args *a, const bt_prepared *prepared, void *) {
    return run_taps(device, a->dpos, a->dy, prepared, a->prefix, a->to[1], a->accumulate);
}

} // namespace

BT_CUDA_KERNEL(resample_positions, prepare, run)
BT_CUDA_KERNEL(resample_positions_dw, prepare_dw, run_dw)
