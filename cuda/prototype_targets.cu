/* Bits of batch prototypes, the targets of supervised CroVCA: labels (N,C) u8 multi-hot, z (V*N,D) f32, targets (N,D)
 * u8.
 *
 *   m_c = mean of z over the stacked rows of class c (over max(count,1)),  s_n = mean of m_c over the labels of n,
 *   targets = 1[s_n > 0]; a positive divisor does not move the sign, so s_n is left a sum.
 *
 * A threshold at 0 turns the last bit of a sum into a whole target: the sums are in double precision, in the order of
 * samples, views and classes, exactly as on the processor, so that devices agree. A warp reads 32 labels at once and
 * visits only those that are set.
 */
#include "operands.cuh"

namespace {

/** means (C,D). One warp per class and tile of 32 columns. Grid (classes / BT_ROW_WARPS, column tiles). */
__global__ void __launch_bounds__(BT_ROW_THREADS)
    class_means(double *means, const float *z, const uint8_t *labels, int64_t samples, int64_t classes, int64_t bits,
                int views, int64_t ldz, int64_t ldl) {
    const int64_t c = bt_warp_row(), d = (int64_t)blockIdx.y * 32 + bt_lane();
    if (c >= classes) return;
    double sum = 0.0;
    int64_t count = 0;
    for (int64_t base = 0; base < samples; base += 32) {
        const int64_t mine = base + bt_lane();
        unsigned members = __ballot_sync(BT_FULL_WARP, mine < samples && labels[mine * ldl + c] != 0);
        count += __popc(members) * views;
        while (members != 0) {
            const int64_t n = base + __ffs((int)members) - 1;
            members &= members - 1;
            for (int v = 0; d < bits && v < views; v++) sum += (double)z[(v * samples + n) * ldz + d];
        }
    }
    if (d < bits) means[c * bits + d] = sum / (double)(count > 0 ? count : 1);
}

/** One warp per sample and tile of 32 columns. Grid (samples / BT_ROW_WARPS, column tiles). */
__global__ void __launch_bounds__(BT_ROW_THREADS)
    prototype_bits(uint8_t *targets, const double *means, const uint8_t *labels, int64_t samples, int64_t classes,
                   int64_t bits, int64_t ldt, int64_t ldl) {
    const int64_t n = bt_warp_row(), d = (int64_t)blockIdx.y * 32 + bt_lane();
    if (n >= samples) return;
    double sum = 0.0;
    for (int64_t base = 0; base < classes; base += 32) {
        const int64_t mine = base + bt_lane();
        unsigned members = __ballot_sync(BT_FULL_WARP, mine < classes && labels[n * ldl + mine] != 0);
        while (members != 0) {
            const int64_t c = base + __ffs((int)members) - 1;
            members &= members - 1;
            if (d < bits) sum += means[c * bits + d];
        }
    }
    if (d < bits) targets[n * ldt + d] = sum > 0.0 ? 1 : 0;
}

bt_status prepare(bt_device *, const bt_prototype_targets_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require("prototype_targets", "z", a->z, BT_F32));
    BT_TRY(bt_cuda_require("prototype_targets", "labels", a->labels, BT_U8));
    BT_TRY(bt_cuda_require("prototype_targets", "targets", a->targets, BT_U8));
    out->scratch_bytes = (size_t)bt_shape_cols(a->labels.shape) * (size_t)bt_shape_cols(a->z.shape) * sizeof(double);
    return BT_OK;
}

bt_status run(bt_device *device, const bt_prototype_targets_args *a, const bt_prepared *, void *scratch) {
    const int64_t samples = bt_shape_rows(a->labels.shape), classes = bt_shape_cols(a->labels.shape);
    const int64_t bits = bt_shape_cols(a->z.shape);
    const unsigned tiles = bt_blocks(bits, 32);
    const cudaStream_t stream = bt_cuda_stream(device);
    double *means = static_cast<double *>(scratch);
    const uint8_t *labels = bt_data<uint8_t>(a->labels);
    BT_TRY(BT_LAUNCH((class_means), dim3(bt_blocks(classes, BT_ROW_WARPS), tiles), BT_ROW_THREADS, 0, stream, means,
                     bt_data<float>(a->z), labels, samples, classes, bits, a->views, a->z.ld, a->labels.ld));
    return BT_LAUNCH((prototype_bits), dim3(bt_blocks(samples, BT_ROW_WARPS), tiles), BT_ROW_THREADS, 0, stream,
                     bt_data<uint8_t>(a->targets), means, labels, samples, classes, bits, a->targets.ld, a->labels.ld);
}

} // namespace

BT_CUDA_KERNEL(prototype_targets, prepare, run)
