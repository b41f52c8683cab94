/* Element types, shapes and tensors.
 *
 * A bt_tensor describes memory that it does not own: row-major in the papers' axis order, contiguous but for one row
 * stride `ld` (in elements). All axes but the last are the rows.
 */
#ifndef BITTERN_TENSOR_H
#define BITTERN_TENSOR_H

#include <bittern/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum bt_dtype {
    BT_NONE = 0, /**< an absent optional operand */
    BT_F32,
    BT_BF16, /**< the upper half of an IEEE float32 */
    BT_U8,
    BT_I32,
    BT_I64,
    BT_BITS, /**< binary codes: a row of D bits is ceil(D/64) little-endian uint64_t, bit k of word k/64; the rest is 0
              */
    BT_DTYPE_COUNT
} bt_dtype;

#define BT_MAX_RANK 4

typedef struct bt_shape {
    int rank;                 /**< 0 for a shape that is not set */
    int64_t dim[BT_MAX_RANK]; /**< dim[0..rank-1]; the rest is 0 */
} bt_shape;

typedef struct bt_tensor {
    void *data; /**< device or host memory, not owned */
    bt_shape shape;
    bt_dtype dtype;
    uint32_t flags; /**< BT_FROZEN */
    int64_t ld;     /**< elements from one row to the next, at least the last axis (words of 64 bits for BT_BITS) */
} bt_tensor;

/** The content never changes while programs that use it exist (a kernel may keep a packed copy). */
#define BT_FROZEN 1u

/** Bytes of one element; 0 for BT_NONE and BT_BITS (use bt_row_bytes). */
size_t bt_dtype_bytes(bt_dtype dtype);

/** "f32", "bf16", "u8", "i32", "i64", "bits", "none". */
const char *bt_dtype_name(bt_dtype dtype);

/** Builds a shape; at most BT_MAX_RANK axes, each at least 0. */
bt_shape bt_shape_of(int rank, const int64_t *dim);
static inline bt_shape bt_shape1(int64_t a) {
    int64_t d[1] = {a};
    return bt_shape_of(1, d);
}
static inline bt_shape bt_shape2(int64_t a, int64_t b) {
    int64_t d[2] = {a, b};
    return bt_shape_of(2, d);
}
static inline bt_shape bt_shape3(int64_t a, int64_t b, int64_t c) {
    int64_t d[3] = {a, b, c};
    return bt_shape_of(3, d);
}
static inline bt_shape bt_shape4(int64_t a, int64_t b, int64_t c, int64_t e) {
    int64_t d[4] = {a, b, c, e};
    return bt_shape_of(4, d);
}

bool bt_shape_equal(bt_shape a, bt_shape b);

/** Product of all axes (1 for rank 0). */
int64_t bt_shape_count(bt_shape shape);

/** Product of all axes but the last: the number of rows (1 for rank 0 and 1). */
int64_t bt_shape_rows(bt_shape shape);

/** The last axis (1 for rank 0). */
int64_t bt_shape_cols(bt_shape shape);

/** Writes "(16, 257, 384)" into `text` and returns it; always terminated. */
char *bt_shape_text(bt_shape shape, char *text, size_t text_bytes);

/** Bytes of one row without padding. */
size_t bt_row_bytes(bt_dtype dtype, int64_t cols);

/** A contiguous tensor over `data`. */
bt_tensor bt_tensor_of(void *data, bt_dtype dtype, bt_shape shape);

static inline bool bt_present(const bt_tensor *t) {
    return t->dtype != BT_NONE;
}

/** Bytes from the first to the last element, row padding included. */
size_t bt_tensor_bytes(const bt_tensor *t);

/** float32 to bf16, round to nearest even; a NaN stays a quiet NaN. */
uint16_t bt_bf16_of(float value);
float bt_bf16_to_float(uint16_t value);
/** bt_bf16_of of each of `count` values. */
void bt_bf16_of_all(const float *values, int64_t count, uint16_t *out);

#ifdef __cplusplus
}
#endif
#endif
