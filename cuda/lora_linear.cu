/* lora_linear: a frozen linear layer with low-rank updates on column ranges of y, and its backward (arXiv 2106.09685).
 *
 *   u (M,P*R) = drop(x) a^T            y = x w^T + b + add;  y_p += scale u_p bb_p^T    y_p: columns c_p .. c_p+W of y
 *   du_p = scale dy_p bb_p             dx = dy w + drop'(du a) + add
 *   da = du^T drop(x)                  dbb_p = scale dy_p^T u_p
 *
 * Only u is saved. The mask is drawn again wherever it is needed (random.h), so it costs no memory. Parts at equal
 * distances (q, k and v of a fused qkv) are one batched product. The update of y is a second pass over its columns with
 * beta = 1: of the ways to add it, the one that needs no second copy of the frozen weight.
 *
 * With dropout, two things go through scratch of x's size: drop(x), and drop'(du a) + add, which the frozen product
 * then adds (beta = 1), so that y and dx are still written once. */
#include "linear.cuh"

namespace {

/* ---- dropout ---- */

/** A matrix (N*T,I) by rows. */
template <typename T> struct matrix {
    T *data;
    int64_t ld;
};

/** The draw of element t*I + i of sample n (random.h). */
struct dropout_key {
    const int64_t *ids; /* (N) */
    const bt_step *step;
    uint32_t stream;
    float dropout;
};

constexpr int DROP_THREADS = 256;

/** out = keep ? x / (1 - dropout) : 0, plus add if there is one; out may be x or add. Packs of W: 4 elements share one
 * Philox block. Grid (packs of a sample, samples). */
template <typename T, int W>
__global__ void __launch_bounds__(DROP_THREADS)
    lora_drop(matrix<T> out, matrix<const T> x, matrix<const T> add, dropout_key key, int64_t samples, int64_t tokens,
              uint32_t row_packs) {
    static_assert(W == 1 || W == 4, "a pack lies in one Philox block");
    const uint32_t pack = blockIdx.x * DROP_THREADS + threadIdx.x;
    const uint32_t token = pack / row_packs, column = pack % row_packs * W;
    if (token >= tokens) return;
    const uint32_t element = pack * W;
    const float factor = 1.0f / (1.0f - key.dropout);
    for (int64_t n = blockIdx.y; n < samples; n += gridDim.y) {
        const int64_t row = n * tokens + token;
        const bt_philox draw = bt_random_block(key.step->seed, key.step->step, key.stream, key.ids[n], element / 4);
        float v[W];
        bt_load(v, x.data + row * x.ld + column);
#pragma unroll
        for (int i = 0; i < W; i++) {
            const uint32_t word = W == 4 ? draw.word[i] : draw.word[element % 4];
            v[i] = bt_random_unit(word) >= key.dropout ? v[i] * factor : 0.0f;
        }
        bt_load_add(v, bt_at(add.data, row, add.ld, column));
        bt_store(out.data + row * out.ld + column, v);
    }
}

template <typename T> matrix<T> matrix_of(const bt_tensor &t) {
    return {bt_data<T>(t), t.ld};
}

template <typename T, int W>
bt_status launch_drop(bt_device *device, const bt_tensor &out, const bt_tensor &x, const bt_tensor &add,
                      const dropout_key &key) {
    const int64_t samples = x.shape.dim[0], tokens = bt_shape_rows(x.shape) / (samples > 0 ? samples : 1);
    const int64_t row_packs = bt_shape_cols(x.shape) / W;
    const dim3 grid(bt_blocks(tokens * row_packs, DROP_THREADS), samples < 65535 ? (unsigned)samples : 65535u);
    return BT_LAUNCH((lora_drop<T, W>), grid, DROP_THREADS, 0, bt_cuda_stream(device), matrix_of<T>(out),
                     matrix_of<const T>(x), matrix_of<const T>(add), key, samples, tokens, (uint32_t)row_packs);
}

/** out = drop(x) + add for matrices of compute dtype in the shape of x, with the mask of `ids` and `stream`. */
bt_status drop(bt_device *device, const bt_tensor &out, const bt_tensor &x, const bt_tensor &add, const bt_tensor &ids,
               float dropout, int stream) {
    const dropout_key key = {bt_data<int64_t>(ids), device->step, (uint32_t)stream, dropout};
    const bool packs = bt_packable(x, 4) && bt_packable(out, 4) && bt_packable(add, 4);
    if (x.dtype == BT_BF16)
        return packs ? launch_drop<bt_bf16, 4>(device, out, x, add, key)
                     : launch_drop<bt_bf16, 1>(device, out, x, add, key);
    return packs ? launch_drop<float, 4>(device, out, x, add, key) : launch_drop<float, 1>(device, out, x, add, key);
}

/** Elements of a sample are counted in 32 bits. */
bt_status check_dropout(const char *operation, const bt_tensor &x, const bt_tensor &ids, float dropout) {
    if (!(dropout > 0.0f)) return BT_OK;
    if (!bt_present(&ids))
        return bt_error(BT_ERR_SHAPE, "%s on cuda: dropout %g needs the operand ids", operation, (double)dropout);
    const int64_t samples = x.shape.dim[0] > 0 ? x.shape.dim[0] : 1;
    if (bt_shape_count(x.shape) / samples > INT32_MAX)
        return bt_error(BT_ERR_UNSUPPORTED, "%s on cuda: dropout over more than 2^31 elements of a sample", operation);
    return bt_cuda_require(operation, "ids", ids, BT_I64);
}

const bt_tensor NO_TENSOR = {};

size_t dropped_bytes(const bt_tensor &x, float dropout) {
    return dropout > 0.0f ? (size_t)bt_shape_count(x.shape) * bt_dtype_bytes(x.dtype) : 0;
}

/** drop(x) as it lies in the instruction's scratch: contiguous. Without dropout x itself. */
bt_tensor dropped_at(void *scratch, const bt_tensor &x, float dropout) {
    return dropout > 0.0f ? bt_tensor_of(scratch, x.dtype, x.shape) : x;
}

/** *data = drop(x), made in the instruction's scratch if there is dropout. For the operations whose x is read through
 * it.
 */
template <typename Args>
bt_status make_dropped(bt_device *device, const Args *a, const bt_prepared *prepared, void *scratch,
                       const void **data) {
    const bt_tensor x = dropped_at(bt_linear_own_scratch(prepared, scratch), a->x, a->dropout);
    *data = x.data;
    return a->dropout > 0.0f ? drop(device, x, a->x, NO_TENSOR, a->ids, a->dropout, a->stream) : BT_OK;
}

/* ---- the parts of an adapter ---- */

/** Alignment of the parts within y, u and bb. */
int part_alignment(const bt_lora_parts &l, bt_dtype dtype) {
    uint64_t distances = l.count == 1 ? 0 : (uint64_t)l.rank | (uint64_t)(l.width * l.rank);
    for (int k = 0; k < l.count; k++) distances |= (uint64_t)l.column[k];
    return bt_alignment_of(distances * bt_dtype_bytes(dtype));
}

/** Products that serve all parts: one batched product, or one each. */
int part_products(const bt_lora_parts &l) {
    return bt_lora_distance(&l) != 0 ? 1 : l.count;
}

/** The product `q` of one part, scaled, for all parts. Strides are those from part to part in its operands a, b and d.
 */
bt_product for_parts(bt_product q, const bt_lora_parts &l, int64_t stride_a, int64_t stride_b, int64_t stride_d) {
    q.alpha = l.scale;
    q.alignment_bytes = bt_least_alignment(q.alignment_bytes, part_alignment(l, q.dtype));
    if (bt_lora_distance(&l) != 0) {
        q.batch = l.count;
        q.stride_a = stride_a, q.stride_b = stride_b, q.stride_c = q.stride_d = stride_d;
    }
    return q;
}

/* ---- forward ---- */

/** y_p += scale u_p bb_p^T */
bt_product update_product(const bt_lora_linear_args *a) {
    const bt_lora_part part = bt_lora_part_of(&a->parts, 0, &a->u, &a->bb, &a->y);
    return for_parts(bt_linear_product(part.u, part.bb, NO_TENSOR, part.y, part.y), a->parts, a->parts.rank,
                     a->parts.width * a->bb.ld, bt_lora_distance(&a->parts));
}

bt_status prepare_forward(bt_device *device, const bt_lora_linear_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("lora_linear", "x", a->x));
    BT_TRY(bt_cuda_require_same("lora_linear", "w", a->w, a->x));
    BT_TRY(bt_cuda_require_same("lora_linear", "a", a->a, a->x));
    BT_TRY(bt_cuda_require_same("lora_linear", "bb", a->bb, a->x));
    BT_TRY(bt_cuda_require_same("lora_linear", "add", a->add, a->x));
    BT_TRY(bt_cuda_require_same("lora_linear", "y", a->y, a->x));
    BT_TRY(bt_cuda_require_same("lora_linear", "u", a->u, a->x));
    BT_TRY(bt_cuda_require("lora_linear", "b", a->b, BT_F32));
    BT_TRY(check_dropout("lora_linear", a->x, a->ids, a->dropout));
    const bt_tensor x = dropped_at(NULL, a->x, a->dropout);
    return bt_linear_prepare(device,
                             {bt_linear_product(x, a->a, NO_TENSOR, NO_TENSOR, a->u),
                              bt_linear_product(a->x, a->w, a->b, a->add, a->y), update_product(a)},
                             dropped_bytes(a->x, a->dropout), out);
}

