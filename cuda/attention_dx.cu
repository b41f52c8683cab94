/* attention backward. With p = 2^(c s - lse log2 e), c = scale log2 e, and delta = sum over columns of do * o:
 *
 *   ds = p (do v^T - delta)     dq = scale ds k     dk = scale ds^T q     dv = p^T do
 *
 * Two kernels, so that every sum belongs to one warp and nothing is added atomically: attention_dq, whose warps own
 * queries, computes delta on the way and leaves it in scratch (N,H,Q); attention_dkv, whose warps own keys, computes
 * the scores transposed. Both recompute the scores: 7 products where one kernel with atomic additions to dq needs 5. */
#include "attention.cuh"

namespace {

/* Registers: dq's kernel keeps q, do and dq of a tile, the other k, v, dk and dv. */
template <typename T> constexpr int dq_warps = bt_attention_warps<T, 6>;
template <typename T> constexpr int dkv_warps = bt_attention_warps<T, 6>;
/* Rows of the other side that are taken at a time. */
template <int D> constexpr int backward_piece = D <= 64 ? 32 : 16;

/** What the backward saves and makes of a query row, (N,H,Q). */
struct row_statistics {
    const float *lse;
    float *delta;
};

/* ---- dq ---- */

/** dq += ds k for KEYS keys, of which `valid` exist. lse_log2 and delta are those of rows g and g+8. */
template <typename T, int D, int KEYS>
BT_DEVICE void add_dq(float (&dq)[D / 8][4], const bt_own_rows<T, D> &q, const bt_own_rows<T, D> &dy, const T *k,
                      const T *v, const float (&lse_log2)[2], const float (&delta)[2], int valid, float scale_log2,
                      T *scratch) {
    float s[KEYS / 8][4], ds[KEYS / 8][4];
    bt_scores(s, q, k);
    bt_scores(ds, dy, v);
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float p = bt_attention_exp2<T>(fmaf(s[j][i], scale_log2, -lse_log2[i / 2]));
            ds[j][i] = p * (ds[j][i] - delta[i / 2]);
            if (bt_column(j, i) >= valid) ds[j][i] = 0.0f; /* k is 0 there, but p may have overflowed */
        }
    }
    bt_weighted_sum<D>(dq, ds, k, scratch);
}

/** delta of row lane % 16 of the warp's tile, 0 beyond the last row. Lanes l and l+16 share the columns. */
template <typename T, int D>
BT_DEVICE float row_delta(const T *dy_tile, const bt_head_rows<const T> &o, const bt_attention_work &work,
                          const bt_attention_place &at, int first) {
    constexpr int W = bt_pack_width<T>, ld = bt_attention_tile<T, D>::ld;
    const int row = bt_lane() % 16, half = bt_lane() / 16;
    float sum = 0.0f;
    if (first + row < o.count) {
        const T *o_row = bt_head_row(o, work, at, first + row), *dy_row = dy_tile + row * ld;
        if (work.packed) {
            for (int column = half * W; column < work.head_size; column += 2 * W) {
                float a[W], b[W];
                bt_load(a, o_row + column);
                bt_load(b, dy_row + column);
#pragma unroll
                for (int e = 0; e < W; e++) sum = fmaf(a[e], b[e], sum);
            }
        } else {
            for (int column = half; column < work.head_size; column += 2)
                sum = fmaf(bt_to_float(o_row[column]), bt_to_float(dy_row[column]), sum);
        }
    }
    return sum + __shfl_xor_sync(BT_FULL_WARP, sum, 16);
}

/** lse_log2 and delta of the lane's two rows; delta goes to scratch for attention_dkv. */
template <typename T, int D>
BT_DEVICE void own_statistics(float (&lse_log2)[2], float (&delta)[2], const row_statistics &statistics,
                              const T *dy_tile, const bt_head_rows<const T> &o, const bt_attention_work &work,
                              const bt_attention_place &at, int first) {
    const int64_t base = ((int64_t)at.sample * work.heads + at.head) * o.count;
    const float of_lane = row_delta<T, D>(dy_tile, o, work, at, first);
    if (bt_lane() < BT_TILE_ROWS && first + bt_lane() < o.count) statistics.delta[base + first + bt_lane()] = of_lane;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = bt_row(2 * half);
        delta[half] = __shfl_sync(BT_FULL_WARP, of_lane, row);
        lse_log2[half] = first + row < o.count ? statistics.lse[base + first + row] * BT_LOG2_E : 0.0f;
    }
}

