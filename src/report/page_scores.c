/* Summary and scores: what the run is worth, beside what it must be compared with. */
#include "report/page.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WAYS = 6, FREE = 2, BINARY = 5 };
static const char *const keys[WAYS] = {"random", "before", "training_free", "continuous", "symmetric", "binary"};
static const char *const labels[WAYS] = {"Random weights",          "Encoder before training",
                                         "Codes without training",  "Encoder after training",
                                         "Codes, Hamming distance", "Codes, asymmetric distance"};

/** Scores of one way at one rank and one cutoff. */
typedef struct cell {
    bool present, interval;
    double papers, papers_low, papers_high, standard, standard_low, standard_high, precision, hit_rate;
} cell;

/** A score: a number within 0 and 1. */
static bt_status check_share(const bt_json_value *at, const char *key, double value) {
    if (value >= 0 && value <= 1) return BT_OK;
    return bt_json_error(bt_json_find(at, key), "%s: %g; it is within 0 and 1", key, value);
}

static bt_status read_share(const bt_json_value *at, const char *key, double *out) {
    BT_TRY(bt_json_get_number(at, key, out));
    return check_share(at, key, *out);
}

static bt_status read_interval(const bt_json_value *at, const char *key, bool *present, double *low, double *high) {
    int64_t two = 2;
    double *ends = NULL;
    *present = bt_json_find(at, key) != NULL;
    if (!*present) return BT_OK;
    BT_TRY(bt_page_numbers(at, key, &two, &ends));
    *low = ends[0];
    *high = ends[1];
    bt_memory_free(ends);
    BT_TRY(check_share(at, key, *low));
    return check_share(at, key, *high);
}

static bt_status read_spread(const bt_json_value *at, const char *key, double *mean, double *low, double *high) {
    const bt_json_value *spread;
    double deviation;
    BT_TRY(bt_json_get(at, key, BT_JSON_OBJECT, &spread));
    BT_TRY(read_share(spread, "mean", mean));
    BT_TRY(read_share(spread, "deviation", &deviation));
    *low = *mean - deviation;
    *high = *mean + deviation;
    return BT_OK;
}

/** Training-free codes: mean and deviation over rotations stand for the interval. */
static bt_status read_free(const bt_json_value *at, cell *out) {
    BT_TRY(read_spread(at, "papers", &out->papers, &out->papers_low, &out->papers_high));
    out->present = out->interval = true;
    out->precision = out->hit_rate = NAN;
    return read_spread(at, "standard", &out->standard, &out->standard_low, &out->standard_high);
}

/** An absent way or cutoff gives present = false. */
static bt_status read_cell(const bt_page *page, int way, size_t rank, size_t cutoff, cell *out) {
    const bt_json_value *scores, *group, *list, *at;
    *out = (cell){.present = false};
    if (way == FREE) {
        group = bt_json_find(page->e, "training_free");
        if (rank > 0 || !group || group->type != BT_JSON_OBJECT || !bt_json_find(group, "at")) return BT_OK;
        BT_TRY(bt_json_get(group, "at", BT_JSON_ARRAY, &list));
        if (cutoff >= list->count) return BT_OK;
        return read_free(&list->as.member[cutoff], out);
    }
    BT_TRY(bt_json_get(page->e, "scores", BT_JSON_OBJECT, &scores));
    if (!bt_json_find(scores, keys[way])) return BT_OK;
    BT_TRY(bt_json_get(scores, keys[way], BT_JSON_OBJECT, &group));
    BT_TRY(bt_json_get(group, "ranks", BT_JSON_ARRAY, &list));
    BT_TRY(bt_json_at(list, rank, &group));
    BT_TRY(bt_json_get(group, "at", BT_JSON_ARRAY, &list));
    if (cutoff >= list->count) return BT_OK;
    BT_TRY(bt_json_at(list, cutoff, &at));
    out->present = true;
    BT_TRY(read_share(at, "papers", &out->papers));
    BT_TRY(read_share(at, "standard", &out->standard));
    BT_TRY(read_share(at, "precision", &out->precision));
    BT_TRY(read_share(at, "hit_rate", &out->hit_rate));
    BT_TRY(read_interval(at, "papers_interval", &out->interval, &out->papers_low, &out->papers_high));
    return read_interval(at, "standard_interval", &out->interval, &out->standard_low, &out->standard_high);
}

/* ---- summary ---- */

