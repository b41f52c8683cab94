/* The report of a run: what is read, the frame of the page, and its parts in order. */
#include "report/run_report.h"

#include "base/build.h"
#include "base/file.h"
#include "base/memory.h"
#include "report/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- for the parts ---- */

bt_status bt_page_path(const bt_page *page, const char *name, char *path) {
    int length = snprintf(path, BT_PAGE_PATH, "%s/%s", page->run, name);
    if (length < 0 || length >= BT_PAGE_PATH)
        return bt_error(BT_ERR_IO, "%.80s...: a path of more than %d bytes", page->run, BT_PAGE_PATH - 1);
    return BT_OK;
}

bt_status bt_page_plot(bt_page *page, const char *name, bt_canvas *canvas, const char *caption) {
    char path[BT_PAGE_PATH], file[96];
    snprintf(file, sizeof file, "plots/%s", name);
    bt_status status = canvas ? bt_page_path(page, file, path) : BT_ERR_MEMORY;
    if (status == BT_OK) status = bt_canvas_save(canvas, path);
    if (status != BT_OK) {
        bt_canvas_free(canvas);
        return status;
    }
    bt_html_canvas(&page->html, canvas, caption);
    return bt_text_status(&page->html);
}

bt_status bt_page_number(const bt_json_value *object, const char *key, bool *present, double *out) {
    const bt_json_value *v = bt_json_find(object, key);
    *present = v && v->type != BT_JSON_NULL;
    return *present ? bt_json_as_number(v, out) : BT_OK;
}

bt_status bt_page_numbers(const bt_json_value *object, const char *key, int64_t *count, double **out) {
    const bt_json_value *list;
    BT_TRY(bt_json_get(object, key, BT_JSON_ARRAY, &list));
    if (*count >= 0 && list->count != (size_t)*count)
        return bt_json_error(list, "%zu numbers where %lld are expected", list->count, (long long)*count);
    double *values = bt_memory_alloc(list->count, sizeof *values);
    bt_status status = values ? BT_OK : BT_ERR_MEMORY;
    for (size_t i = 0; i < list->count && status == BT_OK; i++)
        status = bt_json_as_number(&list->as.member[i], &values[i]);
    if (status != BT_OK) {
        bt_memory_free(values);
        return status;
    }
    *count = (int64_t)list->count;
    *out = values;
    return BT_OK;
}

/* ---- the page ---- */

static bt_status open_evaluation(bt_page *page) {
    char path[BT_PAGE_PATH];
    const char *format;
    int64_t version;
    BT_TRY(bt_page_path(page, "evaluation.json", path));
    if (!bt_file_exists(path)) return BT_OK;
    BT_TRY(bt_json_read(path, &page->evaluation));
    page->e = bt_json_root(page->evaluation);
    BT_TRY(bt_json_get_string(page->e, "format", &format));
    if (strcmp(format, "bittern evaluation") != 0)
        return bt_error(BT_ERR_FORMAT, "%s: format \"%.40s\"; expected \"bittern evaluation\"", path, format);
    BT_TRY(bt_json_get_integer(page->e, "version", 1, INT64_MAX, &version));
    if (version != 1)
        return bt_error(BT_ERR_FORMAT, "%s: version %lld; this program reads 1", path, (long long)version);
    return BT_OK;
}

/** "codes" of "runs/quickstart/codes/"; a run in the present folder has that folder's name. */
static bt_status name_of(const char *run, bt_text *out) {
    char *full = realpath(run, NULL); /* may fail: then the name as it was given */
    const char *path = full ? full : run, *slash = strrchr(path, '/');
    bt_text_append(out, "%s", slash && slash[1] ? slash + 1 : path);
    free(full);
    return bt_text_status(out);
}

static bt_status subtitle_of(const bt_page *page, bt_text *out) {
    if (!page->e) {
        bt_text_append(out, "%s, not evaluated yet", page->run);
        return bt_text_status(out);
    }
    const char *method;
    int64_t bits, step, queries, database;
    BT_TRY(bt_json_get_string(page->e, "method", &method));
    BT_TRY(bt_json_get_integer(page->e, "bits", 0, 1 << 20, &bits));
    BT_TRY(bt_json_get_integer(page->e, "step", 0, INT64_MAX, &step));
    BT_TRY(bt_json_get_integer(page->e, "queries", 0, INT64_MAX, &queries));
    BT_TRY(bt_json_get_integer(page->e, "database", 0, INT64_MAX, &database));
    bt_text_append(out, "%s, ", method);
    if (bits) bt_text_append(out, "%lld bits, ", (long long)bits);
    bt_text_append(out, "step %lld. %lld queries against %lld pictures.", (long long)step, (long long)queries,
                   (long long)database);
    return bt_text_status(out);
}

static bt_status write_parts(bt_page *page) {
    static const char *const ids[] = {"scores", "neighbours", "codes", "classes", "training", "settings"};
    static const char *const names[] = {"Scores", "Neighbours", "Codes", "Classes", "Training", "Settings"};
    bt_text title = {0}, subtitle = {0};
    bool codes;
    double bits;
    bt_status status = name_of(page->run, &title);
    if (status == BT_OK) status = subtitle_of(page, &subtitle);
    if (status == BT_OK) bt_html_begin(&page->html, bt_text_get(&title), bt_text_get(&subtitle));
    bt_text_free(&title);
    bt_text_free(&subtitle);
    BT_TRY(status);
    codes = false;
    if (page->e) BT_TRY(bt_page_number(page->e, "bits", &codes, &bits));
    const char *here_ids[6], *here_names[6];
    int count = 0;
    for (int i = 0; i < 6; i++) {
        if ((i < 4 && !page->e) || (i == 2 && !(codes && bits > 0)) || (i == 4 && page->series_count == 0)) continue;
        here_ids[count] = ids[i];
        here_names[count++] = names[i];
    }
    bt_html_contents(&page->html, here_ids, here_names, count);
    BT_TRY(bt_page_summary(page));
    BT_TRY(bt_page_scores(page));
    BT_TRY(bt_page_neighbours(page));
    BT_TRY(bt_page_codes(page));
    BT_TRY(bt_page_classes(page));
    BT_TRY(bt_page_training(page));
    return bt_page_settings(page);
}

static bt_status write_page(bt_page *page) {
    char path[BT_PAGE_PATH], footer[160];
    BT_TRY(bt_page_path(page, "config.yaml", path));
    if (!bt_file_exists(path))
        return bt_error(BT_ERR_IO, "%s is no run's folder: it has no config.yaml; bittern train makes one (run.dir)",
                        page->run);
    BT_TRY(bt_page_path(page, "plots", path));
    BT_TRY(bt_file_make_folders(path));
    BT_TRY(open_evaluation(page));
    BT_TRY(bt_page_read_metrics(page));
    BT_TRY(write_parts(page));
    snprintf(footer, sizeof footer, "Made by bittern %s, commit %.40s. All plots are in the run's folder plots/ too.",
             bt_build_version, bt_build_commit);
    bt_html_end(&page->html, footer);
    BT_TRY(bt_text_status(&page->html));
    BT_TRY(bt_page_path(page, "report.html", path));
    return bt_file_write(path, bt_text_get(&page->html), page->html.length);
}

bt_status bt_report_write(const char *run, const bt_report_pack *pack) {
    bt_page page = {.run = run, .pack = pack};
    bt_status status = write_page(&page);
    bt_json_free(page.evaluation);
    bt_page_free_metrics(&page);
    bt_text_free(&page.html);
    return status;
}
