/* Pictures to squares: random resized crop with flip for training, resize and centre crop for evaluation.
 *
 * The geometry is torchvision's (RandomResizedCrop, RandomHorizontalFlip, Resize of the shorter side, CenterCrop), the
 * pixels are those of PIL's Image.resize(BILINEAR), bit for bit: what published checkpoints were trained on.
 *
 * Resampling of one axis from n to m pixels, with s = n/m and the filter stretched by f = max(s, 1):
 *   centre(i) = (i + 1/2) s;   out[i] = sum_j w_ij in[j],   w_ij ~ max(0, 1 - |(j + 1/2 - centre(i)) / f|), normalised
 * over floor(centre - f + 1/2) <= j < floor(centre + f + 1/2) within the crop. Weights are computed in float64 and
 * rounded to 22 bits behind the point; columns first, rounded to 8 bits, then rows. Pixels outside the crop are never
 * read.
 *
 * Draws of a crop, under (seed, epoch, BT_STREAM_AUGMENT, id = sample | view << 32), see bittern/random.h:
 *   block t = 0..9   try t: word 0 area, word 1 log of the aspect ratio, word 2 top, word 3 left
 *   block 10         word 0: mirrored if the unit draw is below `flip`
 */
#ifndef BITTERN_DATA_TRANSFORM_H
#define BITTERN_DATA_TRANSFORM_H

#include <bittern/status.h>

#include <stddef.h>
#include <stdint.h>

typedef struct bt_box {
    int64_t top, left, height, width;
} bt_box;

/** A crop is resized to (full_height, full_width), of which `window` is wanted; then mirrored left to right if `flip`.
 */
typedef struct bt_view {
    bt_box crop; /**< within the picture */
    int64_t full_height, full_width;
    bt_box window; /**< within (full_height, full_width) */
    bool flip;
} bt_view;

typedef struct bt_augment {
    double scale[2]; /**< share of the picture's area, 0 < scale[0] <= scale[1] */
    double ratio[2]; /**< width over height of the crop, 0 < ratio[0] <= ratio[1] */
    double flip;     /**< probability of a mirrored picture */
} bt_augment;

/** Training: a random crop of a (height, width) picture, resized to (size, size). Ten tries as in the draws above; then
 *  the largest centred crop whose ratio is allowed. */
bt_view bt_view_random(int64_t height, int64_t width, int64_t size, const bt_augment *augment, uint64_t seed,
                       int64_t epoch, int64_t id);

/** Evaluation: the shorter side resized to `resize` (the longer one rounded down), the centre (size, size) of it;
 *  size <= resize. */
bt_view bt_view_center(int64_t height, int64_t width, int64_t resize, int64_t size);

/** Working memory of bt_resample, for one thread. Zero-initialised is empty; it grows and is kept. */
typedef struct bt_resampler {
    void *weights, *rows;
    size_t weights_capacity, rows_capacity; /**< bytes */
} bt_resampler;

void bt_resampler_free(bt_resampler *resampler);

/** pixels (height, width, 3) to out (view->window.height, view->window.width, 3). */
bt_status bt_resample(bt_resampler *resampler, const uint8_t *pixels, int64_t height, int64_t width,
                      const bt_view *view, uint8_t *out) BT_MUST_CHECK;

#endif
