/* float64 references of linear and lora_linear, forward and backward. */
#include "ops_test.h"
#include "references.h"

#include <bittern/random.h>

#include <stdlib.h>
#include <string.h>

/* y (M,O) += x (M,I) w(O,I)^T */
static void add_product(double *y, const double *x, const double *w, int64_t rows, int64_t inputs, int64_t outputs) {
    for (int64_t m = 0; m < rows; m++)
        for (int64_t o = 0; o < outputs; o++) y[m * outputs + o] += ref_dot(x + m * inputs, w + o * inputs, inputs);
}

/* dx (M,I) += dy (M,O) w(O,I) */
static void add_product_dx(double *dx, const double *dy, const double *w, int64_t rows, int64_t inputs,
                           int64_t outputs) {
    for (int64_t m = 0; m < rows; m++)
        for (int64_t o = 0; o < outputs; o++)
            for (int64_t i = 0; i < inputs; i++) dx[m * inputs + i] += dy[m * outputs + o] * w[o * inputs + i];
}

/* dw (O,I) += dy (M,O)^T x (M,I) */
static void add_product_dw(double *dw, const double *dy, const double *x, int64_t rows, int64_t inputs,
                           int64_t outputs) {
    for (int64_t m = 0; m < rows; m++)
        for (int64_t o = 0; o < outputs; o++)
            for (int64_t i = 0; i < inputs; i++) dw[o * inputs + i] += dy[m * outputs + o] * x[m * inputs + i];
}

static void start_with(ref_tensor *y, const ref_tensor *add) {
    for (int64_t i = 0; i < ref_count(y); i++) y->v[i] = add->v ? add->v[i] : 0;
}

void reference_linear(ref_linear *a) {
    start_with(&a->y, &a->add);
    add_product(a->y.v, a->x.v, a->w.v, a->x.rows, a->x.cols, a->w.rows);
    for (int64_t i = 0; a->b.v && i < ref_count(&a->y); i++) a->y.v[i] += a->b.v[i % a->y.cols];
}

void reference_linear_dx(ref_linear_dx *a) {
    start_with(&a->dx, &a->add);
    add_product_dx(a->dx.v, a->dy.v, a->w.v, a->dy.rows, a->w.cols, a->w.rows);
}

double primal_linear_dx(void *ref) {
    ref_linear_dx *a = ref;
    ref_linear f = {.x = a->point.dx, .w = a->w, .y = ref_like(&a->dy)};
    reference_linear(&f);
    double sum = ref_dot(f.y.v, a->dy.v, ref_count(&a->dy));
    free(f.y.v);
    return sum;
}

void reference_linear_dw(ref_linear_dw *a) {
    memset(a->dw.v, 0, (size_t)ref_count(&a->dw) * sizeof(double));
    add_product_dw(a->dw.v, a->dy.v, a->x.v, a->dy.rows, a->x.cols, a->dy.cols);
    if (!a->db.v) return;
    memset(a->db.v, 0, (size_t)a->dy.cols * sizeof(double));
    for (int64_t i = 0; i < ref_count(&a->dy); i++) a->db.v[i % a->dy.cols] += a->dy.v[i];
}

double primal_linear_dw(void *ref) {
    ref_linear_dw *a = ref;
    ref_linear f = {.x = a->x, .w = a->point.dw, .b = a->point.db, .y = ref_like(&a->dy)};
    reference_linear(&f);
    double sum = ref_dot(f.y.v, a->dy.v, ref_count(&a->dy));
    free(f.y.v);
    return sum;
}

/* drop(x) in new memory; x is (N,T,I) or (N,I). An element is kept when its draw is at least `dropout`. */
static double *dropped(const ref_tensor *x, const ref_tensor *ids, float dropout, int stream, const bt_step *step) {
    double *out = ref_new(ref_count(x));
    int64_t samples = x->shape.dim[0], per_sample = ref_count(x) / samples;
    for (int64_t n = 0; n < samples; n++)
        for (int64_t e = 0; e < per_sample; e++) {
            double value = x->v[n * per_sample + e];
            if (dropout > 0) {
                bt_philox draw =
                    bt_random_block(step->seed, step->step, (uint32_t)stream, (int64_t)ids->v[n], (uint32_t)(e / 4));
                bool keep = bt_random_unit(draw.word[e % 4]) >= dropout;
                value = keep ? value / (1 - (double)dropout) : 0;
            }
            out[n * per_sample + e] = value;
        }
    return out;
}

/* y[m, c_p + j] += scale * sum_r u[m, p*R + r] bb[p*W + j, r] */
static void add_update(ref_tensor *y, const double *u, const double *bb, const bt_lora_parts *l) {
    for (int64_t m = 0; m < y->rows; m++)
        for (int p = 0; p < l->count; p++)
            for (int64_t j = 0; j < l->width; j++)
                y->v[m * y->cols + l->column[p] + j] +=
                    (double)l->scale *
                    ref_dot(u + (m * l->count + p) * l->rank, bb + (p * l->width + j) * l->rank, l->rank);
}

void reference_lora_linear(ref_lora_linear *a) {
    const bt_lora_linear_args *t = a->attr;
    ref_linear frozen = {.x = a->x, .w = a->w, .b = a->b, .add = a->add, .y = a->y};
    reference_linear(&frozen);
    double *x = dropped(&a->x, &a->ids, t->dropout, t->stream, a->step);
    memset(a->u.v, 0, (size_t)ref_count(&a->u) * sizeof(double));
    add_product(a->u.v, x, a->a.v, a->x.rows, a->x.cols, a->a.rows);
    add_update(&a->y, a->u.v, a->bb.v, &t->parts);
    free(x);
}

