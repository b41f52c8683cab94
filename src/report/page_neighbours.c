/* Sheets: queries with their first neighbours, a few that go well, some that are typical, a few that go badly. */
#include "report/page.h"

#include "base/file.h"
#include "base/memory.h"
#include "formats/npy.h"
#include "report/thumbnail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 10, OF_A_KIND = 4, PIXELS = 128, MOST_LIST_BYTES = 1 << 30 };

/** A text file as lines. */
typedef struct lines {
    char *content;
    char **line; /* (count) */
    int64_t count;
} lines;

typedef struct sheets {
    bt_page *page;
    bt_npy neighbours, query_labels, database_labels, precision;
    lines query_paths, database_paths;
    int64_t queries, database;
    const bt_json_value *names; /* of rank 0 */
    int64_t *order;             /* (queries) by falling precision */
} sheets;

/* ---- files ---- */

static bt_status read_lines(const bt_page *page, const char *name, int64_t count, lines *out) {
    char path[BT_PAGE_PATH];
    size_t bytes;
    BT_TRY(bt_page_path(page, name, path));
    BT_TRY(bt_file_read(path, MOST_LIST_BYTES, &out->content, &bytes));
    out->line = bt_memory_alloc((size_t)count, sizeof *out->line);
    if (!out->line) return BT_ERR_MEMORY;
    for (char *at = out->content, *end; (end = memchr(at, '\n', bytes - (size_t)(at - out->content))); at = end + 1) {
        *end = 0;
        if (out->count < count) out->line[out->count] = at;
        out->count++;
    }
    if (out->count != count)
        return bt_error(BT_ERR_FORMAT, "%s: %lld lines for %lld pictures; bittern eval makes it again", path,
                        (long long)out->count, (long long)count);
    return BT_OK;
}

static void free_lines(lines *l) {
    bt_memory_free(l->line);
    bt_memory_free(l->content);
}

static bt_status open_array(const bt_page *page, const char *name, bt_file_dtype dtype, int64_t rows, bt_npy *out) {
    char path[BT_PAGE_PATH];
    BT_TRY(bt_page_path(page, name, path));
    BT_TRY(bt_npy_open(path, out));
    if (out->rank == 2 && out->dtype == dtype && out->dim[0] == rows && out->dim[1] > 0) return BT_OK;
    return bt_error(BT_ERR_FORMAT, "%s: does not fit evaluation.json; bittern eval makes both again", path);
}

/** Element (i, j) of an i32 matrix. */
static int32_t at_i32(const bt_npy *file, int64_t i, int64_t j) {
    int32_t value;
    memcpy(&value, file->data + (size_t)(i * file->dim[1] + j) * sizeof value, sizeof value);
    return value;
}

static double precision_of(const sheets *s, int64_t query) {
    double value;
    memcpy(&value, s->precision.data + (size_t)(query * s->precision.dim[1]) * sizeof value, sizeof value);
    return value;
}

static bt_status check_neighbours(const sheets *s) {
    for (int64_t i = 0; i < s->queries; i++)
        for (int64_t r = 0; r < s->neighbours.dim[1]; r++) {
            int32_t item = at_i32(&s->neighbours, i, r);
            if (item < 0 || item >= s->database)
                return bt_error(BT_ERR_FORMAT, "%s: row %lld: item %d of a database of %lld", s->neighbours.path,
                                (long long)i, item, (long long)s->database);
        }
    return BT_OK;
}

static bt_status open_files(sheets *s) {
    const bt_page *page = s->page;
    const bt_json_value *ranks, *rank;
    BT_TRY(bt_json_get_integer(page->e, "queries", 1, INT64_MAX, &s->queries));
    BT_TRY(bt_json_get_integer(page->e, "database", 1, INT64_MAX, &s->database));
    BT_TRY(bt_json_get(page->e, "ranks", BT_JSON_ARRAY, &ranks));
    BT_TRY(bt_json_at(ranks, 0, &rank));
    BT_TRY(bt_json_get(rank, "names", BT_JSON_ARRAY, &s->names));
    BT_TRY(open_array(page, "evaluation/neighbours.npy", BT_FILE_I32, s->queries, &s->neighbours));
    BT_TRY(open_array(page, "evaluation/query_labels.npy", BT_FILE_I32, s->queries, &s->query_labels));
    BT_TRY(open_array(page, "evaluation/database_labels.npy", BT_FILE_I32, s->database, &s->database_labels));
    BT_TRY(open_array(page, "evaluation/average_precision.npy", BT_FILE_F64, s->queries, &s->precision));
    BT_TRY(read_lines(page, "evaluation/query_paths.txt", s->queries, &s->query_paths));
    BT_TRY(read_lines(page, "evaluation/database_paths.txt", s->database, &s->database_paths));
    return check_neighbours(s);
}

static void close_files(sheets *s) {
    bt_npy *const arrays[] = {&s->neighbours, &s->query_labels, &s->database_labels, &s->precision};
    for (int i = 0; i < 4; i++)
        if (arrays[i]->path) bt_npy_close(arrays[i]);
    free_lines(&s->query_paths);
    free_lines(&s->database_paths);
    bt_memory_free(s->order);
}

/* ---- which queries ---- */

typedef struct graded {
    double precision;
    int64_t query;
} graded;

static int best_first(const void *a, const void *b) {
    const graded *x = a, *y = b;
    if (x->precision < y->precision || x->precision > y->precision) return x->precision > y->precision ? -1 : 1;
    return x->query < y->query ? -1 : x->query > y->query;
}

