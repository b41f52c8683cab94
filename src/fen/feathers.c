/* Feathers that are seen one by one: spread wings, the tail, crests. */
#include "fen/bird.h"

#include <math.h>

#define SECONDARIES 8
#define PRIMARIES 9

/* A vane from root to tip in body space. */
typedef struct vane {
    bt_fen_point root;
    double angle, length, width;
    bt_fen_rgb base, tip; /* lit */
    double band;          /* share of the length at the end that takes `end` */
    bt_fen_rgb end;
} vane;

static void draw_vane(const bt_fen_bird *b, cairo_t *c, const vane *v) {
    double ux = cos(v->angle), uy = sin(v->angle), nx = -uy, ny = ux, l = v->length, w = v->width / 2;
#define AT(along, across)                                                                                              \
    bt_fen_place(&b->placing, v->root.x + ux * l * (along) + nx * w * (across),                                        \
                 v->root.y + uy * l * (along) + ny * w * (across))
    bt_fen_point r = AT(0, 0), a1 = AT(0.15, 0.9), a2 = AT(0.75, 1.25), a3 = AT(0.985, 0.35), t = AT(1, 0),
                 b1 = AT(0.97, -0.5), b2 = AT(0.7, -1.15), b3 = AT(0.15, -0.8);
    cairo_move_to(c, r.x, r.y);
    cairo_curve_to(c, a1.x, a1.y, a2.x, a2.y, a3.x, a3.y);
    cairo_line_to(c, t.x, t.y);
    cairo_curve_to(c, b1.x, b1.y, b2.x, b2.y, b3.x, b3.y);
    cairo_close_path(c);
    cairo_pattern_t *g = cairo_pattern_create_linear(r.x, r.y, t.x, t.y);
    bt_fen_stop(g, 0, v->base, 1);
    double edge = 1 - v->band;
    bt_fen_stop(g, fmax(0.2, edge - 0.05), v->tip, 1);
    bt_fen_stop(g, edge, v->band > 0 ? v->end : v->tip, 1);
    bt_fen_stop(g, 1, v->band > 0 ? v->end : v->tip, 1);
    cairo_set_source(c, g);
    cairo_fill_preserve(c);
    cairo_pattern_destroy(g);
    bt_fen_ink(c, bt_fen_rgb_scale(v->tip, 0.45), 0.5); /* the shadow line between neighbours */
    cairo_set_line_width(c, 0.008 * b->placing.scale);
    cairo_stroke(c);
    bt_fen_point s = AT(0.95, 0);
    cairo_move_to(c, r.x, r.y);
    cairo_line_to(c, s.x, s.y);
    bt_fen_ink(c, bt_fen_rgb_scale(v->base, 1.5), 0.35);
    cairo_set_line_width(c, 0.006 * b->placing.scale);
    cairo_stroke(c);
#undef AT
}

static double mark_of(const bt_fen_bird *b, bt_fen_mark m) {
    return b->traits->mark[m] <= 0 ? 0 : bt_fen_clamp((0.8 + 0.2 * b->traits->mark[m]) * b->individual->contrast, 0, 1);
}

/* Bones of a spread wing: where feathers are rooted, for t from the body (0) over the wrist (0.55) to the hand's end
 * (1). */
typedef struct wing_bones {
    bt_fen_point shoulder, wrist, hand;
    double up;     /* sign of the stroke */
    double raise;  /* how far it is raised, 0..1 */
    double length; /* of the longest feather */
    bool under;    /* its lower side is seen */
    double dim;    /* the far wing is darker */
} wing_bones;

static bt_fen_point along(const wing_bones *w, double t) {
    bt_fen_point a = t < 0.55 ? w->shoulder : w->wrist, z = t < 0.55 ? w->wrist : w->hand;
    double u = t < 0.55 ? t / 0.55 : (t - 0.55) / 0.45;
    return (bt_fen_point){bt_fen_mix(a.x, z.x, u), bt_fen_mix(a.y, z.y, u)};
}

/* Direction of the feather rooted at t: backwards at the body, turning outwards along the hand. */
static double way(const wing_bones *w, double t) {
    double out = t < 0.55 ? 0.10 + 0.35 * t / 0.55 : 0.45 + 0.85 * (t - 0.55) / 0.45;
    return 3.14159 - w->up * out * (0.35 + 0.65 * w->raise);
}

