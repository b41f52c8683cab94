/* The operation table on a CUDA device; skipped as a whole (exit code 77) where there is none. */
#include "ops_test.h"

extern const bt_backend bt_cuda_backend;

int main(int argc, char **argv) {
    const ops_target target = {.backend = &bt_cuda_backend, .kernels = bt_cuda_backend.kernels};
    return ops_main(argc, argv, target);
}
