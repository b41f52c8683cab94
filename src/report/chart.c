/* Curves. */
#include "report/chart_style.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct frame {
    double left, top, right, bottom; /* of the plotting area, in pixels */
    double x0, x1, y0, y1;           /* what it shows */
} frame;

double bt_tick_step(double low, double high, int wanted) {
    double raw = (high - low) / (wanted > 0 ? wanted : 1);
    if (!(raw > 0) || !isfinite(raw)) return 1;
    double power = pow(10, floor(log10(raw))), share = raw / power;
    return power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
}

static double at_x(const frame *f, double x) {
    return f->left + (x - f->x0) / (f->x1 - f->x0) * (f->right - f->left);
}

static double at_y(const frame *f, double y) {
    return f->bottom - (y - f->y0) / (f->y1 - f->y0) * (f->bottom - f->top);
}

#define LARGEST 1e300 /* differences of numbers below it are finite */

static bool can_draw(double x, double y) {
    return fabs(x) <= LARGEST && fabs(y) <= LARGEST; /* false for NaN */
}

#define NARROWEST 1e-300 /* a tick's step is no denormal then */

/** A range of numbers that doubles tell apart: its ticks are all different. */
static void widen(double *low, double *high) {
    if (*low == *high) *high = *low + (*low != 0 ? fabs(*low) : 1);
    double least = fmax(NARROWEST, 1e-9 * fmax(fabs(*low), fabs(*high)));
    if (*high - *low < least) *high = *low + least;
}

/** The range of all points that can be drawn; [0, 1] if there are none. */
static void find_range(const bt_curves *c, frame *f) {
    f->x0 = f->y0 = INFINITY;
    f->x1 = f->y1 = -INFINITY;
    for (int s = 0; s < c->count; s++)
        for (int64_t i = 0; i < c->series[s].count; i++) {
            double x = c->series[s].x[i], y = c->series[s].y[i];
            if (!can_draw(x, y)) continue;
            f->x0 = fmin(f->x0, x);
            f->x1 = fmax(f->x1, x);
            f->y0 = fmin(f->y0, y);
            f->y1 = fmax(f->y1, y);
        }
    if (f->x0 > f->x1) f->x0 = f->y0 = 0, f->x1 = f->y1 = 1;
    if (c->from_zero && f->y0 > 0) f->y0 = 0;
    if (f->x0 == f->x1) f->x1 = f->x0 + 1;
    widen(&f->x0, &f->x1);
    widen(&f->y0, &f->y1);
    double step = bt_tick_step(f->y0, f->y1, 5);
    f->y0 = floor(f->y0 / step + 1e-9) * step;
    f->y1 = ceil(f->y1 / step - 1e-9) * step;
}

static void draw_axes(bt_canvas *canvas, const bt_curves *c, const frame *f) {
    char text[32];
    double step = bt_tick_step(f->y0, f->y1, 5);
    for (double k = round(f->y0 / step); k * step <= f->y1 + step * 1e-6; k++) {
        double y = at_y(f, k * step);
        bt_canvas_line(canvas, f->left, y, f->right, y, BT_GRID);
        snprintf(text, sizeof text, "%.6g", k * step + 0.0);
        bt_canvas_text(canvas, f->left - 8, y + 4, BT_LABEL(BT_ANCHOR_END), text);
    }
    step = bt_tick_step(f->x0, f->x1, (int)((f->right - f->left) / 90));
    for (double k = ceil(f->x0 / step - 1e-9); k * step <= f->x1 + step * 1e-6; k++) {
        double x = at_x(f, k * step);
        bt_canvas_line(canvas, x, f->bottom, x, f->bottom + 4, BT_AXIS);
        snprintf(text, sizeof text, "%.6g", k * step + 0.0); /* -0 is written 0 */
        bt_canvas_text(canvas, x, f->bottom + 18, BT_LABEL(BT_ANCHOR_MIDDLE), text);
    }
    bt_canvas_line(canvas, f->left, f->bottom, f->right, f->bottom, BT_AXIS);
    bt_canvas_text(canvas, (f->left + f->right) / 2, f->bottom + 36, BT_LABEL(BT_ANCHOR_MIDDLE), c->x_label);
    bt_text_style turned = BT_LABEL(BT_ANCHOR_MIDDLE);
    turned.upright = false;
    bt_canvas_text(canvas, 14, (f->top + f->bottom) / 2, turned, c->y_label);
    bt_canvas_text(canvas, f->left, 20, BT_TITLE, c->title);
}

