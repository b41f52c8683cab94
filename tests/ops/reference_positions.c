/* float64 reference of resample_positions: every weight of every input from the filter's definition, no windows. */
#include "ops_test.h"
#include "references.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Cubic convolution (Keys 1981) in its two pieces. */
static double kernel(double distance, double a) {
    double x = fabs(distance);
    if (x <= 1) return (a + 2) * pow(x, 3) - (a + 3) * pow(x, 2) + 1;
    return x < 2 ? a * pow(x, 3) - 5 * a * pow(x, 2) + 8 * a * x - 4 * a : 0;
}

/* Interpolation at one place of a row of patches that goes on beyond both ends with the value of the end. */
static double repeated_border(int input, int inputs, double place) {
    double weight = kernel(place - input, -0.75);
    for (int beyond = 1; beyond <= inputs + 4; beyond++) {
        if (input == 0) weight += kernel(place + beyond, -0.75);
        if (input == inputs - 1) weight += kernel(place - (inputs - 1 + beyond), -0.75);
    }
    return weight;
}

/* A widened filter over the patches that exist, of sum 1. */
static double cut_filter(int input, int inputs, double centre, double width) {
    double sum = 0;
    for (int i = 0; i < inputs; i++) sum += kernel((i + 0.5 - centre) / width, -0.5);
    return kernel((input + 0.5 - centre) / width, -0.5) / sum;
}

static double weight(bt_positions rule, bool same, int output, int outputs, int input, int inputs) {
    if (same) return output == input;
    double step = (double)inputs / outputs;
    if (rule == BT_POSITIONS_ANTIALIAS) return cut_filter(input, inputs, step * (output + 0.5), fmax(1, step));
    if (rule == BT_POSITIONS_HUB) step = inputs / (outputs + 0.1);
    return repeated_border(input, inputs, step * (output + 0.5) - 0.5);
}

/* y += the resampled x, or with `back` x += what the transposed weights make of y. */
static void resample(const bt_resample_positions_args *t, double *x, double *y, int64_t d, bool back) {
    bool same = t->from[0] == t->to[0] && t->from[1] == t->to[1];
    for (int64_t e = 0; e < t->prefix * d; e++) *(back ? &x[e] : &y[e]) += back ? y[e] : x[e];
    for (int i = 0; i < t->to[0]; i++)
        for (int r = 0; r < t->from[0]; r++)
            for (int j = 0; j < t->to[1]; j++)
                for (int c = 0; c < t->from[1]; c++) {
                    double w = weight(t->rule, same, i, t->to[0], r, t->from[0]);
                    if (w != 0) w *= weight(t->rule, same, j, t->to[1], c, t->from[1]);
                    double *u = x + (t->prefix + r * t->from[1] + c) * d, *v = y + (t->prefix + i * t->to[1] + j) * d;
                    for (int64_t e = 0; w != 0 && e < d; e++) *(back ? &u[e] : &v[e]) += w * (back ? v[e] : u[e]);
                }
}

void reference_resample_positions(ref_resample_positions *a) {
    memset(a->y.v, 0, (size_t)ref_count(&a->y) * sizeof(double));
    resample(a->attr, a->pos.v, a->y.v, a->y.cols, false);
}

static bt_resample_positions_args forward_of(const bt_resample_positions_dw_args *t) {
    bt_resample_positions_args f = {.rule = t->rule, .prefix = t->prefix};
    memcpy(f.from, t->from, sizeof f.from);
    memcpy(f.to, t->to, sizeof f.to);
    return f;
}

void reference_resample_positions_dw(ref_resample_positions_dw *a) {
    bt_resample_positions_args f = forward_of(a->attr);
    memset(a->dpos.v, 0, (size_t)ref_count(&a->dpos) * sizeof(double));
    resample(&f, a->dpos.v, a->dy.v, a->dy.cols, true);
}

double primal_resample_positions_dw(void *ref) {
    ref_resample_positions_dw *a = ref;
    bt_resample_positions_args f = forward_of(a->attr);
    ref_tensor y = ref_like(&a->dy);
    resample(&f, a->point.dpos.v, y.v, y.cols, false);
    double sum = ref_dot(y.v, a->dy.v, ref_count(&y));
    free(y.v);
    return sum;
}
