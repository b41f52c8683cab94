/* Softmax cross entropy, mean over rows: loss = mean of lse_n - logits[n, label_n], lse_n = log sum exp of row n, taken
 * after subtracting the row's maximum. dlogits = weight (softmax - onehot) / N. Exponentials in double, see
 * code_align.c. A label outside 0..C-1 is a fault of the step with its row, and makes the loss NaN. */
#include "cpu/rows.h"

#include <math.h>

static int64_t bad_label(const bt_tensor *labels, int64_t classes) {
    const int32_t *label = labels->data;
    for (int64_t n = 0; n < bt_shape_count(labels->shape); n++)
        if (label[n] < 0 || label[n] >= classes) return n;
    return -1;
}

static bt_status prepare(bt_device *device, const bt_cross_entropy_args *a, bt_prepared *out) {
    (void)device;
    BT_TRY(BT_CHECK_OPERANDS("cross_entropy", {"logits", &a->logits, BT_ALLOW_F32},
                             {"labels", &a->labels, BT_ALLOW_I32}, {"loss", &a->loss, BT_ALLOW_F32},
                             {"lse", &a->lse, BT_ALLOW_F32}));
    out->scratch_bytes = bt_sum_rows_scratch_bytes(bt_shape_rows(a->logits.shape), 1, 0);
    return BT_OK;
}

/* A NaN makes the result NaN: it is added even where the maximum passes over it. */
static double log_sum_exp(const float *x, int64_t n) {
    float greatest = x[0];
    for (int64_t i = 1; i < n; i++) greatest = x[i] > greatest ? x[i] : greatest;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp((double)x[i] - (double)greatest);
    return (double)greatest + log(sum);
}

static void sum_losses(const void *context, const bt_vector *v, int64_t begin, int64_t end, double *sum, void *unused) {
    (void)v, (void)unused;
    const bt_cross_entropy_args *a = context;
    int64_t classes = bt_shape_cols(a->logits.shape);
    for (int64_t n = begin; n < end; n++) {
        const float *logits = bt_row_f32(&a->logits, n);
        int32_t label = ((const int32_t *)a->labels.data)[n];
        double lse = log_sum_exp(logits, classes);
        ((float *)a->lse.data)[n] = (float)lse;
        *sum += label >= 0 && label < classes ? lse - (double)logits[label] : (double)NAN;
    }
}

static bt_status run(bt_device *device, const bt_cross_entropy_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    int64_t rows = bt_shape_rows(a->logits.shape);
    const double *sum = bt_sum_rows(device, rows, 1, bt_shape_count(a->logits.shape), sum_losses, a, 0, scratch);
    *(float *)a->loss.data = (float)(*sum / (double)rows);
    int64_t bad = bad_label(&a->labels, bt_shape_cols(a->logits.shape));
    if (bad >= 0) bt_set_fault(device, BT_OP_cross_entropy, bad);
    return BT_OK;
}

const bt_cross_entropy_kernel bt_cpu_cross_entropy = {prepare, run};

static bt_status prepare_dx(bt_device *device, const bt_cross_entropy_dx_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("cross_entropy_dx", {"logits", &a->logits, BT_ALLOW_F32},
                             {"labels", &a->labels, BT_ALLOW_I32}, {"lse", &a->lse, BT_ALLOW_F32},
                             {"dlogits", &a->dlogits, BT_ALLOW_F32});
}

static void dx_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)v, (void)unused;
    const bt_cross_entropy_dx_args *a = context;
    int64_t classes = bt_shape_cols(a->logits.shape);
    double factor = (double)a->weight / (double)bt_shape_rows(a->logits.shape);
    for (int64_t n = begin; n < end; n++) {
        const float *logits = bt_row_f32(&a->logits, n);
        double lse = (double)((const float *)a->lse.data)[n];
        int32_t label = ((const int32_t *)a->labels.data)[n];
        float *dlogits = bt_row_f32(&a->dlogits, n);
        for (int64_t c = 0; c < classes; c++)
            dlogits[c] = (float)(factor * (exp((double)logits[c] - lse) - (c == label ? 1.0 : 0.0)));
    }
}

static bt_status run_dx(bt_device *device, const bt_cross_entropy_dx_args *a, const bt_prepared *prepared,
                        void *scratch) {
    (void)prepared, (void)scratch;
    bt_over_rows(device, bt_shape_rows(a->logits.shape), bt_shape_count(a->logits.shape), dx_rows, a, 0, NULL);
    return BT_OK;
}

const bt_cross_entropy_dx_kernel bt_cpu_cross_entropy_dx = {prepare_dx, run_dx};
