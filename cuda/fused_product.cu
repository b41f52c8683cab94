/* Products with a GELU through cuDNN; the contract is in fused_product.cuh, the graphs are in fused_graph.cuh.
 *
 * To build an engine is to compile a kernel, half a second or more, and a tower has the same product in every block: a
 * device keeps its engines until it is closed. cuDNN is opened with the first of them.
 */
#include "fused_graph.cuh"
#include "libraries.cuh"

#include "base/log.h"

#include <memory>
#include <stdio.h>

/** One engine, or the knowledge that there is none (plan NULL). */
struct bt_fused_plan {
    bt_fused_product product;
    bt_dnn dnn;
    cudnnBackendDescriptor_t plan = NULL;
    int64_t workspace_bytes = 0;
};

struct bt_fused_engines {
    cudnnHandle_t handle; /* NULL: cuDNN does not open */
    std::vector<std::unique_ptr<bt_fused_plan>> list;
};

namespace {

bt_status check_dnn(cudnnStatus_t code, const char *doing) {
    if (code == CUDNN_STATUS_SUCCESS) return BT_OK;
    return bt_error(BT_ERR_DEVICE, "cuda: %s: %s", doing, cudnnGetErrorString(code));
}

bt_status open_engines(bt_device *device) {
    bt_cuda_libraries *libraries = bt_cuda_of(device)->libraries;
    if (libraries->engines) return BT_OK;
    BT_TRY(bt_cuda_check(cudaSetDevice(bt_cuda_of(device)->index), "choosing the device"));
    cudnnHandle_t handle = NULL;
    cudnnStatus_t code = cudnnCreate(&handle);
    if (code == CUDNN_STATUS_SUCCESS) code = cudnnSetStream(handle, bt_cuda_stream(device));
    if (code != CUDNN_STATUS_SUCCESS) {
        if (handle) cudnnDestroy(handle);
        handle = NULL;
        bt_log_warn("cuda: cuDNN does not open (%s): a product and its GELU are two launches",
                    cudnnGetErrorString(code));
    }
    libraries->engines = new bt_fused_engines{handle, {}}; /* also without: it is asked once */
    return BT_OK;
}

bool same(const bt_fused_product &a, const bt_fused_product &b) {
    return a.m == b.m && a.n == b.n && a.k == b.k && a.backward == b.backward && a.quick == b.quick &&
           a.transpose_b == b.transpose_b && a.bias == b.bias && a.keeps_h == b.keeps_h && a.lda == b.lda &&
           a.ldb == b.ldb && a.ldd == b.ldd && a.ldh == b.ldh;
}

bt_fused_plan *build(bt_fused_engines *engines, const bt_fused_product *product) {
    std::unique_ptr<bt_fused_plan> made(new bt_fused_plan);
    made->product = *product;
    const cudnnBackendDescriptor_t graph = bt_fused_graph(&made->dnn, product, engines->handle);
    if (made->dnn.status == CUDNN_STATUS_SUCCESS)
        made->plan = bt_fused_engine(&made->dnn, graph, engines->handle, NULL, &made->workspace_bytes);
    if (!made->plan)
        bt_log_warn("cuda: %s has no engine for the product (%lld,%lld)x(%lld,%lld) with %s; it is two launches",
                    bt_fused_library_text(), (long long)product->m, (long long)product->k, (long long)product->k,
                    (long long)product->n, product->quick ? "quick_gelu" : "gelu");
    engines->list.push_back(std::move(made));
    return engines->list.back().get();
}

} // namespace

/* The wrapper libcudnn.so is there if the program runs at all; its parts are loaded when they are first used. */
bool bt_fused_available() {
    return true;
}

const char *bt_fused_library_text() {
    static thread_local char text[32];
    const size_t version = cudnnGetVersion(); /* 91900 */
    snprintf(text, sizeof text, "cuDNN %zu.%zu.%zu", version / 10000, version / 100 % 100, version % 100);
    return text;
}

bt_status bt_fused_prepare(bt_device *device, const bt_fused_product *product, bt_fused_plan **plan,
                           size_t *scratch_bytes) {
    BT_TRY(open_engines(device));
    bt_fused_engines *engines = bt_cuda_of(device)->libraries->engines;
    if (!engines->handle) return bt_error(BT_ERR_UNSUPPORTED, "cuda: cuDNN does not open");
    bt_fused_plan *found = NULL;
    for (const std::unique_ptr<bt_fused_plan> &known : engines->list)
        if (same(known->product, *product)) found = known.get();
    if (!found) found = build(engines, product);
    if (!found->plan)
        return bt_error(BT_ERR_UNSUPPORTED, "cuda: %s has no engine for a product with its GELU",
                        bt_fused_library_text());
    if (*scratch_bytes < (size_t)found->workspace_bytes) *scratch_bytes = (size_t)found->workspace_bytes;
    *plan = found;
    return BT_OK;
}

bt_status bt_fused_run(bt_device *device, const bt_fused_plan *plan, void *d, const void *a, const void *b,
                       const float *bias, void *h, void *scratch) {
    const bt_fused_product &p = plan->product;
    int64_t id[5] = {BT_FUSED_A, BT_FUSED_B, BT_FUSED_D}, count = 3;
    const void *memory[5] = {a, b, d};
    if (p.bias) id[count] = BT_FUSED_BIAS, memory[count++] = bias;
    if (p.keeps_h || p.backward) id[count] = BT_FUSED_H, memory[count++] = h;
    bt_dnn dnn;
    const cudnnBackendDescriptor_t pack = dnn.make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    dnn.set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, id);
    dnn.set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, memory);
    dnn.set_one(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, scratch);
    dnn.finish(pack);
    BT_TRY(check_dnn(dnn.status, "operands of a product with a GELU"));
    bt_cuda_launch_count++;
    return check_dnn(cudnnBackendExecute(bt_cuda_of(device)->libraries->engines->handle, plan->plan, pack),
                     "product with a GELU");
}

void bt_fused_release(bt_fused_plan *) {
    /* kept by the device */
}

void bt_fused_close(bt_fused_engines *engines) {
    if (!engines) return;
    engines->list.clear();
    if (engines->handle) cudnnDestroy(engines->handle);
    delete engines;
}
