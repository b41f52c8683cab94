/* The parameter store: values between files and the device, from commit on. */
#include "program/params_local.h"

#include <stdlib.h>
#include <string.h>

/* ---- values between the file's shape and the store's ---- */

/** Copies (rows, from_columns) to (rows, to_columns): crops, or pads with zeros. */
static void copy_rows(const bt_param_entry *e, const float *from, int64_t from_columns, float *to, int64_t to_columns) {
    int64_t shared = from_columns < to_columns ? from_columns : to_columns;
    for (int64_t r = 0; r < e->rows; r++) {
        memcpy(to + r * to_columns, from + r * from_columns, (size_t)shared * sizeof(float));
        for (int64_t c = shared; c < to_columns; c++) to[r * to_columns + c] = 0;
    }
}

/** The store's form of a file's values: those themselves where there is no padding, else a copy, which *padded (NULL
 * before) owns too. NULL with a message if there is no memory. */
static const float *to_store(const bt_param_entry *e, const float *file, float **padded) {
    if (!e->columns || e->columns == e->file_columns) return file;
    *padded = malloc((size_t)bt_entry_count(e) * sizeof **padded);
    if (!*padded)
        (void)bt_error(BT_ERR_MEMORY, "out of memory for parameter \"%s\"", e->spec.name);
    else
        copy_rows(e, file, e->file_columns, *padded, e->columns);
    return *padded;
}

static void to_file(const bt_param_entry *e, const float *stored, float *file) {
    int64_t columns = e->columns ? e->columns : 1, file_columns = e->columns ? e->file_columns : 1;
    copy_rows(e, stored, columns, file, file_columns);
}

static uint16_t *rounded(const float *values, int64_t count) {
    uint16_t *out = malloc((size_t)count * sizeof *out);
    if (out) bt_bf16_of_all(values, count, out);
    return out;
}

/** Uploads f32 values as `dtype`. */
static bt_status upload_as(bt_device *d, void *memory, bt_dtype dtype, const float *values, int64_t count) {
    if (dtype == BT_F32) return d->backend->upload(d, memory, values, (size_t)count * sizeof(float));
    uint16_t *half = rounded(values, count);
    if (!half) return bt_error(BT_ERR_MEMORY, "out of memory for %lld values", (long long)count);
    bt_status status = d->backend->upload(d, memory, half, (size_t)count * sizeof *half);
    free(half);
    return status;
}

bt_status bt_params_upload_value(bt_params *s, const bt_param_entry *e, const float *file) {
    bt_device *d = s->device;
    int64_t count = bt_entry_count(e);
    float *padded = NULL;
    const float *stored = to_store(e, file, &padded);
    if (!stored) return BT_ERR_MEMORY;
    bt_status status;
    if (bt_entry_trained(e)) {
        status = upload_as(d, s->masters + e->offset, BT_F32, stored, count);
        if (status == BT_OK && s->copies) status = upload_as(d, s->copies + e->offset, BT_BF16, stored, count);
    } else {
        status = upload_as(d, s->frozen + e->offset, bt_entry_dtype(s, e), stored, count);
    }
    free(padded);
    return status;
}

float *bt_params_slot_memory(const bt_params *s, const bt_param_entry *e, bt_param_slot slot) {
    if (slot == BT_SLOT_AVERAGE && !s->averaged) return NULL;
    if (bt_entry_trained(e)) {
        float *const vectors[] = {s->masters, s->gradients, s->m, s->v, s->averages};
        return vectors[slot] + e->offset;
    }
    if (!bt_entry_is_buffer(e)) return NULL;
    if (slot == BT_SLOT_VALUE) return (float *)(void *)(s->frozen + e->offset);
    return slot == BT_SLOT_AVERAGE ? (float *)(void *)(s->buffer_averages + ((size_t)e->offset - s->buffer_begin))
                                   : NULL;
}

bt_status bt_params_upload_slot(bt_params *s, const bt_param_entry *e, bt_param_slot slot, const float *file) {
    float *padded = NULL;
    const float *stored = to_store(e, file, &padded);
    if (!stored) return BT_ERR_MEMORY;
    bt_status status = upload_as(s->device, bt_params_slot_memory(s, e, slot), BT_F32, stored, bt_entry_count(e));
    free(padded);
    return status;
}

