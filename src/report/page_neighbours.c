/* Sheets: queries with their first neighbours, a few that go well, some that are typical, a few that go badly. */
#include "report/page.h"

#include "base/file.h"
#include "base/memory.h"
#include "report/thumbnail.h"

#include <bittern/image.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OF_A_KIND = 4, PIXELS = 128, MOST_LIST_BYTES = 1 << 30 };

/** The pictures of one side: where each is. */
typedef struct side {
    char *content;
    char **path; /* (count) lines of *_paths.txt */
    bt_npy rows; /* i64 (count, 1) of the pack, where there is one */
    int64_t count;
} side;

typedef struct sheets {
    bt_page *page;
    bt_page_queries queries;
    bt_npy neighbours, database_labels;
    side query, database;
    bool packed;
    int64_t k;
    const char *rank;           /* the name of rank 0 */
    const bt_json_value *names; /* of its groups */
    int64_t *order;             /* (queries), best first */
} sheets;

/* ---- files ---- */

static bt_status read_lines(const bt_page *page, const char *name, int64_t count, side *out) {
    char path[BT_PAGE_PATH];
    size_t bytes;
    int64_t found = 0;
    BT_TRY(bt_page_path(page, name, path));
    BT_TRY(bt_file_read(path, MOST_LIST_BYTES, &out->content, &bytes));
    out->path = bt_memory_alloc((size_t)count, sizeof *out->path);
    if (!out->path) return BT_ERR_MEMORY;
    for (char *at = out->content, *end; (end = memchr(at, '\n', bytes - (size_t)(at - out->content))); at = end + 1) {
        *end = 0;
        if (found < count) out->path[found] = at;
        found++;
    }
    out->count = count;
    if (found == count) return BT_OK;
    return bt_error(BT_ERR_FORMAT, "%s: %lld lines for %lld pictures; bittern eval makes it again", path,
                    (long long)found, (long long)count);
}

static bt_status open_side(sheets *s, const char *name, int64_t count, side *out) {
    char file[64];
    snprintf(file, sizeof file, "evaluation/%s_paths.txt", name);
    BT_TRY(read_lines(s->page, file, count, out));
    snprintf(file, sizeof file, "evaluation/%s_rows.npy", name);
    return s->packed ? bt_page_matrix(s->page, file, BT_FILE_I64, count, &out->rows) : BT_OK;
}

static void close_side(side *s) {
    bt_memory_free(s->path);
    bt_memory_free(s->content);
    if (s->rows.path) bt_npy_close(&s->rows);
}

/** Element (i, j) of an i32 matrix. */
static int32_t at_i32(const bt_npy *file, int64_t i, int64_t j) {
    int32_t value;
    memcpy(&value, file->data + (size_t)(i * file->dim[1] + j) * sizeof value, sizeof value);
    return value;
}

static bt_status check_neighbours(const sheets *s) {
    if (s->neighbours.dim[1] != s->queries.relevant.dim[1])
        return bt_error(BT_ERR_FORMAT, "%s: %lld columns, %lld in relevant.npy; bittern eval makes both again",
                        s->neighbours.path, (long long)s->neighbours.dim[1], (long long)s->queries.relevant.dim[1]);
    for (int64_t i = 0; i < s->queries.count; i++)
        for (int64_t r = 0; r < s->neighbours.dim[1]; r++) {
            int32_t item = at_i32(&s->neighbours, i, r);
            if (item < 0 || item >= s->database.count)
                return bt_error(BT_ERR_FORMAT, "%s: row %lld: item %d of a database of %lld", s->neighbours.path,
                                (long long)i, item, (long long)s->database.count);
        }
    return BT_OK;
}

static bt_status open_files(sheets *s) {
    const bt_page *page = s->page;
    const bt_json_value *ranks, *rank, *pack = bt_json_find(page->e, "pack");
    int64_t database;
    s->packed = pack && pack->type != BT_JSON_NULL;
    BT_TRY(bt_json_get_integer(page->e, "k", 1, INT64_MAX, &s->k));
    BT_TRY(bt_json_get_integer(page->e, "database", 1, INT32_MAX, &database));
    BT_TRY(bt_json_get(page->e, "ranks", BT_JSON_ARRAY, &ranks));
    BT_TRY(bt_json_at(ranks, 0, &rank));
    BT_TRY(bt_json_get_string(rank, "name", &s->rank));
    BT_TRY(bt_json_get(rank, "names", BT_JSON_ARRAY, &s->names));
    BT_TRY(bt_page_open_queries(page, &s->queries));
    BT_TRY(bt_page_matrix(page, "evaluation/neighbours.npy", BT_FILE_I32, s->queries.count, &s->neighbours));
    BT_TRY(bt_page_matrix(page, "evaluation/database_labels.npy", BT_FILE_I32, database, &s->database_labels));
    BT_TRY(open_side(s, "query", s->queries.count, &s->query));
    BT_TRY(open_side(s, "database", database, &s->database));
    return check_neighbours(s);
}

