/* linear: y = x w^T + b + add, and its gradients dx = dy w + add, dw = dy^T x, db = sum over rows of dy.
 *
 * All three are one product each: the bias is an epilogue, `add` is beta = 1 (in place when the planner gave y the
 * memory of add), accumulation of dw is beta = 1 on f32. db is summed by two launches in a fixed order (columns.cuh)
 * rather than by the library's epilogue, whose order is not documented. */
#include "columns.cuh"
#include "linear.cuh"

namespace {

bt_status prepare_forward(bt_device *device, const bt_linear_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("linear", "x", a->x));
    BT_TRY(bt_cuda_require_same("linear", "w", a->w, a->x));
    BT_TRY(bt_cuda_require_same("linear", "add", a->add, a->x));
    BT_TRY(bt_cuda_require_same("linear", "y", a->y, a->x));
    BT_TRY(bt_cuda_require("linear", "b", a->b, BT_F32));
    return bt_linear_prepare(device, {bt_linear_product(a->x, a->w, a->b, a->add, a->y)}, 0, out);
}

bt_status run_forward(bt_device *device, const bt_linear_args *a, const bt_prepared *prepared, void *scratch) {
    return bt_product_run(device, bt_linear_plans_of(prepared)->plan[0], a->y.data, a->x.data, a->w.data,
                          bt_data<void>(a->add), bt_data<float>(a->b), scratch);
}

bt_status prepare_dx(bt_device *device, const bt_linear_dx_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("linear_dx", "dy", a->dy));
    BT_TRY(bt_cuda_require_same("linear_dx", "w", a->w, a->dy));
    BT_TRY(bt_cuda_require_same("linear_dx", "add", a->add, a->dy));
    BT_TRY(bt_cuda_require_same("linear_dx", "dx", a->dx, a->dy));
    return bt_linear_prepare(device, {bt_linear_dx_product(a->dy, a->w, a->add, a->dx)}, 0, out);
}

bt_status run_dx(bt_device *device, const bt_linear_dx_args *a, const bt_prepared *prepared, void *scratch) {
    return bt_product_run(device, bt_linear_plans_of(prepared)->plan[0], a->dx.data, a->dy.data, a->w.data,
                          bt_data<void>(a->add), NULL, scratch);
}

/** What bt_column_sum adds for db: dy (M,O) itself. */
template <typename T, int W> struct bias_terms {
    static constexpr int width = W, sums = 1;
    const T *dy;
    int64_t ld;
    __device__ void add(int64_t row, int64_t column, float (&sum)[1][W]) const {
        float v[W];
        bt_load(v, dy + row * ld + column);
#pragma unroll
        for (int i = 0; i < W; i++) sum[0][i] += v[i];
    }
};

template <typename T, int W> bt_status sum_bias(bt_device *device, const bt_linear_dw_args *a, void *scratch) {
    const bias_terms<T, W> terms = {bt_data<T>(a->dy), a->dy.ld};
    return bt_column_sum(device, terms, bt_shape_rows(a->dy.shape), bt_shape_cols(a->dy.shape),
                         {{bt_data<float>(a->db)}}, a->accumulate != 0, scratch);
}

template <typename T> bt_status choose_bias(bt_device *device, const bt_linear_dw_args *a, void *scratch) {
    constexpr int W = bt_pack_width<T>;
    return bt_packable(a->dy, W) ? sum_bias<T, W>(device, a, scratch) : sum_bias<T, 1>(device, a, scratch);
}

bt_status prepare_dw(bt_device *device, const bt_linear_dw_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("linear_dw", "dy", a->dy));
    BT_TRY(bt_cuda_require_same("linear_dw", "x", a->x, a->dy));
    BT_TRY(bt_cuda_require("linear_dw", "dw", a->dw, BT_F32));
    BT_TRY(bt_cuda_require("linear_dw", "db", a->db, BT_F32));
    const size_t sums_bytes =
        bt_present(&a->db) ? bt_column_scratch_bytes(bt_shape_rows(a->dy.shape), bt_shape_cols(a->dy.shape), 1) : 0;
    return bt_linear_prepare(device, {bt_linear_dw_product(a->dy, a->x, a->dw, a->accumulate)}, sums_bytes, out);
}

bt_status run_dw(bt_device *device, const bt_linear_dw_args *a, const bt_prepared *prepared, void *scratch) {
    BT_TRY(bt_product_run(device, bt_linear_plans_of(prepared)->plan[0], a->dw.data, a->dy.data, a->x.data, a->dw.data,
                          NULL, scratch));
    if (!bt_present(&a->db)) return BT_OK;
    void *own = bt_linear_own_scratch(prepared, scratch);
    return a->dy.dtype == BT_BF16 ? choose_bias<bt_bf16>(device, a, own) : choose_bias<float>(device, a, own);
}

} // namespace

BT_CUDA_KERNEL(linear, prepare_forward, run_forward)
BT_CUDA_KERNEL(linear_dx, prepare_dx, run_dx)
BT_CUDA_KERNEL(linear_dw, prepare_dw, run_dw)
