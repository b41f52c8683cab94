/* Assembling the token sequence of a vision transformer.
 *
 *   x (N,1+R+S,D): row 0 = cls + pos[0], rows 1..R = reg, then patches[s] + pos[1+s]; T = 1+R+S
 *                  (without positions where pos is absent)
 *   backward       dpatches = the patch rows of dx; dcls, dpos, dreg = sums over samples of the rows of dx, f32; dvalue
 * is dpos where positions are no parameter
 *
 * Forward and dpatches give a warp to each row. The sums give a pack of columns of one token to a thread, which walks
 * the samples in order: T*D/W threads with independent loads, no second stage.
 */
#include "operands.cuh"

namespace {

template <typename T, int W>
__global__ void __launch_bounds__(BT_ROW_THREADS)
    tokens_rows(T *x, const T *patches, const float *cls, const float *pos, const float *reg, int64_t rows,
                int64_t tokens, int64_t registers, int64_t cols, int64_t ldx, int64_t ldpatches, int64_t ldpos,
                int64_t ldreg) {
    const int64_t row = bt_warp_row();
    if (row >= rows) return;
    const int64_t n = row / tokens, t = row - n * tokens, s = t - 1 - registers;
    const int64_t count = tokens - 1 - registers;
    for (int64_t c = bt_lane() * W; c < cols; c += 32 * W) {
        float v[W];
        if (t == 0) {
            bt_load(v, cls + c);
            if (pos) bt_load_add(v, pos + c);
        } else if (s < 0) {
            bt_load(v, reg + (t - 1) * ldreg + c);
        } else {
            bt_load(v, patches + (n * count + s) * ldpatches + c);
            if (pos) bt_load_add(v, pos + (1 + s) * ldpos + c);
        }
        bt_store(x + row * ldx + c, v);
    }
}

template <typename T, int W>
__global__ void __launch_bounds__(BT_ROW_THREADS)
    tokens_dx_rows(T *dpatches, const T *dx, int64_t rows, int64_t count, int64_t skipped, int64_t cols, int64_t ldd,
                   int64_t ldx) {
    const int64_t row = bt_warp_row();
    if (row >= rows) return;
    const int64_t from = row + (row / count + 1) * skipped; /* 1+R rows before the patches of each sample */
    for (int64_t c = bt_lane() * W; c < cols; c += 32 * W) {
        float v[W];
        bt_load(v, dx + from * ldx + c);
        bt_store(dpatches + row * ldd + c, v);
    }
}

/** target (+)= v. */
template <int W> BT_DEVICE void put(float *target, const float (&v)[W], int accumulate) {
    float sum[W];
#pragma unroll
    for (int i = 0; i < W; i++) sum[i] = v[i];
    if (accumulate) bt_load_add(sum, target);
    bt_store(target, sum);
}

/** Grid (column packs / 64, T). dreg is NULL when the registers get no gradient, dpos when there are no positions. */
template <typename T, int W>
__global__ void __launch_bounds__(64)
    tokens_dw_sums(float *dcls, float *dpos, float *dreg, const T *dx, int64_t samples, int64_t tokens,
                   int64_t registers, int64_t cols, int64_t ldx, int64_t ldpos, int64_t ldreg, int accumulate,
                   int accumulate_pos) {
    const int64_t t = blockIdx.y, c = ((int64_t)blockIdx.x * 64 + threadIdx.x) * W;
    const bool is_register = t >= 1 && t <= registers;
    if (c >= cols || (is_register ? dreg == NULL : t > 0 && dpos == NULL)) return;
    float sum[W] = {};
#pragma unroll 4
    for (int64_t n = 0; n < samples; n++) bt_load_add(sum, dx + (n * tokens + t) * ldx + c);
    if (is_register) {
        put(dreg + (t - 1) * ldreg + c, sum, accumulate);
        return;
    }
    if (dpos) put(dpos + (t == 0 ? 0 : t - registers) * ldpos + c, sum, accumulate_pos);
    if (t == 0) put(dcls + c, sum, accumulate);
}

/** R: what the positions leave of the tokens, or the rows of reg where there are no positions. */
int64_t register_rows(const bt_tensor &reg, int64_t tokens, const bt_tensor &pos) {
    if (!bt_present(&pos)) return bt_present(&reg) ? bt_shape_rows(reg.shape) : 0;
    const int64_t rows = tokens - bt_shape_rows(pos.shape);
    BT_ASSERT(!bt_present(&reg) || bt_shape_rows(reg.shape) == rows);
    return rows;
}

template <typename T, int W> bt_status launch_forward(bt_device *device, const bt_tokens_args *a) {
    const int64_t rows = bt_shape_rows(a->x.shape), tokens = a->x.shape.dim[1];
    return BT_LAUNCH((tokens_rows<T, W>), bt_blocks(rows, BT_ROW_WARPS), BT_ROW_THREADS, 0, bt_cuda_stream(device),
                     bt_data<T>(a->x), bt_data<T>(a->patches), bt_data<float>(a->cls), bt_data<float>(a->pos),
                     bt_data<float>(a->reg), rows, tokens, register_rows(a->reg, tokens, a->pos),
                     bt_shape_cols(a->x.shape), a->x.ld, a->patches.ld, a->pos.ld, a->reg.ld);
}

template <typename T> bt_status choose_forward(bt_device *device, const bt_tokens_args *a) {
    constexpr int W = bt_pack_width<T>;
    const bool packable = bt_packable(a->x, W) && bt_packable(a->patches, W) && bt_packable(a->cls, W) &&
                          bt_packable(a->pos, W) && bt_packable(a->reg, W);
    return packable ? launch_forward<T, W>(device, a) : launch_forward<T, 1>(device, a);
}

template <typename T, int W> bt_status launch_dx(bt_device *device, const bt_tokens_dx_args *a) {
    const int64_t rows = bt_shape_rows(a->dpatches.shape), count = a->dpatches.shape.dim[1];
    return BT_LAUNCH((tokens_dx_rows<T, W>), bt_blocks(rows, BT_ROW_WARPS), BT_ROW_THREADS, 0, bt_cuda_stream(device),
                     bt_data<T>(a->dpatches), bt_data<T>(a->dx), rows, count, a->dx.shape.dim[1] - count,
                     bt_shape_cols(a->dx.shape), a->dpatches.ld, a->dx.ld);
}

template <typename T> bt_status choose_dx(bt_device *device, const bt_tokens_dx_args *a) {
    constexpr int W = bt_pack_width<T>;
    const bool packable = bt_packable(a->dx, W) && bt_packable(a->dpatches, W);
    return packable ? launch_dx<T, W>(device, a) : launch_dx<T, 1>(device, a);
}

template <typename T, int W> bt_status launch_dw(bt_device *device, const bt_tokens_dw_args *a) {
    const int64_t tokens = a->dx.shape.dim[1], cols = bt_shape_cols(a->dx.shape);
    const bool is_value = bt_present(&a->dvalue);
    const bt_tensor &dpos = is_value ? a->dvalue : a->dpos;
    return BT_LAUNCH((tokens_dw_sums<T, W>), dim3(bt_blocks(cols, 64 * W), (unsigned)tokens), 64, 0,
                     bt_cuda_stream(device), bt_data<float>(a->dcls), bt_data<float>(dpos), bt_data<float>(a->dreg),
                     bt_data<T>(a->dx), a->dx.shape.dim[0], tokens, register_rows(a->dreg, tokens, dpos), cols,
                     a->dx.ld, dpos.ld, a->dreg.ld, a->accumulate, is_value ? 0 : a->accumulate);
}

template <typename T> bt_status choose_dw(bt_device *device, const bt_tokens_dw_args *a) {
    constexpr int W = bt_pack_width<T>;
    const bool packable = bt_packable(a->dx, W) && bt_packable(a->dcls, W) && bt_packable(a->dpos, W) &&
                          bt_packable(a->dreg, W) && bt_packable(a->dvalue, W);
    return packable ? launch_dw<T, W>(device, a) : launch_dw<T, 1>(device, a);
}

bt_status prepare_forward(bt_device *, const bt_tokens_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("tokens", "x", a->x));
    BT_TRY(bt_cuda_require_same("tokens", "patches", a->patches, a->x));
    BT_TRY(bt_cuda_require("tokens", "cls", a->cls, BT_F32));
    BT_TRY(bt_cuda_require("tokens", "pos", a->pos, BT_F32));
    return bt_cuda_require("tokens", "reg", a->reg, BT_F32);
}

