/* bittern doctor: what this machine and this build can do. */
#include "base/build.h"
#include "cli/cli.h"
#include "formats/json.h"
#include "tensor/backend.h"

#include <stdio.h>

static const struct {
    const char *name;
    bool present;
    const char *use, *absent, *package;
} libraries[] = {
#ifdef BITTERN_WITH_PNG
    {"png", true, "PNG pictures", "reading PNG", "libpng-dev"},
#else
    {"png", false, "PNG pictures", "reading PNG", "libpng-dev"},
#endif
#ifdef BITTERN_WITH_JPEG
    {"jpeg", true, "JPEG pictures", "reading JPEG", "libjpeg62-turbo-dev"},
#else
    {"jpeg", false, "JPEG pictures", "reading JPEG", "libjpeg62-turbo-dev"},
#endif
#ifdef BITTERN_WITH_WEBP
    {"webp", true, "WebP pictures", "reading WebP", "libwebp-dev"},
#else
    {"webp", false, "WebP pictures", "reading WebP", "libwebp-dev"},
#endif
#ifdef BITTERN_WITH_TIFF
    {"tiff", true, "TIFF pictures", "reading TIFF", "libtiff-dev (4.5 or newer)"},
#else
    {"tiff", false, "TIFF pictures", "reading TIFF", "libtiff-dev (4.5 or newer)"},
#endif
#ifdef BITTERN_WITH_YAML
    {"yaml", true, "configuration files", "reading configuration files", "libyaml-dev"},
#else
    {"yaml", false, "configuration files", "reading configuration files", "libyaml-dev"},
#endif
#ifdef BITTERN_WITH_CAIRO
    {"cairo", true, "plots as PNG, the Fen", "plots as PNG and the Fen", "libcairo2-dev"},
#else
    {"cairo", false, "plots as PNG, the Fen", "plots as PNG and the Fen", "libcairo2-dev"},
#endif
#ifdef BITTERN_WITH_HDF5
    {"hdf5", true, "packs, embeddings in HDF5", "packs and embeddings in HDF5", "libhdf5-dev"},
#else
    {"hdf5", false, "packs, embeddings in HDF5", "packs and embeddings in HDF5", "libhdf5-dev"},
#endif
#ifdef BITTERN_WITH_ZLIB
    {"zlib", true, "compressed .npz", "reading compressed .npz", "zlib1g-dev"},
#else
    {"zlib", false, "compressed .npz", "reading compressed .npz", "zlib1g-dev"},
#endif
#ifdef BITTERN_WITH_CURL
    {"curl", true, "fetching weights", "fetching weights", "libcurl4-openssl-dev and libssl-dev"},
#else
    {"curl", false, "fetching weights", "fetching weights", "libcurl4-openssl-dev and libssl-dev"},
#endif
};
enum { LIBRARIES = sizeof libraries / sizeof libraries[0] };

typedef struct device_answer {
    bool present, fast_bf16;
    char text[256]; /* the device's line, or why there is none */
} device_answer;

static device_answer ask_device(const char *name) {
    device_answer a = {.present = false};
    const bt_backend *backend = bt_backend_named(name);
    bt_device *device;
    if (!backend || backend->open(&(bt_device_options){.index = 0}, &device) != BT_OK) {
        snprintf(a.text, sizeof a.text, "%s", bt_error_message());
        return a;
    }
    a.present = true;
    a.fast_bf16 = backend->fast_dtype(device, BT_BF16);
    backend->describe(device, a.text, sizeof a.text);
    backend->close(device);
    return a;
}

static void print_device(const char *name) {
    device_answer a = ask_device(name);
    printf("%-6s %s: %s\n", name, a.present ? "yes" : "no", a.text);
    if (a.present)
        printf("%-6s bf16: %s\n", "", a.fast_bf16 ? "at its own speed" : "emulated (right, but slower than f32)");
}

static void device_json(bt_json_writer *w, const char *name) {
    device_answer a = ask_device(name);
    bt_json_key(w, name);
    bt_json_begin_object(w);
    bt_json_member_bool(w, "present", a.present);
    bt_json_member_string(w, a.present ? "device" : "why", a.text);
    if (a.present) bt_json_member_bool(w, "fast_bf16", a.fast_bf16);
    bt_json_end(w);
}

static bt_status print_json(void) {
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "version", bt_build_version);
    bt_json_member_string(&w, "commit", bt_build_commit);
    bt_json_member_string(&w, "compiler", bt_build_compiler);
    bt_json_key(&w, "devices");
    bt_json_begin_object(&w);
    device_json(&w, "cpu");
    device_json(&w, "cuda");
    bt_json_end(&w);
    bt_json_key(&w, "libraries");
    bt_json_begin_object(&w);
    for (int i = 0; i < LIBRARIES; i++) bt_json_member_bool(&w, libraries[i].name, libraries[i].present);
    bt_json_end(&w);
    bt_json_end(&w);
    bt_status status = bt_json_finish_to(&w, stdout, "standard output");
    bt_text_free(&text);
    return status;
}

typedef struct doctor_flags {
    bool json;
} doctor_flags;

static const bt_option doctor_options[] = {
    BT_OPTION_BOOL(doctor_flags, json, "false", "prints one JSON object"),
};
static const bt_option_table doctor_table = BT_OPTION_TABLE("bittern doctor", doctor_options);

static bt_status doctor(const bt_arguments *a) {
    const doctor_flags *flags = a->flags;
    if (flags->json) return print_json();
    printf("bittern %s, commit %s, %s\n", bt_build_version, bt_build_commit, bt_build_compiler);
    print_device("cpu");
    print_device("cuda");
    for (int i = 0; i < LIBRARIES; i++) {
        if (libraries[i].present)
            printf("%-6s yes: %s\n", libraries[i].name, libraries[i].use);
        else
            printf("%-6s no: %s needs %s at build time\n", libraries[i].name, libraries[i].absent,
                   libraries[i].package);
    }
    return BT_OK;
}

const bt_command bt_command_doctor = {
    "doctor", "", "what this machine and this build can do", 0, 0, &doctor_table, sizeof(doctor_flags), false, doctor};
