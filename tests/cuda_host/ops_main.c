/* The operation table (tests/ops) on the CUDA kernels compiled for the host: every row in three thread orders, whose
 * bits must agree. */
#include "ops_test.h"

extern const bt_backend bt_cuda_host_backend;
void cuda_host_set_order(int order); /* ops_thread_order.cpp */

int main(int argc, char **argv) {
    ops_target target = {.backend = &bt_cuda_host_backend, .kernels = bt_cuda_host_backend.kernels};
#ifdef BT_RACE_CHECK
    target.small_only = true; /* ThreadSanitizer is slow, and sees a race in any order */
#else
    target.orders = 3;
    target.set_order = cuda_host_set_order;
#endif
    return ops_main(argc, argv, target);
}
