/* Target bits from the batch's class prototypes (supervised CroVCA, arXiv 2510.27584):
 *   m_c = mean of z over the stacked rows of class c,   s_n = mean of m_c over the labels of n,   target = 1[s_n > 0]
 * Means over nothing are 0. A threshold at 0 turns the last bit of a sum into a whole target: sums are in double, in
 * the order of samples, views and classes, exactly as on CUDA, so that devices agree. Threads share out the columns of
 * z, each with its own part of the means. */
#include "cpu/rows.h"

#include <string.h>

/* A thread has as many columns at a time. */
#define STRIP 16

typedef struct context {
    const bt_prototype_targets_args *args;
    int64_t samples, classes, cols;
} context;

static size_t buffer_bytes(const bt_prototype_targets_args *a) {
    return (STRIP + 1) * sizeof(double) * (size_t)bt_shape_cols(a->labels.shape);
}

static bt_status prepare(bt_device *device, const bt_prototype_targets_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("prototype_targets", {"z", &a->z, BT_ALLOW_F32}, {"labels", &a->labels, BT_ALLOW_U8},
                             {"targets", &a->targets, BT_ALLOW_U8}));
    BT_ASSERT(bt_shape_rows(a->z.shape) == a->views * bt_shape_rows(a->labels.shape));
    out->scratch_bytes = bt_rows_scratch_bytes(device, buffer_bytes(a));
    return BT_OK;
}

static const uint8_t *labels_of(const context *c, int64_t sample) {
    return (const uint8_t *)c->args->labels.data + sample * c->args->labels.ld;
}

/* means (classes,STRIP) and counts (classes) from columns col..col+n-1 of z */
static void class_means(const context *c, int64_t col, int64_t n, double *means, double *counts) {
    memset(means, 0, (size_t)(c->classes * STRIP) * sizeof *means);
    memset(counts, 0, (size_t)c->classes * sizeof *counts);
    for (int64_t sample = 0; sample < c->samples; sample++) {
        const uint8_t *labels = labels_of(c, sample);
        for (int64_t k = 0; k < c->classes; k++) {
            if (!labels[k]) continue;
            counts[k] += c->args->views;
            for (int64_t view = 0; view < c->args->views; view++) {
                const float *z = bt_row_f32(&c->args->z, view * c->samples + sample) + col;
                for (int64_t i = 0; i < n; i++) means[k * STRIP + i] += (double)z[i];
            }
        }
    }
    for (int64_t k = 0; k < c->classes; k++)
        for (int64_t i = 0; i < n; i++) means[k * STRIP + i] /= counts[k] > 1 ? counts[k] : 1;
}

static void target_strips(const void *shared, const bt_vector *v, int64_t begin, int64_t end, void *buffer) {
    (void)v;
    const context *c = shared;
    double *means = buffer, *counts = means + c->classes * STRIP;
    for (int64_t col = begin * STRIP; col < end * STRIP && col < c->cols; col += STRIP) {
        int64_t n = c->cols - col < STRIP ? c->cols - col : STRIP;
        class_means(c, col, n, means, counts);
        for (int64_t sample = 0; sample < c->samples; sample++) {
            const uint8_t *labels = labels_of(c, sample);
            double sums[STRIP] = {0}; /* a mean has the same sign */
            for (int64_t k = 0; k < c->classes; k++) {
                if (!labels[k]) continue;
                for (int64_t i = 0; i < n; i++) sums[i] += means[k * STRIP + i];
            }
            uint8_t *targets = (uint8_t *)c->args->targets.data + sample * c->args->targets.ld + col;
            for (int64_t i = 0; i < n; i++) targets[i] = sums[i] > 0;
        }
    }
}

static bt_status run(bt_device *device, const bt_prototype_targets_args *a, const bt_prepared *prepared,
                     void *scratch) {
    (void)prepared;
    context c = {.args = a,
                 .samples = bt_shape_rows(a->labels.shape),
                 .classes = bt_shape_cols(a->labels.shape),
                 .cols = bt_shape_cols(a->z.shape)};
    bt_over_rows(device, (c.cols + STRIP - 1) / STRIP, bt_shape_count(a->z.shape) + bt_shape_count(a->labels.shape),
                 target_strips, &c, buffer_bytes(a), scratch);
    return BT_OK;
}

const bt_prototype_targets_kernel bt_cpu_prototype_targets = {prepare, run};
