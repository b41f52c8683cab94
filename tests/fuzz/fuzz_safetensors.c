/* safetensors: all that an accepted file offers is read and converted, and written again it reads as the same. */
#include "fuzz.h"

#include <bittern/safetensors.h>

static void check_entry(const bt_safetensors *file, const bt_safetensors_entry *e, const bt_safetensors_entry *before) {
    int64_t count = 1;
    for (int i = 0; i < e->rank; i++) count *= e->dim[i];
    FUZZ_CHECK(e->rank >= 0 && e->rank <= BT_SAFETENSORS_MAX_RANK && e->count == count);
    FUZZ_CHECK(e->bytes == (size_t)count * bt_file_dtype_bytes(e->dtype) && bt_safetensors_find(file, e->name) == e);
    FUZZ_CHECK(!before || e->offset == before->offset + before->bytes);
    fuzz_touch(e->data, e->bytes);
    float *values = malloc((size_t)count * sizeof *values + 1);
    FUZZ_CHECK(values);
    if (bt_safetensors_to_f32(e, values) == BT_OK) fuzz_touch(values, (size_t)count * sizeof *values);
    free(values);
}

static bt_safetensors_source source_of(const bt_safetensors_entry *e) {
    bt_safetensors_source s = {.name = e->name, .dtype = e->dtype, .rank = e->rank, .data = e->data};
    memcpy(s.dim, e->dim, sizeof s.dim);
    return s;
}

static void check_written(const bt_safetensors *file) {
    int64_t count = bt_safetensors_count(file), pairs = bt_safetensors_metadata_count(file);
    bt_safetensors_source *sources = malloc((size_t)count * sizeof *sources + 1);
    bt_safetensors_pair *metadata = malloc((size_t)pairs * sizeof *metadata + 1);
    FUZZ_CHECK(sources && metadata);
    for (int64_t i = 0; i < count; i++) sources[i] = source_of(bt_safetensors_at(file, i));
    for (int64_t i = 0; i < pairs; i++) bt_safetensors_metadata_at(file, i, &metadata[i].key, &metadata[i].value);
    const char *path = fuzz_path("written.safetensors");
    bt_safetensors *again;
    FUZZ_CHECK(bt_safetensors_write(path, sources, count, metadata, pairs) == BT_OK);
    FUZZ_CHECK(bt_safetensors_open(path, &again) == BT_OK && bt_safetensors_count(again) == count);
    for (int64_t i = 0; i < count; i++) {
        const bt_safetensors_entry *e = bt_safetensors_find(again, sources[i].name);
        FUZZ_CHECK(e && e->dtype == sources[i].dtype && e->rank == sources[i].rank);
        FUZZ_CHECK(memcmp(e->dim, sources[i].dim, (size_t)e->rank * sizeof *e->dim) == 0);
        FUZZ_CHECK(e->bytes == 0 || memcmp(e->data, sources[i].data, e->bytes) == 0);
    }
    for (int64_t i = 0; i < pairs; i++) {
        const char *value = bt_safetensors_metadata(again, metadata[i].key);
        FUZZ_CHECK(value && strcmp(value, metadata[i].value) == 0);
    }
    bt_safetensors_close(again);
    free(sources);
    free(metadata);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    bt_safetensors *file = NULL;
    bt_status status = bt_safetensors_open(fuzz_file("input.safetensors", data, bytes), &file);
    if (status != BT_OK) {
        FUZZ_CHECK_REFUSED(status);
        FUZZ_CHECK(!file);
        return 0;
    }
    for (int64_t i = 0; i < bt_safetensors_count(file); i++)
        check_entry(file, bt_safetensors_at(file, i), i ? bt_safetensors_at(file, i - 1) : NULL);
    check_written(file);
    bt_safetensors_close(file);
    return 0;
}