static void tile(bt_page *page, const char *label, const cell *c, bool is_free, bool strong) {
    char value[32] = "–", note[64] = "not measured";
    if (c->present) {
        snprintf(value, sizeof value, BT_SCORE, c->papers);
        note[0] = 0;
        if (is_free)
            snprintf(note, sizeof note, "± " BT_SCORE " over rotations", c->papers_high - c->papers);
        else if (c->interval)
            snprintf(note, sizeof note, "95 %%: " BT_SCORE " to " BT_SCORE, c->papers_low, c->papers_high);
    }
    bt_html_tile(&page->html, label, value, note, strong);
}

/** One or two sentences that a reader may quote; they claim no more than the intervals allow. */
static void verdict(bt_page *page, const cell *binary, const cell *continuous, const cell *hashed) {
    char text[400] = "";
    if (!binary->present) return;
    if (continuous->papers > 0)
        snprintf(text, sizeof text, "The codes reach %.0f %% of the score of the embeddings they were made from. ",
                 100 * binary->papers / continuous->papers);
    size_t at = strlen(text);
    if (hashed->present) {
        double gain = binary->papers - hashed->papers;
        bool clear = binary->interval && (hashed->papers < binary->papers_low || hashed->papers > binary->papers_high);
        snprintf(text + at, sizeof text - at,
                 "They are " BT_SCORE " %s codes of the same length that need no training%s", fabs(gain),
                 gain >= 0 ? "above" : "below",
                 !binary->interval ? "."
                 : clear           ? "; the interval of the codes does not contain that control."
                                   : "; the interval of the codes contains that control, so these queries do not "
                                     "settle which is better.");
    }
    bt_html_paragraph(&page->html, text);
}

bt_status bt_page_summary(bt_page *page) {
    if (!page->e) {
        bt_html_paragraph(&page->html, "This run has not been evaluated yet: bittern eval RUN makes the scores.");
        return BT_OK;
    }
    cell c[WAYS];
    int64_t k;
    char label[64];
    BT_TRY(bt_json_get_integer(page->e, "k", 1, INT64_MAX, &k));
    for (int way = 0; way < WAYS; way++) BT_TRY(read_cell(page, way, 0, 0, &c[way]));
    bt_html_tiles_begin(&page->html);
    snprintf(label, sizeof label, "Codes, mAP@%lld", (long long)k);
    if (c[BINARY].present) tile(page, label, &c[BINARY], false, true);
    tile(page, "Embeddings (continuous)", &c[3], false, !c[BINARY].present);
    tile(page, "Codes without training", &c[FREE], true, false);
    tile(page, "Random weights", &c[0], false, false);
    bt_html_tiles_end(&page->html);
    verdict(page, &c[BINARY], &c[3], &c[FREE]);
    return BT_OK;
}

/* ---- the section ---- */

static bt_status draw_bars(bt_page *page, int64_t k) {
    bt_bar bars[WAYS];
    int count = 0;
    double most = 0;
    char title[64];
    for (int way = 0; way < WAYS; way++) {
        cell c;
        BT_TRY(read_cell(page, way, 0, 0, &c));
        if (!c.present) continue;
        most = fmax(most, fmax(c.papers, c.interval ? c.papers_high : 0));
        bars[count++] = (bt_bar){.name = labels[way],
                                 .value = c.papers,
                                 .low = c.interval ? c.papers_low : 0,
                                 .high = c.interval ? c.papers_high : 0,
                                 .quiet = way <= FREE};
    }
    snprintf(title, sizeof title, "mAP@%lld, papers' denominator", (long long)k);
    double step = bt_tick_step(0, most, 5);
    most = most > 0 ? fmin(1, ceil(most / step) * step) : 1;
    return bt_page_plot(
        page, "scores", bt_bars_draw(title, bars, count, most, 560),
        "Blue: this run. Grey: what it must be compared with. Whiskers: 95 % intervals over queries; for codes "
        "without training the deviation over random rotations.");
}

/** A score over its interval; a dash where there is nothing. */
static void write_score(char *text, size_t bytes, bool present, bool interval, bool is_free, double value, double low,
                        double high) {
    if (!present || !isfinite(value))
        snprintf(text, bytes, "–");
    else if (is_free)
        snprintf(text, bytes, BT_SCORE "\n± " BT_SCORE, value, high - value);
    else if (interval)
        snprintf(text, bytes, BT_SCORE "\n" BT_SCORE " to " BT_SCORE, value, low, high);
    else
        snprintf(text, bytes, BT_SCORE, value);
}

