/* Bars, lying and standing. */
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
        }
        snprintf(text, sizeof text, "%.3f", b->value);
        bt_text_style name = BT_LABEL(BT_ANCHOR_END), value = BT_LABEL(BT_ANCHOR_START);
        name.color = value.color = BT_INK;
        bt_canvas_text(canvas, left - 8, y + ROW / 2 + 3, name, b->name);
        bt_canvas_text(canvas, end + 6, y + ROW / 2 + 3, value, text);
    }
    bt_canvas_text(canvas, 12, 20, BT_TITLE, title);
    return canvas;
}

bt_canvas *bt_columns_draw(const bt_columns *c, double width, double height) {
    bt_canvas *canvas = bt_canvas_new(width, height);
    if (!canvas) return NULL;
    double left = 52, right = width - 16, top = 40, bottom = height - 44, span = right - left;
    double step = bt_tick_step(0, c->most, 4), each = span / (c->count > 0 ? c->count : 1);
    double gap = each > 6 ? each * 0.22 : 0;
    char text[32];
    for (double k = 0; k * step <= c->most * (1 + 1e-9); k++) {
        double y = bottom - k * step / c->most * (bottom - top);
        bt_canvas_line(canvas, left, y, right, y, BT_GRID);
        snprintf(text, sizeof text, "%.6g", k * step);
        bt_canvas_text(canvas, left - 8, y + 4, BT_LABEL(BT_ANCHOR_END), text);
    }
    for (int i = 0; i < c->count; i++) {
        double tall = fmax(0, fmin(c->most, c->values[i])) / c->most * (bottom - top);
        bt_canvas_box(canvas, left + each * i + gap / 2, bottom - tall, each - gap, tall,
                      (bt_paint){.color = bt_palette[0], .opacity = 1});
    }
    if (c->reference > 0) {
        double y = bottom - c->reference / c->most * (bottom - top);
        bt_canvas_line(canvas, left, y, right, y,
                       (bt_paint){.color = bt_palette[1], .width = 1.5, .opacity = 1, .dash = 5});
    }
    int every = (int)ceil(34 / each);
    for (int i = 0; i<c->count; i += every> 1 ? (every + 3) / 4 * 4 : 1) {
        snprintf(text, sizeof text, "%d", i);
        bt_canvas_text(canvas, left + each * (i + 0.5), bottom + 17, BT_LABEL(BT_ANCHOR_MIDDLE), text);
    }
    bt_canvas_line(canvas, left, bottom, right, bottom, BT_AXIS);
    bt_canvas_text(canvas, (left + right) / 2, bottom + 36, BT_LABEL(BT_ANCHOR_MIDDLE), c->x_label);
    bt_canvas_text(canvas, 12, 20, BT_TITLE, c->title);
    return canvas;
}
