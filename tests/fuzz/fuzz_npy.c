/* NumPy arrays: all elements of an accepted file are read and converted, and written again they read as the same. */
#include "fuzz.h"

#include "formats/npy.h"

static void check_written(const bt_npy *file) {
    const char *path = fuzz_path("written.npy");
    bt_npy again;
    FUZZ_CHECK(bt_npy_write(path, file->dtype, file->rank, file->dim, file->data) == BT_OK);
    FUZZ_CHECK(bt_npy_open(path, &again) == BT_OK && again.dtype == file->dtype && again.rank == file->rank);
    FUZZ_CHECK(memcmp(again.dim, file->dim, (size_t)file->rank * sizeof *file->dim) == 0 && again.count == file->count);
    size_t bytes = (size_t)file->count * bt_file_dtype_bytes(file->dtype);
    FUZZ_CHECK(bytes == 0 || memcmp(again.data, file->data, bytes) == 0);
    bt_npy_close(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    bt_npy file = {.rank = -1};
    bt_status status = bt_npy_open(fuzz_file("input.npy", data, bytes), &file);
    if (status != BT_OK) {
        FUZZ_CHECK_REFUSED(status);
        FUZZ_CHECK(file.rank == -1);
        return 0;
    }
    int64_t count = 1;
    FUZZ_CHECK(file.rank >= 0 && file.rank <= BT_NPY_MAX_RANK);
    for (int i = 0; i < file.rank; i++) count *= file.dim[i];
    FUZZ_CHECK(file.count == count);
    size_t data_bytes = (size_t)count * bt_file_dtype_bytes(file.dtype);
    FUZZ_CHECK(data_bytes <= bytes && file.data_offset == bytes - data_bytes);
    float *values = malloc((size_t)count * sizeof *values + 1);
    int64_t *integers = malloc((size_t)count * sizeof *integers + 1);
    FUZZ_CHECK(values && integers);
    bt_npy_to_f32(&file, values);
    fuzz_touch(values, (size_t)count * sizeof *values);
    status = bt_npy_to_i64(&file, integers);
    if (status != BT_OK) FUZZ_CHECK_REFUSED(status);
    check_written(&file);
    free(values);
    free(integers);
    bt_npy_close(&file);
    return 0;
}
