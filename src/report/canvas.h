/* A drawing as a list of marks, written as SVG or painted as PNG: charts are drawn once and look the same in both.
 *
 * Units are pixels of the SVG, y downwards. Colours are 0xRRGGBB. A canvas keeps its marks until it is freed; failures
 * (memory) are sticky and reported when it is written.
 */
#ifndef BITTERN_REPORT_CANVAS_H
#define BITTERN_REPORT_CANVAS_H

#include "base/text.h"

#include <stdint.h>

typedef struct bt_canvas bt_canvas;

typedef enum bt_anchor { BT_ANCHOR_START, BT_ANCHOR_MIDDLE, BT_ANCHOR_END } bt_anchor;

/** How a line or an area is drawn. */
typedef struct bt_paint {
    uint32_t color;
    double width;   /**< of a line; 0 fills the outline instead */
    double opacity; /**< 0 to 1 */
    double dash;    /**< length of dashes and gaps; 0: solid */
} bt_paint;

/** NULL with a message if memory is out. Free with bt_canvas_free. */
bt_canvas *bt_canvas_new(double width, double height);
void bt_canvas_free(bt_canvas *canvas); /**< NULL is allowed */

double bt_canvas_width(const bt_canvas *canvas);
double bt_canvas_height(const bt_canvas *canvas);

/** A path through `count` points xy (count, 2), copied. Filled paths are closed. */
void bt_canvas_path(bt_canvas *canvas, const double *xy, int64_t count, bt_paint paint);
void bt_canvas_line(bt_canvas *canvas, double x0, double y0, double x1, double y1, bt_paint paint);
void bt_canvas_box(bt_canvas *canvas, double x, double y, double width, double height, bt_paint paint);
void bt_canvas_dot(bt_canvas *canvas, double x, double y, double radius, uint32_t color);

/** A line of text with its baseline at y, `size` pixels high; turned by -90 degrees around (x, y) if `upright` is
 * false. Copied. */
typedef struct bt_text_style {
    double size;
    uint32_t color;
    bt_anchor anchor;
    bool bold, upright;
} bt_text_style;

void bt_canvas_text(bt_canvas *canvas, double x, double y, bt_text_style style, const char *text);

/** The width that the text will have, roughly: fonts differ by machine. */
double bt_canvas_text_width(double size, const char *text);

/** Appends an <svg> element (no XML head, so that it can stand in HTML). */
bt_status bt_canvas_svg(const bt_canvas *canvas, bt_text *out) BT_MUST_CHECK;

/** Writes PATH.svg and, where the build has cairo, PATH.png at twice the size. */
bt_status bt_canvas_save(const bt_canvas *canvas, const char *path_without_suffix) BT_MUST_CHECK;

#endif
