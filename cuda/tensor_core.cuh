/* Warp-wide tiles: bf16 products on the tensor cores (mma.sync m16n8k16, f32 accumulators), the same tile in plain f32,
 * and asynchronous copies into shared memory. PTX ISA 8.x, "Matrix Fragments for mma.m16n8k16 with floating point
 * type".
 *
 * One warp owns an accumulator tile d of 16 rows and 8*N8 columns as float d[N8][4]. With lane = 4 g + t (g 0..7, t
 * 0..3):
 *
 *   d[j][0], d[j][1]   row g,     columns 8 j + 2 t, 8 j + 2 t + 1
 *   d[j][2], d[j][3]   row g + 8, the same columns
 *
 * bt_row(i) and bt_column(j, i) give these for element i of d[j]. A row lies in the four lanes of a quad: bt_quad_sum.
 * An accumulator tile with N8 = 2 has the layout of an A fragment, so a product can feed the next: bt_frag_a_of.
 *
 * All 32 lanes call, with the same tile pointer. Tiles lie in shared memory, 16-byte aligned, `ld` a multiple of 8
 * elements; ld = width + 8 avoids bank conflicts. Shared writes must be made visible by a barrier before a tile is
 * read. f32 products use fused multiply-adds on the ordinary units, never TF32. Included by kernel.cuh only.
 */
#ifndef BITTERN_CUDA_TENSOR_CORE_CUH
#define BITTERN_CUDA_TENSOR_CORE_CUH

/** Row in 0..15 and column in 0..8*N8-1 of the tile for element i (0..3) of d[j]. */
BT_DEVICE int bt_row(int i) {
    return (int)(threadIdx.x % 32) / 4 + (i / 2) * 8;
}
BT_DEVICE int bt_column(int j, int i) {
    return j * 8 + (int)(threadIdx.x % 4) * 2 + i % 2;
}

/** An A fragment from two neighbouring pieces of an accumulator tile, rounded to bf16. left: columns 0-7, right: 8-15.
 */
BT_DEVICE void bt_frag_a_of(uint32_t (&a)[4], const float (&left)[4], const float (&right)[4]) {
    a[0] = bt_pack_bf16(left[0], left[1]);
    a[1] = bt_pack_bf16(left[2], left[3]);
    a[2] = bt_pack_bf16(right[0], right[1]);
    a[3] = bt_pack_bf16(right[2], right[3]);
}

#ifdef BT_CUDA_HOST

/* The twins of ldmatrix read what the lane needs without a rendezvous; bt_host checks the alignment that ldmatrix
 * needs. */
inline uint32_t bt_host_pair(const bt_bf16 *low, const bt_bf16 *high) {
    return low->bits | (uint32_t)high->bits << 16;
}

inline void bt_frag_a(uint32_t (&a)[4], const bt_bf16 *tile, int ld) {
    bt_host::check_tile(tile, ld);
    for (int i = 0; i < 4; i++) {
        const bt_bf16 *p = tile + bt_row(2 * (i % 2)) * ld + bt_column(i / 2, 0);
        a[i] = bt_host_pair(p, p + 1);
    }
}
inline void bt_frag_a_t(uint32_t (&a)[4], const bt_bf16 *tile, int ld) {
    bt_host::check_tile(tile, ld);
    for (int i = 0; i < 4; i++) {
        const bt_bf16 *p = tile + bt_column(i / 2, 0) * ld + bt_row(2 * (i % 2));
        a[i] = bt_host_pair(p, p + ld);
    }
}
template <int N8> inline void bt_frag_b(uint32_t (&b)[N8][2], const bt_bf16 *tile, int ld) {
    bt_host::check_tile(tile, ld);
    for (int j = 0; j < N8; j++) {
        for (int i = 0; i < 2; i++) {
            const bt_bf16 *p = tile + (8 * j + bt_row(0)) * ld + bt_column(i, 0);
            b[j][i] = bt_host_pair(p, p + 1);
        }
    }
}
template <int N8> inline void bt_frag_b_t(uint32_t (&b)[N8][2], const bt_bf16 *tile, int ld) {
    bt_host::check_tile(tile, ld);
    for (int j = 0; j < N8; j++) {
        for (int i = 0; i < 2; i++) {
            const bt_bf16 *p = tile + bt_column(i, 0) * ld + 8 * j + bt_row(0);
            b[j][i] = bt_host_pair(p, p + ld);
        }
    }
}
template <int N8>
inline void bt_mma(float (&d)[N8][4], const uint32_t (&a)[4], const uint32_t (&b)[N8][2], BT_HOST_SITE) {
    bt_host::mma(&d[0][0], a, &b[0][0], N8, BT_HOST_SITE_ARG);
}
inline void bt_copy_async16(void *shared, const void *global, bool valid) {
    bt_host::copy_async(shared, global, valid);
}
inline void bt_copy_async_commit() {
    bt_host::copy_async_commit();
}
template <int PENDING> inline void bt_copy_async_wait() {
    bt_host::copy_async_wait(PENDING);
}

#else

BT_DEVICE uint32_t bt_shared_address(const void *p) {
    return (uint32_t)__cvta_generic_to_shared(p);
}

