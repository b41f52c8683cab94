/* Places of the fen: their light and colours. */
#include "fen/scene.h"

/* Light of an hour, sRGB; strengths in units of a white surface's light. */
typedef struct hour_light {
    uint32_t top, low, sun, ambient, fog;
    double sun_strength, ambient_strength, haze_least, haze_most, sun_height;
} hour_light;

static const hour_light hours[BT_FEN_HOURS] = {
    [BT_FEN_DAWN] = {0x8ea2c2, 0xf0cdb0, 0xffc890, 0xb4bcd6, 0xe6d2c6, 1.00, 0.50, 0.20, 0.50, 0.30},
    [BT_FEN_MORNING] = {0x7aa2c8, 0xd8e3e6, 0xfff0d6, 0xa8c0dc, 0xd6e0e2, 1.15, 0.45, 0.08, 0.28, 0.60},
    [BT_FEN_CLEAR] = {0x6594c4, 0xc4dae6, 0xfffaf0, 0x9fbbdc, 0xcfdde4, 1.25, 0.42, 0.04, 0.15, 0.85},
    [BT_FEN_OVERCAST] = {0xa3adb4, 0xced3d2, 0xf0f2f4, 0xc4cad0, 0xc8cdcc, 0.35, 0.95, 0.12, 0.35, 0.90},
    [BT_FEN_GOLDEN] = {0x8797ae, 0xf2be7c, 0xffb868, 0xb2a8b4, 0xecc698, 1.15, 0.45, 0.12, 0.38, 0.28},
    [BT_FEN_DUSK] = {0x565a80, 0xd39a88, 0xff9f74, 0x8c8ab4, 0x9f8ea4, 0.65, 0.60, 0.18, 0.42, 0.20},
    [BT_FEN_MIST] = {0xc2cace, 0xdcdfdc, 0xfaf3e6, 0xcfd6da, 0xd8dcda, 0.40, 0.85, 0.45, 0.72, 0.60},
};
static const uint32_t reeds[BT_FEN_SEASONS][2] = {
    [BT_FEN_SPRING] = {0xa3ad62, 0x505c30}, [BT_FEN_SUMMER] = {0x82935a, 0x3c4a2a},
    [BT_FEN_AUTUMN] = {0xcda763, 0x70532c}, [BT_FEN_WINTER] = {0xcbb78f, 0x766448},
    [BT_FEN_RUST] = {0xaf7e4c, 0x583c26},
};
static const uint32_t waters[] = {0x27352f, 0x2b3a44, 0x3a3a28, 0x1f2c36, 0x40352a};
static const uint32_t muds[] = {0x6f6252, 0x7a7062, 0x62574a, 0x85775f};

bt_fen_scene bt_fen_scene_draw(uint64_t seed, int number) {
    bt_fen_dice d = bt_fen_dice_new(seed, BT_FEN_STREAM_SCENE, number, 0, 0);
    bt_fen_scene s = {.seed = bt_fen_word(&d)};
    s.hour = (bt_fen_hour)bt_fen_index(&d, BT_FEN_HOURS);
    s.season = (bt_fen_season)bt_fen_index(&d, BT_FEN_SEASONS);
    const hour_light *h = &hours[s.hour];
    double hue = 0.05 * bt_fen_normal(&d), light = exp(0.12 * bt_fen_normal(&d));
    double deep = bt_fen_range(&d, 0.4, 0.85); /* how coloured the hour is */
    s.sky_top = bt_fen_rgb_vary(bt_fen_srgb(h->top), hue, deep, light);
    s.sky_low = bt_fen_rgb_vary(bt_fen_srgb(h->low), hue, deep, light);
    s.fog = bt_fen_rgb_vary(bt_fen_srgb(h->fog), hue, deep, light);
    s.sun = bt_fen_rgb_vary(bt_fen_srgb(h->sun), 0, 0.6 * deep, h->sun_strength * bt_fen_range(&d, 0.8, 1.1));
    s.ambient = bt_fen_rgb_vary(bt_fen_srgb(h->ambient), 0, 0.8 * deep, h->ambient_strength * 1.15);
    s.haze = bt_fen_range(&d, h->haze_least, h->haze_most);
    s.water = bt_fen_rgb_vary(bt_fen_srgb(waters[bt_fen_index(&d, 5)]), 0.2 * bt_fen_normal(&d), 1,
                              exp(0.25 * bt_fen_normal(&d)));
    s.mud = bt_fen_rgb_vary(bt_fen_srgb(muds[bt_fen_index(&d, 4)]), 0.1 * bt_fen_normal(&d), 1,
                            exp(0.2 * bt_fen_normal(&d)));
    double reed_hue = 0.05 * bt_fen_normal(&d), reed_light = exp(0.15 * bt_fen_normal(&d));
    s.reed_light = bt_fen_rgb_vary(bt_fen_srgb(reeds[s.season][0]), reed_hue, 1, reed_light);
    s.reed_dark = bt_fen_rgb_vary(bt_fen_srgb(reeds[s.season][1]), reed_hue, 1, reed_light);
    double side = bt_fen_range(&d, -1.1, 1.1), height = h->sun_height * bt_fen_range(&d, 0.75, 1.2);
    double x = sin(side) * cos(height), z = cos(side) * cos(height), y = sin(height);
    s.sun_x = x, s.sun_y = y, s.sun_z = z;
    bool wet = s.hour == BT_FEN_OVERCAST || s.hour == BT_FEN_MIST;
    s.rain = bt_fen_chance(&d, wet ? 0.4 : 0.04) ? bt_fen_range(&d, 0.3, 1) : 0;
    s.cloud = bt_fen_range(&d, 0, 1);
    s.ripple = exp(bt_fen_range(&d, log(0.25), log(1.6)));
    s.ripple_size = bt_fen_range(&d, 0.7, 1.5);
    s.density = bt_fen_range(&d, 0.5, 1.2);
    s.lean = 0.10 * bt_fen_normal(&d);
    return s;
}

bt_fen_rgb bt_fen_light(const bt_fen_scene *s, double x, double y, double z) {
    /* Wrapped diffuse: feathers let light through at the edge of shadow. */
    double sun = (x * s->sun_x + y * s->sun_y + z * s->sun_z + 0.3) / 1.3;
    sun = sun > 0 ? sun * (0.6 + 0.4 * sun) : 0;
    double sky = 0.72 + 0.28 * y, bounce = 0.14 * (1 - y);
    bt_fen_rgb up = bt_fen_rgb_scale(bt_fen_rgb_mix(s->mud, s->fog, 0.5), bounce);
    return bt_fen_rgb_add(bt_fen_rgb_add(bt_fen_rgb_scale(s->sun, sun), bt_fen_rgb_scale(s->ambient, sky)), up);
}
