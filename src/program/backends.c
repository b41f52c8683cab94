/* The backends of this build. The one place where CUDA is conditional. */
#include "tensor/backend.h"

#include <string.h>

#ifdef BITTERN_WITH_CUDA
extern const bt_backend bt_cuda_backend;
static const bt_backend *const backends[] = {&bt_cpu_backend, &bt_cuda_backend};
static const char *const hint = "";
#else
static const bt_backend *const backends[] = {&bt_cpu_backend};
static const char *const hint = " (this build has no CUDA; it was not found, or BITTERN_CUDA=OFF)";
#endif

const bt_backend *bt_backend_named(const char *name) {
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
        if (strcmp(backends[i]->name, name) == 0) return backends[i];
    (void)bt_error(BT_ERR_UNSUPPORTED, "no device \"%s\"; this build has \"cpu\"%s%s", name,
                   sizeof backends / sizeof backends[0] > 1 ? " and \"cuda\"" : "", hint);
    return NULL;
}
