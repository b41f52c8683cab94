/* Charts on a canvas: curves, bars, a matrix of cells. Light ground, few lines, colours that colour-blind readers tell
 * apart (Okabe and Ito). */
#ifndef BITTERN_REPORT_CHART_H
#define BITTERN_REPORT_CHART_H

#include "report/canvas.h"

/** A curve. Points with a NaN, or with a number beyond 1e300, are left out and break the line. */
typedef struct bt_series {
    const char *name;
    const double *x, *y; /**< (count), x ascending */
    int64_t count;
    bool dashed;
} bt_series;

typedef struct bt_curves {
    const char *title, *x_label, *y_label;
    const bt_series *series;
    int count;
    bool from_zero; /**< the y axis begins at 0 */
} bt_curves;

/** A chart of curves with ticks at round numbers, a legend where there are several, and at most some thousand points a
 * curve: longer ones are drawn by the least and the greatest value of each column. NULL with a message if memory is
 * out. */
bt_canvas *bt_curves_draw(const bt_curves *curves, double width, double height);

/** A horizontal bar with its value written behind it; `low` and `high` are a whisker where they differ. */
typedef struct bt_bar {
    const char *name;
    double value, low, high;
    bool quiet; /**< a baseline: drawn in grey */
} bt_bar;

bt_canvas *bt_bars_draw(const char *title, const bt_bar *bars, int count, double most, double width);

/** Standing bars, one for each value, numbered from 0. */
typedef struct bt_columns {
    const char *title, *x_label;
    const double *values; /**< (count), 0 to `most` */
    int count;
    double most, reference; /**< reference: a broken line at this value; 0: none */
} bt_columns;

bt_canvas *bt_columns_draw(const bt_columns *columns, double width, double height);

/** A matrix as squares of colour, with a scale. */
typedef struct bt_matrix {
    const char *title;
    const double *values; /**< (rows, cols) in [0, 1], dark is high; or in [-1, 1], blue below and orange above 0. NaN
                             stays white */
    int rows, cols;
    const char *const *names; /**< (rows), beside them; NULL: none */
    bool is_signed;
} bt_matrix;

bt_canvas *bt_matrix_draw(const bt_matrix *matrix, double width);

/** Ticks at 1, 2 or 5 times a power of ten that cover [low, high]: the first at or above low, and their distance. */
double bt_tick_step(double low, double high, int wanted);

#endif
