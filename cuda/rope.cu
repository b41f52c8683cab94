/* Rotary positions on the packed input of attention: x (N,T,P*C), heads of size d, table (T-prefix,d) f32 = [cos |
 * sin].
 *
 *   y = [a c - b s | b c + a s] of the halves a, b of each head of the first `rotated` parts, rows t >= prefix; else y
 * = x backward   the rotation by the opposite angles: the same kernel with the sign of s turned
 *
 * One warp per row. A lane takes a pack of the first half of a head and the same pack of its second half, reading both
 * before it writes: y may be x. In place, what is copied is left out: neither read nor written.
 */
#include "operands.cuh"

namespace {

/* Both directions: y and x (rows, ..), `turned` of `units` pairs of packs in a row are rotated. */
template <typename T> struct turn {
    T *y;
    const T *x;
    const float *table;
    int64_t rows, tokens, prefix, ldy, ldx, ldt;
    int turned, units, packs; /* packs in half a head */
    float sign;
};

template <typename T, int W> __global__ void __launch_bounds__(BT_ROW_THREADS) rope_rows(const turn<T> a) {
    const int64_t row = bt_warp_row();
    if (row >= a.rows) return;
    const int64_t position = row % a.tokens - a.prefix;
    const int turned = position < 0 ? 0 : a.turned, last = a.y == a.x ? turned : a.units;
    for (int unit = bt_lane(); unit < last; unit += 32) {
        const int head = unit / a.packs, pack = unit - head * a.packs;
        const int64_t first = (int64_t)(2 * head * a.packs + pack) * W, second = first + (int64_t)a.packs * W;
        float p[W], q[W];
        bt_load(p, a.x + row * a.ldx + first);
        bt_load(q, a.x + row * a.ldx + second);
        if (unit < turned) {
            float c[W], s[W];
            bt_load(c, a.table + position * a.ldt + (int64_t)pack * W);
            bt_load(s, a.table + position * a.ldt + (int64_t)(a.packs + pack) * W);
#pragma unroll
            for (int i = 0; i < W; i++) {
                const float u = p[i], v = q[i], t = a.sign * s[i];
                p[i] = u * c[i] - v * t;
                q[i] = v * c[i] + u * t;
            }
        }
        bt_store(a.y + row * a.ldy + first, p);
        bt_store(a.y + row * a.ldy + second, q);
    }
}

/* What the kernel does to its operands, from the attributes of either operation. */
struct shape {
    int heads, parts, rotated, prefix;
    float sign;
};

template <typename T, int W>
bt_status launch(bt_device *device, const bt_tensor &y, const bt_tensor &x, const bt_tensor &table, const shape &s) {
    const int64_t rows = bt_shape_rows(x.shape);
    const int packs = (int)(bt_shape_cols(table.shape) / 2 / W);
    const turn<T> a = {bt_data<T>(y),
                       bt_data<T>(x),
                       bt_data<float>(table),
                       rows,
                       x.shape.dim[1],
                       s.prefix,
                       y.ld,
                       x.ld,
                       table.ld,
                       s.rotated * s.heads * packs,
                       s.parts * s.heads * packs,
                       packs,
                       s.sign};
    return BT_LAUNCH((rope_rows<T, W>), bt_blocks(rows, BT_ROW_WARPS), BT_ROW_THREADS, 0, bt_cuda_stream(device), a);
}

template <typename T>
bt_status choose(bt_device *device, const bt_tensor &y, const bt_tensor &x, const bt_tensor &table, const shape &s) {
    constexpr int W = bt_pack_width<T>;
    const bool halves = bt_shape_cols(table.shape) % (2 * W) == 0 && bt_packable(table, W);
    return halves && bt_packable(x, W) && bt_packable(y, W) ? launch<T, W>(device, y, x, table, s)
                                                            : launch<T, 1>(device, y, x, table, s);
}

bt_status turn_any(bt_device *device, const bt_tensor &y, const bt_tensor &x, const bt_tensor &table, const shape &s) {
    return x.dtype == BT_F32 ? choose<float>(device, y, x, table, s) : choose<bt_bf16>(device, y, x, table, s);
}

bt_status prepare(bt_device *, const bt_rope_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("rope", "x", a->x));
    BT_TRY(bt_cuda_require("rope", "table", a->table, BT_F32));
    return bt_cuda_require_same("rope", "y", a->y, a->x);
}

bt_status run(bt_device *device, const bt_rope_args *a, const bt_prepared *, void *) {
    return turn_any(device, a->y, a->x, a->table, {a->heads, a->parts, a->rotated, a->prefix, 1.0f});
}

bt_status prepare_dx(bt_device *, const bt_rope_dx_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("rope_dx", "dy", a->dy));
    BT_TRY(bt_cuda_require("rope_dx", "table", a->table, BT_F32));
    return bt_cuda_require_same("rope_dx", "dx", a->dx, a->dy);
}

bt_status run_dx(bt_device *device, const bt_rope_dx_args *a, const bt_prepared *, void *) {
    return turn_any(device, a->dx, a->dy, a->table, {a->heads, a->parts, a->rotated, a->prefix, -1.0f});
}

} // namespace

BT_CUDA_KERNEL(rope, prepare, run)
BT_CUDA_KERNEL(rope_dx, prepare_dx, run_dx)
