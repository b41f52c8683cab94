/* What differs between oneDNN 2.x and 3.x, and nothing else: descriptors of memory and of a product.
 *
 * 2.x (2.6 in Debian 12): dnnl_memory_desc_t is a struct, products go through an operation descriptor, a factor through output
 * scales. 3.x: dnnl_memory_desc_t is a handle, products have no operation descriptor, a factor is a linear post-op.
 */
#ifndef BITTERN_CPU_PRODUCT_DNNL_API_H
#define BITTERN_CPU_PRODUCT_DNNL_API_H

#include <dnnl.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A described matrix; set by the functions below, released by bt_dnnl_desc_free. */
typedef struct bt_dnnl_desc {
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_t md;
#else
    dnnl_memory_desc_t md[1];
#endif
} bt_dnnl_desc;

/** (rows,cols) with the given strides in elements; or, with both strides 0, in any form the product likes. */
dnnl_status_t bt_dnnl_desc_set(bt_dnnl_desc *out, int64_t rows, int64_t cols, dnnl_data_type_t dtype, int64_t row_stride,
                               int64_t col_stride);
void bt_dnnl_desc_free(bt_dnnl_desc *desc);
size_t bt_dnnl_desc_bytes(const bt_dnnl_desc *desc);

/** Bytes that are equal exactly when two descriptors are: written to `text`, zero-padded. False if they do not fit. */
bool bt_dnnl_desc_key(const bt_dnnl_desc *desc, char *text, size_t text_bytes);

typedef struct bt_dnnl_matmul {
    bt_dnnl_desc a, b, c, bias; /* bias is (1,n) */
    bt_dnnl_desc binary;        /* of the addend */
    bool has_bias, has_binary, has_sum;
    float alpha;
} bt_dnnl_matmul;

/** Creates the primitive descriptor with scratchpad mode "user". */
dnnl_status_t bt_dnnl_matmul_create(const bt_dnnl_matmul *what, dnnl_engine_t engine, dnnl_primitive_desc_t *out);

/** The form of b that the product chose; a copy. */
dnnl_status_t bt_dnnl_weights_of(dnnl_primitive_desc_t product, bt_dnnl_desc *out);

size_t bt_dnnl_scratchpad_bytes(dnnl_primitive_desc_t product);

/** Memory over `data` (may be NULL and set later). */
dnnl_status_t bt_dnnl_memory(const bt_dnnl_desc *desc, dnnl_engine_t engine, void *data, dnnl_memory_t *out);

/** Memory of the product's scratchpad; NULL when it needs none. */
dnnl_status_t bt_dnnl_scratchpad(dnnl_primitive_desc_t product, dnnl_engine_t engine, dnnl_memory_t *out);

/** Descriptor of a copy of matrix `from` into the form `to`. */
dnnl_status_t bt_dnnl_reorder_create(const bt_dnnl_desc *from, const bt_dnnl_desc *to, dnnl_engine_t engine,
                                     dnnl_primitive_desc_t *out);

#endif
