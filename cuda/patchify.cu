/* Images to rows of patches, the operand of the patch embedding's product.
 *
 *   y (N,S,K), S = (H/P)(W/P) patches in raster order, K >= 3PP: element k = (c P + row) P + column of a patch, then
 * zeros. images f32 (N,3,H,W) as they are; images u8 (N,H,W,3) give (v/255 - mean[c]) / std[c], divided as written, so
 * that the bits are those of the CPU.
 *
 * One warp per patch; a lane writes packs of W elements of y and walks its pixels without a division for each. Reads of
 * one warp are runs of P pixels that share cache lines with the neighbouring channels (u8) or rows (f32).
 */
#include "operands.cuh"

namespace {

struct image_geometry {
    int64_t patches;        /* N*S */
    int per_row, per_image; /* patches: W/P and S */
    int patch, columns;     /* P, K */
    int width;              /* pixels of an image row */
    int64_t image;          /* elements of one image */
    int64_t channel, pixel; /* elements from one channel, one pixel to the next; a row of pixels is width*pixel */
    float mean[3], std[3];
};

BT_DEVICE float pixel_value(const image_geometry &, float v, int) {
    return v;
}
BT_DEVICE float pixel_value(const image_geometry &g, uint8_t v, int channel) {
    /* chosen, not indexed: a kernel argument under a run-time index is copied to local memory first */
    const float mean = channel == 0 ? g.mean[0] : channel == 1 ? g.mean[1] : g.mean[2];
    const float std = channel == 0 ? g.std[0] : channel == 1 ? g.std[1] : g.std[2];
    return ((float)v / 255.0f - mean) / std;
}

/** I: float or uint8_t. */
template <typename I, typename T, int W>
__global__ void __launch_bounds__(BT_ROW_THREADS)
    patchify_rows(T *y, const I *images, const image_geometry g, int64_t ldy) {
    const int64_t at = bt_warp_row();
    if (at >= g.patches) return;
    const int64_t n = at / g.per_image;
    const int s = (int)(at - n * g.per_image), py = s / g.per_row, px = s - py * g.per_row;
    const I *corner = images + n * g.image + ((int64_t)py * g.patch * g.width + (int64_t)px * g.patch) * g.pixel;
    for (int k = bt_lane() * W; k < g.columns; k += 32 * W) {
        int channel = k / (g.patch * g.patch);
        int row = (k - channel * g.patch * g.patch) / g.patch;
        int column = k - (channel * g.patch + row) * g.patch;
        float v[W];
#pragma unroll
        for (int i = 0; i < W; i++) {
            v[i] = 0.0f;
            if (channel < 3) {
                const int64_t offset = channel * g.channel + ((int64_t)row * g.width + column) * g.pixel;
                v[i] = pixel_value(g, corner[offset], channel);
            }
            if (++column == g.patch) {
                column = 0;
                if (++row == g.patch) row = 0, channel++;
            }
        }
        bt_store(y + at * ldy + k, v);
    }
}

template <typename I, typename T>
bt_status launch(bt_device *device, const bt_patchify_args *a, const image_geometry &g) {
    constexpr int W = bt_pack_width<T>;
    const unsigned grid = bt_blocks(g.patches, BT_ROW_WARPS);
    T *y = bt_data<T>(a->y);
    const I *images = bt_data<I>(a->images);
    if (bt_packable(a->y, W))
        return BT_LAUNCH((patchify_rows<I, T, W>), grid, BT_ROW_THREADS, 0, bt_cuda_stream(device), y, images, g,
                         a->y.ld);
    return BT_LAUNCH((patchify_rows<I, T, 1>), grid, BT_ROW_THREADS, 0, bt_cuda_stream(device), y, images, g, a->y.ld);
}

/** images (N,3,H,W) f32 or (N,H,W,3) u8; in both the stride `ld` runs from one line of the last axis to the next. */
bt_status prepare(bt_device *, const bt_patchify_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require("patchify", "images", a->images, BT_F32, BT_U8));
    BT_TRY(bt_cuda_require_compute("patchify", "y", a->y));
    const bool bytes = a->images.dtype == BT_U8;
    if (a->images.ld != bt_shape_cols(a->images.shape))
        return bt_error(BT_ERR_UNSUPPORTED, "patchify on " BT_CUDA_BACKEND ": images must be contiguous");
    const int64_t *dim = a->images.shape.dim;
    if (dim[1] * dim[2] * dim[3] > INT32_MAX)
        return bt_error(BT_ERR_UNSUPPORTED,
                        "patchify on " BT_CUDA_BACKEND ": images of %lld x %lld pixels have more than 2^31 elements",
                        (long long)dim[bytes ? 1 : 2], (long long)dim[bytes ? 2 : 3]);
    return BT_OK;
}

bt_status run(bt_device *device, const bt_patchify_args *a, const bt_prepared *, void *) {
    const bool bytes = a->images.dtype == BT_U8, half = a->y.dtype == BT_BF16;
    const int64_t *dim = a->images.shape.dim;
    const int height = (int)dim[bytes ? 1 : 2], width = (int)dim[bytes ? 2 : 3];
    image_geometry g = {};
    g.patches = bt_shape_rows(a->y.shape);
    g.per_row = width / a->patch;
    g.per_image = g.per_row * (height / a->patch);
    g.patch = a->patch;
    g.columns = (int)bt_shape_cols(a->y.shape);
    g.width = width;
    g.image = dim[1] * dim[2] * dim[3];
    g.channel = bytes ? 1 : (int64_t)height * width;
    g.pixel = bytes ? 3 : 1;
    for (int c = 0; c < 3; c++) g.mean[c] = a->mean[c], g.std[c] = a->std[c];
    if (bytes) return half ? launch<uint8_t, bt_bf16>(device, a, g) : launch<uint8_t, float>(device, a, g);
    return half ? launch<float, bt_bf16>(device, a, g) : launch<float, float>(device, a, g);
}

} // namespace

BT_CUDA_KERNEL(patchify, prepare, run)
