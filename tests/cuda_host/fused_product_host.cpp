/* The double of cuda/fused_product.cu: plain loops, sums and functions in double precision, h and d rounded once each.
 */
#include "device.cuh"
#include "fused_product.cuh"

#include <math.h>

struct bt_fused_plan {
    bt_fused_product product;
};

namespace {

double at(const void *data, int64_t index) {
    return (double)bt_bf16_to_float(static_cast<const uint16_t *>(data)[index]);
}

double gelu(double x, bool quick) {
    return quick ? x / (1 + exp(-1.702 * x)) : x / 2 * (1 + erf(x / sqrt(2.0)));
}

double gelu_slope(double x, bool quick) {
    const double s = 1 / (1 + exp(-1.702 * x));
    if (quick) return s + 1.702 * x * s * (1 - s);
    return (1 + erf(x / sqrt(2.0))) / 2 + x * exp(-x * x / 2) / sqrt(2 * 3.14159265358979323846);
}

void multiply(const bt_fused_product &p, uint16_t *d, const void *a, const void *b, const float *bias, uint16_t *h) {
    for (int64_t row = 0; row < p.m; row++) {
        for (int64_t col = 0; col < p.n; col++) {
            double sum = p.bias ? (double)bias[col] : 0;
            for (int64_t k = 0; k < p.k; k++)
                sum += at(a, row * p.lda + k) * at(b, p.transpose_b ? col * p.ldb + k : k * p.ldb + col);
            uint16_t *kept = h ? h + row * p.ldh + col : nullptr;
            const double value = p.backward ? sum * gelu_slope(at(kept, 0), p.quick) : gelu(sum, p.quick);
            if (p.keeps_h && !p.backward) *kept = bt_bf16_of((float)sum);
            d[row * p.ldd + col] = bt_bf16_of((float)value);
        }
    }
}

} // namespace

bool bt_fused_available() {
    return true;
}

const char *bt_fused_library_text() {
    return "plain loops";
}

/* As cuDNN: no engine keeps h of a product without bias. */
bt_status bt_fused_prepare(bt_device *, const bt_fused_product *product, bt_fused_plan **plan, size_t *) {
    BT_ASSERT(((product->n | product->k | product->lda | product->ldb | product->ldd | product->ldh) & 7) == 0);
    if (product->keeps_h && !product->backward && !product->bias)
        return bt_error(BT_ERR_UNSUPPORTED, "cuda_host: no engine");
    *plan = new bt_fused_plan{*product};
    return BT_OK;
}

bt_status bt_fused_run(bt_device *, const bt_fused_plan *plan, void *d, const void *a, const void *b, const float *bias,
                       void *h, void *) {
    const bt_fused_product p = plan->product;
    BT_ASSERT((((uintptr_t)d | (uintptr_t)a | (uintptr_t)b | (uintptr_t)bias | (uintptr_t)h) & 15) == 0);
    bt_cuda_launch_count++;
    return bt_host::issue([=] {
        multiply(p, static_cast<uint16_t *>(d), a, b, bias, static_cast<uint16_t *>(h));
        return BT_OK;
    });
}

void bt_fused_release(bt_fused_plan *plan) {
    delete plan;
}
