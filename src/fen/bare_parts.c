/* Bill, eye and legs; and the order in which a bird's parts are laid. */
#include "fen/bird.h"

#include <math.h>

#define BILL_STEPS 14

/* The bill's axis: points, directions and half depths from root to tip. */
typedef struct bill_axis {
    bt_fen_point at[BILL_STEPS + 1];
    double angle[BILL_STEPS + 1], half[BILL_STEPS + 1];
} bill_axis;

static bill_axis axis_of(const bt_fen_bird *b) {
    const double *shape = b->traits->shape;
    bill_axis a;
    bt_fen_point p = b->bones.bill;
    double length = shape[BT_FEN_BILL], depth = fmin(shape[BT_FEN_BILL_DEPTH], 1.1 * b->bones.head_radius),
           step = length / BILL_STEPS;
    for (int i = 0; i <= BILL_STEPS; i++) {
        double t = (double)i / BILL_STEPS;
        double hook = shape[BT_FEN_BILL_HOOK] * 1.1 * bt_fen_step(0.55, 1.0, t);
        a.angle[i] = b->bones.head_angle - shape[BT_FEN_BILL_CURVE] * (t - 0.15) - hook;
        a.at[i] = p;
        double spoon =
            shape[BT_FEN_BILL_SPOON] * 0.036 * exp(-(t - 0.86) * (t - 0.86) / 0.018) * bt_fen_step(1.02, 0.94, t);
        a.half[i] = 0.5 * depth * (1 - 0.90 * pow(t, 0.85)) + spoon + 0.004 * (1 - t);
        p.x += step * cos(a.angle[i]);
        p.y += step * sin(a.angle[i]);
    }
    return a;
}

/* One half of the bill: side 1 is the upper. */
static void bill_path(const bt_fen_bird *b, cairo_t *c, const bill_axis *a, double side, double from, double to) {
    cairo_new_path(c);
    for (int i = 0; i <= BILL_STEPS; i++) {
        double h = a->half[i] * side * to;
        bt_fen_point p =
            bt_fen_place(&b->placing, a->at[i].x - sin(a->angle[i]) * h, a->at[i].y + cos(a->angle[i]) * h);
        cairo_line_to(c, p.x, p.y);
    }
    for (int i = BILL_STEPS; i >= 0; i--) {
        double h = a->half[i] * side * from;
        bt_fen_point p =
            bt_fen_place(&b->placing, a->at[i].x - sin(a->angle[i]) * h, a->at[i].y + cos(a->angle[i]) * h);
        cairo_line_to(c, p.x, p.y);
    }
    cairo_close_path(c);
}

static void draw_bill(const bt_fen_bird *b, cairo_t *c) {
    bill_axis a = axis_of(b);
    bt_fen_rgb colour = b->colour[BT_FEN_BILL_COLOUR];
    bt_fen_point r = bt_fen_place(&b->placing, a.at[0].x, a.at[0].y),
                 t = bt_fen_place(&b->placing, a.at[BILL_STEPS].x, a.at[BILL_STEPS].y);
    for (int side = -1; side <= 1; side += 2) {
        bt_fen_rgb base = bt_fen_lit(b, colour, 0.2, side > 0 ? 0.45 : -0.5, 0.8);
        bill_path(b, c, &a, side, -0.04, 1);
        cairo_pattern_t *g = cairo_pattern_create_linear(r.x, r.y, t.x, t.y);
        bt_fen_stop(g, 0, base, 1);
        bt_fen_stop(g, 0.6, bt_fen_rgb_scale(base, 0.92), 1);
        bt_fen_stop(g, 1, bt_fen_rgb_scale(base, 0.55), 1);
        cairo_set_source(c, g);
        cairo_fill(c);
        cairo_pattern_destroy(g);
    }
    bt_fen_ink(c, bt_fen_rgb_scale(bt_fen_lit(b, colour, 0, 0.9, 0.4), 1.6),
               0.45); /* the ridge of the bill takes the sky */
    bill_path(b, c, &a, 1, 0.55, 0.82);
    cairo_fill(c);
    bt_fen_ink(c, bt_fen_rgb_scale(bt_fen_lit(b, colour, 0, -0.3, 0.8), 0.3), 0.8);
    cairo_new_path(c);
    for (int i = 0; i <= BILL_STEPS - 1; i++) {
        bt_fen_point p = bt_fen_place(&b->placing, a.at[i].x, a.at[i].y);
        cairo_line_to(c, p.x, p.y);
    }
    cairo_set_line_width(c, 0.010 * b->placing.scale);
    cairo_stroke(c);
}

