/* Reeds: far walls, clumps, perches and stems before the bird, drawn as blades and stems with cairo. */
#include "fen/scene.h"

void bt_fen_blade(cairo_t *c, double x, double y, double length, double lean, double droop, double width) {
    double ux = sin(lean), uy = -cos(lean), nx = -uy, ny = ux;
    double mx = x + ux * length * 0.55, my = y + uy * length * 0.55;
    double tx = x + ux * length + nx * droop * length,
           ty = y + uy * length + ny * droop * length + fabs(droop) * 0.35 * length;
    double w = width / 2;
    cairo_move_to(c, x - nx * w, y - ny * w);
    cairo_curve_to(c, x + ux * length * 0.3 - nx * w, y + uy * length * 0.3 - ny * w, mx - nx * w * 0.8,
                   my - ny * w * 0.8, tx, ty);
    cairo_curve_to(c, mx + nx * w * 0.8, my + ny * w * 0.8, x + ux * length * 0.3 + nx * w,
                   y + uy * length * 0.3 + ny * w, x + nx * w, y + ny * w);
    cairo_close_path(c);
}

/* A seed head at the top of a stem: a plume of short strokes that hang to the wind's side. */
static void plume(cairo_t *c, bt_fen_dice *d, double x, double y, double size, double lean, bt_fen_rgb colour) {
    int strokes = 22 + bt_fen_index(d, 10);
    for (int i = 0; i < strokes; i++) {
        double t = (double)i / strokes, side = bt_fen_range(d, -0.5, 1.0) * (lean < 0 ? -1 : 1);
        double px = x - sin(lean) * size * t, py = y + cos(lean) * size * t * 0.9;
        bt_fen_ink(c, bt_fen_rgb_scale(colour, bt_fen_range(d, 0.65, 1.15)), 0.75);
        bt_fen_blade(c, px, py, size * bt_fen_range(d, 0.3, 0.5), side * 1.1, 0.35 * side, size * 0.07);
        cairo_fill(c);
    }
}

/* A round stem: darker at its edges, nodes every hand's breadth. */
static void stem(cairo_t *c, const bt_fen_scene *s, double x0, double y0, double x1, double y1, double x2, double y2,
                 double width, bt_fen_rgb colour) {
    double lit = s->sun_x > 0 ? 0.25 : -0.25;
    cairo_move_to(c, x0, y0);
    cairo_curve_to(c, x0, y0, x1, y1, x2, y2);
    bt_fen_ink(c, bt_fen_rgb_scale(colour, 0.55), 1);
    cairo_set_line_width(c, width);
    cairo_stroke(c);
    cairo_move_to(c, x0 + lit * width * 0.6, y0);
    cairo_curve_to(c, x0 + lit * width * 0.6, y0, x1 + lit * width * 0.6, y1, x2 + lit * width * 0.6, y2);
    bt_fen_ink(c, colour, 1);
    cairo_set_line_width(c, width * 0.55);
    cairo_stroke(c);
    cairo_move_to(c, x0 + lit * width, y0);
    cairo_curve_to(c, x0 + lit * width, y0, x1 + lit * width, y1, x2 + lit * width, y2);
    bt_fen_ink(c, bt_fen_rgb_scale(colour, 1.5), 0.55);
    cairo_set_line_width(c, width * 0.18);
    cairo_stroke(c);
}

