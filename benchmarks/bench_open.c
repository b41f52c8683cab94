/* Opening a file of weights to encode with: seconds until the first batch can run, beside one reading of the file, and
 * the memory that stays, beside one copy of the model in the compute dtype. Files are in the page cache in both. */
#include "bench.h"

#include "base/memory.h"
#include "base/thread.h"
#include "encoder/engine.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static bt_status read_seconds(const char *path, double *seconds) {
    enum { PIECE = 1 << 20 };
    char *piece = bt_memory_alloc(PIECE, 1);
    int fd = open(path, O_RDONLY);
    ssize_t got = fd < 0 || !piece ? -1 : 1;
    double start = bt_clock_seconds();
    while (got > 0) got = read(fd, piece, PIECE);
    *seconds = bt_clock_seconds() - start;
    if (fd >= 0) close(fd);
    bt_memory_free(piece);
    return got < 0 ? bt_error(BT_ERR_IO, "cannot read %s", path) : BT_OK;
}

typedef struct opened {
    double seconds;
    size_t model_bytes, resident, encoding, peak; /* above the start of the process */
} opened;

/** Opens, encodes black pictures once, and closes. */
static bt_status open_once(const bt_bench_options *o, bt_dtype dtype, size_t start, opened *out) {
    bt_engine engine;
    double begin = bt_clock_seconds();
    size_t now, peak;
    BT_TRY(bt_engine_open(&(bt_engine_options){.source = {.path = o->weights},
                                               .device = o->device,
                                               .dtype = dtype,
                                               .threads = o->threads,
                                               .batch = o->batch},
                          &engine));
    out->seconds = bt_clock_seconds() - begin;
    bt_bench_resident(&now, &peak);
    out->resident = now - start;
    out->peak = peak - start;
    out->model_bytes = bt_params_bytes(engine.model.store);
    size_t side = (size_t)engine.info.vit.image;
    uint8_t *images = bt_memory_zeroed((size_t)o->batch, side * side * 3);
    bt_status status = images ? bt_engine_encode(&engine, images, o->batch, NULL, NULL, NULL) : BT_ERR_MEMORY;
    bt_bench_resident(&now, &peak);
    out->encoding = now - start;
    bt_memory_free(images);
    bt_engine_close(&engine);
    return status;
}

bt_status bt_bench_open(const bt_bench_options *o) {
    if (!o->weights)
        return bt_error(BT_ERR_USAGE, "open needs --weights FILE.safetensors (of bittern import or export)");
    bt_dtype dtype;
    BT_TRY(bt_bench_check(o, &dtype));
    double *reads = bt_memory_alloc((size_t)o->iterations, sizeof *reads);
    double *opens = bt_memory_alloc((size_t)o->iterations, sizeof *opens);
    bt_status status = reads && opens ? BT_OK : BT_ERR_MEMORY;
    size_t start, peak;
    opened first = {0}, next;
    bt_bench_resident(&start, &peak);
    for (int i = 0; i < o->iterations && status == BT_OK; i++) {
        status = read_seconds(o->weights, &reads[i]);
        if (status == BT_OK) status = open_once(o, dtype, start, i ? &next : &first);
        if (status == BT_OK) opens[i] = i ? next.seconds : first.seconds;
    }
    if (status == BT_OK) {
        double read = bt_bench_median(reads, o->iterations), ready = bt_bench_median(opens, o->iterations);
        double model = (double)first.model_bytes / 1e6, resident = (double)first.resident / 1e6,
               high = (double)first.peak / 1e6, encoding = (double)first.encoding / 1e6;
        if (o->json)
            printf("{\"bench\":\"open\",\"weights\":\"%s\",\"device\":\"%s\",\"dtype\":\"%s\",\"batch\":%d,"
                   "\"read_s\":%.3f,\"ready_s\":%.3f,\"model_mb\":%.1f,\"resident_mb\":%.1f,\"peak_mb\":%.1f,"
                   "\"encoding_mb\":%.1f}\n",
                   o->weights, o->device, o->dtype, o->batch, read, ready, model, resident, high, encoding);
        else
            printf("%s, %s on %s, batch %d\nread once     %7.2f s\nready         %7.2f s\none copy      %7.1f MB\n"
                   "resident      %7.1f MB above start: %.2f copies; peak while opening %.1f MB: %.2f\n"
                   "encoding      %7.1f MB above start, with the program's block: %.2f copies\n",
                   o->weights, o->dtype, o->device, o->batch, read, ready, model, resident, resident / model, high,
                   high / model, encoding, encoding / model);
    }
    bt_memory_free(reads);
    bt_memory_free(opens);
    return status;
}
