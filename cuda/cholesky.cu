/* Cholesky factors of small matrices, and solves with them; the contract is in cholesky.cuh.
 *
 * factor  one block a matrix, which lies in shared memory; column by column, the rest of the matrix is updated at once
 *         (right-looking), so that a column costs two barriers. n^3/3 multiply-adds: latency, not arithmetic.
 * solve   one warp a row of x: L z = x by columns of L, then L^T y = z by rows of L. Lane l holds elements l, 32 + l,
 * .. of the row in registers; each step divides one element, sends it to all lanes, and subtracts its column.
 *
 * Rows of L in shared memory are an odd number of words apart, so neither rows nor columns meet in a bank.
 */
#include "cholesky.cuh"
#include "device.cuh"
#include "operands.cuh"

namespace {

constexpr int FACTOR_WARPS = 16, FACTOR_THREADS = 32 * FACTOR_WARPS;
constexpr int SOLVE_WARPS = 8, SOLVE_THREADS = 32 * SOLVE_WARPS;
constexpr int SOLVE_ROWS = 4 * SOLVE_WARPS; /* of a block: L is read once for four rows a warp */
constexpr int LANE_ELEMENTS = (int)BT_CHOLESKY_OWN / 32;

int padded(int64_t order) {
    return (int)order | 1;
}
size_t shared_bytes(int64_t order) {
    return (size_t)order * (size_t)padded(order) * sizeof(float);
}

/** a (matrices,n,n): lower triangles become L; what is above the diagonal stays. Block m has matrix m. A pivot that is
 * not positive ends the work on its matrix. */
__global__ void __launch_bounds__(FACTOR_THREADS) factor_matrix(bt_step *step, float *a, int n, int ld, bt_op op) {
    BT_SHARED_DYNAMIC(float, l);
    float *matrix = a + (int64_t)blockIdx.x * n * n;
    for (int i = (int)threadIdx.x; i < n * n; i += FACTOR_THREADS) l[i / n * ld + i % n] = matrix[i];
    __syncthreads();
    for (int col = 0; col < n; col++) {
        const float pivot = l[col * ld + col]; /* the same for all threads: they leave together */
        if (!(pivot > 0.0f)) {
            if (threadIdx.x == 0) bt_report_fault(step, op, col + 1);
            return;
        }
        const float root = sqrtf(pivot);
        __syncthreads(); /* all have read the pivot */
        for (int row = col + (int)threadIdx.x; row < n; row += FACTOR_THREADS)
            l[row * ld + col] = row == col ? root : l[row * ld + col] / root;
        __syncthreads();
        for (int row = col + 1 + (int)threadIdx.x / 32; row < n; row += FACTOR_WARPS) {
            const float factor = l[row * ld + col];
            for (int other = col + 1 + (int)threadIdx.x % 32; other <= row; other += 32)
                l[row * ld + other] -= factor * l[other * ld + col];
        }
        __syncthreads();
    }
    for (int i = (int)threadIdx.x; i < n * n; i += FACTOR_THREADS) matrix[i] = l[i / n * ld + i % n];
}

/** x (matrices,rows,n): each row := row (L L^T)^-1. Block (b, m) has rows b*SOLVE_ROWS.. of matrix m. Columns beyond n
 * are zeros that nothing reads. */
__global__ void __launch_bounds__(SOLVE_THREADS)
    solve_rows(float *x, const float *factors, int64_t rows, int n, int ld) {
    BT_SHARED_DYNAMIC(float, l);
    const float *matrix = factors + (int64_t)blockIdx.y * n * n;
    for (int i = (int)threadIdx.x; i < n * n; i += SOLVE_THREADS) l[i / n * ld + i % n] = matrix[i];
    __syncthreads();
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    for (int turn = 0; turn < SOLVE_ROWS / SOLVE_WARPS; turn++) {
        const int64_t row = (int64_t)blockIdx.x * SOLVE_ROWS + turn * SOLVE_WARPS + warp;
        if (row >= rows) return; /* a whole warp, and no barrier follows */
        float *mine = x + ((int64_t)blockIdx.y * rows + row) * n;
        float value[LANE_ELEMENTS];
#pragma unroll
        for (int k = 0; k < LANE_ELEMENTS; k++) value[k] = 32 * k + lane < n ? mine[32 * k + lane] : 0.0f;
#pragma unroll
        for (int k = 0; k < LANE_ELEMENTS; k++) {
            for (int i = 32 * k; i < n && i < 32 * k + 32; i++) {
                const float z = __shfl_sync(BT_FULL_WARP, value[k], i % 32) / l[i * ld + i];
                if (lane == i % 32) value[k] = z;
#pragma unroll
                for (int j = 0; j < LANE_ELEMENTS; j++)
                    if (32 * j + lane > i && 32 * j + lane < n) value[j] -= l[(32 * j + lane) * ld + i] * z;
            }
        }
#pragma unroll
        for (int k = LANE_ELEMENTS - 1; k >= 0; k--) {
            for (int i = (n < 32 * k + 32 ? n : 32 * k + 32) - 1; i >= 32 * k; i--) {
                const float y = __shfl_sync(BT_FULL_WARP, value[k], i % 32) / l[i * ld + i];
                if (lane == i % 32) value[k] = y;
#pragma unroll
                for (int j = 0; j < LANE_ELEMENTS; j++)
                    if (32 * j + lane < i) value[j] -= l[i * ld + 32 * j + lane] * y;
            }
        }
#pragma unroll
        for (int k = 0; k < LANE_ELEMENTS; k++)
            if (32 * k + lane < n) mine[32 * k + lane] = value[k];
    }
}

} // namespace

bt_status bt_cholesky_prepare(bt_device *device, int64_t batch, int64_t order, size_t *scratch_bytes) {
    BT_ASSERT(batch >= 1 && order >= 1);
    if (order > BT_CHOLESKY_OWN) return bt_solver_prepare(device, batch, order, scratch_bytes);
    BT_TRY(BT_ALLOW_SHARED((factor_matrix), shared_bytes(order)));
    return BT_ALLOW_SHARED((solve_rows), shared_bytes(order));
}

bt_status bt_cholesky_factor(bt_device *device, int64_t batch, int64_t order, float *a, bt_op op, void *scratch) {
    if (order > BT_CHOLESKY_OWN) return bt_solver_factor(device, batch, order, a, op, scratch);
    return BT_LAUNCH((factor_matrix), (unsigned)batch, FACTOR_THREADS, shared_bytes(order), bt_cuda_stream(device),
                     device->step, a, (int)order, padded(order), op);
}

bt_status bt_cholesky_solve(bt_device *device, int64_t batch, int64_t order, int64_t rows, const float *factors,
                            float *x, void *scratch) {
    if (order > BT_CHOLESKY_OWN) return bt_solver_solve(device, batch, order, rows, factors, x, scratch);
    return BT_LAUNCH((solve_rows), dim3(bt_blocks(rows, SOLVE_ROWS), (unsigned)batch), SOLVE_THREADS,
                     shared_bytes(order), bt_cuda_stream(device), x, factors, rows, (int)order, padded(order));
}