bt_status run_forward(bt_device *device, const bt_lora_linear_args *a, const bt_prepared *prepared, void *scratch) {
    const bt_linear_plans *plans = bt_linear_plans_of(prepared);
    const void *x;
    BT_TRY(make_dropped(device, a, prepared, scratch, &x));
    BT_TRY(bt_product_run(device, plans->plan[0], a->u.data, x, a->a.data, NULL, NULL, scratch));
    BT_TRY(bt_product_run(device, plans->plan[1], a->y.data, a->x.data, a->w.data, bt_data<void>(a->add),
                          bt_data<float>(a->b), scratch));
    for (int p = 0; p < part_products(a->parts); p++) {
        const bt_lora_part part = bt_lora_part_of(&a->parts, p, &a->u, &a->bb, &a->y);
        BT_TRY(
            bt_product_run(device, plans->plan[2], part.y.data, part.u.data, part.bb.data, part.y.data, NULL, scratch));
    }
    return BT_OK;
}

/* ---- backward ---- */

/** du_p = scale dy_p bb_p */
bt_product du_product(const bt_lora_du_args *a) {
    const bt_lora_part part = bt_lora_part_of(&a->parts, 0, &a->du, &a->bb, &a->dy);
    return for_parts(bt_linear_dx_product(part.y, part.bb, NO_TENSOR, part.u), a->parts, bt_lora_distance(&a->parts),
                     a->parts.width * a->bb.ld, a->parts.rank);
}