static void close_files(sheets *s) {
    bt_npy *const arrays[] = {&s->neighbours, &s->database_labels};
    for (int i = 0; i < 2; i++)
        if (arrays[i]->path) bt_npy_close(arrays[i]);
    bt_page_close_queries(&s->queries);
    close_side(&s->query);
    close_side(&s->database);
    bt_memory_free(s->order);
}

/* ---- which queries ---- */

typedef struct graded {
    int right;
    double precision;
    int64_t query;
} graded;

/** What a reader sees decides; the papers' AP does not, which is 1 for one relevant picture at rank 1 among none. */
static int best_first(const void *a, const void *b) {
    const graded *x = a, *y = b;
    if (x->right != y->right) return x->right > y->right ? -1 : 1;
    if (x->precision < y->precision || x->precision > y->precision) return x->precision > y->precision ? -1 : 1;
    return x->query < y->query ? -1 : x->query > y->query;
}

static bt_status sort_queries(sheets *s) {
    const bt_page_queries *q = &s->queries;
    graded *list = bt_memory_alloc((size_t)q->count, sizeof *list);
    s->order = bt_memory_alloc((size_t)q->count, sizeof *s->order);
    bool good = list && s->order;
    for (int64_t i = 0; i < q->count && good; i++) list[i] = (graded){bt_page_right(q, i), bt_page_standard(q, i), i};
    if (good) qsort(list, (size_t)q->count, sizeof *list, best_first);
    for (int64_t i = 0; i < q->count && good; i++) s->order[i] = list[i].query;
    bt_memory_free(list);
    return good ? BT_OK : BT_ERR_MEMORY;
}

/** Whether a query of this class is among those chosen already: a sheet of one species says little. */
static bool class_taken(const sheets *s, const int64_t *chosen, int count, int64_t query) {
    for (int i = 0; i < count; i++)
        if (bt_page_label(&s->queries, chosen[i]) == bt_page_label(&s->queries, query)) return true;
    return false;
}

/** From place `from` of the order, going by `step`: queries of different classes first, then any. */
static int choose(const sheets *s, int64_t from, int64_t step, const int64_t *before, int before_count, int64_t *out) {
    int count = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = from; i >= 0 && i < s->queries.count && count < OF_A_KIND; i += step) {
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
    if (label < 0 || (size_t)label >= s->names->count || s->names->as.member[label].type != BT_JSON_STRING)
        return "unlabelled";
    return s->names->as.member[label].as.string;
}

/** What a pack holds in a row: pixels, or a file. */
static bt_status from_pack(const bt_report_picture *p, const char *path, bt_text *out, const char **type) {
    bt_image image;
    if (p->side > 0) return bt_thumbnail_of(p->bytes, p->side, p->side, PIXELS, out, type);
    BT_TRY(bt_image_decode(p->bytes, p->count, path, NULL, &image));
    bt_status status = bt_thumbnail_of(image.pixels, image.height, image.width, PIXELS, out, type);
    bt_image_free(&image);
    return status;
}

static bool make_thumbnail(const sheets *s, const side *of, int64_t i, bt_text *out, const char **type) {
    bt_report_picture picture;
    int64_t row;
    if (!s->packed) return bt_thumbnail(of->path[i], PIXELS, out, type) == BT_OK;
    memcpy(&row, of->rows.data + (size_t)(i * of->rows.dim[1]) * sizeof row, sizeof row);
    const bt_report_pack *pack = s->page->pack;
    return pack->find(pack->context, row, of->path[i], &picture) &&
           from_pack(&picture, of->path[i], out, type) == BT_OK;
}

/** An unreadable picture is an empty frame: the data may have moved since. */
static void put_picture(sheets *s, const side *of, int64_t i, const char *caption, char mark) {
    bt_text bytes = {0};
    const char *type = "";
    bool good = make_thumbnail(s, of, i, &bytes, &type);
    bt_html_strip_picture(&s->page->html, type, good ? bt_text_get(&bytes) : NULL, bytes.length, caption, mark);
    bt_text_free(&bytes);
}

