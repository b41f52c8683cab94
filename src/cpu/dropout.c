/* Dropout over a tensor, 4 lanes and the choice of the width. */
#define BT_SIMD_GENERIC
#include "cpu/dropout_simd.h"

#include "cpu/rows.h"

typedef void (*row_function)(float *y, const float *x, int64_t n, const bt_dropout_draw *draw);

static row_function row_function_for(bt_isa isa) {
#ifdef BITTERN_WITH_SIMD
    if (isa == BT_ISA_AVX512) return bt_dropout_row_avx512;
    if (isa == BT_ISA_AVX2) return bt_dropout_row_avx2;
#else
    (void)isa;
#endif
    return bt_dropout_row_generic;
}

typedef struct job {
    const bt_tensor *y, *x, *add;
    const int64_t *ids;
    int64_t rows_per_sample;
    bt_dropout_draw draw;
    row_function row;
} job;

static void drop_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *buffer) {
    const job *j = context;
    const int64_t cols = bt_shape_cols(j->x->shape);
    float *in = buffer, *dropped = in + cols, *add_buffer = dropped + cols;
    for (int64_t row = begin; row < end; row++) {
        bt_dropout_draw draw = j->draw;
        draw.id = j->ids[row / j->rows_per_sample];
        draw.first = row % j->rows_per_sample * cols;
        const float *x = bt_row_read(v, j->x, row, 0, cols, in);
        j->row(dropped, x, cols, &draw);
        const float *add = bt_row_read(v, j->add, row, 0, cols, add_buffer);
        float *y = bt_row_target(j->y, row, 0, in);
        if (add)
            v->add_scaled(y, add, dropped, NULL, cols);
        else
            memcpy(y, dropped, (size_t)cols * sizeof *y);
        bt_row_write(v, j->y, row, 0, cols, y);
    }
}

static size_t buffer_bytes(const bt_tensor *x) {
    return 3 * sizeof(float) * (size_t)bt_shape_cols(x->shape);
}

size_t bt_dropout_scratch_bytes(const bt_device *device, const bt_tensor *x) {
    return bt_rows_scratch_bytes(device, buffer_bytes(x));
}

void bt_dropout_apply(bt_device *device, const bt_tensor *y, const bt_tensor *x, const bt_tensor *add,
                      const bt_tensor *ids, float rate, int stream, void *scratch) {
    int64_t rows = bt_shape_rows(x->shape);
    job j = {.y = y, .x = x, .add = add, .ids = ids->data, .rows_per_sample = rows / x->shape.dim[0]};
    j.draw = (bt_dropout_draw){
        .seed = device->step->seed, .step = device->step->step, .stream = (uint32_t)stream, .rate = rate};
    j.row = row_function_for(bt_cpu_of(device)->cpu.isa);
    bt_over_rows(device, rows, bt_shape_count(x->shape), drop_rows, &j, buffer_bytes(x), scratch);
}
