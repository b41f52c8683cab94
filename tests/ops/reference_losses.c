/* float64 references of code_align, prototype_targets, sign_pack, coding_rate and cross_entropy. */
#include "ops_test.h"
#include "references.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- code_align ---- */

/* Target of element e (of N*D) of view `i` against view `j`; a pair's target comes from view j. */
static double target_of(const ref_tensor *z, const ref_tensor *targets, int64_t per_view, int j, int64_t e) {
    if (!targets->v) return z->v[j * per_view + e] > 0;
    return targets->v[ref_count(targets) == per_view ? e : j * per_view + e];
}

static double bce(double z, double t) {
    return fmax(z, 0) - z * t + log1p(exp(-fabs(z)));
}
static double sigmoid(double z) {
    return 1 / (1 + exp(-z));
}

/* Sums over what is compared: all ordered pairs of views, or each view with the common targets. `dz` may be NULL. */
static double align(const ref_tensor *z, const ref_tensor *targets, int views, const double *target_z, double *dz) {
    int64_t per_view = ref_count(z) / views;
    bool common = targets->v && ref_count(targets) == per_view;
    double terms = (common ? views : (double)views * (views - 1)) * (double)per_view, loss = 0;
    ref_tensor source = *z;
    source.v = (double *)(uintptr_t)target_z;
    for (int i = 0; i < views; i++)
        for (int j = 0; j < (common ? 1 : views); j++) {
            if (!common && i == j) continue;
            for (int64_t e = 0; e < per_view; e++) {
                double v = z->v[i * per_view + e], t = target_of(&source, targets, per_view, j, e);
                loss += bce(v, t) / terms;
                if (dz) dz[i * per_view + e] += (sigmoid(v) - t) / terms;
            }
        }
    return loss;
}

void reference_code_align(ref_code_align *a) {
    a->loss.v[0] = align(&a->z, &a->targets, a->attr->views, a->z.v, NULL);
}

void reference_code_align_dx(ref_code_align_dx *a) {
    double *dz = ref_new(ref_count(&a->z));
    align(&a->z, &a->targets, a->attr->views, a->z.v, dz);
    for (int64_t i = 0; i < ref_count(&a->z); i++)
        a->dz.v[i] = (double)a->attr->weight * dz[i] + (a->add.v ? a->add.v[i] : 0);
    free(dz);
}

/* Targets come from z, not from the moving point: no gradient flows into them. */
double primal_code_align_dx(void *ref) {
    ref_code_align_dx *a = ref;
    return (double)a->attr->weight * align(&a->point.dz, &a->targets, a->attr->views, a->z.v, NULL);
}

static void keep_from_zero(ref_tensor *z) {
    for (int64_t i = 0; i < ref_count(z); i++) z->v[i] = copysign(fmax(fabs(z->v[i]), 0.05), z->v[i]);
}

static void to_bits(ref_tensor *t, int64_t one_in) {
    for (int64_t i = 0; t->v && i < ref_count(t); i++) t->v[i] = t->v[i] > 1 ? (int64_t)t->v[i] % one_in == 0 : t->v[i];
}

void derive_code_align(void *ref) {
    ref_code_align *a = ref;
    keep_from_zero(&a->z);
    to_bits(&a->targets, 2);
    if (ref_count(&a->z) > 8) {
        a->z.v[1] = 60; /* far in the tails, where log(sigmoid) without care is infinite */
        a->z.v[2] = -90;
    }
}

void derive_code_align_dx(void *ref) {
    ref_code_align_dx *a = ref;
    keep_from_zero(&a->z);
    to_bits(&a->targets, 2);
}

/* ---- prototype_targets, sign_pack ---- */

/* With three views, column 0 cancels: a sum in f32 loses the 0.25 and with it every target of the column. */
void derive_prototype_targets(void *ref) {
    ref_prototype_targets *a = ref;
    to_bits(&a->labels, 3);
    const double view[] = {0x1p25, 0.25, -0x1p25};
    for (int64_t n = 0; a->attr->views == 3 && n < a->z.rows; n++) a->z.v[n * a->z.cols] = view[n / a->labels.rows];
    if (a->labels.rows > 3) /* a sample without labels: its target is 0 */
        memset(a->labels.v + 2 * a->labels.cols, 0, (size_t)a->labels.cols * sizeof(double));
}

