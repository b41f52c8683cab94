/* Classes: which are found worst, and what is taken for what. */
#include "report/page.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 12, LARGEST = 100 };

typedef struct class_score {
    int64_t label, queries, confused; /* confused: the class that takes most of its neighbours beside itself; -1 */
    double right, precision, share;   /* right: the share of relevant ones among the shown neighbours; standard AP@k */
} class_score;

static int worst_first(const void *a, const void *b) {
    const class_score *x = a, *y = b;
    if (x->right < y->right || x->right > y->right) return x->right < y->right ? -1 : 1;
    if (x->precision < y->precision || x->precision > y->precision) return x->precision < y->precision ? -1 : 1;
    return x->label < y->label ? -1 : x->label > y->label;
}

/* ---- means over the queries of each class ---- */

static bt_status mean_by_class(bt_page *page, int64_t classes, class_score *out) {
    bt_page_queries queries;
    BT_TRY(bt_page_open_queries(page, &queries));
    for (int64_t c = 0; c < classes; c++) out[c] = (class_score){.label = c, .confused = -1};
    for (int64_t q = 0; q < queries.count; q++) {
        int32_t label = bt_page_label(&queries, q);
        if (label < 0 || label >= classes) continue;
        out[label].right += (double)bt_page_right(&queries, q) / bt_page_shown(&queries);
        out[label].precision += bt_page_standard(&queries, q);
        out[label].queries++;
    }
    for (int64_t c = 0; c < classes; c++)
        if (out[c].queries) {
            out[c].right /= (double)out[c].queries;
            out[c].precision /= (double)out[c].queries;
        }
    bt_page_close_queries(&queries);
    return BT_OK;
}

/** The class beside itself that takes most of a class's neighbours. */
static void find_confused(const double *share, int64_t classes, class_score *out) {
    for (int64_t c = 0; c < classes && share; c++)
        for (int64_t d = 0; d < classes; d++)
            if (d != c && share[c * classes + d] > out[c].share) {
                out[c].share = share[c * classes + d];
                out[c].confused = d;
            }
}

static bt_status write_worst(bt_page *page, class_score *scores, int64_t classes, const char *const *names) {
    int64_t count = 0, k;
    char head[48];
    BT_TRY(bt_json_get_integer(page->e, "k", 1, INT64_MAX, &k));
    snprintf(head, sizeof head, "AP@%lld, standard", (long long)k);
    for (int64_t c = 0; c < classes; c++)
        if (scores[c].queries) scores[count++] = scores[c];
    qsort(scores, (size_t)count, sizeof *scores, worst_first);
    bt_html_heading(&page->html, count > SHOWN ? "Found worst" : "All classes, worst first");
    bt_html_table_begin(&page->html, "lrrrlr",
                        (const char *const[]){"class", "queries", "right of the first 10", head, "most often taken for",
                                              "of its neighbours"});
    for (int64_t i = 0; i < count && i < SHOWN; i++) {
        const class_score *s = &scores[i];
        char queries[24], right[24], precision[24], share[24] = "–";
        snprintf(queries, sizeof queries, "%lld", (long long)s->queries);
        snprintf(right, sizeof right, "%.0f %%", 100 * s->right);
        snprintf(precision, sizeof precision, BT_SCORE, s->precision);
        if (s->confused >= 0) snprintf(share, sizeof share, "%.0f %%", 100 * s->share);
        bt_html_table_row(&page->html, "lrrrlr",
                          (const char *const[]){names[s->label], queries, right, precision,
                                                s->confused >= 0 ? names[s->confused] : "–", share},
                          false);
    }
    bt_html_table_end(&page->html);
    bt_html_note(&page->html,
                 "Means over the queries of a class. Sorted by the share of right ones among the first ten neighbours, "
                 "then by average precision.");
    return BT_OK;
}

/* ---- matrices ---- */

static bt_status read_matrix(const bt_json_value *rank, int64_t classes, double **out) {
    const bt_json_value *rows = bt_json_find(rank, "confusion"), *row;
    *out = NULL;
    if (!rows || rows->type == BT_JSON_NULL) return BT_OK;
    BT_TRY(bt_json_get(rank, "confusion", BT_JSON_ARRAY, &rows));
    if (rows->count != (size_t)classes || classes > LARGEST)
        return bt_json_error(rows, "%zu rows for %lld classes (at most %d are shown)", rows->count, (long long)classes,
                             LARGEST);
    double *share = bt_memory_alloc((size_t)(classes * classes), sizeof *share);
    if (!share) return BT_ERR_MEMORY;
    bt_status status = BT_OK;
    for (int64_t c = 0; c < classes && status == BT_OK; c++) {
        status = bt_json_at(rows, (size_t)c, &row);
        if (status == BT_OK && (row->type != BT_JSON_ARRAY || row->count != (size_t)classes))
            status = bt_json_error(row, "a row of another length than %lld", (long long)classes);
        for (int64_t d = 0; d < classes && status == BT_OK; d++)
            status = bt_json_as_number(&row->as.member[d], &share[c * classes + d]);
    }
    if (status == BT_OK)
        *out = share;
    else
        bt_memory_free(share);
    return status;
}

/** Names of a rank; the array is new memory, the strings are the document's. */
static bt_status read_names(const bt_json_value *rank, int64_t *classes, const char ***out) {
    const bt_json_value *list;
    BT_TRY(bt_json_get(rank, "names", BT_JSON_ARRAY, &list));
    const char **names = bt_memory_alloc(list->count, sizeof *names);
    bt_status status = names ? BT_OK : BT_ERR_MEMORY;
    for (size_t i = 0; i < list->count && status == BT_OK; i++)
        status = bt_json_as_string(&list->as.member[i], &names[i]);
    *classes = (int64_t)list->count;
    if (status == BT_OK)
        *out = names;
    else
        bt_memory_free(names);
    return status;
}

