/* Plumage: the skin of body, neck and head with its markings, pixel by pixel.
 *
 * Distance to the skin is the soft minimum of the distances to the spine's balls; the same weights blend z, v and the
 * normal, so necks grow out of bodies without a seam (Quilez, "smooth minimum": exponential form). */
#include "fen/bird.h"

#include <math.h>

#define SOFT 60.0 /* sharpness of the blend, per body length */

/* A point of the skin. */
typedef struct skin {
    double distance;     /* below 0 inside, body lengths */
    double z, v, nx, ny; /* nx, ny: normal in the picture's plane, body space */
    double hx, hy;       /* in the head's frame, in head radii: x to the face, y up */
    double x, y;
} skin;

/* Distances to the balls, into out (BT_FEN_SPINE); the least of them. Four lanes at a time: this is most of a picture's
 * time. */
static float distances(const bt_fen_skeleton *b, float x, float y, float *out) {
    float least[4] = {1e9f, 1e9f, 1e9f, 1e9f};
    for (int i = 0; i < BT_FEN_SPINE; i++) {
        float dx = x - b->spine.x[i], dy = y - b->spine.y[i];
        out[i] = sqrtf(dx * dx + dy * dy) - b->spine.radius[i];
    }
    for (int i = 0; i < BT_FEN_SPINE; i += 4)
        for (int k = 0; k < 4; k++) least[k] = out[i + k] < least[k] ? out[i + k] : least[k];
    float a = least[0] < least[1] ? least[0] : least[1], c = least[2] < least[3] ? least[2] : least[3];
    return a < c ? a : c;
}
_Static_assert(BT_FEN_SPINE % 4 == 0, "whole groups of four");

static skin skin_at(const bt_fen_skeleton *b, double x, double y) {
    float distance[BT_FEN_SPINE];
    double nearest = distances(b, (float)x, (float)y, distance);
    skin s = {.x = x, .y = y, .distance = nearest};
    if (nearest > 0.04) return s;
    double sum = 0, z = 0, v = 0, nx = 0, ny = 0;
    for (int i = 0; i < BT_FEN_SPINE; i++) {
        double over = distance[i] - nearest;
        if (over * SOFT > 6) continue;
        double w = exp(-SOFT * over), r = b->spine.radius[i];
        int a = i > 0 ? i - 1 : 0, c = i < BT_FEN_SPINE - 1 ? i + 1 : i;
        double tx = b->spine.x[c] - b->spine.x[a], ty = b->spine.y[c] - b->spine.y[a],
               length = sqrt(tx * tx + ty * ty) + 1e-9;
        double dx = (x - b->spine.x[i]) / r, dy = (y - b->spine.y[i]) / r;
        sum += w;
        z += w * b->spine.z[i];
        v += w * (dy * tx - dx * ty) / length;
        nx += w * dx;
        ny += w * dy;
    }
    s.distance = nearest - log(sum) / (SOFT * 6);
    s.z = z / sum;
    s.v = bt_fen_clamp(v / sum, -1.2, 1.2);
    s.nx = nx / sum;
    s.ny = ny / sum;
    double hx = (x - b->head.x) / b->head_radius, hy = (y - b->head.y) / b->head_radius, ca = cos(b->head_angle),
           sa = sin(b->head_angle);
    s.hx = hx * ca + hy * sa;
    s.hy = hy * ca - hx * sa;
    return s;
}

/* How far a marking shows: 0 or its strength, a little different in each bird. */
static double strength(const bt_fen_bird *b, bt_fen_mark m) {
    double liability = b->traits->mark[m];
    return liability <= 0 ? 0 : bt_fen_clamp((0.75 + 0.25 * liability) * b->individual->contrast, 0, 1);
}

/* Marks set in a grid of z and v, one in each cell, shifted at random: `long_side` and `wide` are its half axes in
 * cells. */
static double speckle(const bt_fen_bird *b, double z, double v, double rows, double columns, double long_side,
                      double wide) {
    double gz = z * rows, gv = v * columns, cz = floor(gz), best = 0;
    gv += 0.5 * fmod(fabs(cz), 2);
    double cv = floor(gv);
    for (int i = -1; i <= 1; i++) {
        uint32_t seed = b->individual->seed;
        int32_t iz = (int32_t)cz, iv = (int32_t)cv + i;
        double mz = 0.5 + 0.35 * (bt_fen_hash_unit(iz, iv, seed) - 0.5),
               mv = 0.5 + 0.4 * (bt_fen_hash_unit(iz, iv, seed + 1) - 0.5);
        double dz = (gz - cz - mz) / long_side, dv = (gv - iv - mv) / wide,
               size = 0.7 + 0.5 * bt_fen_hash_unit(iz, iv, seed + 2);
        best = fmax(best, bt_fen_step(1.15, 0.75, sqrt(dz * dz + dv * dv) / size));
    }
    return best;
}

static void lay(bt_fen_rgb *c, bt_fen_rgb over, double amount) {
    *c = bt_fen_rgb_mix(*c, over, bt_fen_clamp(amount, 0, 1));
}

