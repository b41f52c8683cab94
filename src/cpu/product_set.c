/* The products of one instruction. */
#include "cpu/product_set.h"

#include "base/memory.h"

static void release(void *state) {
    bt_product_set *set = state;
    for (int i = 0; i < set->count; i++) bt_product_free(set->product[i]);
    bt_memory_free(set);
}

bt_status bt_product_set_prepare(bt_device *device, const bt_product_spec *spec, int count, size_t more_bytes,
                                 bt_prepared *out) {
    BT_ASSERT(count <= BT_PRODUCT_SET_MAX);
    bt_product_set *set = bt_memory_zeroed(1, sizeof *set);
    if (!set) return BT_ERR_MEMORY;
    set->count = count;
    for (int i = 0; i < count; i++) {
        bt_status status = bt_product_prepare(bt_cpu_of(device), &spec[i], &set->product[i]);
        if (status != BT_OK) {
            release(set);
            return status;
        }
        size_t bytes = bt_cpu_round_up(bt_product_scratch_bytes(set->product[i]), BT_CPU_ALIGNMENT);
        if (bytes > set->scratch_bytes) set->scratch_bytes = bytes;
    }
    out->state = set;
    out->release = release;
    out->scratch_bytes = set->scratch_bytes + more_bytes;
    return BT_OK;
}