bt_status run_forward(bt_device *device, const bt_tokens_args *a, const bt_prepared *, void *) {
    return a->x.dtype == BT_BF16 ? choose_forward<bt_bf16>(device, a) : choose_forward<float>(device, a);
}

bt_status prepare_dx(bt_device *, const bt_tokens_dx_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("tokens_dx", "dx", a->dx));
    return bt_cuda_require_same("tokens_dx", "dpatches", a->dpatches, a->dx);
}

bt_status run_dx(bt_device *device, const bt_tokens_dx_args *a, const bt_prepared *, void *) {
    return a->dx.dtype == BT_BF16 ? choose_dx<bt_bf16>(device, a) : choose_dx<float>(device, a);
}

bt_status prepare_dw(bt_device *, const bt_tokens_dw_args *a, bt_prepared *) {
    if (a->dx.shape.dim[1] > 65535)
        return bt_error(BT_ERR_UNSUPPORTED, "tokens_dw on " BT_CUDA_BACKEND ": %lld tokens; a grid takes at most 65535",
                        (long long)a->dx.shape.dim[1]);
    BT_ASSERT(!bt_present(&a->dpos) || !bt_present(&a->dvalue));
    return bt_cuda_require_compute("tokens_dw", "dx", a->dx);
}

bt_status run_dw(bt_device *device, const bt_tokens_dw_args *a, const bt_prepared *, void *) {
    return a->dx.dtype == BT_BF16 ? choose_dw<bt_bf16>(device, a) : choose_dw<float>(device, a);
}

} // namespace

BT_CUDA_KERNEL(tokens, prepare_forward, run_forward)
BT_CUDA_KERNEL(tokens_dx, prepare_dx, run_dx)
BT_CUDA_KERNEL(tokens_dw, prepare_dw, run_dw)
