/* The operation table on the CUDA kernels compiled for the host, in three thread orders whose bits must agree. */
#include "ops_test.h"

extern const bt_backend bt_cuda_host_backend;
void ops_set_thread_order(int order); /* thread_order.cpp */

int main(int argc, char **argv) {
    const ops_target target = {.backend = &bt_cuda_host_backend,
                               .kernels = bt_cuda_host_backend.kernels,
                               .small_only = true,
                               .orders = 3,
                               .set_order = ops_set_thread_order};
    return ops_main(argc, argv, target);
}
