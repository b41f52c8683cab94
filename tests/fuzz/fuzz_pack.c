/* HDF5: packs, whose images are all read and decoded where they are accepted; and the same bytes as a file of arrays. */
#include "dataset.h"

#include "formats/hdf5.h"

#include <bittern/image.h>

static void read_images(const bt_dataset *set) {
    for (int64_t i = 0; i < set->count; i++) {
        size_t bytes;
        const uint8_t *image = bt_pack_image(set, i), *file = bt_pack_encoded(set, i, &bytes);
        FUZZ_CHECK((image != NULL) != (file != NULL));
        if (image) fuzz_touch(image, (size_t)(set->pack->size * set->pack->size * 3));
        if (file) fuzz_picture(file, bytes);
    }
    bt_status status = bt_pack_verify(set);
    if (status != BT_OK) FUZZ_CHECK_REFUSED(status);
}

static void as_arrays(const char *path) {
    static const char *const names[] = {"", ":labels", ":images", ":splits", ":class_names", ":encoded_first"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[300];
        bt_npy array = {.rank = -1};
        snprintf(name, sizeof name, "%s%s", path, names[i]);
        bt_status status = bt_array_open(name, &array);
        if (status != BT_OK) {
            FUZZ_CHECK_REFUSED(status);
            FUZZ_CHECK(array.rank == -1);
            continue;
        }
        fuzz_touch(array.data, (size_t)array.count * bt_file_dtype_bytes(array.dtype));
        bt_npy_close(&array);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char path[200];
    snprintf(path, sizeof path, "%s", fuzz_file("input.h5", data, bytes));
    fuzz_dataset(path, BT_DATA_PACK, read_images);
    as_arrays(path);
    return 0;
}
