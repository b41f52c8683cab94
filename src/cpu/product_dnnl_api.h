/* What differs between oneDNN 2.x and 3.x, and nothing else: descriptors of matrices, and how a product is described.
 *
 * 2.x (2.6 in Debian 12): a memory descriptor is a struct, a product goes through an operation descriptor, a factor is
 * an output scale. 3.x: a memory descriptor is a handle, there are no operation descriptors, a factor is a linear
 * post-op. In both, a bt_dnnl_desc is owned by the caller and released with bt_dnnl_desc_free.
 */
#ifndef BITTERN_CPU_PRODUCT_DNNL_API_H
#define BITTERN_CPU_PRODUCT_DNNL_API_H

#include <oneapi/dnnl/dnnl.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t bt_dnnl_desc;
#else
typedef dnnl_memory_desc_t *bt_dnnl_desc;
#endif

/** (rows,cols) with strides in elements; with both strides 0, in whatever form the product likes best. NULL on failure.
 */
bt_dnnl_desc bt_dnnl_desc_new(int64_t rows, int64_t cols, dnnl_data_type_t dtype, int64_t row_stride,
                              int64_t col_stride);
void bt_dnnl_desc_free(bt_dnnl_desc desc); /**< NULL is allowed */

/** Whether a form is rows with strides, without inner blocks. */
bool bt_dnnl_desc_is_plain(bt_dnnl_desc desc);

/** What a product of two matrices is made of; bias (1,n), addend (m,n) and `sum` (old c is added) are optional. */
typedef struct bt_dnnl_matmul {
    bt_dnnl_desc a, b, c, bias, addend;
    bool sum;
    float alpha;
} bt_dnnl_matmul;

/** The primitive descriptor, with scratchpad mode "user". */
dnnl_status_t bt_dnnl_matmul_new(const bt_dnnl_matmul *matmul, dnnl_engine_t engine, dnnl_primitive_desc_t *out);

/** A copy of a descriptor that the product chose (dnnl_query_weights_md, dnnl_query_scratchpad_md). NULL on failure. */
bt_dnnl_desc bt_dnnl_desc_of(dnnl_primitive_desc_t product, dnnl_query_t what);

/** The primitive descriptor of a copy from one form into another. */
dnnl_status_t bt_dnnl_reorder_new(bt_dnnl_desc from, bt_dnnl_desc to, dnnl_engine_t engine, dnnl_primitive_desc_t *out);

#endif
