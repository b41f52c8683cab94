/* Loops over f32 arrays that must run near the speed of memory, mostly plain C that compilers turn into vectors.
 *
 * vector.c, vector_avx2.c and vector_avx512.c include this file, each under its own compiler flags (see cpu/vmath.h).
 * No loop contracts multiply-adds but those with an exponential, and sums run over sixteen fixed lanes in double, so
 * all three copies give the same bits; the exponentials' (GELU, sigmoid) differ in the last one.
 *
 * Arrays have n elements. An output may be the same array as an input, but may not overlap one otherwise.
 */
#include "cpu/vector.h"
#include "cpu/vmath.h"

#include <math.h>
#include <string.h>

#define HALF 8 /* a cache line of double: half of the lanes of a sum, the width of a block */
#define EACH_LANE _Pragma("omp simd") for (int k = 0; k < HALF; k++)
#define EACH _Pragma("omp simd") for (int64_t i = 0; i < n; i++)

/* Adds the two halves of sixteen lanes in a fixed tree. */
static inline double add_lanes(const double *even, const double *odd) {
    double s[HALF];
    for (int k = 0; k < HALF; k++) s[k] = even[k] + odd[k];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* result = the sum of `term`, a double expression in the index `at`, over 0..n-1. A macro, because the lanes stay in
 * registers only when they are local arrays of the loop. */
#define SUM(result, term)                                                                                              \
    do {                                                                                                               \
        double even[HALF] = {0}, odd[HALF] = {0};                                                                      \
        int64_t i = 0;                                                                                                 \
        for (; i + 2 * HALF <= n; i += 2 * HALF) {                                                                     \
            EACH_LANE {                                                                                                \
                int64_t at = i + k;                                                                                    \
                even[k] += (term);                                                                                     \
                at += HALF;                                                                                            \
                odd[k] += (term);                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        for (int k = 0; i < n; i++, k = (k + 1) % HALF) {                                                              \
            int64_t at = i;                                                                                            \
            even[k] += (term);                                                                                         \
        }                                                                                                              \
        (result) = add_lanes(even, odd);                                                                               \
    } while (0)

static void from_bf16(float *y, const uint16_t *x, int64_t n) {
    EACH {
        uint32_t bits = (uint32_t)x[i] << 16;
        memcpy(&y[i], &bits, sizeof bits);
    }
}

static void to_bf16(uint16_t *y, const float *x, int64_t n) {
    EACH {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        uint32_t nearest_even = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
        uint32_t quiet_nan = (bits >> 16) | 0x40u;
        y[i] = (uint16_t)((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet_nan : nearest_even);
    }
}

static double sum(const float *x, int64_t n) {
    double s;
    SUM(s, (double)x[at]);
    return s;
}

static double dot(const float *x, const float *y, int64_t n) {
    double s;
    SUM(s, (double)x[at] * (double)y[at]);
    return s;
}

static double sum_squares_about(const float *x, double center, int64_t n) {
    double s;
    SUM(s, ((double)x[at] - center) * ((double)x[at] - center));
    return s;
}

/* ---- layer norm -------------------------------------------------------------------------------------------------- */

static void normalize(float *y, const float *x, const float *w, const float *b, float mean, float rstd, int64_t n) {
    if (w) {
        EACH y[i] = (x[i] - mean) * rstd * w[i] + b[i];
    } else {
        EACH y[i] = (x[i] - mean) * rstd;
    }
}

static void normalize_dx_sums(double *sum_g, double *sum_gh, const float *dy, const float *x, const float *w,
                              float mean, float rstd, int64_t n) {
    if (w) {
        SUM(*sum_g, (double)(dy[at] * w[at]));
        SUM(*sum_gh, (double)(dy[at] * w[at]) * (double)((x[at] - mean) * rstd));
    } else {
        SUM(*sum_g, (double)dy[at]);
        SUM(*sum_gh, (double)dy[at] * (double)((x[at] - mean) * rstd));
    }
}

/* One copy of the loop for each set of operands, so that no choice is made inside. */
static void normalize_dx(float *dx, const float *dy, const float *x, const float *w, const float *add, float mean,
                         float rstd, float mean_g, float mean_gh, int64_t n) {
    if (w && add) {
        EACH dx[i] = rstd * (dy[i] * w[i] - mean_g - (x[i] - mean) * rstd * mean_gh) + add[i];
    } else if (w) {
        EACH dx[i] = rstd * (dy[i] * w[i] - mean_g - (x[i] - mean) * rstd * mean_gh);
    } else if (add) {
        EACH dx[i] = rstd * (dy[i] - mean_g - (x[i] - mean) * rstd * mean_gh) + add[i];
    } else {
        EACH dx[i] = rstd * (dy[i] - mean_g - (x[i] - mean) * rstd * mean_gh);
    }
}

static void add_normalize_dw(double *dw, double *db, const float *dy, const float *x, float mean, float rstd,
                             int64_t n) {
    EACH {
        dw[i] += (double)dy[i] * (double)((x[i] - mean) * rstd);
        db[i] += (double)dy[i];
    }
}

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

/* y = x + s f, s = 1 when absent */
static void add_scaled(float *y, const float *x, const float *f, const float *s, int64_t n) {
    if (s) {
        EACH y[i] = x[i] + s[i] * f[i];
    } else {
        EACH y[i] = x[i] + f[i];
    }
}

static void scale_about(float *y, const float *x, const float *center, const float *slope, const float *shift,
                        int64_t n) {
    EACH y[i] = (x[i] - center[i]) * slope[i] + shift[i];
}

static void multiply(float *y, const float *x, const float *s, int64_t n) {
    EACH y[i] = x[i] * s[i];
}

static void divide(float *y, const float *x, float divisor, int64_t n) {
    EACH y[i] = x[i] / divisor;
}

static void project(float *y, const float *x, const float *u, const float *add, float factor, float divisor,
                    int64_t n) {
    if (add) {
        EACH y[i] = (x[i] - factor * u[i]) / divisor + add[i];
    } else {
        EACH y[i] = (x[i] - factor * u[i]) / divisor;
    }
}

static void add_product(double *s, const float *x, const float *y, int64_t n) {
    EACH s[i] += (double)x[i] * (double)y[i];
}

static void add_weighted(float *y, const float *x, float weight, int64_t n) {
    EACH y[i] += weight * x[i];
}

static void gelu(float *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += BT_LANES) {
        bt_vf density, v = bt_vf_get(x, i, n - i, false);
        bt_vf_put(y, i, n - i, false, v * bt_vf_normal(v, &density));
    }
}

static void gelu_dx(float *dx, const float *dy, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += BT_LANES) {
        bt_vf density, v = bt_vf_get(x, i, n - i, false);
        bt_vf slope = bt_vf_normal(v, &density);
        bt_vf_put(dx, i, n - i, false, bt_vf_get(dy, i, n - i, false) * (slope + v * density));
    }
}

#define QUICK 1.702f

static void quick_gelu(float *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += BT_LANES) {
        bt_vf slope, v = bt_vf_get(x, i, n - i, false);
        bt_vf_put(y, i, n - i, false, v * bt_vf_sigmoid(v * QUICK, &slope));
    }
}

static void quick_gelu_dx(float *dx, const float *dy, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += BT_LANES) {
        bt_vf slope, v = bt_vf_get(x, i, n - i, false) * QUICK;
        bt_vf s = bt_vf_sigmoid(v, &slope);
        bt_vf_put(dx, i, n - i, false, bt_vf_get(dy, i, n - i, false) * (s + v * slope));
    }
}

