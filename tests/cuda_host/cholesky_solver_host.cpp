/* The double of cuda/cholesky_solver.cu: plain loops in double precision, and as many launches counted. What the
 * contract leaves unspecified (above the diagonal, a factor with a bad pivot, the scratch) becomes NaN.
 */
#include "cholesky.cuh"
#include "kernel.cuh"

#include <math.h>
#include <string.h>
#include <vector>

namespace {

constexpr size_t SCRATCH_BYTES = 256;

/* The 1-based row of the first pivot that is not positive, or 0. */
int64_t factor_one(int64_t order, float *a) {
    std::vector<double> l((size_t)(order * order), 0.0);
    auto at = [&](int64_t row, int64_t col) -> double & { return l[(size_t)(row * order + col)]; };
    for (int64_t col = 0; col < order; col++) {
        double pivot = (double)a[col * order + col];
        for (int64_t k = 0; k < col; k++) pivot -= at(col, k) * at(col, k);
        if (!(pivot > 0.0)) return col + 1;
        at(col, col) = sqrt(pivot);
        for (int64_t row = col + 1; row < order; row++) {
            double value = (double)a[row * order + col];
            for (int64_t k = 0; k < col; k++) value -= at(row, k) * at(col, k);
            at(row, col) = value / at(col, col);
        }
    }
    for (int64_t row = 0; row < order; row++) {
        for (int64_t col = 0; col < order; col++) a[row * order + col] = col <= row ? (float)at(row, col) : NAN;
    }
    return 0;
}

/* x := x (L L^T)^-1 for one row x (order): L z = x, L^T x = z. */
void solve_row(int64_t order, const float *l, float *x) {
    std::vector<double> z((size_t)order);
    for (int64_t i = 0; i < order; i++) {
        double value = (double)x[i];
        for (int64_t k = 0; k < i; k++) value -= (double)l[i * order + k] * z[(size_t)k];
        z[(size_t)i] = value / (double)l[i * order + i];
    }
    for (int64_t i = order - 1; i >= 0; i--) {
        double value = z[(size_t)i];
        for (int64_t k = i + 1; k < order; k++) value -= (double)l[k * order + i] * z[(size_t)k];
        z[(size_t)i] = value / (double)l[i * order + i];
        x[i] = (float)z[(size_t)i];
    }
}

} // namespace

bt_status bt_solver_prepare(bt_device *, int64_t batch, int64_t order, size_t *scratch_bytes) {
    BT_ASSERT(batch >= 1 && order >= 1 && order <= INT32_MAX);
    if (*scratch_bytes < SCRATCH_BYTES) *scratch_bytes = SCRATCH_BYTES;
    return BT_OK;
}

bt_status bt_solver_factor(bt_device *device, int64_t batch, int64_t order, float *a, bt_op op, void *scratch) {
    bt_cuda_launch_count += batch + 1; /* the pivots are reported by a kernel */
    return bt_host::issue([=] {
        memset(scratch, 0xff, SCRATCH_BYTES);
        for (int64_t matrix = 0; matrix < batch; matrix++) {
            float *one = a + matrix * order * order;
            const int64_t pivot = factor_one(order, one);
            if (pivot == 0) continue;
            memset(one, 0xff, (size_t)(order * order) * sizeof(float));
            if (device->step->fault) continue;
            device->step->fault = 1 + (int32_t)op;
            device->step->fault_index = (int32_t)pivot;
        }
        return BT_OK;
    });
}

bt_status bt_solver_solve(bt_device *, int64_t batch, int64_t order, int64_t rows, const float *factor, float *x,
                          void *scratch) {
    bt_cuda_launch_count += batch;
    return bt_host::issue([=] {
        memset(scratch, 0xff, SCRATCH_BYTES);
        for (int64_t matrix = 0; matrix < batch; matrix++) {
            for (int64_t row = 0; row < rows; row++)
                solve_row(order, factor + matrix * order * order, x + (matrix * rows + row) * order);
        }
        return BT_OK;
    });
}