void reference_prototype_targets(ref_prototype_targets *a) {
    int64_t samples = a->labels.rows, classes = a->labels.cols, d = a->z.cols, views = a->attr->views;
    double *m = ref_new(classes * d), *labels = a->labels.v;
    for (int64_t c = 0; c < classes; c++) {
        double count = 0;
        for (int64_t n = 0; n < samples; n++) count += (double)views * labels[n * classes + c];
        for (int64_t r = 0; r < views * samples; r++)
            for (int64_t k = 0; k < d; k++)
                m[c * d + k] += labels[r % samples * classes + c] * a->z.v[r * d + k] / fmax(count, 1);
    }
    for (int64_t n = 0; n < samples; n++)
        for (int64_t k = 0; k < d; k++) {
            double count = 0, s = 0;
            for (int64_t c = 0; c < classes; c++) {
                count += labels[n * classes + c];
                s += labels[n * classes + c] * m[c * d + k];
            }
            s /= fmax(count, 1);
            BT_ASSERT(count == 0 || fabs(s) > 1e-6); /* too near to the threshold for f32: change the row's shape */
            a->targets.v[n * d + k] = s > 0;
        }
    free(m);
}

void derive_sign_pack(void *ref) {
    static const double special[] = {0.0, -0.0, NAN, 1e-40, -1e-40, INFINITY, -INFINITY};
    ref_sign_pack *a = ref;
    for (int64_t i = 0; i < 7 && i < ref_count(&a->z) - 1; i++) a->z.v[i] = special[i];
}

void reference_sign_pack(ref_sign_pack *a) {
    for (int64_t i = 0; i < ref_count(&a->z); i++) a->bits.v[i] = a->z.v[i] > 0;
}

/* ---- coding_rate ---- */

/* Lower Cholesky factor of I + D/(N eps) x^T x for x (N,D). */
static void factor(const double *x, int64_t rows, int64_t d, double eps, double *l) {
    double alpha = (double)d / ((double)rows * eps);
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = 0; j <= i; j++) {
            double sum = i == j;
            for (int64_t n = 0; n < rows; n++) sum += alpha * x[n * d + i] * x[n * d + j];
            sum -= ref_dot(l + i * d, l + j * d, j);
            l[i * d + j] = i == j ? sqrt(sum) : sum / l[j * d + j];
        }
}

void reference_coding_rate(ref_coding_rate *a) {
    int groups = a->attr->groups;
    int64_t d = a->x.cols, rows = a->x.rows / groups;
    a->loss.v[0] = 0;
    memset(a->chol.v, 0, (size_t)ref_count(&a->chol) * sizeof(double));
    for (int g = 0; g < groups; g++) {
        double *l = a->chol.v + g * d * d, half_logdet = 0;
        factor(a->x.v + g * rows * d, rows, d, (double)a->attr->eps, l);
        for (int64_t i = 0; i < d; i++) half_logdet += log(l[i * d + i]);
        a->loss.v[0] -= half_logdet * (double)(d + rows) / (double)(d * rows) / groups;
    }
}

static void normalize_rows(ref_tensor *x) {
    for (int64_t m = 0; m < x->rows; m++) {
        double *row = x->v + m * x->cols, norm = sqrt(ref_dot(row, row, x->cols));
        for (int64_t c = 0; c < x->cols; c++) row[c] /= norm;
    }
}

void derive_coding_rate(void *ref) {
    ref_coding_rate *a = ref;
    normalize_rows(&a->x);
}

void derive_coding_rate_dx(void *ref) {
    ref_coding_rate_dx *a = ref;
    normalize_rows(&a->x);
    int64_t d = a->x.cols, rows = a->x.rows / a->attr->groups;
    memset(a->chol.v, 0, (size_t)ref_count(&a->chol) * sizeof(double));
    for (int g = 0; g < a->attr->groups; g++)
        factor(a->x.v + g * rows * d, rows, d, (double)a->attr->eps, a->chol.v + g * d * d);
}

