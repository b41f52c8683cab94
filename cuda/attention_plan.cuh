/* Host side of the attention family: the operands of one call, and how its work is cut into blocks.
 *
 * The cut never changes a result: a tile's sums do not depend on which block has it. So it may be chosen for the
 * device. Included by attention.cuh only. */
#ifndef BITTERN_CUDA_ATTENTION_PLAN_CUH
#define BITTERN_CUDA_ATTENTION_PLAN_CUH

/** The sizes of a call; from attention's or attention_dx's operands. */
struct bt_attention_shape {
    int64_t samples;
    int queries, keys, heads, head_size;
    bool separate; /* q has an operand of its own */
    int64_t width() const { return (int64_t)heads * head_size; }
};

inline bt_attention_shape bt_attention_shape_of(const bt_tensor &qkv, const bt_tensor &q, int heads) {
    const bool separate = bt_present(&q);
    const int64_t width = bt_shape_cols(qkv.shape) / (separate ? 2 : 3);
    return {qkv.shape.dim[0],      (int)(separate ? q.shape.dim[1] : qkv.shape.dim[1]),
            (int)qkv.shape.dim[1], heads,
            (int)(width / heads),  separate};
}

/** q, k or v (part 0, 1, 2) of qkv and q, or of their gradients. */
template <typename T>
bt_head_rows<T> bt_attention_part(const bt_attention_shape &s, const bt_tensor &qkv, const bt_tensor &q, int part) {
    if (part == 0 && s.separate) return {bt_data<T>(q), q.ld, s.queries};
    return {static_cast<T *>(qkv.data) + (part - s.separate) * s.width(), qkv.ld, s.keys};
}
/** o or its gradient. */
template <typename T> bt_head_rows<T> bt_attention_output(const bt_attention_shape &s, const bt_tensor &o) {
    return {static_cast<T *>(o.data), o.ld, s.queries};
}

/** All rows of the operand can be read in packs: `head_size` and the row's start are multiples of 16 bytes. */
inline bool bt_attention_packable(const bt_attention_shape &s, const bt_tensor &t) {
    if (!bt_present(&t)) return true;
    const int width = (int)(16 / bt_dtype_bytes(t.dtype));
    return s.head_size % width == 0 && bt_packable(t, width);
}

inline bt_status bt_attention_check(const char *operation, const bt_attention_shape &s, float scale) {
    if (s.head_size > BT_ATTENTION_HEAD_MAX)
        return bt_error(BT_ERR_UNSUPPORTED, "%s on cuda: head size %d is not supported; it may be 1 to %d", operation,
                        s.head_size, BT_ATTENTION_HEAD_MAX);
    if (!(scale > 0.0f)) /* the largest score is sought before scaling */
        return bt_error(BT_ERR_UNSUPPORTED, "%s on cuda: scale %g is not supported; it must be above 0", operation,
                        (double)scale);
    return BT_OK;
}

/** The head size that kernels are compiled for. */
inline int bt_attention_padded_head(int head_size) {
    return head_size <= 32 ? 32 : head_size <= 64 ? 64 : head_size <= 96 ? 96 : 128;
}

/** The kernel that fits is asked for its shared memory at plan time, and launched at run time. */
enum bt_attention_action { BT_ATTENTION_ALLOW, BT_ATTENTION_LAUNCH };

/** How a kernel is launched. */
struct bt_attention_plan {
    bool resident;
    int warps, tiles_per_block, blocks_per_head;
    size_t shared_bytes;
};

/** What a kernel keeps in shared memory. */
struct bt_attention_footprint {
    int products;      /* of a pair of tiles */
    size_t warp_bytes; /* own tiles and scratch of a warp */
    size_t row_bytes;  /* of a row of both matrices of the other side */
    int stage_rows;    /* in a stage, of which there are two */
    int max_warps;     /* the kernel's launch bound */
    int blocks;        /* that should fit on a multiprocessor */
    bool may_be_resident;
};

template <typename T, int D>
bt_attention_footprint bt_attention_footprint_of(int products, int own_tiles, int row_floats, int max_warps) {
    typedef bt_attention_tile<T, D> tile;
    return {products,
            (size_t)(own_tiles * tile::elements + tile::scratch_elements) * sizeof(T),
            2 * tile::ld * sizeof(T) + (size_t)row_floats * sizeof(float),
            tile::stage_rows,
            max_warps,
            bt_attention_blocks<D>,
            sizeof(T) == 2};
}

/** The cut with the least estimated time, counted in products of one own tile with all rows of the other side. Loading
 * these rows costs as much as four: 2*T*D*2 bytes at 64 bytes a clock from the L2, against 2*16*T*D operations at 2048
 * a clock, where shared memory (128 bytes a clock) feeds products of 16 rows. */
inline bt_attention_plan bt_attention_plan_of(bt_device *device, const bt_attention_footprint &f, int own_rows,
                                              int other_rows, int64_t heads_in_batch) {
    const int tiles = bt_tiles_of(own_rows), min_warps = 4;
    const size_t resident_bytes = (size_t)bt_tiles_of(other_rows) * BT_TILE_ROWS * f.row_bytes;
    const size_t reserved_bytes = 1024; /* by the hardware, for each block that a multiprocessor runs */
    const size_t limit_bytes = (bt_cuda_of(device)->shared_bytes + reserved_bytes) / (size_t)f.blocks - reserved_bytes;
    const double load_cost = 4.0;
    bt_attention_plan best = {};
    double best_cost = INFINITY;
    for (int warps = min_warps; warps <= f.max_warps; warps++) {
        const size_t own_bytes = (size_t)warps * f.warp_bytes;
        const bool resident = f.may_be_resident && own_bytes + resident_bytes <= limit_bytes;
        const int most_rounds = resident ? (tiles - 1) / warps + 1 : 1;
        for (int rounds = 1; rounds <= most_rounds; rounds++) {
            const int per_block = rounds * warps, blocks_per_head = (tiles - 1) / per_block + 1;
            const int64_t slots = (int64_t)bt_cuda_multiprocessors(device) * f.blocks;
            const double waves = (double)((heads_in_batch * blocks_per_head - 1) / slots + 1);
            const double cost = waves * (load_cost + f.products * per_block);
            if (cost > best_cost) continue;
            best_cost = cost;
            best = {resident, warps, per_block, blocks_per_head,
                    own_bytes + (resident ? resident_bytes : 2 * (size_t)f.stage_rows * f.row_bytes)};
        }
    }
    return best;
}

inline bt_attention_work bt_attention_work_of(const bt_attention_shape &s, const bt_attention_plan &plan, bool packed,
                                              float scale) {
    return {s.heads, s.head_size, plan.tiles_per_block, plan.blocks_per_head, packed, scale};
}

#endif
