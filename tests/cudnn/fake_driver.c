/* A libcuda.so.1 for machines without a driver: as much of one as cuDNN 9 asks for while it compiles kernels for a
 * device that is only described to it. Nothing runs; what is not needed refuses, as NVIDIA's own stub does.
 */
enum { DONE = 0, REFUSED = 34 /* CUDA_ERROR_STUB_LIBRARY */ };

#define REFUSES(name)                                                                                                  \
    int name(void);                                                                                                    \
    int name(void) {                                                                                                   \
        return REFUSED;                                                                                                \
    }
#define DOES_NOTHING(name)                                                                                             \
    int name(void);                                                                                                    \
    int name(void) {                                                                                                   \
        return DONE;                                                                                                   \
    }

REFUSES(cuInit)
REFUSES(cuGetErrorName)
REFUSES(cuGetErrorString)
REFUSES(cuCtxGetCurrent)
REFUSES(cuCtxGetLimit)
REFUSES(cuCtxPopCurrent)
REFUSES(cuCtxPushCurrent)
REFUSES(cuStreamGetCtx)
REFUSES(cuLinkCreate)
REFUSES(cuLinkAddData)
REFUSES(cuLinkComplete)
REFUSES(cuLinkDestroy)
REFUSES(cuLaunchKernel)
REFUSES(cuLaunchKernelEx)
REFUSES(cuLaunchCooperativeKernel)
REFUSES(cuDeviceGetCount)
REFUSES(cuDeviceGet)
REFUSES(cuLibraryLoadFromFile)
DOES_NOTHING(cuLibraryUnload)
DOES_NOTHING(cuKernelSetAttribute)
DOES_NOTHING(cuKernelGetAttribute)

static char something;

int cuDriverGetVersion(int *version);
int cuDriverGetVersion(int *version) {
    *version = 13000;
    return DONE;
}

/* The compiled kernel, which stays in memory and goes nowhere. */
int cuLibraryLoadData(void **library, const void *code);
int cuLibraryLoadData(void **library, const void *code) {
    *library = &something;
    return code ? DONE : REFUSED;
}

int cuLibraryGetKernel(void **kernel, void *library, const char *name);
int cuLibraryGetKernel(void **kernel, void *library, const char *name) {
    *kernel = &something;
    return library && name ? DONE : REFUSED;
}

int cuOccupancyMaxPotentialClusterSize(int *size, void *function, const void *launch);
int cuOccupancyMaxPotentialClusterSize(int *size, void *function, const void *launch) {
    (void)function, (void)launch;
    *size = 8;
    return DONE;
}