/* Markings of body and neck. wobble makes no edge a ruler's line. */
static bt_fen_rgb body_colour(const bt_fen_bird *b, const skin *s, double wobble) {
    const bt_fen_rgb *k = b->colour;
    double z = s->z + 0.5 * wobble, v = s->v + 0.35 * wobble;
    double edge = bt_fen_mix(-0.05, 0.25, bt_fen_step(3.5, 5, z));
    bt_fen_rgb c = bt_fen_rgb_mix(k[BT_FEN_UNDER], k[BT_FEN_UPPER], bt_fen_step(edge - 0.14, edge + 0.14, v));
    double under = bt_fen_step(edge + 0.15, edge - 0.15, v);
    lay(&c, k[BT_FEN_ACCENT], strength(b, BT_FEN_BELLY) * bt_fen_band(0.7, 2.5, 0.3, z) * bt_fen_step(-0.12, -0.34, v));
    lay(&c, k[BT_FEN_LIGHT], 0.7 * bt_fen_step(0.9, 0.5, z) * bt_fen_step(0.2, -0.1, v));
    lay(&c, k[BT_FEN_LIGHT], strength(b, BT_FEN_RUMP) * bt_fen_band(0.0, 1.0, 0.15, z) * bt_fen_step(0.0, 0.2, v));
    double bars = bt_fen_step(0.05, 0.45, sin(6.2832 * (z * 3.1 + 0.25 * v) + 1.5 * wobble));
    lay(&c, k[BT_FEN_DARK], 0.9 * strength(b, BT_FEN_BARS) * bars * under * bt_fen_band(0.8, 3.4, 0.3, z));
    double chest = under * bt_fen_band(2.2, 4.9, 0.4, z);
    double streaks = 0.9 * strength(b, BT_FEN_STREAKS) * chest,
           spots = 0.9 * strength(b, BT_FEN_SPOTS) * under * bt_fen_band(1.4, 4.4, 0.3, z);
    if (streaks > 0) lay(&c, k[BT_FEN_DARK], streaks * speckle(b, z, v, 3.4, 6.5, 0.50, 0.20));
    if (spots > 0) lay(&c, k[BT_FEN_DARK], spots * speckle(b, z, v, 5.0, 6.0, 0.34, 0.34));
    if (strength(b, BT_FEN_SCALES) > 0 && under < 1 && z < 4.6) { /* pale feather edges on the back */
        double rim = speckle(b, z, v, 6.2, 7.0, 0.52, 0.50) - speckle(b, z, v, 6.2, 7.0, 0.36, 0.36);
        lay(&c, k[BT_FEN_LIGHT],
            0.75 * strength(b, BT_FEN_SCALES) * (1 - under) * bt_fen_step(4.6, 4.2, z) * fmax(0, rim));
    }
    double band = bt_fen_band(3.15, 3.75, 0.10, z + 0.35 * v);
    lay(&c, k[BT_FEN_DARK], strength(b, BT_FEN_BREAST_BAND) * band * bt_fen_step(0.75, 0.5, v));
    return c;
}

/* Markings of the head, and of what of the neck belongs to them. `on` is 1 on the head. */
static void head_colour(const bt_fen_bird *b, const skin *s, double wobble, bt_fen_rgb *c) {
    const bt_fen_rgb *k = b->colour;
    double hx = s->hx + 0.5 * wobble, hy = s->hy + 0.6 * wobble, r = sqrt(hx * hx + hy * hy);
    double on = bt_fen_step(1.35, 1.1, r) * bt_fen_step(5.1, 5.6, s->z), neck = b->traits->shape[BT_FEN_NECK];
    double hooded = bt_fen_step(4.95, 5.15, s->z + wobble * 0.6);
    lay(c, k[BT_FEN_ACCENT], strength(b, BT_FEN_HOOD) * hooded);
    lay(c, k[BT_FEN_LIGHT],
        strength(b, BT_FEN_THROAT) * bt_fen_step(-0.12, -0.34, hy) * bt_fen_step(-0.55, -0.25, hx) * on);
    if (neck > 0.12)
        lay(c, k[BT_FEN_LIGHT],
            strength(b, BT_FEN_THROAT) * bt_fen_band(4.9, 6.2, 0.3, s->z) * bt_fen_step(-0.1, -0.4, s->v) * (1 - on));
    lay(c, k[BT_FEN_ACCENT], strength(b, BT_FEN_CAP) * bt_fen_step(0.24, 0.36, hy + 0.06 * hx) * on);
    lay(c, k[BT_FEN_LIGHT],
        strength(b, BT_FEN_BROW) * bt_fen_band(0.30, 0.44, 0.07, hy + 0.10 * hx * hx) * bt_fen_step(-1.15, -0.85, hx) *
            on);
    double stripe = bt_fen_band(0.05, 0.20, 0.07, hy - 0.10 * hx + 0.06);
    lay(c, k[BT_FEN_DARK], strength(b, BT_FEN_EYE_STRIPE) * stripe * bt_fen_step(-1.1, -0.9, hx) * on);
    double mx = (hx - 0.40) / 0.62, my = (hy - 0.10) / 0.30;
    lay(c, k[BT_FEN_DARK], strength(b, BT_FEN_MASK) * bt_fen_step(1.12, 0.9, sqrt(mx * mx + my * my)) * on);
    lay(c, k[BT_FEN_DARK],
        strength(b, BT_FEN_MALAR) * bt_fen_band(-0.50, -0.34, 0.07, hy + 0.30 * (0.6 - hx)) *
            bt_fen_band(-0.6, 0.7, 0.1, hx) * on);
    double at = neck > 0.25 ? 4.95 : 4.55;
    bt_fen_rgb ring = b->traits->pigment[BT_FEN_UPPER] == BT_FEN_WHITE ? k[BT_FEN_DARK] : k[BT_FEN_LIGHT];
    lay(c, ring, strength(b, BT_FEN_COLLAR) * bt_fen_band(at, at + 0.38, 0.07, s->z + 0.2 * wobble));
}

