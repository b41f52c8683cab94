/* Scores of a run so far, read from its metrics.jsonl: which checkpoint is best, and how long ago. So nothing has to be
 * saved beside the lines themselves, and a run that is resumed, or judged by another score, comes to the same answer.
 */
#ifndef BITTERN_TRAIN_HISTORY_H
#define BITTERN_TRAIN_HISTORY_H

#include "train/evaluate.h"

/** What run.best may be; BT_BEST_AUTO is map_binary for methods with codes, accuracy for those with classes. */
typedef enum bt_best { BT_BEST_AUTO, BT_BEST_BINARY, BT_BEST_CONTINUOUS, BT_BEST_ACCURACY, BT_BEST_LOSS } bt_best;

/** The key of a score in metrics.jsonl ("map_binary"); `auto` is resolved by the method. */
const char *bt_best_key(bt_best best, const bt_method *method);

typedef struct bt_history {
    const char *key;   /**< of the score */
    int64_t last_step; /**< of the newest scores, -1: none */
    int64_t best_step; /**< -1: none */
    double best;
    int64_t since_best; /**< scores since the best ones */
    double loss;        /**< of the newest step that has a line; NaN: none */
} bt_history;

/** Takes one score in. A step that is not behind the last one is left out, as is NaN. */
void bt_history_add(bt_history *history, int64_t step, double score);

/** Reads the scores made in training (not those before it) from RUN/metrics.jsonl. */
bt_status bt_history_read(const char *run, const char *key, bt_history *out) BT_MUST_CHECK;

#endif
