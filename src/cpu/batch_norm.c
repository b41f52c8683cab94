/* Batch normalisation (arXiv 1502.03167) of V groups of N rows, each group with its own statistics. h = (z - mean)
 * rstd: y = h w + b,   stats = mean, rstd of the group dz = rstd w (dy - mean(dy) - h mean(dy h)),   dw = sum of dy h,
 * db = sum of dy with means over the rows of the group. Threads share out the columns, sixteen at a time (a cache line
 * of f32): a column's sums then run down the rows in one order, and the running statistics take the groups in turn. */
#include "cpu/rows.h"

#include <math.h>
#include <string.h>

#define STRIP 16 /* columns */

typedef struct strip {
    int64_t col, cols; /* first column, number of columns (at most STRIP) */
} strip;

static int64_t strip_count(int64_t cols) {
    return (cols + STRIP - 1) / STRIP;
}

static strip strip_at(int64_t index, int64_t cols) {
    int64_t col = index * STRIP;
    return (strip){col, cols - col < STRIP ? cols - col : STRIP};
}

/* stats is (V,2,C): row 2v holds the means of group v, row 2v+1 their rstd. */
static float *mean_of(const bt_tensor *stats, int64_t group) {
    return bt_row_f32(stats, 2 * group);
}
static float *rstd_of(const bt_tensor *stats, int64_t group) {
    return bt_row_f32(stats, 2 * group + 1);
}

static int64_t group_rows(const bt_tensor *z, int groups) {
    return bt_shape_rows(z->shape) / groups;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static bt_status prepare(bt_device *device, const bt_batch_norm_args *a, bt_prepared *out) {
    (void)device, (void)out;
    BT_TRY(BT_CHECK_OPERANDS("batch_norm", {"z", &a->z, BT_ALLOW_F32}, {"w", &a->w, BT_ALLOW_F32},
                             {"b", &a->b, BT_ALLOW_F32}, {"running_mean", &a->running_mean, BT_ALLOW_F32},
                             {"running_var", &a->running_var, BT_ALLOW_F32}, {"y", &a->y, BT_ALLOW_F32},
                             {"stats", &a->stats, BT_ALLOW_F32}));
    BT_ASSERT(a->groups > 0 && bt_shape_rows(a->z.shape) % a->groups == 0);
    int64_t rows = group_rows(&a->z, a->groups);
    if (rows < 2) {
        return bt_error(
            BT_ERR_SHAPE,
            "operation batch_norm: found %lld row per view, needed at least 2 (a variance of one value does "
            "not exist); use a larger batch",
            (long long)rows);
    }
    return BT_OK;
}

/* mean (STRIP) and squares (STRIP), the sums of squared deviations, of one group's columns */
static void strip_moments(const bt_tensor *z, int64_t first_row, int64_t rows, strip s, double *mean, double *squares) {
    memset(mean, 0, STRIP * sizeof *mean);
    memset(squares, 0, STRIP * sizeof *squares);
    for (int64_t row = first_row; row < first_row + rows; row++) {
        const float *x = bt_row_f32(z, row) + s.col;
        for (int64_t c = 0; c < s.cols; c++) mean[c] += (double)x[c];
    }
    for (int64_t c = 0; c < s.cols; c++) mean[c] /= (double)rows;
    for (int64_t row = first_row; row < first_row + rows; row++) {
        const float *x = bt_row_f32(z, row) + s.col;
        for (int64_t c = 0; c < s.cols; c++) squares[c] += ((double)x[c] - mean[c]) * ((double)x[c] - mean[c]);
    }
}

static float blend(float old, double fresh, float momentum) {
    return (float)((1.0 - (double)momentum) * (double)old + (double)momentum * fresh);
}

static void forward_strip(const bt_batch_norm_args *a, const bt_vector *v, strip s) {
    int64_t rows = group_rows(&a->z, a->groups);
    for (int64_t group = 0; group < a->groups; group++) {
        double mean[STRIP], squares[STRIP];
        strip_moments(&a->z, group * rows, rows, s, mean, squares);
        float *means = mean_of(&a->stats, group) + s.col, *rstds = rstd_of(&a->stats, group) + s.col;
        float *running_mean = (float *)a->running_mean.data + s.col,
              *running_var = (float *)a->running_var.data + s.col;
        float shift[STRIP], slope[STRIP];
        for (int64_t c = 0; c < s.cols; c++) {
            means[c] = (float)mean[c];
            rstds[c] = (float)(1.0 / sqrt(squares[c] / (double)rows + (double)a->eps));
            slope[c] = rstds[c] * ((const float *)a->w.data)[s.col + c];
            shift[c] = ((const float *)a->b.data)[s.col + c];
            if (!a->update) continue;
            running_mean[c] = blend(running_mean[c], mean[c], a->momentum);
            running_var[c] = blend(running_var[c], squares[c] / (double)(rows - 1), a->momentum);
        }
        for (int64_t row = group * rows; row < (group + 1) * rows; row++)
            v->scale_about(bt_row_f32(&a->y, row) + s.col, bt_row_f32(&a->z, row) + s.col, means, slope, shift, s.cols);
    }
}

static void forward_strips(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)unused;
    const bt_batch_norm_args *a = context;
    for (int64_t i = begin; i < end; i++) forward_strip(a, v, strip_at(i, bt_shape_cols(a->z.shape)));
}

