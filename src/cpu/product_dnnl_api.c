/* The two forms of oneDNN's C API (see the header). Built and tested against 2.6 and 3.2. */
#ifdef BITTERN_WITH_ONEDNN
#include "cpu/product_dnnl_api.h"

#include <stdlib.h>

#if DNNL_VERSION_MAJOR >= 3

bt_dnnl_desc bt_dnnl_desc_new(int64_t rows, int64_t cols, dnnl_data_type_t dtype, int64_t row_stride,
                              int64_t col_stride) {
    dnnl_dims_t dims = {rows, cols}, strides = {row_stride, col_stride};
    dnnl_memory_desc_t desc = NULL;
    if (row_stride == 0 && col_stride == 0)
        (void)dnnl_memory_desc_create_with_tag(&desc, 2, dims, dtype, dnnl_format_tag_any);
    else
        (void)dnnl_memory_desc_create_with_strides(&desc, 2, dims, dtype, strides);
    return desc;
}

void bt_dnnl_desc_free(bt_dnnl_desc desc) {
    if (desc) (void)dnnl_memory_desc_destroy(desc);
}

bt_dnnl_desc bt_dnnl_desc_of(dnnl_primitive_desc_t product, dnnl_query_t what) {
    dnnl_memory_desc_t desc = NULL;
    const_dnnl_memory_desc_t found = dnnl_primitive_desc_query_md(product, what, 0);
    if (found) (void)dnnl_memory_desc_clone(&desc, found);
    return desc;
}

bool bt_dnnl_desc_is_plain(bt_dnnl_desc desc) {
    int blocks = 1;
    return dnnl_memory_desc_query(desc, dnnl_query_inner_nblks_s32, &blocks) == dnnl_success && blocks == 0;
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops) {
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
}

static dnnl_status_t set_alpha(dnnl_primitive_attr_t attr, dnnl_post_ops_t ops, float alpha) {
    (void)attr;
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_linear, alpha, 0.0f);
}

static dnnl_status_t create(const bt_dnnl_matmul *x, dnnl_primitive_attr_t attr, dnnl_engine_t engine,
                            dnnl_primitive_desc_t *out) {
    return dnnl_matmul_primitive_desc_create(out, engine, x->a, x->b, x->bias, x->c, attr);
}

#else

bt_dnnl_desc bt_dnnl_desc_new(int64_t rows, int64_t cols, dnnl_data_type_t dtype, int64_t row_stride,
                              int64_t col_stride) {
    dnnl_dims_t dims = {rows, cols}, strides = {row_stride, col_stride};
    dnnl_memory_desc_t *desc = malloc(sizeof *desc);
    if (!desc) return NULL;
    dnnl_status_t status = row_stride == 0 && col_stride == 0
                               ? dnnl_memory_desc_init_by_tag(desc, 2, dims, dtype, dnnl_format_tag_any)
                               : dnnl_memory_desc_init_by_strides(desc, 2, dims, dtype, strides);
    if (status == dnnl_success) return desc;
    free(desc);
    return NULL;
}

void bt_dnnl_desc_free(bt_dnnl_desc desc) {
    free(desc);
}

bt_dnnl_desc bt_dnnl_desc_of(dnnl_primitive_desc_t product, dnnl_query_t what) {
    const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(product, what, 0);
    dnnl_memory_desc_t *desc = found ? malloc(sizeof *desc) : NULL;
    if (desc) *desc = *found;
    return desc;
}

bool bt_dnnl_desc_is_plain(bt_dnnl_desc desc) {
    return desc->format_kind == dnnl_blocked && desc->format_desc.blocking.inner_nblks == 0;
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops) {
    return dnnl_post_ops_append_sum(ops, 1.0f);
}

static dnnl_status_t set_alpha(dnnl_primitive_attr_t attr, dnnl_post_ops_t ops, float alpha) {
    (void)ops;
    return dnnl_primitive_attr_set_output_scales(attr, 1, 0, &alpha);
}

static dnnl_status_t create(const bt_dnnl_matmul *x, dnnl_primitive_attr_t attr, dnnl_engine_t engine,
                            dnnl_primitive_desc_t *out) {
    dnnl_matmul_desc_t operation;
    dnnl_status_t status = dnnl_matmul_desc_init(&operation, x->a, x->b, x->bias, x->c);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(out, &operation, attr, engine, NULL);
}

#endif

dnnl_status_t bt_dnnl_reorder_new(bt_dnnl_desc from, bt_dnnl_desc to, dnnl_engine_t engine,
                                  dnnl_primitive_desc_t *out) {
    return dnnl_reorder_primitive_desc_create(out, from, engine, to, engine, NULL);
}

dnnl_status_t bt_dnnl_matmul_new(const bt_dnnl_matmul *matmul, dnnl_engine_t engine, dnnl_primitive_desc_t *out) {
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(&attr);
    if (status == dnnl_success) status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && matmul->alpha != 1.0f) status = set_alpha(attr, ops, matmul->alpha);
    if (status == dnnl_success && matmul->sum) status = append_sum(ops);
    if (status == dnnl_success && matmul->addend)
        status = dnnl_post_ops_append_binary(ops, dnnl_binary_add, matmul->addend);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (status == dnnl_success) status = create(matmul, attr, engine, out);
    if (ops) (void)dnnl_post_ops_destroy(ops);
    if (attr) (void)dnnl_primitive_attr_destroy(attr);
    return status;
}
#else
typedef int bt_no_dnnl_api; /* ISO C wants something in a file */
#endif
