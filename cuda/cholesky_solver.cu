/* Cholesky factors of large matrices through cuSOLVER; the contract is in cholesky.cuh.
 *
 * cuSOLVER thinks in columns: our lower triangle by rows is its upper triangle by columns, and its a = U^T U gives U^T
 * = L in place. Rows x (rows,order) are the columns of its right-hand sides, so that potrs solves in place too.
 *
 * Matrices go one by one: there are as many as views (two); the batched routine is made for many small ones. Scratch is
 * [state of each matrix (batch) i32][cuSOLVER's workspace].
 */
#include "cholesky.cuh"
#include "libraries.cuh"

namespace {

size_t states_bytes(int64_t batch) {
    return bt_align256((size_t)batch * sizeof(int));
}

bt_status workspace_floats(bt_device *device, int64_t order, int *floats) {
    return bt_cuda_check_solver(cusolverDnSpotrf_bufferSize(bt_cuda_of(device)->libraries->solver,
                                                            CUBLAS_FILL_MODE_UPPER, (int)order, NULL, (int)order,
                                                            floats),
                                "workspace of a Cholesky factor");
}

constexpr int PIVOT_THREADS = 256;

/* The first bad matrix is named, whatever the others are. The library compares with 0, which NaN passes: a factor that
 * it calls good has its diagonal looked at. One block. */
__global__ void __launch_bounds__(PIVOT_THREADS)
    report_pivots(bt_step *step, const float *factors, const int *states, int64_t batch, int64_t order, bt_op op) {
    for (int64_t matrix = 0; matrix < batch; matrix++) {
        const float *factor = factors + matrix * order * order;
        int nearest = states[matrix] > 0 ? INT32_MAX - states[matrix] : 0; /* the lower the row, the larger */
        for (int64_t i = threadIdx.x; states[matrix] <= 0 && i < order; i += PIVOT_THREADS)
            if (!(factor[i * order + i] > 0.0f)) nearest = bt_max(nearest, INT32_MAX - (int)(i + 1));
        nearest = bt_block_max(nearest);
        if (threadIdx.x == 0 && nearest != 0) bt_report_fault(step, op, INT32_MAX - nearest);
    }
}

/* Whether cuSOLVER's calls may be recorded is nowhere said, and others have seen recordings that replay wrongly. */
bt_status refuse_recording(bt_device *device) {
    cudaStreamCaptureStatus state;
    BT_TRY(bt_cuda_check(cudaStreamIsCapturing(bt_cuda_stream(device), &state), "state of the stream"));
    if (state == cudaStreamCaptureStatusNone) return BT_OK;
    return bt_error(BT_ERR_UNSUPPORTED, "cuda: Cholesky factors of more than %lld rows are not recorded",
                    (long long)BT_CHOLESKY_OWN);
}

} // namespace

bt_status bt_solver_prepare(bt_device *device, int64_t batch, int64_t order, size_t *scratch_bytes) {
    BT_ASSERT(batch >= 1 && order >= 1);
    if (order > INT32_MAX)
        return bt_error(BT_ERR_UNSUPPORTED, "cuda: Cholesky factor of a matrix with %lld rows", (long long)order);
    int floats = 0;
    BT_TRY(workspace_floats(device, order, &floats));
    const size_t bytes = states_bytes(batch) + (size_t)floats * sizeof(float);
    if (*scratch_bytes < bytes) *scratch_bytes = bytes;
    return BT_OK;
}

bt_status bt_solver_factor(bt_device *device, int64_t batch, int64_t order, float *a, bt_op op, void *scratch) {
    BT_TRY(refuse_recording(device));
    cusolverDnHandle_t solver = bt_cuda_of(device)->libraries->solver;
    int *states = static_cast<int *>(scratch);
    float *workspace = reinterpret_cast<float *>(static_cast<char *>(scratch) + states_bytes(batch));
    int floats = 0;
    BT_TRY(workspace_floats(device, order, &floats));
    bt_cuda_launch_count += batch;
    for (int64_t matrix = 0; matrix < batch; matrix++)
        BT_TRY(bt_cuda_check_solver(cusolverDnSpotrf(solver, CUBLAS_FILL_MODE_UPPER, (int)order,
                                                     a + matrix * order * order, (int)order, workspace, floats,
                                                     states + matrix),
                                    "Cholesky factor"));
    return BT_LAUNCH((report_pivots), 1, PIVOT_THREADS, 0, bt_cuda_stream(device), device->step, a, states, batch,
                     order, op);
}

bt_status bt_solver_solve(bt_device *device, int64_t batch, int64_t order, int64_t rows, const float *factor, float *x,
                          void *scratch) {
    BT_TRY(refuse_recording(device));
    cusolverDnHandle_t solver = bt_cuda_of(device)->libraries->solver;
    BT_ASSERT(rows <= INT32_MAX);
    bt_cuda_launch_count += batch;
    for (int64_t matrix = 0; matrix < batch; matrix++)
        BT_TRY(bt_cuda_check_solver(
            cusolverDnSpotrs(solver, CUBLAS_FILL_MODE_UPPER, (int)order, (int)rows, factor + matrix * order * order,
                             (int)order, x + matrix * rows * order, (int)order, static_cast<int *>(scratch)),
            "Cholesky solve"));
    return BT_OK;
}
