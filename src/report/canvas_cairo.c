/* Marks painted as PNG by cairo. */
#ifdef BITTERN_WITH_CAIRO
#include "report/mark.h"

#include "base/file.h"

#include <cairo.h>
#include <math.h>

static void set_color(cairo_t *cr, uint32_t color, double opacity) {
    cairo_set_source_rgba(cr, (color >> 16 & 255) / 255.0, (color >> 8 & 255) / 255.0, (color & 255) / 255.0, opacity);
}

static void paint_path(cairo_t *cr, const bt_canvas *c, const bt_mark *m) {
    const double *xy = c->points + 2 * m->first;
    set_color(cr, m->paint.color, m->paint.opacity);
    for (int64_t i = 0; i < m->count; i++) cairo_line_to(cr, xy[2 * i], xy[2 * i + 1]);
    if (m->paint.width == 0) {
        cairo_fill(cr);
        return;
    }
    cairo_set_line_width(cr, m->paint.width);
    cairo_set_dash(cr, &m->paint.dash, m->paint.dash > 0, 0);
    cairo_stroke(cr);
}

static void paint_text(cairo_t *cr, const bt_canvas *c, const bt_mark *m) {
    const char *text = bt_text_get(&c->characters) + m->text;
    cairo_text_extents_t extents;
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           m->style.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, m->style.size);
    cairo_text_extents(cr, text, &extents);
    double shift = m->style.anchor == BT_ANCHOR_START    ? 0
                   : m->style.anchor == BT_ANCHOR_MIDDLE ? -extents.x_advance / 2
                                                         : -extents.x_advance;
    set_color(cr, m->style.color, 1);
    cairo_save(cr);
    cairo_translate(cr, c->points[2 * m->first], c->points[2 * m->first + 1]);
    if (!m->style.upright) cairo_rotate(cr, -M_PI / 2);
    cairo_move_to(cr, shift, 0);
    cairo_show_text(cr, text);
    cairo_restore(cr);
    cairo_new_path(cr);
}

static void paint_dot(cairo_t *cr, const bt_canvas *c, const bt_mark *m) {
    cairo_new_sub_path(cr);
    cairo_arc(cr, c->points[2 * m->first], c->points[2 * m->first + 1], m->radius, 0, 2 * M_PI);
    set_color(cr, m->paint.color, 1);
    cairo_fill(cr);
}

/* cairo hands out pieces; the file appears whole or not at all. */
static cairo_status_t write_piece(void *writer, const unsigned char *data, unsigned bytes) {
    return bt_file_append(writer, data, bytes) == BT_OK ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

bt_status bt_canvas_png(const bt_canvas *c, double scale, const char *path) {
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(c->width * scale), (int)ceil(c->height * scale));
    cairo_t *cr = cairo_create(surface);
    cairo_scale(cr, scale, scale);
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    for (int64_t i = 0; i < c->mark_count; i++) {
        const bt_mark *m = &c->marks[i];
        if (m->kind == BT_MARK_PATH)
            paint_path(cr, c, m);
        else if (m->kind == BT_MARK_TEXT)
            paint_text(cr, c, m);
        else
            paint_dot(cr, c, m);
    }
    cairo_status_t fault = cairo_status(cr);
    cairo_destroy(cr);
    bt_file_writer writer;
    bt_status status = fault == CAIRO_STATUS_SUCCESS
                           ? bt_file_begin(path, &writer)
                           : bt_error(BT_ERR_MEMORY, "cairo: %s", cairo_status_to_string(fault));
    if (status == BT_OK) {
        fault = cairo_surface_write_to_png_stream(surface, write_piece, &writer);
        if (fault == CAIRO_STATUS_SUCCESS || writer.status != BT_OK) {
            status = bt_file_commit(&writer);
        } else {
            bt_file_abandon(&writer);
            status = bt_error(BT_ERR_MEMORY, "%s: cairo: %s", path, cairo_status_to_string(fault));
        }
    }
    cairo_surface_destroy(surface);
    return status;
}
#else
typedef int bt_no_cairo; /* ISO C wants something in a file */
#endif
