/* Resampling: the weights of both axes, and the two passes; formula and rounding are in resample.h. Only the window's
 * columns and the rows that it needs are computed. The window is mirrored while the columns are written, which equals
 * mirroring the result. */
#include "pixels/resample.h"

#include "base/memory.h"
#include "pixels/loops.h"

#include <math.h>
#include <string.h>

#define LANES 16

/* One axis of a view: which outputs of how many, from how many inputs. */
typedef struct axis {
    bt_filter filter;
    int64_t in, full, begin, count;
    int64_t taps_bound; /* no output reads more inputs */
    int64_t *first, *taps;
} axis;

static axis axis_of(bt_filter filter, int64_t in, int64_t full, int64_t begin, int64_t count) {
    double stretch = in > full ? (double)in / (double)full : 1.0;
    int64_t bound = (int64_t)ceil(stretch * bt_filter_support(filter)) * 2 + 1;
    return (axis){.filter = filter, .in = in, .full = full, .begin = begin, .count = count, .taps_bound = bound};
}

/* Weights of output i, in `weight`; `height` is scratch. Both (taps_bound). */
static void axis_weights(axis *a, int64_t i, double *height, int32_t *weight) {
    bt_axis_taps t = bt_axis_taps_of(a->filter, a->in, a->full, a->begin + i);
    BT_ASSERT(t.taps <= a->taps_bound);
    double sum = 0;
    for (int64_t k = 0; k < t.taps; k++) {
        height[k] = bt_axis_height(a->filter, &t, k);
        sum += height[k];
    }
    for (int64_t k = 0; k < t.taps; k++) weight[k] = bt_axis_weight(height[k], sum);
    a->first[i] = t.first;
    a->taps[i] = t.taps;
}

/* A weight is upper * 2^15 + lower, both of 16 bits. */
static int16_t upper(int32_t weight) {
    return (int16_t)(weight >> BT_LOWER_BITS);
}
static int16_t lower(int32_t weight) {
    return (int16_t)(weight & ((1 << BT_LOWER_BITS) - 1));
}

/* Groups of four taps, see bt_row_weights. */
static void fill_columns(axis *a, int16_t *pair, int64_t groups, double *height, int32_t *weight) {
    memset(pair, 0, (size_t)(a->count * groups * 32) * sizeof *pair);
    for (int64_t i = 0; i < a->count; i++) {
        axis_weights(a, i, height, weight);
        for (int64_t k = 0; k < a->taps[i]; k++) {
            int16_t *at = pair + (i * groups + k / 4) * 32 + k % 4 / 2 * 8 + k % 2;
            for (int c = 0; c < 4; c++) {
                at[2 * c] = upper(weight[k]);
                at[2 * c + 16] = lower(weight[k]);
            }
        }
    }
}

/* Pairs of taps, see bt_resample_loops.column. */
static void fill_lines(axis *a, int16_t *pair, int64_t pairs, double *height, int32_t *weight) {
    memset(pair, 0, (size_t)(a->count * pairs * 4) * sizeof *pair);
    for (int64_t i = 0; i < a->count; i++) {
        axis_weights(a, i, height, weight);
        for (int64_t k = 0; k < a->taps[i]; k++) {
            int16_t *at = pair + (i * pairs + k / 2) * 4 + k % 2;
            at[0] = upper(weight[k]);
            at[2] = lower(weight[k]);
        }
    }
}

/* Memory that only grows; the old content is not needed. */
static bt_status reserve(void **memory, size_t *capacity, size_t bytes) {
    if (bytes <= *capacity) return BT_OK;
    void *larger = bt_memory_alloc(bytes, 1);
    if (!larger) return BT_ERR_MEMORY;
    bt_memory_free(*memory);
    *memory = larger;
    *capacity = bytes;
    return BT_OK;
}

void bt_resampler_free(bt_resampler *resampler) {
    bt_memory_free(resampler->weights);
    bt_memory_free(resampler->rows);
    *resampler = (bt_resampler){0};
}

/* What a call works with, laid out in the resampler's memory. */
typedef struct passes {
    axis columns, lines;
    int64_t groups, pairs;
    int16_t *column_pair, *line_pair;
    uint8_t *edge; /* (edge_bytes) a row of the picture that continues with zeros */
    size_t edge_bytes;
} passes;

