/* Dtype checks and the split of work over threads (see cpu/rows.h). */
#include "cpu/rows.h"

#include <stdio.h>
#include <string.h>

#define LINE_BYTES 64
#define WORK_PER_THREAD 16384 /* elements: some ten microseconds, several times the cost of waking a thread */
#define SUM_CHUNKS 64         /* parts of a sum: work for as many threads */
#define SUM_CHUNK_ROWS 16     /* fewer rows in a part would cost more in adding parts */

static void allowed_text(int allowed, char *text, size_t text_bytes) {
    size_t used = 0;
    text[0] = 0;
    for (int dtype = BT_F32; dtype < BT_DTYPE_COUNT && used < text_bytes; dtype++) {
        if (!(allowed & 1 << dtype)) continue;
        used +=
            (size_t)snprintf(text + used, text_bytes - used, "%s%s", used ? ", " : "", bt_dtype_name((bt_dtype)dtype));
    }
}

bt_status bt_check_operands(const char *operation, const bt_operand_rule *rules, size_t count) {
    const bt_operand_rule *first = NULL;
    for (size_t i = 0; i < count; i++) {
        const bt_tensor *t = rules[i].tensor;
        if (!(rules[i].allowed & 1 << t->dtype)) {
            char allowed[64];
            allowed_text(rules[i].allowed, allowed, sizeof allowed);
            return bt_error(BT_ERR_UNSUPPORTED, "operation %s on cpu: operand %s is %s, allowed: %s", operation,
                            rules[i].name, bt_dtype_name(t->dtype), allowed);
        }
        if (!(rules[i].allowed & BT_SAME) || t->dtype == BT_NONE) continue;
        if (!first) first = &rules[i];
        if (t->dtype != first->tensor->dtype) {
            return bt_error(BT_ERR_UNSUPPORTED,
                            "operation %s on cpu: operand %s is %s but %s is %s; they must be alike", operation,
                            rules[i].name, bt_dtype_name(t->dtype), first->name, bt_dtype_name(first->tensor->dtype));
        }
    }
    return BT_OK;
}

void bt_copy_row(const bt_tensor *y, int64_t y_row, const bt_tensor *x, int64_t x_row) {
    size_t item_bytes = bt_dtype_bytes(y->dtype);
    memcpy((char *)y->data + (size_t)(y_row * y->ld) * item_bytes,
           (const char *)x->data + (size_t)(x_row * x->ld) * item_bytes, (size_t)bt_shape_cols(y->shape) * item_bytes);
}

static int threads_for(const bt_device *device, int64_t elements, int64_t parts) {
    int64_t useful = 1 + elements / WORK_PER_THREAD;
    if (useful > parts) useful = parts;
    int threads = bt_cpu_threads(device);
    return useful < threads ? (int)useful : threads;
}

static const bt_vector *vector_of(const bt_device *device) {
    return bt_vector_for(((const bt_cpu_device *)device)->cpu.isa);
}

size_t bt_rows_scratch_bytes(const bt_device *device, size_t buffer_bytes) {
    return bt_cpu_round_up(buffer_bytes, LINE_BYTES) * (size_t)bt_cpu_threads(device);
}

void bt_over_rows(bt_device *device, int64_t rows, int64_t elements, bt_rows_body body, const void *context,
                  size_t buffer_bytes, void *scratch) {
    if (rows <= 0) return;
    const bt_vector *v = vector_of(device);
    int threads = threads_for(device, elements, rows);
    size_t stride_bytes = bt_cpu_round_up(buffer_bytes, LINE_BYTES);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int part = 0; part < threads; part++) {
        int64_t begin, end;
        bt_cpu_part(rows, 1, part, threads, &begin, &end);
        body(context, v, begin, end, stride_bytes ? (char *)scratch + (size_t)part * stride_bytes : NULL);
    }
}

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

typedef struct map {
    const bt_tensor *y, *a, *b, *scale;
    bt_map_body body;
    int64_t cols, blocks; /* of a row */
} map;

#define MAP_BLOCK 1024 /* elements: three f32 buffers of it fit in the first cache beside what streams through */

static void map_blocks(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)unused;
    const map *m = context;
    _Alignas(LINE_BYTES) float buffer_a[MAP_BLOCK], buffer_b[MAP_BLOCK], buffer_y[MAP_BLOCK];
    for (int64_t block = begin; block < end; block++) {
        int64_t row = block / m->blocks, col = block % m->blocks * MAP_BLOCK;
        int64_t n = m->cols - col < MAP_BLOCK ? m->cols - col : MAP_BLOCK;
        const float *a = bt_row_read(v, m->a, row, col, n, buffer_a);
        const float *b = m->b ? bt_row_read(v, m->b, row, col, n, buffer_b) : NULL;
        const float *scale = m->scale && bt_present(m->scale) ? (const float *)m->scale->data + col : NULL;
        float *y = bt_row_target(m->y, row, col, buffer_y);
        m->body(v, y, a, b, scale, n);
        bt_row_write(v, m->y, row, col, n, y);
    }
}