bt_status prepare_du(bt_device *device, const bt_lora_du_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("lora_du", "dy", a->dy));
    BT_TRY(bt_cuda_require_same("lora_du", "bb", a->bb, a->dy));
    BT_TRY(bt_cuda_require_same("lora_du", "du", a->du, a->dy));
    return bt_linear_prepare(device, {du_product(a)}, 0, out);
}

bt_status run_du(bt_device *device, const bt_lora_du_args *a, const bt_prepared *prepared, void *scratch) {
    for (int p = 0; p < part_products(a->parts); p++) {
        const bt_lora_part part = bt_lora_part_of(&a->parts, p, &a->du, &a->bb, &a->dy);
        BT_TRY(bt_product_run(device, bt_linear_plans_of(prepared)->plan[0], part.u.data, part.y.data, part.bb.data,
                              NULL, NULL, scratch));
    }
    return BT_OK;
}

/** Without dropout: dx = dy w + add, then dx += du a. With it: t = du a, t = drop'(t) + add, dx = dy w + t. */
bt_status prepare_dx(bt_device *device, const bt_lora_linear_dx_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("lora_linear_dx", "dy", a->dy));
    BT_TRY(bt_cuda_require_same("lora_linear_dx", "w", a->w, a->dy));
    BT_TRY(bt_cuda_require_same("lora_linear_dx", "du", a->du, a->dy));
    BT_TRY(bt_cuda_require_same("lora_linear_dx", "a", a->a, a->dy));
    BT_TRY(bt_cuda_require_same("lora_linear_dx", "add", a->add, a->dy));
    BT_TRY(bt_cuda_require_same("lora_linear_dx", "dx", a->dx, a->dy));
    BT_TRY(check_dropout("lora_linear_dx", a->dx, a->ids, a->dropout));
    const bool dropout = a->dropout > 0.0f;
    const bt_tensor t = dropped_at(NULL, a->dx, a->dropout);
    return bt_linear_prepare(device,
                             {bt_linear_dx_product(a->du, a->a, dropout ? NO_TENSOR : a->dx, t),
                              bt_linear_dx_product(a->dy, a->w, dropout ? t : a->add, a->dx)},
                             dropped_bytes(a->dx, a->dropout), out);
}

