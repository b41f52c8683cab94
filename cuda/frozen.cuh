/* Copies of frozen matrices as products read them: rows multiplied by factors, in another dtype. A frozen operand never
 * changes while a plan uses it (BT_FROZEN), so what would be a launch in each step is done once, when the plan is made.
 * Plans that need the same copy share it.
 */
#ifndef BITTERN_CUDA_FROZEN_CUH
#define BITTERN_CUDA_FROZEN_CUH

#include "operands.cuh"

/** What is copied: out (rows,cols) = scale(rows) source(rows,cols). */
struct bt_scaled_matrix {
    const void *source;
    const float *scale; /* NULL: 1 */
    int64_t rows, cols, ld;
    bt_dtype dtype, out_dtype; /* f32 or bf16 */
};

struct bt_frozen_copy;

/** The copy, made now unless another plan holds it; contiguous, at BT_VALUE_ALIGNMENT. Given back by bt_frozen_drop.
 * BT_ERR_MEMORY. Not while a graph is recorded. */
bt_status bt_frozen_take(bt_device *device, const bt_scaled_matrix *what, bt_frozen_copy **out);
const void *bt_frozen_data(const bt_frozen_copy *copy);
/** NULL is allowed. */
void bt_frozen_drop(bt_device *device, bt_frozen_copy *copy);

/** The same into memory of the caller, one launch. */
bt_status bt_scale_matrix(bt_device *device, const bt_scaled_matrix *what, void *out);

inline size_t bt_scaled_bytes(const bt_scaled_matrix &m) {
    return (size_t)(m.rows * m.cols) * bt_dtype_bytes(m.out_dtype);
}

/** w (O,I) with its rows multiplied by scale(O), in w's dtype. */
inline bt_scaled_matrix bt_scaled_weight(const bt_tensor &w, const bt_tensor &scale) {
    return {w.data, bt_data<float>(scale), bt_shape_rows(w.shape), bt_shape_cols(w.shape), w.ld, w.dtype, w.dtype};
}
/** b (n) f32 times scale(n), NULL: 1. */
inline bt_scaled_matrix bt_scaled_bias(const float *b, const float *scale, int64_t n, bt_dtype out_dtype) {
    return {b, scale, n, 1, 1, BT_F32, out_dtype};
}
inline bool bt_is_frozen(const bt_tensor &t) {
    return (t.flags & BT_FROZEN) != 0;
}

#endif
