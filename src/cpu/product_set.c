/* The products of one instruction, and those of a linear layer. */
#include "cpu/product_set.h"

#include "base/memory.h"

static void release(void *state) {
    bt_product_set *set = state;
    for (int i = 0; i < set->count; i++) bt_product_free(set->product[i]);
    bt_memory_free(set);
}

bt_status bt_product_set_prepare(bt_device *device, const bt_product_spec *spec, int count, size_t more_bytes,
                                 bt_prepared *out) {
    BT_ASSERT(count <= BT_PRODUCT_SET_MAX);
    bt_product_set *set = bt_memory_zeroed(1, sizeof *set);
    if (!set) return BT_ERR_MEMORY;
    set->count = count;
    for (int i = 0; i < count; i++) {
        bt_status status = bt_product_prepare(bt_cpu_of(device), &spec[i], &set->product[i]);
        if (status != BT_OK) {
            release(set);
            return status;
        }
        size_t bytes = bt_cpu_round_up(bt_product_scratch_bytes(set->product[i]), BT_CPU_ALIGNMENT);
        if (bytes > set->scratch_bytes) set->scratch_bytes = bytes;
    }
    out->state = set;
    out->release = release;
    out->scratch_bytes = set->scratch_bytes + more_bytes;
    return BT_OK;
}

static bool given(const bt_tensor *t) {
    return t && bt_present(t);
}

/* The pointer by which a frozen weight may be packed at plan time, else NULL. */
static const void *frozen(const bt_tensor *w) {
    return w->flags & BT_FROZEN ? w->data : NULL;
}

bt_product_spec bt_product_linear(const bt_tensor *x, const bt_tensor *w, const bt_tensor *b, const bt_tensor *add,
                                  const bt_tensor *y) {
    return (bt_product_spec){.m = bt_shape_rows(y->shape),
                             .n = bt_shape_rows(w->shape),
                             .k = bt_shape_cols(w->shape),
                             .in = x->dtype,
                             .out = y->dtype,
                             .b_trans = true,
                             .a_ld = x->ld,
                             .b_ld = w->ld,
                             .c_ld = y->ld,
                             .add_ld = given(add) ? add->ld : 0,
                             .bias = given(b),
                             .add = given(add),
                             .alpha = 1,
                             .frozen_b = frozen(w)};
}

bt_product_spec bt_product_linear_dx(const bt_tensor *dy, const bt_tensor *w, const bt_tensor *add,
                                     const bt_tensor *dx) {
    return (bt_product_spec){.m = bt_shape_rows(dx->shape),
                             .n = bt_shape_cols(w->shape),
                             .k = bt_shape_rows(w->shape),
                             .in = dy->dtype,
                             .out = dx->dtype,
                             .a_ld = dy->ld,
                             .b_ld = w->ld,
                             .c_ld = dx->ld,
                             .add_ld = given(add) ? add->ld : 0,
                             .add = given(add),
                             .alpha = 1,
                             .frozen_b = frozen(w)};
}

bt_product_spec bt_product_linear_dw(const bt_tensor *dy, const bt_tensor *x, const bt_tensor *dw, int accumulate) {
    return (bt_product_spec){.m = bt_shape_cols(dy->shape),
                             .n = bt_shape_cols(x->shape),
                             .k = bt_shape_rows(dy->shape),
                             .in = dy->dtype,
                             .out = dw->dtype,
                             .a_trans = true,
                             .a_ld = dy->ld,
                             .b_ld = x->ld,
                             .c_ld = dw->ld,
                             .accumulate = accumulate != 0,
                             .alpha = 1};
}
