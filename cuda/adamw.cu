/* AdamW (arXiv 1711.05101) over flat f32 vectors, in the order in which PyTorch computes it:
 *
 *   g = grad min(1, max_norm / (sqrt(sum) + 1e-6))                      with sum and max_norm > 0
 *   p := p (1 - lr decay),  m := m + (g - m)(1 - beta1),  v := beta2 v + (1 - beta2) g^2
 *   p := p - step_size m / (sqrt(v) / bias2_sqrt + eps)
 *
 * Its scalars are Python's doubles, rounded once each where they meet a tensor; so are these.
 * Rates are read from the step block by the segment's group; elements outside of all segments are left alone. One
 * launch for all parameters: a thread takes four elements, the block finds the segment of its first element by
 * bisection (the same addresses in every thread: one broadcast a step) and each thread walks on from there. 28 bytes a
 * parameter.
 */
#include "operands.cuh"

namespace {

constexpr int THREADS = 256, PER_THREAD = 4;

struct adamw_rule {
    float one_less_beta1, beta2, one_less_beta2, eps, clip;
    float keep, step_size, bias2_sqrt; /* of the segment; keep = 1 - lr decay */
};

BT_DEVICE void update(float &p, float &m, float &v, float g, const adamw_rule &r) {
    g *= r.clip;
    p *= r.keep;
    m += (g - m) * r.one_less_beta1;
    v = r.beta2 * v + r.one_less_beta2 * g * g;
    p -= r.step_size * (m / (sqrtf(v) / r.bias2_sqrt + r.eps));
}

BT_DEVICE void set_segment(adamw_rule &r, const bt_adamw_segment &s, const bt_step *step) {
    r.keep = (float)(1.0 - (double)step->lr[s.group] * (double)s.decay);
    r.step_size = step->step_size[s.group];
    r.bias2_sqrt = step->bias2_sqrt[s.group];
}

/** Index of the first segment that ends behind `at`. */
BT_DEVICE int64_t first_ending_behind(const bt_adamw_segment *segments, int64_t count, int64_t at) {
    int64_t low = 0, high = count;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (segments[middle].end > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/** PACKED: the four vectors are 16-byte aligned. */
template <bool PACKED>
__global__ void __launch_bounds__(THREADS)
    adamw_update(float *param, const float *grad, float *m, float *v, const bt_adamw_segment *segments, int64_t count,
                 int64_t length, const float *sum, float max_norm, adamw_rule r, const bt_step *step) {
    const int64_t block_first = (int64_t)blockIdx.x * THREADS * PER_THREAD;
    const int64_t first = block_first + (int64_t)threadIdx.x * PER_THREAD;
    const int64_t last = first + PER_THREAD < length ? first + PER_THREAD : length;
    int64_t s = first_ending_behind(segments, count, block_first);
    while (s < count && segments[s].end <= first) s++;
    r.clip = 1.0f;
    if (sum != NULL && max_norm > 0.0f) {
        const float ratio = max_norm / (sqrtf(sum[0]) + 1e-6f);
        r.clip = ratio > 1.0f ? 1.0f : ratio; /* a NaN stays, as in clip_grad_norm_ */
    }
    if (s < count && segments[s].begin <= first && segments[s].end >= first + PER_THREAD && PACKED) {
        set_segment(r, segments[s], step);
        float p4[4], g4[4], m4[4], v4[4];
        bt_load(p4, param + first);
        bt_load(g4, grad + first);
        bt_load(m4, m + first);
        bt_load(v4, v + first);
#pragma unroll
        for (int i = 0; i < 4; i++) update(p4[i], m4[i], v4[i], g4[i], r);
        bt_store(param + first, p4);
        bt_store(m + first, m4);
        bt_store(v + first, v4);
        return;
    }
    for (int64_t i = first; i < last; i++) {
        while (s < count && segments[s].end <= i) s++;
        if (s == count) return;
        if (segments[s].begin > i) continue;
        set_segment(r, segments[s], step);
        update(param[i], m[i], v[i], grad[i], r);
    }
}

bt_status prepare(bt_device *, const bt_adamw_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require("adamw", "param", a->param, BT_F32));
    BT_TRY(bt_cuda_require("adamw", "grad", a->grad, BT_F32));
    BT_TRY(bt_cuda_require("adamw", "m", a->m, BT_F32));
    BT_TRY(bt_cuda_require("adamw", "v", a->v, BT_F32));
    return bt_cuda_require("adamw", "segments", a->segments, BT_U8);
}

bt_status run(bt_device *device, const bt_adamw_args *a, const bt_prepared *, void *) {
    const int64_t length = bt_shape_count(a->param.shape);
    const int64_t count = bt_shape_count(a->segments.shape) / (int64_t)sizeof(bt_adamw_segment);
    const unsigned grid = bt_blocks(length, THREADS * PER_THREAD);
    float *param = bt_data<float>(a->param), *m = bt_data<float>(a->m), *v = bt_data<float>(a->v);
    const float *grad = bt_data<float>(a->grad), *sum = bt_data<float>(a->sum);
    const bt_adamw_segment *segments = bt_data<bt_adamw_segment>(a->segments);
    adamw_rule r = {};
    r.one_less_beta1 = (float)(1.0 - a->beta1), r.one_less_beta2 = (float)(1.0 - a->beta2);
    r.beta2 = (float)a->beta2, r.eps = (float)a->eps;
    const uintptr_t addresses = (uintptr_t)param | (uintptr_t)m | (uintptr_t)v | (uintptr_t)grad;
    if (addresses % 16 == 0)
        return BT_LAUNCH((adamw_update<true>), grid, THREADS, 0, bt_cuda_stream(device), param, grad, m, v, segments,
                         count, length, sum, a->max_norm, r, device->step);
    return BT_LAUNCH((adamw_update<false>), grid, THREADS, 0, bt_cuda_stream(device), param, grad, m, v, segments,
                     count, length, sum, a->max_norm, r, device->step);
}

} // namespace

BT_CUDA_KERNEL(adamw, prepare, run)
