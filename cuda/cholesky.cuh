/* Cholesky factors of symmetric positive definite f32 matrices: own kernels up to BT_CHOLESKY_OWN rows (cholesky.cu),
 * cuSOLVER above (cholesky_solver.cu; host build: plain loops in double precision). No host synchronisation: a bad
 * pivot is recorded in the step block.
 */
#ifndef BITTERN_CUDA_CHOLESKY_CUH
#define BITTERN_CUDA_CHOLESKY_CUH

#include "tensor/backend.h"

/** The codes of a HashCoder have 16 to 128 bits, seldom more. One launch for all matrices, and it can be recorded into
 * a graph; the library's call is several kernels a matrix, made for matrices that fill the device. bt_cost_launches
 * knows this number too. */
constexpr int64_t BT_CHOLESKY_OWN = 128;

/** Raises *scratch_bytes to what factor and solve need for `batch` matrices of `order` rows. */
bt_status bt_cholesky_prepare(bt_device *device, int64_t batch, int64_t order, size_t *scratch_bytes);
/** In place: a (batch,order,order) symmetric (only the lower triangle is read) becomes its lower factor L, a = L L^T;
 * above the diagonal the content is unspecified. A non-positive pivot sets step->fault = 1 + op and fault_index = its
 * 1-based row; the factor is then unspecified. */
bt_status bt_cholesky_factor(bt_device *device, int64_t batch, int64_t order, float *a, bt_op op, void *scratch);
/** In place: each row of x (batch,rows,order), contiguous, is multiplied by the inverse of its matrix: x := x (L
 * L^T)^-1. */
bt_status bt_cholesky_solve(bt_device *device, int64_t batch, int64_t order, int64_t rows, const float *factor,
                            float *x, void *scratch);

/** The same by the library, for orders above BT_CHOLESKY_OWN. */
bt_status bt_solver_prepare(bt_device *device, int64_t batch, int64_t order, size_t *scratch_bytes);
bt_status bt_solver_factor(bt_device *device, int64_t batch, int64_t order, float *a, bt_op op, void *scratch);
bt_status bt_solver_solve(bt_device *device, int64_t batch, int64_t order, int64_t rows, const float *factor, float *x,
                          void *scratch);

#endif
