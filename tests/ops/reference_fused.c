/* float64 references of what planning makes of several operations: by the references of these. */
#include "ops_test.h"
#include "references.h"

#include <stdlib.h>
#include <string.h>

/* out = in with column c times scale[c]; a copy where there is no scale. */
static ref_tensor scaled(const ref_tensor *in, const ref_tensor *scale) {
    ref_tensor out = ref_like(in);
    for (int64_t i = 0; i < ref_count(in); i++) out.v[i] = in->v[i] * (scale->v ? scale->v[i % in->cols] : 1);
    return out;
}

void reference_linear_scaled(ref_linear_scaled *a) {
    ref_linear f = {.x = a->x, .w = a->w, .b = a->b, .y = ref_like(&a->y)};
    reference_linear(&f);
    ref_add sum = {.x = a->add, .f = f.y, .scale = a->scale, .y = a->y};
    reference_add(&sum);
    free(f.y.v);
}

void reference_linear_scaled_dx(ref_linear_scaled_dx *a) {
    ref_linear_dx d = {.dy = scaled(&a->dy, &a->scale), .w = a->w, .add = a->add, .dx = a->dx};
    reference_linear_dx(&d);
    free(d.dy.v);
}

double primal_linear_scaled_dx(void *ref) {
    ref_linear_scaled_dx *a = ref;
    ref_tensor nothing = ref_like(&a->dy);
    ref_linear_scaled f = {.x = a->point.dx, .w = a->w, .scale = a->scale, .add = nothing, .y = ref_like(&a->dy)};
    reference_linear_scaled(&f);
    double sum = ref_dot(f.y.v, a->dy.v, ref_count(&a->dy));
    free(f.y.v);
    free(nothing.v);
    return sum;
}

static void gelu_of(const ref_tensor *h, ref_tensor *y, int quick) {
    ref_gelu exact = {.x = *h, .y = *y};
    ref_quick_gelu sigmoid = {.x = *h, .y = *y};
    quick ? reference_quick_gelu(&sigmoid) : reference_gelu(&exact);
}

void reference_linear_gelu(ref_linear_gelu *a) {
    ref_linear f = {.x = a->x, .w = a->w, .b = a->b, .y = ref_like(&a->y)};
    reference_linear(&f);
    gelu_of(&f.y, &a->y, a->attr->quick);
    if (a->h.v) memcpy(a->h.v, f.y.v, (size_t)ref_count(&a->h) * sizeof(double));
    free(f.y.v);
}

void reference_linear_gelu_dx(ref_linear_gelu_dx *a) {
    ref_linear_dx d = {.dy = scaled(&a->dy, &a->scale), .w = a->w, .dx = ref_like(&a->h)};
    reference_linear_dx(&d);
    ref_gelu_dx exact = {.dy = d.dx, .x = a->h, .dx = a->dh};
    ref_quick_gelu_dx sigmoid = {.dy = d.dx, .x = a->h, .dx = a->dh};
    a->attr->quick ? reference_quick_gelu_dx(&sigmoid) : reference_gelu_dx(&exact);
    free(d.dy.v);
    free(d.dx.v);
}

/* sum of dy scale (gelu(h) w^T): its derivative by h is dh. */
double primal_linear_gelu_dx(void *ref) {
    ref_linear_gelu_dx *a = ref;
    ref_tensor y = ref_like(&a->h), dy = scaled(&a->dy, &a->scale);
    gelu_of(&a->point.dh, &y, a->attr->quick);
    ref_linear f = {.x = y, .w = a->w, .y = ref_like(&a->dy)};
    reference_linear(&f);
    double sum = ref_dot(f.y.v, dy.v, ref_count(&dy));
    free(f.y.v);
    free(dy.v);
    free(y.v);
    return sum;
}
