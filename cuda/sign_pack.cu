/* Binary codes: bits (N,D) packed = 1[z > 0]; NaN gives 0, the bits behind D are 0.
 *
 * One warp per word of 64 bits: lane l reads columns l and 32+l of the word, two votes collect them.
 */
#include "operands.cuh"

namespace {

template <typename T>
__global__ void __launch_bounds__(BT_ROW_THREADS)
    sign_pack_words(uint64_t *bits, const T *z, int64_t words, int64_t words_per_row, int64_t cols, int64_t ldbits,
                    int64_t ldz) {
    const int64_t at = bt_warp_row();
    if (at >= words) return;
    const int64_t row = at / words_per_row, word = at - row * words_per_row;
    const int64_t low = word * 64 + bt_lane(), high = low + 32;
    const uint64_t low_bits = __ballot_sync(BT_FULL_WARP, low < cols && bt_to_float(z[row * ldz + low]) > 0.0f);
    const uint64_t high_bits = __ballot_sync(BT_FULL_WARP, high < cols && bt_to_float(z[row * ldz + high]) > 0.0f);
    if (bt_lane() == 0) bits[row * ldbits + word] = low_bits | high_bits << 32;
}

template <typename T> bt_status launch(bt_device *device, const bt_sign_pack_args *a) {
    const int64_t cols = bt_shape_cols(a->z.shape), words_per_row = (cols + 63) / 64;
    const int64_t words = bt_shape_rows(a->z.shape) * words_per_row;
    return BT_LAUNCH((sign_pack_words<T>), bt_blocks(words, BT_ROW_WARPS), BT_ROW_THREADS, 0, bt_cuda_stream(device),
                     bt_data<uint64_t>(a->bits), bt_data<T>(a->z), words, words_per_row, cols, a->bits.ld, a->z.ld);
}

bt_status prepare(bt_device *, const bt_sign_pack_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("sign_pack", "z", a->z));
    return bt_cuda_require("sign_pack", "bits", a->bits, BT_BITS);
}

bt_status run(bt_device *device, const bt_sign_pack_args *a, const bt_prepared *, void *) {
    return a->z.dtype == BT_BF16 ? launch<bt_bf16>(device, a) : launch<float>(device, a);
}

} // namespace

BT_CUDA_KERNEL(sign_pack, prepare, run)
