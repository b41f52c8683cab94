/* What the parts of a run's report share: the files they read and the page they write; for run_report.c and page_*.c.
 */
#ifndef BITTERN_REPORT_PAGE_H
#define BITTERN_REPORT_PAGE_H

#include "formats/json.h"
#include "formats/npy.h"
#include "report/chart.h"
#include "report/html.h"
#include "report/run_report.h"

enum {
    BT_PAGE_SERIES = 24,
    BT_PAGE_PATH = 1400,
    BT_PAGE_NEIGHBOURS = 10 /* of a query, those that are shown and counted */
};

/** One number over the steps of a training. */
typedef struct bt_page_series {
    char name[48];
    double *x, *y; /**< (count) */
    int64_t count;
    size_t x_capacity, y_capacity;
} bt_page_series;

typedef struct bt_page {
    const char *run;
    const bt_report_pack *pack;
    bt_text html;
    bt_json *evaluation;                                           /**< RUN/evaluation.json; NULL if it is not there */
    const bt_json_value *e;                                        /**< its root */
    bt_page_series series[BT_PAGE_SERIES], scores[BT_PAGE_SERIES]; /**< of metrics.jsonl: steps, scores */
    int series_count, score_count;
} bt_page;

/** Saves the drawing as RUN/plots/NAME.svg (and .png), puts it into the page and frees it; NULL is out of memory. */
bt_status bt_page_plot(bt_page *page, const char *name, bt_canvas *canvas, const char *caption) BT_MUST_CHECK;

/** The path of a file of the run; false with a message if it is too long. */
bt_status bt_page_path(const bt_page *page, const char *name, char *path) BT_MUST_CHECK;

/** A number that may be missing or null: *present tells. Another type is BT_ERR_FORMAT. */
bt_status bt_page_number(const bt_json_value *object, const char *key, bool *present, double *out) BT_MUST_CHECK;

/** The array `key` of `object` as numbers in new memory (bt_memory_free). `count` < 0 on entry: any length. */
bt_status bt_page_numbers(const bt_json_value *object, const char *key, int64_t *count, double **out) BT_MUST_CHECK;

/** Opens a matrix of the run, an item a row. BT_ERR_FORMAT if it has another type or number of rows, or no columns. */
bt_status bt_page_matrix(const bt_page *page, const char *name, bt_file_dtype dtype, int64_t rows,
                         bt_npy *out) BT_MUST_CHECK;

/** What evaluation/ says of each query; opened and closed together. */
typedef struct bt_page_queries {
    int64_t count;
    bt_npy labels, relevant, precision; /**< i32 (count, ranks), u8 (count, neighbours), f64 (count, 2) within [0, 1] */
} bt_page_queries;

/** BT_ERR_FORMAT if the files do not fit evaluation.json. */
bt_status bt_page_open_queries(const bt_page *page, bt_page_queries *out) BT_MUST_CHECK;
void bt_page_close_queries(bt_page_queries *queries);

int32_t bt_page_label(const bt_page_queries *queries, int64_t query);   /**< at rank 0 */
double bt_page_standard(const bt_page_queries *queries, int64_t query); /**< standard AP@k */
bool bt_page_relevant(const bt_page_queries *queries, int64_t query, int64_t neighbour);
int bt_page_shown(const bt_page_queries *queries);                /**< neighbours that are counted: 10, or all */
int bt_page_right(const bt_page_queries *queries, int64_t query); /**< relevant ones of them */

/** Whether evaluation/ has what the parts about queries need; false also for one that an older program made. */
bool bt_page_has_queries(const bt_page *page);
#define BT_PAGE_NO_QUERIES                                                                                             \
    "The folder evaluation/ is not there, or an older bittern made it; bittern eval RUN makes it."

/** A score as it is written everywhere in the report: three decimals. */
#define BT_SCORE "%.3f"

/* The parts, in the order of the page. Each writes nothing where its files are missing. */
bt_status bt_page_summary(bt_page *page) BT_MUST_CHECK;
bt_status bt_page_scores(bt_page *page) BT_MUST_CHECK;
bt_status bt_page_neighbours(bt_page *page) BT_MUST_CHECK;
bt_status bt_page_codes(bt_page *page) BT_MUST_CHECK;
bt_status bt_page_classes(bt_page *page) BT_MUST_CHECK;
bt_status bt_page_training(bt_page *page) BT_MUST_CHECK;
bt_status bt_page_settings(bt_page *page) BT_MUST_CHECK;

/** Reads metrics.jsonl into page->series and page->scores. */
bt_status bt_page_read_metrics(bt_page *page) BT_MUST_CHECK;
void bt_page_free_metrics(bt_page *page);

#endif
