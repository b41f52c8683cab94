/* NumPy arrays in files; see npy.h. The header is a literal of Python's grammar; what NumPy writes of it is read here
 * strictly: three keys, each once, in any order, strings in either quote without escapes, whole numbers without sign.
 */
#include "formats/npy.h"

#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "file data is used in place, and it is little-endian");

static const struct {
    const char *descr;
    bt_file_dtype dtype;
} types[] = {
    {"|b1", BT_FILE_BOOL}, {"|u1", BT_FILE_U8},  {"|i1", BT_FILE_I8},  {"<u2", BT_FILE_U16},
    {"<i2", BT_FILE_I16},  {"<f2", BT_FILE_F16}, {"<u4", BT_FILE_U32}, {"<i4", BT_FILE_I32},
    {"<f4", BT_FILE_F32},  {"<u8", BT_FILE_U64}, {"<i8", BT_FILE_I64}, {"<f8", BT_FILE_F64},
};
enum { TYPES = sizeof types / sizeof types[0] };

/* ---- the header ---- */

/** Where reading stands in the header. */
typedef struct cursor {
    const bt_npy *file;
    size_t at, end; /* bytes from the start of the file */
} cursor;

static bt_status wrong(const cursor *c, const char *expected) {
    if (c->at >= c->end)
        return bt_error(BT_ERR_FORMAT, "%s: byte %zu: the header ends, expected %s", c->file->path, c->at, expected);
    int found = c->file->map.data[c->at];
    return bt_error(BT_ERR_FORMAT,
                    found > 32 && found < 127 ? "%s: byte %zu: found '%c' in the header, expected %s"
                                              : "%s: byte %zu: found byte %d in the header, expected %s",
                    c->file->path, c->at, found, expected);
}

static int peek(cursor *c) {
    while (c->at < c->end && strchr(" \t\n", c->file->map.data[c->at]) && c->file->map.data[c->at]) c->at++;
    return c->at < c->end ? c->file->map.data[c->at] : -1;
}

static bool take(cursor *c, char wanted) {
    if (peek(c) != wanted) return false;
    c->at++;
    return true;
}

/** A quoted string of at most 31 bytes. */
static bt_status read_string(cursor *c, char text[32], const char *expected) {
    int quote = peek(c);
    if (quote != '\'' && quote != '"') return wrong(c, expected);
    size_t length = 0, from = c->at++;
    while (c->at < c->end && c->file->map.data[c->at] != quote && length < 31)
        text[length++] = (char)c->file->map.data[c->at++];
    text[length] = 0;
    if (c->at >= c->end || c->file->map.data[c->at] != quote || memchr(text, 0, length) || strchr(text, '\\')) {
        c->at = from;
        return bt_error(BT_ERR_FORMAT, "%s: byte %zu: a string in the header has no end, an escape, or over 31 bytes",
                        c->file->path, from);
    }
    c->at++;
    return BT_OK;
}

static bt_status read_descr(cursor *c, bt_npy *out) {
    peek(c);
    size_t at = c->at;
    if (peek(c) == '[')
        return bt_error(
            BT_ERR_UNSUPPORTED,
            "%s: byte %zu: the array has records (a structured dtype); save one field: numpy.save(FILE, a['NAME'])",
            out->path, at);
    char text[32];
    BT_TRY(read_string(c, text, "a dtype such as '<f4'"));
    for (int i = 0; i < TYPES; i++) {
        if (strcmp(text, types[i].descr) != 0) continue;
        out->dtype = types[i].dtype;
        return BT_OK;
    }
    const char *mend = "convert it: numpy.save(FILE, a.astype('<f4'))";
    if (text[0] == '>') mend = "it is big-endian; convert it: numpy.save(FILE, a.astype(a.dtype.newbyteorder('<')))";
    if (strcmp(text, "|O") == 0) mend = "Python objects are not read (they are pickled, and unpickling runs code)";
    return bt_error(BT_ERR_UNSUPPORTED,
                    "%s: byte %zu: dtype '%s'; read are |b1 |u1 |i1 <u2 <i2 <u4 <i4 <u8 <i8 <f2 <f4 <f8; %s", out->path,
                    at, text, mend);
}

static bt_status read_order(cursor *c, bt_npy *out) {
    peek(c);
    size_t at = c->at, left = c->end - c->at;
    const unsigned char *text = out->map.data + at;
    if (left >= 5 && memcmp(text, "False", 5) == 0) {
        c->at += 5;
        return BT_OK;
    }
    if (left < 4 || memcmp(text, "True", 4) != 0) return wrong(c, "True or False");
    return bt_error(
        BT_ERR_UNSUPPORTED,
        "%s: byte %zu: the array is in Fortran order; save it as numpy.save(FILE, numpy.ascontiguousarray(a))",
        out->path, at);
}

