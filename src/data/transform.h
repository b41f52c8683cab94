/* Pictures to squares: random resized crop with flip and colour for training, resize and centre crop for evaluation.
 *
 * The geometry and the colour are torchvision's (RandomResizedCrop, RandomHorizontalFlip, ColorJitter, RandomGrayscale,
 * RandomSolarize; Resize of the shorter side, CenterCrop) with PIL's GaussianBlur, the pixels those of PIL: what
 * published checkpoints were trained on. docs/augmentation.md has the formulas. All choices are made here; the pixels
 * are made in the module pixels.
 *
 * Draws of a view, under (seed, epoch, BT_STREAM_AUGMENT, id = sample | view << 32), see bittern/random.h:
 *   block t = 0..9   try t: word 0 area, word 1 log of the aspect ratio, word 2 top, word 3 left
 *   block 10         word 0: mirrored if the unit draw is below `flip`; word 1 below `jitter`: the four steps of colour
 *                    jitter; word 2 below `grey`; word 3 below `blur`
 *   block 11         word 0 below `solarize`; word 1: order of the jitter; word 2: radius of the blur; word 3 is free
 *   block 12         word 0 brightness, word 1 contrast, word 2 saturation, word 3 hue
 * A choice among n is bt_draw_below(word, n).
 */
#ifndef BITTERN_DATA_TRANSFORM_H
#define BITTERN_DATA_TRANSFORM_H

#include "pixels/colour.h"
#include "pixels/resample.h"

#define BT_AUGMENT_BLUR_RADIUS 64 /* largest */

typedef struct bt_augment {
    double scale[2];  /**< share of the picture's area, 0 < scale[0] <= scale[1] */
    double ratio[2];  /**< width over height of the crop, 0 < ratio[0] <= ratio[1] */
    double flip;      /**< probability of a mirrored picture */
    bt_filter filter; /**< of the crop's resizing */
    double jitter;    /**< probability of colour jitter; below, its strengths: 0 leaves a step out */
    double brightness, contrast, saturation; /**< factors from 1 - strength to 1 + strength, 0..1 */
    double hue;                              /**< turns from -hue to hue of a circle, 0..0.5 */
    double grey, blur, solarize;             /**< probabilities */
    double blur_radius[2];  /**< pixels, 0 < blur_radius[0] <= blur_radius[1] <= 64; looked at where blur > 0 */
    int solarize_threshold; /**< 0..256: values from it on are inverted */
} bt_augment;

/** All of the augmentation of CroVCA: crop, flip, jitter, grey, blur, solarize, with its probabilities. */
extern const bt_augment bt_augment_papers;

/** BT_ERR_CONFIG for a number out of range; the message says which and what is allowed. */
bt_status bt_augment_check(const bt_augment *augment) BT_MUST_CHECK;

/** Training: a random crop of a (height, width) picture, resized to (size, size). Ten tries as in the draws above; then
 *  the largest centred crop whose ratio is allowed. */
bt_view bt_view_random(int64_t height, int64_t width, int64_t size, const bt_augment *augment, uint64_t seed,
                       int64_t epoch, int64_t id);

/** Evaluation: the shorter side resized to `resize` (the longer one rounded down), the centre (size, size) of it;
 *  size <= resize. */
bt_view bt_view_center(int64_t height, int64_t width, int64_t resize, int64_t size);

/** Training: the colour steps of a view, in order: jitter, grey, blur, solarize. None for an augment of zeros. */
bt_colour bt_colour_random(const bt_augment *augment, uint64_t seed, int64_t epoch, int64_t id);

#endif
