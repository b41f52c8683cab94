/* The NVIDIA libraries of a device (nvcc build only): included by device.cu, product.cu, cholesky_solver.cu and
 * fused_product*.cu.
 */
#ifndef BITTERN_CUDA_LIBRARIES_CUH
#define BITTERN_CUDA_LIBRARIES_CUH

#include "device.cuh"

#include <cublasLt.h>
#include <cusolverDn.h>

/* cuBLASLt's workspace. Fixed: the heuristic sees the same limit in every run. NVIDIA advises 32 MiB for Hopper. */
constexpr size_t BT_PRODUCT_WORKSPACE_BYTES = (size_t)32 << 20;

struct bt_fused_engines;
/** NULL is allowed (fused_product.cu). */
void bt_fused_close(bt_fused_engines *engines);

struct bt_cuda_libraries {
    cublasLtHandle_t blas;
    cusolverDnHandle_t solver; /* on the device's stream, deterministic mode */
    void *workspace;           /* BT_PRODUCT_WORKSPACE_BYTES */
    bt_fused_engines *engines; /* cuDNN's; NULL until there is one */
};

/* BT_OK, or BT_ERR_DEVICE with what was being done and the library's name for the code. */
bt_status bt_cuda_check(cudaError_t code, const char *doing);
bt_status bt_cuda_check_blas(cublasStatus_t code, const char *doing);
bt_status bt_cuda_check_solver(cusolverStatus_t code, const char *doing);

#endif