/* row = row A^-1 with A = L L^T, in place: forward, then backward substitution. */
static void solve(const double *l, int64_t d, double *row) {
    for (int64_t i = 0; i < d; i++) row[i] = (row[i] - ref_dot(l + i * d, row, i)) / l[i * d + i];
    for (int64_t i = d - 1; i >= 0; i--) {
        for (int64_t j = i + 1; j < d; j++) row[i] -= l[j * d + i] * row[j];
        row[i] /= l[i * d + i];
    }
}

void reference_coding_rate_dx(ref_coding_rate_dx *a) {
    int groups = a->attr->groups;
    int64_t d = a->x.cols, rows = a->x.rows / groups;
    double dd = (double)d, nn = (double)rows;
    double factor_of = -(double)a->attr->weight / groups * (dd + nn) / (dd * nn) * dd / (nn * (double)a->attr->eps);
    memcpy(a->dx.v, a->x.v, (size_t)ref_count(&a->x) * sizeof(double));
    for (int64_t m = 0; m < a->x.rows; m++) {
        solve(a->chol.v + m / rows * d * d, d, a->dx.v + m * d);
        for (int64_t k = 0; k < d; k++) a->dx.v[m * d + k] *= factor_of;
    }
}

double primal_coding_rate_dx(void *ref) {
    ref_coding_rate_dx *a = ref;
    bt_coding_rate_args attr = {.groups = a->attr->groups, .eps = a->attr->eps};
    double loss = 0;
    ref_coding_rate f = {.attr = &attr, .x = a->point.dx, .chol = ref_like(&a->chol)};
    f.loss.v = &loss;
    reference_coding_rate(&f);
    free(f.chol.v);
    return (double)a->attr->weight * loss;
}

/* ---- cross_entropy ---- */

static void clamp_labels(ref_tensor *labels, int64_t classes) {
    for (int64_t n = 0; n < ref_count(labels); n++) labels->v[n] = (double)((int64_t)fabs(labels->v[n]) % classes);
}

static double row_lse(const double *x, int64_t count) {
    double largest = -INFINITY, sum = 0;
    for (int64_t c = 0; c < count; c++) largest = fmax(largest, x[c]);
    for (int64_t c = 0; c < count; c++) sum += exp(x[c] - largest);
    return largest + log(sum);
}

void derive_cross_entropy(void *ref) {
    ref_cross_entropy *a = ref;
    clamp_labels(&a->labels, a->logits.cols);
    a->logits.v[0] = 200; /* exp overflows f32 unless the largest is taken off */
}

void reference_cross_entropy(ref_cross_entropy *a) {
    int64_t rows = a->logits.rows, classes = a->logits.cols;
    a->loss.v[0] = 0;
    for (int64_t n = 0; n < rows; n++) {
        a->lse.v[n] = row_lse(a->logits.v + n * classes, classes);
        a->loss.v[0] += (a->lse.v[n] - a->logits.v[n * classes + (int64_t)a->labels.v[n]]) / (double)rows;
    }
}

void derive_cross_entropy_dx(void *ref) {
    ref_cross_entropy_dx *a = ref;
    clamp_labels(&a->labels, a->logits.cols);
    for (int64_t n = 0; n < a->logits.rows; n++)
        a->lse.v[n] = row_lse(a->logits.v + n * a->logits.cols, a->logits.cols);
}

void reference_cross_entropy_dx(ref_cross_entropy_dx *a) {
    int64_t rows = a->logits.rows, classes = a->logits.cols;
    for (int64_t i = 0; i < rows * classes; i++) {
        double p = exp(a->logits.v[i] - a->lse.v[i / classes]),
               onehot = (double)(i % classes) == a->labels.v[i / classes];
        a->dlogits.v[i] = (double)a->attr->weight * (p - onehot) / (double)rows;
    }
}

double primal_cross_entropy_dx(void *ref) {
    ref_cross_entropy_dx *a = ref;
    double loss = 0;
    ref_cross_entropy f = {.logits = a->point.dlogits, .labels = a->labels, .lse = ref_like(&a->lse)};
    f.loss.v = &loss;
    reference_cross_entropy(&f);
    free(f.lse.v);
    return (double)a->attr->weight * loss;
}
