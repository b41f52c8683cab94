/* The colour loops, plain C that compilers turn into vectors. colour_loops.c and colour_loops_avx2.c include this file,
 * each under its own flags and with BT_COLOUR_LOOPS, the name of its table. Formulas: pixels/view.h. */
#include "pixels/loops.h"
#include "pixels/view.h"

#define EACH _Pragma("omp simd") for (int64_t i = 0; i < n; i++)

static void split(const uint8_t *restrict rgb, uint8_t *restrict red, uint8_t *restrict green, uint8_t *restrict blue,
                  int64_t n) {
    EACH {
        red[i] = rgb[3 * i];
        green[i] = rgb[3 * i + 1];
        blue[i] = rgb[3 * i + 2];
    }
}

static void join(const uint8_t *restrict red, const uint8_t *restrict green, const uint8_t *restrict blue,
                 uint8_t *restrict rgb, int64_t n) {
    EACH {
        rgb[3 * i] = red[i];
        rgb[3 * i + 1] = green[i];
        rgb[3 * i + 2] = blue[i];
    }
}

/* 16 bits suffice: (to - from) * 4 times the factor, the upper half, is (to - from) * factor >> 14. */
static inline uint8_t blend(int16_t from, int16_t to, int16_t factor) {
    int16_t difference = (int16_t)((to - from) * 4);
    int16_t value = (int16_t)(from + (int16_t)((int32_t)difference * factor >> 16));
    value = value < 0 ? 0 : value;
    return (uint8_t)(value > 255 ? 255 : value);
}

static void blend_value(uint8_t *x, int32_t from, int32_t factor, int64_t n) {
    EACH x[i] = blend((int16_t)from, x[i], (int16_t)factor);
}

static void blend_plane(uint8_t *restrict x, const uint8_t *restrict from, int32_t factor, int64_t n) {
    EACH x[i] = blend(from[i], x[i], (int16_t)factor);
}

static void luma(const uint8_t *restrict red, const uint8_t *restrict green, const uint8_t *restrict blue,
                 uint8_t *restrict out, int64_t n) {
    EACH out[i] = bt_luma(red[i], green[i], blue[i]);
}

static int64_t sum(const uint8_t *x, int64_t n) {
    int64_t total = 0;
    for (int64_t begin = 0; begin < n; begin += 65536) { /* 2^16 bytes add up to less than 2^24 */
        int32_t count = (int32_t)(n - begin < 65536 ? n - begin : 65536), part = 0;
        const uint8_t *from = x + begin;
        _Pragma("omp simd reduction(+ : part)") for (int32_t i = 0; i < count; i++) part += from[i];
        total += part;
    }
    return total;
}

/* bt_hue_turn without branches. Quotients in f32 are exact when cut: dividends are below 2^24, and a quotient that is
 * no integer is further from one than its rounding error (85n/2c: 1/510 of at most 255; 255c/high: 1/255 of 255; q and
 * t: 1/43350 of 256). */
static void hue(uint8_t *restrict red, uint8_t *restrict green, uint8_t *restrict blue, int32_t turn, int64_t n) {
    const uint32_t low_hues[8] = BT_HUE_LOW;
    int32_t is_low[256];
    for (int32_t h = 0; h < 256; h++) is_low[h] = low_hues[h >> 5] >> (h & 31) & 1;
    EACH {
        int32_t r = red[i], g = green[i], b = blue[i];
        int32_t high = r > g ? r : g, low = r < g ? r : g;
        high = high > b ? high : b;
        low = low < b ? low : b;
        int32_t c = high - low, some = c == 0 ? 1 : c, peak = high == 0 ? 1 : high;
        int32_t at_green = 2 * c + b - r, at_blue = 4 * c + r - g, sector = g - b;
        sector = r == high ? sector : g == high ? at_green : at_blue;
        sector = sector < 0 ? sector + 6 * c : sector;
        int32_t dividend = 85 * sector, h = (int32_t)((float)dividend / (float)(2 * some));
        int32_t saturation = (int32_t)((float)(255 * c) / (float)peak);
        h -= h * 2 * some == dividend ? is_low[h] : 0;
        h = (h + turn) & 255;
        int32_t sixth = (2 * h * 772) >> 16, rest = 2 * h - 85 * sixth;          /* 2h/85 for h < 256 */
        int32_t t0 = high * (255 - saturation) + 128, p = (t0 + (t0 >> 8)) >> 8; /* /255, rounded */
        int32_t q = (int32_t)((float)(2 * high * (21675 - saturation * rest) + 21675) / 43350.0f);
        int32_t t = (int32_t)((float)(2 * high * (21675 - saturation * (85 - rest)) + 21675) / 43350.0f);
        int32_t new_r = sixth == 1 ? q : sixth == 4 ? t : sixth == 2 || sixth == 3 ? p : high;
        int32_t new_g = sixth == 1 || sixth == 2 ? high : sixth == 3 ? q : sixth == 4 || sixth == 5 ? p : t;
        int32_t new_b = sixth == 3 || sixth == 4 ? high : sixth == 5 ? q : sixth == 2 ? t : p;
        red[i] = (uint8_t)(c == 0 ? high : new_r);
        green[i] = (uint8_t)(c == 0 ? high : new_g);
        blue[i] = (uint8_t)(c == 0 ? high : new_b);
    }
}

static void solarize(uint8_t *x, int32_t threshold, int64_t n) {
    EACH x[i] = x[i] < threshold ? x[i] : (uint8_t)(255 - x[i]);
}

#define BLOCK 64

static void box(const uint8_t *const *line, int count, const uint8_t *before, const uint8_t *behind, uint32_t whole,
                uint32_t part, uint8_t *out, int64_t n) {
    for (int64_t x = 0; x < n; x += BLOCK) {
        int width = (int)(n - x < BLOCK ? n - x : BLOCK);
        uint32_t inner[BLOCK] = {0};
        for (int k = 0; k < count; k++) {
            const uint8_t *from = line[k] + x;
            _Pragma("omp simd") for (int i = 0; i < width; i++) inner[i] += from[i];
        }
        const uint8_t *left = before + x, *right = behind + x;
        _Pragma("omp simd") for (int i = 0; i < width; i++) {
            uint32_t outer = (uint32_t)left[i] + right[i];
            out[x + i] = (uint8_t)((inner[i] * whole + outer * part + (1u << 23)) >> 24);
        }
    }
}

const bt_colour_loops BT_COLOUR_LOOPS = {split, join, blend_value, blend_plane, luma, sum, hue, solarize, box};
