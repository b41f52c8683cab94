/* Embeddings and labels from .npy and HDF5 files; see embedding_file.h. */
#include "retrieval/embedding_file.h"

#include "base/memory.h"
#include "base/text.h"
#include "formats/hdf5.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>

#define MAX_COLUMNS (1 << 20)

static size_t byte_of(const bt_npy *file, int64_t element) {
    return file->data_offset + (size_t)element * bt_file_dtype_bytes(file->dtype);
}

static bt_status shape_error(const bt_npy *file, const char *wanted) {
    bt_text shape = {0};
    for (int i = 0; i < file->rank; i++) bt_text_append(&shape, "%s%" PRId64, i ? ", " : "", file->dim[i]);
    bt_status status = bt_error(BT_ERR_SHAPE, "%s: the shape is (%s); %s", file->path, bt_text_get(&shape), wanted);
    bt_text_free(&shape);
    return status;
}

/* ---- embeddings ---- */

static bt_status read_embeddings(bt_embedding_file *e) {
    const bt_npy *file = &e->file;
    if (file->rank != 2 || file->count == 0 || file->dim[1] > INT_MAX)
        return shape_error(file, "embeddings are (items, width), not empty");
    e->count = file->dim[0];
    e->width = (int)file->dim[1];
    e->values = bt_npy_f32_in_place(file);
    if (!e->values) {
        e->values = e->converted = bt_memory_alloc((size_t)file->count, sizeof(float));
        if (!e->values) return BT_ERR_MEMORY;
        bt_npy_to_f32(file, e->converted);
    }
    for (int64_t i = 0; i < file->count; i++)
        if (!isfinite(e->values[i]))
            return bt_error(BT_ERR_NUMERIC, "%s: byte %zu: row %" PRId64 ", column %" PRId64 " is %s", file->path,
                            byte_of(file, i), i / e->width, i % e->width,
                            isnan(e->values[i]) ? "not a number" : "infinite in f32");
    return BT_OK;
}

bt_status bt_embedding_file_open(const char *path, bt_embedding_file *out) {
    bt_embedding_file e = {.count = 0};
    BT_TRY(bt_array_open(path, &e.file));
    bt_status status = read_embeddings(&e);
    if (status == BT_OK)
        *out = e;
    else
        bt_embedding_file_close(&e);
    return status;
}

void bt_embedding_file_close(bt_embedding_file *file) {
    bt_npy_close(&file->file);
    bt_memory_free(file->converted);
    *file = (bt_embedding_file){.count = 0};
}

/* ---- labels ---- */

/** Elements first .. first+count-1 of an array. */
static bt_npy slice(const bt_npy *file, int64_t first, int64_t count) {
    bt_npy part = *file;
    size_t skip_bytes = (size_t)first * bt_file_dtype_bytes(file->dtype);
    part.count = count;
    part.data += skip_bytes;
    part.data_offset += skip_bytes;
    return part;
}

static bt_status take_class(const bt_npy *file, int64_t i, int64_t value, bt_label_file *out) {
    if (value > INT32_MAX || value < INT32_MIN)
        return bt_error(BT_ERR_FORMAT, "%s: byte %zu: label %" PRId64 " does not fit 32 bits", file->path,
                        byte_of(file, i), value);
    out->classes[i] = (int32_t)value;
    return BT_OK;
}

static bt_status take_member(const bt_npy *file, int64_t i, int64_t value, bt_label_file *out) {
    int64_t row = i / out->columns, column = i % out->columns;
    if (value != 0 && value != 1)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %zu: row %" PRId64 ", column %" PRId64 " is %" PRId64 "; rows of labels hold 0 and 1",
                        file->path, byte_of(file, i), row, column, value);
    if (value) out->sets[row * out->words + column / 64] |= UINT64_C(1) << (column % 64);
    return BT_OK;
}

static bt_status take_labels(const bt_npy *file, bt_label_file *out) {
    enum { PART = 4096 };
    int64_t values[PART];
    for (int64_t first = 0; first < file->count; first += PART) {
        bt_npy part = slice(file, first, file->count - first < PART ? file->count - first : PART);
        BT_TRY(bt_npy_to_i64(&part, values));
        for (int64_t i = 0; i < part.count; i++)
            BT_TRY(out->sets ? take_member(file, first + i, values[i], out)
                             : take_class(file, first + i, values[i], out));
    }
    return BT_OK;
}

static bt_status read_labels(const bt_npy *file, bt_label_file *out) {
    if (file->rank < 1 || file->rank > 2 || file->count == 0 || (file->rank == 2 && file->dim[1] > MAX_COLUMNS))
        return shape_error(
            file, "labels are class numbers (items) or rows of 0 and 1 (items, at most 1048576 labels), not empty");
    bool bytes = file->dtype == BT_FILE_U8 || file->dtype == BT_FILE_BOOL;
    out->count = file->dim[0];
    if (file->rank == 1 ||
        (file->dim[1] == 1 &&
         !bytes)) { /* one column of numbers, as RUN/evaluation has them for one rank, or of 0 and 1 */
        out->classes = bt_memory_alloc((size_t)out->count, sizeof *out->classes);
    } else {
        out->columns = file->dim[1];
        out->words = (int)((out->columns + 63) / 64);
        out->sets = bt_memory_zeroed((size_t)out->count * (size_t)out->words, sizeof *out->sets);
    }
    return out->classes || out->sets ? take_labels(file, out) : BT_ERR_MEMORY;
}

bt_status bt_label_file_open(const char *path, bt_label_file *out) {
    bt_label_file labels = {.count = 0};
    bt_npy file;
    BT_TRY(bt_array_open(path, &file));
    bt_status status = read_labels(&file, &labels);
    bt_npy_close(&file);
    if (status == BT_OK)
        *out = labels;
    else
        bt_label_file_close(&labels);
    return status;
}

void bt_label_file_close(bt_label_file *file) {
    bt_memory_free(file->classes);
    bt_memory_free(file->sets);
    *file = (bt_label_file){.count = 0};
}
