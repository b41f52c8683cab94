/* A frozen linear layer with low-rank updates (LoRA, arXiv 2106.09685) on column parts of y, and its gradients.
 *   u (..,P*R) = drop(x) a^T;   y = x w^T + b + add,   y[:, c_p : c_p+W] += scale u_p bb_p^T
 *   du_p = scale dy_p bb_p;     dx = dy w + drop'(du a) + add
 *   da = du^T drop(x);          dbb_p = scale dy_p^T u_p
 * Saved: x and u. The update is added by the product itself (no second pass over y), one product for each part. Only
 * with dropout is there a copy of x (drop(x), in scratch, drawn again in the backward). */
#include "cpu/dropout.h"
#include "cpu/product_set.h"
#include "cpu/rows.h"

/* A contiguous tensor like `x` in scratch. */
static bt_tensor like(const bt_tensor *x, void *data) {
    return bt_tensor_of(data, x->dtype, x->shape);
}

static size_t like_bytes(const bt_tensor *x) {
    return bt_cpu_round_up(bt_row_bytes(x->dtype, bt_shape_cols(x->shape)) * (size_t)bt_shape_rows(x->shape),
                           BT_CPU_ALIGNMENT);
}

/* Scratch for a tensor like x and for its draws; 0 without dropout. */
static size_t dropped_bytes(const bt_device *device, const bt_tensor *x, float dropout) {
    return dropout > 0 ? like_bytes(x) + bt_dropout_scratch_bytes(device, x) : 0;
}

/* drop(x): x itself without dropout, else in `scratch`. */
static bt_tensor dropped(bt_device *device, const bt_tensor *x, const bt_tensor *ids, float dropout, int stream,
                         void *scratch) {
    if (!(dropout > 0)) return *x;
    const bt_tensor y = like(x, scratch), none = {.dtype = BT_NONE};
    bt_dropout_apply(device, &y, x, &none, ids, dropout, stream, (char *)scratch + like_bytes(x));
    return y;
}

enum { ALLOW_IDS = (1 << BT_I64) | BT_ALLOW_NONE };

static bt_status check_ids(const char *operation, const bt_tensor *ids, float dropout) {
    if (dropout > 0 && !bt_present(ids))
        return bt_error(BT_ERR_SHAPE, "%s on cpu: dropout %g needs the operand ids", operation, (double)dropout);
    return BT_OK;
}

/* drop(x) as the products see it at plan time: contiguous when it is a copy. */
static bt_tensor planned_drop(const bt_tensor *x, float dropout) {
    return dropout > 0 ? like(x, NULL) : *x;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

enum { FROZEN, DOWN, UP }; /* products of the forward; UP is the first of `parts` */

static bt_status prepare(bt_device *device, const bt_lora_linear_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("lora_linear", {"x", &a->x, BT_COMPUTE}, {"w", &a->w, BT_COMPUTE},
                             {"b", &a->b, BT_ALLOW_F32 | BT_ALLOW_NONE}, {"a", &a->a, BT_COMPUTE},
                             {"bb", &a->bb, BT_COMPUTE}, {"add", &a->add, BT_COMPUTE | BT_ALLOW_NONE},
                             {"ids", &a->ids, ALLOW_IDS}, {"y", &a->y, BT_COMPUTE}, {"u", &a->u, BT_COMPUTE}));
    BT_TRY(check_ids("lora_linear", &a->ids, a->dropout));
    const bt_tensor x = planned_drop(&a->x, a->dropout);
    bt_product_spec spec[BT_PRODUCT_SET_MAX] = {[FROZEN] = bt_product_linear(&a->x, &a->w, &a->b, &a->add, &a->y),
                                                [DOWN] = bt_product_linear(&x, &a->a, NULL, NULL, &a->u)};
    for (int p = 0; p < a->parts.count; p++) {
        const bt_lora_part k = bt_lora_part_of(&a->parts, p, &a->u, &a->bb, &a->y);
        spec[UP + p] = bt_product_linear(&k.u, &k.bb, NULL, NULL, &k.y);
        spec[UP + p].alpha = a->parts.scale;
        spec[UP + p].accumulate = true;
    }
    return bt_product_set_prepare(device, spec, UP + a->parts.count, dropped_bytes(device, &a->x, a->dropout), out);
}

static bt_status run(bt_device *device, const bt_lora_linear_args *a, const bt_prepared *prepared, void *scratch) {
    bt_product *const *product = bt_product_set_of(prepared)->product;
    const bt_product_operands frozen = {
        .a = a->x.data, .b = a->w.data, .bias = a->b.data, .add = a->add.data, .c = a->y.data};
    BT_TRY(bt_product_run(product[FROZEN], &frozen, scratch));
    bt_tensor x = dropped(device, &a->x, &a->ids, a->dropout, a->stream, bt_product_set_more(prepared, scratch));
    const bt_product_operands down = {.a = x.data, .b = a->a.data, .c = a->u.data};
    BT_TRY(bt_product_run(product[DOWN], &down, scratch));
    for (int p = 0; p < a->parts.count; p++) {
        const bt_lora_part k = bt_lora_part_of(&a->parts, p, &a->u, &a->bb, &a->y);
        const bt_product_operands up = {.a = k.u.data, .b = k.bb.data, .c = k.y.data};
        BT_TRY(bt_product_run(product[UP + p], &up, scratch));
    }
    return BT_OK;
}

const bt_lora_linear_kernel bt_cpu_lora_linear = {prepare, run};

/* ---- gradient of u ----------------------------------------------------------------------------------------------- */

