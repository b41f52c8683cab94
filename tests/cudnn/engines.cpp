/* The graphs of cuda/fused_graph.cu, given to cuDNN for an H100 that is only described: it finds engines for the
 * products of ViT-S, B and L, and compiles their kernels. This machine needs no GPU; the driver is fake_driver.c. What
 * it does not show: the engines for clusters, which cuDNN offers where it can ask the device, and any result.
 */
#include "fused_graph.cuh"

#include <stdio.h>
#include <string.h>

static const char h100[] =
    "{\"deviceName\":\"NVIDIA H100 80GB HBM3\",\"cudaDeviceId\":0,\"deviceVer\":900,\"driverVer\":13000,"
    "\"multiProcessorCount\":132,\"smClockRateKHz\":1980000,\"memClockRateKHz\":2619000,\"l2CacheSize\":52428800,"
    "\"totalGlobalMem\":85520809984,\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":232448,"
    "\"reservedSharedMemoryPerBlock\":1024,\"regsPerBlock\":65536,\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":32,"
    "\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"warpSize\":32,\"maxGridSize\":[2147483647,65535,65535],"
    "\"maxBlockSize\":[1024,1024,64],\"pciDeviceId\":0,\"isTccDriver\":0,\"supportCoopLaunch\":1}";

static int passed, failed;

static void expect(const char *what, const bt_fused_product &p, bool possible) {
    bt_dnn dnn;
    const cudnnBackendDescriptor_t device = dnn.make(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    dnn.set(device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)sizeof h100, h100);
    dnn.finish(device);
    const bool described = dnn.status == CUDNN_STATUS_SUCCESS;
    const cudnnBackendDescriptor_t graph = bt_fused_graph(&dnn, &p, NULL);
    int64_t workspace_bytes = -1;
    const bool found =
        dnn.status == CUDNN_STATUS_SUCCESS && bt_fused_engine(&dnn, graph, NULL, device, &workspace_bytes);
    const bool good = described && found == possible;
    good ? passed++ : failed++;
    if (good) return;
    char text[1000] = "";
    cudnnGetLastErrorString(text, sizeof text);
    printf("FAILED %s (%lld,%lld)x(%lld,%lld): %s, %s %s\n", what, (long long)p.m, (long long)p.k, (long long)p.k,
           (long long)p.n,
           !described ? "the device is not understood"
           : found    ? "an engine"
                      : "no engine",
           cudnnGetErrorString(dnn.status), text);
}

/* fc1 of a block. */
static bt_fused_product forward(int64_t rows, int64_t width, bool keeps_h) {
    bt_fused_product p = {};
    p.m = rows, p.n = 4 * width, p.k = width;
    p.transpose_b = p.bias = true, p.keeps_h = keeps_h;
    p.lda = p.ldb = width, p.ldd = p.n, p.ldh = keeps_h ? p.n : 0;
    return p;
}

/* The gradient through fc2. */
static bt_fused_product backward(int64_t rows, int64_t width) {
    bt_fused_product p = {};
    p.m = rows, p.n = 4 * width, p.k = width, p.backward = true;
    p.lda = width, p.ldb = p.ldd = p.ldh = p.n;
    return p;
}

int main() {
    const int64_t widths[] = {384, 768, 1024}, tokens = 64 * 257;
    for (int64_t width : widths) {
        expect("gelu, h kept", forward(tokens, width, true), true);
        expect("gelu", forward(tokens, width, false), true);
        expect("its gradient", backward(tokens, width), true);
    }
    expect("gelu of class rows", forward(64, 768, true), true);
    expect("gelu of one row", forward(1, 384, false), true);
    bt_fused_product p = forward(tokens, 768, true);
    p.quick = true;
    expect("quick_gelu", p, true);
    p = backward(tokens, 768);
    p.quick = true;
    expect("its gradient", p, true);
    p = forward(34, 32, true); /* rows further apart than wide: tests/ops */
    p.lda = 40, p.ldb = 48, p.ldd = 136, p.ldh = 152;
    expect("rows of their own", p, true);
    p.bias = p.keeps_h = false, p.ldh = 0;
    expect("neither bias nor h", p, true);
    p.keeps_h = true, p.ldh = 152;
    expect("h kept without a bias", p, false);
    printf("cuDNN %zu, engines for an H100: %d passed, %d failed\n", cudnnGetVersion(), passed, failed);
    return failed != 0;
}
