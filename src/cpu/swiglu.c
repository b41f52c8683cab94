/* The gated unit of DINOv2's giant (SwiGLU, arXiv 2002.05202): x (M,2h) is [a | b], s the logistic function,
 *   y = a s(a) b,   da = dy b (s + a s (1 - s)),   db = dy a s. */
#include "cpu/rows.h"

/** Half `half` of the columns of x. */
static bt_tensor half_of(const bt_tensor *x, int half) {
    bt_tensor t = *x;
    int64_t h = bt_shape_cols(x->shape) / 2;
    t.shape.dim[t.shape.rank - 1] = h;
    t.data = (char *)x->data + (size_t)(half * h) * bt_dtype_bytes(x->dtype);
    return t;
}

static void forward(const bt_vector *v, float *y, const float *a, const float *b, const float *none, int64_t n) {
    (void)none;
    v->swiglu(y, a, b, n);
}

static bt_status prepare(bt_device *device, const bt_swiglu_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("swiglu", {"x", &a->x, BT_COMPUTE}, {"y", &a->y, BT_COMPUTE});
}

static bt_status run(bt_device *device, const bt_swiglu_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_tensor gate = half_of(&a->x, 0), value = half_of(&a->x, 1);
    bt_map(device, &a->y, forward, &gate, &value, NULL);
    return BT_OK;
}

const bt_swiglu_kernel bt_cpu_swiglu = {prepare, run};

#define BLOCK 512 /* elements: five f32 buffers of it are a third of the first cache */

static bt_status prepare_dx(bt_device *device, const bt_swiglu_dx_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("swiglu_dx", {"dy", &a->dy, BT_COMPUTE}, {"x", &a->x, BT_COMPUTE},
                             {"dx", &a->dx, BT_COMPUTE});
}

/* dx may be x: both halves of a block are read before either is written. */
static void dx_blocks(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)unused;
    const bt_swiglu_dx_args *t = context;
    int64_t h = bt_shape_cols(t->dy.shape), blocks = (h + BLOCK - 1) / BLOCK;
    _Alignas(64) float buffer[5][BLOCK];
    for (int64_t block = begin; block < end; block++) {
        int64_t row = block / blocks, col = block % blocks * BLOCK, n = h - col < BLOCK ? h - col : BLOCK;
        const float *a = bt_row_read(v, &t->x, row, col, n, buffer[0]),
                    *b = bt_row_read(v, &t->x, row, h + col, n, buffer[1]);
        const float *dy = bt_row_read(v, &t->dy, row, col, n, buffer[2]);
        float *da = bt_row_target(&t->dx, row, col, buffer[3]), *db = bt_row_target(&t->dx, row, h + col, buffer[4]);
        v->swiglu_dx(da, db, dy, a, b, n);
        bt_row_write(v, &t->dx, row, col, n, da);
        bt_row_write(v, &t->dx, row, h + col, n, db);
    }
}

static bt_status run_dx(bt_device *device, const bt_swiglu_dx_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    int64_t rows = bt_shape_rows(a->dy.shape), h = bt_shape_cols(a->dy.shape);
    bt_over_rows(device, rows * ((h + BLOCK - 1) / BLOCK), 2 * rows * h, dx_blocks, a, 0, NULL);
    return BT_OK;
}

const bt_swiglu_dx_kernel bt_cpu_swiglu_dx = {prepare_dx, run_dx};