bt_status run_dx(bt_device *device, const bt_lora_linear_dx_args *a, const bt_prepared *prepared, void *scratch) {
    const bt_linear_plans *plans = bt_linear_plans_of(prepared);
    const void *add = bt_data<void>(a->add);
    if (a->dropout > 0.0f) {
        const bt_tensor t = bt_tensor_of(bt_linear_own_scratch(prepared, scratch), a->dx.dtype, a->dx.shape);
        BT_TRY(bt_product_run(device, plans->plan[0], t.data, a->du.data, a->a.data, NULL, NULL, scratch));
        BT_TRY(drop(device, t, t, a->add, a->ids, a->dropout, a->stream));
        return bt_product_run(device, plans->plan[1], a->dx.data, a->dy.data, a->w.data, t.data, NULL, scratch);
    }
    BT_TRY(bt_product_run(device, plans->plan[1], a->dx.data, a->dy.data, a->w.data, add, NULL, scratch));
    return bt_product_run(device, plans->plan[0], a->dx.data, a->du.data, a->a.data, a->dx.data, NULL, scratch);
}

/** dbb_p = scale dy_p^T u_p */
bt_product dbb_product(const bt_lora_dw_args *a) {
    const bt_lora_part part = bt_lora_part_of(&a->parts, 0, &a->u, &a->dbb, &a->dy);
    return for_parts(bt_linear_dw_product(part.y, part.u, part.bb, a->accumulate), a->parts,
                     bt_lora_distance(&a->parts), a->parts.rank, a->parts.width * a->dbb.ld);
}

bt_status prepare_dw(bt_device *device, const bt_lora_dw_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("lora_dw", "dy", a->dy));
    BT_TRY(bt_cuda_require_same("lora_dw", "x", a->x, a->dy));
    BT_TRY(bt_cuda_require_same("lora_dw", "u", a->u, a->dy));
    BT_TRY(bt_cuda_require_same("lora_dw", "du", a->du, a->dy));
    BT_TRY(bt_cuda_require("lora_dw", "da", a->da, BT_F32));
    BT_TRY(bt_cuda_require("lora_dw", "dbb", a->dbb, BT_F32));
    BT_TRY(check_dropout("lora_dw", a->x, a->ids, a->dropout));
    const bt_tensor x = dropped_at(NULL, a->x, a->dropout);
    return bt_linear_prepare(device, {bt_linear_dw_product(a->du, x, a->da, a->accumulate), dbb_product(a)},
                             dropped_bytes(a->x, a->dropout), out);
}

bt_status run_dw(bt_device *device, const bt_lora_dw_args *a, const bt_prepared *prepared, void *scratch) {
    const bt_linear_plans *plans = bt_linear_plans_of(prepared);
    const void *x;
    BT_TRY(make_dropped(device, a, prepared, scratch, &x));
    BT_TRY(bt_product_run(device, plans->plan[0], a->da.data, a->du.data, x, a->da.data, NULL, scratch));
    for (int p = 0; p < part_products(a->parts); p++) {
        const bt_lora_part part = bt_lora_part_of(&a->parts, p, &a->u, &a->dbb, &a->dy);
        BT_TRY(bt_product_run(device, plans->plan[1], part.bb.data, part.y.data, part.u.data, part.bb.data, NULL,
                              scratch));
    }
    return BT_OK;
}

} // namespace

BT_CUDA_KERNEL(lora_linear, prepare_forward, run_forward)
BT_CUDA_KERNEL(lora_du, prepare_du, run_du)
BT_CUDA_KERNEL(lora_linear_dx, prepare_dx, run_dx)
BT_CUDA_KERNEL(lora_dw, prepare_dw, run_dw)
