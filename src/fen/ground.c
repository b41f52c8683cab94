/* What lies behind a bird: sky, far bank, reed wall, water, mud.
 *
 * The backdrop (all that stands above the water's far edge) is painted once, at half size, upside down: row 0 is the
 * edge. The sky part of the picture and the reflection are both looked up in it, the reflection shaken by the slope of
 * the ripples. */
#include "fen/scene.h"

#define FAR_ROWS 3

/* Height of the far bank's trees above the water, in frames. */
static double bank_height(const bt_fen_scene *s, double x) {
    return 0.035 + 0.05 * (0.5 + bt_fen_fbm(x * 2.3, 0.5, 3, s->seed + 11)) +
           0.012 * bt_fen_noise(x * 26, 0.5, s->seed + 12);
}

/* Sky of a direction: x across, e above the water. */
static bt_fen_rgb sky(const bt_fen_scene *s, double x, double e) {
    bt_fen_rgb c = bt_fen_rgb_mix(s->sky_low, s->sky_top, bt_fen_step(-0.1, 1.0, e));
    double cloud = bt_fen_fbm(x * 1.6 + 3, e * 4.5 / (0.4 + e), 3, s->seed + 5);
    double cover = bt_fen_step(0.25 - 0.7 * s->cloud, 0.75 - 0.6 * s->cloud, cloud);
    bt_fen_rgb lit = bt_fen_rgb_add(bt_fen_rgb_scale(s->sun, 0.30), bt_fen_rgb_scale(s->fog, 0.62));
    c = bt_fen_rgb_mix(c, lit, 0.55 * cover);
    double dx = x - 0.5 - 0.6 * s->sun_x, dy = e - 0.7 * s->sun_y,
           glow = exp(-6 * (dx * dx + dy * dy)) * (1.2 - s->sun_y);
    return bt_fen_rgb_add(c, bt_fen_rgb_scale(s->sun, 0.30 * fmax(0, glow)));
}

static void paint_sky(const bt_fen_scene *s, const bt_fen_view *v, bt_fen_layer *back) {
    for (int y = 0; y < back->height; y++) {
        double e = (y + 0.5) / back->height;
        for (int x = 0; x < back->width; x++) {
            double fx = (x + 0.5) / back->width + v->shift;
            bt_fen_rgb c = sky(s, fx, e);
            double top = e < 0.2 ? bank_height(s, fx) : 0; /* never above that */
            if (e < top + 0.02) {
                bt_fen_rgb trees = bt_fen_rgb_mix(bt_fen_rgb_times(s->reed_dark, bt_fen_light(s, 0, 0.3, 0.9)), s->fog,
                                                  0.45 + 0.5 * s->haze);
                c = bt_fen_rgb_mix(c, trees, bt_fen_step(top + 0.012, top - 0.012, e));
            }
            bt_fen_over(bt_fen_pixel(back, x, y), c, 1);
        }
    }
}

/* One row of the reed wall; near is 0 (farthest) to 1. The backdrop stands on its head: blades grow towards larger y.
 */
static void wall_row(const bt_fen_scene *s, const bt_fen_view *v, bt_fen_dice *d, cairo_t *c, double near) {
    double height = v->wall * (1.0 - 0.25 * near);
    int blades = (int)((60 + 50 * near) * s->density);
    double base = height * bt_fen_range(d, 0.45, 0.62);
    cairo_pattern_t *shade = cairo_pattern_create_linear(0, 0, 0, base);
    bt_fen_rgb light = bt_fen_light(s, 0, 0.2, 0.95), dark = bt_fen_rgb_times(s->reed_dark, light);
    bt_fen_stop(shade, 0, bt_fen_rgb_scale(dark, 0.45), 1);
    bt_fen_stop(shade, 0.6, dark, 0.95);
    bt_fen_stop(shade, 1, dark, 0);
    cairo_set_source(c, shade);
    cairo_rectangle(c, 0, 0, 1, base);
    cairo_fill(c);
    cairo_pattern_destroy(shade);
    for (int i = 0; i < blades; i++) {
        double x = bt_fen_range(d, -0.05, 1.05), tall = height * bt_fen_range(d, 0.55, 1.15);
        /* Clumps: reeds are tall together. */
        tall *= 0.85 + 0.3 * bt_fen_noise((x + v->shift) * 5 + 40 * near, 1, s->seed + 21);
        double shade_of = bt_fen_unit(d);
        bt_fen_rgb colour = bt_fen_rgb_times(bt_fen_rgb_mix(s->reed_dark, s->reed_light, shade_of), light);
        bt_fen_ink(c, bt_fen_rgb_scale(colour, bt_fen_range(d, 0.7, 1.2)), 0.9);
        bt_fen_blade(c, x, 0, -tall, s->lean + 0.12 * bt_fen_normal(d), 0.12 * bt_fen_normal(d),
                     bt_fen_range(d, 0.006, 0.014) * (0.6 + near));
        cairo_fill(c);
    }
}

