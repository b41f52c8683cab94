/* The parts of a low-rank update (LoRA): ranges of the columns of y with a pair of small matrices each. One description
 * serves the forward, its gradients and both backends. */
#ifndef BITTERN_TENSOR_LORA_PARTS_H
#define BITTERN_TENSOR_LORA_PARTS_H

#include <bittern/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BT_LORA_PARTS 3 /* q, k and v of a fused layer */

typedef struct bt_lora_parts {
    int count, rank;               /**< P, R */
    int64_t width;                 /**< W: columns of y that a part updates */
    int64_t column[BT_LORA_PARTS]; /**< c_p: the first of them, in any order */
    float scale;
} bt_lora_parts;

/** What part p has of u (M,P*R), bb (P*W,R) and y (M,O), or of their gradients. */
typedef struct bt_lora_part {
    bt_tensor u;  /**< (M,R) */
    bt_tensor bb; /**< (W,R) */
    bt_tensor y;  /**< (M,W) */
} bt_lora_part;

/** The (rows,cols) block of t that begins at (row, col), t seen as a matrix. Memory that is not known yet stays NULL.
 */
static inline bt_tensor bt_lora_block(const bt_tensor *t, int64_t row, int64_t rows, int64_t col, int64_t cols) {
    bt_tensor block = *t;
    block.shape = bt_shape2(rows, cols);
    if (t->data) block.data = (char *)t->data + (row * t->ld + col) * (int64_t)bt_dtype_bytes(t->dtype);
    return block;
}

static inline bt_lora_part bt_lora_part_of(const bt_lora_parts *l, int p, const bt_tensor *u, const bt_tensor *bb,
                                           const bt_tensor *y) {
    bt_lora_part part;
    part.u = bt_lora_block(u, 0, bt_shape_rows(u->shape), (int64_t)p * l->rank, l->rank);
    part.bb = bt_lora_block(bb, p * l->width, l->width, 0, l->rank);
    part.y = bt_lora_block(y, 0, bt_shape_rows(y->shape), l->column[p], l->width);
    return part;
}

/** Columns from part to part where they are the same for all and parts do not overlap, so that one batched product can
 * serve all of them; 0 where they are not, or there is one part. */
static inline int64_t bt_lora_distance(const bt_lora_parts *l) {
    const int64_t distance = l->count > 1 ? l->column[1] - l->column[0] : 0;
    bool even = distance >= l->width;
    for (int p = 2; p < l->count; p++) even = even && l->column[p] - l->column[p - 1] == distance;
    return even ? distance : 0;
}

#ifdef __cplusplus
}
#endif
#endif
