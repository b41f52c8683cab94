/* Colour and noise. */
#include "fen/pigment.h"

/* Muted, as feathers are: structural blues and carotenoid reds are the only strong ones. */
const bt_fen_pigment bt_fen_pigments[BT_FEN_PIGMENTS] = {
    [BT_FEN_BLACK] = {"black", 0x17171b},      [BT_FEN_SOOT] = {"sooty", 0x38332f},
    [BT_FEN_SLATE] = {"slate-grey", 0x4e5a66}, [BT_FEN_ASH] = {"ash-grey", 0x868c8e},
    [BT_FEN_PEARL] = {"pearl-grey", 0xb9bfc0}, [BT_FEN_WHITE] = {"white", 0xf2f0ea},
    [BT_FEN_CREAM] = {"cream", 0xe9dcbc},      [BT_FEN_BUFF] = {"buff", 0xcfae7c},
    [BT_FEN_SAND] = {"sandy", 0xa98e68},       [BT_FEN_OCHRE] = {"ochre", 0xb87f35},
    [BT_FEN_RUFOUS] = {"rufous", 0xa85428},    [BT_FEN_CHESTNUT] = {"chestnut", 0x6f3420},
    [BT_FEN_UMBER] = {"umber", 0x59442f},      [BT_FEN_OLIVE] = {"olive", 0x6e6a3a},
    [BT_FEN_MOSS] = {"moss-green", 0x566b3c},  [BT_FEN_BOTTLE] = {"bottle-green", 0x1d4a3a},
    [BT_FEN_TEAL] = {"teal", 0x2c7484},        [BT_FEN_COBALT] = {"cobalt", 0x2d4f8f},
    [BT_FEN_CRIMSON] = {"crimson", 0x9c2a2a},  [BT_FEN_ORANGE] = {"orange", 0xcf6f22},
    [BT_FEN_YELLOW] = {"yellow", 0xd9b63c},    [BT_FEN_ROSE] = {"rose", 0xc9958a},
    [BT_FEN_MAROON] = {"maroon", 0x4f2230},
};

double bt_fen_to_linear(double s) {
    return s <= 0.04045 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4);
}

double bt_fen_from_linear(double l) {
    return l <= 0.0031308 ? 12.92 * l : 1.055 * pow(l, 1 / 2.4) - 0.055;
}

bt_fen_rgb bt_fen_srgb(uint32_t rgb) {
    return (bt_fen_rgb){bt_fen_to_linear((double)(rgb >> 16 & 255) / 255),
                        bt_fen_to_linear((double)(rgb >> 8 & 255) / 255), bt_fen_to_linear((double)(rgb & 255) / 255)};
}

bt_fen_rgb bt_fen_rgb_vary(bt_fen_rgb c, double hue, double saturation, double light) {
    double y = 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b;
    /* A turn in the plane of equal light: two axes across the grey diagonal. */
    double u = c.r - y, v = c.b - y, cu = cos(hue), su = sin(hue);
    double u2 = (u * cu - v * su) * saturation, v2 = (u * su + v * cu) * saturation;
    double g = -(0.2126 * u2 + 0.0722 * v2) / 0.7152;
    return (bt_fen_rgb){bt_fen_clamp((y + u2) * light, 0, 1e3), bt_fen_clamp((y + g) * light, 0, 1e3),
                        bt_fen_clamp((y + v2) * light, 0, 1e3)};
}

double bt_fen_noise(double x, double y, uint32_t seed) {
    /* floor without a call: arguments are far inside the range of int. */
    int32_t ix = (int32_t)x - (x < (int32_t)x), iy = (int32_t)y - (y < (int32_t)y);
    double u = x - ix, v = y - iy;
    double a = bt_fen_hash_unit(ix, iy, seed), b = bt_fen_hash_unit(ix + 1, iy, seed);
    double c = bt_fen_hash_unit(ix, iy + 1, seed), d = bt_fen_hash_unit(ix + 1, iy + 1, seed);
    double su = u * u * u * (u * (u * 6 - 15) + 10), sv = v * v * v * (v * (v * 6 - 15) + 10);
    return 2 * bt_fen_mix(bt_fen_mix(a, b, su), bt_fen_mix(c, d, su), sv) - 1;
}

double bt_fen_fbm(double x, double y, int octaves, uint32_t seed) {
    double sum = 0, size = 0.5;
    for (int i = 0; i < octaves; i++) {
        sum += size * bt_fen_noise(x, y, seed + (uint32_t)i * 0x632BE5ABu);
        /* Turned by about 37 degrees from octave to octave, so that lattice directions do not show. */
        double t = 1.6 * x - 1.2 * y;
        y = 1.2 * x + 1.6 * y;
        x = t;
        size *= 0.5;
    }
    return sum;
}
