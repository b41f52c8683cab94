/* safetensors: writing; layout, order and guarantees are in bittern/safetensors.h. */
#include <bittern/safetensors.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "formats/json.h"

#include <stdlib.h>
#include <string.h>

static int by_size_and_name(const void *a, const void *b) {
    const bt_safetensors_source *x = *(const bt_safetensors_source *const *)a;
    const bt_safetensors_source *y = *(const bt_safetensors_source *const *)b;
    size_t x_bytes = bt_file_dtype_bytes(x->dtype), y_bytes = bt_file_dtype_bytes(y->dtype);
    if (x_bytes != y_bytes) return x_bytes > y_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const bt_safetensors_source *const *)a)->name, (*(const bt_safetensors_source *const *)b)->name);
}

static int by_key(const void *a, const void *b) {
    return strcmp((*(const bt_safetensors_pair *const *)a)->key, (*(const bt_safetensors_pair *const *)b)->key);
}

/* Invalid bytes would be replaced in the header, and the tensor could not be found under its name. */
static bool is_utf8(const char *text) {
    return bt_text_is_utf8(text, strlen(text));
}

static bt_status bad_name(const char *path, const char *what, const char *name, const char *why) {
    bt_text quoted = {0};
    bt_text_append_quoted(&quoted, name, strlen(name));
    bt_status status = bt_error(BT_ERR_FORMAT, "cannot write %s: %s %s %s", path, what, bt_text_get(&quoted), why);
    bt_text_free(&quoted);
    return status;
}

static size_t source_bytes(const bt_safetensors_source *source) {
    size_t bytes = bt_file_dtype_bytes(source->dtype);
    BT_ASSERT(source->rank >= 0 && source->rank <= BT_SAFETENSORS_MAX_RANK);
    for (int i = 0; i < source->rank; i++) {
        bool fits = source->dim[i] >= 0 && bt_memory_product(bytes, (size_t)source->dim[i], &bytes);
        BT_ASSERT(fits && bytes <= INT64_MAX);
    }
    return bytes;
}

static bt_status check_sources(const char *path, const bt_safetensors_source **sorted, int64_t count) {
    qsort(sorted, (size_t)count, sizeof *sorted, by_name);
    for (int64_t i = 0; i < count; i++) {
        const char *name = sorted[i]->name;
        if (!is_utf8(name)) return bad_name(path, "tensor name", name, "is not UTF-8");
        if (strcmp(name, "__metadata__") == 0) return bad_name(path, "tensor name", name, "is reserved");
        if (i > 0 && strcmp(name, sorted[i - 1]->name) == 0)
            return bad_name(path, "tensor name", name, "is given twice");
    }
    qsort(sorted, (size_t)count, sizeof *sorted, by_size_and_name);
    return BT_OK;
}

static bt_status put_metadata(const char *path, bt_json_writer *json, const bt_safetensors_pair *metadata,
                              int64_t count) {
    if (count == 0) return BT_OK;
    const bt_safetensors_pair **sorted = bt_memory_alloc((size_t)count, sizeof *sorted);
    if (!sorted) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < count; i++) sorted[i] = &metadata[i];
    qsort(sorted, (size_t)count, sizeof *sorted, by_key);
    bt_status status = BT_OK;
    bt_json_key(json, "__metadata__");
    bt_json_begin_object(json);
    for (int64_t i = 0; i < count && status == BT_OK; i++) {
        const bt_safetensors_pair *pair = sorted[i];
        if (i > 0 && strcmp(pair->key, sorted[i - 1]->key) == 0) {
            status = bad_name(path, "metadata key", pair->key, "is given twice");
        } else if (!is_utf8(pair->key) || !is_utf8(pair->value)) {
            status = bad_name(path, "metadata of key", pair->key, "is not UTF-8");
        } else {
            bt_json_member_string(json, pair->key, pair->value);
        }
    }
    bt_json_end(json);
    bt_memory_free(sorted);
    return status;
}