static bt_status write_table(bt_page *page, int64_t k) {
    char heads[6][40];
    snprintf(heads[1], sizeof heads[1], "mAP@%lld", (long long)k);
    snprintf(heads[2], sizeof heads[2], "mAP@%lld, standard", (long long)k);
    snprintf(heads[3], sizeof heads[3], "mAP, all");
    snprintf(heads[4], sizeof heads[4], "precision@%lld", (long long)k);
    snprintf(heads[5], sizeof heads[5], "hit rate@%lld", (long long)k);
    bt_html_table_begin(&page->html, "lrrrrr",
                        (const char *const[]){"", heads[1], heads[2], heads[3], heads[4], heads[5]});
    for (int way = 0; way < WAYS; way++) {
        cell c, all;
        char text[5][64];
        BT_TRY(read_cell(page, way, 0, 0, &c));
        BT_TRY(read_cell(page, way, 0, 1, &all));
        if (!c.present) continue;
        write_score(text[0], sizeof text[0], true, c.interval, way == FREE, c.papers, c.papers_low, c.papers_high);
        write_score(text[1], sizeof text[1], true, c.interval, way == FREE, c.standard, c.standard_low,
                    c.standard_high);
        write_score(text[2], sizeof text[2], all.present, all.interval, way == FREE, all.standard, all.standard_low,
                    all.standard_high);
        write_score(text[3], sizeof text[3], true, false, false, c.precision, 0, 0);
        write_score(text[4], sizeof text[4], true, false, false, c.hit_rate, 0, 0);
        bt_html_table_row(&page->html, "lrrrrr",
                          (const char *const[]){labels[way], text[0], text[1], text[2], text[3], text[4]},
                          way == BINARY);
    }
    bt_html_table_end(&page->html);
    bt_html_note(
        &page->html,
        "mAP@k divides by the relevant pictures among the first k, as the papers on hashing do; the standard "
        "divisor is the smaller of k and all relevant pictures, and the two agree where the whole database is "
        "ranked. In small type: 95 % intervals by a bootstrap over queries; ± is the deviation over random rotations.");
    return BT_OK;
}

/** "same species", and below it the ranks whose rows would be the same: "also genus". */
static bt_status describe_rank(const bt_json_value *rank, char *text, size_t bytes) {
    const char *name;
    BT_TRY(bt_json_get_string(rank, "name", &name));
    int length = snprintf(text, bytes, "same %.60s", name);
    const bt_json_value *also = bt_json_find(rank, "also"); /* absent in files of older programs */
    for (size_t i = 0; also && also->type == BT_JSON_ARRAY && i < also->count; i++) {
        BT_TRY(bt_json_as_string(&also->as.member[i], &name));
        if ((size_t)length < bytes)
            length += snprintf(text + length, bytes - (size_t)length, "%s%.30s", i ? ", " : "\nalso ", name);
    }
    return BT_OK;
}

/** One row for each rank of the taxonomy. */
static bt_status write_ranks(bt_page *page, int64_t k) {
    const bt_json_value *ranks, *rank;
    BT_TRY(bt_json_get(page->e, "ranks", BT_JSON_ARRAY, &ranks));
    if (ranks->count < 2) return BT_OK;
    char head[64];
    snprintf(head, sizeof head, "The same ranking at each rank of the taxonomy, mAP@%lld", (long long)k);
    bt_html_heading(&page->html, head);
    bt_html_table_begin(
        &page->html, "lrrrrr",
        (const char *const[]){"counts as found", "groups", "random weights", "before", "embeddings", "codes"});
    static const int shown[] = {0, 1, 3, BINARY};
    for (size_t r = 0; r < ranks->count; r++) {
        int64_t classes;
        char text[4][64], groups[24], found[200];
        BT_TRY(bt_json_at(ranks, r, &rank));
        BT_TRY(describe_rank(rank, found, sizeof found));
        BT_TRY(bt_json_get_integer(rank, "classes", 0, INT64_MAX, &classes));
        for (int i = 0; i < 4; i++) {
            cell c;
            BT_TRY(read_cell(page, shown[i], r, 0, &c));
            write_score(text[i], sizeof text[i], c.present, false, false, c.papers, 0, 0);
        }
        snprintf(groups, sizeof groups, "%lld", (long long)classes);
        bt_html_table_row(&page->html, "lrrrrr",
                          (const char *const[]){found, groups, text[0], text[1], text[2], text[3]}, false);
    }
    bt_html_table_end(&page->html);
    bt_html_note(&page->html,
                 "Groups: those that occur among queries and database. Ranks with the same groups stand in one row.");
    return BT_OK;
}

/* ---- curves ---- */

