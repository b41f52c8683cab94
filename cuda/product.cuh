/* Matrix products through cuBLASLt (host build: plain loops in double precision).
 *
 * A product is described once, at plan time; cuBLASLt's heuristic then chooses the algorithm, which the plan keeps, so
 * the same plan gives the same bits. f32 products run in f32: TF32 is never allowed. bf16 products accumulate in f32.
 */
#ifndef BITTERN_CUDA_PRODUCT_CUH
#define BITTERN_CUDA_PRODUCT_CUH

#include "tensor/backend.h"

/** d (m,n) = alpha op(a) (m,k) op(b) (k,n) + beta c (m,n) + bias (n), all row-major; for each of `batch` matrices. */
struct bt_product {
    int64_t m, n, k;
    bt_dtype dtype;           /* of a and b: BT_F32 or BT_BF16 */
    bt_dtype out_dtype;       /* of c and d: BT_F32, or BT_BF16 with bf16 inputs */
    bool transpose_a;         /* a is stored (k,m) instead of (m,k) */
    bool transpose_b;         /* b is stored (n,k) instead of (k,n): x w^T with w (out,in) */
    bool bias;                /* a bias (n) f32 will be given; batch 1 only. With bf16 outputs it is rounded to bf16 */
    const float *frozen_bias; /* the bias, if its content never changes: what is to be done to it is done by prepare */
    const float *bias_scale;  /* (n), NULL: 1. The bias is multiplied by it; as lasting as the bias */
    int64_t lda, ldb, ldd;    /* elements from row to row as stored */
    int64_t ldc;              /* 0: ldd */
    float alpha, beta;        /* beta 0: c is not read and may be NULL. c may be d */
    int64_t batch;            /* 0 means 1 */
    int64_t stride_a, stride_b, stride_c, stride_d; /* elements from matrix to matrix; 0 repeats the same one */
    int alignment_bytes; /* that all addresses given to run are likely to have; 0 means 16. Others are right but slower
                          */
};

struct bt_product_plan;

/** What both builds refuse: BT_ERR_UNSUPPORTED for dtypes. Contradictions in the description are ours and abort. */
inline bt_status bt_product_check(const bt_product *p) {
    const bool inputs = p->dtype == BT_F32 || p->dtype == BT_BF16;
    if (!inputs || (p->out_dtype != BT_F32 && p->out_dtype != p->dtype))
        return bt_error(BT_ERR_UNSUPPORTED,
                        "product on cuda: %s inputs with %s outputs; allowed: f32 or bf16 to f32, bf16 to bf16",
                        bt_dtype_name(p->dtype), bt_dtype_name(p->out_dtype));
    BT_ASSERT(p->m >= 1 && p->n >= 1 && p->k >= 1);
    BT_ASSERT(p->lda >= (p->transpose_a ? p->m : p->k) && p->ldb >= (p->transpose_b ? p->k : p->n));
    BT_ASSERT(p->ldd >= p->n && (p->ldc == 0 || p->ldc >= p->n));
    BT_ASSERT(!p->bias || p->batch <= 1);
    return BT_OK;
}

/** Chooses the algorithm. On success *plan is owned by the caller (bt_product_release) and scratch_bytes, if not NULL,
 * is raised to what run needs. BT_ERR_UNSUPPORTED if the library has no algorithm: message with shape, dtype and
 * strides. */
bt_status bt_product_prepare(bt_device *device, const bt_product *product, bt_product_plan **plan,
                             size_t *scratch_bytes);
/** a, b, c, bias, d: device memory as described; `scratch` as asked for. Asynchronous, capturable. */
bt_status bt_product_run(bt_device *device, const bt_product_plan *plan, void *d, const void *a, const void *b,
                         const void *c, const float *bias, void *scratch);
/** NULL is allowed. */
void bt_product_release(bt_product_plan *plan);

#endif
