/* The folded wing, pixel by pixel: coverts in scaly rows, bars, a mirror, and the long feathers of the hand over the
 * rump. */
#include "fen/bird.h"

#include <math.h>

/* A point of the wing: s from the shoulder (0) to the tip (1), q from the lower (-1) to the upper edge (1). */
typedef struct wing_point {
    double s, q, half_width;
} wing_point;

typedef struct wing_frame {
    bt_fen_point root;
    double ux, uy, length, depth, droop;
} wing_frame;

static wing_frame frame_of(const bt_fen_skeleton *k) {
    double dx = k->wing_tip.x - k->shoulder.x, dy = k->wing_tip.y - k->shoulder.y, length = sqrt(dx * dx + dy * dy);
    return (wing_frame){.root = k->shoulder,
                        .ux = dx / length,
                        .uy = dy / length,
                        .length = length,
                        .depth = k->wing_depth,
                        .droop = 0.05};
}

static wing_point wing_at(const wing_frame *f, double x, double y) {
    double dx = x - f->root.x, dy = y - f->root.y;
    wing_point p = {.s = (dx * f->ux + dy * f->uy) / f->length};
    /* Up across the wing: the bird faces +x, so the wing's axis points to -x and its upper side lies to the right of
     * it. */
    double across = dx * f->uy - dy * f->ux, u = p.s;
    double profile = u < 0.25 ? sqrt(fmax(0, 1 - (0.25 - u) * (0.25 - u) / (0.33 * 0.33)))
                              : 1 - 0.97 * pow(fmin(1, (u - 0.25) / 0.75), 1.6);
    p.half_width = fmax(1e-4, f->depth * profile);
    double centre = -f->depth * 0.18 + f->droop * sin(3.14159 * bt_fen_clamp(u, 0, 1)) * -0.5 +
                    f->depth * 0.42 * bt_fen_step(0.3, 1.0, u);
    p.q = (across - centre) / p.half_width;
    if (u < -0.08 || u > 1) p.q = 9;
    return p;
}

static double mark_of(const bt_fen_bird *b, bt_fen_mark m) {
    return b->traits->mark[m] <= 0 ? 0 : bt_fen_clamp((0.8 + 0.2 * b->traits->mark[m]) * b->individual->contrast, 0, 1);
}

/* Rows of rounded feathers that overlap like tiles: 0 in the middle of a feather, 1 at its edge; *tone is each
 * feather's own. */
static double tiles(double along, double across, uint32_t seed, double *tone) {
    double row = floor(along), shift = 0.5 * fmod(fabs(row), 2), column = floor(across + shift);
    double u = along - row, v = across + shift - column - 0.5;
    double r = sqrt(v * v * 3.2 + u * u * 0.9);
    *tone = bt_fen_hash_unit((int32_t)row, (int32_t)column, seed);
    return bt_fen_step(0.62, 0.95, r);
}

