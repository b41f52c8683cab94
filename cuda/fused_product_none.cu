/* Builds without cuDNN: products and their functions are two launches. The contract is in fused_product.cuh. */
#include "libraries.cuh"

#include "fused_product.cuh"

bool bt_fused_available() {
    return false;
}

const char *bt_fused_library_text() {
    return "";
}

bt_status bt_fused_prepare(bt_device *, const bt_fused_product *, bt_fused_plan **, size_t *) {
    return bt_error(BT_ERR_UNSUPPORTED, "cuda: this build has no cuDNN");
}

bt_status bt_fused_run(bt_device *, const bt_fused_plan *, void *, const void *, const void *, const float *, void *,
                       void *) {
    return bt_error(BT_ERR_UNSUPPORTED, "cuda: this build has no cuDNN");
}

void bt_fused_release(bt_fused_plan *) {}

void bt_fused_close(bt_fused_engines *) {}
