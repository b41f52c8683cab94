/* Matrix products through cuBLASLt; the contract is in product.cuh.
 *
 * cuBLASLt thinks in columns. A row-major (r,c) matrix is a column-major (c,r) one, so we ask for d^T = op(b)^T op(a)^T
 * with the operands swapped, and its bias along the rows of d^T is our bias along the columns of d.
 *
 * The heuristic is asked at plan time, for the promised alignment and for none, and its algorithms are kept. Split sums
 * may go through the workspace (added in a fixed order) but not into the output in place, whose order of additions is
 * nobody's promise. What a bias has to be is in product_bias.cuh.
 */
#include "libraries.cuh"
#include "product_bias.cuh"

#include <stdlib.h>

struct bt_product_plan {
    bt_product product;
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t left, right, c, d; /* as cuBLASLt names them: left is our b, right our a */
    bt_device *device;
    bt_frozen_copy *bias; /* or NULL */
    bool has_unaligned;
    cublasLtMatmulAlgo_t algorithm, unaligned; /* for addresses as promised, and for any multiple of an element */
};

namespace {

constexpr int DEFAULT_ALIGNMENT = 16;
constexpr int MOST_CANDIDATES = 32;

cudaDataType type_of(bt_dtype dtype) {
    return dtype == BT_F32 ? CUDA_R_32F : CUDA_R_16BF;
}

template <typename T>
bt_status set_operation(bt_product_plan *plan, cublasLtMatmulDescAttributes_t attribute, const T &value) {
    return bt_cuda_check_blas(cublasLtMatmulDescSetAttribute(&plan->operation, attribute, &value, sizeof value),
                              "describing a product");
}

template <typename T>
bt_status set_layout(cublasLtMatrixLayoutOpaque_t *layout, cublasLtMatrixLayoutAttribute_t attribute, const T &value) {
    return bt_cuda_check_blas(cublasLtMatrixLayoutSetAttribute(layout, attribute, &value, sizeof value),
                              "describing a matrix");
}

template <typename T>
bt_status set_preference(cublasLtMatmulPreferenceOpaque_t *preference, cublasLtMatmulPreferenceAttributes_t attribute,
                         const T &value) {
    return bt_cuda_check_blas(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value),
                              "limits of a product");
}

/* A stored row-major (rows,cols) matrix, seen by columns. */
bt_status describe_matrix(cublasLtMatrixLayoutOpaque_t *layout, bt_dtype dtype, int64_t rows, int64_t cols, int64_t ld,
                          int64_t batch, int64_t stride) {
    BT_TRY(bt_cuda_check_blas(cublasLtMatrixLayoutInit(layout, type_of(dtype), (uint64_t)cols, (uint64_t)rows, ld),
                              "describing a matrix"));
    BT_TRY(set_layout(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, (int32_t)batch));
    return set_layout(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
}

bt_status describe(bt_product_plan *plan) {
    const bt_product &p = plan->product;
    BT_TRY(bt_cuda_check_blas(cublasLtMatmulDescInit(&plan->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                              "describing a product"));
    BT_TRY(set_operation(plan, CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N));
    BT_TRY(set_operation(plan, CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N));
    if (p.bias) {
        BT_TRY(set_operation(plan, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS));
        BT_TRY(set_operation(plan, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type_of(p.out_dtype)));
        const void *aligned =
            reinterpret_cast<const void *>(BT_BIAS_ALIGNMENT); /* the heuristic looks at the address */
        BT_TRY(set_operation(plan, CUBLASLT_MATMUL_DESC_BIAS_POINTER, aligned));
    }
    BT_TRY(describe_matrix(&plan->left, p.dtype, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.ldb, p.batch,
                           p.stride_b));
    BT_TRY(describe_matrix(&plan->right, p.dtype, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.lda, p.batch,
                           p.stride_a));
    BT_TRY(describe_matrix(&plan->c, p.out_dtype, p.m, p.n, p.ldc, p.batch, p.stride_c));
    return describe_matrix(&plan->d, p.out_dtype, p.m, p.n, p.ldd, p.batch, p.stride_d);
}

bt_status limit(cublasLtMatmulPreferenceOpaque_t *preference, int alignment_bytes) {
    BT_TRY(bt_cuda_check_blas(cublasLtMatmulPreferenceInit(preference), "limits of a product"));
    BT_TRY(set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, (uint64_t)BT_PRODUCT_WORKSPACE_BYTES));
    const uint32_t sums = CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    BT_TRY(set_preference(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, sums));
    const uint32_t alignment = (uint32_t)alignment_bytes;
    BT_TRY(set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment));
    BT_TRY(set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment));
    BT_TRY(set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment));
    return set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment);
}

