/* Tables: an accepted one is a data set that holds together, and no path of it leads out of its folder. */
#include "dataset.h"

static void stays_inside(const bt_dataset *set) {
    for (int64_t i = 0; i < set->count; i++)
        FUZZ_CHECK(set->paths[i][0] != '/' && strncmp(set->paths[i], "../", 3) != 0 &&
                   strcmp(set->paths[i], "..") != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    fuzz_dataset(fuzz_file("input.csv", data, bytes), BT_DATA_MANIFEST, stays_inside);
    return 0;
}
