/* Marks collected, and written as SVG. */
#include "report/mark.h"

#include "base/file.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bt_canvas *bt_canvas_new(double width, double height) {
    bt_canvas *c = bt_memory_zeroed(1, sizeof *c);
    if (!c) return NULL;
    c->width = width;
    c->height = height;
    return c;
}

void bt_canvas_free(bt_canvas *c) {
    if (!c) return;
    bt_memory_free(c->marks);
    bt_memory_free(c->points);
    bt_text_free(&c->characters);
    bt_memory_free(c);
}

double bt_canvas_width(const bt_canvas *c) {
    return c->width;
}

double bt_canvas_height(const bt_canvas *c) {
    return c->height;
}

/** Room for `more` elements behind `count`; false if memory is out. */
static bool reserve(bt_canvas *c, void **items, int64_t *capacity, int64_t count, int64_t more, size_t element) {
    if (c->failed || count + more <= *capacity) return !c->failed;
    int64_t wanted = *capacity * 2 > count + more ? *capacity * 2 : count + more + 16;
    void *larger = bt_memory_alloc((size_t)wanted, element);
    if (!larger) {
        c->failed = true;
        return false;
    }
    if (count) memcpy(larger, *items, (size_t)count * element);
    bt_memory_free(*items);
    *items = larger;
    *capacity = wanted;
    return true;
}

static bt_mark *add(bt_canvas *c, const double *xy, int64_t count) {
    if (!reserve(c, (void **)&c->marks, &c->mark_capacity, c->mark_count, 1, sizeof *c->marks)) return NULL;
    if (!reserve(c, (void **)&c->points, &c->point_capacity, c->point_count, count, 2 * sizeof(double))) return NULL;
    memcpy(c->points + 2 * c->point_count, xy, (size_t)count * 2 * sizeof(double));
    bt_mark *mark = &c->marks[c->mark_count++];
    *mark = (bt_mark){.first = c->point_count, .count = count};
    c->point_count += count;
    return mark;
}

void bt_canvas_path(bt_canvas *c, const double *xy, int64_t count, bt_paint paint) {
    bt_mark *mark = count > 0 ? add(c, xy, count) : NULL;
    if (mark) mark->paint = paint;
}

void bt_canvas_line(bt_canvas *c, double x0, double y0, double x1, double y1, bt_paint paint) {
    bt_canvas_path(c, (const double[]){x0, y0, x1, y1}, 2, paint);
}

void bt_canvas_box(bt_canvas *c, double x, double y, double width, double height, bt_paint paint) {
    bt_canvas_path(c, (const double[]){x, y, x + width, y, x + width, y + height, x, y + height, x, y}, 5, paint);
}

void bt_canvas_dot(bt_canvas *c, double x, double y, double radius, uint32_t color) {
    bt_mark *mark = add(c, (const double[]){x, y}, 1);
    if (!mark) return;
    mark->kind = BT_MARK_DOT;
    mark->radius = radius;
    mark->paint = (bt_paint){.color = color, .opacity = 1};
}

void bt_canvas_text(bt_canvas *c, double x, double y, bt_text_style style, const char *text) {
    bt_mark *mark = add(c, (const double[]){x, y}, 1);
    if (!mark) return;
    mark->kind = BT_MARK_TEXT;
    mark->style = style;
    mark->text = c->characters.length;
    bt_text_append_bytes(&c->characters, text, strlen(text) + 1);
}

double bt_canvas_text_width(double size, const char *text) {
    double width = 0;
    for (; *text; text++) width += strchr("ijlftr.,:;'|!()[]", *text) ? 0.32 : strchr("mwMW@%", *text) ? 0.86 : 0.56;
    return size * width;
}

/* ---- SVG ---- */

static void put_escaped(bt_text *out, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '&':
            bt_text_append(out, "&amp;");
            break;
        case '<':
            bt_text_append(out, "&lt;");
            break;
        case '>':
            bt_text_append(out, "&gt;");
            break;
        case '"':
            bt_text_append(out, "&quot;");
            break;
        default:
            bt_text_append_bytes(out, text, 1);
        }
    }
}