static void swiglu(float *y, const float *a, const float *b, int64_t n) {
    for (int64_t i = 0; i < n; i += BT_LANES) {
        bt_vf slope, v = bt_vf_get(a, i, n - i, false);
        bt_vf_put(y, i, n - i, false, v * bt_vf_sigmoid(v, &slope) * bt_vf_get(b, i, n - i, false));
    }
}

static void swiglu_dx(float *da, float *db, const float *dy, const float *a, const float *b, int64_t n) {
    for (int64_t i = 0; i < n; i += BT_LANES) {
        bt_vf slope, v = bt_vf_get(a, i, n - i, false), g = bt_vf_get(dy, i, n - i, false);
        bt_vf s = bt_vf_sigmoid(v, &slope), u = bt_vf_get(b, i, n - i, false);
        bt_vf_put(da, i, n - i, false, g * u * (s + v * slope));
        bt_vf_put(db, i, n - i, false, g * (v * s));
    }
}

static void rotate(float *y, const float *x, const float *c, const float *s, float sign, int64_t half, int64_t heads) {
    const int64_t n = half;
    for (int64_t h = 0; h < heads; h++, x += 2 * half, y += 2 * half) {
        EACH {
            float a = x[i], b = x[half + i], t = sign * s[i];
            y[i] = a * c[i] - b * t;
            y[half + i] = b * c[i] + a * t;
        }
    }
}

