/* What the report reads of a run's folder. The input is some of its files, each behind a line "@name":
 *
 *   @evaluation.json            @metrics.jsonl              @provenance.jsonl           @config.yaml
 *   @neighbours.npy and the other files of evaluation/      @query_paths.txt
 *
 * They take the place of those of a good run, so that what a later part reads is reached though an earlier file is not
 * touched. What stands before the first such line is the pixels or the file that a pack gives for every picture. The
 * report is written or refused, and an accepted page is whole. */
#include "fuzz.h"

#include "../unit/run_folder.h"
#include "report/run_report.h"

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libfontconfig"; /* it keeps what it read about fonts */
}

#ifdef BITTERN_WITH_CAIRO
/* Painting the plots as PNG takes nine tenths of a report's time: the linker (--wrap) sends them here, and one input in
 * 16 has them painted. */
struct bt_canvas;
bt_status __real_bt_canvas_png(const struct bt_canvas *canvas, double scale, const char *path);
bt_status __wrap_bt_canvas_png(const struct bt_canvas *canvas, double scale, const char *path);
static bool paints;

bt_status __wrap_bt_canvas_png(const struct bt_canvas *canvas, double scale, const char *path) {
    return paints ? __real_bt_canvas_png(canvas, scale, path) : BT_OK;
}
#endif

typedef struct pack {
    const uint8_t *data;
    size_t bytes;
} pack;

static bt_status open_pack(void *context, const char *name) {
    const pack *p = context;
    return p->bytes % 7 == 6 ? bt_error(BT_ERR_IO, "cannot open %.100s", name) : BT_OK;
}

/** Pixels where they make a square, else a file; one picture in 16, since each takes a millisecond. */
static bool find(void *context, int64_t row, const char *path, bt_report_picture *out) {
    const pack *p = context;
    fuzz_touch(path, strlen(path) + 1);
    if (row < 0 || row % 16 != 4 || p->bytes == 0) return false;
    *out = (bt_report_picture){p->data, p->bytes, 0};
    for (int64_t side = 1; side <= 4; side++)
        if (p->bytes == (size_t)(side * side * 3)) out->side = side;
    return true;
}

/** Files that the input may give; those behind the fourth lie in evaluation/. */
static const char *const names[] = {
    "config.yaml",      "evaluation.json",     "metrics.jsonl",   "provenance.jsonl",      "neighbours.npy",
    "query_labels.npy", "database_labels.npy", "relevant.npy",    "average_precision.npy", "bit_correlation.npy",
    "query_rows.npy",   "database_rows.npy",   "query_paths.txt", "database_paths.txt"};
enum { NAMES = sizeof names / sizeof names[0], OUTSIDE = 4 };

static void path_of(int name, char *path, size_t bytes) {
    FUZZ_CHECK(snprintf(path, bytes, "run/%s%s", name < OUTSIDE ? "" : "evaluation/", names[name]) < (int)bytes);
}

/** The number of the name in a line "@name" at `at`, -1 if there is none; *body is what follows the line. */
static int heading(const uint8_t *data, size_t bytes, size_t at, size_t *body) {
    if (at >= bytes || data[at] != '@' || (at > 0 && data[at - 1] != '\n')) return -1;
    for (int i = 0; i < NAMES; i++) {
        size_t length = strlen(names[i]);
        if (bytes - at < length + 2 || memcmp(data + at + 1, names[i], length) != 0 || data[at + 1 + length] != '\n')
            continue;
        *body = at + length + 2;
        return i;
    }
    return -1;
}

/** The files of the input in place; how many bytes stand before the first. */
static size_t put_files(const uint8_t *data, size_t bytes, bool *replaced) {
    size_t first = bytes;
    for (size_t at = 0, body, next; at < bytes; at = next) {
        char path[64];
        int name = heading(data, bytes, at, &body);
        next = at + 1;
        if (name < 0) continue;
        if (first == bytes) first = at;
        size_t end = body, unused;
        while (end < bytes && heading(data, bytes, end, &unused) < 0) end++;
        path_of(name, path, sizeof path);
        fuzz_file(path, data + body,
                  end > body && end < bytes ? end - body - 1 : end - body); /* without the line break before "@" */
        replaced[name] = true;
        next = end;
    }
    return first;
}

/** The good run, written once; its files are put back from memory. */
static struct {
    uint8_t *content;
    size_t bytes;
} good[NAMES];

static void make_good(void) {
    char path[200];
    if (good[0].content) return;
    snprintf(path, sizeof path, "%s/run", fuzz_folder());
    run_check(bt_file_make_folders(path));
    run_folder(path, "birds.h5", false);
    for (int i = 0; i < NAMES; i++) {
        path_of(i, path, sizeof path);
        good[i].content = fuzz_read(fuzz_path(path), &good[i].bytes);
    }
}

/** Whether a drawing has a place that is no number. */
static bool is_lost(const char *page) {
    static const char *const before[] = {" d=\"M", " x=\"", " y=\"", " cx=\"", " cy=\""}, *const numbers[] = {
                                                                                              "nan", "-nan", "inf",
                                                                                              "-inf"};
    char text[24];
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 4; k++) {
            snprintf(text, sizeof text, "%s%s", before[i], numbers[k]);
            if (strstr(page, text)) return true;
        }
    return false;
}

static void check_page(void) {
    size_t bytes;
    uint8_t *page = fuzz_read(fuzz_path("run/report.html"), &bytes);
    page[bytes] = 0;
    FUZZ_CHECK(bytes > 100 && strlen((char *)page) == bytes && strncmp((char *)page, "<!DOCTYPE html>", 15) == 0);
    FUZZ_CHECK(strstr((char *)page, "</html>") && !strstr((char *)page, "<script") && !is_lost((char *)page));
    free(page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    bool replaced[NAMES] = {false};
    char path[64];
    make_good();
#ifdef BITTERN_WITH_CAIRO
    paints = bytes % 16 == 0;
#endif
    pack p = {data, put_files(data, bytes, replaced)};
    bt_status status = bt_report_write(fuzz_path("run"), &(bt_report_pack){&p, open_pack, find});
    if (status == BT_OK)
        check_page();
    else
        FUZZ_CHECK_REFUSED(status);
    for (int i = 0; i < NAMES; i++)
        if (replaced[i]) {
            path_of(i, path, sizeof path);
            fuzz_file(path, good[i].content, good[i].bytes);
        }
    return 0;
}