/** Four 8x8 matrices of 16-bit elements; lane l gives the address of row l%8 of matrix l/8. */
BT_DEVICE void bt_ldmatrix4(uint32_t &r0, uint32_t &r1, uint32_t &r2, uint32_t &r3, const bt_bf16 *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r0), "=r"(r1), "=r"(r2), "=r"(r3)
                 : "r"(bt_shared_address(row))
                 : "memory");
}
BT_DEVICE void bt_ldmatrix4_t(uint32_t &r0, uint32_t &r1, uint32_t &r2, uint32_t &r3, const bt_bf16 *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r0), "=r"(r1), "=r"(r2), "=r"(r3)
                 : "r"(bt_shared_address(row))
                 : "memory");
}

/** A (16 rows, 16 inner) from tile[row][inner]. */
BT_DEVICE void bt_frag_a(uint32_t (&a)[4], const bt_bf16 *tile, int ld) {
    const int lane = threadIdx.x % 32;
    bt_ldmatrix4(a[0], a[1], a[2], a[3], tile + (lane % 16) * ld + lane / 16 * 8);
}
/** A (16 rows, 16 inner) from its transpose, tile[inner][row]. */
BT_DEVICE void bt_frag_a_t(uint32_t (&a)[4], const bt_bf16 *tile, int ld) {
    const int lane = threadIdx.x % 32;
    bt_ldmatrix4_t(a[0], a[1], a[2], a[3], tile + (lane % 8 + lane / 16 * 8) * ld + lane / 8 % 2 * 8);
}
/** B (16 inner, 8*N8 columns) from tile[column][inner], as in x w^T with w (columns, inner). N8 even. */
template <int N8> BT_DEVICE void bt_frag_b(uint32_t (&b)[N8][2], const bt_bf16 *tile, int ld) {
    static_assert(N8 % 2 == 0, "B fragments are loaded in pairs");
    const int lane = threadIdx.x % 32;
    const bt_bf16 *row = tile + (lane % 8 + lane / 16 * 8) * ld + lane / 8 % 2 * 8;
#pragma unroll
    for (int j = 0; j < N8; j += 2) bt_ldmatrix4(b[j][0], b[j][1], b[j + 1][0], b[j + 1][1], row + j * 8 * ld);
}
/** B (16 inner, 8*N8 columns) from tile[inner][column]. N8 even. */
template <int N8> BT_DEVICE void bt_frag_b_t(uint32_t (&b)[N8][2], const bt_bf16 *tile, int ld) {
    static_assert(N8 % 2 == 0, "B fragments are loaded in pairs");
    const int lane = threadIdx.x % 32;
    const bt_bf16 *row = tile + (lane % 16) * ld + lane / 16 * 8;
#pragma unroll
    for (int j = 0; j < N8; j += 2) bt_ldmatrix4_t(b[j][0], b[j][1], b[j + 1][0], b[j + 1][1], row + j * 8);
}

/** d (16, 8*N8) += A (16,16) B (16, 8*N8). */
template <int N8> BT_DEVICE void bt_mma(float (&d)[N8][4], const uint32_t (&a)[4], const uint32_t (&b)[N8][2]) {
#pragma unroll
    for (int j = 0; j < N8; j++) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                     "{%0,%1,%2,%3};"
                     : "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[j][0]), "r"(b[j][1]));
    }
}

/** 16 bytes from global to shared memory, both 16-byte aligned; zeros when not valid (`global` is then not read, but
 * must be an address of the tensor). Visible to this thread after its wait, to others after a barrier as well. */
BT_DEVICE void bt_copy_async16(void *shared, const void *global, bool valid) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(bt_shared_address(shared)), "l"(global),
                 "r"(valid ? 16 : 0)
                 : "memory");
}
/** Ends the thread's current group of copies. */
BT_DEVICE void bt_copy_async_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
/** Waits until at most PENDING groups of this thread are under way. */
template <int PENDING> BT_DEVICE void bt_copy_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

#endif

/** The f32 twin of load-and-multiply, with the same accumulator layout: d (16, 8*N8) += A (16, depth) B (depth, 8*N8).
 *  Element (row r, inner k) of A is a[r*a_row + k*a_inner]; (inner k, column c) of B is b[c*b_column + k*b_inner]. */
template <int N8>
BT_DEVICE void bt_mma_f32(float (&d)[N8][4], const float *a, int a_row, int a_inner, const float *b, int b_column,
                          int b_inner, int depth) {
    a += bt_row(0) * a_row;
    b += bt_column(0, 0) * b_column;
    for (int k = 0; k < depth; k++) {
        const float upper = a[k * a_inner], lower = a[8 * a_row + k * a_inner];
#pragma unroll
        for (int j = 0; j < N8; j++) {
            const float even = b[8 * j * b_column + k * b_inner], odd = b[(8 * j + 1) * b_column + k * b_inner];
            d[j][0] = fmaf(upper, even, d[j][0]);
            d[j][1] = fmaf(upper, odd, d[j][1]);
            d[j][2] = fmaf(lower, even, d[j][2]);
            d[j][3] = fmaf(lower, odd, d[j][3]);
        }
    }
}

#endif