/* ---- coding rate ------------------------------------------------------------------------------------------------- */

static void add_gram(double *c, int64_t ldc, const double *a, const double *b, int64_t ld, int64_t n) {
    double c0[HALF] = {0}, c1[HALF] = {0}, c2[HALF] = {0}, c3[HALF] = {0};
    for (int64_t row = 0; row < n; row++, a += ld, b += ld) {
        EACH_LANE {
            c0[k] += a[0] * b[k];
            c1[k] += a[1] * b[k];
            c2[k] += a[2] * b[k];
            c3[k] += a[3] * b[k];
        }
    }
    for (int k = 0; k < HALF; k++) {
        c[k] += c0[k];
        c[ldc + k] += c1[k];
        c[2 * ldc + k] += c2[k];
        c[3 * ldc + k] += c3[k];
    }
}

/* Both halves go along rows of L: L y = x with sums down x, then L^T x = y by taking each finished x from those above.
 */
static void solve_cholesky(double *x, const float *l, int64_t ld, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const float *row = l + i * ld;
        double even[HALF] = {0}, odd[HALF] = {0};
        int64_t j = 0;
        for (; j + 2 <= i; j += 2) {
            const double *y = x + j * HALF;
            double even_l = (double)row[j], odd_l = (double)row[j + 1];
            EACH_LANE {
                even[k] += even_l * y[k];
                odd[k] += odd_l * y[HALF + k];
            }
        }
        double last = j < i ? (double)row[j] : 0, pivot = (double)row[i];
        for (int k = 0; k < HALF; k++) even[k] += odd[k] + (j < i ? last * x[j * HALF + k] : 0);
        for (int k = 0; k < HALF; k++) x[i * HALF + k] = (x[i * HALF + k] - even[k]) / pivot;
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        const float *row = l + i * ld;
        double done[HALF];
        for (int k = 0; k < HALF; k++) done[k] = x[i * HALF + k] /= (double)row[i];
        for (int64_t j = 0; j < i; j++) {
            double *y = x + j * HALF;
            double factor = (double)row[j];
            EACH_LANE y[k] -= factor * done[k];
        }
    }
}

/* ---- optimizer --------------------------------------------------------------------------------------------------- */

static void move_toward(float *y, const float *x, float weight, int64_t n) {
    EACH y[i] += weight * (x[i] - y[i]);
}

static void adamw(float *param, const float *grad, float *m, float *v, const bt_adamw_rates *a, int64_t n) {
    bt_adamw_rates r = *a;
    EACH {
        float g = grad[i] * r.grad_scale;
        float p = param[i] * r.decay_factor;
        float mean = m[i] + (g - m[i]) * r.one_less_beta1;
        float square = v[i] * r.beta2 + r.one_less_beta2 * g * g;
        m[i] = mean;
        v[i] = square;
        param[i] = p - r.step_size * (mean / (sqrtf(square) / r.bias2_sqrt + r.eps));
    }
}

const bt_vector BT_SIMD(bt_vector) = {
    .from_bf16 = from_bf16,
    .to_bf16 = to_bf16,
    .sum = sum,
    .dot = dot,
    .sum_squares_about = sum_squares_about,
    .normalize = normalize,
    .normalize_dx_sums = normalize_dx_sums,
    .normalize_dx = normalize_dx,
    .add_normalize_dw = add_normalize_dw,
    .add_scaled = add_scaled,
    .scale_about = scale_about,
    .multiply = multiply,
    .divide = divide,
    .project = project,
    .add_product = add_product,
    .add_weighted = add_weighted,
    .gelu = gelu,
    .gelu_dx = gelu_dx,
    .quick_gelu = quick_gelu,
    .quick_gelu_dx = quick_gelu_dx,
    .swiglu = swiglu,
    .swiglu_dx = swiglu_dx,
    .rotate = rotate,
    .add_gram = add_gram,
    .solve_cholesky = solve_cholesky,
    .move_toward = move_toward,
    .adamw = adamw,
};