static bt_status draw_curves(bt_page *page) {
    static const int shown[] = {BINARY, 3, 1, 0};
    static const char *const names[] = {"codes", "embeddings", "before", "random"};
    const bt_json_value *scores, *group, *ranks;
    double *recall = NULL, *precision[4] = {NULL};
    bt_series series[4];
    int64_t points = -1;
    int count = 0;
    BT_TRY(bt_json_get(page->e, "scores", BT_JSON_OBJECT, &scores));
    bt_status status = bt_page_numbers(page->e, "curve_recall", &points, &recall);
    for (int i = 0; i < 4 && status == BT_OK; i++) {
        if (!bt_json_find(scores, keys[shown[i]])) continue;
        status = bt_json_get(scores, keys[shown[i]], BT_JSON_OBJECT, &group);
        if (status == BT_OK) status = bt_json_get(group, "ranks", BT_JSON_ARRAY, &ranks);
        if (status == BT_OK) status = bt_json_at(ranks, 0, &group);
        if (status == BT_OK) status = bt_page_numbers(group, "curve", &points, &precision[count]);
        if (status == BT_OK) series[count] = (bt_series){names[i], recall, precision[count], points, shown[i] <= 1};
        count += status == BT_OK;
    }
    bt_curves curves = {"Precision at recall", "recall", "precision", series, count, true};
    if (status == BT_OK)
        status = bt_page_plot(
            page, "precision_recall", bt_curves_draw(&curves, 560, 260),
            "Interpolated precision, mean over queries. Ranks behind the largest cutoff count as not retrieved.");
    bt_memory_free(recall);
    for (int i = 0; i < 4; i++) bt_memory_free(precision[i]);
    return status;
}

/* ---- what only a full evaluation has ---- */

static bt_status write_measures(bt_page *page) {
    const bt_json_value *scores, *group, *rank;
    bool full = false;
    BT_TRY(bt_json_get_bool(page->e, "full", &full));
    if (!full) return BT_OK;
    BT_TRY(bt_json_get(page->e, "scores", BT_JSON_OBJECT, &scores));
    bt_html_heading(&page->html, "Other measures");
    bt_html_table_begin(&page->html, "lrrrr",
                        (const char *const[]){"", "kNN vote", "linear probe", "effective rank", "participation ratio"});
    for (int way = 0; way < WAYS; way++) {
        char text[4][32] = {"–", "–", "–", "–"};
        bool present;
        double value;
        group = bt_json_find(scores, keys[way]);
        if (!group) continue;
        BT_TRY(bt_page_number(group, "vote", &present, &value));
        if (present) snprintf(text[0], sizeof text[0], BT_SCORE, value);
        BT_TRY(bt_page_number(group, "probe", &present, &value));
        if (present) snprintf(text[1], sizeof text[1], BT_SCORE, value);
        if ((rank = bt_json_find(group, "effective_rank"))) {
            BT_TRY(bt_json_get_number(rank, "entropy", &value));
            snprintf(text[2], sizeof text[2], "%.1f", value);
        }
        if ((rank = bt_json_find(group, "effective_rank_centred"))) {
            BT_TRY(bt_json_get_number(rank, "participation", &value));
            snprintf(text[3], sizeof text[3], "%.1f", value);
        }
        bt_html_table_row(&page->html, "lrrrr", (const char *const[]){labels[way], text[0], text[1], text[2], text[3]},
                          way == BINARY);
    }
    bt_html_table_end(&page->html);
    bt_html_note(&page->html,
                 "kNN and probe: accuracy on the queries. Effective rank: exponential of the entropy of the singular "
                 "values, not centred; participation ratio of the variances, centred.");
    return BT_OK;
}

bt_status bt_page_scores(bt_page *page) {
    if (!page->e) return BT_OK;
    int64_t k;
    BT_TRY(bt_json_get_integer(page->e, "k", 1, INT64_MAX, &k));
    bt_html_section(&page->html, "scores", "Scores");
    BT_TRY(draw_bars(page, k));
    BT_TRY(write_table(page, k));
    const bt_json_value *hashed = bt_json_find(page->e, "training_free");
    const char *reason;
    if (hashed && bt_json_find(hashed, "reason")) {
        char text[300];
        BT_TRY(bt_json_get_string(hashed, "reason", &reason));
        snprintf(text, sizeof text, "No codes without training: %.240s.", reason);
        bt_html_note(&page->html, text);
    }
    BT_TRY(write_ranks(page, k));
    BT_TRY(draw_curves(page));
    return write_measures(page);
}
