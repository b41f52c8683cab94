/* float64 references of layer_norm, batch_norm and l2_normalize, forward and backward. */
#include "ops_test.h"
#include "references.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- layer_norm ---- */

static void row_stats(const double *x, int64_t cols, double eps, double *stats) {
    double mean = 0, var = 0;
    for (int64_t c = 0; c < cols; c++) mean += x[c] / (double)cols;
    for (int64_t c = 0; c < cols; c++) var += (x[c] - mean) * (x[c] - mean) / (double)cols;
    stats[0] = mean;
    stats[1] = 1 / sqrt(var + eps);
}

void reference_layer_norm(ref_layer_norm *a) {
    int64_t cols = a->x.cols;
    for (int64_t m = 0; m < a->x.rows; m++) {
        double *stats = a->stats.v + 2 * m;
        row_stats(a->x.v + m * cols, cols, (double)a->attr->eps, stats);
        for (int64_t c = 0; c < cols; c++) {
            double h = (a->x.v[m * cols + c] - stats[0]) * stats[1];
            a->y.v[m * cols + c] = a->w.v ? h * a->w.v[c] + a->b.v[c] : h;
        }
    }
}

/* Every second row gets a mean far from 0, where a variance from the mean of squares would lose digits. */
static void shift_rows(ref_tensor *x) {
    for (int64_t i = 0; i < ref_count(x); i++)
        if (i / x->cols % 2) x->v[i] = fabs(x->v[i]);
}

void derive_layer_norm(void *ref) {
    ref_layer_norm *a = ref;
    shift_rows(&a->x);
}

void derive_layer_norm_dx(void *ref) {
    ref_layer_norm_dx *a = ref;
    for (int64_t m = 0; m < a->x.rows; m++) row_stats(a->x.v + m * a->x.cols, a->x.cols, REF_EPS, a->stats.v + 2 * m);
}

void derive_layer_norm_dw(void *ref) {
    ref_layer_norm_dw *a = ref;
    for (int64_t m = 0; m < a->x.rows; m++) row_stats(a->x.v + m * a->x.cols, a->x.cols, REF_EPS, a->stats.v + 2 * m);
}

void reference_layer_norm_dx(ref_layer_norm_dx *a) {
    int64_t cols = a->x.cols;
    for (int64_t m = 0; m < a->x.rows; m++) {
        double mean = a->stats.v[2 * m], rstd = a->stats.v[2 * m + 1], mean_g = 0, mean_gh = 0;
        for (int64_t c = 0; c < cols; c++) {
            double g = a->dy.v[m * cols + c] * (a->w.v ? a->w.v[c] : 1), h = (a->x.v[m * cols + c] - mean) * rstd;
            mean_g += g / (double)cols;
            mean_gh += g * h / (double)cols;
        }
        for (int64_t c = 0; c < cols; c++) {
            double g = a->dy.v[m * cols + c] * (a->w.v ? a->w.v[c] : 1), h = (a->x.v[m * cols + c] - mean) * rstd;
            a->dx.v[m * cols + c] = rstd * (g - mean_g - h * mean_gh) + (a->add.v ? a->add.v[m * cols + c] : 0);
        }
    }
}

double primal_layer_norm_dx(void *ref) {
    ref_layer_norm_dx *a = ref;
    bt_layer_norm_args attr = {.eps = (float)REF_EPS};
    ref_layer_norm f = {
        .attr = &attr, .x = a->point.dx, .w = a->w, .y = ref_like(&a->dy), .stats = ref_like(&a->stats)};
    ref_tensor no_bias = a->w;
    if (a->w.v) no_bias.v = ref_new(a->w.cols);
    f.b = no_bias;
    reference_layer_norm(&f);
    double sum = ref_dot(f.y.v, a->dy.v, ref_count(&a->dy));
    free(f.y.v);
    free(f.stats.v);
    free(no_bias.v);
    return sum;
}

void reference_layer_norm_dw(ref_layer_norm_dw *a) {
    int64_t cols = a->x.cols;
    memset(a->dw.v, 0, (size_t)cols * sizeof(double));
    memset(a->db.v, 0, (size_t)cols * sizeof(double));
    for (int64_t i = 0; i < ref_count(&a->x); i++) {
        const double *stats = a->stats.v + 2 * (i / cols);
        a->dw.v[i % cols] += a->dy.v[i] * (a->x.v[i] - stats[0]) * stats[1];
        a->db.v[i % cols] += a->dy.v[i];
    }
}