bt_status bt_fen_paint_perch(const bt_fen_scene *s, bt_fen_dice *d, double x, double y, double angle,
                             bt_fen_layer *layer) {
    cairo_t *c = bt_fen_sketch_new(layer->width, layer->height);
    if (!c) return BT_ERR_MEMORY;
    bt_fen_rgb light = bt_fen_light(s, 0.3, 0.2, 0.9), colour = bt_fen_rgb_times(s->reed_light, light);
    double width = bt_fen_range(d, 0.016, 0.026), up = bt_fen_range(d, 0.25, 0.6), t = tan(angle);
    double foot_y = 1.08, foot_x = x - t * (foot_y - y) * bt_fen_range(d, 0.5, 1.0), top_x = x + t * up, top_y = y - up;
    for (int i = 0; i < 3; i++) { /* leaves of the stem, behind it */
        double at = bt_fen_range(d, 0.1, 0.9), lx = bt_fen_mix(x, foot_x, at), ly = bt_fen_mix(y, foot_y, at);
        bt_fen_ink(c, bt_fen_rgb_times(bt_fen_rgb_mix(s->reed_dark, s->reed_light, bt_fen_unit(d)), light), 1);
        bt_fen_blade(c, lx, ly, bt_fen_range(d, 0.25, 0.5), (i % 2 ? 1 : -1) * bt_fen_range(d, 0.5, 1.0),
                     (i % 2 ? 0.3 : -0.3), 0.016);
        cairo_fill(c);
    }
    stem(c, s, foot_x, foot_y, x - t * 0.15, y + 0.15, x, y, width, colour);
    stem(c, s, x, y, x + t * up * 0.6, y - up * 0.6, top_x, top_y, width * 0.85, colour);
    plume(c, d, top_x, top_y - 0.02, bt_fen_range(d, 0.12, 0.2), angle + 0.2, bt_fen_rgb_scale(colour, 0.8));
    return bt_fen_sketch_end(c, layer);
}

bt_status bt_fen_paint_front(const bt_fen_scene *s, const bt_fen_view *v, bt_fen_dice *d, double x,
                             bt_fen_layer *layer) {
    cairo_t *c = bt_fen_sketch_new(layer->width, layer->height);
    if (!c) return BT_ERR_MEMORY;
    for (int i = 0; i < v->front_reeds; i++) {
        bt_fen_rgb light = bt_fen_light(s, 0.5 * bt_fen_normal(d), 0.3, 0.8);
        bt_fen_rgb colour =
            bt_fen_rgb_times(bt_fen_rgb_mix(s->reed_dark, s->reed_light, bt_fen_range(d, 0.2, 1)), light);
        double foot = x + bt_fen_range(d, -0.5, 0.5), lean = s->lean + 0.16 * bt_fen_normal(d),
               width = bt_fen_range(d, 0.010, 0.024);
        if (bt_fen_chance(d, 0.45)) {
            double up = bt_fen_range(d, 0.5, 1.25), t = tan(lean);
            stem(c, s, foot, 1.05, foot + t * up * 0.4, 1.05 - up * 0.5, foot + t * up, 1.05 - up, width * 0.7, colour);
            if (up < 0.95 && bt_fen_chance(d, 0.6)) plume(c, d, foot + t * up, 1.03 - up, 0.12, lean, colour);
        } else {
            bt_fen_ink(c, colour, 1);
            double droop = 0.25 * bt_fen_normal(d), length = bt_fen_range(d, 0.5, 1.2);
            bt_fen_blade(c, foot, 1.05, length, lean, droop, width);
            cairo_fill(c);
            bt_fen_ink(c, bt_fen_rgb_scale(colour, 1.45), 0.6); /* the midrib */
            bt_fen_blade(c, foot, 1.05, length * 0.97, lean, droop, width * 0.22);
            cairo_fill(c);
        }
    }
    return bt_fen_sketch_end(c, layer);
}

bt_status bt_fen_paint_rain(const bt_fen_scene *s, bt_fen_dice *d, bt_fen_layer *canvas) {
    if (s->rain <= 0) return BT_OK;
    cairo_t *c = bt_fen_sketch_new(canvas->width, canvas->height);
    if (!c) return BT_ERR_MEMORY;
    int drops = (int)(150 * s->rain);
    bt_fen_rgb colour = bt_fen_rgb_mix(s->fog, (bt_fen_rgb){1, 1, 1}, 0.4);
    double slant = 0.12 + s->lean;
    for (int i = 0; i < drops; i++) {
        double x = bt_fen_range(d, -0.1, 1.1), y = bt_fen_range(d, -0.1, 1), near = bt_fen_unit(d),
               length = 0.02 + 0.07 * near;
        bt_fen_ink(c, colour, 0.10 + 0.16 * near);
        cairo_set_line_width(c, 0.0012 + 0.0022 * near);
        cairo_move_to(c, x, y);
        cairo_line_to(c, x + slant * length, y + length);
        cairo_stroke(c);
    }
    return bt_fen_sketch_end(c, canvas);
}