/* A hundredth of a pixel is enough, without zeros at the end. */
static void put_number(bt_text *out, double value) {
    char digits[32];
    snprintf(digits, sizeof digits, "%.2f", value);
    char *end = digits + strlen(digits);
    while (end[-1] == '0') *--end = 0;
    if (end[-1] == '.') *--end = 0;
    bt_text_append(out, "%s", strcmp(digits, "-0") == 0 ? "0" : digits);
}

static void put_path(const bt_canvas *c, const bt_mark *m, bt_text *out) {
    bool filled = m->paint.width == 0;
    bt_text_append(out, "<path d=\"");
    for (int64_t i = 0; i < m->count; i++) {
        bt_text_append(out, "%s", i == 0 ? "M" : i == 1 ? "L" : " ");
        put_number(out, c->points[2 * (m->first + i)]);
        bt_text_append(out, " ");
        put_number(out, c->points[2 * (m->first + i) + 1]);
    }
    bt_text_append(out, filled ? "Z\" fill=\"#%06x\"" : "\" fill=\"none\" stroke=\"#%06x\"", m->paint.color);
    if (!filled) bt_text_append(out, " stroke-width=\"%g\"", m->paint.width);
    if (m->paint.dash > 0) bt_text_append(out, " stroke-dasharray=\"%g\"", m->paint.dash);
    if (m->paint.opacity < 1) bt_text_append(out, " opacity=\"%g\"", m->paint.opacity);
    bt_text_append(out, "/>\n");
}

static void put_text(const bt_canvas *c, const bt_mark *m, bt_text *out) {
    static const char *const anchors[] = {"start", "middle", "end"};
    double x = c->points[2 * m->first], y = c->points[2 * m->first + 1];
    bt_text_append(out, "<text x=\"%g\" y=\"%g\" font-size=\"%g\" fill=\"#%06x\" text-anchor=\"%s\"", x, y,
                   m->style.size, m->style.color, anchors[m->style.anchor]);
    if (m->style.bold) bt_text_append(out, " font-weight=\"600\"");
    if (!m->style.upright) bt_text_append(out, " transform=\"rotate(-90 %g %g)\"", x, y);
    bt_text_append(out, ">");
    put_escaped(out, bt_text_get(&c->characters) + m->text);
    bt_text_append(out, "</text>\n");
}

bt_status bt_canvas_svg(const bt_canvas *c, bt_text *out) {
    bt_text_append(out,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" height=\"%g\" "
                   "font-family=\"system-ui, 'DejaVu Sans', sans-serif\">\n",
                   c->width, c->height, c->width, c->height);
    for (int64_t i = 0; i < c->mark_count; i++) {
        const bt_mark *m = &c->marks[i];
        if (m->kind == BT_MARK_PATH)
            put_path(c, m, out);
        else if (m->kind == BT_MARK_TEXT)
            put_text(c, m, out);
        else
            bt_text_append(out, "<circle cx=\"%g\" cy=\"%g\" r=\"%g\" fill=\"#%06x\"/>\n", c->points[2 * m->first],
                           c->points[2 * m->first + 1], m->radius, m->paint.color);
    }
    bt_text_append(out, "</svg>\n");
    if (c->failed) return bt_error(BT_ERR_MEMORY, "out of memory for a drawing");
    BT_TRY(bt_text_status(&c->characters));
    return bt_text_status(out);
}

bt_status bt_canvas_save(const bt_canvas *c, const char *path) {
    bt_text svg = {0}, name = {0};
    bt_text_append(&svg, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    bt_text_append(&name, "%s.svg", path);
    bt_status status = bt_canvas_svg(c, &svg);
    if (status == BT_OK) status = bt_text_status(&name);
    if (status == BT_OK) status = bt_file_write(bt_text_get(&name), bt_text_get(&svg), svg.length);
#ifdef BITTERN_WITH_CAIRO
    bt_text_clear(&name);
    bt_text_append(&name, "%s.png", path);
    if (status == BT_OK) status = bt_text_status(&name);
    if (status == BT_OK) status = bt_canvas_png(c, 2, bt_text_get(&name));
#endif
    bt_text_free(&svg);
    bt_text_free(&name);
    return status;
}
