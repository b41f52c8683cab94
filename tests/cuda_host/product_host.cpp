/* The double of cuda/product.cu: plain loops, sums in double precision, outputs rounded where cuBLASLt rounds them. It
 * refuses what cuBLASLt refuses, and counts as many launches.
 */
#include "device.cuh"
#include "product_bias.cuh"

#include <stdint.h>
#include <string.h>
#include <vector>

struct bt_product_plan {
    bt_product product;
    bt_device *device;
    bt_frozen_copy *bias;
};

namespace {

float element(const void *data, bt_dtype dtype, int64_t at) {
    if (dtype == BT_F32) return static_cast<const float *>(data)[at];
    return bt_bf16_to_float(static_cast<const uint16_t *>(data)[at]);
}

/* op(x) as a dense (rows,cols) matrix of floats. */
std::vector<float> dense(const void *data, bt_dtype dtype, int64_t base, int64_t ld, bool transposed, int64_t rows,
                         int64_t cols) {
    std::vector<float> out((size_t)(rows * cols));
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t col = 0; col < cols; col++) {
            const int64_t at = base + (transposed ? col * ld + row : row * ld + col);
            out[(size_t)(row * cols + col)] = element(data, dtype, at);
        }
    }
    return out;
}

void multiply(const bt_product &p, int64_t matrix, void *d, const void *a, const void *b, const void *c,
              const void *bias) {
    const std::vector<float> left = dense(a, p.dtype, matrix * p.stride_a, p.lda, p.transpose_a, p.m, p.k);
    const std::vector<float> right = dense(b, p.dtype, matrix * p.stride_b, p.ldb, p.transpose_b, p.k, p.n);
    const int64_t ldc = p.ldc ? p.ldc : p.ldd;
    std::vector<double> sums((size_t)p.n);
    for (int64_t row = 0; row < p.m; row++) {
        sums.assign((size_t)p.n, 0.0);
        for (int64_t k = 0; k < p.k; k++) {
            const double x = left[(size_t)(row * p.k + k)];
            const float *y = right.data() + k * p.n;
            for (int64_t column = 0; column < p.n; column++) sums[(size_t)column] += x * (double)y[column];
        }
        for (int64_t column = 0; column < p.n; column++) {
            double value =
                (double)p.alpha * sums[(size_t)column] + (p.bias ? (double)element(bias, p.out_dtype, column) : 0.0);
            if (p.beta != 0.0f) {
                const int64_t at = matrix * p.stride_c + row * ldc + column;
                value += (double)p.beta * (double)element(c, p.out_dtype, at);
            }
            const int64_t at = matrix * p.stride_d + row * p.ldd + column;
            if (p.out_dtype == BT_F32)
                static_cast<float *>(d)[at] = (float)value;
            else
                static_cast<uint16_t *>(d)[at] = bt_bf16_of((float)value);
        }
    }
}

} // namespace

bt_status bt_product_prepare(bt_device *device, const bt_product *product, bt_product_plan **plan,
                             size_t *scratch_bytes) {
    bt_product p = *product;
    BT_TRY(bt_product_check(&p));
    if (bt_cuda_of(device)->candidate > 0)
        return bt_error(BT_ERR_UNSUPPORTED, "cuda_host: products have one candidate, not %d",
                        bt_cuda_of(device)->candidate + 1);
    bt_frozen_copy *copy = nullptr;
    BT_TRY(bt_product_bias_prepare(device, p, &copy, scratch_bytes));
    *plan = new bt_product_plan{p, device, copy};
    return BT_OK;
}

bt_status bt_product_run(bt_device *device, const bt_product_plan *plan, void *d, const void *a, const void *b,
                         const void *c, const float *bias, void *scratch) {
    const bt_product &p = plan->product;
    BT_ASSERT(p.beta == 0.0f || c);
    BT_ASSERT(!p.bias || bias);
    const void *ready = nullptr;
    BT_TRY(bt_product_bias_ready(device, p, plan->bias, bias, scratch, &ready));
    BT_ASSERT(!p.bias || (uintptr_t)ready % BT_BIAS_ALIGNMENT == 0); /* else cuBLASLt's kernel faults */
    bt_cuda_launch_count++;
    return bt_host::issue([=] {
        for (int64_t matrix = 0; matrix < (p.batch ? p.batch : 1); matrix++) multiply(p, matrix, d, a, b, c, ready);
        return BT_OK;
    });
}

void bt_product_release(bt_product_plan *plan) {
    if (plan) bt_frozen_drop(plan->device, plan->bias);
    delete plan;
}