bt_status choose(bt_device *device, bt_product_plan *plan, int alignment_bytes, cublasLtMatmulAlgo_t *algorithm) {
    const bt_product &p = plan->product;
    cublasLtMatmulPreferenceOpaque_t preference;
    BT_TRY(limit(&preference, alignment_bytes));
    cublasLtMatmulHeuristicResult_t result[MOST_CANDIDATES] = {};
    const int wanted = bt_cuda_of(device)->candidate;
    int found = 0;
    cublasStatus_t code = CUBLAS_STATUS_NOT_SUPPORTED;
    if (wanted < MOST_CANDIDATES)
        code =
            cublasLtMatmulAlgoGetHeuristic(bt_cuda_of(device)->libraries->blas, &plan->operation, &plan->left,
                                           &plan->right, &plan->c, &plan->d, &preference, wanted + 1, result, &found);
    if (code != CUBLAS_STATUS_SUCCESS || found <= wanted || result[wanted].state != CUBLAS_STATUS_SUCCESS)
        return bt_error(BT_ERR_UNSUPPORTED,
                        "cuda: cuBLASLt has no algorithm (candidate %d) for the product (%lld,%lld)x(%lld,%lld), %s to "
                        "%s, row strides "
                        "%lld %lld %lld, batch %lld, alignment %d bytes: %s",
                        wanted, (long long)p.m, (long long)p.k, (long long)p.k, (long long)p.n, bt_dtype_name(p.dtype),
                        bt_dtype_name(p.out_dtype), (long long)p.lda, (long long)p.ldb, (long long)p.ldd,
                        (long long)p.batch, alignment_bytes, cublasLtGetStatusName(code));
    *algorithm = result[wanted].algo;
    return BT_OK;
}

bool keeps_promise(const bt_product &p, const void *d, const void *a, const void *b, const void *c) {
    const uintptr_t all = (uintptr_t)d | (uintptr_t)a | (uintptr_t)b | (p.beta == 0.0f ? 0 : (uintptr_t)c);
    return all % (uintptr_t)p.alignment_bytes == 0;
}

} // namespace

bt_status bt_product_prepare(bt_device *device, const bt_product *product, bt_product_plan **plan,
                             size_t *scratch_bytes) {
    BT_TRY(bt_product_check(product));
    bt_product_plan *made = static_cast<bt_product_plan *>(calloc(1, sizeof *made));
    if (!made) return bt_error(BT_ERR_MEMORY, "cuda: no memory for the plan of a product");
    bt_product &p = made->product;
    p = *product;
    if (p.batch == 0) p.batch = 1;
    if (p.ldc == 0) p.ldc = p.ldd;
    if (p.alignment_bytes == 0) p.alignment_bytes = DEFAULT_ALIGNMENT;
    made->device = device;
    bt_status status = describe(made);
    if (status == BT_OK) status = choose(device, made, p.alignment_bytes, &made->algorithm);
    if (status == BT_OK) status = bt_product_bias_prepare(device, p, &made->bias, scratch_bytes);
    if (status != BT_OK) {
        free(made);
        return status;
    }
    made->has_unaligned = choose(device, made, (int)bt_dtype_bytes(p.dtype), &made->unaligned) == BT_OK;
    *plan = made;
    return BT_OK;
}

bt_status bt_product_run(bt_device *device, const bt_product_plan *plan, void *d, const void *a, const void *b,
                         const void *c, const float *bias, void *scratch) {
    const bt_product &p = plan->product;
    bt_cuda_libraries *libraries = bt_cuda_of(device)->libraries;
    BT_ASSERT(p.beta == 0.0f || c);
    BT_ASSERT(!p.bias || bias);
    bt_product_plan mine = *plan; /* the bias pointer is part of the description, and cuBLASLt's calls take no const */
    if (p.bias) {
        const void *vector = NULL;
        BT_TRY(bt_product_bias_ready(device, p, plan->bias, bias, scratch, &vector));
        BT_TRY(bt_cuda_check_blas(
            cublasLtMatmulDescSetAttribute(&mine.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &vector, sizeof vector),
            "bias of a product"));
    }
    const bool promised = keeps_promise(p, d, a, b, c);
    if (!promised && !plan->has_unaligned)
        return bt_error(BT_ERR_UNSUPPORTED,
                        "cuda: cuBLASLt needs the operands of this product at multiples of %d bytes",
                        p.alignment_bytes);
    const cublasLtMatmulAlgo_t *algorithm = promised ? &mine.algorithm : &mine.unaligned;
    bt_cuda_launch_count++;
    const cublasStatus_t code = cublasLtMatmul(
        libraries->blas, &mine.operation, &p.alpha, b, &mine.left, a, &mine.right, &p.beta, p.beta == 0.0f ? d : c,
        &mine.c, d, &mine.d, algorithm, libraries->workspace, BT_PRODUCT_WORKSPACE_BYTES, bt_cuda_stream(device));
    return bt_cuda_check_blas(code, "matrix product");
}

void bt_product_release(bt_product_plan *plan) {
    if (plan) bt_frozen_drop(plan->device, plan->bias);
    free(plan);
}
