/* safetensors: element types and their conversion to float32. */
#include <bittern/safetensors.h>
#include <bittern/tensor.h>

#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "file data is used in place, and it is little-endian");

static const struct {
    const char *name;
    size_t bytes;
} dtypes[BT_FILE_DTYPE_COUNT] = {
    [BT_FILE_BOOL] = {"BOOL", 1},       [BT_FILE_U8] = {"U8", 1},           [BT_FILE_I8] = {"I8", 1},
    [BT_FILE_F8_E5M2] = {"F8_E5M2", 1}, [BT_FILE_F8_E4M3] = {"F8_E4M3", 1}, [BT_FILE_U16] = {"U16", 2},
    [BT_FILE_I16] = {"I16", 2},         [BT_FILE_F16] = {"F16", 2},         [BT_FILE_BF16] = {"BF16", 2},
    [BT_FILE_U32] = {"U32", 4},         [BT_FILE_I32] = {"I32", 4},         [BT_FILE_F32] = {"F32", 4},
    [BT_FILE_U64] = {"U64", 8},         [BT_FILE_I64] = {"I64", 8},         [BT_FILE_F64] = {"F64", 8},
};

const char *bt_file_dtype_name(bt_file_dtype dtype) {
    BT_ASSERT(dtype < BT_FILE_DTYPE_COUNT);
    return dtypes[dtype].name;
}

size_t bt_file_dtype_bytes(bt_file_dtype dtype) {
    BT_ASSERT(dtype < BT_FILE_DTYPE_COUNT);
    return dtypes[dtype].bytes;
}

/* IEEE 754 binary16: sign, 5 bits of exponent with bias 15, 10 bits of fraction; exponent 0 is fraction * 2^-24. */
static float half_to_float(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    float magnitude;
    if (exponent == 31) {
        magnitude = fraction ? NAN : INFINITY;
    } else if (exponent == 0) {
        magnitude = (float)fraction * 0x1p-24f;
    } else {
        magnitude = ldexpf((float)(1024 + fraction), exponent - 25);
    }
    return half >> 15 ? -magnitude : magnitude;
}

/* memcpy per element: the data may lie at any byte. */
#define CONVERT(type, expression)                                                                                      \
    for (int64_t i = 0; i < entry->count; i++) {                                                                       \
        type x;                                                                                                        \
        memcpy(&x, from + (size_t)i * sizeof x, sizeof x);                                                             \
        out[i] = (expression);                                                                                         \
    }                                                                                                                  \
    return BT_OK

bt_status bt_safetensors_to_f32(const bt_safetensors_entry *entry, float *out) {
    const unsigned char *from = entry->data;
    switch (entry->dtype) {
    case BT_FILE_F32:
        if (entry->bytes > 0) memcpy(out, from, entry->bytes);
        return BT_OK;
    case BT_FILE_BOOL:
        CONVERT(uint8_t, x ? 1.0f : 0.0f);
    case BT_FILE_U8:
        CONVERT(uint8_t, (float)x);
    case BT_FILE_I8:
        CONVERT(int8_t, (float)x);
    case BT_FILE_U16:
        CONVERT(uint16_t, (float)x);
    case BT_FILE_I16:
        CONVERT(int16_t, (float)x);
    case BT_FILE_F16:
        CONVERT(uint16_t, half_to_float(x));
    case BT_FILE_BF16:
        CONVERT(uint16_t, bt_bf16_to_float(x));
    case BT_FILE_U32:
        CONVERT(uint32_t, (float)x);
    case BT_FILE_I32:
        CONVERT(int32_t, (float)x);
    case BT_FILE_U64:
        CONVERT(uint64_t, (float)x);
    case BT_FILE_I64:
        CONVERT(int64_t, (float)x);
    case BT_FILE_F64:
        CONVERT(double, (float)x);
    case BT_FILE_F8_E5M2:
    case BT_FILE_F8_E4M3:
    case BT_FILE_DTYPE_COUNT:
        break;
    }
    return bt_error(BT_ERR_UNSUPPORTED, "tensor %s: dtype %s cannot be converted to float32", entry->name,
                    bt_file_dtype_name(entry->dtype));
}