double primal_layer_norm_dw(void *ref) {
    ref_layer_norm_dw *a = ref;
    bt_layer_norm_args attr = {.eps = (float)REF_EPS};
    ref_layer_norm f = {.attr = &attr,
                        .x = a->x,
                        .w = a->point.dw,
                        .b = a->point.db,
                        .y = ref_like(&a->dy),
                        .stats = ref_like(&a->stats)};
    reference_layer_norm(&f);
    double sum = ref_dot(f.y.v, a->dy.v, ref_count(&a->dy));
    free(f.y.v);
    free(f.stats.v);
    return sum;
}

/* ---- batch_norm ---- */

/* stats (V,2,C) of z (V*N,C) */
static void group_stats(const ref_tensor *z, int groups, double eps, double *stats) {
    int64_t cols = z->cols, rows = z->rows / groups;
    for (int g = 0; g < groups; g++)
        for (int64_t c = 0; c < cols; c++) {
            const double *column = z->v + g * rows * cols + c;
            double mean = 0, var = 0;
            for (int64_t n = 0; n < rows; n++) mean += column[n * cols] / (double)rows;
            for (int64_t n = 0; n < rows; n++) var += pow(column[n * cols] - mean, 2) / (double)rows;
            stats[(2 * g) * cols + c] = mean;
            stats[(2 * g + 1) * cols + c] = 1 / sqrt(var + eps);
        }
}

void reference_batch_norm(ref_batch_norm *a) {
    int groups = a->attr->groups;
    int64_t cols = a->z.cols, rows = a->z.rows / groups;
    double eps = (double)a->attr->eps, momentum = (double)a->attr->momentum;
    group_stats(&a->z, groups, eps, a->stats.v);
    for (int64_t i = 0; i < ref_count(&a->z); i++) {
        const double *stats = a->stats.v + i / cols / rows * 2 * cols + i % cols;
        a->y.v[i] = (a->z.v[i] - stats[0]) * stats[cols] * a->w.v[i % cols] + a->b.v[i % cols];
    }
    for (int g = 0; g < groups && a->attr->update; g++)
        for (int64_t c = 0; c < cols; c++) {
            double mean = a->stats.v[2 * g * cols + c], rstd = a->stats.v[(2 * g + 1) * cols + c];
            double unbiased = (1 / (rstd * rstd) - eps) * (double)rows / (double)(rows - 1);
            a->running_mean.v[c] = (1 - momentum) * a->running_mean.v[c] + momentum * mean;
            a->running_var.v[c] = (1 - momentum) * a->running_var.v[c] + momentum * unbiased;
        }
}

void derive_batch_norm(void *ref) {
    ref_batch_norm *a = ref;
    for (int64_t c = 0; c < a->z.cols; c++) a->running_var.v[c] = fmax(fabs(a->running_var.v[c]), 0.1);
}

void reference_batch_norm_eval(ref_batch_norm_eval *a) {
    for (int64_t i = 0; i < ref_count(&a->z); i++) {
        int64_t c = i % a->z.cols;
        a->y.v[i] = (a->z.v[i] - a->running_mean.v[c]) / sqrt(a->running_var.v[c] + (double)a->attr->eps) * a->w.v[c] +
                    a->b.v[c];
    }
}

void derive_batch_norm_eval(void *ref) {
    ref_batch_norm_eval *a = ref;
    for (int64_t c = 0; c < a->z.cols; c++) a->running_var.v[c] = fmax(fabs(a->running_var.v[c]), 0.1);
}

void derive_batch_norm_dx(void *ref) {
    ref_batch_norm_dx *a = ref;
    group_stats(&a->z, a->attr->groups, REF_EPS, a->stats.v);
}

void derive_batch_norm_dw(void *ref) {
    ref_batch_norm_dw *a = ref;
    group_stats(&a->z, a->attr->groups, REF_EPS, a->stats.v);
}

void reference_batch_norm_dx(ref_batch_norm_dx *a) {
    int64_t cols = a->z.cols, rows = a->z.rows / a->attr->groups;
    for (int g = 0; g < a->attr->groups; g++)
        for (int64_t c = 0; c < cols; c++) {
            double mean = a->stats.v[2 * g * cols + c], rstd = a->stats.v[(2 * g + 1) * cols + c], mean_g = 0,
                   mean_gh = 0;
            for (int64_t n = g * rows; n < (g + 1) * rows; n++) {
                mean_g += a->dy.v[n * cols + c] * a->w.v[c] / (double)rows;
                mean_gh += a->dy.v[n * cols + c] * a->w.v[c] * (a->z.v[n * cols + c] - mean) * rstd / (double)rows;
            }
            for (int64_t n = g * rows; n < (g + 1) * rows; n++) {
                double h = (a->z.v[n * cols + c] - mean) * rstd;
                a->dz.v[n * cols + c] = rstd * (a->dy.v[n * cols + c] * a->w.v[c] - mean_g - h * mean_gh);
            }
        }
}

