/* The token sequence of a ViT, T = 1 + R + S rows a sample: class token + its position, R registers (arXiv 2309.16588,
 * they have no position), S patches + their positions. Gradients of the parameters are sums over the samples. */
#include "cpu/rows.h"

#include <string.h>

/* Row `row` of a matrix that may be absent: NULL. */
static const float *row_or_none(const bt_tensor *t, int64_t row) {
    return bt_present(t) ? bt_row_f32(t, row) : NULL;
}

/* x = a + b, a where b is NULL. */
static void add_rows(const bt_vector *v, float *x, const float *a, const float *b, int64_t cols) {
    if (b)
        v->add_scaled(x, a, b, NULL, cols);
    else
        memcpy(x, a, (size_t)cols * sizeof *x);
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static bt_status prepare(bt_device *device, const bt_tokens_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("tokens", {"patches", &a->patches, BT_COMPUTE}, {"cls", &a->cls, BT_ALLOW_F32},
                             {"pos", &a->pos, BT_ALLOW_F32 | BT_ALLOW_NONE},
                             {"reg", &a->reg, BT_ALLOW_F32 | BT_ALLOW_NONE}, {"x", &a->x, BT_COMPUTE}));
    out->scratch_bytes = bt_rows_scratch_bytes(device, 2 * sizeof(float) * (size_t)bt_shape_cols(a->x.shape));
    return BT_OK;
}

static void forward_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *buffer) {
    const bt_tokens_args *a = context;
    int64_t tokens = a->x.shape.dim[1], patches = a->patches.shape.dim[1], cols = a->x.shape.dim[2];
    int64_t first_patch = tokens - patches;
    float *buffers = buffer;
    for (int64_t row = begin; row < end; row++) {
        int64_t sample = row / tokens, token = row % tokens;
        float *x = bt_row_target(&a->x, row, 0, buffers);
        if (token == 0) {
            add_rows(v, x, bt_row_f32(&a->cls, 0), row_or_none(&a->pos, 0), cols);
        } else if (token < first_patch) {
            memcpy(x, bt_row_f32(&a->reg, token - 1), (size_t)cols * sizeof *x);
        } else {
            int64_t patch = token - first_patch;
            const float *p = bt_row_read(v, &a->patches, sample * patches + patch, 0, cols, buffers + cols);
            add_rows(v, x, p, row_or_none(&a->pos, 1 + patch), cols);
        }
        bt_row_write(v, &a->x, row, 0, cols, x);
    }
}

static bt_status run(bt_device *device, const bt_tokens_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    bt_over_rows(device, bt_shape_rows(a->x.shape), bt_shape_count(a->x.shape), forward_rows, a,
                 2 * sizeof(float) * (size_t)bt_shape_cols(a->x.shape), scratch);
    return BT_OK;
}

const bt_tokens_kernel bt_cpu_tokens = {prepare, run};

/* ---- gradient of the patches ------------------------------------------------------------------------------------- */

static bt_status prepare_dx(bt_device *device, const bt_tokens_dx_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("tokens_dx", {"dx", &a->dx, BT_COMPUTE}, {"dpatches", &a->dpatches, BT_COMPUTE});
}

static void dx_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)v, (void)unused;
    const bt_tokens_dx_args *a = context;
    int64_t tokens = a->dx.shape.dim[1], patches = a->dpatches.shape.dim[1];
    for (int64_t row = begin; row < end; row++)
        bt_copy_row(&a->dpatches, row, &a->dx, row / patches * tokens + (tokens - patches) + row % patches);
}

static bt_status run_dx(bt_device *device, const bt_tokens_dx_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_over_rows(device, bt_shape_rows(a->dpatches.shape), bt_shape_count(a->dpatches.shape), dx_rows, a, 0, NULL);
    return BT_OK;
}

const bt_tokens_dx_kernel bt_cpu_tokens_dx = {prepare_dx, run_dx};

/* ---- gradients of the parameters --------------------------------------------------------------------------------- */

static size_t dw_buffer_bytes(const bt_tokens_dw_args *a) {
    return (sizeof(double) + sizeof(float)) * (size_t)bt_shape_cols(a->dx.shape);
}

static bt_status prepare_dw(bt_device *device, const bt_tokens_dw_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("tokens_dw", {"dx", &a->dx, BT_COMPUTE}, {"dcls", &a->dcls, BT_ALLOW_F32},
                             {"dpos", &a->dpos, BT_ALLOW_F32 | BT_ALLOW_NONE},
                             {"dreg", &a->dreg, BT_ALLOW_F32 | BT_ALLOW_NONE},
                             {"dvalue", &a->dvalue, BT_ALLOW_F32 | BT_ALLOW_NONE}));
    BT_ASSERT(!bt_present(&a->dpos) || !bt_present(&a->dvalue));
    out->scratch_bytes = bt_rows_scratch_bytes(device, dw_buffer_bytes(a));
    return BT_OK;
}

/* One sum for each token of a sample. */
static void dw_tokens(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *buffer) {
    const bt_tokens_dw_args *a = context;
    int64_t samples = a->dx.shape.dim[0], tokens = a->dx.shape.dim[1], cols = a->dx.shape.dim[2];
    const bt_tensor *dpos = bt_present(&a->dvalue) ? &a->dvalue : &a->dpos;
    bool positions = bt_present(dpos), add = dpos == &a->dpos && a->accumulate;
    int64_t registers = positions ? tokens - dpos->shape.dim[0] : bt_present(&a->dreg) ? a->dreg.shape.dim[0] : 0;
    double *sums = buffer;
    float *row_buffer = (float *)(void *)(sums + cols);
    for (int64_t token = begin; token < end && (positions || token <= registers); token++) {
        memset(sums, 0, (size_t)cols * sizeof *sums);
        for (int64_t n = 0; n < samples; n++) {
            const float *dx = bt_row_read(v, &a->dx, n * tokens + token, 0, cols, row_buffer);
            for (int64_t c = 0; c < cols; c++) sums[c] += (double)dx[c];
        }
        if (token == 0) {
            bt_store_sums(&a->dcls, 0, sums, cols, a->accumulate);
            bt_store_sums(dpos, 0, sums, cols, add);
        } else if (token <= registers) {
            bt_store_sums(&a->dreg, (token - 1) * a->dreg.ld, sums, cols, a->accumulate);
        } else {
            bt_store_sums(dpos, (token - registers) * dpos->ld, sums, cols, add);
        }
    }
}

static bt_status run_dw(bt_device *device, const bt_tokens_dw_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    bt_over_rows(device, a->dx.shape.dim[1], bt_shape_count(a->dx.shape), dw_tokens, a, dw_buffer_bytes(a), scratch);
    return BT_OK;
}

const bt_tokens_dw_kernel bt_cpu_tokens_dw = {prepare_dw, run_dw};
