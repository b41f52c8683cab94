/* attention forward: o = softmax(scale q k^T) v per sample and head; lse = log sum exp of the scaled scores.
 *
 * The softmax is online (Milakov and Gimelshein, arXiv 1805.02867; FlashAttention-2, arXiv 2307.08691): for each row
 * the largest score m so far, the sum l of 2^(c (s - m)) with c = scale log2 e, and o, both rescaled when m grows.
 * Scores never leave registers. Saved for the backward: lse = c m / log2 e + log l. */
#include "attention.cuh"

namespace {

template <typename T> constexpr int forward_warps = bt_attention_warps<T, 8>;

/** Rows g and g+8 of a warp's tile. */
template <int D> struct softmax_state {
    float o[D / 8][4]; /* not yet divided by l */
    float m[2];        /* largest unscaled score, the same in the four lanes of a row */
    float l[2];        /* the lane's share of the sum */
};

/** Takes KEYS more keys into account, of which `valid` exist. */
template <typename T, int D, int KEYS>
BT_DEVICE void attend(softmax_state<D> &state, const bt_own_rows<T, D> &q, const T *k, const T *v, int valid,
                      float scale_log2, T *scratch) {
    float s[KEYS / 8][4];
    bt_scores(s, q, k);
    if (valid < KEYS) {
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
            for (int i = 0; i < 4; i++) s[j][i] = bt_column(j, i) < valid ? s[j][i] : -INFINITY;
        }
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float largest = state.m[half];
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++) largest = bt_max(largest, bt_max(s[j][2 * half], s[j][2 * half + 1]));
        largest = bt_quad_max(largest);
        const float shrink = bt_attention_exp2<T>((state.m[half] - largest) * scale_log2);
        const float shift = -largest * scale_log2;
        float sum = 0.0f;
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
            for (int i = 2 * half; i < 2 * half + 2; i++) {
                s[j][i] = bt_attention_exp2<T>(fmaf(s[j][i], scale_log2, shift));
                sum += s[j][i];
            }
        }
        state.m[half] = largest;
        state.l[half] = fmaf(state.l[half], shrink, sum);
#pragma unroll
        for (int j = 0; j < D / 8; j++) {
            state.o[j][2 * half] *= shrink;
            state.o[j][2 * half + 1] *= shrink;
        }
    }
    bt_weighted_sum<D>(state.o, s, v, scratch);
}

/** o and lse of the warp's 16 rows from `row` on. */
template <typename T, int D>
BT_DEVICE void finish_rows(softmax_state<D> &state, const bt_head_rows<T> &o, float *lse, const bt_attention_work &work,
                           const bt_attention_place &at, int row, T *tile) {
    float factor[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const float sum = bt_quad_sum(state.l[half]);
        const int own = row + bt_row(2 * half);
        factor[half] = 1.0f / sum;
        if (threadIdx.x % 4 == 0 && own < o.count)
            lse[((int64_t)at.sample * work.heads + at.head) * o.count + own] =
                fmaf(state.m[half], work.scale, logf(sum));
    }
    bt_store_rows<T, D>(o, work, at, row, state.o, factor, tile);
}

/** Grid: blocks_per_head for each head of each sample. Shared: the warps' tiles, the warps' scratch, K and V. */
template <typename T, int D, bool RESIDENT>
__global__ void __launch_bounds__(32 * forward_warps<T>, bt_attention_blocks<D>)
    attention_forward(bt_head_rows<T> o, float *lse, bt_head_rows<const T> q, bt_head_rows<const T> k,
                      bt_head_rows<const T> v, bt_attention_work work) {
    typedef bt_attention_tile<T, D> tile;
    BT_SHARED_DYNAMIC(T, arena);
    const bt_attention_memory<T, D, 1> memory(arena);
    const bt_attention_place at = bt_attention_locate(work);
    const bt_attention_stream<T, D, RESIDENT> keys = {work, at,           k,
                                                      v,    memory.other, bt_tiles_of(k.count) * BT_TILE_ROWS};
    const float scale_log2 = work.scale * BT_LOG2_E;
    const int last = bt_attention_last_tile<RESIDENT>(work, at, q.count);

    keys.begin();
    for (int t = at.first_tile + memory.warp; t < last; t += memory.warps) {
        bt_load_own_rows<T, D>(memory.own, q, NULL, q, work, at, t * BT_TILE_ROWS);
        const bt_own_rows<T, D> rows(memory.own);
        softmax_state<D> state = {{}, {-INFINITY, -INFINITY}, {0.0f, 0.0f}};
        for (int stage = 0; stage < keys.stages(); stage++) {
            keys.arrive(stage);
            const T *kt = keys.first_tile(stage), *vt = keys.second_tile(stage);
            const int valid = k.count - stage * tile::stage_rows;
            bt_walk_rows<tile::stage_rows>(keys.rows_of(stage), [&](int r, auto taken) {
                attend<T, D, decltype(taken)::count>(state, rows, kt + r * tile::ld, vt + r * tile::ld, valid - r,
                                                     scale_log2, memory.scratch);
            });
        }
        finish_rows<T, D>(state, o, lse, work, at, t * BT_TILE_ROWS, memory.own);
    }
}

