/* bittern-bench: command line and shared measuring. */
#include "bench.h"

#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bt_bench_median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, ascending);
    return values[count / 2];
}

void bt_bench_resident(size_t *now, size_t *peak) {
    *now = *peak = 0;
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        size_t kilobytes;
        if (sscanf(line, "VmRSS: %zu", &kilobytes) == 1) *now = kilobytes * 1024;
        if (sscanf(line, "VmHWM: %zu", &kilobytes) == 1) *peak = kilobytes * 1024;
    }
    if (f) fclose(f);
}

double bt_bench_product_rate(bt_device *device, bt_dtype dtype, int64_t m, int64_t n, int64_t k) {
    const bt_backend *b = device->backend;
    size_t e = bt_dtype_bytes(dtype);
    void *x = NULL, *w = NULL, *y = NULL, *scratch = NULL;
    double seconds[9], rate = 0;
    bt_prepared prepared = {0};
    if (b->alloc(device, (size_t)(m * k) * e, &x) == BT_OK && b->alloc(device, (size_t)(n * k) * e, &w) == BT_OK &&
        b->alloc(device, (size_t)(m * n) * e, &y) == BT_OK) {
        bt_linear_args args = {.x = bt_tensor_of(x, dtype, bt_shape2(m, k)), .w = bt_tensor_of(w, dtype, bt_shape2(n, k)),
                               .y = bt_tensor_of(y, dtype, bt_shape2(m, n))};
        args.w.flags = BT_FROZEN;
        bool good = b->kernels->linear->prepare(device, &args, &prepared) == BT_OK &&
                    (!prepared.scratch_bytes || b->alloc(device, prepared.scratch_bytes, &scratch) == BT_OK);
        for (int i = -2; good && i < 9; i++) {
            double start = bt_clock_seconds();
            good = b->kernels->linear->run(device, &args, &prepared, scratch) == BT_OK && b->synchronize(device) == BT_OK;
            if (i >= 0) seconds[i] = bt_clock_seconds() - start;
        }
        if (good) rate = 2.0 * (double)m * (double)n * (double)k / bt_bench_median(seconds, 9);
    }
    if (prepared.release) prepared.release(prepared.state);
    void *all[] = {x, w, y, scratch};
    for (int i = 0; i < 4; i++)
        if (all[i]) b->free(device, all[i]);
    return rate;
}

static const char *const usage =
    "usage: bittern-bench NAME [options]\n"
    "  vit   forward and LoRA step of a ViT: images/s, memory, and the bound from this machine's own product rate\n"
    "  ops   every operation: seconds, FLOP/s, bytes/s\n"
    "options\n"
    "  --model NAME       vit_small_patch14_dinov2\n"
    "  --image PIXELS     224\n"
    "  --batch N          16 (encoder inputs of a step, even)\n"
    "  --dtype f32|bf16   f32\n"
    "  --device cpu|cuda  cpu\n"
    "  --targets LIST     qkv,proj (adapted layers)\n"
    "  --rank R --bits B  16, 64\n"
    "  --iterations N     7 (medians)\n"
    "  --threads N        all\n"
    "  --op NAME          one operation (ops)\n"
    "  --profile          seconds per operation of one step (vit)\n"
    "  --json             one JSON object a line\n";

static bt_status parse(int argc, char **argv, bt_bench_options *o) {
    struct {
        const char *name;
        const char **text;
        int *number;
    } table[] = {{"--model", &o->model, NULL},   {"--device", &o->device, NULL}, {"--dtype", &o->dtype, NULL},
                 {"--targets", &o->targets, NULL}, {"--op", &o->op, NULL},         {"--image", NULL, &o->image},
                 {"--batch", NULL, &o->batch},   {"--rank", NULL, &o->rank},     {"--bits", NULL, &o->bits},
                 {"--iterations", NULL, &o->iterations}, {"--threads", NULL, &o->threads}};
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) o->json = true;
        else if (strcmp(argv[i], "--profile") == 0) o->profile = true;
        else {
            size_t k = 0, count = sizeof table / sizeof table[0];
            while (k < count && strcmp(argv[i], table[k].name) != 0) k++;
            if (k == count) return bt_error(BT_ERR_USAGE, "unknown option %s", argv[i]);
            if (i + 1 == argc) return bt_error(BT_ERR_USAGE, "option %s needs a value", argv[i]);
            i++;
            if (table[k].text) *table[k].text = argv[i];
            else {
                char *end;
                long value = strtol(argv[i], &end, 10);
                if (*end || value < 1 || value > 1000000) return bt_error(BT_ERR_USAGE, "%s: found \"%s\", expected 1 to 1000000", table[k].name, argv[i]);
                *table[k].number = (int)value;
            }
        }
    }
    return BT_OK;
}

int main(int argc, char **argv) {
    bt_bench_options o = {.model = "vit_small_patch14_dinov2", .device = "cpu", .dtype = "f32", .targets = "qkv,proj", .image = 224,
                          .batch = 16, .rank = 16, .bits = 64, .iterations = 7};
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        fputs(usage, argc < 2 ? stderr : stdout);
        return argc < 2 ? BT_ERR_USAGE : 0;
    }
    bt_status status = parse(argc, argv, &o);
    if (status == BT_OK) {
        if (strcmp(argv[1], "vit") == 0) status = bt_bench_vit(&o);
        else if (strcmp(argv[1], "ops") == 0) status = bt_bench_ops(&o);
        else status = bt_error(BT_ERR_USAGE, "no benchmark \"%s\"; there are vit and ops", argv[1]);
    }
    if (status != BT_OK) fprintf(stderr, "bittern-bench: %s\n", bt_error_message());
    return (int)status;
}