static bt_status paint_wall(const bt_fen_scene *s, const bt_fen_view *v, bt_fen_dice *d, bt_fen_layer *back,
                            bt_fen_layer *scratch, bt_fen_layer *row) {
    for (int i = 0; i < FAR_ROWS; i++) {
        double near = (double)i / (FAR_ROWS - 1);
        cairo_t *c = bt_fen_sketch_new(row->width, row->height);
        if (!c) return BT_ERR_MEMORY;
        wall_row(s, v, d, c, near);
        bt_fen_layer_clear(row);
        BT_TRY(bt_fen_sketch_end(c, row));
        bt_fen_compose(back, row, s->fog, s->haze * (0.75 - 0.5 * near));
        bt_fen_blur(back, (int)(v->defocus * back->width * (0.5 - 0.2 * near) + 0.5), scratch);
    }
    return BT_OK;
}

double bt_fen_slope(const bt_fen_scene *s, const bt_fen_view *v, double x, double y) {
    double depth = 1 / (y - v->horizon + 0.08); /* perspective: ripples crowd towards the horizon */
    double a = s->ripple_size * depth, wx = (x + v->shift - 0.5) * a, wy = depth * s->ripple_size;
    double long_waves = bt_fen_noise(wx * 1.6, wy * 5, s->seed + 31),
           short_waves = bt_fen_fbm(wx * 5 + long_waves, wy * 17, 2, s->seed + 32);
    return s->ripple * (0.5 * long_waves + 0.9 * short_waves);
}

static bt_fen_rgb water(const bt_fen_scene *s, const bt_fen_view *v, const bt_fen_layer *back, double x, double y) {
    double below = y - v->horizon, slope = bt_fen_slope(s, v, x, y);
    double calm = bt_fen_step(0.0, 0.25, below);
    double e = below * 0.95 + slope * (0.012 + 0.07 * calm), side = 0.006 * slope * calm;
    double mirror[4];
    bt_fen_sample(back, (x + side) * back->width, fmax(0.002, e) * back->height, mirror);
    /* Fresnel: far water is a mirror, near water shows its own colour; slopes towards us show more of it. */
    double see = bt_fen_clamp(0.97 - 0.62 * bt_fen_step(0.0, 0.9, below) - 0.16 * slope, 0.12, 0.95);
    bt_fen_rgb own = bt_fen_rgb_times(s->water, bt_fen_rgb_add(s->ambient, bt_fen_rgb_scale(s->sun, 0.5)));
    bt_fen_rgb c = bt_fen_rgb_mix(own, (bt_fen_rgb){mirror[0], mirror[1], mirror[2]}, see);
    double glint = bt_fen_step(0.62, 1.0, slope / (s->ripple + 0.25)) * calm;
    c = bt_fen_rgb_add(c, bt_fen_rgb_scale(s->sun, 0.10 * glint));
    return bt_fen_rgb_mix(c, s->fog, 0.22 * s->haze * bt_fen_step(0.30, 0.0, below));
}

/* The line between water and mud, in frames from the top; mud lies below it. */
static double shore_at(const bt_fen_scene *s, const bt_fen_view *v, double x) {
    return v->shore + 0.045 * bt_fen_fbm((x + v->shift) * 3, 2.5, 3, s->seed + 41) + 0.05 * (x - 0.5) * s->sun_x;
}

/* Mud, and how much of it lies under water (*wet: puddles and the shore's edge) and mirrors the sky. */
static bt_fen_rgb mud(const bt_fen_scene *s, const bt_fen_view *v, double x, double y, double inland, double *wet) {
    double depth = 1 / (y - v->horizon + 0.15), wx = (x + v->shift) * depth, wy = depth * 2.2;
    double coarse = bt_fen_fbm(wx * 2.2, wy * 3.2, 2, s->seed + 51),
           fine = bt_fen_fbm(wx * 26, wy * 30, 2, s->seed + 52);
    /* Light from the side picks out bumps: a difference of the height along the sun's direction. */
    double bump = bt_fen_fbm(wx * 9 + 0.25 * s->sun_x, wy * 9 - 0.1, 2, s->seed + 53) -
                  bt_fen_fbm(wx * 9, wy * 9, 2, s->seed + 53);
    bt_fen_rgb light = bt_fen_light(s, 0.8 * bump, 0.85, 0.45 - 0.4 * bump);
    double tone = 0.95 + 0.30 * coarse + 0.26 * fine + 0.8 * bump;
    bt_fen_rgb c = bt_fen_rgb_times(bt_fen_rgb_scale(s->mud, fmax(0.25, tone)), light);
    double grass = 0.30 * bt_fen_step(0.1, 0.7, bt_fen_fbm(wx * 7 + 9, wy * 7, 2, s->seed + 54));
    double puddle = 0.38 * bt_fen_step(0.06, 0.34, -coarse - 0.04 + 0.05 * fine),
           edge = 0.45 * bt_fen_step(0.06, 0.0, inland);
    *wet = fmax(fmax(puddle, edge), bt_fen_step(0.008, -0.008, inland));
    return bt_fen_rgb_mix(c, bt_fen_rgb_times(s->reed_light, light), grass);
}

