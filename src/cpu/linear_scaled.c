/* A linear layer under LayerScale with the residual, y = add + scale (x w^T + b), and its dx = (scale dy) w + add.
 *
 * Planning makes it for devices that put the scale into the weight. This one does in two steps what it stands for, so
 * that there is a form to compare with: the product in f32 and then the sum; the scaled gradient and then its product.
 */
#include "cpu/product_set.h"
#include "cpu/rows.h"

static bt_status prepare(bt_device *device, const bt_linear_scaled_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("linear_scaled", {"x", &a->x, BT_COMPUTE}, {"w", &a->w, BT_COMPUTE},
                             {"b", &a->b, BT_ALLOW_F32 | BT_ALLOW_NONE}, {"scale", &a->scale, BT_ALLOW_F32},
                             {"add", &a->add, BT_COMPUTE}, {"y", &a->y, BT_COMPUTE}));
    const bt_tensor f = bt_tensor_of(NULL, BT_F32, a->y.shape);
    const bt_product_spec spec = bt_product_linear(&a->x, &a->w, &a->b, NULL, &f);
    return bt_product_set_prepare(device, &spec, 1, bt_tensor_bytes(&f), out);
}

static bt_status run(bt_device *device, const bt_linear_scaled_args *a, const bt_prepared *prepared, void *scratch) {
    const bt_tensor f = bt_tensor_of(bt_product_set_more(prepared, scratch), BT_F32, a->y.shape);
    const bt_product_operands operands = {.a = a->x.data, .b = a->w.data, .bias = a->b.data, .c = f.data};
    BT_TRY(bt_product_run(bt_product_set_of(prepared)->product[0], &operands, scratch));
    const bt_add_args sum = {.x = a->add, .f = f, .scale = a->scale, .y = a->y};
    return device->backend->kernels->add->run(device, &sum, NULL, NULL);
}

const bt_linear_scaled_kernel bt_cpu_linear_scaled = {prepare, run};

static bt_status prepare_dx(bt_device *device, const bt_linear_scaled_dx_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("linear_scaled_dx", {"dy", &a->dy, BT_COMPUTE}, {"w", &a->w, BT_COMPUTE},
                             {"scale", &a->scale, BT_ALLOW_F32}, {"add", &a->add, BT_COMPUTE | BT_ALLOW_NONE},
                             {"dx", &a->dx, BT_COMPUTE}));
    const bt_tensor scaled = bt_tensor_of(NULL, a->dy.dtype, a->dy.shape);
    const bt_product_spec spec = bt_product_linear_dx(&scaled, &a->w, &a->add, &a->dx);
    return bt_product_set_prepare(device, &spec, 1, bt_tensor_bytes(&scaled), out);
}

static bt_status run_dx(bt_device *device, const bt_linear_scaled_dx_args *a, const bt_prepared *prepared,
                        void *scratch) {
    const bt_tensor scaled = bt_tensor_of(bt_product_set_more(prepared, scratch), a->dy.dtype, a->dy.shape);
    const bt_add_df_args scaling = {.dy = a->dy, .scale = a->scale, .df = scaled};
    BT_TRY(device->backend->kernels->add_df->run(device, &scaling, NULL, NULL));
    const bt_product_operands operands = {.a = scaled.data, .b = a->w.data, .add = a->add.data, .c = a->dx.data};
    return bt_product_run(bt_product_set_of(prepared)->product[0], &operands, scratch);
}

const bt_linear_scaled_dx_kernel bt_cpu_linear_scaled_dx = {prepare_dx, run_dx};
