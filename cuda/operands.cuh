/* Rows of operands in packs of 16 bytes: what the memory-bound kernel families share.
 *
 * A kernel is a template over the stored type T and the pack width W: bt_pack_width<T> elements when every row of every
 * operand can be read that way (bt_packable), else 1. So an odd width or a slice at an odd column is slower, never
 * wrong.
 */
#ifndef BITTERN_CUDA_OPERANDS_CUH
#define BITTERN_CUDA_OPERANDS_CUH

#include "device.cuh"

/* The backend's name in messages. */
#ifdef BT_CUDA_HOST
#define BT_CUDA_BACKEND "cuda_host"
#else
#define BT_CUDA_BACKEND "cuda"
#endif

/** Elements of T in one 16-byte access. */
template <typename T> constexpr int bt_pack_width = (int)(16 / sizeof(T));

/* One pack as floats: bt_load(v, p) and bt_store(p, v) for float v[1], v[4] or v[8]. */
template <typename T> BT_DEVICE void bt_load(float (&v)[1], const T *p) {
    v[0] = bt_to_float(*p);
}
template <typename T> BT_DEVICE void bt_load(float (&v)[4], const T *p) {
    bt_load4(v, p);
}
template <typename T> BT_DEVICE void bt_load(float (&v)[8], const T *p) {
    bt_load8(v, p);
}
template <typename T> BT_DEVICE void bt_store(T *p, const float (&v)[1]) {
    *p = bt_from_float<T>(v[0]);
}
template <typename T> BT_DEVICE void bt_store(T *p, const float (&v)[4]) {
    bt_store4(p, v);
}
template <typename T> BT_DEVICE void bt_store(T *p, const float (&v)[8]) {
    bt_store8(p, v);
}

/** v += the pack at p, unless p is NULL (an absent operand). */
template <typename T, int W> BT_DEVICE void bt_load_add(float (&v)[W], const T *p) {
    if (p == NULL) return;
    float more[W];
    bt_load(more, p);
#pragma unroll
    for (int i = 0; i < W; i++) v[i] += more[i];
}

/** True if t is absent, or each of its rows consists of aligned packs of `width` elements. */
inline bool bt_packable(const bt_tensor &t, int64_t width) {
    if (!bt_present(&t)) return true;
    const uint64_t pitch_bytes = (uint64_t)t.ld * bt_dtype_bytes(t.dtype);
    const bool one_row = bt_shape_rows(t.shape) == 1;
    return bt_shape_cols(t.shape) % width == 0 && (uintptr_t)t.data % 16 == 0 && (one_row || pitch_bytes % 16 == 0);
}

/** The operand's memory, NULL if it is absent. */
template <typename T> inline T *bt_data(const bt_tensor &t) {
    return bt_present(&t) ? static_cast<T *>(t.data) : NULL;
}

/** Address of element (row, column) of a matrix with this row stride; NULL stays NULL. */
template <typename T> BT_DEVICE T *bt_at(T *base, int64_t row, int64_t ld, int64_t column) {
    return base == NULL ? NULL : base + row * ld + column;
}

/** Refuses an operand's dtype unless it is `first` or `second`; an absent operand passes. */
inline bt_status bt_cuda_require(const char *operation, const char *operand, const bt_tensor &t, bt_dtype first,
                                 bt_dtype second = BT_NONE) {
    if (!bt_present(&t) || t.dtype == first || t.dtype == second) return BT_OK;
    const bool two = second != BT_NONE;
    return bt_error(BT_ERR_UNSUPPORTED, "%s on " BT_CUDA_BACKEND ": dtype %s of %s is not supported; allowed: %s%s%s",
                    operation, bt_dtype_name(t.dtype), operand, bt_dtype_name(first), two ? " or " : "",
                    two ? bt_dtype_name(second) : "");
}

/** A compute operand: f32 or bf16. */
inline bt_status bt_cuda_require_compute(const char *operation, const char *operand, const bt_tensor &t) {
    return bt_cuda_require(operation, operand, t, BT_F32, BT_BF16);
}

/** Refuses an operand whose dtype differs from that of the operation's main one. */
inline bt_status bt_cuda_require_same(const char *operation, const char *operand, const bt_tensor &t,
                                      const bt_tensor &main) {
    return bt_cuda_require(operation, operand, t, main.dtype);
}

/* Kernels that give one row to a warp: blocks of BT_ROW_WARPS warps. The row may lie beyond the last one; the whole
 * warp then leaves. */
constexpr int BT_ROW_WARPS = 8;
constexpr int BT_ROW_THREADS = 32 * BT_ROW_WARPS;
BT_DEVICE int64_t bt_warp_row() {
    return (int64_t)blockIdx.x * BT_ROW_WARPS + (int)(threadIdx.x / 32);
}
BT_DEVICE int bt_lane() {
    return (int)(threadIdx.x % 32);
}

#endif
