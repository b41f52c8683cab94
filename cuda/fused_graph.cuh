/* A product with its epilogue as an operation graph of cuDNN, and the engines that can run it. Used by
 * fused_product.cu; tests/cudnn asks for engines of a device that is only described, on machines without one.
 */
#ifndef BITTERN_CUDA_FUSED_GRAPH_CUH
#define BITTERN_CUDA_FUSED_GRAPH_CUH

#include "fused_product.cuh"

#include <cudnn.h>
#include <vector>

/** Unique ids of the graph's tensors. */
enum bt_fused_tensor { BT_FUSED_A = 1, BT_FUSED_B, BT_FUSED_D, BT_FUSED_BIAS, BT_FUSED_H };

/** Descriptors that are destroyed together. After an error (status) later calls do nothing. */
struct bt_dnn {
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    std::vector<cudnnBackendDescriptor_t> owned;

    bt_dnn() = default;
    bt_dnn(const bt_dnn &) = delete;
    bt_dnn &operator=(const bt_dnn &) = delete;
    ~bt_dnn();

    cudnnBackendDescriptor_t make(cudnnBackendDescriptorType_t type);
    void set(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
             int64_t count, const void *values);
    void finish(cudnnBackendDescriptor_t d);

    template <typename T>
    void set_one(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                 T value) {
        set(d, name, type, 1, &value);
    }
};

/** The finished graph, owned by `dnn`. `handle` may be NULL where a device is described (below). */
cudnnBackendDescriptor_t bt_fused_graph(bt_dnn *dnn, const bt_fused_product *p, cudnnHandle_t handle);

/** An execution plan for the graph by the first engine, in the order of cuDNN's heuristic, that builds and gives the
 * same bits in every run; owned by `dnn`. Of `handle`, or with NULL of the described device. NULL if there is none. */
cudnnBackendDescriptor_t bt_fused_engine(bt_dnn *dnn, cudnnBackendDescriptor_t graph, cudnnHandle_t handle,
                                         cudnnBackendDescriptor_t described, int64_t *workspace_bytes);

#endif