void reference_lora_du(ref_lora_du *a) {
    const bt_lora_parts *l = &a->attr->parts;
    for (int64_t m = 0; m < a->dy.rows; m++)
        for (int p = 0; p < l->count; p++)
            for (int r = 0; r < l->rank; r++) {
                double sum = 0;
                for (int64_t j = 0; j < l->width; j++)
                    sum += a->dy.v[m * a->dy.cols + l->column[p] + j] * a->bb.v[(p * l->width + j) * l->rank + r];
                a->du.v[m * a->du.cols + p * l->rank + r] = (double)l->scale * sum;
            }
}

double primal_lora_du(void *ref) {
    ref_lora_du *a = ref;
    ref_tensor y = ref_like(&a->dy);
    add_update(&y, a->point.du.v, a->bb.v, &a->attr->parts);
    double sum = ref_dot(y.v, a->dy.v, ref_count(&y));
    free(y.v);
    return sum;
}

void reference_lora_linear_dx(ref_lora_linear_dx *a) {
    const bt_lora_linear_dx_args *t = a->attr;
    start_with(&a->dx, &a->add);
    add_product_dx(a->dx.v, a->dy.v, a->w.v, a->dy.rows, a->w.cols, a->w.rows);
    ref_tensor ones = ref_like(&a->dx);
    for (int64_t i = 0; i < ref_count(&ones); i++) ones.v[i] = 1;
    double *mask = dropped(&ones, &a->ids, t->dropout, t->stream, a->step);
    double *through = ref_new(ref_count(&a->dx));
    add_product_dx(through, a->du.v, a->a.v, a->du.rows, a->a.cols, a->a.rows);
    for (int64_t i = 0; i < ref_count(&a->dx); i++) a->dx.v[i] += mask[i] * through[i];
    free(ones.v);
    free(mask);
    free(through);
}

/* Both paths by which x reaches y: the frozen product, and u = drop(x) a^T whose gradient du is given. */
double primal_lora_linear_dx(void *ref) {
    ref_lora_linear_dx *a = ref;
    ref_linear frozen = {.x = a->point.dx, .w = a->w, .y = ref_like(&a->dy)};
    reference_linear(&frozen);
    double sum = ref_dot(frozen.y.v, a->dy.v, ref_count(&a->dy));
    double *x = dropped(&a->point.dx, &a->ids, a->attr->dropout, a->attr->stream, a->step);
    ref_tensor u = ref_like(&a->du);
    add_product(u.v, x, a->a.v, a->du.rows, a->a.cols, a->a.rows);
    sum += ref_dot(u.v, a->du.v, ref_count(&u));
    free(frozen.y.v);
    free(x);
    free(u.v);
    return sum;
}

void reference_lora_dw(ref_lora_dw *a) {
    const bt_lora_parts *l = &a->attr->parts;
    double *x = dropped(&a->x, &a->ids, a->attr->dropout, a->attr->stream, a->step);
    memset(a->da.v, 0, (size_t)ref_count(&a->da) * sizeof(double));
    add_product_dw(a->da.v, a->du.v, x, a->x.rows, a->x.cols, a->du.cols);
    memset(a->dbb.v, 0, (size_t)ref_count(&a->dbb) * sizeof(double));
    for (int64_t m = 0; m < a->dy.rows; m++)
        for (int p = 0; p < l->count; p++)
            for (int64_t j = 0; j < l->width; j++)
                for (int r = 0; r < l->rank; r++)
                    a->dbb.v[(p * l->width + j) * l->rank + r] += (double)l->scale *
                                                                  a->dy.v[m * a->dy.cols + l->column[p] + j] *
                                                                  a->u.v[m * a->u.cols + p * l->rank + r];
    free(x);
}

/* The whole adapter: y = drop(x) a^T bb^T, with u and du of the parameters at `point`. */
static void run_adapter(const ref_lora_dw *a, ref_tensor *y, ref_tensor *u) {
    const bt_lora_dw_args *t = a->attr;
    double *x = dropped(&a->x, &a->ids, t->dropout, t->stream, a->step);
    memset(u->v, 0, (size_t)ref_count(u) * sizeof(double));
    memset(y->v, 0, (size_t)ref_count(y) * sizeof(double));
    add_product(u->v, x, a->point.da.v, a->x.rows, a->x.cols, u->cols);
    add_update(y, u->v, a->point.dbb.v, &t->parts);
    free(x);
}

void derive_lora_dw(void *ref) {
    ref_lora_dw *a = ref;
    ref_tensor y = ref_like(&a->dy);
    run_adapter(a, &y, &a->u);
    free(y.v);
    const bt_lora_du_args du = {.parts = a->attr->parts};
    ref_lora_du back = {.attr = &du, .dy = a->dy, .bb = a->point.dbb, .du = a->du};
    reference_lora_du(&back);
}

double primal_lora_dw(void *ref) {
    ref_lora_dw *a = ref;
    ref_tensor y = ref_like(&a->dy), u = ref_like(&a->u);
    run_adapter(a, &y, &u);
    double sum = ref_dot(y.v, a->dy.v, ref_count(&y));
    free(y.v);
    free(u.v);
    return sum;
}
