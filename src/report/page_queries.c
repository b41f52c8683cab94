/* What evaluation/ says of each query: labels, which neighbours are relevant, average precision. */
#include "base/file.h"
#include "report/page.h"

#include <string.h>

bt_status bt_page_matrix(const bt_page *page, const char *name, bt_file_dtype dtype, int64_t rows, bt_npy *out) {
    char path[BT_PAGE_PATH];
    bt_npy file;
    BT_TRY(bt_page_path(page, name, path));
    BT_TRY(bt_npy_open(path, &file));
    if (file.rank != 2 || file.dtype != dtype || file.dim[0] != rows || file.dim[1] < 1) {
        bt_npy_close(&file);
        return bt_error(BT_ERR_FORMAT,
                        "%s: does not fit evaluation.json: expected %s of %lld rows; bittern eval makes both again",
                        path, bt_file_dtype_name(dtype), (long long)rows);
    }
    *out = file;
    return BT_OK;
}

static double precision_at(const bt_page_queries *q, int64_t i) {
    double value;
    memcpy(&value, q->precision.data + (size_t)i * sizeof value, sizeof value);
    return value;
}

/** Numbers that are sorted by must be numbers. */
static bt_status check_precision(const bt_page_queries *q) {
    if (q->precision.dim[1] != 2)
        return bt_error(BT_ERR_FORMAT, "%s: %lld columns, expected 2; bittern eval makes it again", q->precision.path,
                        (long long)q->precision.dim[1]);
    for (int64_t i = 0; i < q->precision.count; i++)
        if (!(precision_at(q, i) >= 0 && precision_at(q, i) <= 1))
            return bt_error(BT_ERR_FORMAT, "%s: row %lld: an average precision of %g; it is within 0 and 1",
                            q->precision.path, (long long)(i / 2), precision_at(q, i));
    return BT_OK;
}

bt_status bt_page_open_queries(const bt_page *page, bt_page_queries *out) {
    bt_page_queries q = {0};
    BT_TRY(bt_json_get_integer(page->e, "queries", 1, INT32_MAX, &q.count));
    bt_status status = bt_page_matrix(page, "evaluation/query_labels.npy", BT_FILE_I32, q.count, &q.labels);
    if (status == BT_OK) status = bt_page_matrix(page, "evaluation/relevant.npy", BT_FILE_U8, q.count, &q.relevant);
    if (status == BT_OK)
        status = bt_page_matrix(page, "evaluation/average_precision.npy", BT_FILE_F64, q.count, &q.precision);
    if (status == BT_OK) status = check_precision(&q);
    if (status == BT_OK)
        *out = q;
    else
        bt_page_close_queries(&q);
    return status;
}

void bt_page_close_queries(bt_page_queries *q) {
    bt_npy *const files[] = {&q->labels, &q->relevant, &q->precision};
    for (int i = 0; i < 3; i++)
        if (files[i]->path) bt_npy_close(files[i]);
    *q = (bt_page_queries){0};
}

int32_t bt_page_label(const bt_page_queries *q, int64_t query) {
    int32_t label;
    memcpy(&label, q->labels.data + (size_t)(query * q->labels.dim[1]) * sizeof label, sizeof label);
    return label;
}

double bt_page_standard(const bt_page_queries *q, int64_t query) {
    return precision_at(q, 2 * query + 1);
}

bool bt_page_relevant(const bt_page_queries *q, int64_t query, int64_t neighbour) {
    return q->relevant.data[query * q->relevant.dim[1] + neighbour] != 0;
}

int bt_page_shown(const bt_page_queries *q) {
    return q->relevant.dim[1] < BT_PAGE_NEIGHBOURS ? (int)q->relevant.dim[1] : BT_PAGE_NEIGHBOURS;
}

int bt_page_right(const bt_page_queries *q, int64_t query) {
    int right = 0;
    for (int r = 0; r < bt_page_shown(q); r++) right += bt_page_relevant(q, query, r);
    return right;
}

bool bt_page_has_queries(const bt_page *page) {
    char path[BT_PAGE_PATH];
    return bt_page_path(page, "evaluation/relevant.npy", path) == BT_OK && bt_file_exists(path);
}