static bt_status read_axis(cursor *c, int64_t *axis) {
    int digit = peek(c);
    size_t at = c->at;
    if (digit < '0' || digit > '9') return wrong(c, "an axis of the shape");
    *axis = 0;
    for (; c->at < c->end && (digit = c->file->map.data[c->at]) >= '0' && digit <= '9'; c->at++)
        if (__builtin_mul_overflow(*axis, 10, axis) || __builtin_add_overflow(*axis, digit - '0', axis))
            return bt_error(BT_ERR_FORMAT, "%s: byte %zu: an axis of the shape does not fit 63 bits", c->file->path,
                            at);
    return BT_OK;
}

static bt_status read_shape(cursor *c, bt_npy *out) {
    if (!take(c, '(')) return wrong(c, "a shape such as (3, 4)");
    size_t at = c->at;
    bool comma = true; /* a tuple of one has a comma: (3,) */
    for (out->rank = 0; peek(c) != ')'; out->rank++) {
        if (!comma) return wrong(c, "',' or ')'");
        if (out->rank == BT_NPY_MAX_RANK)
            return bt_error(BT_ERR_UNSUPPORTED, "%s: byte %zu: the shape has over %d axes", out->path, at,
                            BT_NPY_MAX_RANK);
        BT_TRY(read_axis(c, &out->dim[out->rank]));
        comma = take(c, ',');
    }
    if (out->rank == 1 && !comma) return wrong(c, "',' (a tuple of one axis is written (3,))");
    c->at++;
    return BT_OK;
}

static bt_status read_dictionary(cursor *c, bt_npy *out) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    unsigned seen = 0;
    if (!take(c, '{')) return wrong(c, "'{'");
    for (bool comma = true; peek(c) != '}'; comma = take(c, ',')) {
        if (!comma) return wrong(c, "',' or '}'");
        char key[32];
        size_t at = c->at;
        BT_TRY(read_string(c, key, "a key in quotes"));
        unsigned k = 0;
        while (k < 3 && strcmp(key, keys[k]) != 0) k++;
        if (k == 3)
            return bt_error(BT_ERR_FORMAT, "%s: byte %zu: unknown key \"%s\"; allowed: descr, fortran_order, shape",
                            out->path, at, key);
        if (seen >> k & 1)
            return bt_error(BT_ERR_FORMAT, "%s: byte %zu: the key \"%s\" is there twice", out->path, at, key);
        seen |= 1u << k;
        if (!take(c, ':')) return wrong(c, "':'");
        BT_TRY(k == 0 ? read_descr(c, out) : k == 1 ? read_order(c, out) : read_shape(c, out));
    }
    for (unsigned k = 0; k < 3; k++)
        if (!(seen >> k & 1))
            return bt_error(BT_ERR_FORMAT, "%s: byte %zu: the header lacks the key \"%s\"", out->path, c->at, keys[k]);
    c->at++;
    return peek(c) < 0 ? BT_OK : wrong(c, "spaces to its end");
}

/* ---- the file ---- */

static bt_status read_preamble(bt_npy *file, size_t *header_at, size_t *header_end) {
    const unsigned char *data = file->map.data;
    size_t bytes = file->map.bytes, length;
    if (bytes >= 2 && data[0] == 'P' && data[1] == 'K')
        return bt_error(
            BT_ERR_FORMAT,
            "%s: byte 0: this is a zip file, perhaps .npz; unpack it (unzip) and give one of its .npy files",
            file->path);
    if (bytes < 10 || memcmp(data, "\x93NUMPY", 6) != 0)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte 0: not a .npy file (%zu bytes, must begin with \\x93NUMPY); numpy.save makes one",
                        file->path, bytes);
    if (data[6] < 1 || data[6] > 3 || data[7] != 0)
        return bt_error(BT_ERR_UNSUPPORTED, "%s: byte 6: version %d.%d of the format; read are 1.0, 2.0, 3.0",
                        file->path, data[6], data[7]);
    *header_at = data[6] == 1 ? 10 : 12;
    if (bytes < *header_at)
        return bt_error(BT_ERR_FORMAT, "%s: byte 8: the file ends within the header's length", file->path);
    length = (size_t)data[8] | (size_t)data[9] << 8;
    if (data[6] > 1) length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    if (length > BT_NPY_MAX_HEADER_BYTES)
        return bt_error(BT_ERR_FORMAT, "%s: byte 8: a header of %zu bytes; at most %d are read", file->path, length,
                        BT_NPY_MAX_HEADER_BYTES);
    if (length > bytes - *header_at)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte 8: the header of %zu bytes goes beyond the end (%zu bytes); is the file complete?",
                        file->path, length, bytes);
    *header_end = *header_at + length;
    return BT_OK;
}

