/* A linear layer with its GELU, h = x w^T + b, y = gelu(h), and dh = gelu'(h) ((scale dy) w); with `quick` the GELU of
 * CLIP.
 *
 * Planning makes it for devices that have the function in the product's epilogue. This one does in two steps what it
 * stands for, so that there is a form to compare with. */
#include "cpu/product_set.h"
#include "cpu/rows.h"

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
    const bt_kernels *kernels = device->backend->kernels;
    return a->quick ? kernels->quick_gelu->run(device, &(bt_quick_gelu_args){.x = *inner(a), .y = a->y}, NULL, NULL)
                    : kernels->gelu->run(device, &(bt_gelu_args){.x = *inner(a), .y = a->y}, NULL, NULL);
}

const bt_linear_gelu_kernel bt_cpu_linear_gelu = {prepare, run};

static bt_status prepare_dx(bt_device *device, const bt_linear_gelu_dx_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("linear_gelu_dx", {"dy", &a->dy, BT_COMPUTE}, {"w", &a->w, BT_COMPUTE},
                             {"scale", &a->scale, BT_ALLOW_F32 | BT_ALLOW_NONE}, {"h", &a->h, BT_COMPUTE},
                             {"dh", &a->dh, BT_COMPUTE}));
    const bt_tensor scaled = bt_tensor_of(NULL, a->dy.dtype, a->dy.shape);
    const bool has_scale = bt_present(&a->scale);
    const bt_product_spec spec = bt_product_linear_dx(has_scale ? &scaled : &a->dy, &a->w, NULL, &a->dh);
    return bt_product_set_prepare(device, &spec, 1, has_scale ? bt_tensor_bytes(&scaled) : 0, out);
}

static bt_status run_dx(bt_device *device, const bt_linear_gelu_dx_args *a, const bt_prepared *prepared,
                        void *scratch) {
    const bt_tensor scaled = bt_tensor_of(bt_product_set_more(prepared, scratch), a->dy.dtype, a->dy.shape);
    const bool has_scale = bt_present(&a->scale);
    const bt_kernels *kernels = device->backend->kernels;
    if (has_scale)
        BT_TRY(
            kernels->add_df->run(device, &(bt_add_df_args){.dy = a->dy, .scale = a->scale, .df = scaled}, NULL, NULL));
    const bt_product_operands operands = {.a = has_scale ? scaled.data : a->dy.data, .b = a->w.data, .c = a->dh.data};
    BT_TRY(bt_product_run(bt_product_set_of(prepared)->product[0], &operands, scratch));
    const bt_gelu_dx_args exact = {.dy = a->dh, .x = a->h, .dx = a->dh};
    const bt_quick_gelu_dx_args quick = {.dy = a->dh, .x = a->h, .dx = a->dh};
    return a->quick ? kernels->quick_gelu_dx->run(device, &quick, NULL, NULL)
                    : kernels->gelu_dx->run(device, &exact, NULL, NULL);
}

const bt_linear_gelu_dx_kernel bt_cpu_linear_gelu_dx = {prepare_dx, run_dx};
