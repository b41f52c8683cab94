/* Resampling a part of a picture: the pixels of PIL's Image.resize, bit for bit, on 8-bit RGB.
 *
 * Of one axis from n to m pixels, with s = n/m and the filter's curve h stretched by f = max(s, 1):
 *   centre(i) = (i + 1/2) s;   out[i] = sum_j w_ij in[j],   w_ij ~ h((j + 1/2 - centre(i)) / f), normalised
 * over floor(centre - r f + 1/2) <= j < floor(centre + r f + 1/2) within the crop; r is 1 for the bilinear tent, 2 for
 * the bicubic curve. Weights are computed in float64 and rounded to 22 bits behind the point; columns first, rounded to
 * 8 bits, then rows. Pixels outside the crop have no influence. */
#ifndef BITTERN_PIXELS_RESAMPLE_H
#define BITTERN_PIXELS_RESAMPLE_H

#include "pixels/view.h"

#include <bittern/status.h>

#include <stddef.h>

/** Working memory of bt_resample, for one thread. Zero-initialised is empty; it grows and is kept. */
typedef struct bt_resampler {
    void *weights, *rows;
    size_t weights_capacity, rows_capacity; /**< bytes */
} bt_resampler;

void bt_resampler_free(bt_resampler *resampler);

/** pixels (height, width, 3) to out (view->window.height, view->window.width, 3); the view is valid
 *  (bt_view_valid). BT_ERR_MEMORY. */
bt_status bt_resample(bt_resampler *resampler, const uint8_t *pixels, int64_t height, int64_t width,
                      const bt_view *view, uint8_t *out) BT_MUST_CHECK;

#endif
