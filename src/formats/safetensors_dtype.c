/* safetensors: element types and their conversion to float32. */
#include "formats/file_dtype.h"

#include <bittern/tensor.h>

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
    uint32_t exponent = half >> 10 & 31, fraction = half & 1023, bits;
    float magnitude;
    if (exponent == 0) {
        magnitude = (float)fraction * 0x1p-24f;
    } else { /* the bias of float32 is 127; infinity and NaN stay what they are */
        bits = (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
        if (exponent == 31 && fraction) bits |= 1u << 22; /* quiet */
        memcpy(&magnitude, &bits, sizeof bits);
    }
    memcpy(&bits, &magnitude, sizeof bits);
    bits |= (uint32_t)(half >> 15) << 31;
    memcpy(&magnitude, &bits, sizeof bits);
    return magnitude;
}

/* memcpy per element: the data may lie at any byte. */
#define CONVERT(type, expression)                                                                                      \
    for (int64_t i = 0; i < count; i++) {                                                                              \
        type x;                                                                                                        \
        memcpy(&x, from + (size_t)i * sizeof x, sizeof x);                                                             \
        out[i] = (expression);                                                                                         \
    }                                                                                                                  \
    return BT_OK

bt_status bt_file_to_f32(bt_file_dtype dtype, const void *data, int64_t count, float *out) {
    const unsigned char *from = data;
    switch (dtype) {
    case BT_FILE_F32:
        if (count > 0) memcpy(out, from, (size_t)count * sizeof *out);
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
    return bt_error(BT_ERR_UNSUPPORTED, "dtype %s cannot be converted to float32", bt_file_dtype_name(dtype));
}

bt_status bt_safetensors_to_f32(const bt_safetensors_entry *entry, float *out) {
    bt_status status = bt_file_to_f32(entry->dtype, entry->data, entry->count, out);
    return status == BT_OK ? BT_OK : bt_error_prefix(status, "tensor %s", entry->name);
}
