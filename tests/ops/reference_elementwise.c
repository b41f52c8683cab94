/* float64 references of gelu, quick_gelu, swiglu, relu, add, cast and zero. */
#include "ops_test.h"
#include "references.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void reference_gelu(ref_gelu *a) {
    for (int64_t i = 0; i < ref_count(&a->x); i++) a->y.v[i] = a->x.v[i] / 2 * (1 + erf(a->x.v[i] / sqrt(2)));
}

void reference_gelu_dx(ref_gelu_dx *a) {
    for (int64_t i = 0; i < ref_count(&a->x); i++) {
        double x = a->x.v[i], cdf = (1 + erf(x / sqrt(2))) / 2,
               pdf = exp(-x * x / 2) / sqrt(2 * 3.14159265358979323846);
        a->dx.v[i] = a->dy.v[i] * (cdf + x * pdf);
    }
}

double primal_gelu_dx(void *ref) {
    ref_gelu_dx *a = ref;
    ref_gelu f = {.x = a->point.dx, .y = ref_like(&a->x)};
    reference_gelu(&f);
    double sum = ref_dot(f.y.v, a->dy.v, ref_count(&a->dy));
    free(f.y.v);
    return sum;
}

void reference_quick_gelu(ref_quick_gelu *a) {
    for (int64_t i = 0; i < ref_count(&a->x); i++) a->y.v[i] = a->x.v[i] / (1 + exp(-1.702 * a->x.v[i]));
}

void reference_quick_gelu_dx(ref_quick_gelu_dx *a) {
    for (int64_t i = 0; i < ref_count(&a->x); i++) {
        double x = a->x.v[i], s = 1 / (1 + exp(-1.702 * x));
        a->dx.v[i] = a->dy.v[i] * (s + 1.702 * x * s * (1 - s));
    }
}

double primal_quick_gelu_dx(void *ref) {
    ref_quick_gelu_dx *a = ref;
    ref_quick_gelu f = {.x = a->point.dx, .y = ref_like(&a->x)};
    reference_quick_gelu(&f);
    double sum = ref_dot(f.y.v, a->dy.v, ref_count(&a->dy));
    free(f.y.v);
    return sum;
}

/* Column c of y has its gate in column c of x and its value in column h + c. */
void reference_swiglu(ref_swiglu *a) {
    int64_t h = a->y.cols;
    for (int64_t i = 0; i < ref_count(&a->y); i++) {
        const double *row = a->x.v + i / h * 2 * h;
        double gate = row[i % h];
        a->y.v[i] = gate / (1 + exp(-gate)) * row[h + i % h];
    }
}

void reference_swiglu_dx(ref_swiglu_dx *a) {
    int64_t h = a->dy.cols;
    for (int64_t i = 0; i < ref_count(&a->dy); i++) {
        const double *row = a->x.v + i / h * 2 * h;
        double *out = a->dx.v + i / h * 2 * h, gate = row[i % h], s = 1 / (1 + exp(-gate));
        out[i % h] = a->dy.v[i] * row[h + i % h] * (s + gate * s * (1 - s));
        out[h + i % h] = a->dy.v[i] * gate * s;
    }
}

double primal_swiglu_dx(void *ref) {
    ref_swiglu_dx *a = ref;
    ref_swiglu f = {.x = a->point.dx, .y = ref_like(&a->dy)};
    reference_swiglu(&f);
    double sum = ref_dot(f.y.v, a->dy.v, ref_count(&a->dy));
    free(f.y.v);
    return sum;
}

void reference_relu(ref_relu *a) {
    for (int64_t i = 0; i < ref_count(&a->x); i++) a->y.v[i] = isnan(a->x.v[i]) || a->x.v[i] > 0 ? a->x.v[i] : 0;
}

void derive_relu(void *ref) {
    ref_relu *a = ref;
    if (ref_count(&a->x) > 2) {
        a->x.v[0] = NAN;
        a->x.v[1] = 0;
    }
}

void reference_relu_dx(ref_relu_dx *a) {
    for (int64_t i = 0; i < ref_count(&a->y); i++) a->dx.v[i] = a->y.v[i] > 0 ? a->dy.v[i] : 0;
}

/* The point is kept away from the kink, so that a difference quotient does not straddle it. */
void derive_relu_dx(void *ref) {
    ref_relu_dx *a = ref;
    for (int64_t i = 0; i < ref_count(&a->y); i++) {
        double *x = a->point.dx.v + i;
        *x = copysign(fmax(fabs(*x), 0.05), *x);
        a->y.v[i] = fmax(*x, 0);
    }
}

double primal_relu_dx(void *ref) {
    ref_relu_dx *a = ref;
    double sum = 0;
    for (int64_t i = 0; i < ref_count(&a->y); i++) sum += a->dy.v[i] * fmax(a->point.dx.v[i], 0);
    return sum;
}

void reference_add(ref_add *a) {
    for (int64_t i = 0; i < ref_count(&a->x); i++)
        a->y.v[i] = a->x.v[i] + (a->scale.v ? a->scale.v[i % a->x.cols] : 1) * a->f.v[i];
}

void reference_add_df(ref_add_df *a) {
    for (int64_t i = 0; i < ref_count(&a->dy); i++) a->df.v[i] = a->scale.v[i % a->dy.cols] * a->dy.v[i];
}

static double contract_add(const ref_tensor *dy, ref_tensor f, ref_tensor scale) {
    ref_add forward = {.x = ref_like(dy), .f = f, .scale = scale, .y = ref_like(dy)};
    reference_add(&forward);
    double sum = ref_dot(forward.y.v, dy->v, ref_count(dy));
    free(forward.x.v);
    free(forward.y.v);
    return sum;
}

double primal_add_df(void *ref) {
    ref_add_df *a = ref;
    return contract_add(&a->dy, a->point.df, a->scale);
}

void reference_add_dscale(ref_add_dscale *a) {
    memset(a->dscale.v, 0, (size_t)a->dy.cols * sizeof(double));
    for (int64_t i = 0; i < ref_count(&a->dy); i++) a->dscale.v[i % a->dy.cols] += a->dy.v[i] * a->f.v[i];
}

double primal_add_dscale(void *ref) {
    ref_add_dscale *a = ref;
    return contract_add(&a->dy, a->f, a->point.dscale);
}

/* The harness rounds what these leave to the output's dtype and compares bits. */
void reference_cast(ref_cast *a) {
    memcpy(a->y.v, a->x.v, (size_t)ref_count(&a->x) * sizeof(double));
}
void reference_cast_store(ref_cast_store *a) {
    memcpy(a->y.v, a->x.v, (size_t)ref_count(&a->x) * sizeof(double));
}
void reference_zero(ref_zero *a) {
    memset(a->x.v, 0, (size_t)ref_count(&a->x) * sizeof(double));
}

/* Ties to even in both directions, the largest f32 (to infinity), both zeros, a small value, infinity, NaN. */
void derive_cast(void *ref) {
    static const double special[] = {
        1 + 0x1p-8, 1 + 3 * 0x1p-8, -(1 + 0x1p-8), 1 + 0x1p-8 + 0x1p-20, 0x1.fffffep127, -0.0, 0x1p-126, INFINITY, NAN};
    ref_cast *a = ref; /* cast_store has the same operands */
    int64_t count = (int64_t)(sizeof special / sizeof *special);
    for (int64_t i = 0; i < count && i < ref_count(&a->x) - 1; i++) a->x.v[i] = special[i];
}