/** Grid and shared memory as in attention_forward, with tiles of q and do for each warp. dq.data may be NULL. */
template <typename T, int D, bool RESIDENT>
__global__ void __launch_bounds__(32 * dq_warps<T>, bt_attention_blocks<D>)
    attention_dq(bt_head_rows<T> dq, row_statistics statistics, bt_head_rows<const T> dy, bt_head_rows<const T> o,
                 bt_head_rows<const T> q, bt_head_rows<const T> k, bt_head_rows<const T> v, bt_attention_work work) {
    typedef bt_attention_tile<T, D> tile;
    BT_SHARED_DYNAMIC(T, arena);
    const bt_attention_memory<T, D, 2> memory(arena);
    T *q_tile = memory.own, *dy_tile = q_tile + tile::elements;
    const bt_attention_place at = bt_attention_locate(work);
    const bt_attention_stream<T, D, RESIDENT> keys = {work, at,           k,
                                                      v,    memory.other, bt_tiles_of(k.count) * BT_TILE_ROWS};
    const float scale_log2 = work.scale * BT_LOG2_E, factor[2] = {work.scale, work.scale};
    const int last = bt_attention_last_tile<RESIDENT>(work, at, q.count);

    keys.begin();
    for (int t = at.first_tile + memory.warp; t < last; t += memory.warps) {
        const int first = t * BT_TILE_ROWS;
        bt_load_own_rows<T, D>(q_tile, q, dy_tile, dy, work, at, first);
        float lse_log2[2], delta[2], sum[D / 8][4] = {};
        own_statistics<T, D>(lse_log2, delta, statistics, dy_tile, o, work, at, first);
        const bt_own_rows<T, D> q_rows(q_tile), dy_rows(dy_tile);
        for (int stage = 0; stage < keys.stages(); stage++) {
            keys.arrive(stage);
            const T *kt = keys.first_tile(stage), *vt = keys.second_tile(stage);
            const int valid = k.count - stage * tile::stage_rows;
            bt_walk_rows<backward_piece<D>>(keys.rows_of(stage), [&](int r, auto taken) {
                add_dq<T, D, decltype(taken)::count>(sum, q_rows, dy_rows, kt + r * tile::ld, vt + r * tile::ld,
                                                     lse_log2, delta, valid - r, scale_log2, memory.scratch);
            });
        }
        if (dq.data != NULL) bt_store_rows<T, D>(dq, work, at, first, sum, factor, q_tile);
        __syncwarp(); /* dy_tile may be loaded again */
    }
}

/* ---- dk, dv ---- */

/** dk += ds^T q, dv += p^T do for QUERIES queries, whose lse_log2 and delta are in shared memory. */
template <typename T, int D, int QUERIES>
BT_DEVICE void add_dkv(float (&dk)[D / 8][4], float (&dv)[D / 8][4], const bt_own_rows<T, D> &k, const T *v_tile,
                       const T *q, const T *dy, const float *lse_log2, const float *delta, float scale_log2,
                       T *scratch) {
    float p[QUERIES / 8][4], ds[QUERIES / 8][4]; /* transposed: rows are keys */
    bt_scores(p, k, q);
    bt_scores(ds, bt_own_rows<T, D>(v_tile), dy); /* read again for each piece: registers are short */
#pragma unroll
    for (int j = 0; j < QUERIES / 8; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int column = bt_column(j, i);
            p[j][i] = bt_attention_exp2<T>(fmaf(p[j][i], scale_log2, -lse_log2[column]));
            ds[j][i] = p[j][i] * (ds[j][i] - delta[column]);
        }
    }
    bt_weighted_sum<D>(dv, p, dy, scratch);
    bt_weighted_sum<D>(dk, ds, q, scratch);
}

/** lse_log2 and delta of the queries of a stage; those that do not exist get 0, hence p = 1, against
 * zeros in q and do. Visible after a barrier. */
template <typename Stream>
BT_DEVICE void load_statistics(float *lse_log2, float *delta, const row_statistics &statistics, const Stream &queries,
                               int stage) {
    const int64_t base = ((int64_t)queries.at.sample * queries.work.heads + queries.at.head) * queries.first.count;
    for (int i = (int)threadIdx.x; i < queries.rows_of(stage); i += (int)blockDim.x) {
        const int row = stage * Stream::stage_rows + i;
        const bool valid = row < queries.first.count;
        lse_log2[i] = valid ? statistics.lse[base + row] * BT_LOG2_E : 0.0f;
        delta[i] = valid ? statistics.delta[base + row] : 0.0f;
    }
}

/** Own tiles of k and v; q and do are walked over. Behind them in shared memory lse_log2 and delta of all resident
 * queries, or of two stages. */