static bt_status run(bt_device *device, const bt_batch_norm_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_over_rows(device, strip_count(bt_shape_cols(a->z.shape)), bt_shape_count(a->z.shape), forward_strips, a, 0,
                 NULL);
    return BT_OK;
}

const bt_batch_norm_kernel bt_cpu_batch_norm = {prepare, run};

/* ---- with running statistics ------------------------------------------------------------------------------------- */

static bt_status prepare_eval(bt_device *device, const bt_batch_norm_eval_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("batch_norm_eval", {"z", &a->z, BT_ALLOW_F32}, {"w", &a->w, BT_ALLOW_F32},
                             {"b", &a->b, BT_ALLOW_F32}, {"running_mean", &a->running_mean, BT_ALLOW_F32},
                             {"running_var", &a->running_var, BT_ALLOW_F32}, {"y", &a->y, BT_ALLOW_F32});
}

static void eval_strips(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)unused;
    const bt_batch_norm_eval_args *a = context;
    for (int64_t i = begin; i < end; i++) {
        strip s = strip_at(i, bt_shape_cols(a->z.shape));
        const float *w = (const float *)a->w.data + s.col, *variance = (const float *)a->running_var.data + s.col;
        float slope[STRIP];
        for (int64_t c = 0; c < s.cols; c++)
            slope[c] = (float)((double)w[c] / sqrt((double)variance[c] + (double)a->eps));
        for (int64_t row = 0; row < bt_shape_rows(a->z.shape); row++)
            v->scale_about(bt_row_f32(&a->y, row) + s.col, bt_row_f32(&a->z, row) + s.col,
                           (const float *)a->running_mean.data + s.col, slope, (const float *)a->b.data + s.col,
                           s.cols);
    }
}

static bt_status run_eval(bt_device *device, const bt_batch_norm_eval_args *a, const bt_prepared *prepared,
                          void *scratch) {
    (void)prepared, (void)scratch;
    bt_over_rows(device, strip_count(bt_shape_cols(a->z.shape)), bt_shape_count(a->z.shape), eval_strips, a, 0, NULL);
    return BT_OK;
}

const bt_batch_norm_eval_kernel bt_cpu_batch_norm_eval = {prepare_eval, run_eval};

/* ---- gradients --------------------------------------------------------------------------------------------------- */

