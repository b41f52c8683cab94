/* Element types, shapes and tensors; the contract is in <bittern/tensor.h>.
 *
 * Shapes here are our own (modules computed them) or were checked by the reader of a file, so a product that does not
 * fit 64 bits is a mistake of ours.
 */
#include <bittern/tensor.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
} dtypes[BT_DTYPE_COUNT] = {
    [BT_NONE] = {"none", 0}, [BT_F32] = {"f32", 4}, [BT_BF16] = {"bf16", 2}, [BT_U8] = {"u8", 1},
    [BT_I32] = {"i32", 4},   [BT_I64] = {"i64", 8}, [BT_BITS] = {"bits", 0},
};

#define WORD_BITS 64
#define WORD_BYTES 8

static int64_t words_of(int64_t bits) {
    return bits / WORD_BITS + (bits % WORD_BITS != 0);
}

static int64_t product(int64_t a, int64_t b) {
    int64_t result;
    bool overflow = __builtin_mul_overflow(a, b, &result);
    BT_ASSERT(!overflow);
    return result;
}

size_t bt_dtype_bytes(bt_dtype dtype) {
    BT_ASSERT((unsigned)dtype < BT_DTYPE_COUNT);
    return dtypes[dtype].bytes;
}

const char *bt_dtype_name(bt_dtype dtype) {
    BT_ASSERT((unsigned)dtype < BT_DTYPE_COUNT);
    return dtypes[dtype].name;
}

bt_shape bt_shape_of(int rank, const int64_t *dim) {
    BT_ASSERT(rank >= 0 && rank <= BT_MAX_RANK);
    bt_shape shape = {.rank = rank};
    for (int i = 0; i < rank; i++) {
        BT_ASSERT(dim[i] >= 0);
        shape.dim[i] = dim[i];
    }
    return shape;
}

bool bt_shape_equal(bt_shape a, bt_shape b) {
    if (a.rank != b.rank) return false;
    for (int i = 0; i < a.rank; i++) {
        if (a.dim[i] != b.dim[i]) return false;
    }
    return true;
}

int64_t bt_shape_count(bt_shape shape) {
    return product(bt_shape_rows(shape), bt_shape_cols(shape));
}

int64_t bt_shape_rows(bt_shape shape) {
    int64_t rows = 1;
    for (int i = 0; i + 1 < shape.rank; i++) rows = product(rows, shape.dim[i]);
    return rows;
}

int64_t bt_shape_cols(bt_shape shape) {
    return shape.rank > 0 ? shape.dim[shape.rank - 1] : 1;
}

char *bt_shape_text(bt_shape shape, char *text, size_t text_bytes) {
    BT_ASSERT(text_bytes > 0);
    char whole[BT_MAX_RANK * 22 + 3] = "("; /* an int64_t has at most 20 characters, and ", " */
    size_t used = 1;
    for (int i = 0; i < shape.rank; i++) {
        used += (size_t)snprintf(whole + used, sizeof whole - used, "%s%" PRId64, i ? ", " : "", shape.dim[i]);
    }
    memcpy(whole + used, ")", 2);
    snprintf(text, text_bytes, "%s", whole);
    return text;
}

size_t bt_row_bytes(bt_dtype dtype, int64_t cols) {
    BT_ASSERT(cols >= 0);
    int64_t bytes =
        dtype == BT_BITS ? product(words_of(cols), WORD_BYTES) : product(cols, (int64_t)bt_dtype_bytes(dtype));
    return (size_t)bytes;
}

bt_tensor bt_tensor_of(void *data, bt_dtype dtype, bt_shape shape) {
    int64_t cols = bt_shape_cols(shape);
    bt_tensor tensor = {.data = data, .shape = shape, .dtype = dtype, .ld = dtype == BT_BITS ? words_of(cols) : cols};
    return tensor;
}

size_t bt_tensor_bytes(const bt_tensor *t) {
    int64_t rows = bt_shape_rows(t->shape), cols = bt_shape_cols(t->shape);
    if (rows == 0 || cols == 0) return 0;
    int64_t item_bytes = t->dtype == BT_BITS ? WORD_BYTES : (int64_t)bt_dtype_bytes(t->dtype);
    int64_t stride_bytes = product(t->ld, item_bytes);
    int64_t row_bytes = (int64_t)bt_row_bytes(t->dtype, cols);
    BT_ASSERT(t->ld >= 0 && (stride_bytes >= row_bytes || rows == 1));
    return (size_t)product(rows - 1, stride_bytes) + (size_t)row_bytes;
}

/* Without a branch, so that loops of it become vectors. The carry of the rounding could turn a NaN into infinity or
 * zero: it keeps its sign and upper payload instead. */
static inline uint16_t round_bits(uint32_t bits) {
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16, quiet = (bits >> 16) | 0x0040u;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

uint16_t bt_bf16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return round_bits(bits);
}

void bt_bf16_of_all(const float *values, int64_t count, uint16_t *out) {
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        out[i] = round_bits(bits);
    }
}

float bt_bf16_to_float(uint16_t value) {
    uint32_t bits = (uint32_t)value << 16;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}
