/* What a run shows while it trains: on a terminal one line that is redrawn in place, elsewhere nothing (the log has a
 * line an interval).
 *
 *   step 120/480  25 %  epoch 2/5  loss 0.4312  812 views/s  waiting 12 % (decode)  1:23 left
 *
 * What does not fit the width is left out, the least telling first. */
#ifndef BITTERN_TRAIN_PROGRESS_H
#define BITTERN_TRAIN_PROGRESS_H

#include "data/loader.h"

/** Rates over a stretch of steps; the newest steps count most. */
typedef struct bt_progress {
    double last, drawn;              /**< moments of the last step and of the last drawing */
    double step_seconds, wait_share; /**< smoothed */
    int64_t steps;                   /**< since the start or resume */
    bt_loader_times times;           /**< at the last step */
    const char *guilty;              /**< the stage that took longest lately */
} bt_progress;

/** What the line tells. */
typedef struct bt_progress_view {
    int64_t step, total, epoch, epochs;
    double loss;
    int64_t views; /**< of a step */
} bt_progress_view;

void bt_progress_start(bt_progress *progress, const bt_loader_times *times);

/** After each step; draws at most ten times a second. */
void bt_progress_step(bt_progress *progress, const bt_progress_view *view, const bt_loader_times *times);

/** Text of at most `width` columns (exposed for tests). */
void bt_progress_text(const bt_progress *progress, const bt_progress_view *view, int width, char *text, size_t bytes);

/** Seconds in which the device had nothing to do: waiting for the loader, and while images were copied to it. */
double bt_waited(const bt_loader_times *before, const bt_loader_times *now);

/** The loader's stage that took most of its threads' time between two moments: "read", "decode" or "augment"; "copy" if
 *  the way to the device took longer than the wait for the loader; "" if none worked. */
const char *bt_guilty_stage(const bt_loader_times *before, const bt_loader_times *now);

/** "0:07", "12:34", "3:04:05". */
void bt_duration_text(double seconds, char *text, size_t bytes);

#endif
