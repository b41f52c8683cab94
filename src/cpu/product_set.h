/* The products of one instruction: what the matrix kernels keep between prepare and run, and how the three products of
 * a linear layer follow from its operands. */
#ifndef BITTERN_CPU_PRODUCT_SET_H
#define BITTERN_CPU_PRODUCT_SET_H

#include "cpu/product.h"

#define BT_PRODUCT_SET_MAX 5

typedef struct bt_product_set {
    int count;
    bt_product *product[BT_PRODUCT_SET_MAX];
    size_t scratch_bytes; /**< the most that one of them needs: they run one after the other */
} bt_product_set;

/* Shapes and strides are those of the tensors, whose memory need not be known yet; alpha is 1. */

/** y (..,O) = x (..,I) w(O,I)^T + b(O) + add(..,O). b and add may be absent or NULL. A frozen w is packed. */
bt_product_spec bt_product_linear(const bt_tensor *x, const bt_tensor *w, const bt_tensor *b, const bt_tensor *add,
                                  const bt_tensor *y);
/** dx (..,I) = dy (..,O) w(O,I) + add(..,I). add may be absent or NULL. A frozen w is packed. */
bt_product_spec bt_product_linear_dx(const bt_tensor *dy, const bt_tensor *w, const bt_tensor *add,
                                     const bt_tensor *dx);
/** dw (O,I) f32 = dy(M,O)^T x(M,I), added to what dw holds if `accumulate`. */
bt_product_spec bt_product_linear_dw(const bt_tensor *dy, const bt_tensor *x, const bt_tensor *dw, int accumulate);

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

#endif
