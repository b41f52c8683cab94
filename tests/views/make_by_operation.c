/* A maker of views that runs the operation make_views; see reference_cases.h. */
#include "reference_cases.h"

#include <string.h>

bt_status make_by_operation(void *context, const uint8_t *pixels, int64_t bytes, const bt_view_record *record,
                            int64_t size, uint8_t *out) {
    bt_device *device = context;
    const bt_backend *b = device->backend;
    const bt_make_views_kernel *kernel = b->kernels->make_views;
    size_t view = (size_t)(size * size * 3);
    void *memory = NULL, *scratch = NULL;
    bt_prepared prepared = {0};
    bt_step step = {0};
    /* The record lies before the picture, the view behind. */
    size_t picture_at = 512, view_at = (512 + (size_t)bytes + 255) / 256 * 256;
    bt_status status = b->alloc(device, view_at + view, &memory);
    if (status == BT_OK) status = b->upload(device, memory, record, sizeof *record);
    if (status == BT_OK) status = b->upload(device, (char *)memory + picture_at, pixels, (size_t)bytes);
    if (status == BT_OK) status = b->set_step(device, &step);
    bt_make_views_args args = {.pixels = bt_tensor_of((char *)memory + picture_at, BT_U8, bt_shape1(bytes)),
                               .views = bt_tensor_of(memory, BT_U8, bt_shape2(1, sizeof *record)),
                               .y = bt_tensor_of((char *)memory + view_at, BT_U8, bt_shape4(1, size, size, 3))};
    if (status == BT_OK) status = kernel->prepare(device, &args, &prepared);
    if (status == BT_OK) status = b->alloc(device, prepared.scratch_bytes + 1, &scratch);
    if (status == BT_OK) status = kernel->run(device, &args, &prepared, scratch);
    if (status == BT_OK) status = b->synchronize(device);
    if (status == BT_OK) status = b->download(device, out, args.y.data, view);
    if (status == BT_OK) status = b->download(device, &step, device->step, sizeof step);
    if (status == BT_OK && step.fault) status = bt_error(BT_ERR_DEVICE, "make_views refused the record");
    if (prepared.release) prepared.release(prepared.state);
    if (scratch) b->free(device, scratch);
    if (memory) b->free(device, memory);
    return status;
}
