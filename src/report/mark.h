/* What a canvas is made of; for canvas.c and canvas_cairo.c. */
#ifndef BITTERN_REPORT_MARK_H
#define BITTERN_REPORT_MARK_H

#include "report/canvas.h"

typedef enum bt_mark_kind { BT_MARK_PATH, BT_MARK_DOT, BT_MARK_TEXT } bt_mark_kind;

typedef struct bt_mark {
    bt_mark_kind kind;
    bt_paint paint;       /**< PATH; the color of a DOT */
    int64_t first, count; /**< points of a PATH; one point of a DOT or a TEXT */
    double radius;        /**< DOT */
    bt_text_style style;  /**< TEXT */
    size_t text;          /**< TEXT: where it begins in the canvas's characters */
} bt_mark;

struct bt_canvas {
    double width, height;
    bt_mark *marks;
    double *points; /**< (count, 2) */
    int64_t mark_count, mark_capacity, point_count, point_capacity;
    bt_text characters; /**< texts, each with its terminator */
    bool failed;
};

#ifdef BITTERN_WITH_CAIRO
/** Paints the canvas at `scale` times its size. */
bt_status bt_canvas_png(const bt_canvas *canvas, double scale, const char *path) BT_MUST_CHECK;
#endif

#endif