static bt_status sort_queries(sheets *s) {
    graded *list = bt_memory_alloc((size_t)s->queries, sizeof *list);
    s->order = bt_memory_alloc((size_t)s->queries, sizeof *s->order);
    bool good = list && s->order;
    for (int64_t i = 0; i < s->queries && good; i++) list[i] = (graded){precision_of(s, i), i};
    if (good) qsort(list, (size_t)s->queries, sizeof *list, best_first);
    for (int64_t i = 0; i < s->queries && good; i++) s->order[i] = list[i].query;
    bt_memory_free(list);
    return good ? BT_OK : BT_ERR_MEMORY;
}

/** Whether a query of this class is among those chosen already: a sheet of one species says little. */
static bool class_taken(const sheets *s, const int64_t *chosen, int count, int64_t query) {
    for (int i = 0; i < count; i++)
        if (at_i32(&s->query_labels, chosen[i], 0) == at_i32(&s->query_labels, query, 0)) return true;
    return false;
}

/** From place `from` of the order, going by `step`: queries of different classes first, then any. */
static int choose(const sheets *s, int64_t from, int64_t step, const int64_t *before, int before_count, int64_t *out) {
    int count = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = from; i >= 0 && i < s->queries && count < OF_A_KIND; i += step) {
            bool there = false;
            for (int k = 0; k < count; k++) there = there || out[k] == s->order[i];
            for (int k = 0; k < before_count; k++) there = there || before[k] == s->order[i];
            if (there || (pass == 0 && class_taken(s, out, count, s->order[i]))) continue;
            out[count++] = s->order[i];
        }
    return count;
}

/* ---- pictures ---- */

static const char *name_of(const sheets *s, int32_t label) {
    if (label < 0 || (size_t)label >= s->names->count || s->names->as.member[label].type != BT_JSON_STRING) return "unlabelled";
    return s->names->as.member[label].as.string;
}

/** An unreadable picture is an empty frame: the data may have moved since. */
static void put_picture(sheets *s, const char *path, const char *caption, char mark) {
    bt_text bytes = {0};
    const char *type = "";
    bool good = bt_thumbnail(path, PIXELS, &bytes, &type) == BT_OK;
    bt_html_strip_picture(&s->page->html, type, good ? bt_text_get(&bytes) : NULL, bytes.length, caption, mark);
    bt_text_free(&bytes);
}

static void put_strip(sheets *s, int64_t query) {
    int32_t label = at_i32(&s->query_labels, query, 0);
    int64_t shown = s->neighbours.dim[1] < SHOWN ? s->neighbours.dim[1] : SHOWN;
    int right = 0;
    char title[200];
    for (int64_t r = 0; r < shown; r++)
        right += at_i32(&s->database_labels, at_i32(&s->neighbours, query, r), 0) == label && label >= 0;
    snprintf(title, sizeof title, "%.100s: average precision " BT_SCORE ", %d of the first %lld right", name_of(s, label),
             precision_of(s, query), right, (long long)shown);
    bt_html_strip_begin(&s->page->html, title);
    put_picture(s, s->query_paths.line[query], "query", 'q');
    for (int64_t r = 0; r < shown; r++) {
        int32_t item = at_i32(&s->neighbours, query, r), found = at_i32(&s->database_labels, item, 0);
        put_picture(s, s->database_paths.line[item], name_of(s, found), found == label && label >= 0 ? '+' : '-');
    }
    bt_html_strip_end(&s->page->html);
}

static bt_status write_sheets(sheets *s) {
    static const char *const headings[] = {"Found best", "In the middle", "Found worst"};
    int64_t chosen[3 * OF_A_KIND];
    int count = 0;
    BT_TRY(open_files(s));
    BT_TRY(sort_queries(s));
    if (s->query_paths.line[0][0] == '#') {
        bt_html_paragraph(&s->page->html, "The data are embeddings: there are no pictures to show.");
        return bt_text_status(&s->page->html);
    }
    bt_html_note(&s->page->html,
                 "A query and its first ten neighbours in the database, nearest first. Blue frame and tick: the same class; "
                 "broken orange frame and cross: another one. Different classes where there are enough.");
    for (int kind = 0; kind < 3; kind++) {
        int64_t from = kind == 0 ? 0 : kind == 1 ? s->queries / 2 : s->queries - 1;
        int more = choose(s, from, kind == 2 ? -1 : 1, chosen, count, chosen + count);
        if (more > 0) bt_html_heading(&s->page->html, headings[kind]);
        for (int i = 0; i < more; i++) put_strip(s, chosen[count + i]);
        count += more;
    }
    return bt_text_status(&s->page->html);
}

bt_status bt_page_neighbours(bt_page *page) {
    char path[BT_PAGE_PATH];
    bool several;
    if (!page->e) return BT_OK;
    bt_html_section(&page->html, "neighbours", "Neighbours");
    BT_TRY(bt_page_path(page, "evaluation/neighbours.npy", path));
    BT_TRY(bt_json_get_bool(page->e, "multi_label", &several));
    if (!bt_file_exists(path)) {
        bt_html_paragraph(&page->html, "The folder evaluation/ is not there; bittern eval RUN makes it.");
        return BT_OK;
    }
    sheets s = {.page = page};
    bt_status status = write_sheets(&s);
    close_files(&s);
    return status;
}