static bt_fen_rgb wing_light(const bt_fen_bird *b, const wing_bones *w, bt_fen_rgb c) {
    if (w->under) c = bt_fen_rgb_mix(c, b->colour[BT_FEN_UNDER], 0.35);
    return bt_fen_rgb_scale(bt_fen_lit(b, c, -0.2, w->under ? -0.25 : 0.5, 0.8), w->dim);
}

static void draw_row(const bt_fen_bird *b, cairo_t *c, const wing_bones *w, double share, double width, bt_fen_rgb base,
                     bt_fen_rgb tip, double band, bt_fen_rgb end) {
    for (int i = SECONDARIES + PRIMARIES - 1; i >= 0; i--) {
        double t = (i + 0.5) / (SECONDARIES + PRIMARIES),
               long_at = t < 0.5 ? 0.62 + 0.16 * t
                                 : 0.70 + 0.30 * bt_fen_step(0.5, 0.92, t) * (1 - 0.3 * bt_fen_step(0.92, 1.0, t));
        double tone = 0.9 + 0.2 * bt_fen_hash_unit(i, (int32_t)(share * 100), b->individual->seed + 23);
        vane v = {.root = along(w, t),
                  .angle = way(w, t),
                  .length = w->length * long_at * share,
                  .width = width,
                  .band = band};
        v.base = wing_light(b, w, bt_fen_rgb_scale(base, tone));
        v.tip = wing_light(b, w, bt_fen_rgb_scale(tip, tone));
        v.end = wing_light(b, w, end);
        draw_vane(b, c, &v);
    }
}

static void draw_spread(const bt_fen_bird *b, cairo_t *c, bool near) {
    double stroke = near ? b->pose.stroke : 0.9 * b->pose.stroke + 0.06, raise = fabs(stroke), up = stroke < 0 ? -1 : 1;
    double arm = 0.36, hand = 0.24, x = near ? 0.0 : 0.07;
    bt_fen_point s = {b->bones.shoulder.x - 0.10 + x, b->bones.shoulder.y + (near ? 0.0 : 0.03)};
    wing_bones w = {.shoulder = s,
                    .up = up,
                    .raise = raise,
                    .length = 0.66 + 0.7 * b->traits->shape[BT_FEN_WING],
                    .dim = near ? 1 : 0.72};
    w.wrist = (bt_fen_point){s.x + 0.10, s.y + up * arm * (0.25 + 0.75 * raise)};
    w.hand = (bt_fen_point){w.wrist.x - 0.13, w.wrist.y + up * hand * (0.3 + 0.7 * raise)};
    w.under = near == (stroke > 0);
    const bt_fen_rgb *k = b->colour;
    bt_fen_rgb mirror = bt_fen_rgb_mix(k[BT_FEN_FLIGHT], k[BT_FEN_ACCENT], mark_of(b, BT_FEN_WING_PATCH));
    draw_row(b, c, &w, 1.0, 0.125, mirror, k[BT_FEN_FLIGHT], 0, k[BT_FEN_FLIGHT]);
    double bars = mark_of(b, BT_FEN_WING_BARS), scales = mark_of(b, BT_FEN_SCALES);
    draw_row(b, c, &w, 0.56, 0.105, k[BT_FEN_UPPER], k[BT_FEN_UPPER], bars > 0 ? 0.24 : 0.08,
             bt_fen_rgb_mix(bt_fen_rgb_scale(k[BT_FEN_UPPER], 0.8), k[BT_FEN_LIGHT], fmax(bars, 0.7 * scales)));
    draw_row(b, c, &w, 0.32, 0.095, k[BT_FEN_UPPER], k[BT_FEN_UPPER], 0.14,
             bt_fen_rgb_mix(bt_fen_rgb_scale(k[BT_FEN_UPPER], 1.2), k[BT_FEN_LIGHT], 0.8 * scales));
    bt_fen_rgb edge = wing_light(b, &w, k[BT_FEN_UPPER]); /* the arm, over the feathers' roots */
    bt_fen_point p0 = bt_fen_place(&b->placing, s.x, s.y), p1 = bt_fen_place(&b->placing, w.wrist.x, w.wrist.y),
                 p2 = bt_fen_place(&b->placing, w.hand.x, w.hand.y);
    bt_fen_point m = bt_fen_place(&b->placing, 0.5 * (s.x + w.wrist.x) + 0.03, 0.5 * (s.y + w.wrist.y));
    cairo_move_to(c, p0.x, p0.y);
    cairo_curve_to(c, m.x, m.y, p1.x, p1.y, p1.x, p1.y);
    cairo_line_to(c, p2.x, p2.y);
    bt_fen_ink(c, edge, 1);
    cairo_set_line_width(c, 0.075 * b->placing.scale);
    cairo_stroke(c);
}

