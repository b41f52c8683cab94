/* What linear and lora_linear share: the products an instruction plans, and the alignment it may promise for them.
 */
#ifndef BITTERN_CUDA_LINEAR_CUH
#define BITTERN_CUDA_LINEAR_CUH

#include "frozen.cuh"
#include "fused_product.cuh"
#include "product.cuh"

#include <stdlib.h>

constexpr int BT_LINEAR_PRODUCTS = 3;

/** bt_prepared.state of an instruction: its products as they were given to bt_linear_prepare; the rest is NULL. */
struct bt_linear_plans {
    bt_product_plan *plan[BT_LINEAR_PRODUCTS];
    bt_frozen_copy *weight; /* scaled, of linear_scaled and linear_gelu; or NULL */
    bt_fused_plan *fused;   /* of linear_gelu; or NULL */
    bt_device *device;
    size_t product_scratch_bytes; /* the instruction's own scratch follows */
};

inline void bt_linear_release(void *state) {
    bt_linear_plans *plans = static_cast<bt_linear_plans *>(state);
    for (bt_product_plan *plan : plans->plan) bt_product_release(plan);
    bt_frozen_drop(plans->device, plans->weight);
    bt_fused_release(plans->fused);
    free(plans);
}

/** Plans the products of an instruction as the state of `out`. They run one after the other and share scratch;
 * own_scratch_bytes of the instruction's lie behind it. */
template <int COUNT>
bt_status bt_linear_prepare(bt_device *device, const bt_product (&products)[COUNT], size_t own_scratch_bytes,
                            bt_prepared *out) {
    static_assert(COUNT <= BT_LINEAR_PRODUCTS, "room for the plans");
    bt_linear_plans *plans = static_cast<bt_linear_plans *>(calloc(1, sizeof *plans));
    if (!plans) return bt_error(BT_ERR_MEMORY, "linear on cuda: no memory for a plan");
    plans->device = device;
    for (int i = 0; i < COUNT; i++) {
        const bt_status status =
            bt_product_prepare(device, &products[i], &plans->plan[i], &plans->product_scratch_bytes);
        if (status != BT_OK) {
            bt_linear_release(plans);
            return status;
        }
    }
    plans->product_scratch_bytes = bt_align256(plans->product_scratch_bytes);
    out->scratch_bytes = plans->product_scratch_bytes + own_scratch_bytes;
    out->state = plans;
    out->release = bt_linear_release;
    return BT_OK;
}

inline const bt_linear_plans *bt_linear_plans_of(const bt_prepared *prepared) {
    return static_cast<const bt_linear_plans *>(prepared->state);
}
/** Behind the products' scratch: memory of the instruction's own. */
inline void *bt_linear_own_scratch(const bt_prepared *prepared, void *scratch) {
    return static_cast<unsigned char *>(scratch) + bt_linear_plans_of(prepared)->product_scratch_bytes;
}

/** Largest power of two, at most 16, that divides a distance in bytes. */
inline int bt_alignment_of(uint64_t bytes) {
    int alignment = 16;
    while (bytes % (uint64_t)alignment != 0) alignment /= 2;
    return alignment;
}

/** Alignment of every row of `t` in bytes. Memory that is not known yet is assumed to start on a row of a 16-byte
 * aligned tensor, or on a multiple of its own width if it is a range of columns. */
inline int bt_row_alignment(const bt_tensor &t) {
    if (!bt_present(&t)) return 16;
    const uint64_t element_bytes = bt_dtype_bytes(t.dtype), cols = (uint64_t)bt_shape_cols(t.shape);
    const uint64_t slice_bytes = (uint64_t)t.ld == cols ? 0 : cols * element_bytes;
    return bt_alignment_of((uint64_t)t.ld * element_bytes | slice_bytes | (uint64_t)(uintptr_t)t.data);
}

inline int bt_least_alignment(int a, int b, int c = 16, int d = 16) {
    const int ab = a < b ? a : b, cd = c < d ? c : d;
    return ab < cd ? ab : cd;
}

/** y = x w^T + b + add of linear and lora_linear. x (M,I), w (O,I), add and y (M,O). */
inline bt_product bt_linear_product(const bt_tensor &x, const bt_tensor &w, const bt_tensor &b, const bt_tensor &add,
                                    const bt_tensor &y) {
    bt_product p = {};
    p.m = bt_shape_rows(x.shape), p.n = bt_shape_rows(w.shape), p.k = bt_shape_cols(x.shape);
    p.dtype = p.out_dtype = x.dtype;
    p.transpose_b = true;
    p.bias = bt_present(&b);
    p.frozen_bias = b.flags & BT_FROZEN ? bt_data<float>(b) : NULL;
    p.lda = x.ld, p.ldb = w.ld, p.ldc = add.ld, p.ldd = y.ld;
    p.alpha = 1.0f, p.beta = bt_present(&add) ? 1.0f : 0.0f;
    p.alignment_bytes =
        bt_least_alignment(bt_row_alignment(x), bt_row_alignment(w), bt_row_alignment(add), bt_row_alignment(y));
    return p;
}

/** dx = dy w + add of linear_dx and lora_linear_dx. dy (M,O), w (O,I), add and dx (M,I). */
inline bt_product bt_linear_dx_product(const bt_tensor &dy, const bt_tensor &w, const bt_tensor &add,
                                       const bt_tensor &dx) {
    bt_product p = {};
    p.m = bt_shape_rows(dy.shape), p.n = bt_shape_cols(w.shape), p.k = bt_shape_cols(dy.shape);
    p.dtype = p.out_dtype = dy.dtype;
    p.lda = dy.ld, p.ldb = w.ld, p.ldc = add.ld, p.ldd = dx.ld;
    p.alpha = 1.0f, p.beta = bt_present(&add) ? 1.0f : 0.0f;
    p.alignment_bytes =
        bt_least_alignment(bt_row_alignment(dy), bt_row_alignment(w), bt_row_alignment(add), bt_row_alignment(dx));
    return p;
}

/** dw = dy^T x of linear_dw; with `accumulate` added to what dw holds. dy (M,O), x (M,I), dw (O,I) f32. */
inline bt_product bt_linear_dw_product(const bt_tensor &dy, const bt_tensor &x, const bt_tensor &dw, int accumulate) {
    bt_product p = {};
    p.m = bt_shape_cols(dy.shape), p.n = bt_shape_cols(x.shape), p.k = bt_shape_rows(dy.shape);
    p.dtype = dy.dtype, p.out_dtype = BT_F32;
    p.transpose_a = true;
    p.lda = dy.ld, p.ldb = x.ld, p.ldd = dw.ld;
    p.alpha = 1.0f, p.beta = accumulate ? 1.0f : 0.0f;
    p.alignment_bytes = bt_least_alignment(bt_row_alignment(dy), bt_row_alignment(x), bt_row_alignment(dw));
    return p;
}

#endif
