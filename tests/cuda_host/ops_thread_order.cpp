/* The thread orders that the operation table is run in; see ops_main.c. */
#include "host_runtime.h"

extern "C" void cuda_host_set_order(int order) {
    switch (order) {
    case 0:
        bt_host::set_order(bt_host::FORWARD, 0);
        break;
    case 1:
        bt_host::set_order(bt_host::REVERSE, 0);
        break;
    default:
        bt_host::set_order(bt_host::RANDOM, (uint64_t)order);
        break;
    }
}
