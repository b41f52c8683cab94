/* The operation table on the CPU backend. */
#include "ops_test.h"

int main(int argc, char **argv) {
    const ops_target target = {.backend = &bt_cpu_backend, .kernels = bt_cpu_backend.kernels};
    return ops_main(argc, argv, target);
}
