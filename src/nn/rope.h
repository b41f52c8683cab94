/* The angles of rotary positions on a grid of patches. */
#ifndef BITTERN_NN_ROPE_H
#define BITTERN_NN_ROPE_H

#include <bittern/status.h>

#include <stdint.h>

/** Fills table (rows*columns, head), row-major, as bt_rope takes it: cos, then sin of head/2 angles, patches in raster
 * order. The angles are those of DINOv3 (arXiv 2508.10104, in the arithmetic of its transformers model): the centre of
 * patch (i, j) lies at v = 2 (i + 0.5) / rows - 1 and u = 2 (j + 0.5) / columns - 1, frequencies are f_m =
 * theta^(-4m/head) for m < head/4, and the angles 2 pi v f_m for all m, then 2 pi u f_m. In double, rounded once.
 * BT_ERR_CONFIG where head is no multiple of 4, or theta or the grid is not positive; the table is untouched then. */
bt_status bt_rope_table(float *table, int64_t rows, int64_t columns, int64_t head, double theta) BT_MUST_CHECK;

#endif
