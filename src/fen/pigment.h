/* Colour and noise. Colours are linear light (not sRGB bytes): light adds and multiplies there, and soft shadows stay
 * clean. */
#ifndef BITTERN_FEN_PIGMENT_H
#define BITTERN_FEN_PIGMENT_H

#include <math.h>
#include <stdint.h>

typedef struct bt_fen_rgb {
    double r, g, b;
} bt_fen_rgb;

/** The colours that feathers, bills, legs and eyes have. */
typedef struct bt_fen_pigment {
    const char *name; /**< as captions and names say it */
    uint32_t srgb;    /**< 0xRRGGBB */
} bt_fen_pigment;

typedef enum bt_fen_pigment_id {
    BT_FEN_BLACK,
    BT_FEN_SOOT,
    BT_FEN_SLATE,
    BT_FEN_ASH,
    BT_FEN_PEARL,
    BT_FEN_WHITE,
    BT_FEN_CREAM,
    BT_FEN_BUFF,
    BT_FEN_SAND,
    BT_FEN_OCHRE,
    BT_FEN_RUFOUS,
    BT_FEN_CHESTNUT,
    BT_FEN_UMBER,
    BT_FEN_OLIVE,
    BT_FEN_MOSS,
    BT_FEN_BOTTLE,
    BT_FEN_TEAL,
    BT_FEN_COBALT,
    BT_FEN_CRIMSON,
    BT_FEN_ORANGE,
    BT_FEN_YELLOW,
    BT_FEN_ROSE,
    BT_FEN_MAROON,
    BT_FEN_PIGMENTS
} bt_fen_pigment_id;

extern const bt_fen_pigment bt_fen_pigments[BT_FEN_PIGMENTS];

bt_fen_rgb bt_fen_srgb(uint32_t rgb); /**< 0xRRGGBB to linear light */
double bt_fen_to_linear(double srgb); /**< both in 0..1 */
double bt_fen_from_linear(double linear);

/** A change of a colour in appearance: turn of hue (radians), factor of saturation, factor of light. */
bt_fen_rgb bt_fen_rgb_vary(bt_fen_rgb c, double hue, double saturation, double light);

/** Value noise in [-1,1] with a smooth second derivative, lattice of side 1; and the sum of `octaves` of it, halving in
 * size. */
double bt_fen_noise(double x, double y, uint32_t seed);
double bt_fen_fbm(double x, double y, int octaves, uint32_t seed);

/** A hash of a lattice point, uniform in [0,1). */
static inline uint32_t bt_fen_hash(int32_t x, int32_t y, uint32_t seed) {
    uint32_t h = seed ^ (uint32_t)x * 0x9E3779B1u ^ (uint32_t)y * 0x85EBCA77u;
    h = (h ^ h >> 15) * 0x2C1B3C6Du;
    h = (h ^ h >> 12) * 0x297A2D39u;
    return h ^ h >> 15;
}
static inline double bt_fen_hash_unit(int32_t x, int32_t y, uint32_t seed) {
    return (double)(bt_fen_hash(x, y, seed) >> 8) * 0x1p-24;
}

static inline double bt_fen_clamp(double x, double lo, double hi) {
    return x < lo ? lo : x > hi ? hi : x;
}
static inline double bt_fen_mix(double a, double b, double t) {
    return a + (b - a) * t;
}

/** 0 below a, 1 above b (a < b), smooth between; with a > b it falls. */
static inline double bt_fen_step(double a, double b, double x) {
    double t = bt_fen_clamp((x - a) / (b - a), 0, 1);
    return t * t * (3 - 2 * t);
}

/** 1 within [a,b], falling to 0 over `soft` outside. */
static inline double bt_fen_band(double a, double b, double soft, double x) {
    return bt_fen_step(a - soft, a, x) * bt_fen_step(b + soft, b, x);
}

static inline bt_fen_rgb bt_fen_rgb_mix(bt_fen_rgb a, bt_fen_rgb b, double t) {
    return (bt_fen_rgb){bt_fen_mix(a.r, b.r, t), bt_fen_mix(a.g, b.g, t), bt_fen_mix(a.b, b.b, t)};
}
static inline bt_fen_rgb bt_fen_rgb_scale(bt_fen_rgb a, double s) {
    return (bt_fen_rgb){a.r * s, a.g * s, a.b * s};
}
static inline bt_fen_rgb bt_fen_rgb_times(bt_fen_rgb a, bt_fen_rgb b) {
    return (bt_fen_rgb){a.r * b.r, a.g * b.g, a.b * b.b};
}
static inline bt_fen_rgb bt_fen_rgb_add(bt_fen_rgb a, bt_fen_rgb b) {
    return (bt_fen_rgb){a.r + b.r, a.g + b.g, a.b + b.b};
}

#endif
