// The host runtime's thread order for the table, which is C: 0 forward, 1 reverse, 2 random.
#include "host_runtime.h"

extern "C" void ops_set_thread_order(int order) {
    static const bt_host::thread_order orders[] = {bt_host::FORWARD, bt_host::REVERSE, bt_host::RANDOM};
    bt_host::set_order(orders[order], 20251104u);
}