/** Classes in the order of the ranks above them, so that relatives stand together: `order` (classes). Ranks above are
 * the further columns of query_labels.npy; a class without a query stays behind. */
static bt_status order_classes(bt_page *page, int64_t queries, int64_t classes, int64_t *order) {
    bt_npy labels;
    BT_TRY(bt_page_matrix(page, "evaluation/query_labels.npy", BT_FILE_I32, queries, &labels));
    int64_t columns = labels.dim[1];
    int32_t *key = bt_memory_alloc((size_t)(classes * columns), sizeof *key);
    for (int64_t i = 0; key && i < classes * columns; i++) key[i] = INT32_MAX;
    for (int64_t q = queries; key && q-- > 0;) {
        int32_t row[16];
        if (columns > 16) break;
        memcpy(row, labels.data + (size_t)(q * columns) * sizeof *row, (size_t)columns * sizeof *row);
        if (row[0] >= 0 && row[0] < classes) memcpy(key + row[0] * columns, row, (size_t)columns * sizeof *row);
    }
    for (int64_t c = 0; key && c < classes; c++) { /* insertion sort: at most a hundred */
        int64_t at = c;
        for (; at > 0; at--) {
            const int32_t *a = key + order[at - 1] * columns, *b = key + c * columns;
            int64_t level = columns - 1;
            while (level > 0 && a[level] == b[level]) level--;
            if (a[level] <= b[level]) break;
            order[at] = order[at - 1];
        }
        order[at] = c;
    }
    bt_status status = key ? BT_OK : BT_ERR_MEMORY;
    bt_memory_free(key);
    bt_npy_close(&labels);
    return status;
}

/** The matrix and the names in that order, in place of those given. */
static bt_status reorder(bt_page *page, int64_t queries, int64_t classes, double *share, const char **names) {
    size_t n = (size_t)classes;
    int64_t *order = bt_memory_alloc(n, sizeof *order);
    double *moved = bt_memory_alloc(n * n, sizeof *moved);
    const char **moved_names = bt_memory_alloc(n, sizeof *moved_names);
    bt_status status = order && moved && moved_names ? order_classes(page, queries, classes, order) : BT_ERR_MEMORY;
    for (int64_t i = 0; i < classes && status == BT_OK; i++) {
        moved_names[i] = names[order[i]];
        for (int64_t j = 0; j < classes; j++) moved[i * classes + j] = share[order[i] * classes + order[j]];
    }
    if (status == BT_OK) {
        memcpy(share, moved, n * n * sizeof *moved);
        memcpy(names, moved_names, n * sizeof *names);
    }
    bt_memory_free(order);
    bt_memory_free(moved);
    bt_memory_free(moved_names);
    return status;
}

static bt_status draw_matrix(bt_page *page, const char *rank, const double *share, int64_t classes,
                             const char *const *names) {
    char title[80], file[80];
    snprintf(title, sizeof title, "Confusion by %.40s", rank);
    snprintf(file, sizeof file, "confusion_%.40s", rank);
    for (char *c = file; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_-", *c)) *c = '_'; /* a name from a file makes no path */
    bt_matrix m = {.title = title, .values = share, .rows = (int)classes, .cols = (int)classes, .names = names};
    double width = classes > 24 ? 900 : classes > 10 ? 620 : 440;
    return bt_page_plot(page, file, bt_matrix_draw(&m, width),
                        "Row: the query's group. Columns in the same order: where its first ten neighbours come from.");
}

static bt_status write_rank(bt_page *page, const bt_json_value *rank, bool lowest, int64_t queries) {
    const char *name, **names = NULL;
    int64_t classes;
    double *share = NULL;
    BT_TRY(bt_json_get_string(rank, "name", &name));
    BT_TRY(read_names(rank, &classes, &names));
    class_score *scores = bt_memory_zeroed((size_t)classes, sizeof *scores);
    bt_status status = scores ? read_matrix(rank, classes, &share) : BT_ERR_MEMORY;
    if (status == BT_OK && lowest && classes > 0) {
        status = mean_by_class(page, classes, scores);
        if (status == BT_OK) find_confused(share, classes, scores);
        if (status == BT_OK) status = write_worst(page, scores, classes, names);
    }
    if (status == BT_OK && share && lowest) status = reorder(page, queries, classes, share, names);
    if (status == BT_OK && share) status = draw_matrix(page, name, share, classes, names);
    bt_memory_free(scores);
    bt_memory_free(share);
    bt_memory_free(names);
    return status;
}

bt_status bt_page_classes(bt_page *page) {
    if (!page->e) return BT_OK;
    const bt_json_value *ranks;
    int64_t queries;
    bool several;
    BT_TRY(bt_json_get_integer(page->e, "queries", 0, INT64_MAX, &queries));
    BT_TRY(bt_json_get_bool(page->e, "multi_label", &several));
    BT_TRY(bt_json_get(page->e, "ranks", BT_JSON_ARRAY, &ranks));
    bt_html_section(&page->html, "classes", "Classes");
    if (!bt_page_has_queries(page) || several) {
        bt_html_paragraph(&page->html,
                          several ? "Pictures have several labels each: there is no one class to be confused with."
                                  : BT_PAGE_NO_QUERIES);
        return BT_OK;
    }
    if (ranks->count < 1) return BT_OK;
    BT_TRY(write_rank(page, &ranks->as.member[0], true, queries));
    bt_html_pair_begin(&page->html);
    bt_status status = BT_OK;
    for (size_t r = 1; r < ranks->count && status == BT_OK; r++)
        status = write_rank(page, &ranks->as.member[r], false, queries);
    bt_html_pair_end(&page->html);
    return status;
}