static size_t take(size_t *total, size_t bytes) {
    size_t at = *total;
    *total += (bytes + 31) / 32 * 32;
    return at;
}

static bt_status prepare(bt_resampler *resampler, const bt_view *view, passes *p) {
    p->columns = axis_of(view->filter, view->crop.width, view->full_width, view->window.left, view->window.width);
    p->lines = axis_of(view->filter, view->crop.height, view->full_height, view->window.top, view->window.height);
    axis *c = &p->columns, *l = &p->lines;
    p->groups = (c->taps_bound + 3) / 4;
    p->pairs = (l->taps_bound + 1) / 2;
    p->edge_bytes = (size_t)(view->crop.width + 4 * p->groups) * 3 + 16;
    int64_t taps = c->taps_bound > l->taps_bound ? c->taps_bound : l->taps_bound;
    size_t total = 0, index = sizeof(int64_t);
    size_t column_pair = take(&total, (size_t)(c->count * p->groups) * 32 * sizeof(int16_t));
    size_t line_pair = take(&total, (size_t)(l->count * p->pairs) * 4 * sizeof(int16_t));
    size_t column_index = take(&total, (size_t)c->count * 2 * index);
    size_t line_index = take(&total, (size_t)l->count * 2 * index);
    size_t height = take(&total, (size_t)taps * sizeof(double));
    size_t weight = take(&total, (size_t)taps * sizeof(int32_t));
    size_t edge = take(&total, p->edge_bytes);
    BT_TRY(reserve(&resampler->weights, &resampler->weights_capacity, total));
    char *memory = resampler->weights;
    p->column_pair = (int16_t *)(void *)(memory + column_pair);
    p->line_pair = (int16_t *)(void *)(memory + line_pair);
    c->first = (int64_t *)(void *)(memory + column_index);
    c->taps = c->first + c->count;
    l->first = (int64_t *)(void *)(memory + line_index);
    l->taps = l->first + l->count;
    p->edge = (uint8_t *)memory + edge;
    fill_columns(c, p->column_pair, p->groups, (double *)(void *)(memory + height),
                 (int32_t *)(void *)(memory + weight));
    fill_lines(l, p->line_pair, p->pairs, (double *)(void *)(memory + height), (int32_t *)(void *)(memory + weight));
    return BT_OK;
}

/* Row `y` of the crop, readable as bt_resample_loops.row asks: where the picture ends sooner, a copy of it. */
static const uint8_t *row_of(const passes *p, const uint8_t *pixels, int64_t height, int64_t width, const bt_box *crop,
                             int64_t y) {
    int64_t offset = ((crop->top + y) * width + crop->left) * 3, left = height * width * 3 - offset;
    if (left >= (int64_t)p->edge_bytes) return pixels + offset;
    size_t used = (size_t)crop->width * 3;
    memcpy(p->edge, pixels + offset, used);
    memset(p->edge + used, 0, p->edge_bytes - used);
    return p->edge;
}

bt_status bt_resample(bt_resampler *resampler, const uint8_t *pixels, int64_t height, int64_t width,
                      const bt_view *view, uint8_t *out) {
    BT_ASSERT(bt_view_valid(view, height, width));
    passes p;
    BT_TRY(prepare(resampler, view, &p));
    const bt_resample_loops *loops = bt_resample_loops_get();
    int64_t base = p.lines.first[0], last = p.lines.count - 1;
    int64_t row_count = p.lines.first[last] + p.lines.taps[last] - base, values = view->window.width * 3;
    int64_t stride = (values + LANES - 1) / LANES * LANES;
    BT_TRY(reserve(&resampler->rows, &resampler->rows_capacity, (size_t)row_count * (size_t)stride));
    uint8_t *rows = resampler->rows;
    bt_row_weights columns = {p.columns.count, p.groups, p.columns.first, p.column_pair};
    for (int64_t r = 0; r < row_count; r++) {
        loops->row(row_of(&p, pixels, height, width, &view->crop, base + r), &columns, view->flip, rows + r * stride);
        memset(rows + r * stride + values, 0, (size_t)(stride - values));
    }
    for (int64_t i = 0; i <= last; i++)
        loops->column(rows + (p.lines.first[i] - base) * stride, stride, p.line_pair + i * p.pairs * 4, p.lines.taps[i],
                      out + i * values, values);
    return BT_OK;
}
