/* The residual sum y = x + scale f with LayerScale (arXiv 2103.17239), scale (C) or 1:
 *   dx = dy (no operation),   df = scale dy,   dscale = sum over rows of dy f, in two launches (columns.cuh).
 */
#include "columns.cuh"
#include "elementwise.cuh"

namespace {

struct forward {
    static BT_DEVICE_SPECIAL float apply(float x, float f, float scale) { return fmaf(scale, f, x); }
};

struct backward {
    static BT_DEVICE_SPECIAL float apply(float dy, float, float scale) { return scale * dy; }
};

/* The functor of bt_column_sum: dy f. */
template <typename T, int W> struct scale_terms {
    static constexpr int width = W, sums = 1;
    const T *dy, *f; /* (rows,C) */
    int64_t ld_dy, ld_f;
    BT_DEVICE_SPECIAL void add(int64_t row, int64_t column, float (&sum)[1][W]) const {
        float g[W], v[W];
        bt_load(g, dy + row * ld_dy + column);
        bt_load(v, f + row * ld_f + column);
#pragma unroll
        for (int i = 0; i < W; i++) sum[0][i] = fmaf(g[i], v[i], sum[0][i]);
    }
};

bt_status prepare(bt_device *, const bt_add_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("add", "x", a->x));
    BT_TRY(bt_cuda_require_same("add", "f", a->f, a->x));
    BT_TRY(bt_cuda_require("add", "scale", a->scale, BT_F32));
    return bt_cuda_require_same("add", "y", a->y, a->x);
}

bt_status run(bt_device *device, const bt_add_args *a, const bt_prepared *, void *) {
    return bt_map<forward>(device, a->y, a->x, a->f, a->scale);
}

bt_status prepare_df(bt_device *, const bt_add_df_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("add_df", "dy", a->dy));
    BT_TRY(bt_cuda_require("add_df", "scale", a->scale, BT_F32));
    return bt_cuda_require_same("add_df", "df", a->df, a->dy);
}

bt_status run_df(bt_device *device, const bt_add_df_args *a, const bt_prepared *, void *) {
    return bt_map<backward>(device, a->df, a->dy, BT_ABSENT, a->scale);
}

bt_status prepare_dscale(bt_device *, const bt_add_dscale_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("add_dscale", "dy", a->dy));
    BT_TRY(bt_cuda_require_same("add_dscale", "f", a->f, a->dy));
    BT_TRY(bt_cuda_require("add_dscale", "dscale", a->dscale, BT_F32));
    out->scratch_bytes = bt_column_scratch_bytes(bt_shape_rows(a->dy.shape), bt_shape_cols(a->dy.shape), 1);
    return BT_OK;
}

template <typename T, int W> bt_status sum_terms(bt_device *device, const bt_add_dscale_args *a, void *scratch) {
    const scale_terms<T, W> terms = {bt_data<T>(a->dy), bt_data<T>(a->f), a->dy.ld, a->f.ld};
    return bt_column_sum(device, terms, bt_shape_rows(a->dy.shape), bt_shape_cols(a->dy.shape),
                         {{bt_data<float>(a->dscale)}}, a->accumulate != 0, scratch);
}

template <typename T> bt_status run_dscale_typed(bt_device *device, const bt_add_dscale_args *a, void *scratch) {
    constexpr int W = bt_pack_width<T>;
    const bool packs = bt_packable(a->dy, W) && bt_packable(a->f, W);
    return packs ? sum_terms<T, W>(device, a, scratch) : sum_terms<T, 1>(device, a, scratch);
}

bt_status run_dscale(bt_device *device, const bt_add_dscale_args *a, const bt_prepared *, void *scratch) {
    return a->dy.dtype == BT_F32 ? run_dscale_typed<float>(device, a, scratch)
                                 : run_dscale_typed<bt_bf16>(device, a, scratch);
}

} // namespace

BT_CUDA_KERNEL(add, prepare, run)
BT_CUDA_KERNEL(add_df, prepare_df, run_df)
BT_CUDA_KERNEL(add_dscale, prepare_dscale, run_dscale)
