/* The weights by which position embeddings are resampled (bittern/positions.h), for both backends and both directions.
 */
#ifndef BITTERN_TENSOR_POSITION_TAPS_H
#define BITTERN_TENSOR_POSITION_TAPS_H

#include <bittern/positions.h>
#include <bittern/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BT_POSITION_SIDE 1024 /* patches on a side of a grid, at most */

/** One axis: output o is the sum over t < count[o] of weight[o*most + t] times input first[o] + t. */
typedef struct bt_position_axis {
    int outputs, most;
    const int32_t *first, *count; /**< [outputs] */
    const float *weight;          /**< [outputs][most] */
} bt_position_axis;

/** Both axes, in one block of 32-bit words that a device may copy as a whole: pointers are moved by the distance of the
 * blocks. */
typedef struct bt_position_taps {
    bt_position_axis rows, columns;
    int32_t *words;
    size_t bytes;
} bt_position_taps;

/** Taps from a grid of from[0] x from[1] to one of to[0] x to[1], sides 1 to BT_POSITION_SIDE; with `transposed` those
 * of the gradient, from the second grid to the first. Made in double, rounded once. `out` owns memory:
 * bt_position_taps_free. BT_ERR_MEMORY. */
bt_status bt_position_taps_make(bt_position_taps *out, bt_positions rule, const int from[2], const int to[2],
                                bool transposed) BT_MUST_CHECK;
void bt_position_taps_free(bt_position_taps *taps);

#ifdef __cplusplus
}
#endif
#endif
