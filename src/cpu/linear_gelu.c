/* A linear layer with its GELU, h = x w^T + b, y = gelu(h), and dh = gelu'(h) ((scale dy) w); with `quick` the GELU of
 * CLIP.
 *
 * Planning makes it for devices that have the function in the product's epilogue. This one does in two steps what it
 * stands for, so that there is a form to compare with. */
#include "cpu/product_set.h"
#include "cpu/rows.h"

static void gelu(const bt_vector *v, float *y, const float *x, const float *unused, const float *none, int64_t n) {
    (void)unused, (void)none;
    v->gelu(y, x, n);
}

static void quick_gelu(const bt_vector *v, float *y, const float *x, const float *unused, const float *none,
                       int64_t n) {
    (void)unused, (void)none;
    v->quick_gelu(y, x, n);
}

/* The product's output: h where it is kept, else y, which the function then overwrites. */
static const bt_tensor *inner(const bt_linear_gelu_args *a) {
    return bt_present(&a->h) ? &a->h : &a->y;
}

static bt_status prepare(bt_device *device, const bt_linear_gelu_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("linear_gelu", {"x", &a->x, BT_COMPUTE}, {"w", &a->w, BT_COMPUTE},
                             {"b", &a->b, BT_ALLOW_F32 | BT_ALLOW_NONE}, {"y", &a->y, BT_COMPUTE},
                             {"h", &a->h, BT_COMPUTE | BT_ALLOW_NONE}));
    const bt_product_spec spec = bt_product_linear(&a->x, &a->w, &a->b, NULL, inner(a));
    return bt_product_set_prepare(device, &spec, 1, 0, out);
}

static bt_status run(bt_device *device, const bt_linear_gelu_args *a, const bt_prepared *prepared, void *scratch) {
    const bt_product_operands operands = {.a = a->x.data, .b = a->w.data, .bias = a->b.data, .c = inner(a)->data};
    BT_TRY(bt_product_run(bt_product_set_of(prepared)->product[0], &operands, scratch));
    bt_map(device, &a->y, a->quick ? quick_gelu : gelu, inner(a), NULL, NULL);
    return BT_OK;
}

const bt_linear_gelu_kernel bt_cpu_linear_gelu = {prepare, run};

static void gelu_dx(const bt_vector *v, float *dx, const float *dy, const float *x, const float *none, int64_t n) {
    (void)none;
    v->gelu_dx(dx, dy, x, n);
}

static void quick_gelu_dx(const bt_vector *v, float *dx, const float *dy, const float *x, const float *none,
                          int64_t n) {
    (void)none;
    v->quick_gelu_dx(dx, dy, x, n);
}

static bt_status prepare_dx(bt_device *device, const bt_linear_gelu_dx_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("linear_gelu_dx", {"dy", &a->dy, BT_COMPUTE}, {"w", &a->w, BT_COMPUTE},
                             {"scale", &a->scale, BT_ALLOW_F32 | BT_ALLOW_NONE}, {"h", &a->h, BT_COMPUTE},
                             {"dh", &a->dh, BT_COMPUTE}));
    const bt_tensor scaled = bt_tensor_of(NULL, a->dy.dtype, a->dy.shape);
    const bool has_scale = bt_present(&a->scale);
    const bt_product_spec spec = bt_product_linear_dx(has_scale ? &scaled : &a->dy, &a->w, NULL, &a->dh);
    return bt_product_set_prepare(device, &spec, 1, has_scale ? bt_dense_bytes(&scaled) : 0, out);
}

static bt_status run_dx(bt_device *device, const bt_linear_gelu_dx_args *a, const bt_prepared *prepared,
                        void *scratch) {
    const bt_tensor scaled = bt_tensor_of(bt_product_set_more(prepared, scratch), a->dy.dtype, a->dy.shape);
    const bool has_scale = bt_present(&a->scale);
    if (has_scale) bt_map(device, &scaled, bt_map_multiply, &a->dy, NULL, &a->scale);
    const bt_product_operands operands = {.a = has_scale ? scaled.data : a->dy.data, .b = a->w.data, .c = a->dh.data};
    BT_TRY(bt_product_run(bt_product_set_of(prepared)->product[0], &operands, scratch));
    bt_map(device, &a->dh, a->quick ? quick_gelu_dx : gelu_dx, &a->dh, &a->h, NULL);
    return BT_OK;
}

const bt_linear_gelu_dx_kernel bt_cpu_linear_gelu_dx = {prepare_dx, run_dx};
