/* Bars and matrices. */
#include "report/chart_style.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROW 26.0 /* pixels of a bar with its gap */

bt_canvas *bt_bars_draw(const char *title, const bt_bar *bars, int count, double most, double width) {
    double left = 60;
    for (int i = 0; i < count; i++) left = fmax(left, 24 + bt_canvas_text_width(12.5, bars[i].name));
    bt_canvas *canvas = bt_canvas_new(width, 44 + ROW * count + 30);
    if (!canvas) return NULL;
    double top = 38, scale = (width - left - 96) / most, step = bt_tick_step(0, most, 5);
    char text[48];
    for (double k = 0; k * step <= most * (1 + 1e-9); k++) {
        double x = left + k * step * scale;
        bt_canvas_line(canvas, x, top - 4, x, top + ROW * count, BT_GRID);
        snprintf(text, sizeof text, "%.6g", k * step);
        bt_canvas_text(canvas, x, top + ROW * count + 16, BT_LABEL(BT_ANCHOR_MIDDLE), text);
    }
    for (int i = 0; i < count; i++) {
        const bt_bar *b = &bars[i];
        double y = top + ROW * i, end = left + fmax(0, fmin(most, b->value)) * scale;
        bt_paint fill = {.color = b->quiet ? 0xb8b8b8 : bt_palette[0], .opacity = 1};
        bt_canvas_box(canvas, left, y + 3, end - left, ROW - 8, fill);
        if (b->high > b->low) {
            bt_paint whisker = {.color = BT_INK, .width = 1.5, .opacity = 1};
            double middle = y + ROW / 2 - 1;
            bt_canvas_line(canvas, left + b->low * scale, middle, left + b->high * scale, middle, whisker);
            end = fmax(end, left + b->high * scale);
            snprintf(text, sizeof text, "%.3f ± %.3f", b->value, (b->high - b->low) / 2);
        } else {
            snprintf(text, sizeof text, "%.3f", b->value);
        }
        bt_text_style name = BT_LABEL(BT_ANCHOR_END), value = BT_LABEL(BT_ANCHOR_START);
        name.color = value.color = BT_INK;
        bt_canvas_text(canvas, left - 8, y + ROW / 2 + 3, name, b->name);
        bt_canvas_text(canvas, end + 6, y + ROW / 2 + 3, value, text);
    }
    bt_canvas_text(canvas, 12, 20, BT_TITLE, title);
    return canvas;
}

/** From white over blue to near black: lightness falls evenly, so that grey prints read the same. */
static uint32_t shade(double value) {
    static const double stop[4][3] = {{255, 255, 255}, {158, 202, 225}, {33, 113, 181}, {8, 29, 88}};
    double at = 3 * fmax(0, fmin(1, value));
    int k = at >= 3 ? 2 : (int)at;
    uint32_t color = 0;
    for (int c = 0; c < 3; c++)
        color = color << 8 | (uint32_t)lround(stop[k][c] + (at - k) * (stop[k + 1][c] - stop[k][c]));
    return color;
}

bt_canvas *bt_matrix_draw(const char *title, const double *values, int rows, int cols, const char *const *names,
                          double width) {
    double left = 24;
    for (int i = 0; names && i < rows; i++) left = fmax(left, 20 + bt_canvas_text_width(11, names[i]));
    double side = (width - left - 16) / cols, top = 36;
    bt_canvas *canvas = bt_canvas_new(width, top + side * rows + 16);
    if (!canvas) return NULL;
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++) {
            double v = values[(int64_t)i * cols + j];
            if (!(v > 0)) continue; /* white, or unknown */
            bt_canvas_box(canvas, left + side * j, top + side * i, side, side,
                          (bt_paint){.color = shade(v), .opacity = 1});
        }
        bt_text_style name = BT_LABEL(BT_ANCHOR_END);
        name.size = fmin(11, side * 0.95);
        if (names && side >= 5)
            bt_canvas_text(canvas, left - 6, top + side * (i + 0.5) + name.size / 3, name, names[i]);
    }
    bt_canvas_box(canvas, left, top, side * cols, side * rows, BT_AXIS);
    bt_canvas_text(canvas, 12, 20, BT_TITLE, title);
    return canvas;
}
