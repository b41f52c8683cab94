/* Views against PIL and torchvision: by the CUDA kernels compiled for the host.   main_cuda_host FOLDER */
#include "reference_cases.h"

#include <stdio.h>

extern const bt_backend bt_cuda_host_backend;

int main(int argc, char **argv) {
    bt_device *device;
    if (bt_cuda_host_backend.open(&(bt_device_options){.threads = 2}, &device) != BT_OK) {
        printf("FAIL %s\n", bt_error_message());
        return 1;
    }
    int code =
        compare_with_reference(argc > 1 ? argv[1] : ".", "make_views on cuda_host", make_by_operation, device, 1);
    bt_cuda_host_backend.close(device);
    return code;
}
