/* x = 0, any dtype; what lies between rows is left alone. A memory operation of the stream, no kernel. */
#include "device.cuh"

namespace {

bt_status prepare(bt_device *, const bt_zero_args *, bt_prepared *) {
    return BT_OK;
}

bt_status run(bt_device *device, const bt_zero_args *a, const bt_prepared *, void *) {
    const bt_tensor &x = a->x;
    const size_t item_bytes = x.dtype == BT_BITS ? sizeof(uint64_t) : bt_dtype_bytes(x.dtype);
    return bt_cuda_clear_rows(device, x.data, (size_t)x.ld * item_bytes, bt_row_bytes(x.dtype, bt_shape_cols(x.shape)),
                              (size_t)bt_shape_rows(x.shape));
}

} // namespace

BT_CUDA_KERNEL(zero, prepare, run)