template <typename T, int D, bool RESIDENT>
bt_status forward_as(bt_device *device, const bt_attention_args *a, const bt_attention_plan &plan,
                     bt_attention_action what) {
    if (what == BT_ATTENTION_ALLOW) return BT_ALLOW_SHARED((attention_forward<T, D, RESIDENT>), plan.shared_bytes);
    const bt_attention_shape s = bt_attention_shape_of(a->qkv, a->q, a->heads);
    const bool packed =
        bt_attention_packable(s, a->qkv) && bt_attention_packable(s, a->q) && bt_attention_packable(s, a->o);
    return BT_LAUNCH((attention_forward<T, D, RESIDENT>), bt_blocks(s.samples * s.heads * plan.blocks_per_head, 1),
                     32 * plan.warps, plan.shared_bytes, bt_cuda_stream(device), bt_attention_output<T>(s, a->o),
                     bt_data<float>(a->lse), bt_attention_part<const T>(s, a->qkv, a->q, 0),
                     bt_attention_part<const T>(s, a->qkv, a->q, 1), bt_attention_part<const T>(s, a->qkv, a->q, 2),
                     bt_attention_work_of(s, plan, packed, a->scale));
}

template <typename T, int D>
bt_status forward_in(bt_device *device, const bt_attention_args *a, bt_attention_action what) {
    const bt_attention_shape s = bt_attention_shape_of(a->qkv, a->q, a->heads);
    const bt_attention_footprint footprint = bt_attention_footprint_of<T, D>(2, 1, 0, forward_warps<T>);
    const bt_attention_plan plan = bt_attention_plan_of(device, footprint, s.queries, s.keys, s.samples * s.heads);
    if constexpr (sizeof(T) == 2) {
        if (plan.resident) return forward_as<T, D, true>(device, a, plan, what);
    }
    return forward_as<T, D, false>(device, a, plan, what);
}

template <typename T> bt_status forward_of(bt_device *device, const bt_attention_args *a, bt_attention_action what) {
    switch (bt_attention_padded_head(bt_attention_shape_of(a->qkv, a->q, a->heads).head_size)) {
    case 32:
        return forward_in<T, 32>(device, a, what);
    case 64:
        return forward_in<T, 64>(device, a, what);
    case 96:
        return forward_in<T, 96>(device, a, what);
    default:
        return forward_in<T, 128>(device, a, what);
    }
}

bt_status prepare_forward(bt_device *device, const bt_attention_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("attention", "qkv", a->qkv));
    BT_TRY(bt_cuda_require_same("attention", "q", a->q, a->qkv));
    BT_TRY(bt_cuda_require_same("attention", "o", a->o, a->qkv));
    BT_TRY(bt_cuda_require("attention", "lse", a->lse, BT_F32));
    BT_TRY(bt_attention_check("attention", bt_attention_shape_of(a->qkv, a->q, a->heads), a->scale));
    return a->qkv.dtype == BT_BF16 ? forward_of<bt_bf16>(device, a, BT_ATTENTION_ALLOW)
                                   : forward_of<float>(device, a, BT_ATTENTION_ALLOW);
}

bt_status run_forward(bt_device *device, const bt_attention_args *a, const bt_prepared *, void *) {
    return a->qkv.dtype == BT_BF16 ? forward_of<bt_bf16>(device, a, BT_ATTENTION_LAUNCH)
                                   : forward_of<float>(device, a, BT_ATTENTION_LAUNCH);
}

} // namespace

BT_CUDA_KERNEL(attention, prepare_forward, run_forward)
