/* Learning rate by iteration. */
#ifndef BITTERN_TRAIN_SCHEDULE_H
#define BITTERN_TRAIN_SCHEDULE_H

#include <stdint.h>

/** Cosine from `lr` at iteration 0 to `lr_min` at the last (arXiv 1608.03983, one cycle), behind a linear warm-up from
 * 0: for t < warmup: lr * t / warmup;  else lr_min + (lr - lr_min) (1 + cos(pi (t - warmup) / (total - 1 - warmup)))
 * / 2. */
double bt_cosine_rate(double lr, double lr_min, int64_t t, int64_t total, int64_t warmup);

#endif
