/* What the kernels of rows and elements share: dtype checks, f32 views of rows, work split over threads, and sums over
 * rows that do not depend on the number of threads.
 *
 * Kernels compute on f32 whatever the operands are: a row of f32 is used where it lies, a bf16 row goes through a
 * buffer that stays in the first cache. Thus no kernel is written twice, and the conversion costs no memory traffic.
 */
#ifndef BITTERN_CPU_ROWS_H
#define BITTERN_CPU_ROWS_H

#include "cpu/device.h"
#include "cpu/vector.h"

/* ---- dtypes ------------------------------------------------------------------------------------------------------ */

enum {
    BT_ALLOW_NONE = 1 << BT_NONE,
    BT_ALLOW_F32 = 1 << BT_F32,
    BT_ALLOW_BF16 = 1 << BT_BF16,
    BT_ALLOW_U8 = 1 << BT_U8,
    BT_ALLOW_I32 = 1 << BT_I32,
    BT_ALLOW_BITS = 1 << BT_BITS,
    BT_ALLOW_FLOAT = BT_ALLOW_F32 | BT_ALLOW_BF16,
    BT_SAME = 1 << 30, /**< all operands with this flag have one dtype */
    BT_COMPUTE = BT_ALLOW_FLOAT | BT_SAME
};

typedef struct bt_operand_rule {
    const char *name;
    const bt_tensor *tensor;
    int allowed;
} bt_operand_rule;

/** BT_ERR_UNSUPPORTED with operation, operand, its dtype and the allowed ones for the first operand that breaks its
 * rule. */
bt_status bt_check_operands(const char *operation, const bt_operand_rule *rules, size_t count);

#define BT_CHECK_OPERANDS(operation, ...)                                                                              \
    bt_check_operands(operation, (const bt_operand_rule[]){__VA_ARGS__},                                               \
                      sizeof((const bt_operand_rule[]){__VA_ARGS__}) / sizeof(bt_operand_rule))

/* ---- rows as f32 ------------------------------------------------------------------------------------------------- */

/** Row `row` of an f32 tensor; NULL for an absent one. */
static inline float *bt_row_f32(const bt_tensor *t, int64_t row) {
    return t->dtype == BT_NONE ? NULL : (float *)t->data + row * t->ld;
}

/** n elements of an f32 or bf16 tensor from (row, col): the memory itself, or `buffer` filled; NULL for an absent one.
 */
static inline const float *bt_row_read(const bt_vector *v, const bt_tensor *t, int64_t row, int64_t col, int64_t n,
                                       float *buffer) {
    if (t->dtype != BT_BF16) return t->dtype == BT_NONE ? NULL : (const float *)t->data + row * t->ld + col;
    v->from_bf16(buffer, (const uint16_t *)t->data + row * t->ld + col, n);
    return buffer;
}

/** Where to compute n elements for (row, col): the memory itself, or `buffer`, which bt_row_write then stores. */
static inline float *bt_row_target(const bt_tensor *t, int64_t row, int64_t col, float *buffer) {
    return t->dtype == BT_BF16 ? buffer : (float *)t->data + row * t->ld + col;
}

static inline void bt_row_write(const bt_vector *v, const bt_tensor *t, int64_t row, int64_t col, int64_t n,
                                const float *values) {
    if (t->dtype == BT_BF16) v->to_bf16((uint16_t *)t->data + row * t->ld + col, values, n);
}

/** Row y_row of y = row x_row of x, of the same dtype and width. */
void bt_copy_row(const bt_tensor *y, int64_t y_row, const bt_tensor *x, int64_t x_row);

/* ---- work over threads ------------------------------------------------------------------------------------------- */

/** Does rows begin..end-1. `buffer` is this thread's own: `buffer_bytes` bytes, aligned to a cache line. */
typedef void (*bt_rows_body)(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *buffer);

/** Bytes of scratch for bt_over_rows. */
size_t bt_rows_scratch_bytes(const bt_device *device, size_t buffer_bytes);

/** Calls `body` for consecutive parts of 0..rows-1, one a thread. `elements` is the work in elements, which decides
 * whether threads pay. */
void bt_over_rows(bt_device *device, int64_t rows, int64_t elements, bt_rows_body body, const void *context,
                  size_t buffer_bytes, void *scratch);

/** y = body(a, b, scale) element by element. Inputs that are absent are NULL, here and in `body`; scale (C) f32 arrives
 * at the right column. */
typedef void (*bt_map_body)(const bt_vector *v, float *y, const float *a, const float *b, const float *scale,
                            int64_t n);
void bt_map(bt_device *device, const bt_tensor *y, bt_map_body body, const bt_tensor *a, const bt_tensor *b,
            const bt_tensor *scale);

/** Bytes of scratch for bt_sum_rows. */
size_t bt_sum_rows_scratch_bytes(int64_t rows, int64_t width, size_t buffer_bytes);

/** Adds what rows begin..end-1 contribute to sums (width). */
typedef void (*bt_sum_body)(const void *context, const bt_vector *v, int64_t begin, int64_t end, double *sums,
                            void *buffer);

/** Sums over rows in double: at most 64 fixed chunks of rows, added in order. Returns the sums (width), in scratch. */
const double *bt_sum_rows(bt_device *device, int64_t rows, int64_t width, int64_t elements, bt_sum_body body,
                          const void *context, size_t buffer_bytes, void *scratch);

/** Elements first..first+n-1 of `out`, f32 and contiguous, = sums (n), or += with `accumulate`. An absent `out` is
 * skipped. */
void bt_store_sums(const bt_tensor *out, int64_t first, const double *sums, int64_t n, int accumulate);

/** Notes the first fault of the step. */
void bt_set_fault(bt_device *device, bt_op op, int64_t index);

#endif