static void put_source(bt_json_writer *json, const bt_safetensors_source *source, uint64_t *at) {
    bt_json_key(json, source->name);
    bt_json_begin_object(json);
    bt_json_member_string(json, "dtype", bt_file_dtype_name(source->dtype));
    bt_json_key(json, "shape");
    bt_json_begin_array(json);
    for (int i = 0; i < source->rank; i++) bt_json_put_integer(json, source->dim[i]);
    bt_json_end(json);
    bt_json_key(json, "data_offsets");
    bt_json_begin_array(json);
    bt_json_put_integer(json, (int64_t)*at);
    *at += source_bytes(source);
    BT_ASSERT(*at <= INT64_MAX);
    bt_json_put_integer(json, (int64_t)*at);
    bt_json_end(json);
    bt_json_end(json);
}

static bt_status make_header(const char *path, const bt_safetensors_source *const *sorted, int64_t count,
                             const bt_safetensors_pair *metadata, int64_t metadata_count, bt_text *header) {
    bt_json_writer json = bt_json_write_to(header, false);
    uint64_t at = 0;
    bt_json_begin_object(&json);
    BT_TRY(put_metadata(path, &json, metadata, metadata_count));
    for (int64_t i = 0; i < count; i++) put_source(&json, sorted[i], &at);
    bt_json_end(&json);
    BT_TRY(bt_json_finish(&json));
    while (header->length % 8 != 0 && !header->failed) bt_text_append_bytes(header, " ", 1);
    BT_TRY(bt_text_status(header));
    if (header->length > BT_SAFETENSORS_MAX_HEADER_BYTES) {
        return bt_error(BT_ERR_FORMAT, "cannot write %s: the header has %zu bytes, at most %d are allowed", path,
                        header->length, BT_SAFETENSORS_MAX_HEADER_BYTES);
    }
    return BT_OK;
}

static bt_status append_source(bt_file_writer *writer, const bt_safetensors_source *source) {
    size_t bytes = source_bytes(source);
    if (bytes == 0) return BT_OK;
    if (source->data) return bt_file_append(writer, source->data, bytes);
    BT_ASSERT(source->fetch);
    void *buffer = bt_memory_alloc(bytes, 1);
    if (!buffer) return BT_ERR_MEMORY;
    bt_status status = source->fetch(source->context, buffer, bytes);
    if (status == BT_OK) status = bt_file_append(writer, buffer, bytes);
    bt_memory_free(buffer);
    return status;
}

static bt_status write_file(const char *path, const bt_text *header, const bt_safetensors_source *const *sorted,
                            int64_t count) {
    bt_file_writer writer;
    uint64_t length = header->length;
    BT_TRY(bt_file_begin(path, &writer));
    bt_status status = bt_file_append(&writer, &length, sizeof length);
    if (status == BT_OK) status = bt_file_append(&writer, bt_text_get(header), header->length);
    for (int64_t i = 0; i < count && status == BT_OK; i++) status = append_source(&writer, sorted[i]);
    if (status == BT_OK) return bt_file_commit(&writer);
    bt_file_abandon(&writer);
    return status;
}

bt_status bt_safetensors_write(const char *path, const bt_safetensors_source *sources, int64_t count,
                               const bt_safetensors_pair *metadata, int64_t metadata_count) {
    BT_ASSERT(count >= 0 && metadata_count >= 0);
    const bt_safetensors_source **sorted = bt_memory_alloc((size_t)count, sizeof *sorted);
    if (!sorted) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < count; i++) sorted[i] = &sources[i];
    bt_text header = {0};
    bt_status status = check_sources(path, sorted, count);
    if (status == BT_OK) status = make_header(path, sorted, count, metadata, metadata_count, &header);
    if (status == BT_OK) status = write_file(path, &header, sorted, count);
    bt_text_free(&header);
    bt_memory_free(sorted);
    return status;
}