void bt_fen_draw_far_wing(const bt_fen_bird *b, cairo_t *c) {
    if (b->bones.spread) draw_spread(b, c, false);
}

void bt_fen_draw_near_wing(const bt_fen_bird *b, cairo_t *c) {
    if (b->bones.spread) draw_spread(b, c, true);
}

void bt_fen_draw_tail(const bt_fen_bird *b, cairo_t *c) {
    double length = b->traits->shape[BT_FEN_TAIL] + 0.14, fork = b->traits->shape[BT_FEN_TAIL_FORK],
           open = b->bones.spread ? 0.26 : 0.10;
    double root_x = b->bones.tail.x + 0.12 * cos(b->bones.tail_angle),
           root_y = b->bones.tail.y + 0.12 * sin(b->bones.tail_angle);
    double band = mark_of(b, BT_FEN_TAIL_BAND);
    const bt_fen_rgb *k = b->colour;
    for (int i = 0; i < 7; i++) { /* from the outermost pair to the middle one, which lies on top */
        int step = 6 - i;
        double p = (step % 2 ? -1.0 : 1.0) * ((step + 1) / 2) / 3.0; /* +-1, +-2/3, +-1/3, 0 */
        double share = fork > 0 ? 1 - 0.55 * fork * (1 - fabs(p)) : 1 + 0.40 * fork * fabs(p);
        vane v = {.root = {root_x, root_y + 0.012 * p},
                  .angle = b->bones.tail_angle + 3.14159 + open * p * (1 + 0.6 * fmax(0, fork)),
                  .length = length * share};
        v.width = 0.085;
        double tone = 0.85 + 0.25 * bt_fen_hash_unit(i, 3, b->individual->seed + 29);
        v.base = bt_fen_lit(b, bt_fen_rgb_mix(k[BT_FEN_UPPER], k[BT_FEN_FLIGHT], 0.4), -0.3, 0.4, 0.8);
        v.tip = bt_fen_lit(b, bt_fen_rgb_scale(k[BT_FEN_FLIGHT], tone), -0.3, 0.35, 0.85);
        v.band = band > 0 ? 0.22 : 0;
        v.end = bt_fen_lit(b, bt_fen_rgb_mix(k[BT_FEN_FLIGHT], k[BT_FEN_LIGHT], band), -0.3, 0.35, 0.85);
        draw_vane(b, c, &v);
    }
}

void bt_fen_draw_crest(const bt_fen_bird *b, cairo_t *c) {
    double crest = b->traits->shape[BT_FEN_CREST];
    if (crest < 0.12) return;
    bool painted = b->traits->mark[BT_FEN_CAP] > 0 || b->traits->mark[BT_FEN_HOOD] > 0;
    bt_fen_rgb colour = painted ? b->colour[BT_FEN_ACCENT] : b->colour[BT_FEN_UPPER];
    double head = b->bones.head_radius, length = head * (0.7 + 2.2 * crest);
    for (int i = 0; i < 9; i++) {
        double t = i / 8.0, place = b->bones.head_angle + bt_fen_mix(1.35, 2.6, t);
        vane v = {.root = {b->bones.head.x + 0.78 * head * cos(place), b->bones.head.y + 0.78 * head * sin(place)}};
        v.angle =
            b->bones.head_angle + bt_fen_mix(2.45, 3.0, t) + 0.05 * (bt_fen_hash_unit(i, 5, b->individual->seed) - 0.5);
        v.length =
            length * (0.62 + 0.38 * sin(2.2 * t + 0.5)) * (0.9 + 0.2 * bt_fen_hash_unit(i, 6, b->individual->seed));
        v.width = 0.21 * head;
        v.base = bt_fen_lit(b, colour, -0.2, 0.6, 0.7);
        v.tip = bt_fen_lit(b, bt_fen_rgb_scale(colour, 0.8), -0.3, 0.6, 0.7);
        draw_vane(b, c, &v);
    }
}
