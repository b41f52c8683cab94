/* Learning rate by iteration. */
#include "train/schedule.h"

#include <math.h>

double bt_cosine_rate(double lr, double lr_min, int64_t t, int64_t total, int64_t warmup) {
    if (t < warmup) return lr * (double)t / (double)warmup;
    int64_t span = total - 1 - warmup;
    if (span < 1) return lr;
    return lr_min + (lr - lr_min) * (1 + cos(3.14159265358979323846 * (double)(t - warmup) / (double)span)) / 2;
}