static void put_strip(sheets *s, int64_t query) {
    const bt_page_queries *q = &s->queries;
    int shown = bt_page_shown(q);
    char title[240];
    snprintf(title, sizeof title, "%.100s: %d of the first %d right, average precision@%lld " BT_SCORE,
             name_of(s, bt_page_label(q, query)), bt_page_right(q, query), shown, (long long)s->k,
             bt_page_standard(q, query));
    bt_html_strip_begin(&s->page->html, title);
    put_picture(s, &s->query, query, "query", 'q');
    for (int64_t r = 0; r < shown; r++) {
        int32_t item = at_i32(&s->neighbours, query, r);
        put_picture(s, &s->database, item, name_of(s, at_i32(&s->database_labels, item, 0)),
                    bt_page_relevant(q, query, r) ? '+' : '-');
    }
    bt_html_strip_end(&s->page->html);
}

/* ---- the section ---- */

/** Whether there are pictures; if not, the page says why. */
static bt_status find_pictures(sheets *s, bool *out) {
    const char *pack;
    bt_text text = {0};
    *out = false;
    if (s->query.path[0][0] == '#') {
        bt_html_paragraph(&s->page->html, "The data are embeddings: there are no pictures to show.");
        return bt_text_status(&s->page->html);
    }
    *out = true;
    if (!s->packed) return BT_OK;
    BT_TRY(bt_json_get_string(s->page->e, "pack", &pack));
    if (s->page->pack->open(s->page->pack->context, pack) == BT_OK) return BT_OK;
    *out = false;
    bt_text_append(&text, "The pictures are in a pack that cannot be read: %s.", bt_error_message());
    bt_status status = bt_text_status(&text);
    if (status == BT_OK) bt_html_paragraph(&s->page->html, bt_text_get(&text));
    bt_text_free(&text);
    return status == BT_OK ? bt_text_status(&s->page->html) : status;
}

static void explain(sheets *s, bool several) {
    char text[400];
    snprintf(text, sizeof text,
             "A query and its first %d neighbours in the database, nearest first. Blue frame and tick: %s%.40s; broken "
             "orange frame "
             "and cross: %s. Different classes where there are enough.",
             bt_page_shown(&s->queries), several ? "a label in common" : "the same ", several ? "" : s->rank,
             several ? "none" : "another one");
    bt_html_note(&s->page->html, text);
}

/** What the sheet above is sorted by. */
static void explain_order(sheets *s, int kind) {
    char text[240] = "From the middle of that order.";
    if (kind == 0)
        snprintf(text, sizeof text,
                 "Sorted by the number of right ones among the first %d, most first; equal ones by average "
                 "precision@%lld with the "
                 "standard divisor, then by the query's number.",
                 bt_page_shown(&s->queries), (long long)s->k);
    if (kind == 2)
        snprintf(text, sizeof text,
                 "The same order from its end: the fewest right ones first, then the lowest average precision.");
    bt_html_note(&s->page->html, text);
}

static bt_status write_sheets(sheets *s, bool several) {
    static const char *const headings[] = {"Found best", "In the middle", "Found worst"};
    int64_t chosen[3 * OF_A_KIND];
    int count = 0;
    bool there;
    BT_TRY(open_files(s));
    BT_TRY(find_pictures(s, &there));
    if (!there) return BT_OK;
    BT_TRY(sort_queries(s));
    explain(s, several);
    for (int kind = 0; kind < 3; kind++) {
        int64_t from = kind == 0 ? 0 : kind == 1 ? s->queries.count / 2 : s->queries.count - 1;
        int more = choose(s, from, kind == 2 ? -1 : 1, chosen, count, chosen + count);
        if (more > 0) bt_html_heading(&s->page->html, headings[kind]);
        for (int i = 0; i < more; i++) put_strip(s, chosen[count + i]);
        if (more > 0) explain_order(s, kind);
        count += more;
    }
    return bt_text_status(&s->page->html);
}

bt_status bt_page_neighbours(bt_page *page) {
    bool several;
    if (!page->e) return BT_OK;
    bt_html_section(&page->html, "neighbours", "Neighbours");
    BT_TRY(bt_json_get_bool(page->e, "multi_label", &several));
    if (!bt_page_has_queries(page)) {
        bt_html_paragraph(&page->html, BT_PAGE_NO_QUERIES);
        return BT_OK;
    }
    sheets s = {.page = page};
    bt_status status = write_sheets(&s, several);
    close_files(&s);
    return status;
}