static bt_status prepare_du(bt_device *device, const bt_lora_du_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("lora_du", {"dy", &a->dy, BT_COMPUTE}, {"bb", &a->bb, BT_COMPUTE},
                             {"du", &a->du, BT_COMPUTE}));
    bt_product_spec spec[BT_PRODUCT_SET_MAX];
    for (int p = 0; p < a->parts.count; p++) {
        const bt_lora_part k = bt_lora_part_of(&a->parts, p, &a->du, &a->bb, &a->dy);
        spec[p] = bt_product_linear_dx(&k.y, &k.bb, NULL, &k.u);
        spec[p].alpha = a->parts.scale;
    }
    return bt_product_set_prepare(device, spec, a->parts.count, 0, out);
}

static bt_status run_du(bt_device *device, const bt_lora_du_args *a, const bt_prepared *prepared, void *scratch) {
    (void)device;
    for (int p = 0; p < a->parts.count; p++) {
        const bt_lora_part k = bt_lora_part_of(&a->parts, p, &a->du, &a->bb, &a->dy);
        const bt_product_operands operands = {.a = k.y.data, .b = k.bb.data, .c = k.u.data};
        BT_TRY(bt_product_run(bt_product_set_of(prepared)->product[p], &operands, scratch));
    }
    return BT_OK;
}

const bt_lora_du_kernel bt_cpu_lora_du = {prepare_du, run_du};

/* ---- gradient of x ----------------------------------------------------------------------------------------------- */

static bt_status prepare_dx(bt_device *device, const bt_lora_linear_dx_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("lora_linear_dx", {"dy", &a->dy, BT_COMPUTE}, {"w", &a->w, BT_COMPUTE},
                             {"du", &a->du, BT_COMPUTE}, {"a", &a->a, BT_COMPUTE},
                             {"add", &a->add, BT_COMPUTE | BT_ALLOW_NONE}, {"ids", &a->ids, ALLOW_IDS},
                             {"dx", &a->dx, BT_COMPUTE}));
    BT_TRY(check_ids("lora_linear_dx", &a->ids, a->dropout));
    const bt_tensor update = planned_drop(&a->dx, a->dropout);
    bt_product_spec spec[2] = {bt_product_linear_dx(&a->dy, &a->w, &a->add, &a->dx),
                               bt_product_linear_dx(&a->du, &a->a, NULL, &update)};
    spec[1].accumulate = !(a->dropout > 0);
    return bt_product_set_prepare(device, spec, 2, dropped_bytes(device, &a->dx, a->dropout), out);
}

static bt_status run_dx(bt_device *device, const bt_lora_linear_dx_args *a, const bt_prepared *prepared,
                        void *scratch) {
    bt_product *const *product = bt_product_set_of(prepared)->product;
    const bt_product_operands frozen = {.a = a->dy.data, .b = a->w.data, .add = a->add.data, .c = a->dx.data};
    BT_TRY(bt_product_run(product[0], &frozen, scratch));
    void *more = bt_product_set_more(prepared, scratch);
    bt_tensor update = a->dropout > 0 ? like(&a->dx, more) : a->dx;
    const bt_product_operands adapter = {.a = a->du.data, .b = a->a.data, .c = update.data};
    BT_TRY(bt_product_run(product[1], &adapter, scratch));
    if (a->dropout > 0)
        bt_dropout_apply(device, &a->dx, &update, &a->dx, &a->ids, a->dropout, a->stream,
                         (char *)more + like_bytes(&a->dx));
    return BT_OK;
}

const bt_lora_linear_dx_kernel bt_cpu_lora_linear_dx = {prepare_dx, run_dx};

/* ---- gradients of a and b ---------------------------------------------------------------------------------------- */

static bt_status prepare_dw(bt_device *device, const bt_lora_dw_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("lora_dw", {"dy", &a->dy, BT_COMPUTE}, {"x", &a->x, BT_COMPUTE}, {"u", &a->u, BT_COMPUTE},
                             {"du", &a->du, BT_COMPUTE}, {"ids", &a->ids, ALLOW_IDS}, {"da", &a->da, BT_ALLOW_F32},
                             {"dbb", &a->dbb, BT_ALLOW_F32}));
    BT_TRY(check_ids("lora_dw", &a->ids, a->dropout));
    const bt_tensor x = planned_drop(&a->x, a->dropout);
    bt_product_spec spec[BT_PRODUCT_SET_MAX] = {bt_product_linear_dw(&a->du, &x, &a->da, a->accumulate)};
    for (int p = 0; p < a->parts.count; p++) {
        const bt_lora_part k = bt_lora_part_of(&a->parts, p, &a->u, &a->dbb, &a->dy);
        spec[1 + p] = bt_product_linear_dw(&k.y, &k.u, &k.bb, a->accumulate);
        spec[1 + p].alpha = a->parts.scale;
    }
    return bt_product_set_prepare(device, spec, 1 + a->parts.count, dropped_bytes(device, &a->x, a->dropout), out);
}

static bt_status run_dw(bt_device *device, const bt_lora_dw_args *a, const bt_prepared *prepared, void *scratch) {
    bt_product *const *product = bt_product_set_of(prepared)->product;
    bt_tensor x = dropped(device, &a->x, &a->ids, a->dropout, a->stream, bt_product_set_more(prepared, scratch));
    const bt_product_operands down = {.a = a->du.data, .b = x.data, .c = a->da.data};
    BT_TRY(bt_product_run(product[0], &down, scratch));
    for (int p = 0; p < a->parts.count; p++) {
        const bt_lora_part k = bt_lora_part_of(&a->parts, p, &a->u, &a->dbb, &a->dy);
        const bt_product_operands up = {.a = k.y.data, .b = k.u.data, .c = k.bb.data};
        BT_TRY(bt_product_run(product[1 + p], &up, scratch));
    }
    return BT_OK;
}

const bt_lora_dw_kernel bt_cpu_lora_dw = {prepare_dw, run_dw};
