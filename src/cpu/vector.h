/* The table of vector loops over f32 arrays, built for three instruction sets (vector_simd.h has the loops, vector.c
 * the choice). */
#ifndef BITTERN_CPU_VECTOR_H
#define BITTERN_CPU_VECTOR_H

#include "base/cpu.h"

#include <stdint.h>

/** The scalars of one AdamW update over a segment. */
typedef struct bt_adamw_rates {
    float grad_scale;   /**< clipping: 1 or less */
    float decay_factor; /**< 1 - lr * decay */
    float one_less_beta1, beta2, one_less_beta2, eps;
    float step_size, bias2_sqrt; /**< of the group, as in bt_step */
} bt_adamw_rates;

typedef struct bt_vector {
    void (*from_bf16)(float *y, const uint16_t *x, int64_t n);
    void (*to_bf16)(uint16_t *y, const float *x, int64_t n); /**< as bt_bf16_of */

    /* Sums in double over sixteen lanes in a fixed order. */
    double (*sum)(const float *x, int64_t n);
    double (*dot)(const float *x, const float *y, int64_t n);
    double (*sum_squares_about)(const float *x, double center, int64_t n);

    /* Of one row, h = (x - mean) rstd; w and b may be NULL together. */
    void (*normalize)(float *y, const float *x, const float *w, const float *b, float mean, float rstd, int64_t n);
    void (*normalize_dx_sums)(double *sum_g, double *sum_gh, const float *dy, const float *x, const float *w,
                              float mean, float rstd, int64_t n); /**< g = dy w (w may be NULL): sums of g and of g h */
    void (*normalize_dx)(float *dx, const float *dy, const float *x, const float *w, const float *add, float mean,
                         float rstd, float mean_g, float mean_gh, int64_t n);
    void (*add_normalize_dw)(double *dw, double *db, const float *dy, const float *x, float mean, float rstd,
                             int64_t n); /**< dw += dy h, db += dy */

    void (*add_scaled)(float *y, const float *x, const float *f, const float *s, int64_t n); /**< s may be NULL: 1 */
    void (*scale_about)(float *y, const float *x, const float *center, const float *slope, const float *shift,
                        int64_t n); /**< y = (x - center) slope + shift */
    void (*multiply)(float *y, const float *x, const float *s, int64_t n);
    void (*divide)(float *y, const float *x, float divisor, int64_t n);
    void (*project)(float *y, const float *x, const float *u, const float *add, float factor, float divisor,
                    int64_t n); /**< y = (x - factor u) / divisor + add; add may be NULL */
    void (*add_product)(double *s, const float *x, const float *y, int64_t n); /**< s += x y */
    void (*add_weighted)(float *y, const float *x, float weight, int64_t n);   /**< y += weight x */
    void (*gelu)(float *y, const float *x, int64_t n);
    void (*gelu_dx)(float *dx, const float *dy, const float *x, int64_t n);
    void (*quick_gelu)(float *y, const float *x, int64_t n);
    void (*quick_gelu_dx)(float *dx, const float *dy, const float *x, int64_t n);
    void (*swiglu)(float *y, const float *a, const float *b, int64_t n); /**< y = a sigmoid(a) b */
    void (*swiglu_dx)(float *da, float *db, const float *dy, const float *a, const float *b, int64_t n);
    void (*rotate)(float *y, const float *x, const float *c, const float *s, float sign, int64_t half, int64_t heads);
    /**< each head of 2 half elements: [a c - b t | b c + a t], t = sign s */

    /* Double-precision blocks of the coding rate. */
    void (*add_gram)(double *c, int64_t ldc, const double *a, const double *b, int64_t ld, int64_t n);
    /**< c (4,8) += sum over n rows of a[0..3] b[0..7]; a and b point to the columns in the first row */
    void (*solve_cholesky)(double *x, const float *l, int64_t ld, int64_t n);
    /**< x (n,8) = (L L^T)^-1 x for eight right sides at once; l (n,n) lower */

    void (*move_toward)(float *y, const float *x, float weight, int64_t n); /**< y += weight (x - y) */
    void (*adamw)(float *param, const float *grad, float *m, float *v, const bt_adamw_rates *rates, int64_t n);
} bt_vector;

extern const bt_vector bt_vector_generic, bt_vector_avx2, bt_vector_avx512;

/** The widest that the processor has. */
const bt_vector *bt_vector_for(bt_isa isa);

#endif
