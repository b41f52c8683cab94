/* bittern doctor: what this machine and this build can do. */
#include "base/build.h"
#include "cli/cli.h"
#include "formats/hdf5.h"
#include "tensor/backend.h"

#include <stdio.h>

static void device_line(const char *name) {
    const bt_backend *backend = bt_backend_named(name);
    bt_device *device;
    if (!backend || backend->open(&(bt_device_options){.index = 0}, &device) != BT_OK) {
        printf("%-6s no: %s\n", name, bt_error_message());
        return;
    }
    char text[256];
    backend->describe(device, text, sizeof text);
    printf("%-6s yes: %s\n", name, text);
    printf("%-6s bf16: %s\n", "",
           backend->fast_dtype(device, BT_BF16) ? "at its own speed" : "emulated (right, but slower than f32)");
    backend->close(device);
}

static void library_line(const char *name, bool present, const char *use, const char *package) {
    if (present)
        printf("%-6s yes: %s\n", name, use);
    else
        printf("%-6s no: %s needs %s at build time\n", name, use, package);
}

static bt_status doctor(const bt_arguments *a) {
    (void)a;
    printf("bittern %s, commit %s, %s\n", bt_build_version, bt_build_commit, bt_build_compiler);
    device_line("cpu");
    device_line("cuda");
#ifdef BITTERN_WITH_PNG
    library_line("png", true, "PNG pictures", "libpng-dev");
#else
    library_line("png", false, "reading PNG", "libpng-dev");
#endif
#ifdef BITTERN_WITH_JPEG
    library_line("jpeg", true, "JPEG pictures", "libjpeg62-turbo-dev");
#else
    library_line("jpeg", false, "reading JPEG", "libjpeg62-turbo-dev");
#endif
#ifdef BITTERN_WITH_YAML
    library_line("yaml", true, "configuration files", "libyaml-dev");
#else
    library_line("yaml", false, "reading configuration files", "libyaml-dev");
#endif
#ifdef BITTERN_WITH_CAIRO
    library_line("cairo", true, "plots as PNG, the Fen", "libcairo2-dev");
#else
    library_line("cairo", false, "plots as PNG and the Fen", "libcairo2-dev");
#endif
    library_line("hdf5", bt_h5_available(), bt_h5_available() ? "packs, embeddings in HDF5" : "packs and embeddings in HDF5", "libhdf5-dev");
    return BT_OK;
}

const bt_command bt_command_doctor = {"doctor", "",    "what this machine and this build can do", 0, 0, NULL, 0,
                                      false,    doctor};