/* ---- reading and writing after commit ---- */

static bt_status refuse_slot(const bt_param_entry *e, bt_param_slot slot) {
    if (slot == BT_SLOT_AVERAGE && (bt_entry_trained(e) || bt_entry_is_buffer(e)))
        return bt_error(BT_ERR_UNSUPPORTED,
                        "parameter \"%s\" has no average: the store keeps none (bt_params_keep_average)", e->spec.name);
    return bt_error(BT_ERR_UNSUPPORTED, "parameter \"%s\" is frozen: it has no gradient and no optimizer state",
                    e->spec.name);
}

bt_status bt_params_read(bt_params *s, int index, bt_param_slot slot, float *host) {
    BT_ASSERT(index >= 0 && index < s->count && s->device);
    const bt_param_entry *e = &s->list[index];
    const void *memory = bt_params_slot_memory(s, e, slot);
    bool frozen = !bt_entry_trained(e) && slot == BT_SLOT_VALUE;
    if (frozen) memory = s->frozen + e->offset;
    if (!memory) return refuse_slot(e, slot);
    int64_t count = bt_entry_count(e);
    bt_dtype dtype = frozen ? bt_entry_dtype(s, e) : BT_F32;
    float *stored = malloc((size_t)count * sizeof(float));
    if (!stored) return bt_error(BT_ERR_MEMORY, "out of memory for parameter \"%s\"", e->spec.name);
    bt_status status = s->device->backend->download(s->device, stored, memory, (size_t)count * bt_dtype_bytes(dtype));
    if (dtype == BT_BF16) /* widen in place, from the end */
        for (int64_t i = count - 1; i >= 0; i--) {
            uint16_t half;
            memcpy(&half, (char *)stored + i * 2, 2);
            stored[i] = bt_bf16_to_float(half);
        }
    if (status == BT_OK) to_file(e, stored, host);
    free(stored);
    return status;
}

bt_status bt_params_write(bt_params *s, int index, bt_param_slot slot, const float *host) {
    BT_ASSERT(index >= 0 && index < s->count && s->device);
    const bt_param_entry *e = &s->list[index];
    if (!bt_entry_trained(e) && !bt_entry_is_buffer(e))
        return bt_error(BT_ERR_UNSUPPORTED, "parameter \"%s\" is frozen; set it before bt_params_commit", e->spec.name);
    if (!bt_params_slot_memory(s, e, slot)) return refuse_slot(e, slot);
    return slot == BT_SLOT_VALUE ? bt_params_upload_value(s, e, host) : bt_params_upload_slot(s, e, slot, host);
}

/** Exchanges two f32 ranges of device memory through the host, and gives what `a` holds now as bf16 to `copies` unless
 * that is NULL. */
static bt_status exchange(bt_device *d, void *a, void *b, uint16_t *copies, size_t count) {
    float *x = malloc(2 * count * sizeof *x);
    if (!x) return bt_error(BT_ERR_MEMORY, "out of memory for the averages of %zu weights", count);
    size_t bytes = count * sizeof *x;
    bt_status status = d->backend->download(d, x, a, bytes);
    if (status == BT_OK) status = d->backend->download(d, x + count, b, bytes);
    if (status == BT_OK) status = d->backend->upload(d, a, x + count, bytes);
    if (status == BT_OK) status = d->backend->upload(d, b, x, bytes);
    if (status == BT_OK && copies) status = upload_as(d, copies, BT_BF16, x + count, (int64_t)count);
    free(x);
    return status;
}

bt_status bt_params_exchange_average(bt_params *s) {
    BT_ASSERT(s->device && s->averaged);
    if (s->flat_count) BT_TRY(exchange(s->device, s->masters, s->averages, s->copies, (size_t)s->flat_count));
    if (!s->buffer_bytes) return BT_OK;
    return exchange(s->device, s->frozen + s->buffer_begin, s->buffer_averages, NULL, s->buffer_bytes / sizeof(float));
}

size_t bt_params_bytes(const bt_params *s) {
    return s->frozen_bytes + (size_t)s->flat_count * (s->copies ? 6u : 4u);
}

size_t bt_params_optimizer_bytes(const bt_params *s) {
    return (size_t)s->flat_count * (s->averaged ? 16u : 12u);
}