/* Adds dy to sums (STRIP) and dy h to products (STRIP), over the rows of a group. */
static void add_strip_sums(const bt_tensor *dy, const bt_tensor *z, const bt_tensor *stats, int64_t group, int64_t rows,
                           strip s, double *sums, double *products) {
    const float *mean = mean_of(stats, group) + s.col, *rstd = rstd_of(stats, group) + s.col;
    for (int64_t row = group * rows; row < (group + 1) * rows; row++) {
        const float *g = bt_row_f32(dy, row) + s.col, *x = bt_row_f32(z, row) + s.col;
        for (int64_t c = 0; c < s.cols; c++) {
            sums[c] += (double)g[c];
            products[c] += (double)g[c] * (double)((x[c] - mean[c]) * rstd[c]);
        }
    }
}

static bt_status prepare_dx(bt_device *device, const bt_batch_norm_dx_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("batch_norm_dx", {"dy", &a->dy, BT_ALLOW_F32}, {"z", &a->z, BT_ALLOW_F32},
                             {"w", &a->w, BT_ALLOW_F32}, {"stats", &a->stats, BT_ALLOW_F32},
                             {"dz", &a->dz, BT_ALLOW_F32});
}

static void dx_strips(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)v, (void)unused;
    const bt_batch_norm_dx_args *a = context;
    int64_t rows = group_rows(&a->z, a->groups), strips = strip_count(bt_shape_cols(a->z.shape));
    for (int64_t i = begin; i < end; i++) {
        int64_t group = i / strips;
        strip s = strip_at(i % strips, bt_shape_cols(a->z.shape));
        double sums[STRIP] = {0}, products[STRIP] = {0};
        add_strip_sums(&a->dy, &a->z, &a->stats, group, rows, s, sums, products);
        const float *mean = mean_of(&a->stats, group) + s.col, *rstd = rstd_of(&a->stats, group) + s.col;
        const float *w = (const float *)a->w.data + s.col;
        for (int64_t row = group * rows; row < (group + 1) * rows; row++) {
            const float *dy = bt_row_f32(&a->dy, row) + s.col, *z = bt_row_f32(&a->z, row) + s.col;
            float *dz = bt_row_f32(&a->dz, row) + s.col;
            for (int64_t c = 0; c < s.cols; c++) {
                float h = (z[c] - mean[c]) * rstd[c];
                float centred = dy[c] - (float)(sums[c] / (double)rows) - h * (float)(products[c] / (double)rows);
                dz[c] = rstd[c] * w[c] * centred;
            }
        }
    }
}

static bt_status run_dx(bt_device *device, const bt_batch_norm_dx_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_over_rows(device, a->groups * strip_count(bt_shape_cols(a->z.shape)), bt_shape_count(a->z.shape), dx_strips, a,
                 0, NULL);
    return BT_OK;
}

const bt_batch_norm_dx_kernel bt_cpu_batch_norm_dx = {prepare_dx, run_dx};

static bt_status prepare_dw(bt_device *device, const bt_batch_norm_dw_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("batch_norm_dw", {"dy", &a->dy, BT_ALLOW_F32}, {"z", &a->z, BT_ALLOW_F32},
                             {"stats", &a->stats, BT_ALLOW_F32}, {"dw", &a->dw, BT_ALLOW_F32},
                             {"db", &a->db, BT_ALLOW_F32});
}

static void dw_strips(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)v, (void)unused;
    const bt_batch_norm_dw_args *a = context;
    for (int64_t i = begin; i < end; i++) {
        strip s = strip_at(i, bt_shape_cols(a->z.shape));
        double sums[STRIP] = {0}, products[STRIP] = {0};
        for (int64_t group = 0; group < a->groups; group++)
            add_strip_sums(&a->dy, &a->z, &a->stats, group, group_rows(&a->z, a->groups), s, sums, products);
        bt_store_sums(&a->dw, s.col, products, s.cols, a->accumulate);
        bt_store_sums(&a->db, s.col, sums, s.cols, a->accumulate);
    }
}

static bt_status run_dw(bt_device *device, const bt_batch_norm_dw_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_over_rows(device, strip_count(bt_shape_cols(a->z.shape)), bt_shape_count(a->z.shape), dw_strips, a, 0, NULL);
    return BT_OK;
}

const bt_batch_norm_dw_kernel bt_cpu_batch_norm_dw = {prepare_dw, run_dw};
