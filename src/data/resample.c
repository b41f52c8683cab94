/* Bilinear resampling with a filter that widens when shrinking, in 22-bit fixed point: formula and rounding are in
 * transform.h. Only the window's columns and the rows that it needs are computed. The window is mirrored while the
 * columns are written, which equals mirroring the result. */
#include "data/transform.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

#define FRACTION_BITS 22
#define LANES 16

/* Weights of `count` outputs: output i reads inputs first[i] .. first[i] + taps[i] - 1 with weight[i * stride + k]. */
typedef struct axis_weights {
    int64_t count, stride;
    int64_t *first, *taps;
    int32_t *weight;
} axis_weights;

static double filter_width(int64_t in, int64_t full) {
    return in > full ? (double)in / (double)full : 1.0;
}

static int64_t axis_stride(int64_t in, int64_t full) {
    return (int64_t)ceil(filter_width(in, full)) * 2 + 1;
}

static size_t axis_bytes(int64_t in, int64_t full, int64_t count) {
    size_t row = 2 * sizeof(int64_t) + (size_t)axis_stride(in, full) * sizeof(int32_t);
    return row * (size_t)count;
}

/* Fills the weights of outputs begin .. begin + count - 1 of `full`, in memory of axis_bytes. `scratch` (stride). */
static axis_weights axis_fill(int64_t in, int64_t full, int64_t begin, int64_t count, void *memory, double *scratch) {
    axis_weights axis = {.count = count, .stride = axis_stride(in, full), .first = memory};
    axis.taps = axis.first + count;
    axis.weight = (int32_t *)(axis.taps + count);
    double step = (double)in / (double)full, width = filter_width(in, full);
    for (int64_t i = 0; i < count; i++) {
        double center = ((double)(begin + i) + 0.5) * step;
        /* Casts cut toward zero, as the reference does: the same as floor but below 0, which is clipped anyway. */
        int64_t first = (int64_t)(center - width + 0.5), end = (int64_t)(center + width + 0.5);
        if (first < 0) first = 0;
        if (end > in) end = in;
        double sum = 0, inverse = 1.0 / width;
        for (int64_t k = 0; k < end - first; k++) {
            double distance = fabs(((double)(first + k) - center + 0.5) * inverse);
            scratch[k] = distance < 1.0 ? 1.0 - distance : 0.0;
            sum += scratch[k];
        }
        for (int64_t k = 0; k < end - first; k++) {
            double share = sum != 0 ? scratch[k] / sum : scratch[k];
            axis.weight[i * axis.stride + k] = (int32_t)(0.5 + share * (double)(1 << FRACTION_BITS));
        }
        axis.first[i] = first;
        axis.taps[i] = end - first;
    }
    return axis;
}

static uint8_t to_byte(int32_t sum) {
    int32_t value = sum >> FRACTION_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* in (.., 3) one row of the crop; out (count, 3), mirrored if `flip`. */
static void resample_row(const uint8_t *in, const axis_weights *axis, bool flip, uint8_t *out) {
    for (int64_t i = 0; i < axis->count; i++) {
        const int32_t *weight = axis->weight + i * axis->stride;
        const uint8_t *p = in + axis->first[i] * 3;
        int32_t red = 1 << (FRACTION_BITS - 1), green = red, blue = red;
        for (int64_t k = 0; k < axis->taps[i]; k++, p += 3) {
            red += weight[k] * p[0];
            green += weight[k] * p[1];
            blue += weight[k] * p[2];
        }
        uint8_t *q = out + (flip ? axis->count - 1 - i : i) * 3;
        q[0] = to_byte(red);
        q[1] = to_byte(green);
        q[2] = to_byte(blue);
    }
}

/* rows (.., stride) from row `base` of the crop on, stride a multiple of LANES; out (count, values), values <= stride.
 * Blocks of a fixed width stay in registers and become vector instructions at any optimisation level. */
static void resample_columns(const uint8_t *rows, int64_t base, int64_t stride, int64_t values,
                             const axis_weights *axis, uint8_t *out) {
    for (int64_t i = 0; i < axis->count; i++) {
        const int32_t *weight = axis->weight + i * axis->stride;
        for (int64_t x = 0; x < values; x += LANES) {
            const uint8_t *row = rows + (axis->first[i] - base) * stride + x;
            int32_t sums[LANES];
            uint8_t bytes[LANES];
            for (int lane = 0; lane < LANES; lane++) sums[lane] = 1 << (FRACTION_BITS - 1);
            for (int64_t k = 0; k < axis->taps[i]; k++, row += stride) {
                for (int lane = 0; lane < LANES; lane++) sums[lane] += weight[k] * row[lane];
            }
            for (int lane = 0; lane < LANES; lane++) bytes[lane] = to_byte(sums[lane]);
            memcpy(out + i * values + x, bytes, (size_t)(values - x < LANES ? values - x : LANES));
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

static bool within(const bt_box *box, int64_t height, int64_t width) {
    return box->top >= 0 && box->left >= 0 && box->height > 0 && box->width > 0 && box->height <= height - box->top &&
           box->width <= width - box->left;
}

static size_t round_up_8(size_t bytes) {
    return (bytes + 7) / 8 * 8;
}

bt_status bt_resample(bt_resampler *resampler, const uint8_t *pixels, int64_t height, int64_t width,
                      const bt_view *view, uint8_t *out) {
    const bt_box *crop = &view->crop, *window = &view->window;
    BT_ASSERT(within(crop, height, width) && within(window, view->full_height, view->full_width));
    size_t x_bytes = round_up_8(axis_bytes(crop->width, view->full_width, window->width));
    size_t y_bytes = round_up_8(axis_bytes(crop->height, view->full_height, window->height));
    int64_t x_stride = axis_stride(crop->width, view->full_width);
    int64_t y_stride = axis_stride(crop->height, view->full_height);
    size_t scratch_bytes = (size_t)(x_stride > y_stride ? x_stride : y_stride) * sizeof(double);
    BT_TRY(reserve(&resampler->weights, &resampler->weights_capacity, x_bytes + y_bytes + scratch_bytes));
    char *memory = resampler->weights;
    double *scratch = (double *)(void *)(memory + x_bytes + y_bytes);
    axis_weights columns = axis_fill(crop->width, view->full_width, window->left, window->width, memory, scratch);
    axis_weights lines =
        axis_fill(crop->height, view->full_height, window->top, window->height, memory + x_bytes, scratch);

    int64_t base = lines.first[0], last = window->height - 1;
    int64_t row_count = lines.first[last] + lines.taps[last] - base, values = window->width * 3;
    int64_t stride = (values + LANES - 1) / LANES * LANES;
    BT_TRY(reserve(&resampler->rows, &resampler->rows_capacity, (size_t)row_count * (size_t)stride));
    uint8_t *rows = resampler->rows;
    for (int64_t r = 0; r < row_count; r++) {
        const uint8_t *in = pixels + ((crop->top + base + r) * width + crop->left) * 3;
        resample_row(in, &columns, view->flip, rows + r * stride);
        memset(rows + r * stride + values, 0, (size_t)(stride - values));
    }
    resample_columns(rows, base, stride, values, &lines, out);
    return BT_OK;
}
