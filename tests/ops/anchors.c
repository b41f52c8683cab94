/* References against numbers that were published or computed elsewhere: a formula misread twice would pass otherwise.
 * Values: fixtures for the losses of CroVCA (arXiv 2510.27584), and a closed form of its rate term. */
#include "ops_test.h"

#include <math.h>

static void expect(ops_counts *counts, const char *what, double value, double known) {
    bool good = fabs(value - known) <= 1e-6 * fabs(known);
    *(good ? &counts->passed : &counts->failed) += 1;
    if (!good) printf("FAIL reference of %s: %.9g, known to be %.9g\n", what, value, known);
}

static ref_tensor matrix(double *v, int64_t rows, int64_t cols) {
    ref_tensor t = {.v = v, .shape = bt_shape2(rows, cols), .dtype = BT_F32, .rows = rows, .cols = cols};
    return t;
}

static double rate_of(double *x, int64_t rows, int64_t d, float eps) {
    static double chol[16 * 16];
    double loss = 0;
    bt_coding_rate_args attr = {.groups = 1, .eps = eps};
    ref_coding_rate a = {
        .attr = &attr, .x = matrix(x, rows, d), .loss = matrix(&loss, 1, 1), .chol = matrix(chol, d, d)};
    reference_coding_rate(&a);
    return loss;
}

void ops_run_anchors(ops_counts *counts) {
    double z[2 * 2 * 2] = {.2, -1, 1.5, .3, .1, .4, -.2, 2}, loss = 0;
    bt_code_align_args attr = {.views = 2};
    ref_code_align align = {.attr = &attr, .z = matrix(z, 4, 2), .loss = matrix(&loss, 1, 1)};
    reference_code_align(&align);
    expect(counts, "code_align", loss, 0.8312060);

    double x[6 * 4] = {1, 2, -1, .5, -1, 1, 0, 2, .3, -2, 1, 1, 2, .1, .2, -1, -.5, -.5, 1.5, .7, 1, 1, 1, 1};
    for (int n = 0; n < 6; n++) {
        double norm = sqrt(ref_dot(x + 4 * n, x + 4 * n, 4));
        for (int d = 0; d < 4; d++) x[4 * n + d] /= norm;
    }
    expect(counts, "coding_rate", rate_of(x, 6, 4, 0.05f), -2.3433094);

    static double basis[256 * 16]; /* rows e_0, e_1, ..: x^T x is 256/16 I, the isotropic minimum */
    for (int n = 0; n < 256; n++) basis[16 * n + n % 16] = 1;
    expect(counts, "coding_rate of isotropic rows", rate_of(basis, 256, 16, 0.05f),
           -0.5 * 16 * log(21) * 272 / (256 * 16));
}
