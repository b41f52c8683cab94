/* Scores of a run so far. */
#include "train/history.h"

#include "base/file.h"
#include "base/memory.h"
#include "formats/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *bt_best_key(bt_best best, const bt_method *method) {
    static const char *const keys[] = {NULL, "map_binary", "map_continuous", "accuracy", "loss"};
    if (best == BT_BEST_AUTO) best = method->codes ? BT_BEST_BINARY : BT_BEST_ACCURACY;
    return keys[best];
}

void bt_history_add(bt_history *h, int64_t step, double score) {
    if (step <= h->last_step || isnan(score)) return;
    bool lower = strcmp(h->key, "loss") == 0;
    bool better = h->best_step < 0 || (lower ? score < h->best : score > h->best);
    h->last_step = step;
    h->since_best = better ? 0 : h->since_best + 1;
    if (!better) return;
    h->best_step = step;
    h->best = score;
}

/** One line: the loss of a step, or scores of "epoch" or "after". */
static void read_line(bt_history *h, const bt_json_value *line) {
    const char *kind, *when;
    int64_t step;
    double score;
    if (bt_json_get_string(line, "kind", &kind) != BT_OK) return;
    if (strcmp(kind, "step") == 0 && bt_json_get_number(line, "loss", &score) == BT_OK) h->loss = score;
    if (strcmp(kind, "scores") != 0) return;
    if (bt_json_get_string(line, "when", &when) != BT_OK || strcmp(when, "before") == 0) return;
    if (bt_json_get_integer(line, "step", 0, INT64_MAX, &step) != BT_OK ||
        bt_json_get_number(line, h->key, &score) != BT_OK)
        return;
    bt_history_add(h, step, score);
}

bt_status bt_history_read(const char *run, const char *key, bt_history *out) {
    *out = (bt_history){.key = key, .last_step = -1, .best_step = -1, .loss = NAN};
    char path[1200], *content;
    size_t bytes;
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    if (!bt_file_exists(path)) return BT_OK;
    BT_TRY(bt_file_read(path, (size_t)1 << 30, &content, &bytes));
    for (char *line = content, *end; line < content + bytes; line = end + 1) {
        end = memchr(line, '\n', (size_t)(content + bytes - line));
        bt_json *json;
        if (!end) break; /* torn */
        if (bt_json_parse(line, (size_t)(end - line), path, (size_t)(line - content), &json) != BT_OK) continue;
        read_line(out, bt_json_root(json));
        bt_json_free(json);
    }
    bt_memory_free(content);
    return BT_OK;
}