static void disc(const bt_fen_bird *b, cairo_t *c, double x, double y, double radius) {
    bt_fen_point p = bt_fen_place(&b->placing, x, y);
    cairo_new_path(c);
    cairo_arc(c, p.x, p.y, radius * b->placing.scale, 0, 6.2831853);
}

static void draw_eye(const bt_fen_bird *b, cairo_t *c) {
    const bt_fen_skeleton *k = &b->bones;
    double head = k->head_radius, ca = cos(k->head_angle), sa = sin(k->head_angle), hx = 0.34 * head, hy = 0.18 * head;
    double x = k->head.x + hx * ca - hy * sa, y = k->head.y + hx * sa + hy * ca, r = fmax(0.013, 0.135 * head);
    if (b->traits->mark[BT_FEN_EYE_RING] > 0) {
        disc(b, c, x, y, r * 1.38);
        bt_fen_ink(c, bt_fen_lit(b, b->colour[BT_FEN_LIGHT], 0, 0.2, 0.9), 0.95);
        cairo_fill(c);
    }
    disc(b, c, x, y, r * 1.08);
    bt_fen_ink(c, (bt_fen_rgb){0.01, 0.01, 0.01}, 0.9);
    cairo_fill(c);
    disc(b, c, x, y, r * 0.92);
    bt_fen_ink(c, bt_fen_rgb_scale(bt_fen_lit(b, b->colour[BT_FEN_EYE_COLOUR], 0, 0.1, 0.95), 0.6), 1);
    cairo_fill(c);
    disc(b, c, x, y, r * 0.62);
    bt_fen_ink(c, (bt_fen_rgb){0.006, 0.006, 0.008}, 1);
    cairo_fill(c);
    disc(b, c, x + b->placing.facing * b->scene->sun_x * r * 0.35, y + r * 0.38, r * 0.20); /* the sky in it */
    bt_fen_ink(c, bt_fen_rgb_add(b->scene->ambient, b->scene->sun), 0.9);
    cairo_fill(c);
}

void bt_fen_draw_bill_and_eye(const bt_fen_bird *b, cairo_t *c) {
    draw_bill(b, c);
    draw_eye(b, c);
}

static void line_to(const bt_fen_bird *b, cairo_t *c, bt_fen_point from, bt_fen_point to, double width,
                    bt_fen_rgb colour) {
    bt_fen_point p = bt_fen_place(&b->placing, from.x, from.y), q = bt_fen_place(&b->placing, to.x, to.y);
    cairo_move_to(c, p.x, p.y);
    cairo_line_to(c, q.x, q.y);
    bt_fen_ink(c, colour, 1);
    cairo_set_line_width(c, width * b->placing.scale);
    cairo_stroke(c);
}

