/* The inner loops of resampling and colour, one copy for any processor and one for AVX2, with the same results. */
#ifndef BITTERN_PIXELS_LOOPS_H
#define BITTERN_PIXELS_LOOPS_H

#include <stdbool.h>
#include <stdint.h>

/** Colour. Planes of n bytes. */
typedef struct bt_colour_loops {
    void (*split)(const uint8_t *rgb, uint8_t *red, uint8_t *green, uint8_t *blue, int64_t n);
    void (*join)(const uint8_t *red, const uint8_t *green, const uint8_t *blue, uint8_t *rgb, int64_t n);
    /** x = from + factor (x - from) in 2^-14, see bt_blend_byte */
    void (*blend_value)(uint8_t *x, int32_t from, int32_t factor, int64_t n);
    void (*blend_plane)(uint8_t *x, const uint8_t *from, int32_t factor, int64_t n);
    void (*luma)(const uint8_t *red, const uint8_t *green, const uint8_t *blue, uint8_t *out, int64_t n);
    int64_t (*sum)(const uint8_t *x, int64_t n);
    void (*hue)(uint8_t *red, uint8_t *green, uint8_t *blue, int32_t turn, int64_t n);
    void (*solarize)(uint8_t *x, int32_t threshold, int64_t n);
    /** out = the box over line[0..count-1] with `before` and `behind`, see bt_box_byte. `out` overlaps none of them. */
    void (*box)(const uint8_t *const *line, int count, const uint8_t *before, const uint8_t *behind, uint32_t whole,
                uint32_t part, uint8_t *out, int64_t n);
} bt_colour_loops;

#define BT_LOWER_BITS 15 /* a weight is upper * 2^15 + lower, 0 <= lower < 2^15: two numbers of 16 bits */

/** Weights of a row of outputs: output i reads pixels first[i] .. first[i] + 4 groups - 1. A group of four taps is 32
 * numbers: the upper parts of taps (0,1) four times, of taps (2,3) four times, then the lower parts likewise. Taps
 * behind the last are 0. */
typedef struct bt_row_weights {
    int64_t count, groups;
    const int64_t *first;
    const int16_t *pair; /**< (count, groups, 32) */
} bt_row_weights;

typedef struct bt_resample_loops {
    /** in: one row of pixels (.., 3), readable for 16 bytes from every group on; out (count, 3), mirrored if `flip`. */
    void (*row)(const uint8_t *in, const bt_row_weights *weights, bool flip, uint8_t *out);
    /** out[x] = sum over k < taps of weight k times rows[k * stride + x], x < n; rows are readable up to a multiple of
     * 16. pair (taps / 2 rounded up, 4): upper parts of two taps, their lower parts. */
    void (*column)(const uint8_t *rows, int64_t stride, const int16_t *pair, int64_t taps, uint8_t *out, int64_t n);
} bt_resample_loops;

/** The fastest copies that this processor runs and BITTERN_CPU allows (base/cpu.h). */
const bt_colour_loops *bt_colour_loops_get(void);
const bt_resample_loops *bt_resample_loops_get(void);

extern const bt_colour_loops bt_colour_loops_generic, bt_colour_loops_avx2;
extern const bt_resample_loops bt_resample_loops_generic, bt_resample_loops_avx2;

#endif
