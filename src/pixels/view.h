/* How a picture becomes a view: geometry, colour, and the formulas of both, which kernels of every device share.
 *
 * docs/augmentation.md specifies the result pixel by pixel. All of it is integer arithmetic but for the weights of the
 * resampling filters, which are computed in float64, one rounding at a time, and rounded to 22 bits behind the point.
 */
#ifndef BITTERN_PIXELS_VIEW_H
#define BITTERN_PIXELS_VIEW_H

#include <bittern/random.h>

#include <stdbool.h>
#include <stdint.h>

typedef struct bt_box {
    int64_t top, left, height, width;
} bt_box;

typedef enum bt_filter { BT_FILTER_BILINEAR, BT_FILTER_BICUBIC } bt_filter;

/** A crop is resized to (full_height, full_width), of which `window` is wanted; then mirrored left to right if `flip`.
 */
typedef struct bt_view {
    bt_box crop; /**< within the picture */
    int64_t full_height, full_width;
    bt_box window; /**< within (full_height, full_width) */
    bool flip;
    bt_filter filter;
} bt_view;

/* ---- colour: a list of steps over a finished view ---- */

typedef enum bt_colour_kind {
    BT_COLOUR_BRIGHTNESS, /**< value: factor */
    BT_COLOUR_CONTRAST,   /**< value: factor */
    BT_COLOUR_SATURATION, /**< value: factor */
    BT_COLOUR_HUE,        /**< value: turn of the hue, 0..255 of 255 */
    BT_COLOUR_GREY,       /**< no value */
    BT_COLOUR_BLUR,       /**< value: radius of the box; whole, part: its weights */
    BT_COLOUR_SOLARIZE,   /**< value: threshold, 0..256 */
    BT_COLOUR_KINDS
} bt_colour_kind;

#define BT_FACTOR_BITS 14 /* factors count 2^-14 */
#define BT_FACTOR_ONE (1 << BT_FACTOR_BITS)
#define BT_FACTOR_LAST (2 * BT_FACTOR_ONE - 1) /* the largest, so that 16 bits hold it */
#define BT_BLUR_RADIUS_LAST 255                /* of a box, in pixels */
#define BT_BLUR_PASSES 3
#define BT_COLOUR_STEPS 8

typedef struct bt_colour_step {
    int32_t kind; /**< bt_colour_kind */
    int32_t value;
    uint32_t whole, part; /**< 2^-24: weight of a pixel within the radius, and of the two just behind */
} bt_colour_step;

typedef struct bt_colour {
    int32_t count, reserved;
    bt_colour_step step[BT_COLOUR_STEPS];
} bt_colour;

/** One view of one picture in a buffer of pictures: a record of the operation make_views. */
typedef struct bt_view_record {
    int64_t offset;        /**< of the picture's first byte in the buffer; its rows follow each other without a gap */
    int64_t height, width; /**< of the picture */
    bt_view view;
    bt_colour colour;
} bt_view_record; /* 248 bytes */

/* ---- validity ---- */

static inline BT_HOST_DEVICE bool bt_box_within(const bt_box *box, int64_t height, int64_t width) {
    return box->top >= 0 && box->left >= 0 && box->height > 0 && box->width > 0 && box->height <= height &&
           box->width <= width && box->top <= height - box->height && box->left <= width - box->width;
}

/** Whether the crop lies within a picture of (height, width), and the window within the full size. */
static inline BT_HOST_DEVICE bool bt_view_valid(const bt_view *view, int64_t height, int64_t width) {
    return bt_box_within(&view->crop, height, width) &&
           bt_box_within(&view->window, view->full_height, view->full_width) &&
           (view->filter == BT_FILTER_BILINEAR || view->filter == BT_FILTER_BICUBIC);
}

static inline BT_HOST_DEVICE bool bt_colour_step_valid(const bt_colour_step *s) {
    switch (s->kind) {
    case BT_COLOUR_BRIGHTNESS:
    case BT_COLOUR_CONTRAST:
    case BT_COLOUR_SATURATION:
        return s->value >= 0 && s->value <= BT_FACTOR_LAST;
    case BT_COLOUR_HUE:
        return s->value >= 0 && s->value <= 255;
    case BT_COLOUR_GREY:
        return true;
    case BT_COLOUR_BLUR:
        return s->value >= 0 && s->value <= BT_BLUR_RADIUS_LAST &&
               (uint64_t)s->whole * (2 * (uint64_t)s->value + 1) + 2 * (uint64_t)s->part <= 1u << 24;
    case BT_COLOUR_SOLARIZE:
        return s->value >= 0 && s->value <= 256;
    default:
        return false;
    }
}