static void draw_foot(const bt_fen_bird *b, cairo_t *c, bt_fen_point foot, double width, bt_fen_rgb colour) {
    double toe = bt_fen_clamp(0.10 + 0.10 * b->traits->shape[BT_FEN_LEG], 0.08, 0.19);
    if (b->pose.posture == BT_FEN_FLYING) {
        line_to(b, c, foot, (bt_fen_point){foot.x - toe, foot.y - 0.01}, width * 0.8, colour);
        return;
    }
    bool grip = b->pose.posture == BT_FEN_PERCHED;
    static const double ends[4][2] = {{1.0, -0.02}, {0.75, -0.16}, {0.25, -0.22}, {-0.5, -0.08}};
    for (int i = 0; i < 4; i++) {
        double f = grip ? 0.55 : 1;
        bt_fen_point end = {foot.x + toe * ends[i][0] * f, foot.y + toe * ends[i][1] - (grip ? 0.05 : 0)};
        line_to(b, c, foot, end, width * 0.72, bt_fen_rgb_scale(colour, 0.85));
    }
}

void bt_fen_draw_legs(const bt_fen_bird *b, cairo_t *c) {
    if (!b->bones.legs) return;
    double width = bt_fen_clamp(0.014 + 0.040 * b->traits->shape[BT_FEN_PLUMP] - 0.010 * b->traits->shape[BT_FEN_LEG],
                                0.020, 0.04);
    for (int i = 0; i < 2; i++) { /* the far leg first, in shade */
        double dim = i ? 1 : 0.62;
        bt_fen_rgb shade = bt_fen_rgb_scale(bt_fen_lit(b, b->colour[BT_FEN_LEG_COLOUR], -0.3, -0.2, 0.8), dim * 0.8);
        bt_fen_rgb light = bt_fen_rgb_scale(bt_fen_lit(b, b->colour[BT_FEN_LEG_COLOUR], 0.3, 0.3, 0.9), dim);
        bt_fen_point hip = b->bones.hip[i], ankle = b->bones.ankle[i], foot = b->bones.foot[i];
        bt_fen_rgb thigh = bt_fen_rgb_scale(bt_fen_lit(b, b->colour[BT_FEN_UNDER], 0, -0.3, 0.9), 0.85 * dim);
        bt_fen_point knee = {bt_fen_mix(hip.x, ankle.x, 0.45), bt_fen_mix(hip.y, ankle.y, 0.45)};
        line_to(b, c, hip, knee, width * 2.1, thigh);
        line_to(b, c, knee, ankle, width * 0.95, shade);
        line_to(b, c, ankle, foot, width, shade);
        bt_fen_point a = {ankle.x + width * 0.2, ankle.y}, f = {foot.x + width * 0.2, foot.y};
        line_to(b, c, a, f, width * 0.4, light);
        disc(b, c, ankle.x, ankle.y, width * 0.62);
        cairo_fill(c);
        draw_foot(b, c, foot, width, bt_fen_rgb_mix(shade, light, 0.5));
    }
}

void bt_fen_bird_colours(bt_fen_bird *b) {
    const bt_fen_individual *one = b->individual;
    for (int s = 0; s < BT_FEN_SLOTS; s++) {
        bt_fen_rgb c = bt_fen_srgb(bt_fen_pigments[b->traits->pigment[s]].srgb);
        b->colour[s] = bt_fen_rgb_vary(c, one->hue, one->saturation * (1 - 0.25 * one->wear), one->light);
    }
}

bt_status bt_fen_paint_bird(const bt_fen_bird *b, bt_fen_layer *layer) {
    cairo_t *c = bt_fen_sketch_new(layer->width, layer->height);
    if (!c) return BT_ERR_MEMORY;
    bt_fen_draw_far_wing(b, c);
    bt_fen_draw_tail(b, c);
    bt_fen_draw_legs(b, c);
    BT_TRY(bt_fen_sketch_end(c, layer));
    bt_fen_paint_plumage(b, layer);
    if (!b->bones.spread) bt_fen_paint_folded_wing(b, layer);
    c = bt_fen_sketch_new(layer->width, layer->height);
    if (!c) return BT_ERR_MEMORY;
    bt_fen_draw_crest(b, c);
    bt_fen_draw_bill_and_eye(b, c);
    bt_fen_draw_near_wing(b, c);
    return bt_fen_sketch_end(c, layer);
}