/* Fine structure: barbs along the feathers, soft tone in patches, wear. */
static double texture(const bt_fen_bird *b, const skin *s) {
    uint32_t seed = b->individual->seed;
    double barbs = bt_fen_noise(s->z * 9 + 3 * s->v, s->v * 17, seed + 3),
           fine = bt_fen_noise(s->z * 30, s->v * 34, seed + 4);
    double patches = bt_fen_fbm(s->z * 2.1, s->v * 2.3, 2, seed + 5);
    double tracts = bt_fen_noise(s->z * 3.3 + 0.8 * s->v, s->v * 7.5, seed + 6); /* feathers lie in rows */
    return 1 + 0.10 * barbs + 0.08 * fine + 0.09 * tracts + (0.16 + 0.2 * b->individual->wear) * patches;
}

bt_fen_rgb bt_fen_lit(const bt_fen_bird *b, bt_fen_rgb colour, double nx, double ny, double nz) {
    return bt_fen_rgb_times(colour, bt_fen_light(b->scene, nx * b->placing.facing, ny, nz));
}

static bt_fen_rgb skin_colour(const bt_fen_bird *b, const skin *s) {
    double wobble = 0.22 * bt_fen_fbm(s->x * 9, s->y * 9, 2, b->individual->seed + 7);
    bt_fen_rgb c = body_colour(b, s, wobble);
    head_colour(b, s, wobble, &c);
    c = bt_fen_rgb_scale(c, fmax(0.3, texture(b, s)));
    double flat = s->nx * s->nx + s->ny * s->ny, nz = sqrt(fmax(0.04, 1 - fmin(flat, 0.96)));
    /* The belly lies in the bird's own shade, and the creases where neck meets breast are darker. */
    double shade = 1 - 0.22 * bt_fen_step(0.1, -1, s->v) * bt_fen_step(5, 4, s->z);
    bt_fen_rgb lit = bt_fen_rgb_scale(bt_fen_lit(b, c, s->nx, s->ny, nz), shade);
    /* Light that grazes the rim of the plumage. */
    double rim =
        bt_fen_step(0.55, 1.0, flat) * fmax(0, s->nx * b->placing.facing * b->scene->sun_x + s->ny * b->scene->sun_y);
    return bt_fen_rgb_add(lit, bt_fen_rgb_times(bt_fen_rgb_scale(b->scene->sun, 0.16 * rim),
                                                bt_fen_rgb_mix(c, (bt_fen_rgb){1, 1, 1}, 0.3)));
}

void bt_fen_paint_plumage(const bt_fen_bird *b, bt_fen_layer *layer) {
    const bt_fen_placing *p = &b->placing;
    double pixels = p->scale * layer->width;
    double least_x = 1e9, least_y = 1e9, most_x = -1e9, most_y = -1e9;
    for (int i = 0; i < BT_FEN_SPINE; i++) {
        bt_fen_point c = bt_fen_place(p, b->bones.spine.x[i], b->bones.spine.y[i]);
        double r = b->bones.spine.radius[i] * p->scale;
        least_x = fmin(least_x, c.x - r), most_x = fmax(most_x, c.x + r);
        least_y = fmin(least_y, c.y - r), most_y = fmax(most_y, c.y + r);
    }
    int x0 = (int)bt_fen_clamp(least_x * layer->width - 4, 0, layer->width),
        x1 = (int)bt_fen_clamp(most_x * layer->width + 5, 0, layer->width);
    int y0 = (int)bt_fen_clamp(least_y * layer->height - 4, 0, layer->height),
        y1 = (int)bt_fen_clamp(most_y * layer->height + 5, 0, layer->height);
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) {
            double bx = ((x + 0.5) / layer->width - p->x) / p->scale * p->facing,
                   by = (p->y - (y + 0.5) / layer->height) / p->scale;
            skin s = skin_at(&b->bones, bx, by);
            /* A soft, uneven edge: loose feathers. */
            double fuzz = 0.005 * bt_fen_noise(bx * 80, by * 80, b->individual->seed + 9);
            double alpha = bt_fen_clamp(0.5 - (s.distance + fuzz) * pixels * 0.8, 0, 1);
            if (alpha > 0) bt_fen_over(bt_fen_pixel(layer, x, y), skin_colour(b, &s), alpha);
        }
}
