/* Copies of frozen matrices; the contract is in frozen.cuh. */
#include "frozen.cuh"

#include <stdlib.h>

struct bt_frozen_copy {
    bt_scaled_matrix key;
    void *data;
    int users;
    bt_frozen_copy *next;
};

namespace {

constexpr int SCALE_THREADS = 256;

/** One element a thread: this is done once for a plan, or for a bias. */
template <typename S, typename T>
__global__ void __launch_bounds__(SCALE_THREADS)
    scale_matrix(T *out, const S *source, const float *scale, int64_t rows, int64_t cols, int64_t ld) {
    const int64_t at = (int64_t)blockIdx.x * SCALE_THREADS + threadIdx.x;
    if (at >= rows * cols) return;
    const int64_t row = at / cols;
    const float value = bt_to_float(source[row * ld + (at - row * cols)]);
    out[at] = bt_from_float<T>(scale == NULL ? value : scale[row] * value);
}

template <typename S, typename T> bt_status launch(bt_device *device, const bt_scaled_matrix *m, void *out) {
    return BT_LAUNCH((scale_matrix<S, T>), bt_blocks(m->rows * m->cols, SCALE_THREADS), SCALE_THREADS, 0,
                     bt_cuda_stream(device), static_cast<T *>(out), static_cast<const S *>(m->source), m->scale,
                     m->rows, m->cols, m->ld);
}

bool same(const bt_scaled_matrix &a, const bt_scaled_matrix &b) {
    return a.source == b.source && a.scale == b.scale && a.rows == b.rows && a.cols == b.cols && a.ld == b.ld &&
           a.dtype == b.dtype && a.out_dtype == b.out_dtype;
}

} // namespace

bt_status bt_scale_matrix(bt_device *device, const bt_scaled_matrix *m, void *out) {
    if (m->dtype == BT_F32)
        return m->out_dtype == BT_F32 ? launch<float, float>(device, m, out) : launch<float, bt_bf16>(device, m, out);
    BT_ASSERT(m->dtype == BT_BF16 && m->out_dtype == BT_BF16);
    return launch<bt_bf16, bt_bf16>(device, m, out);
}

bt_status bt_frozen_take(bt_device *device, const bt_scaled_matrix *what, bt_frozen_copy **out) {
    bt_frozen_copy **list = &bt_cuda_of(device)->frozen;
    for (bt_frozen_copy *copy = *list; copy; copy = copy->next) {
        if (!same(copy->key, *what)) continue;
        copy->users++;
        *out = copy;
        return BT_OK;
    }
    bt_frozen_copy *made = static_cast<bt_frozen_copy *>(calloc(1, sizeof *made));
    if (!made) return bt_error(BT_ERR_MEMORY, "cuda: no memory for the copy of a weight");
    made->key = *what;
    made->users = 1;
    bt_status status = device->backend->alloc(device, bt_scaled_bytes(*what), &made->data);
    if (status == BT_OK) status = bt_scale_matrix(device, what, made->data);
    if (status != BT_OK) {
        if (made->data) device->backend->free(device, made->data);
        free(made);
        return status;
    }
    made->next = *list;
    *list = made;
    *out = made;
    return BT_OK;
}

const void *bt_frozen_data(const bt_frozen_copy *copy) {
    return copy->data;
}

void bt_frozen_drop(bt_device *device, bt_frozen_copy *copy) {
    if (!copy || --copy->users > 0) return;
    bt_frozen_copy **at = &bt_cuda_of(device)->frozen;
    while (*at != copy) at = &(*at)->next;
    *at = copy->next;
    device->backend->free(device, copy->data);
    free(copy);
}