static bool is_flat(const bt_tensor *t) {
    return !t || !bt_present(t) || t->ld == bt_shape_cols(t->shape);
}

void bt_map(bt_device *device, const bt_tensor *y, bt_map_body body, const bt_tensor *a, const bt_tensor *b,
            const bt_tensor *scale) {
    int64_t rows = bt_shape_rows(y->shape), cols = bt_shape_cols(y->shape), elements = rows * cols;
    if (elements == 0) return;
    if (is_flat(y) && is_flat(a) && is_flat(b) && !(scale && bt_present(scale))) { /* one long row: full blocks */
        rows = 1;
        cols = elements;
    }
    int64_t blocks = (cols + MAP_BLOCK - 1) / MAP_BLOCK;
    map m = {.y = y, .a = a, .b = b, .scale = scale, .body = body, .cols = cols, .blocks = blocks};
    bt_over_rows(device, rows * blocks, elements, map_blocks, &m, 0, NULL);
}

/* ---- sums over rows ---------------------------------------------------------------------------------------------- */

static int64_t rows_per_chunk(int64_t rows) {
    int64_t n = (rows + SUM_CHUNKS - 1) / SUM_CHUNKS;
    return n > SUM_CHUNK_ROWS ? n : SUM_CHUNK_ROWS;
}

static int64_t chunk_count(int64_t rows) {
    return (rows + rows_per_chunk(rows) - 1) / rows_per_chunk(rows);
}

static size_t sum_stride_bytes(int64_t width, size_t buffer_bytes) {
    return bt_cpu_round_up((size_t)width * sizeof(double), LINE_BYTES) + bt_cpu_round_up(buffer_bytes, LINE_BYTES);
}

size_t bt_sum_rows_scratch_bytes(int64_t rows, int64_t width, size_t buffer_bytes) {
    int64_t chunks = chunk_count(rows);
    return sum_stride_bytes(width, buffer_bytes) * (size_t)(chunks > 0 ? chunks : 1);
}

typedef struct row_sums {
    bt_sum_body body;
    const void *context;
    int64_t rows, width;
    size_t stride_bytes;
    char *scratch;
} row_sums;

static void sum_chunks(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)unused;
    const row_sums *s = context;
    int64_t step = rows_per_chunk(s->rows);
    for (int64_t chunk = begin; chunk < end; chunk++) {
        double *sums = (double *)(void *)(s->scratch + (size_t)chunk * s->stride_bytes);
        memset(sums, 0, (size_t)s->width * sizeof *sums);
        void *buffer = (char *)sums + bt_cpu_round_up((size_t)s->width * sizeof *sums, LINE_BYTES);
        int64_t last = (chunk + 1) * step < s->rows ? (chunk + 1) * step : s->rows;
        s->body(s->context, v, chunk * step, last, sums, buffer);
    }
}

const double *bt_sum_rows(bt_device *device, int64_t rows, int64_t width, int64_t elements, bt_sum_body body,
                          const void *context, size_t buffer_bytes, void *scratch) {
    row_sums s = {.body = body,
                  .context = context,
                  .rows = rows,
                  .width = width,
                  .stride_bytes = sum_stride_bytes(width, buffer_bytes),
                  .scratch = scratch};
    double *total = scratch;
    int64_t chunks = chunk_count(rows);
    if (chunks == 0) memset(total, 0, (size_t)width * sizeof *total);
    bt_over_rows(device, chunks, elements, sum_chunks, &s, 0, NULL);
    for (int64_t chunk = 1; chunk < chunks; chunk++) {
        const double *part = (const double *)(const void *)(s.scratch + (size_t)chunk * s.stride_bytes);
        for (int64_t i = 0; i < width; i++) total[i] += part[i];
    }
    return total;
}

void bt_store_sums(const bt_tensor *out, int64_t first, const double *sums, int64_t n, int accumulate) {
    if (!bt_present(out)) return;
    float *y = (float *)out->data + first;
    for (int64_t i = 0; i < n; i++) y[i] = accumulate ? (float)((double)y[i] + sums[i]) : (float)sums[i];
}

void bt_set_fault(bt_device *device, bt_op op, int64_t index) {
    if (device->step->fault) return;
    device->step->fault = 1 + (int32_t)op;
    device->step->fault_index = (int32_t)index;
}
