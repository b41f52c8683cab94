/* What the attention kernels share: the shape of the work, tiles of one head in shared memory, and the two products.
 *
 * A warp owns 16 rows (of queries, or of keys in the kernel for dk and dv) and walks over the rows of the other side,
 * which its block holds in shared memory. Two such matrices go together: K and V, or Q and dO.
 *
 *   resident   all rows of a head at once, when two blocks of it fit on a multiprocessor: one barrier, then the warps
 *              run free of each other, over several own tiles each (257 tokens: 17 tiles)
 *   streamed   stages of 64 rows (f32: 32) in a ring of two, the next one copied while this one is used: any length
 *
 * Rows are padded to 16, not to a whole stage, so 257 tokens cost 272. Head sizes are padded with zeros to 32, 64, 96
 * or 128. bf16 products run on the tensor cores with f32 accumulators; f32 ones in f32, never TF32. No sum depends on
 * how warps or blocks are scheduled. */
#ifndef BITTERN_CUDA_ATTENTION_CUH
#define BITTERN_CUDA_ATTENTION_CUH

#include "operands.cuh"

constexpr int BT_ATTENTION_HEAD_MAX = 128;
constexpr int BT_TILE_ROWS = 16;
constexpr float BT_LOG2_E = 1.44269504088896340736f, BT_LN_2 = 0.69314718055994530942f;

/** Warps of a block, at most, and blocks of a multiprocessor: what registers are budgeted for. f32 tiles take twice the
 * room, so blocks are small. */
template <typename T, int MOST> constexpr int bt_attention_warps = sizeof(T) == 2 ? MOST : 4;
template <int D> constexpr int bt_attention_blocks = D <= 64 ? 2 : 1;

/** How tiles of stored type T and padded head size D lie in shared memory. */
template <typename T, int D> struct bt_attention_tile {
    static constexpr int ld = D + bt_pack_width<T>; /* a row more than a multiple of 128 bytes: no bank conflicts */
    static constexpr int elements = BT_TILE_ROWS * ld;
    static constexpr int stage_rows = sizeof(T) == 2 ? 64 : 32;
    static constexpr int scratch_ld = 32 + 4;
    /* f32 only: where a warp turns an accumulator tile (16, up to 32) into the left operand of the next product */
    static constexpr int scratch_elements = sizeof(T) == 2 ? 0 : BT_TILE_ROWS * scratch_ld;
};

/** Rows (N,count) of one of q, k, v, o and their gradients; columns from `data` on hold the heads. */
template <typename T> struct bt_head_rows {
    T *data;
    int64_t ld;
    int count;
};

/** What every kernel of the family gets. */
struct bt_attention_work {
    int heads, head_size;
    int tiles_per_block, blocks_per_head; /* of own rows; a head's blocks are neighbours, to share its rows in the L2 */
    bool packed;                          /* all rows may be read and written in packs of 16 bytes */
    float scale;
};

inline __host__ __device__ int bt_tiles_of(int rows) {
    return (rows + BT_TILE_ROWS - 1) / BT_TILE_ROWS;
}

/** Which head and which own tiles a block has. */
struct bt_attention_place {
    int sample, head, first_tile;
};

BT_DEVICE bt_attention_place bt_attention_locate(const bt_attention_work &work) {
    const int head_index = (int)(blockIdx.x / (unsigned)work.blocks_per_head);
    const int block = (int)(blockIdx.x % (unsigned)work.blocks_per_head);
    return {head_index / work.heads, head_index % work.heads, block * work.tiles_per_block};
}

/** One past the block's last own tile. Streamed: a warp without rows still takes part in the barriers, on zeros. */
template <bool RESIDENT>
BT_DEVICE int bt_attention_last_tile(const bt_attention_work &work, const bt_attention_place &at, int own_rows) {
    const int last = at.first_tile + work.tiles_per_block, tiles = bt_tiles_of(own_rows);
    return RESIDENT && last > tiles ? tiles : last;
}

template <typename T>
BT_DEVICE T *bt_head_row(const bt_head_rows<T> &rows, const bt_attention_work &work, const bt_attention_place &at,
                         int64_t row) {
    return rows.data + ((int64_t)at.sample * rows.count + row) * rows.ld + at.head * work.head_size;
}

/** tile (count,D) = rows first..first+count of the head, zeros beyond the last row and beyond the head size. Shared by
 * `threads` threads; asynchronous: commit, wait and a barrier make it visible. */
template <typename T, int D>
BT_DEVICE void bt_load_rows(T *tile, const bt_head_rows<const T> &rows, const bt_attention_work &work,
                            const bt_attention_place &at, int first, int count, int thread, int threads) {
    constexpr int W = bt_pack_width<T>, packs = D / W, ld = bt_attention_tile<T, D>::ld;
    const T *head = bt_head_row(rows, work, at, 0);
    for (int i = thread; i < count * packs; i += threads) {
        const int row = i / packs, column = i % packs * W;
        const bool valid = first + row < rows.count && column < work.head_size;
        const T *from = valid ? head + (int64_t)(first + row) * rows.ld + column : head;
        T *to = tile + row * ld + column;
        if (work.packed) {
            bt_copy_async16(to, from, valid);
        } else {
            for (int e = 0; e < W; e++) to[e] = valid && column + e < work.head_size ? from[e] : T{};
        }
    }
}

