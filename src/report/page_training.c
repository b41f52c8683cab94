/* Curves of the training, from metrics.jsonl. */
#include "report/page.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { MOST_BYTES = 1 << 30 };

/* ---- reading ---- */

static bt_page_series *series_named(bt_page_series *list, int *count, const char *name) {
    for (int i = 0; i < *count; i++)
        if (strcmp(list[i].name, name) == 0) return &list[i];
    if (*count == BT_PAGE_SERIES || strlen(name) >= sizeof list->name) return NULL; /* more than a page shows */
    snprintf(list[*count].name, sizeof list->name, "%s", name);
    return &list[(*count)++];
}

static bt_status add_point(bt_page_series *s, double x, double y) {
    double *grown = bt_memory_grow(s->x, &s->x_capacity, (size_t)s->count + 1, sizeof *s->x);
    if (!grown) return BT_ERR_MEMORY;
    s->x = grown;
    grown = bt_memory_grow(s->y, &s->y_capacity, (size_t)s->count + 1, sizeof *s->y);
    if (!grown) return BT_ERR_MEMORY;
    s->y = grown;
    s->x[s->count] = x;
    s->y[s->count++] = y;
    return BT_OK;
}

/** All numbers of a line, by their keys. Numbers that are no numbers ("nan") leave a gap. */
static bt_status read_line(bt_page *page, const bt_json_value *root) {
    const char *kind;
    double step;
    BT_TRY(bt_json_get_string(root, "kind", &kind));
    BT_TRY(bt_json_get_number(root, "step", &step));
    bool scores = strcmp(kind, "scores") == 0;
    if (!scores && strcmp(kind, "step") != 0) return BT_OK;
    for (size_t i = 0; i < root->count; i++) {
        const bt_json_value *v = &root->as.member[i];
        double value;
        if (strcmp(v->key, "step") == 0 || (v->type != BT_JSON_NUMBER && v->type != BT_JSON_INTEGER)) continue;
        BT_TRY(bt_json_as_number(v, &value));
        bt_page_series *s = scores ? series_named(page->scores, &page->score_count, v->key)
                                   : series_named(page->series, &page->series_count, v->key);
        if (s) BT_TRY(add_point(s, step, value));
    }
    return BT_OK;
}

bt_status bt_page_read_metrics(bt_page *page) {
    char path[BT_PAGE_PATH], *content;
    size_t bytes;
    BT_TRY(bt_page_path(page, "metrics.jsonl", path));
    if (!bt_file_exists(path)) return BT_OK;
    BT_TRY(bt_file_read(path, MOST_BYTES, &content, &bytes));
    bt_status status = BT_OK;
    for (char *line = content, *end; status == BT_OK && line < content + bytes; line = end + 1) {
        end = memchr(line, '\n', (size_t)(content + bytes - line));
        if (!end) break; /* a torn last line: the run is being written, or was killed */
        bt_json *json;
        status = bt_json_parse(line, (size_t)(end - line), path, (size_t)(line - content), &json);
        if (status != BT_OK) break;
        status = read_line(page, bt_json_root(json));
        bt_json_free(json);
    }
    bt_memory_free(content);
    return status;
}

void bt_page_free_metrics(bt_page *page) {
    for (int i = 0; i < BT_PAGE_SERIES; i++) {
        bt_memory_free(page->series[i].x);
        bt_memory_free(page->series[i].y);
        bt_memory_free(page->scores[i].x);
        bt_memory_free(page->scores[i].y);
    }
}

/* ---- drawing ---- */

static const bt_page_series *find(const bt_page_series *list, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0) return &list[i];
    return NULL;
}

static bt_status draw_one(bt_page *page, const char *key, const char *file, const char *title, const char *label,
                          bool from_zero) {
    const bt_page_series *s = find(page->series, page->series_count, key);
    if (!s) return BT_OK;
    bt_series series = {key, s->x, s->y, s->count, false};
    bt_curves curves = {title, "step", label, &series, 1, from_zero};
    return bt_page_plot(page, file, bt_curves_draw(&curves, 440, 260), NULL);
}

/** What is neither loss, rate nor speed is a term of the loss. */
static bool is_term(const char *name) {
    static const char *const others[] = {"loss", "lr", "views_per_s", "waiting", "epoch", "seconds"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i]) == 0) return false;
    return strncmp(name, "lr_", 3) != 0;
}

static bt_status draw_terms(bt_page *page) {
    for (int i = 0; i < page->series_count; i++) {
        const bt_page_series *s = &page->series[i];
        char title[96], file[96];
        if (!is_term(s->name) || strspn(s->name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(s->name)) continue;
        snprintf(title, sizeof title, "Term of the loss: %s", s->name);
        snprintf(file, sizeof file, "term_%s", s->name);
        BT_TRY(draw_one(page, s->name, file, title, "value", false));
    }
    return BT_OK;
}

static bt_status draw_scores(bt_page *page) {
    static const char *const keys[] = {"map_binary", "map_hamming", "map_continuous", "accuracy"};
    static const char *const names[] = {"codes", "codes, Hamming", "embeddings", "accuracy"};
    bt_series series[4];
    int count = 0;
    for (int i = 0; i < 4; i++) {
        const bt_page_series *s = find(page->scores, page->score_count, keys[i]);
        if (s && s->count > 1) series[count++] = (bt_series){names[i], s->x, s->y, s->count, i == 1};
    }
    if (count == 0) return BT_OK;
    bt_curves curves = {"Scores over the training", "step", "mAP@k", series, count, true};
    return bt_page_plot(page, "scores_over_steps", bt_curves_draw(&curves, 560, 230), NULL);
}

bt_status bt_page_training(bt_page *page) {
    if (page->series_count == 0) return BT_OK;
    bt_html_section(&page->html, "training", "Training");
    BT_TRY(draw_scores(page));
    bt_html_pair_begin(&page->html);
    bt_status status = draw_one(page, "loss", "loss", "Loss", "loss", false);
    if (status == BT_OK) status = draw_terms(page);
    if (status == BT_OK) status = draw_one(page, "lr", "learning_rate", "Learning rate", "rate", true);
    if (status == BT_OK) status = draw_one(page, "views_per_s", "speed", "Speed", "views per second", true);
    bt_html_pair_end(&page->html);
    return status;
}
