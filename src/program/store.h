/* How programs name tensors of a parameter store, and what the store offers to programs only. */
#ifndef BITTERN_PROGRAM_STORE_H
#define BITTERN_PROGRAM_STORE_H

#include <bittern/params.h>

#include "tensor/backend.h"

typedef enum bt_store_slot {
    BT_STORE_VALUE,    /**< what a product or kernel reads: the compute copy of a weight, f32 of a vector or buffer */
    BT_STORE_GRADIENT, /**< f32, of one trainable parameter */
    BT_STORE_AVERAGE,  /**< f32, the moving average of one buffer */
    BT_STORE_ALL_MASTERS,
    BT_STORE_ALL_GRADIENTS,
    BT_STORE_ALL_M,
    BT_STORE_ALL_V,
    BT_STORE_ALL_AVERAGES,    /**< the flat vectors, f32 */
    BT_STORE_GROUP_GRADIENTS, /**< the part of the gradient vector that belongs to the groups of `groups` */
    BT_STORE_ALL_COPIES,      /**< compute copies of the flat vector (bf16) */
    BT_STORE_SEGMENTS         /**< bt_adamw_segment[] of the groups of `groups`, as u8 */
} bt_store_slot;

typedef struct bt_store_ref {
    bt_store_slot slot;
    int param;            /**< for VALUE, GRADIENT and AVERAGE */
    int64_t first, count; /**< rows of that parameter; count 0 means all */
    uint32_t groups;      /**< for GROUP_GRADIENTS and SEGMENTS */
} bt_store_ref;

/** Dtype and shape of a reference (known before commit), and its memory (NULL before commit). */
bt_status bt_store_tensor(const bt_params *store, bt_store_ref ref, bt_tensor *out) BT_MUST_CHECK;

bt_dtype bt_store_compute(const bt_params *store);
bool bt_store_committed(const bt_params *store);
bt_device *bt_store_device(const bt_params *store);

#endif