/** Whether every step's kind, value and weights are in range. */
static inline BT_HOST_DEVICE bool bt_colour_valid(const bt_colour *colour) {
    if (colour->count < 0 || colour->count > BT_COLOUR_STEPS) return false;
    for (int32_t i = 0; i < colour->count; i++)
        if (!bt_colour_step_valid(&colour->step[i])) return false;
    return true;
}

#define BT_SIDE_LAST ((int64_t)1 << 24) /* pixels of a picture's or a full view's side */

/** Whether a record asks for a (size, size) view of a picture that lies within a buffer of `bytes`. */
static inline BT_HOST_DEVICE bool bt_record_valid(const bt_view_record *r, int64_t bytes, int64_t size) {
    return r->offset >= 0 && r->offset <= bytes && r->height > 0 && r->height <= BT_SIDE_LAST && r->width > 0 &&
           r->width <= BT_SIDE_LAST && r->height * r->width <= (bytes - r->offset) / 3 &&
           r->view.full_height <= BT_SIDE_LAST && r->view.full_width <= BT_SIDE_LAST &&
           bt_view_valid(&r->view, r->height, r->width) && r->view.window.height == size &&
           r->view.window.width == size && bt_colour_valid(&r->colour);
}

/* ---- formulas ---- */

#define BT_WEIGHT_BITS 22 /* resampling weights count 2^-22 */

/* Rounded one by one, whatever the compiler does to a*b + c elsewhere. */
static inline BT_HOST_DEVICE double bt_times(double a, double b) {
#ifdef __CUDA_ARCH__
    return __dmul_rn(a, b);
#else
    return a * b;
#endif
}
static inline BT_HOST_DEVICE double bt_plus(double a, double b) {
#ifdef __CUDA_ARCH__
    return __dadd_rn(a, b);
#else
    return a + b;
#endif
}

/** Half the width of a filter at scale 1. */
static inline BT_HOST_DEVICE int bt_filter_support(bt_filter filter) {
    return filter == BT_FILTER_BICUBIC ? 2 : 1;
}

/** Height of the filter's curve: the tent, or the cubic convolution with a = -1/2 (Keys, 1981). */
static inline BT_HOST_DEVICE double bt_filter_height(bt_filter filter, double x) {
    if (x < 0) x = -x;
    if (filter == BT_FILTER_BILINEAR) return x < 1 ? bt_plus(1, -x) : 0;
    if (x < 1) return bt_plus(bt_times(bt_times(bt_plus(bt_times(1.5, x), -2.5), x), x), 1);
    if (x < 2) return bt_times(bt_plus(bt_times(bt_plus(bt_times(bt_plus(x, -5), x), 8), x), -4), -0.5);
    return 0;
}

/** What output i of an axis of `in` pixels resized to `full` reads: inputs first .. first + taps - 1. */
typedef struct bt_axis_taps {
    int64_t first, taps;
    double center, inverse; /**< of the filter in the input; 1 / its stretch */
} bt_axis_taps;

static inline BT_HOST_DEVICE bt_axis_taps bt_axis_taps_of(bt_filter filter, int64_t in, int64_t full, int64_t i) {
    double scale = (double)in / (double)full, stretch = scale < 1 ? 1 : scale;
    double support = bt_times((double)bt_filter_support(filter), stretch);
    bt_axis_taps t;
    t.center = bt_times(bt_plus((double)i, 0.5), scale);
    t.inverse = 1 / stretch;
    /* Casts cut toward zero: the same as floor but below 0, which is clipped anyway. */
    int64_t end = (int64_t)bt_plus(bt_plus(t.center, support), 0.5);
    t.first = (int64_t)bt_plus(bt_plus(t.center, -support), 0.5);
    if (t.first < 0) t.first = 0;
    if (end > in) end = in;
    t.taps = end - t.first;
    return t;
}

/** Height of the curve at tap k, before all taps are divided by their sum (taken in order). */
static inline BT_HOST_DEVICE double bt_axis_height(bt_filter filter, const bt_axis_taps *t, int64_t k) {
    double distance = bt_plus(bt_plus((double)(t->first + k), -t->center), 0.5);
    return bt_filter_height(filter, bt_times(distance, t->inverse));
}

