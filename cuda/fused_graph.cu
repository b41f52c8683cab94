/* Operation graphs and engines of cuDNN for products with a GELU; the contract is in fused_graph.cuh. */
#include "fused_graph.cuh"

namespace {

constexpr int64_t ALIGNMENT_BYTES = 16;
constexpr int MOST_ENGINES = 32;
constexpr int64_t FIRST_VIRTUAL = 100; /* ids of values on the way: no tensor has it */
constexpr double QUICK_GELU = 1.702;

bool is_backward(cudnnPointwiseMode_t mode) {
    return mode == CUDNN_POINTWISE_GELU_BWD || mode == CUDNN_POINTWISE_SWISH_BWD;
}

/** (1,rows,cols) with element (r,c) at r*row + c*col. id 0: a value on the way, in f32. */
cudnnBackendDescriptor_t tensor(bt_dnn *dnn, int64_t id, cudnnDataType_t type, int64_t rows, int64_t cols, int64_t row,
                                int64_t col) {
    const cudnnBackendDescriptor_t d = dnn->make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    const int64_t dimensions[] = {1, rows, cols};
    const int64_t strides[] = {row > col ? rows * row : cols * col, row, col};
    dnn->set_one(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type);
    dnn->set(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 3, dimensions);
    dnn->set(d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 3, strides);
    dnn->set_one(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64,
                 id ? id : FIRST_VIRTUAL + (int64_t)dnn->owned.size());
    dnn->set_one(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, ALIGNMENT_BYTES);
    dnn->set_one(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, id == 0);
    dnn->finish(d);
    return d;
}

cudnnBackendDescriptor_t stored(bt_dnn *dnn, bt_fused_tensor id, int64_t rows, int64_t cols, int64_t ld) {
    return tensor(dnn, id, CUDNN_DATA_BFLOAT16, rows, cols, ld, 1);
}

cudnnBackendDescriptor_t on_the_way(bt_dnn *dnn, int64_t rows, int64_t cols) {
    return tensor(dnn, 0, CUDNN_DATA_FLOAT, rows, cols, cols, 1);
}

cudnnBackendDescriptor_t product(bt_dnn *dnn, cudnnBackendDescriptor_t a, cudnnBackendDescriptor_t b,
                                 cudnnBackendDescriptor_t c) {
    const cudnnBackendDescriptor_t how = dnn->make(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    dnn->set_one(how, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    dnn->finish(how);
    const cudnnBackendDescriptor_t d = dnn->make(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    dnn->set_one(d, CUDNN_ATTR_OPERATION_MATMUL_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, how);
    dnn->set_one(d, CUDNN_ATTR_OPERATION_MATMUL_ADESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, a);
    dnn->set_one(d, CUDNN_ATTR_OPERATION_MATMUL_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, b);
    dnn->set_one(d, CUDNN_ATTR_OPERATION_MATMUL_CDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, c);
    dnn->finish(d);
    return d;
}

/** Forward modes: out = mode(x, other). Backward modes: out = mode'(x) * other. */
cudnnBackendDescriptor_t pointwise(bt_dnn *dnn, cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t x,
                                   cudnnBackendDescriptor_t other, cudnnBackendDescriptor_t out) {
    const cudnnBackendDescriptor_t how = dnn->make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    dnn->set_one(how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
    dnn->set_one(how, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    if (mode == CUDNN_POINTWISE_SWISH_FWD || mode == CUDNN_POINTWISE_SWISH_BWD)
        dnn->set_one(how, CUDNN_ATTR_POINTWISE_SWISH_BETA, CUDNN_TYPE_DOUBLE, QUICK_GELU);
    dnn->finish(how);
    const cudnnBackendDescriptor_t d = dnn->make(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    dnn->set_one(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, how);
    dnn->set_one(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, x);
    const bool backward = is_backward(mode);
    if (other)
        dnn->set_one(d, backward ? CUDNN_ATTR_OPERATION_POINTWISE_DYDESC : CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
                     CUDNN_TYPE_BACKEND_DESCRIPTOR, other);
    dnn->set_one(d, backward ? CUDNN_ATTR_OPERATION_POINTWISE_DXDESC : CUDNN_ATTR_OPERATION_POINTWISE_YDESC,
                 CUDNN_TYPE_BACKEND_DESCRIPTOR, out);
    dnn->finish(d);
    return d;
}

/** Engines by the heuristic of one mode, best first. */
std::vector<cudnnBackendDescriptor_t> configurations(bt_dnn *dnn, cudnnBackendDescriptor_t graph,
                                                     cudnnBackendDescriptor_t described, cudnnBackendHeurMode_t mode) {
    const cudnnBackendDescriptor_t d = dnn->make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    dnn->set_one(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, graph);
    dnn->set_one(d, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
    if (described) dnn->set_one(d, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, described);
    std::vector<cudnnBackendDescriptor_t> list;
    for (int i = 0; i < MOST_ENGINES; i++) list.push_back(dnn->make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
    int64_t found = 0; /* a mode that has nothing to offer is no error: there is another one */
    const bool answered = dnn->status == CUDNN_STATUS_SUCCESS && cudnnBackendFinalize(d) == CUDNN_STATUS_SUCCESS &&
                          cudnnBackendGetAttribute(d, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                                   MOST_ENGINES, &found, list.data()) == CUDNN_STATUS_SUCCESS;
    list.resize(answered ? (size_t)(found < MOST_ENGINES ? found : MOST_ENGINES) : 0);
    return list;
}

/** The same bits in every run, and sums in f32. */
bool keeps_the_contract(bt_dnn *dnn, cudnnBackendDescriptor_t configuration) {
    const cudnnBackendDescriptor_t engine = dnn->make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    int64_t count = 0;
    cudnnBackendNumericalNote_t note[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    if (dnn->status != CUDNN_STATUS_SUCCESS ||
        cudnnBackendGetAttribute(configuration, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count,
                                 const_cast<cudnnBackendDescriptor_t *>(&engine)) != CUDNN_STATUS_SUCCESS ||
        cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                 CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, note) != CUDNN_STATUS_SUCCESS)
        return false;
    for (int64_t i = 0; i < count && i < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; i++)
        if (note[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC || note[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS ||
            note[i] == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)
            return false;
    return true;
}

/** The plan of one configuration, or NULL: that is for the next one, not an error. */
cudnnBackendDescriptor_t try_configuration(bt_dnn *dnn, cudnnBackendDescriptor_t configuration, cudnnHandle_t handle,
                                           cudnnBackendDescriptor_t described, int64_t *workspace_bytes) {
    const cudnnStatus_t before = dnn->status;
    const cudnnBackendDescriptor_t d = dnn->make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    dnn->set_one(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, configuration);
    if (handle) dnn->set_one(d, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle);
    if (described) dnn->set_one(d, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, described);
    int64_t count = 0;
    if (dnn->status != CUDNN_STATUS_SUCCESS || cudnnBackendFinalize(d) != CUDNN_STATUS_SUCCESS ||
        cudnnBackendGetAttribute(d, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count,
                                 workspace_bytes) != CUDNN_STATUS_SUCCESS) {
        dnn->status = before;
        return NULL;
    }
    return d;
}

} // namespace

bt_dnn::~bt_dnn() {
    while (!owned.empty()) { /* what uses another one goes before it */
        cudnnBackendDestroyDescriptor(owned.back());
        owned.pop_back();
    }
}

cudnnBackendDescriptor_t bt_dnn::make(cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t d = NULL;
    if (status == CUDNN_STATUS_SUCCESS) status = cudnnBackendCreateDescriptor(type, &d);
    if (d) owned.push_back(d);
    return d;
}

void bt_dnn::set(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                 int64_t count, const void *values) {
    if (status == CUDNN_STATUS_SUCCESS) status = cudnnBackendSetAttribute(d, name, type, count, values);
}

void bt_dnn::finish(cudnnBackendDescriptor_t d) {
    if (status == CUDNN_STATUS_SUCCESS) status = cudnnBackendFinalize(d);
}

cudnnBackendDescriptor_t bt_fused_graph(bt_dnn *dnn, const bt_fused_product *p, cudnnHandle_t handle) {
    const cudnnBackendDescriptor_t a = stored(dnn, BT_FUSED_A, p->m, p->k, p->lda);
    const cudnnBackendDescriptor_t b = tensor(dnn, BT_FUSED_B, CUDNN_DATA_BFLOAT16, p->k, p->n,
                                              p->transpose_b ? 1 : p->ldb, p->transpose_b ? p->ldb : 1);
    const cudnnBackendDescriptor_t d = stored(dnn, BT_FUSED_D, p->m, p->n, p->ldd);
    cudnnBackendDescriptor_t operation[3], sum = on_the_way(dnn, p->m, p->n);
    int64_t count = 0;
    operation[count++] = product(dnn, a, b, sum);
    if (p->backward) {
        const cudnnPointwiseMode_t mode = p->quick ? CUDNN_POINTWISE_SWISH_BWD : CUDNN_POINTWISE_GELU_BWD;
        operation[count++] = pointwise(dnn, mode, stored(dnn, BT_FUSED_H, p->m, p->n, p->ldh), sum, d);
    } else {
        /* Without a bias, h that is kept is a sum with nothing: cuDNN has no copy of a value on the way. */
        if (p->bias) {
            const cudnnBackendDescriptor_t h =
                p->keeps_h ? stored(dnn, BT_FUSED_H, p->m, p->n, p->ldh) : on_the_way(dnn, p->m, p->n);
            const cudnnBackendDescriptor_t bias = tensor(dnn, BT_FUSED_BIAS, CUDNN_DATA_FLOAT, 1, p->n, p->n, 1);
            operation[count++] = pointwise(dnn, CUDNN_POINTWISE_ADD, sum, bias, h);
            sum = h;
        } else if (p->keeps_h) {
            dnn->status = CUDNN_STATUS_NOT_SUPPORTED;
        }
        operation[count++] =
            pointwise(dnn, p->quick ? CUDNN_POINTWISE_SWISH_FWD : CUDNN_POINTWISE_GELU_FWD, sum, NULL, d);
    }
    const cudnnBackendDescriptor_t graph = dnn->make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    dnn->set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, operation);
    if (handle) dnn->set_one(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle);
    dnn->finish(graph);
    return graph;
}

cudnnBackendDescriptor_t bt_fused_engine(bt_dnn *dnn, cudnnBackendDescriptor_t graph, cudnnHandle_t handle,
                                         cudnnBackendDescriptor_t described, int64_t *workspace_bytes) {
    for (cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
        for (cudnnBackendDescriptor_t configuration : configurations(dnn, graph, described, mode)) {
            if (!keeps_the_contract(dnn, configuration)) continue;
            const cudnnBackendDescriptor_t plan =
                try_configuration(dnn, configuration, handle, described, workspace_bytes);
            if (plan) return plan;
        }
    }
    return NULL;
}
