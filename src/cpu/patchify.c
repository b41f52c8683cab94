/* Images as rows of patches, the input of the patch projection. A patch's elements are in the order of a convolution
 * weight (D,3,P,P), so that the convolution is one product; columns up to K are zeros, which a K that suits the
 * product's tiles costs. u8 images are normalised here: (v/255 - mean[c]) / std[c], through a table of the 256 values.
 */
#include "cpu/rows.h"

#include <string.h>

typedef struct context {
    const bt_patchify_args *args;
    float normalized[3][256]; /* of u8 */
    int64_t height, width;
} context;

static bt_status prepare(bt_device *device, const bt_patchify_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("patchify", {"images", &a->images, BT_ALLOW_F32 | BT_ALLOW_U8},
                             {"y", &a->y, BT_ALLOW_FLOAT}));
    BT_ASSERT(bt_shape_cols(a->y.shape) >= 3 * (int64_t)a->patch * a->patch);
    out->scratch_bytes = bt_rows_scratch_bytes(device, sizeof(float) * (size_t)bt_shape_cols(a->y.shape));
    return BT_OK;
}

/* y (3,P,P) from images (N,3,H,W) f32 */
static void copy_patch(float *y, const context *c, int64_t image, int64_t top, int64_t left) {
    int64_t patch = c->args->patch;
    for (int64_t channel = 0; channel < 3; channel++) {
        for (int64_t r = 0; r < patch; r++, y += patch) {
            const float *pixels = bt_row_f32(&c->args->images, (image * 3 + channel) * c->height + top + r) + left;
            memcpy(y, pixels, (size_t)patch * sizeof *y);
        }
    }
}

/* y (3,P,P) from images (N,H,W,3) u8 */
static void normalize_patch(float *y, const context *c, int64_t image, int64_t top, int64_t left) {
    int64_t patch = c->args->patch, ld = c->args->images.ld;
    const uint8_t *corner = (const uint8_t *)c->args->images.data + ((image * c->height + top) * c->width + left) * ld;
    for (int64_t channel = 0; channel < 3; channel++) {
        for (int64_t r = 0; r < patch; r++, y += patch) {
            const uint8_t *pixels = corner + r * c->width * ld + channel;
            for (int64_t k = 0; k < patch; k++) y[k] = c->normalized[channel][pixels[k * ld]];
        }
    }
}

static void patch_rows(const void *shared, const bt_vector *v, int64_t begin, int64_t end, void *buffer) {
    const context *c = shared;
    int64_t patch = c->args->patch, across = c->width / patch, patches = c->height / patch * across;
    int64_t cols = bt_shape_cols(c->args->y.shape), used = 3 * patch * patch;
    for (int64_t row = begin; row < end; row++) {
        int64_t image = row / patches, top = row % patches / across * patch, left = row % patches % across * patch;
        float *y = bt_row_target(&c->args->y, row, 0, buffer);
        if (c->args->images.dtype == BT_U8)
            normalize_patch(y, c, image, top, left);
        else
            copy_patch(y, c, image, top, left);
        memset(y + used, 0, (size_t)(cols - used) * sizeof *y);
        bt_row_write(v, &c->args->y, row, 0, cols, y);
    }
}

static bt_status run(bt_device *device, const bt_patchify_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    bool bytes = a->images.dtype == BT_U8;
    context c = {.args = a, .height = a->images.shape.dim[bytes ? 1 : 2], .width = a->images.shape.dim[bytes ? 2 : 3]};
    for (int channel = 0; bytes && channel < 3; channel++)
        for (int value = 0; value < 256; value++)
            c.normalized[channel][value] = ((float)value / 255.0f - a->mean[channel]) / a->std[channel];
    bt_over_rows(device, bt_shape_rows(a->y.shape), bt_shape_count(a->y.shape), patch_rows, &c,
                 sizeof(float) * (size_t)bt_shape_cols(a->y.shape), scratch);
    return BT_OK;
}

const bt_patchify_kernel bt_cpu_patchify = {prepare, run};