template <typename T, int D, bool RESIDENT>
__global__ void __launch_bounds__(32 * dkv_warps<T>, bt_attention_blocks<D>)
    attention_dkv(bt_head_rows<T> dk, bt_head_rows<T> dv, row_statistics statistics, bt_head_rows<const T> dy,
                  bt_head_rows<const T> q, bt_head_rows<const T> k, bt_head_rows<const T> v, bt_attention_work work) {
    typedef bt_attention_tile<T, D> tile;
    BT_SHARED_DYNAMIC(T, arena);
    const bt_attention_memory<T, D, 2> memory(arena);
    T *k_tile = memory.own, *v_tile = k_tile + tile::elements;
    const bt_attention_place at = bt_attention_locate(work);
    const bt_attention_stream<T, D, RESIDENT> queries = {work, at,           q,
                                                         dy,   memory.other, bt_tiles_of(q.count) * BT_TILE_ROWS};
    const int held = RESIDENT ? queries.padded : tile::stage_rows; /* rows whose statistics lie together */
    float *numbers = reinterpret_cast<float *>(queries.memory + (RESIDENT ? 2 : 4) * held * tile::ld);
    const float scale_log2 = work.scale * BT_LOG2_E, dk_factor[2] = {work.scale, work.scale},
                dv_factor[2] = {1.0f, 1.0f};
    const int last = bt_attention_last_tile<RESIDENT>(work, at, k.count);

    load_statistics(numbers, numbers + held, statistics, queries, 0);
    queries.begin();
    for (int t = at.first_tile + memory.warp; t < last; t += memory.warps) {
        const int first = t * BT_TILE_ROWS;
        bt_load_own_rows<T, D>(k_tile, k, v_tile, v, work, at, first);
        const bt_own_rows<T, D> k_rows(k_tile);
        float dk_sum[D / 8][4] = {}, dv_sum[D / 8][4] = {};
        for (int stage = 0; stage < queries.stages(); stage++) {
            queries.arrive(stage);
            const float *lse_log2 = numbers + stage % 2 * 2 * held, *delta = lse_log2 + held;
            if (stage + 1 < queries.stages()) {
                float *next = numbers + (stage + 1) % 2 * 2 * held;
                load_statistics(next, next + held, statistics, queries, stage + 1);
            }
            const T *qt = queries.first_tile(stage), *dyt = queries.second_tile(stage);
            bt_walk_rows<backward_piece<D>>(queries.rows_of(stage), [&](int r, auto taken) {
                add_dkv<T, D, decltype(taken)::count>(dk_sum, dv_sum, k_rows, v_tile, qt + r * tile::ld,
                                                      dyt + r * tile::ld, lse_log2 + r, delta + r, scale_log2,
                                                      memory.scratch);
            });
        }
        bt_store_rows<T, D>(dk, work, at, first, dk_sum, dk_factor, k_tile);
        bt_store_rows<T, D>(dv, work, at, first, dv_sum, dv_factor, v_tile);
    }
}

/* ---- launches ---- */

template <typename T, int D, bool RESIDENT>
bt_status dq_as(bt_device *device, const bt_attention_dx_args *a, const bt_attention_shape &s,
                const bt_attention_plan &plan, bool packed, float *delta, bt_attention_action what) {
    if (what == BT_ATTENTION_ALLOW) return BT_ALLOW_SHARED((attention_dq<T, D, RESIDENT>), plan.shared_bytes);
    const bt_head_rows<T> none = {NULL, 0, 0};
    const row_statistics statistics = {bt_data<float>(a->lse), delta};
    return BT_LAUNCH((attention_dq<T, D, RESIDENT>), bt_blocks(s.samples * s.heads * plan.blocks_per_head, 1),
                     32 * plan.warps, plan.shared_bytes, bt_cuda_stream(device),
                     s.separate && !bt_present(&a->dq) ? none : bt_attention_part<T>(s, a->dqkv, a->dq, 0), statistics,
                     bt_attention_output<const T>(s, a->do_), bt_attention_output<const T>(s, a->o),
                     bt_attention_part<const T>(s, a->qkv, a->q, 0), bt_attention_part<const T>(s, a->qkv, a->q, 1),
                     bt_attention_part<const T>(s, a->qkv, a->q, 2), bt_attention_work_of(s, plan, packed, a->scale));
}

