/* Products in bf16 with a GELU in their epilogue, through cuDNN's runtime fusion (host build: plain loops). cuBLASLt
 * has the tanh approximation only, which is another function.
 *
 *   forward   h = a b + bias,  d = gelu(h)
 *   backward  d = gelu'(h) (a b)
 *
 * Sums, bias and function are f32; h and d are rounded once each. The engine is the first of cuDNN's heuristic that
 * builds and promises the same bits in every run.
 */
#ifndef BITTERN_CUDA_FUSED_PRODUCT_CUH
#define BITTERN_CUDA_FUSED_PRODUCT_CUH

#include "tensor/backend.h"

/** a (m,k), b (k,n), d and h (m,n), row-major, bf16; bias (n) f32. All addresses and rows at 16 bytes. */
struct bt_fused_product {
    int64_t m, n, k;
    bool backward;
    bool quick;       /* x sigmoid(1.702 x) in place of the exact GELU */
    bool transpose_b; /* b is stored (n,k) */
    bool bias;        /* forward only */
    bool keeps_h;     /* forward: h is written. backward always reads it */
    int64_t lda, ldb, ldd, ldh;
};

struct bt_fused_plan;

/** True if this build has it at all. */
bool bt_fused_available();
/** "cuDNN 9.19.0", or "" in a build without. */
const char *bt_fused_library_text();
/** *plan is owned by the caller; equal products share one engine. *scratch_bytes is raised to what run needs.
 * BT_ERR_UNSUPPORTED where no engine can do it; the log then says once that two launches do. Takes up to a second for
 * the first product of a kind. */
bt_status bt_fused_prepare(bt_device *device, const bt_fused_product *product, bt_fused_plan **plan,
                           size_t *scratch_bytes);
/** Asynchronous, capturable. bias and h may be NULL where the product has none. */
bt_status bt_fused_run(bt_device *device, const bt_fused_plan *plan, void *d, const void *a, const void *b,
                       const float *bias, void *h, void *scratch);
/** NULL is allowed. */
void bt_fused_release(bt_fused_plan *plan);

#endif
