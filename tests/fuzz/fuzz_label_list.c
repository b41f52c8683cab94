/* DeepHash's lists: an accepted one is a data set that holds together. The input also stands for two lists of one
 * folder, cut in the middle. */
#include "dataset.h"

#include <sys/stat.h>
#include <unistd.h>

static void two_lists(const uint8_t *data, size_t bytes) {
    char folder[200], train[240], test[240];
    snprintf(folder, sizeof folder, "%s", fuzz_path("lists"));
    snprintf(train, sizeof train, "%s/train.txt", folder);
    snprintf(test, sizeof test, "%s/test.txt", folder);
    FUZZ_CHECK(mkdir(folder, 0777) == 0);
    FILE *file = fopen(train, "wb");
    FUZZ_CHECK(file && fwrite(data, 1, bytes / 2, file) == bytes / 2 && fclose(file) == 0);
    file = fopen(test, "wb");
    FUZZ_CHECK(file && fwrite(data + bytes / 2, 1, bytes - bytes / 2, file) == bytes - bytes / 2 && fclose(file) == 0);
    fuzz_dataset(folder, BT_DATA_AUTO, NULL);
    FUZZ_CHECK(unlink(train) == 0 && unlink(test) == 0 && rmdir(folder) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    fuzz_dataset(fuzz_file("input.txt", data, bytes), BT_DATA_LISTS, NULL);
    two_lists(data, bytes);
    return 0;
}