enum { PIECE = 512 };

/** Points of a line, drawn whenever the buffer is full or the line breaks. */
typedef struct pen {
    bt_canvas *canvas;
    bt_paint paint;
    double xy[2 * PIECE];
    int64_t count;
} pen;

static void lift(pen *p) {
    if (p->count == 1) bt_canvas_dot(p->canvas, p->xy[0], p->xy[1], 2.5, p->paint.color);
    if (p->count > 1) bt_canvas_path(p->canvas, p->xy, p->count, p->paint);
    p->count = 0;
}

static void move(pen *p, double x, double y) {
    if (p->count == PIECE) {
        double last_x = p->xy[2 * PIECE - 2], last_y = p->xy[2 * PIECE - 1];
        lift(p);
        p->xy[0] = last_x;
        p->xy[1] = last_y;
        p->count = 1;
    }
    p->xy[2 * p->count] = x;
    p->xy[2 * p->count + 1] = y;
    p->count++;
}

/** `bucket` points at a time give their least and greatest value, in the order they come. */
static void draw_series(bt_canvas *canvas, const frame *f, const bt_series *s, uint32_t color) {
    pen p = {.canvas = canvas, .paint = {.color = color, .width = 1.8, .opacity = 1, .dash = s->dashed ? 5 : 0}};
    int64_t bucket = 1 + s->count / (int64_t)(2 * (f->right - f->left));
    for (int64_t i = 0; i < s->count; i += bucket) {
        int64_t least = -1, most = -1;
        for (int64_t k = i; k < i + bucket && k < s->count; k++) {
            if (!can_draw(s->x[k], s->y[k])) continue;
            if (least < 0 || s->y[k] < s->y[least]) least = k;
            if (most < 0 || s->y[k] > s->y[most]) most = k;
        }
        if (least < 0) {
            lift(&p);
            continue;
        }
        int64_t first = least < most ? least : most, second = least < most ? most : least;
        move(&p, at_x(f, s->x[first]), at_y(f, s->y[first]));
        if (second != first) move(&p, at_x(f, s->x[second]), at_y(f, s->y[second]));
    }
    lift(&p);
}

static void draw_legend(bt_canvas *canvas, const bt_curves *c, const frame *f) {
    double x = f->right;
    for (int s = c->count - 1; s >= 0; s--) {
        const char *name = c->series[s].name;
        x -= bt_canvas_text_width(12, name);
        bt_canvas_text(canvas, x, 20, BT_LABEL(BT_ANCHOR_START), name);
        x -= 24;
        bt_paint paint = {
            .color = bt_palette[s % BT_PALETTE], .width = 2.5, .opacity = 1, .dash = c->series[s].dashed ? 5 : 0};
        bt_canvas_line(canvas, x, 16, x + 18, 16, paint);
        x -= 14;
    }
}

bt_canvas *bt_curves_draw(const bt_curves *c, double width, double height) {
    bt_canvas *canvas = bt_canvas_new(width, height);
    if (!canvas) return NULL;
    frame f = {.left = 64, .top = 36, .right = width - 16, .bottom = height - 48};
    find_range(c, &f);
    draw_axes(canvas, c, &f);
    for (int s = 0; s < c->count; s++) draw_series(canvas, &f, &c->series[s], bt_palette[s % BT_PALETTE]);
    if (c->count > 1) draw_legend(canvas, c, &f);
    return canvas;
}
