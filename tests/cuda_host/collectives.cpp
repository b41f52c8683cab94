/* What a rendezvous of a warp computes: votes, shuffles, reductions, the tensor-core product. The last lane to arrive
 * computes for all; the answers go into the lanes' requests.
 */
#include "engine.h"

namespace bt_host {

/* Calls `body(lane)` for each set bit. */
template <class F> static void each(uint32_t lanes, const F &body) {
    for (; lanes; lanes &= lanes - 1) body(first_lane(lanes));
}

static void need_full_warp(const request &r, uint32_t lanes, const char *what) {
    if (lanes != 0xffffffffu) fault(r.where, "%s needs all 32 lanes, but only %08x take part", what, lanes);
}

static int shuffle_source(const request &r, int lane) {
    const int base = lane & ~(r.width - 1);
    int source = lane;
    switch (r.what) {
    case SHUFFLE:
        source = base + (r.argument & (r.width - 1));
        break;
    case SHUFFLE_XOR:
        source = lane ^ r.argument;
        break;
    case SHUFFLE_UP:
        source = lane - r.argument;
        break;
    default:
        source = lane + r.argument;
        break;
    }
    /* Outside its segment a lane keeps its own value; xor may also read an earlier segment (CUDA C++ guide, 10.22). */
    bool inside = source < base + r.width && (source >= base || r.what == SHUFFLE_XOR);
    return inside ? source : lane;
}

static void shuffle(const engine &e, int w, request *const *posted, uint32_t lanes) {
    uint64_t brought[WARP] = {};
    each(lanes, [&](int lane) { brought[lane] = posted[lane]->value; });
    each(lanes, [&](int lane) {
        request &r = *posted[lane];
        if (r.width < 1 || r.width > WARP || (r.width & (r.width - 1))) fault(r.where, "shuffle width %d", r.width);
        int source = shuffle_source(r, lane);
        if (source < 0 || source >= WARP || !(lanes >> source & 1)) {
            bool exited = source >= 0 && source < WARP && (e.warps[w].exited >> source & 1);
            fault(r.where, "lane %d of warp %d shuffles from lane %d, which %s (mask %08x)", lane, w, source,
                  exited ? "has exited" : "is not in the mask", r.mask);
        }
        r.value = brought[source];
    });
}

/* The butterfly of reduce.cuh: the same pairs in the same order, so the same bits. */
template <typename T> static void reduce_lanes(request *const *posted, bool quad, bool largest) {
    T v[WARP], next[WARP];
    for (int lane = 0; lane < WARP; lane++) memcpy(&v[lane], &posted[lane]->value, sizeof(T));
    for (int step = quad ? 2 : 16; step > 0; step >>= 1) {
        for (int lane = 0; lane < WARP; lane++) {
            T a = v[lane], b = v[lane ^ step];
            if (largest)
                next[lane] = b != b || a >= b ? a : b; /* fmax: a NaN loses against a number */
            else
                next[lane] = a + b;
            if (largest && a != a) next[lane] = b;
        }
        memcpy(v, next, sizeof v);
    }
    for (int lane = 0; lane < WARP; lane++) memcpy(&posted[lane]->value, &v[lane], sizeof(T));
}

/* ---- mma.sync.m16n8k16, bf16 in, f32 out ----------------------------------------------------------------------- */

static constexpr int MAX_N8 = 32;

static float bf16_half(uint32_t pair, int half) {
    uint32_t bits = half ? pair & 0xffff0000u : pair << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* PTX ISA, "Matrix Fragments for mma.m16n8k16": with lane = 4 g + t, register i of A holds row g (+8 for odd i),
 * columns 2t and 2t+1 (+8 for i >= 2); register i of B holds rows 2t and 2t+1 (+8 for i = 1), column g; see
 * tensor_core.cuh for d. */
static void mma_gather(request *const *posted, int n8, float (*a)[16], float (*b)[8 * MAX_N8], float (*d)[8 * MAX_N8]) {
    for (int lane = 0; lane < WARP; lane++) {
        const request &r = *posted[lane];
        const int g = lane / 4, t = lane % 4;
        for (int half = 0; half < 2; half++) {
            for (int i = 0; i < 4; i++) a[g + i % 2 * 8][2 * t + half + i / 2 * 8] = bf16_half(r.a[i], half);
            for (int j = 0; j < n8; j++) {
                for (int i = 0; i < 2; i++) b[2 * t + half + i * 8][8 * j + g] = bf16_half(r.b[2 * j + i], half);
                for (int i = 0; i < 2; i++) d[g + 8 * i][8 * j + 2 * t + half] = r.d[4 * j + 2 * i + half];
            }
        }
    }
}

static void mma_scatter(request *const *posted, int n8, float (*d)[8 * MAX_N8]) {
    for (int lane = 0; lane < WARP; lane++) {
        const int g = lane / 4, t = lane % 4;
        for (int j = 0; j < n8; j++) {
            for (int i = 0; i < 4; i++) posted[lane]->d[4 * j + i] = d[g + i / 2 * 8][8 * j + 2 * t + i % 2];
        }
    }
}

static void multiply(request *const *posted) {
    const int n8 = posted[0]->n8, columns = 8 * n8;
    float a[16][16], b[16][8 * MAX_N8], d[16][8 * MAX_N8];
    BT_ASSERT(n8 >= 1 && n8 <= MAX_N8);
    mma_gather(posted, n8, a, b, d);
    for (int row = 0; row < 16; row++) {
        for (int k = 0; k < 16; k++) {
            const float x = a[row][k];
            for (int column = 0; column < columns; column++) d[row][column] += x * b[k][column];
        }
    }
    mma_scatter(posted, n8, d);
}

void collective_execute(engine &e, int w, uint32_t lanes) {
    request *posted[WARP] = {};
    each(lanes, [&](int lane) { posted[lane] = e.threads[w * WARP + lane].posted; });
    const request &first = *posted[first_lane(lanes)];
    switch (first.what) {
    case SYNC_WARP:
        break;
    case BALLOT: {
        uint32_t votes = 0;
        each(lanes, [&](int lane) { votes |= (uint32_t)(posted[lane]->value != 0) << lane; });
        each(lanes, [&](int lane) { posted[lane]->value = votes; });
        break;
    }
    case SHUFFLE:
    case SHUFFLE_XOR:
    case SHUFFLE_UP:
    case SHUFFLE_DOWN:
        shuffle(e, w, posted, lanes);
        break;
    case WARP_SUM:
    case WARP_MAX:
    case QUAD_SUM:
    case QUAD_MAX: {
        need_full_warp(first, lanes, "a warp reduction");
        const bool quad = first.what == QUAD_SUM || first.what == QUAD_MAX;
        const bool largest = first.what == WARP_MAX || first.what == QUAD_MAX;
        if (first.type == F32) reduce_lanes<float>(posted, quad, largest);
        if (first.type == F64) reduce_lanes<double>(posted, quad, largest);
        if (first.type == I32) reduce_lanes<int>(posted, quad, largest);
        break;
    }
    case MMA:
        need_full_warp(first, lanes, "bt_mma");
        multiply(posted);
        break;
    }
}

} // namespace bt_host
