/* Weights of the resampling of position embeddings: each axis as a matrix in double, then cut to the band that is not
 * zero. The arithmetic is that of PyTorch's upsample_bicubic2d and its antialiased form. */
#include "tensor/position_taps.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

const char *bt_positions_name(bt_positions rule) {
    static const char *const names[BT_POSITIONS_COUNT] = {"hub", "antialias", "bicubic"};
    return (unsigned)rule < BT_POSITIONS_COUNT ? names[rule] : "?";
}

/** Keys' cubic convolution kernel (1981) with parameter a. */
static double cubic(double x, double a) {
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/** m (outputs, inputs): four taps about the place that is sampled; those beyond the border count for the border. */
static void interpolate(double *m, int outputs, int inputs, double step) {
    for (int o = 0; o < outputs; o++, m += inputs) {
        double place = step * (o + 0.5) - 0.5, below = floor(place);
        for (int t = -1; t <= 2; t++) {
            double at = fmin(fmax(below + t, 0), inputs - 1);
            m[(int)at] += cubic(place - (below + t), -0.75);
        }
    }
}

/** m (outputs, inputs): the kernel as wide as the step where that is above 1; a filter that is cut off is scaled to the
 * sum 1. */
static void antialias(double *m, int outputs, int inputs) {
    double step = (double)inputs / outputs, width = fmax(step, 1);
    for (int o = 0; o < outputs; o++, m += inputs) {
        double centre = step * (o + 0.5), sum = 0;
        int first = (int)fmax(centre - 2 * width + 0.5, 0), end = (int)fmin(centre + 2 * width + 0.5, inputs);
        for (int i = first; i < end; i++) sum += m[i] = cubic((i + 0.5 - centre) / width, -0.5);
        for (int i = first; i < end; i++) m[i] /= sum;
    }
}

static void fill(double *m, bt_positions rule, int from, int to, bool same) {
    if (same) {
        for (int o = 0; o < to; o++) m[(size_t)o * (size_t)from + (size_t)o] = 1;
    } else if (rule == BT_POSITIONS_ANTIALIAS) {
        antialias(m, to, from);
    } else {
        interpolate(m, to, from, rule == BT_POSITIONS_HUB ? from / (to + 0.1) : (double)from / to);
    }
}

/** A matrix seen by lines: the outputs of the taps. */
typedef struct lines {
    double *m;
    int outputs, inputs;
    size_t line, item; /**< elements to the next output, to the next input */
} lines;

static double item(const lines *l, int output, int input) {
    return l->m[(size_t)output * l->line + (size_t)input * l->item];
}

/** The band of an output that is not zero: [first, end), empty where there is none. */
static void band(const lines *l, int output, int *first, int *end) {
    *first = 0;
    *end = l->inputs;
    while (*first < *end && item(l, output, *first) == 0) ++*first;
    while (*end > *first && item(l, output, *end - 1) == 0) --*end;
    if (*first == *end) *first = *end = 0;
}

static int widest(const lines *l) {
    int most = 1;
    for (int o = 0, first, end; o < l->outputs; o++) {
        band(l, o, &first, &end);
        if (end - first > most) most = end - first;
    }
    return most;
}

/** Fills the part of the block that begins at `words`; returns its end. */
static int32_t *store(bt_position_axis *out, const lines *l, int most, int32_t *words) {
    int32_t *first = words, *count = words + l->outputs;
    float *weight = (float *)(void *)(count + l->outputs);
    for (int o = 0; o < l->outputs; o++) {
        int end;
        band(l, o, &first[o], &end);
        count[o] = end - first[o];
        for (int t = 0; t < most; t++) weight[o * most + t] = t < count[o] ? (float)item(l, o, first[o] + t) : 0;
    }
    *out = (bt_position_axis){.outputs = l->outputs, .most = most, .first = first, .count = count, .weight = weight};
    return words + (size_t)l->outputs * (2 + (size_t)most);
}

bt_status bt_position_taps_make(bt_position_taps *out, bt_positions rule, const int from[2], const int to[2],
                                bool transposed) {
    bool same = from[0] == to[0] && from[1] == to[1];
    lines axis[2];
    int most[2];
    size_t words = 0, doubles = (size_t)from[0] * (size_t)to[0];
    double *m = bt_memory_zeroed(doubles + (size_t)from[1] * (size_t)to[1], sizeof *m);
    if (!m) return BT_ERR_MEMORY;
    for (int k = 0; k < 2; k++) {
        double *own = m + (k ? doubles : 0);
        size_t row = (size_t)from[k];
        fill(own, rule, from[k], to[k], same);
        axis[k] = transposed ? (lines){own, from[k], to[k], 1, row} : (lines){own, to[k], from[k], row, 1};
        most[k] = widest(&axis[k]);
        words += (size_t)axis[k].outputs * (2 + (size_t)most[k]);
    }
    bt_position_taps made = {.words = bt_memory_alloc(words, sizeof *made.words), .bytes = words * sizeof *made.words};
    if (made.words) {
        int32_t *next = store(&made.rows, &axis[0], most[0], made.words);
        store(&made.columns, &axis[1], most[1], next);
        *out = made;
    }
    bt_memory_free(m);
    return made.words ? BT_OK : BT_ERR_MEMORY;
}

void bt_position_taps_free(bt_position_taps *taps) {
    bt_memory_free(taps->words);
    *taps = (bt_position_taps){0};
}