/** The warp's own 16 rows from `row` on, of two matrices. All lanes call; visible to all of them on return. */
template <typename T, int D>
BT_DEVICE void bt_load_own_rows(T *first_tile, const bt_head_rows<const T> &first, T *second_tile,
                                const bt_head_rows<const T> &second, const bt_attention_work &work,
                                const bt_attention_place &at, int row) {
    bt_load_rows<T, D>(first_tile, first, work, at, row, BT_TILE_ROWS, bt_lane(), 32);
    if (second_tile != NULL) bt_load_rows<T, D>(second_tile, second, work, at, row, BT_TILE_ROWS, bt_lane(), 32);
    bt_copy_async_commit();
    bt_copy_async_wait<0>();
    __syncwarp();
}

/** Two neighbouring elements. */
BT_DEVICE void bt_store_pair(float *p, float even, float odd) {
    *reinterpret_cast<float2 *>(p) = make_float2(even, odd);
}
BT_DEVICE void bt_store_pair(bt_bf16 *p, float even, float odd) {
    *reinterpret_cast<uint32_t *>(p) = bt_pack_bf16(even, odd);
}

/** Rows of the head := factor[i] * accumulator; through the warp's `tile`, which is overwritten, to write whole packs.
 * factor[0] is that of the tile's rows 0-7, factor[1] of 8-15. All lanes call. */
template <typename T, int D>
BT_DEVICE void bt_store_rows(const bt_head_rows<T> &rows, const bt_attention_work &work, const bt_attention_place &at,
                             int first, const float (&accumulator)[D / 8][4], const float (&factor)[2], T *tile) {
    constexpr int W = bt_pack_width<T>, packs = D / W, ld = bt_attention_tile<T, D>::ld;
    __syncwarp(); /* the tile's last readers are done */
#pragma unroll
    for (int j = 0; j < D / 8; j++) {
#pragma unroll
        for (int i = 0; i < 4; i += 2)
            bt_store_pair(tile + bt_row(i) * ld + bt_column(j, i), accumulator[j][i] * factor[i / 2],
                          accumulator[j][i + 1] * factor[i / 2]);
    }
    __syncwarp();
    for (int i = bt_lane(); i < BT_TILE_ROWS * packs; i += 32) {
        const int row = i / packs, column = i % packs * W;
        if (first + row >= rows.count || column >= work.head_size) continue;
        const T *from = tile + row * ld + column;
        T *to = bt_head_row(rows, work, at, first + row) + column;
        if (work.packed) {
            *reinterpret_cast<uint4 *>(to) = *reinterpret_cast<const uint4 *>(from);
        } else {
            for (int e = 0; e < W && column + e < work.head_size; e++) to[e] = from[e];
        }
    }
    __syncwarp(); /* the tile may be loaded again */
}

/** A warp's share of the block's dynamic shared memory: TILES tiles for its own rows and its scratch. The other side
 * lies behind the shares of all warps. */
template <typename T, int D, int TILES> struct bt_attention_memory {
    int warp, warps;
    T *own, *scratch, *other;

    __device__ explicit bt_attention_memory(T *arena) : warp((int)(threadIdx.x / 32)), warps((int)(blockDim.x / 32)) {
        typedef bt_attention_tile<T, D> tile;
        T *scratches = arena + TILES * warps * tile::elements;
        own = arena + TILES * warp * tile::elements;
        scratch = scratches + warp * tile::scratch_elements;
        other = scratches + warps * tile::scratch_elements;
    }
};

/** The other side: two matrices of a head in shared memory, walked over by all warps of the block. */
template <typename T, int D, bool RESIDENT> struct bt_attention_stream {
    static constexpr int ld = bt_attention_tile<T, D>::ld, stage_rows = bt_attention_tile<T, D>::stage_rows;
    const bt_attention_work &work;
    const bt_attention_place &at;
    const bt_head_rows<const T> first, second;
    T *memory;  /* resident: all of first, all of second; streamed: twice a stage of each */
    int padded; /* rows, a multiple of BT_TILE_ROWS */

    __device__ int stages() const { return RESIDENT ? 1 : (padded - 1) / stage_rows + 1; }
    __device__ int rows_of(int stage) const {
        if (RESIDENT) return padded;
        const int left = padded - stage * stage_rows;
        return left < stage_rows ? left : stage_rows;
    }
    __device__ T *first_tile(int stage) const { return memory + (RESIDENT ? 0 : stage % 2 * 2 * stage_rows * ld); }
    __device__ T *second_tile(int stage) const { return first_tile(stage) + (RESIDENT ? padded : stage_rows) * ld; }

    __device__ void load(int stage) const {
        const int row = stage * stage_rows, count = rows_of(stage);
        const int thread = (int)threadIdx.x, threads = (int)blockDim.x;
        bt_load_rows<T, D>(first_tile(stage), first, work, at, row, count, thread, threads);
        bt_load_rows<T, D>(second_tile(stage), second, work, at, row, count, thread, threads);
        bt_copy_async_commit();
    }
    /** Starts the first copies; resident rows are there on return. */
    __device__ void begin() const {
        load(0);
        if (RESIDENT) {
            bt_copy_async_wait<0>();
            __syncthreads();
        }
    }
    /** Makes `stage` readable. The barrier also frees the buffer of the stage before, which the next copies fill. */
    __device__ void arrive(int stage) const {
        if (RESIDENT) return;
        bt_copy_async_wait<0>();
        __syncthreads();
        if (stage + 1 < stages()) load(stage + 1);
    }
};

