/* Views against PIL and torchvision: by the loader's functions, and by the operation on the CPU.   main_cpu FOLDER */
#include "reference_cases.h"

#include <stdio.h>

typedef struct memory {
    bt_resampler resampler;
    bt_colour_memory colour;
} memory;

static bt_status make_as_loader(void *context, const uint8_t *pixels, int64_t bytes, const bt_view_record *record,
                                int64_t size, uint8_t *out) {
    (void)bytes;
    memory *m = context;
    BT_TRY(bt_resample(&m->resampler, pixels + record->offset, record->height, record->width, &record->view, out));
    return bt_colour_apply(&m->colour, &record->colour, out, size, size);
}

int main(int argc, char **argv) {
    const char *folder = argc > 1 ? argv[1] : ".";
    memory m = {0};
    int code = compare_with_reference(folder, "loader", make_as_loader, &m, 1);
    bt_resampler_free(&m.resampler);
    bt_colour_memory_free(&m.colour);
    bt_device *device;
    if (code != 0) return code;
    if (bt_cpu_backend.open(&(bt_device_options){.threads = 2}, &device) != BT_OK) {
        printf("FAIL %s\n", bt_error_message());
        return 1;
    }
    code = compare_with_reference(folder, "make_views on cpu", make_by_operation, device, 1);
    bt_cpu_backend.close(device);
    return code;
}
