/* Dropout of the rows of a tensor, drawn as include/bittern/random.h and the operation table say. */
#ifndef BITTERN_CPU_DROPOUT_H
#define BITTERN_CPU_DROPOUT_H

#include "cpu/device.h"

/** The draws of one row: of elements first..first+n-1 of sample `id`. */
typedef struct bt_dropout_draw {
    uint64_t seed;
    int64_t step, id, first;
    uint32_t stream;
    float rate; /**< probability of 0, below 1 */
} bt_dropout_draw;

/** y (n) = x / (1 - rate) where the draw is at least rate, else 0; y may be x. */
void bt_dropout_row_generic(float *y, const float *x, int64_t n, const bt_dropout_draw *draw);
void bt_dropout_row_avx2(float *y, const float *x, int64_t n, const bt_dropout_draw *draw);
void bt_dropout_row_avx512(float *y, const float *x, int64_t n, const bt_dropout_draw *draw);

/** y = drop(x) + add. x, y, add (absent: dtype BT_NONE; may be y) are (N,T,C) or (N,C) of one dtype, f32 or bf16; ids
 * (N) i64. `scratch` has bt_dropout_scratch_bytes. */
void bt_dropout_apply(bt_device *device, const bt_tensor *y, const bt_tensor *x, const bt_tensor *add,
                      const bt_tensor *ids, float rate, int stream, void *scratch);
size_t bt_dropout_scratch_bytes(const bt_device *device, const bt_tensor *x);

#endif
