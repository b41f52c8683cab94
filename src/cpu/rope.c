/* Rotary positions on the packed input of attention (see ops.def). The gradient is the rotation by the opposite angles,
 * so one loop serves both. Where the output lies in the input's memory, what is copied stays where it is. */
#include "cpu/rows.h"

#include <string.h>

typedef struct turn {
    const bt_tensor *x, *table, *y;
    int64_t half, heads; /* of a head; heads of all rotated parts */
    int prefix;
    float sign;
} turn;

static size_t buffer_bytes(const bt_tensor *x, int parts, int rotated) {
    return x->dtype == BT_BF16 ? sizeof(float) * (size_t)(bt_shape_cols(x->shape) / parts * rotated) : 0;
}

/** Row `row` of y = that of x from column `col` on, unless it lies there already. */
static void copy_from(const turn *t, int64_t row, int64_t col) {
    if (t->y->data == t->x->data) return;
    size_t item_bytes = bt_dtype_bytes(t->x->dtype);
    memcpy((char *)t->y->data + (size_t)(row * t->y->ld + col) * item_bytes,
           (const char *)t->x->data + (size_t)(row * t->x->ld + col) * item_bytes,
           (size_t)(bt_shape_cols(t->x->shape) - col) * item_bytes);
}

static void turn_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *buffer) {
    const turn *t = context;
    int64_t tokens = t->x->shape.dim[1], turned = t->heads * 2 * t->half;
    for (int64_t row = begin; row < end; row++) {
        int64_t token = row % tokens;
        if (token < t->prefix) {
            copy_from(t, row, 0);
            continue;
        }
        const float *c = bt_row_f32(t->table, token - t->prefix), *x = bt_row_read(v, t->x, row, 0, turned, buffer);
        float *y = bt_row_target(t->y, row, 0, buffer);
        v->rotate(y, x, c, c + t->half, t->sign, t->half, t->heads);
        bt_row_write(v, t->y, row, 0, turned, y);
        copy_from(t, row, turned);
    }
}

static bt_status run_turn(bt_device *device, turn t, int heads, int parts, int rotated, void *scratch) {
    t.half = bt_shape_cols(t.x->shape) / parts / heads / 2;
    t.heads = (int64_t)heads * rotated;
    bt_over_rows(device, bt_shape_rows(t.x->shape), bt_shape_count(t.x->shape), turn_rows, &t,
                 buffer_bytes(t.x, parts, rotated), scratch);
    return BT_OK;
}

static bt_status prepare(bt_device *device, const bt_rope_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("rope", {"x", &a->x, BT_COMPUTE}, {"table", &a->table, BT_ALLOW_F32},
                             {"y", &a->y, BT_COMPUTE}));
    out->scratch_bytes = bt_rows_scratch_bytes(device, buffer_bytes(&a->x, a->parts, a->rotated));
    return BT_OK;
}

static bt_status run(bt_device *device, const bt_rope_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    turn t = {.x = &a->x, .table = &a->table, .y = &a->y, .prefix = a->prefix, .sign = 1};
    return run_turn(device, t, a->heads, a->parts, a->rotated, scratch);
}

const bt_rope_kernel bt_cpu_rope = {prepare, run};

static bt_status prepare_dx(bt_device *device, const bt_rope_dx_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("rope_dx", {"dy", &a->dy, BT_COMPUTE}, {"table", &a->table, BT_ALLOW_F32},
                             {"dx", &a->dx, BT_COMPUTE}));
    out->scratch_bytes = bt_rows_scratch_bytes(device, buffer_bytes(&a->dy, a->parts, a->rotated));
    return BT_OK;
}

static bt_status run_dx(bt_device *device, const bt_rope_dx_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    turn t = {.x = &a->dy, .table = &a->table, .y = &a->dx, .prefix = a->prefix, .sign = -1};
    return run_turn(device, t, a->heads, a->parts, a->rotated, scratch);
}

const bt_rope_dx_kernel bt_cpu_rope_dx = {prepare_dx, run_dx};
