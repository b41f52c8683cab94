/* PPM, and the answers to files that are no picture. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    fuzz_picture(data, bytes);
    return 0;
}