/* <dy, batch_norm(z, w, b)> */
static double contract_batch_norm(int groups, ref_tensor z, ref_tensor w, ref_tensor b, const ref_tensor *dy,
                                  const ref_tensor *stats) {
    bt_batch_norm_args attr = {.groups = groups, .eps = (float)REF_EPS};
    ref_batch_norm f = {.attr = &attr, .z = z, .w = w, .b = b, .y = ref_like(dy), .stats = ref_like(stats)};
    reference_batch_norm(&f);
    double sum = ref_dot(f.y.v, dy->v, ref_count(dy));
    free(f.y.v);
    free(f.stats.v);
    return sum;
}

double primal_batch_norm_dx(void *ref) {
    ref_batch_norm_dx *a = ref;
    ref_tensor zero = ref_like(&a->w);
    double sum = contract_batch_norm(a->attr->groups, a->point.dz, a->w, zero, &a->dy, &a->stats);
    free(zero.v);
    return sum;
}

void reference_batch_norm_dw(ref_batch_norm_dw *a) {
    int64_t cols = a->z.cols, rows = a->z.rows / a->attr->groups;
    memset(a->dw.v, 0, (size_t)cols * sizeof(double));
    memset(a->db.v, 0, (size_t)cols * sizeof(double));
    for (int64_t i = 0; i < ref_count(&a->z); i++) {
        const double *stats = a->stats.v + i / cols / rows * 2 * cols + i % cols;
        a->dw.v[i % cols] += a->dy.v[i] * (a->z.v[i] - stats[0]) * stats[cols];
        a->db.v[i % cols] += a->dy.v[i];
    }
}

double primal_batch_norm_dw(void *ref) {
    ref_batch_norm_dw *a = ref;
    return contract_batch_norm(a->attr->groups, a->z, a->point.dw, a->point.db, &a->dy, &a->stats);
}

/* ---- l2_normalize ---- */

void reference_l2_normalize(ref_l2_normalize *a) {
    for (int64_t m = 0; m < a->x.rows; m++) {
        const double *x = a->x.v + m * a->x.cols;
        double norm = sqrt(ref_dot(x, x, a->x.cols));
        a->norm.v[m] = norm;
        for (int64_t c = 0; c < a->x.cols; c++) a->y.v[m * a->x.cols + c] = x[c] / fmax(norm, (double)a->attr->eps);
    }
}

/* The last row is 0, which must give 0 and not NaN. */
void derive_l2_normalize(void *ref) {
    ref_l2_normalize *a = ref;
    if (a->x.rows > 1) memset(a->x.v + (a->x.rows - 1) * a->x.cols, 0, (size_t)a->x.cols * sizeof(double));
}

static ref_l2_normalize l2_forward_of(const ref_l2_normalize_dx *a, const bt_l2_normalize_args *attr) {
    ref_l2_normalize f = {.attr = attr, .x = a->point.dx, .y = a->y, .norm = a->norm};
    return f;
}

void derive_l2_normalize_dx(void *ref) {
    ref_l2_normalize_dx *a = ref;
    bt_l2_normalize_args attr = {.eps = a->attr->eps};
    ref_l2_normalize f = l2_forward_of(a, &attr);
    reference_l2_normalize(&f);
}

void reference_l2_normalize_dx(ref_l2_normalize_dx *a) {
    int64_t cols = a->y.cols;
    for (int64_t m = 0; m < a->y.rows; m++) {
        const double *y = a->y.v + m * cols, *dy = a->dy.v + m * cols;
        double norm = a->norm.v[m], eps = (double)a->attr->eps, along = ref_dot(y, dy, cols);
        for (int64_t c = 0; c < cols; c++) {
            double dx = norm > eps ? (dy[c] - y[c] * along) / norm : dy[c] / eps;
            a->dx.v[m * cols + c] = dx + (a->add.v ? a->add.v[m * cols + c] : 0);
        }
    }
}

double primal_l2_normalize_dx(void *ref) {
    ref_l2_normalize_dx *a = ref;
    bt_l2_normalize_args attr = {.eps = a->attr->eps};
    ref_l2_normalize f = l2_forward_of(a, &attr);
    f.y = ref_like(&a->y);
    f.norm = ref_like(&a->norm);
    reference_l2_normalize(&f);
    double sum = ref_dot(f.y.v, a->dy.v, ref_count(&a->dy));
    free(f.y.v);
    free(f.norm.v);
    return sum;
}