static bt_fen_rgb wing_colour(const bt_fen_bird *b, const wing_point *p, double *rise) {
    const bt_fen_rgb *k = b->colour;
    uint32_t seed = b->individual->seed;
    double wobble = 0.02 * bt_fen_fbm(p->s * 14, p->q * 4, 2, seed + 15), g = p->s + 0.10 * p->q + wobble, tone;
    double covert = bt_fen_step(0.60, 0.54, g), scales = mark_of(b, BT_FEN_SCALES);
    double rows = p->s < 0.34 ? 20 : 11, edge = tiles(g * rows, p->q * (p->s < 0.34 ? 4.6 : 3.4) + 9, seed + 16, &tone);
    bt_fen_rgb base = bt_fen_rgb_scale(k[BT_FEN_UPPER], 0.88 + 0.22 * tone);
    bt_fen_rgb rim = bt_fen_rgb_mix(bt_fen_rgb_scale(k[BT_FEN_UPPER], 1.5), k[BT_FEN_LIGHT], 0.15 + 0.75 * scales);
    bt_fen_rgb c = bt_fen_rgb_mix(base, rim, edge * (0.30 + 0.6 * scales));
    *rise = 0.25 * (0.5 - edge) * covert;
    if (covert < 1) { /* tertials above, secondaries and primaries below: long feathers side by side */
        double lane = p->q * 3.3 - 1.6 * p->s, which = floor(lane), in = lane - which,
               line = bt_fen_step(0.80, 0.97, in);
        double hand = bt_fen_step(0.66, 0.86, p->s - 0.08 * p->q);
        bt_fen_rgb vane = bt_fen_rgb_mix(k[BT_FEN_UPPER], k[BT_FEN_FLIGHT],
                                         bt_fen_clamp(0.35 + 0.65 * hand + 0.4 * bt_fen_step(0.2, -0.6, p->q), 0, 1));
        vane = bt_fen_rgb_scale(vane, 0.82 + 0.30 * in);
        bt_fen_rgb vane_edge = bt_fen_rgb_mix(bt_fen_rgb_scale(vane, 1.7), k[BT_FEN_LIGHT], 0.10 + 0.5 * scales);
        vane = bt_fen_rgb_mix(vane, vane_edge, 0.55 * line);
        double mirror =
            mark_of(b, BT_FEN_WING_PATCH) * bt_fen_band(0.60, 0.76, 0.02, g) * bt_fen_band(-0.95, 0.30, 0.1, p->q);
        vane = bt_fen_rgb_mix(vane, k[BT_FEN_ACCENT], 0.95 * mirror);
        vane = bt_fen_rgb_mix(vane, k[BT_FEN_LIGHT], 0.8 * mirror * bt_fen_band(0.755, 0.785, 0.01, g));
        c = bt_fen_rgb_mix(vane, c, covert);
        *rise += (1 - covert) * 0.18 * (in - 0.5);
    }
    double bars = bt_fen_band(0.355, 0.395, 0.012, g) + bt_fen_band(0.515, 0.565, 0.012, g);
    c = bt_fen_rgb_mix(c, k[BT_FEN_LIGHT], fmin(1, bars) * mark_of(b, BT_FEN_WING_BARS) * (0.75 + 0.25 * tone));
    return bt_fen_rgb_scale(c, 1 + 0.10 * bt_fen_noise(p->s * 30, p->q * 22, seed + 17));
}

static void shade_below(float *pixel, double q, double half_width, double depth) {
    double below = (-1 - q) * half_width / depth, dark = 0.35 * bt_fen_step(0.30, 0.0, below);
    for (int k = 0; k < 3; k++) pixel[k] = (float)(pixel[k] * (1 - dark));
}

void bt_fen_paint_folded_wing(const bt_fen_bird *b, bt_fen_layer *layer) {
    const bt_fen_placing *p = &b->placing;
    wing_frame f = frame_of(&b->bones);
    double pixels = p->scale * layer->width, reach = f.depth * 1.6, n = layer->width;
    bt_fen_point a = bt_fen_place(p, b->bones.shoulder.x, b->bones.shoulder.y),
                 z = bt_fen_place(p, b->bones.wing_tip.x, b->bones.wing_tip.y);
    double pad = (reach + 0.1) * p->scale;
    int x0 = (int)bt_fen_clamp((fmin(a.x, z.x) - pad) * n, 0, n),
        x1 = (int)bt_fen_clamp((fmax(a.x, z.x) + pad) * n + 1, 0, n);
    int y0 = (int)bt_fen_clamp((fmin(a.y, z.y) - pad) * n, 0, n),
        y1 = (int)bt_fen_clamp((fmax(a.y, z.y) + pad) * n + 1, 0, n);
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) {
            double bx = ((x + 0.5) / n - p->x) / p->scale * p->facing, by = (p->y - (y + 0.5) / n) / p->scale;
            wing_point w = wing_at(&f, bx, by);
            if (w.q > 8) continue;
            float *pixel = bt_fen_pixel(layer, x, y);
            double inside = (1 - fabs(w.q)) * w.half_width;
            inside += 0.004 * bt_fen_noise(bx * 40, by * 40, b->individual->seed + 18);
            double alpha = bt_fen_clamp(0.5 + inside * pixels * 0.7, 0, 1);
            if (w.q < -0.9) shade_below(pixel, w.q, w.half_width, f.depth);
            if (alpha <= 0) continue;
            double rise, curve = bt_fen_clamp(0.55 * w.q + 0.1, -0.7, 0.8);
            bt_fen_rgb c = wing_colour(b, &w, &rise);
            double ny = bt_fen_clamp(curve + rise, -0.8, 0.9);
            bt_fen_over(pixel, bt_fen_lit(b, c, 0.12 * (0.5 - w.s), ny, sqrt(1 - ny * ny)), alpha);
        }
}
