/* HDF5: packs, whose images are all read and decoded where they are accepted; and the same bytes as a file of arrays.
 */
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

/* One of the names in turn: every file costs a process. */
static void as_array(const char *path, size_t turn) {
    static const char *const names[] = {"", ":labels", ":images", ":splits", ":class_names", ":encoded_first"};
    char name[300];
    bt_npy array = {.rank = -1};
    snprintf(name, sizeof name, "%s%s", path, names[turn % (sizeof names / sizeof names[0])]);
    bt_status status = bt_array_open(name, &array);
    if (status != BT_OK) {
        FUZZ_CHECK_REFUSED(status);
        FUZZ_CHECK(array.rank == -1);
        return;
    }
    fuzz_touch(array.data, (size_t)array.count * bt_file_dtype_bytes(array.dtype));
    bt_npy_close(&array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char path[200];
    bt_h5_limit(1); /* three times over one input, where each runs without end */
    snprintf(path, sizeof path, "%s", fuzz_file("input.h5", data, bytes));
    fuzz_dataset(path, BT_DATA_PACK, read_images);
    as_array(path, bytes > 0 ? bytes + data[bytes / 2] : 0);
    return 0;
}