/** How many rows of the other side a step takes, as a type. */
template <int COUNT> struct bt_step_rows { static constexpr int count = COUNT; };

/** step(r, bt_step_rows) for rows r.. of the `count` rows of a stage: PIECE at a time, then tiles. */
template <int PIECE, typename Step> BT_DEVICE void bt_walk_rows(int count, const Step &step) {
    int r = 0;
#pragma unroll 1
    for (; r + PIECE <= count; r += PIECE) step(r, bt_step_rows<PIECE>());
#pragma unroll 1
    for (; r < count; r += BT_TILE_ROWS) step(r, bt_step_rows<BT_TILE_ROWS>());
}

/** A warp's own 16 rows as the left operand of a product: fragments for bf16, the tile itself for f32. */
template <typename T, int D> struct bt_own_rows;
template <int D> struct bt_own_rows<bt_bf16, D> {
    uint32_t a[D / 16][4];
    __device__ explicit bt_own_rows(const bt_bf16 *tile) {
#pragma unroll
        for (int k = 0; k < D / 16; k++) bt_frag_a(a[k], tile + 16 * k, bt_attention_tile<bt_bf16, D>::ld);
    }
};
template <int D> struct bt_own_rows<float, D> {
    const float *tile;
    __device__ explicit bt_own_rows(const float *tile_) : tile(tile_) {}
};

/** s (16, 8*N8) = own (16,D) other (8*N8,D)^T */
template <int D, int N8>
BT_DEVICE void bt_scores(float (&s)[N8][4], const bt_own_rows<bt_bf16, D> &own, const bt_bf16 *other) {
    constexpr int ld = bt_attention_tile<bt_bf16, D>::ld;
#pragma unroll
    for (int j = 0; j < N8; j++) s[j][0] = s[j][1] = s[j][2] = s[j][3] = 0.0f;
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
        uint32_t b[N8][2];
        bt_frag_b<N8>(b, other + 16 * k, ld);
        bt_mma<N8>(s, own.a[k], b);
    }
}
template <int D, int N8>
BT_DEVICE void bt_scores(float (&s)[N8][4], const bt_own_rows<float, D> &own, const float *other) {
    constexpr int ld = bt_attention_tile<float, D>::ld;
#pragma unroll
    for (int j = 0; j < N8; j++) s[j][0] = s[j][1] = s[j][2] = s[j][3] = 0.0f;
    bt_mma_f32<N8>(s, own.tile, ld, 1, other, ld, 1, D);
}

/** d (16,D) += p (16, 8*N8) other (8*N8,D). For bf16, p is rounded to bf16. `scratch` is the warp's (f32 only). */
template <int D, int N8>
BT_DEVICE void bt_weighted_sum(float (&d)[D / 8][4], const float (&p)[N8][4], const bt_bf16 *other, bt_bf16 *) {
    constexpr int ld = bt_attention_tile<bt_bf16, D>::ld;
#pragma unroll
    for (int k = 0; k < N8 / 2; k++) {
        uint32_t a[4], b[D / 8][2];
        bt_frag_a_of(a, p[2 * k], p[2 * k + 1]);
        bt_frag_b_t<D / 8>(b, other + 16 * k * ld, ld);
        bt_mma<D / 8>(d, a, b);
    }
}
template <int D, int N8>
BT_DEVICE void bt_weighted_sum(float (&d)[D / 8][4], const float (&p)[N8][4], const float *other, float *scratch) {
    constexpr int ld = bt_attention_tile<float, D>::ld, scratch_ld = bt_attention_tile<float, D>::scratch_ld;
    static_assert(8 * N8 < scratch_ld, "p fits the scratch tile");
    __syncwarp(); /* the readers of the call before are done */
#pragma unroll
    for (int j = 0; j < N8; j++) {
#pragma unroll
        for (int i = 0; i < 4; i += 2)
            bt_store_pair(scratch + bt_row(i) * scratch_ld + bt_column(j, i), p[j][i], p[j][i + 1]);
    }
    __syncwarp();
    bt_mma_f32<D / 8>(d, scratch, scratch_ld, 1, other, 1, ld, 8 * N8);
}

/** 2^x: exact enough for what is rounded to T. */
template <typename T> BT_DEVICE float bt_attention_exp2(float x) {
    return sizeof(T) == 2 ? bt_exp2_fast(x) : exp2f(x);
}

#include "attention_plan.cuh"

#endif