template <typename T, int D, bool RESIDENT>
bt_status dkv_as(bt_device *device, const bt_attention_dx_args *a, const bt_attention_shape &s,
                 const bt_attention_plan &plan, bool packed, float *delta, bt_attention_action what) {
    if (what == BT_ATTENTION_ALLOW) return BT_ALLOW_SHARED((attention_dkv<T, D, RESIDENT>), plan.shared_bytes);
    const row_statistics statistics = {bt_data<float>(a->lse), delta};
    return BT_LAUNCH((attention_dkv<T, D, RESIDENT>), bt_blocks(s.samples * s.heads * plan.blocks_per_head, 1),
                     32 * plan.warps, plan.shared_bytes, bt_cuda_stream(device),
                     bt_attention_part<T>(s, a->dqkv, a->dq, 1), bt_attention_part<T>(s, a->dqkv, a->dq, 2), statistics,
                     bt_attention_output<const T>(s, a->do_), bt_attention_part<const T>(s, a->qkv, a->q, 0),
                     bt_attention_part<const T>(s, a->qkv, a->q, 1), bt_attention_part<const T>(s, a->qkv, a->q, 2),
                     bt_attention_work_of(s, plan, packed, a->scale));
}

template <typename T, int D>
bt_status backward_in(bt_device *device, const bt_attention_dx_args *a, const bt_attention_shape &s, float *delta,
                      bt_attention_action what) {
    const int64_t heads = s.samples * s.heads;
    const bt_attention_plan dq =
        bt_attention_plan_of(device, bt_attention_footprint_of<T, D>(3, 2, 0, dq_warps<T>), s.queries, s.keys, heads);
    const bt_attention_plan dkv =
        bt_attention_plan_of(device, bt_attention_footprint_of<T, D>(4, 2, 2, dkv_warps<T>), s.keys, s.queries, heads);
    const bool packed = bt_attention_packable(s, a->do_) && bt_attention_packable(s, a->o) &&
                        bt_attention_packable(s, a->qkv) && bt_attention_packable(s, a->q) &&
                        bt_attention_packable(s, a->dqkv) && bt_attention_packable(s, a->dq);
    bt_status status;
    if constexpr (sizeof(T) == 2) {
        status = dq.resident ? dq_as<T, D, true>(device, a, s, dq, packed, delta, what)
                             : dq_as<T, D, false>(device, a, s, dq, packed, delta, what);
        if (status != BT_OK) return status;
        return dkv.resident ? dkv_as<T, D, true>(device, a, s, dkv, packed, delta, what)
                            : dkv_as<T, D, false>(device, a, s, dkv, packed, delta, what);
    } else {
        status = dq_as<T, D, false>(device, a, s, dq, packed, delta, what);
        return status != BT_OK ? status : dkv_as<T, D, false>(device, a, s, dkv, packed, delta, what);
    }
}

template <typename T>
bt_status backward_of(bt_device *device, const bt_attention_dx_args *a, float *delta, bt_attention_action what) {
    const bt_attention_shape s = bt_attention_shape_of(a->qkv, a->q, a->heads);
    switch (bt_attention_padded_head(s.head_size)) {
    case 32:
        return backward_in<T, 32>(device, a, s, delta, what);
    case 64:
        return backward_in<T, 64>(device, a, s, delta, what);
    case 96:
        return backward_in<T, 96>(device, a, s, delta, what);
    default:
        return backward_in<T, 128>(device, a, s, delta, what);
    }
}

bt_status prepare_dx(bt_device *device, const bt_attention_dx_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("attention_dx", "qkv", a->qkv));
    BT_TRY(bt_cuda_require_same("attention_dx", "q", a->q, a->qkv));
    BT_TRY(bt_cuda_require_same("attention_dx", "do_", a->do_, a->qkv));
    BT_TRY(bt_cuda_require_same("attention_dx", "o", a->o, a->qkv));
    BT_TRY(bt_cuda_require_same("attention_dx", "dqkv", a->dqkv, a->qkv));
    BT_TRY(bt_cuda_require_same("attention_dx", "dq", a->dq, a->qkv));
    BT_TRY(bt_cuda_require("attention_dx", "lse", a->lse, BT_F32));
    const bt_attention_shape s = bt_attention_shape_of(a->qkv, a->q, a->heads);
    BT_TRY(bt_attention_check("attention_dx", s, a->scale));
    out->scratch_bytes = (size_t)(s.samples * s.heads * s.queries) * sizeof(float); /* delta */
    return a->qkv.dtype == BT_BF16 ? backward_of<bt_bf16>(device, a, NULL, BT_ATTENTION_ALLOW)
                                   : backward_of<float>(device, a, NULL, BT_ATTENTION_ALLOW);
}

bt_status run_dx(bt_device *device, const bt_attention_dx_args *a, const bt_prepared *, void *scratch) {
    float *delta = static_cast<float *>(scratch);
    return a->qkv.dtype == BT_BF16 ? backward_of<bt_bf16>(device, a, delta, BT_ATTENTION_LAUNCH)
                                   : backward_of<float>(device, a, delta, BT_ATTENTION_LAUNCH);
}

} // namespace

BT_CUDA_KERNEL(attention_dx, prepare_dx, run_dx)