static bt_status read_file(bt_npy *file) {
    size_t header_at = 0, header_end = 0;
    BT_TRY(read_preamble(file, &header_at, &header_end));
    cursor c = {file, header_at, header_end};
    BT_TRY(read_dictionary(&c, file));
    int64_t bytes = (int64_t)bt_file_dtype_bytes(file->dtype);
    int64_t have = (int64_t)(file->map.bytes - header_end);
    bool fits = true, empty = false;
    for (int i = 0; i < file->rank; i++) {
        empty = empty || file->dim[i] == 0; /* (0, huge) holds nothing, whatever the product of the others */
        fits = fits && !__builtin_mul_overflow(bytes, file->dim[i], &bytes);
    }
    if (empty) bytes = 0;
    if (!empty && !fits)
        return bt_error(BT_ERR_FORMAT, "%s: byte %zu: the size of the shape overflows 63 bits", file->path, header_at);
    if (bytes != have)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %zu: the shape and dtype need %" PRId64 " bytes of data, the file has %" PRId64 "%s",
                        file->path, header_end, bytes, have, have < bytes ? "; is it complete?" : "");
    file->count = bytes / (int64_t)bt_file_dtype_bytes(file->dtype);
    file->data = file->map.data + header_end;
    file->data_offset = header_end;
    return BT_OK;
}

bt_status bt_npy_open(const char *path, bt_npy *out) {
    bt_npy file = {.path = bt_memory_copy_text(path)};
    if (!file.path) return BT_ERR_MEMORY;
    bt_status status = bt_file_map_open(path, &file.map);
    if (status == BT_OK) status = read_file(&file);
    if (status != BT_OK) {
        bt_npy_close(&file);
        return status;
    }
    *out = file;
    return BT_OK;
}

bt_status bt_npy_parse(const char *name, const unsigned char *data, size_t bytes, bt_npy *out) {
    bt_npy file = {.path = bt_memory_copy_text(name), .map = {data, bytes}};
    if (!file.path) return BT_ERR_MEMORY;
    bt_status status = read_file(&file);
    file.map = (bt_file_map){.bytes = 0}; /* the caller's */
    if (status == BT_OK)
        *out = file;
    else
        bt_npy_close(&file);
    return status;
}

void bt_npy_close(bt_npy *file) {
    bt_file_map_close(&file->map);
    bt_memory_free(file->path);
    bt_memory_free(file->memory);
    *file = (bt_npy){.path = NULL};
}

/* ---- elements ---- */

const float *bt_npy_f32_in_place(const bt_npy *file) {
    if (file->dtype != BT_FILE_F32 || (uintptr_t)file->data % _Alignof(float) != 0) return NULL;
    return (const float *)(const void *)file->data;
}

void bt_npy_to_f32(const bt_npy *file, float *out) {
    bt_safetensors_entry entry = {.name = file->path, .dtype = file->dtype, .count = file->count, .data = file->data};
    entry.bytes = (size_t)file->count * bt_file_dtype_bytes(file->dtype);
    bt_status status = bt_safetensors_to_f32(&entry, out);
    BT_ASSERT(status == BT_OK); /* every dtype of the table above is converted */
}

/* memcpy per element: the data may lie at any byte. */
#define WIDEN(type)                                                                                                    \
    for (int64_t i = 0; i < file->count; i++) {                                                                        \
        type x;                                                                                                        \
        memcpy(&x, file->data + (size_t)i * sizeof x, sizeof x);                                                       \
        out[i] = (int64_t)x;                                                                                           \
    }                                                                                                                  \
    return BT_OK

static bt_status check_u64(const bt_npy *file) {
    for (int64_t i = 0; i < file->count; i++)
        if (file->data[(size_t)i * 8 + 7] & 0x80)
            return bt_error(BT_ERR_FORMAT, "%s: byte %zu: a number above 2^63 - 1", file->path,
                            file->data_offset + (size_t)i * 8);
    return BT_OK;
}

