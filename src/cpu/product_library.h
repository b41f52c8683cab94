/* Between product.c and the two implementations of products: their table, and packed weights. */
#ifndef BITTERN_CPU_PRODUCT_LIBRARY_H
#define BITTERN_CPU_PRODUCT_LIBRARY_H

#include "cpu/product.h"

typedef struct bt_product_methods {
    bt_status (*prepare)(bt_product *product); /**< sets state and scratch_bytes; on failure leaves nothing behind */
    bt_status (*run)(const bt_product *product, const bt_product_operands *operands, void *scratch);
    void (*release)(bt_product *product);
    bool (*same_layout)(const void *a, const void *b); /**< of two packs; NULL: packs have one form only */
    void (*free_layout)(void *layout);
} bt_product_methods;

struct bt_product {
    const bt_product_methods *methods;
    bt_cpu_device *device;
    bt_product_spec spec;
    size_t scratch_bytes;
    void *state;
};

/** The matrix b of a run that has no packed copy of it. */
static inline const void *bt_product_b(const bt_product *product, const bt_product_operands *operands) {
    return product->spec.frozen_b ? product->spec.frozen_b : operands->b;
}

extern const bt_product_methods bt_product_plain;
#ifdef BITTERN_WITH_ONEDNN
extern const bt_product_methods bt_product_dnnl;
const char *bt_product_dnnl_text(void); /**< "oneDNN 2.6.3" */
bt_status bt_product_dnnl_open(bt_cpu_device *device) BT_MUST_CHECK;
void bt_product_dnnl_close(bt_cpu_device *device);
#endif

/** A packed copy of a frozen matrix. Two products share it when all of `key` is equal. */
typedef struct bt_pack_key {
    const void *source;
    int64_t n, k, ld;
    bt_dtype dtype;
    bool trans;
    const bt_product_methods *methods;
    void *layout; /**< the implementation's description of the packed form, or NULL */
} bt_pack_key;

typedef struct bt_pack {
    bt_pack_key key;
    int users;
    void *data; /* 64-byte aligned */
    struct bt_pack *next;
} bt_pack;

/** The device's pack for `key`, with one more user. When it is new, *is_new is set and the caller fills `bytes` of
 * data. NULL with a message if there is no memory. */
bt_pack *bt_pack_take(bt_cpu_device *device, const bt_pack_key *key, size_t bytes, bool *is_new);

/** One user less; the last one frees it. NULL is allowed. */
void bt_pack_drop(bt_cpu_device *device, bt_pack *pack);

#endif
