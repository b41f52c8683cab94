/* Matrices. */
#include "report/chart_style.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static uint32_t between(const double (*stop)[3], double at, int last) {
    int k = at >= last ? last - 1 : (int)at;
    uint32_t color = 0;
    for (int c = 0; c < 3; c++)
        color = color << 8 | (uint32_t)lround(stop[k][c] + (at - k) * (stop[k + 1][c] - stop[k][c]));
    return color;
}

/** From white over blue to near black: lightness falls evenly, so that grey prints read the same. Signed values: blue
 * below zero, white there, vermilion above, which colour-blind readers tell apart. */
static uint32_t shade(double value, bool is_signed) {
    static const double plain[4][3] = {{255, 255, 255}, {158, 202, 225}, {33, 113, 181}, {8, 29, 88}};
    static const double both[5][3] = {{0, 75, 130}, {120, 180, 220}, {255, 255, 255}, {240, 165, 110}, {170, 65, 0}};
    if (is_signed) return between(both, 2 + 2 * fmax(-1, fmin(1, value)), 4);
    return between(plain, 3 * fmax(0, fmin(1, value)), 3);
}

/** The scale, right of the title. */
static void draw_scale(bt_canvas *canvas, const bt_matrix *m, double right) {
    enum { STEPS = 24 };
    double width = 120, left = right - width - 18, low = m->is_signed ? -1 : 0;
    for (int i = 0; i < STEPS; i++)
        bt_canvas_box(canvas, left + width * i / STEPS, 10, width / STEPS + 0.3, 10,
                      (bt_paint){.color = shade(low + (1 - low) * (i + 0.5) / STEPS, m->is_signed), .opacity = 1});
    bt_canvas_box(canvas, left, 10, width, 10, BT_AXIS);
    bt_canvas_text(canvas, left - 6, 19, BT_LABEL(BT_ANCHOR_END), m->is_signed ? "-1" : "0");
    bt_canvas_text(canvas, right - 12, 19, BT_LABEL(BT_ANCHOR_START), "1");
}

bt_canvas *bt_matrix_draw(const bt_matrix *m, double width) {
    double left = 24, top = 36;
    for (int i = 0; m->names && i < m->rows; i++) left = fmax(left, 20 + bt_canvas_text_width(11, m->names[i]));
    if (left > 0.45 * width) left = 0.45 * width;
    double side = (width - left - 16) / m->cols;
    bt_canvas *canvas = bt_canvas_new(width, top + side * m->rows + 16);
    if (!canvas) return NULL;
    for (int i = 0; i < m->rows; i++) {
        for (int j = 0; j < m->cols; j++) {
            double v = m->values[(int64_t)i * m->cols + j];
            if (!(fabs(v) > 0)) continue; /* white, or unknown */
            bt_canvas_box(canvas, left + side * j, top + side * i, side, side,
                          (bt_paint){.color = shade(v, m->is_signed), .opacity = 1});
        }
        bt_text_style name = BT_LABEL(BT_ANCHOR_END);
        name.size = fmin(11, side * 0.95);
        if (m->names && side >= 5)
            bt_canvas_text(canvas, left - 6, top + side * (i + 0.5) + name.size / 3, name, m->names[i]);
    }
    bt_canvas_box(canvas, left, top, side * m->cols, side * m->rows, BT_AXIS);
    bt_canvas_text(canvas, 12, 20, BT_TITLE, m->title);
    draw_scale(canvas, m, width - 4);
    return canvas;
}
