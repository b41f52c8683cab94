/* Views of pictures, through the same code that the loader runs (src/pixels). Threads take single views: their cost
 * depends on the pictures. Working memory is one set a thread; it grows to the largest picture seen and stays. */
#include "cpu/device.h"
#include "cpu/rows.h"

#include "base/memory.h"
#include "pixels/colour.h"
#include "pixels/resample.h"

#include <stdio.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

typedef struct worker {
    bt_resampler resampler;
    bt_colour_memory colour;
} worker;

typedef struct workers {
    int count;
    worker *list;
} workers;

static void release(void *state) {
    workers *w = state;
    for (int i = 0; i < w->count; i++) {
        bt_resampler_free(&w->list[i].resampler);
        bt_colour_memory_free(&w->list[i].colour);
    }
    bt_memory_free(w->list);
    bt_memory_free(w);
}

static bool contiguous(const bt_tensor *t) {
    return t->ld == bt_shape_cols(t->shape) || bt_shape_rows(t->shape) == 1;
}

static bt_status prepare(bt_device *device, const bt_make_views_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("make_views", {"pixels", &a->pixels, BT_ALLOW_U8}, {"views", &a->views, BT_ALLOW_U8},
                             {"y", &a->y, BT_ALLOW_U8}));
    BT_ASSERT(bt_shape_cols(a->views.shape) == (int64_t)sizeof(bt_view_record));
    if (!contiguous(&a->pixels) || !contiguous(&a->y))
        return bt_error(BT_ERR_UNSUPPORTED, "make_views on cpu: pixels and y must be contiguous");
    workers *w = bt_memory_zeroed(1, sizeof *w);
    if (!w) return BT_ERR_MEMORY;
    w->count = bt_cpu_of(device)->threads;
    w->list = bt_memory_zeroed((size_t)w->count, sizeof *w->list);
    if (!w->list) {
        bt_memory_free(w);
        return BT_ERR_MEMORY;
    }
    out->state = w;
    out->release = release;
    return BT_OK;
}

static bt_view_record record_of(const bt_make_views_args *a, int64_t row) {
    bt_view_record record;
    memcpy(&record, (const char *)a->views.data + row * a->views.ld, sizeof record);
    return record;
}

static bt_status make(const bt_make_views_args *a, int64_t row, worker *w) {
    bt_view_record r = record_of(a, row);
    int64_t size = a->y.shape.dim[1], bytes = size * size * 3;
    uint8_t *out = (uint8_t *)a->y.data + row * bytes;
    if (!bt_record_valid(&r, bt_shape_count(a->pixels.shape), size)) {
        memset(out, 0, (size_t)bytes);
        return BT_OK;
    }
    const uint8_t *pixels = (const uint8_t *)a->pixels.data + r.offset;
    BT_TRY(bt_resample(&w->resampler, pixels, r.height, r.width, &r.view, out));
    return bt_colour_apply(&w->colour, &r.colour, out, size, size);
}

static int thread_number(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

static bt_status run(bt_device *device, const bt_make_views_args *a, const bt_prepared *prepared, void *scratch) {
    (void)scratch;
    const workers *w = prepared->state;
    int64_t count = bt_shape_rows(a->views.shape), size = a->y.shape.dim[1];
    int failed = 0; /* only memory can be missing; the message is another thread's, so it is written again */
#pragma omp parallel for num_threads(w->count) schedule(dynamic) reduction(| : failed)
    for (int64_t row = 0; row < count; row++) failed |= make(a, row, &w->list[thread_number()]) != BT_OK;
    if (failed) return bt_error(BT_ERR_MEMORY, "make_views on cpu: no memory for the rows of a picture");
    for (int64_t row = 0; row < count; row++) {
        bt_view_record r = record_of(a, row);
        if (bt_record_valid(&r, bt_shape_count(a->pixels.shape), size)) continue;
        bt_set_fault(device, BT_OP_make_views, row);
        break;
    }
    return BT_OK;
}

const bt_make_views_kernel bt_cpu_make_views = {prepare, run};
