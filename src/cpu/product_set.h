/* The products of one instruction: what the matrix kernels keep between prepare and run. */
#ifndef BITTERN_CPU_PRODUCT_SET_H
#define BITTERN_CPU_PRODUCT_SET_H

#include "cpu/product.h"

#define BT_PRODUCT_SET_MAX 5

typedef struct bt_product_set {
    int count;
    bt_product *product[BT_PRODUCT_SET_MAX];
    size_t scratch_bytes; /**< the most that one of them needs: they run one after the other */
} bt_product_set;

/** Prepares products spec[0..count-1] as the state of `out`, with a release function. scratch_bytes of `out` is their
 * scratch, rounded up, plus `more_bytes` behind it. */
bt_status bt_product_set_prepare(bt_device *device, const bt_product_spec *spec, int count, size_t more_bytes,
                                 bt_prepared *out) BT_MUST_CHECK;

static inline const bt_product_set *bt_product_set_of(const bt_prepared *prepared) {
    return prepared->state;
}

/** Where the `more_bytes` of scratch begin. */
static inline void *bt_product_set_more(const bt_prepared *prepared, void *scratch) {
    return (char *)scratch + bt_product_set_of(prepared)->scratch_bytes;
}

/** Element (row, col) of a tensor's rows. */
static inline void *bt_product_at(const bt_tensor *t, int64_t row, int64_t col) {
    return t->data ? (char *)t->data + (row * t->ld + col) * (int64_t)bt_dtype_bytes(t->dtype) : NULL;
}

/** The pointer by which a frozen weight may be packed at plan time, else NULL. */
static inline const void *bt_product_frozen(const bt_tensor *w) {
    return w->flags & BT_FROZEN ? w->data : NULL;
}

#endif