/** A tap's share of `sum` in 2^-22, rounded to the nearest, halves away from 0. */
static inline BT_HOST_DEVICE int32_t bt_axis_weight(double height, double sum) {
    double share = bt_times(sum != 0 ? height / sum : height, (double)(1 << BT_WEIGHT_BITS));
    return (int32_t)bt_plus(share, share < 0 ? -0.5 : 0.5);
}

/** A sum of weights times bytes, half a unit included, to a byte. */
static inline BT_HOST_DEVICE uint8_t bt_weighted_byte(int32_t sum) {
    int32_t value = sum >> BT_WEIGHT_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/** from + factor (to - from), rounded down, clipped; factor in 2^-14. */
static inline BT_HOST_DEVICE uint8_t bt_blend_byte(int32_t from, int32_t to, int32_t factor) {
    int32_t value = from + (((to - from) * factor) >> BT_FACTOR_BITS);
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/** Luma of ITU-R BT.601 in 2^-16, rounded to the nearest. */
static inline BT_HOST_DEVICE uint8_t bt_luma(int32_t red, int32_t green, int32_t blue) {
    return (uint8_t)((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16);
}

/** Mean luma, rounded to the nearest: what contrast blends with. */
static inline BT_HOST_DEVICE int32_t bt_mean_luma(int64_t sum, int64_t count) {
    return (int32_t)((2 * sum + count) / (2 * count));
}

/* Hues that come out one lower where 85 n / 2c is exactly this integer (see bt_hue_turn): bit m of word m / 32. The
 * binary32 quotient of which PIL takes 255 times lies below them. */
#define BT_HUE_LOW                                                                                                     \
    { 0xfffffffeu, 0, 0x11000000u, 0x00000111u, 0x222aaaaau, 0x23232222u, 0x00022222u, 0 }

static inline BT_HOST_DEVICE bool bt_hue_is_low(int32_t hue) {
    const uint32_t words[8] = BT_HUE_LOW;
    return words[hue >> 5] >> (hue & 31) & 1;
}

/** Turns the hue of one pixel by `turn` of 255, through hue, saturation and value of 8 bits each. */
static inline BT_HOST_DEVICE void bt_hue_turn(uint8_t rgb[3], int32_t turn) {
    int32_t r = rgb[0], g = rgb[1], b = rgb[2];
    int32_t high = r > g ? (r > b ? r : b) : (g > b ? g : b), low = r < g ? (r < b ? r : b) : (g < b ? g : b);
    int32_t c = high - low;
    if (c == 0) return;                                                        /* grey has no saturation and stays */
    int32_t n = r == high ? g - b : g == high ? 2 * c + b - r : 4 * c + r - g; /* a sixth of a circle is c */
    if (n < 0) n += 6 * c;
    int32_t hue = 85 * n / (2 * c), saturation = 255 * c / high;
    if (hue * 2 * c == 85 * n && bt_hue_is_low(hue)) hue--;
    hue = (hue + turn) & 255;
    int32_t sixth = 2 * hue / 85, rest = 2 * hue - 85 * sixth;
    int32_t p = (2 * high * (255 - saturation) + 255) / 510;
    int32_t q = (2 * high * (21675 - saturation * rest) + 21675) / 43350;
    int32_t t = (2 * high * (21675 - saturation * (85 - rest)) + 21675) / 43350;
    if (sixth == 6) sixth = 0;
    rgb[0] = (uint8_t)(sixth == 0 || sixth == 5 ? high : sixth == 1 ? q : sixth == 4 ? t : p);
    rgb[1] = (uint8_t)(sixth == 1 || sixth == 2 ? high : sixth == 3 ? q : sixth == 0 ? t : p);
    rgb[2] = (uint8_t)(sixth == 3 || sixth == 4 ? high : sixth == 5 ? q : sixth == 2 ? t : p);
}

/** A box's sum to a byte: `inner` over the pixels within the radius, `outer` the two just behind. */
static inline BT_HOST_DEVICE uint8_t bt_box_byte(uint32_t inner, uint32_t outer, uint32_t whole, uint32_t part) {
    return (uint8_t)((inner * whole + outer * part + (1u << 23)) >> 24);
}

#endif
