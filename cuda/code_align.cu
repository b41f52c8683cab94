/* Code alignment of CroVCA (arXiv 2510.27584, eq. 8) on logits z (V*N,D) of V views stacked. softplus(z) - z t is the
 * binary cross entropy of sigmoid(z) with target t.
 *
 *   pairs    t of view j for every i != j, t = 1[z > 0] or the given targets (V*N,D) u8. With c = sum of t over the
 * views, one position (n,d) of view i adds (V-1) softplus(z_i) - z_i (c - t_i):   loss = the sum / (V (V-1) N D) dz_i =
 * weight ((V-1) sigmoid(z_i) - (c - t_i)) / (V (V-1) N D) + add shared   targets (N,D) u8:   loss = sum of
 * softplus(z_i) - z_i t / (V N D),   dz_i = weight (sigmoid(z_i) - t) / (V N D) + add
 *
 * So V views cost V terms, not V (V-1). One thread takes all views of a position.
 */
#include "sums.cuh"

namespace {

struct align_geometry {
    const float *z;
    const uint8_t *targets; /* NULL: 1[z > 0] */
    int64_t ldz, ldt;
    int64_t samples, bits; /* N, D */
    int views;
    bool shared;  /* targets are (N,D) */
    float factor; /* 1 / number of terms in the mean */
};

/** max(z,0) + log1p(exp(-|z|)): no overflow; a NaN comes through the second term. */
BT_DEVICE float softplus(float z) {
    return fmaxf(z, 0.0f) + log1pf(expf(-fabsf(z)));
}

BT_DEVICE float sigmoid(float z) {
    const float e = expf(-fabsf(z));
    return (z >= 0.0f ? 1.0f : e) / (1.0f + e);
}

/** Target of view v at (n,d); NaN > 0 is false. */
BT_DEVICE float target_of(const align_geometry &g, int v, int64_t n, int64_t d) {
    const int64_t row = g.shared ? n : v * g.samples + n;
    const bool set = g.targets != NULL ? g.targets[row * g.ldt + d] != 0 : g.z[row * g.ldz + d] > 0.0f;
    return set ? 1.0f : 0.0f;
}

/** c of the pairs: how many views have the bit. */
BT_DEVICE float votes_of(const align_geometry &g, int64_t n, int64_t d) {
    float votes = 0.0f;
    for (int v = 0; !g.shared && v < g.views; v++) votes += target_of(g, v, n, d);
    return votes;
}

__global__ void __launch_bounds__(BT_SUM_THREADS) code_align_partial(float *partial, const align_geometry g) {
    const int64_t positions = g.samples * g.bits, stride = (int64_t)gridDim.x * BT_SUM_THREADS;
    float sum = 0.0f;
    for (int64_t i = (int64_t)blockIdx.x * BT_SUM_THREADS + threadIdx.x; i < positions; i += stride) {
        const int64_t n = i / g.bits, d = i - n * g.bits;
        const float votes = votes_of(g, n, d), others = (float)(g.views - 1);
        for (int v = 0; v < g.views; v++) {
            const float z = g.z[(v * g.samples + n) * g.ldz + d], t = target_of(g, v, n, d);
            sum += g.shared ? softplus(z) - z * t : others * softplus(z) - z * (votes - t);
        }
    }
    sum = bt_block_sum(sum);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

/** dz may be add: an element is read before it is written, in one thread. */
__global__ void __launch_bounds__(BT_SUM_THREADS)
    code_align_backward(float *dz, const float *add, const align_geometry g, int64_t lddz, int64_t ldadd,
                        float weight) {
    const int64_t i = (int64_t)blockIdx.x * BT_SUM_THREADS + threadIdx.x;
    if (i >= g.samples * g.bits) return;
    const int64_t n = i / g.bits, d = i - n * g.bits;
    const float votes = votes_of(g, n, d), others = (float)(g.views - 1), scale = weight * g.factor;
    for (int v = 0; v < g.views; v++) {
        const int64_t row = v * g.samples + n;
        const float p = sigmoid(g.z[row * g.ldz + d]), t = target_of(g, v, n, d);
        const float slope = g.shared ? p - t : others * p - (votes - t);
        dz[row * lddz + d] = scale * slope + (add != NULL ? add[row * ldadd + d] : 0.0f);
    }
}

align_geometry geometry_of(const bt_tensor &z, const bt_tensor &targets, int views) {
    align_geometry g = {};
    g.z = bt_data<float>(z);
    g.targets = bt_data<uint8_t>(targets);
    g.ldz = z.ld;
    g.ldt = targets.ld;
    g.samples = bt_shape_rows(z.shape) / views;
    g.bits = bt_shape_cols(z.shape);
    g.views = views;
    g.shared = bt_present(&targets) && bt_shape_rows(targets.shape) == g.samples;
    const double terms = (double)views * (g.shared ? 1 : views - 1) * (double)g.samples * (double)g.bits;
    g.factor = (float)(1.0 / terms);
    return g;
}

bt_status check(const char *operation, const bt_tensor &z, const bt_tensor &targets, int views) {
    BT_TRY(bt_cuda_require(operation, "z", z, BT_F32));
    BT_TRY(bt_cuda_require(operation, "targets", targets, BT_U8));
    if (views < 2 && !geometry_of(z, targets, views).shared)
        return bt_error(BT_ERR_SHAPE, "%s: %d view and no targets: the loss compares at least two views", operation,
                        views);
    return BT_OK;
}

unsigned forward_blocks(const bt_code_align_args *a) {
    return bt_sum_blocks(bt_shape_count(a->z.shape) / a->views, 4);
}

bt_status prepare_forward(bt_device *, const bt_code_align_args *a, bt_prepared *out) {
    BT_TRY(check("code_align", a->z, a->targets, a->views));
    out->scratch_bytes = forward_blocks(a) * sizeof(float);
    return BT_OK;
}

bt_status run_forward(bt_device *device, const bt_code_align_args *a, const bt_prepared *, void *scratch) {
    const align_geometry g = geometry_of(a->z, a->targets, a->views);
    const cudaStream_t stream = bt_cuda_stream(device);
    const unsigned blocks = forward_blocks(a);
    float *partial = static_cast<float *>(scratch);
    BT_TRY(BT_LAUNCH((code_align_partial), blocks, BT_SUM_THREADS, 0, stream, partial, g));
    return BT_LAUNCH((bt_sum_finish<BT_SUM_THREADS>), 1, BT_SUM_THREADS, 0, stream, bt_data<float>(a->loss), partial,
                     (int64_t)blocks, g.factor);
}

bt_status prepare_dx(bt_device *, const bt_code_align_dx_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require("code_align_dx", "dz", a->dz, BT_F32));
    BT_TRY(bt_cuda_require("code_align_dx", "add", a->add, BT_F32));
    return check("code_align_dx", a->z, a->targets, a->views);
}

bt_status run_dx(bt_device *device, const bt_code_align_dx_args *a, const bt_prepared *, void *) {
    const align_geometry g = geometry_of(a->z, a->targets, a->views);
    return BT_LAUNCH((code_align_backward), bt_blocks(g.samples * g.bits, BT_SUM_THREADS), BT_SUM_THREADS, 0,
                     bt_cuda_stream(device), bt_data<float>(a->dz), bt_data<float>(a->add), g, a->dz.ld, a->add.ld,
                     a->weight);
}

} // namespace

BT_CUDA_KERNEL(code_align, prepare_forward, run_forward)
BT_CUDA_KERNEL(code_align_dx, prepare_dx, run_dx)
