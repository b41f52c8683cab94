/* The two forms of oneDNN's C API (see the header). Checked against 2.6; the 3.x side follows its migration guide. */
#ifdef BITTERN_WITH_ONEDNN
#include "cpu/product_dnnl_api.h"

#include <string.h>

#if DNNL_VERSION_MAJOR >= 3

dnnl_status_t bt_dnnl_desc_set(bt_dnnl_desc *out, int64_t rows, int64_t cols, dnnl_data_type_t dtype, int64_t row_stride,
                               int64_t col_stride) {
    dnnl_dims_t dims = {rows, cols}, strides = {row_stride, col_stride};
    if (row_stride == 0 && col_stride == 0)
        return dnnl_memory_desc_create_with_tag(&out->md, 2, dims, dtype, dnnl_format_tag_any);
    return dnnl_memory_desc_create_with_strides(&out->md, 2, dims, dtype, strides);
}

void bt_dnnl_desc_free(bt_dnnl_desc *desc) {
    if (desc->md) (void)dnnl_memory_desc_destroy(desc->md);
    desc->md = NULL;
}

size_t bt_dnnl_desc_bytes(const bt_dnnl_desc *desc) { return dnnl_memory_desc_get_size(desc->md); }

/* There is no public content: what can be asked of a two-dimensional descriptor is the key. */
bool bt_dnnl_desc_key(const bt_dnnl_desc *desc, char *text, size_t text_bytes) {
    struct {
        int inner_count;
        dnnl_dims_t strides, inner_blocks, inner_at, padded;
        uint64_t bytes;
    } key;
    const dnnl_dims_t *dims;
    memset(&key, 0, sizeof key);
    if (sizeof key > text_bytes * 4) return false;
    if (dnnl_memory_desc_query(desc->md, dnnl_query_inner_nblks_s32, &key.inner_count) != dnnl_success) return false;
    if (dnnl_memory_desc_query(desc->md, dnnl_query_strides, &dims) != dnnl_success) return false;
    memcpy(key.strides, *dims, 2 * sizeof(dnnl_dim_t));
    if (dnnl_memory_desc_query(desc->md, dnnl_query_padded_dims, &dims) != dnnl_success) return false;
    memcpy(key.padded, *dims, 2 * sizeof(dnnl_dim_t));
    return false;
}
#endif
#endif