static bt_fen_rgb ground_at(const bt_fen_scene *s, const bt_fen_view *v, const bt_fen_layer *back, double x, double y) {
    double rgba[4], wet;
    if (y < v->horizon) {
        bt_fen_sample(back, x * back->width, (v->horizon - y) * back->height, rgba);
        return (bt_fen_rgb){rgba[0], rgba[1], rgba[2]};
    }
    double inland = v->ground == BT_FEN_MUDBANK ? y - shore_at(s, v, x) : -1;
    if (inland < -0.008) return water(s, v, back, x, y);
    bt_fen_rgb dry = mud(s, v, x, y, inland, &wet);
    return wet > 0 ? bt_fen_rgb_mix(dry, water(s, v, back, x, y), wet) : dry;
}

/* Clumps of reeds between the wall and the bird, rising out of water or mud, with a dark mirror image below. */
static bt_status paint_clumps(const bt_fen_scene *s, const bt_fen_view *v, bt_fen_dice *d, bt_fen_layer *layer) {
    cairo_t *c = bt_fen_sketch_new(layer->width, layer->height);
    if (!c) return BT_ERR_MEMORY;
    int clumps = bt_fen_index(d, 3) + (v->ground == BT_FEN_REEDBED ? 1 : 0);
    for (int i = 0; i < clumps; i++) {
        double side = bt_fen_chance(d, 0.5) ? 0 : 1, cx = side + bt_fen_normal(d) * 0.16;
        double foot = fmax(v->horizon, 0) + bt_fen_range(d, 0.02, 0.2), tall = bt_fen_range(d, 0.3, 0.7);
        bool wet = v->ground != BT_FEN_MUDBANK || foot < v->shore - 0.04;
        for (int k = 0; k < 24; k++) {
            double x = cx + 0.07 * bt_fen_normal(d), y = foot + 0.008 * bt_fen_normal(d),
                   length = tall * bt_fen_range(d, 0.4, 1);
            double lean = s->lean + 0.13 * bt_fen_normal(d), droop = 0.2 * bt_fen_normal(d),
                   width = bt_fen_range(d, 0.006, 0.013);
            bt_fen_rgb light = bt_fen_light(s, 0.5 * bt_fen_normal(d), 0.3, 0.8);
            bt_fen_rgb colour = bt_fen_rgb_times(bt_fen_rgb_mix(s->reed_dark, s->reed_light, bt_fen_unit(d)), light);
            colour = bt_fen_rgb_mix(colour, s->fog, 0.35 * s->haze);
            if (wet) {
                bt_fen_ink(c, bt_fen_rgb_scale(colour, 0.5), 0.28);
                bt_fen_blade(c, x, y, -length * 0.8, -lean, droop, width);
                cairo_fill(c);
            }
            bt_fen_ink(c, colour, 1);
            bt_fen_blade(c, x, y, length, lean, droop, width);
            cairo_fill(c);
        }
    }
    return bt_fen_sketch_end(c, layer);
}

bt_status bt_fen_paint_behind(const bt_fen_scene *s, const bt_fen_view *v, bt_fen_dice *d, bt_fen_desk *desk,
                              bt_fen_layer *canvas) {
    bt_fen_layer *back = &desk->back, *ground = &desk->ground;
    paint_sky(s, v, back);
    BT_TRY(paint_wall(s, v, d, back, &desk->scratch, &desk->row));
    for (int y = 0; y < ground->height; y++)
        for (int x = 0; x < ground->width; x++) {
            bt_fen_rgb c = ground_at(s, v, back, (x + 0.5) / ground->width, (y + 0.5) / ground->height);
            bt_fen_over(bt_fen_pixel(ground, x, y), c, 1);
        }
    bt_fen_compose(canvas, ground, s->fog, 0);
    if (v->ground == BT_FEN_SKY) return BT_OK;
    bt_fen_layer_clear(&desk->row);
    BT_TRY(paint_clumps(s, v, d, &desk->row));
    bt_fen_blur(&desk->row, (int)(v->defocus * desk->row.width * 0.2 + 0.3), &desk->scratch);
    bt_fen_compose(canvas, &desk->row, s->fog, 0);
    return BT_OK;
}
