/* float64 references of patchify, tokens and class_row. */
#include "ops_test.h"
#include "references.h"

#include <stdlib.h>
#include <string.h>

/* y[n, s, (c*P + i)*P + j]: patch s in raster order, pixel (i,j) of channel c. */
void reference_patchify(ref_patchify *a) {
    const bt_patchify_args *t = a->attr;
    bool bytes = a->images.dtype == BT_U8;
    int64_t height = a->images.shape.dim[bytes ? 1 : 2], width = a->images.shape.dim[bytes ? 2 : 3], p = t->patch;
    int64_t across = width / p, patches = height / p * across;
    memset(a->y.v, 0, (size_t)ref_count(&a->y) * sizeof(double));
    for (int64_t n = 0; n < a->images.shape.dim[0]; n++)
        for (int64_t s = 0; s < patches; s++)
            for (int64_t e = 0; e < 3 * p * p; e++) {
                int64_t c = e / (p * p), row = s / across * p + e / p % p, column = s % across * p + e % p;
                double v =
                    bytes ? (a->images.v[((n * height + row) * width + column) * 3 + c] / 255 - (double)t->mean[c]) /
                                (double)t->std[c]
                          : a->images.v[((n * 3 + c) * height + row) * width + column];
                a->y.v[(n * patches + s) * a->y.cols + e] = v;
            }
}

void reference_tokens(ref_tokens *a) {
    int64_t samples = a->x.shape.dim[0], tokens = a->x.shape.dim[1], d = a->x.cols,
            registers = a->reg.v ? a->reg.rows : 0;
    for (int64_t n = 0; n < samples; n++)
        for (int64_t t = 0; t < tokens; t++)
            for (int64_t e = 0; e < d; e++) {
                int64_t s = t - 1 - registers; /* patch */
                bool is_register = t > 0 && s < 0;
                double v = t == 0        ? a->cls.v[e]
                           : is_register ? a->reg.v[(t - 1) * d + e]
                                         : a->patches.v[(n * (tokens - 1 - registers) + s) * d + e];
                if (a->pos.v && !is_register) v += a->pos.v[(t == 0 ? 0 : 1 + s) * d + e];
                a->x.v[(n * tokens + t) * d + e] = v;
            }
}

void reference_tokens_dx(ref_tokens_dx *a) {
    int64_t patches = a->dpatches.shape.dim[1], tokens = a->dx.shape.dim[1], d = a->dx.cols;
    for (int64_t n = 0; n < a->dx.shape.dim[0]; n++)
        memcpy(a->dpatches.v + n * patches * d, a->dx.v + (n * tokens + tokens - patches) * d,
               (size_t)(patches * d) * sizeof(double));
}

/* <dx, tokens(..)>; operands without memory are zeros of the right shape. */
static double contract_tokens(const ref_tensor *dx, ref_tensor patches, ref_tensor cls, ref_tensor pos,
                              ref_tensor reg) {
    ref_tokens f = {.patches = patches, .cls = cls, .pos = pos, .reg = reg, .x = ref_like(dx)};
    reference_tokens(&f);
    double sum = ref_dot(f.x.v, dx->v, ref_count(dx));
    free(f.x.v);
    return sum;
}

static ref_tensor zeros2(int64_t rows, int64_t cols) {
    ref_tensor t = {.shape = bt_shape2(rows, cols), .rows = rows, .cols = cols, .v = ref_new(rows * cols)};
    return t;
}

double primal_tokens_dx(void *ref) {
    ref_tokens_dx *a = ref;
    int64_t patches = a->dpatches.shape.dim[1], d = a->dx.cols, registers = a->dx.shape.dim[1] - 1 - patches;
    ref_tensor cls = zeros2(1, d), pos = zeros2(1 + patches, d), reg = zeros2(registers, d);
    double sum = contract_tokens(&a->dx, a->point.dpatches, cls, pos, reg);
    free(cls.v);
    free(pos.v);
    free(reg.v);
    return sum;
}

void reference_tokens_dw(ref_tokens_dw *a) {
    int64_t tokens = a->dx.shape.dim[1], d = a->dx.cols, registers = a->dreg.v ? a->dreg.rows : 0;
    memset(a->dcls.v, 0, (size_t)ref_count(&a->dcls) * sizeof(double));
    double *dpos = a->dvalue.v ? a->dvalue.v : a->dpos.v;
    int64_t positions = a->dvalue.v ? ref_count(&a->dvalue) : ref_count(&a->dpos);
    if (dpos) memset(dpos, 0, (size_t)positions * sizeof(double));
    if (a->dreg.v) memset(a->dreg.v, 0, (size_t)ref_count(&a->dreg) * sizeof(double));
    for (int64_t i = 0; i < ref_count(&a->dx); i++) {
        int64_t t = i / d % tokens, e = i % d;
        if (t == 0) a->dcls.v[e] += a->dx.v[i];
        if (t > 0 && t <= registers)
            a->dreg.v[(t - 1) * d + e] += a->dx.v[i];
        else if (dpos)
            dpos[(t == 0 ? 0 : t - registers) * d + e] += a->dx.v[i];
    }
}

double primal_tokens_dw(void *ref) {
    ref_tokens_dw *a = ref;
    int64_t registers = a->dreg.v ? a->dreg.rows : 0, patches = a->dx.shape.dim[1] - 1 - registers, d = a->dx.cols;
    ref_tensor rest = zeros2(a->dx.shape.dim[0] * patches, d);
    double sum =
        contract_tokens(&a->dx, rest, a->point.dcls, a->dvalue.v ? a->point.dvalue : a->point.dpos, a->point.dreg);
    free(rest.v);
    return sum;
}

void reference_class_row(ref_class_row *a) {
    int64_t per_sample = a->x.shape.dim[1] * a->x.cols;
    for (int64_t i = 0; i < ref_count(&a->y); i++) a->y.v[i] = a->x.v[i / a->x.cols * per_sample + i % a->x.cols];
}

void reference_class_row_dx(ref_class_row_dx *a) {
    int64_t tokens = a->dx.shape.dim[1], d = a->dx.cols;
    for (int64_t i = 0; i < ref_count(&a->dx); i++) {
        double v = i / d % tokens == 0 ? a->dy.v[i / d / tokens * d + i % d] : 0;
        a->dx.v[i] = v + (a->add.v ? a->add.v[i] : 0);
    }
}

double primal_class_row_dx(void *ref) {
    ref_class_row_dx *a = ref;
    ref_class_row f = {.x = a->point.dx, .y = ref_like(&a->dy)};
    reference_class_row(&f);
    double sum = ref_dot(f.y.v, a->dy.v, ref_count(&a->dy));
    free(f.y.v);
    return sum;
}
