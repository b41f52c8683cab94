/* Code alignment of CroVCA (arXiv 2510.27584, eq. 8): every view's logits against the bits of the other views.
 * With t_j the bits of view j (or of `targets`), the mean of BCE over the ordered pairs i != j is that of one BCE
 * against the share q_i of the other views whose bit is set, because BCE is linear in its target: q_i = (sum of t_j
 * over j != i) / (V-1),   or the given target where targets is (N,D) loss = mean of softplus(z) - q z,   dz = weight
 * (sigmoid(z) - q) / (V N D) + add softplus(z) = max(z, 0) + log1p(exp(-|z|)) neither overflows nor loses its small
 * values. In double: the losses are thousands of elements, not millions, and the check values have seven digits. */
#include "cpu/rows.h"

#include <math.h>

typedef struct views {
    const bt_tensor *z, *targets; /* targets may be absent */
    int64_t count, samples, cols;
    bool shared; /* targets (N,D) serve all views */
} views;

static views views_of(const bt_tensor *z, const bt_tensor *targets, int count) {
    views s = {.z = z, .targets = targets, .count = count, .samples = bt_shape_rows(z->shape) / count};
    s.cols = bt_shape_cols(z->shape);
    s.shared = bt_present(targets) && bt_shape_rows(targets->shape) == s.samples;
    return s;
}

static bt_status check_views(const char *operation, views s) {
    BT_ASSERT(s.samples * s.count == bt_shape_rows(s.z->shape));
    if (s.count < 2 && !s.shared) {
        return bt_error(BT_ERR_SHAPE, "operation %s: found 1 view, needed at least 2 where the targets are other views",
                        operation);
    }
    return BT_OK;
}

static double bit_of(views s, int64_t view, int64_t sample, int64_t col) {
    int64_t row = view * s.samples + sample;
    if (!bt_present(s.targets)) return bt_row_f32(s.z, row)[col] > 0.0f;
    return ((const uint8_t *)s.targets->data)[row * s.targets->ld + col] != 0;
}

/* The sum of all views' bits at one element; with shared targets, the target. */
static double bits_at(views s, int64_t sample, int64_t col) {
    if (s.shared) return bit_of(s, 0, sample, col);
    double bits = 0;
    for (int64_t view = 0; view < s.count; view++) bits += bit_of(s, view, sample, col);
    return bits;
}

/* q of one view, from the sum of all views' bits */
static double target_of(views s, double bits, int64_t view, int64_t sample, int64_t col) {
    if (s.shared) return bits;
    return (bits - bit_of(s, view, sample, col)) / (double)(s.count - 1);
}

/* ---- loss -------------------------------------------------------------------------------------------------------- */

static bt_status prepare(bt_device *device, const bt_code_align_args *a, bt_prepared *out) {
    (void)device;
    BT_TRY(BT_CHECK_OPERANDS("code_align", {"z", &a->z, BT_ALLOW_F32},
                             {"targets", &a->targets, BT_ALLOW_U8 | BT_ALLOW_NONE}, {"loss", &a->loss, BT_ALLOW_F32}));
    views s = views_of(&a->z, &a->targets, a->views);
    out->scratch_bytes = bt_sum_rows_scratch_bytes(s.samples, 1, 0);
    return check_views("code_align", s);
}

static void sum_losses(const void *context, const bt_vector *v, int64_t begin, int64_t end, double *sum, void *unused) {
    (void)v, (void)unused;
    views s = *(const views *)context;
    for (int64_t n = begin; n < end; n++) {
        for (int64_t c = 0; c < s.cols; c++) {
            double bits = bits_at(s, n, c);
            for (int64_t view = 0; view < s.count; view++) {
                double z = (double)bt_row_f32(s.z, view * s.samples + n)[c];
                *sum += (z > 0 ? z : 0) - target_of(s, bits, view, n, c) * z + log1p(exp(-fabs(z)));
            }
        }
    }
}

static bt_status run(bt_device *device, const bt_code_align_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    views s = views_of(&a->z, &a->targets, a->views);
    int64_t count = bt_shape_count(a->z.shape);
    const double *sum = bt_sum_rows(device, s.samples, 1, count, sum_losses, &s, 0, scratch);
    *(float *)a->loss.data = (float)(*sum / (double)count);
    return BT_OK;
}

const bt_code_align_kernel bt_cpu_code_align = {prepare, run};

/* ---- gradient ---------------------------------------------------------------------------------------------------- */

static bt_status prepare_dx(bt_device *device, const bt_code_align_dx_args *a, bt_prepared *out) {
    (void)device, (void)out;
    BT_TRY(BT_CHECK_OPERANDS("code_align_dx", {"z", &a->z, BT_ALLOW_F32},
                             {"targets", &a->targets, BT_ALLOW_U8 | BT_ALLOW_NONE},
                             {"add", &a->add, BT_ALLOW_F32 | BT_ALLOW_NONE}, {"dz", &a->dz, BT_ALLOW_F32}));
    return check_views("code_align_dx", views_of(&a->z, &a->targets, a->views));
}

static double sigmoid(double z) {
    double e = exp(-fabs(z));
    return z > 0 ? 1 / (1 + e) : e / (1 + e);
}

static void dx_samples(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)v, (void)unused;
    const bt_code_align_dx_args *a = context;
    views s = views_of(&a->z, &a->targets, a->views);
    double factor = (double)a->weight / (double)bt_shape_count(a->z.shape);
    for (int64_t n = begin; n < end; n++) {
        for (int64_t c = 0; c < s.cols; c++) {
            double bits = bits_at(s, n, c);
            for (int64_t view = 0; view < s.count; view++) {
                int64_t row = view * s.samples + n;
                double gradient = factor * (sigmoid((double)bt_row_f32(s.z, row)[c]) - target_of(s, bits, view, n, c));
                if (bt_present(&a->add)) gradient += (double)bt_row_f32(&a->add, row)[c];
                bt_row_f32(&a->dz, row)[c] = (float)gradient;
            }
        }
    }
}

static bt_status run_dx(bt_device *device, const bt_code_align_dx_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_over_rows(device, bt_shape_rows(a->z.shape) / a->views, bt_shape_count(a->z.shape), dx_samples, a, 0, NULL);
    return BT_OK;
}

const bt_code_align_dx_kernel bt_cpu_code_align_dx = {prepare_dx, run_dx};