bt_status bt_npy_to_i64(const bt_npy *file, int64_t *out) {
    switch (file->dtype) {
    case BT_FILE_BOOL:
    case BT_FILE_U8:
        WIDEN(uint8_t);
    case BT_FILE_I8:
        WIDEN(int8_t);
    case BT_FILE_U16:
        WIDEN(uint16_t);
    case BT_FILE_I16:
        WIDEN(int16_t);
    case BT_FILE_U32:
        WIDEN(uint32_t);
    case BT_FILE_I32:
        WIDEN(int32_t);
    case BT_FILE_U64:
        BT_TRY(check_u64(file));
        WIDEN(uint64_t);
    case BT_FILE_I64:
        WIDEN(int64_t);
    default:
        return bt_error(BT_ERR_UNSUPPORTED,
                        "%s: dtype %s where whole numbers are expected; convert it: numpy.save(FILE, a.astype('<i4'))",
                        file->path, bt_file_dtype_name(file->dtype));
    }
}

/* ---- writing ---- */

static const char *descr_of(bt_file_dtype dtype) {
    for (int i = 0; i < TYPES; i++)
        if (types[i].dtype == dtype) return types[i].descr;
    bt_panic(__FILE__, __LINE__, "NumPy has no dtype %s", bt_file_dtype_name(dtype));
}

/* Magic, version 1.0, length, dictionary, padded with spaces so that the data begin at a multiple of 64 bytes. */
void bt_npy_header(bt_text *out, bt_file_dtype dtype, int rank, const int64_t *dim) {
    bt_text text = {0};
    bt_text_append(&text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr_of(dtype));
    for (int i = 0; i < rank; i++) bt_text_append(&text, "%s%" PRId64, i ? ", " : "", dim[i]);
    bt_text_append(&text, "%s), }", rank == 1 ? "," : "");
    size_t bytes = (10 + text.length + 1 + 63) / 64 * 64 - 10;
    bt_text_append(&text, "%*s", (int)(bytes - text.length), "\n");
    const char preamble[] = {(char)0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)(bytes & 255), (char)(bytes >> 8)};
    bt_text_append_bytes(out, preamble, sizeof preamble);
    bt_text_append_bytes(out, bt_text_get(&text), text.length);
    out->failed = out->failed || text.failed;
    bt_text_free(&text);
}

bt_status bt_npy_write(const char *path, bt_file_dtype dtype, int rank, const int64_t *dim, const void *data) {
    BT_ASSERT(rank >= 0 && rank <= BT_NPY_MAX_RANK);
    size_t bytes = bt_file_dtype_bytes(dtype);
    for (int i = 0; i < rank; i++) {
        bool fits = dim[i] >= 0 && bt_memory_product(bytes, (size_t)dim[i], &bytes);
        BT_ASSERT(fits);
    }
    bt_text header = {0};
    bt_npy_header(&header, dtype, rank, dim);
    bt_file_writer writer;
    bt_status status = bt_text_status(&header);
    if (status == BT_OK) status = bt_file_begin(path, &writer);
    if (status == BT_OK) {
        bt_file_append(&writer, bt_text_get(&header), header.length);
        if (bytes > 0) bt_file_append(&writer, data, bytes);
        status = bt_file_commit(&writer);
    }
    bt_text_free(&header);
    return status;
}

/* ---- row by row ---- */

static bt_status matrix_header(const bt_npy_rows *rows, bt_text *out) {
    bt_npy_header(out, rows->dtype, 2, (const int64_t[]){rows->count, rows->columns});
    BT_ASSERT(out->failed || out->length == BT_NPY_HEADER_BYTES);
    return bt_text_status(out);
}

bt_status bt_npy_rows_begin(const char *path, bt_file_dtype dtype, int64_t columns, bt_npy_rows *out) {
    bt_npy_rows rows = {.dtype = dtype, .columns = columns};
    bt_text header = {0};
    bt_status status = matrix_header(&rows, &header);
    if (status == BT_OK) status = bt_file_begin(path, &rows.file);
    if (status == BT_OK) {
        (void)bt_file_append(&rows.file, bt_text_get(&header), header.length); /* kept until commit */
        *out = rows;
    }
    bt_text_free(&header);
    return status;
}

bt_status bt_npy_rows_append(bt_npy_rows *rows, const void *data, int64_t count) {
    rows->count += count;
    return bt_file_append(&rows->file, data, (size_t)count * (size_t)rows->columns * bt_file_dtype_bytes(rows->dtype));
}

bt_status bt_npy_rows_commit(bt_npy_rows *rows) {
    bt_text header = {0};
    bt_status status = matrix_header(rows, &header);
    if (status == BT_OK) {
        (void)bt_file_patch(&rows->file, 0, bt_text_get(&header), header.length);
        status = bt_file_commit(&rows->file);
    } else {
        bt_file_abandon(&rows->file);
    }
    bt_text_free(&header);
    return status;
}

void bt_npy_rows_abandon(bt_npy_rows *rows) {
    bt_file_abandon(&rows->file);
}
