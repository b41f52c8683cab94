/* Gradients against the forward: with L = <random, forward(point)>, the derivative of L along a direction d is <dL, d>,
 * and also (L(-2h) - 8 L(-h) + 8 L(h) - L(2h)) / 12h to fourth order. All in double, so that 1e-4 for h costs neither
 * side. */
#include "ops_test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEP 1e-4

static double along(ops_case *c, ref_tensor *point, const double *base, const double *direction, double t) {
    for (int64_t i = 0; i < ref_count(point); i++) point->v[i] = base[i] + t * direction[i];
    return c->spec->primal(&c->ref);
}

static double five_point(ops_case *c, ref_tensor *point, const double *base, const double *direction) {
    double far = along(c, point, base, direction, -2 * STEP) - along(c, point, base, direction, 2 * STEP);
    double near = along(c, point, base, direction, STEP) - along(c, point, base, direction, -STEP);
    return (far + 8 * near) / (12 * STEP);
}

/* A random direction, or the gradient's own, with largest element 1. */
static void make_direction(const ops_case *c, int k, bool own, const double *g, int64_t count, double *direction) {
    ops_rng rng = ops_rng_of(c->row->operands, 1000 + (uint64_t)k);
    double largest = 1e-300;
    for (int64_t i = 0; i < count; i++) {
        direction[i] = own ? g[i] : ops_rng_normal(&rng);
        largest = fmax(largest, fabs(direction[i]));
    }
    for (int64_t i = 0; i < count; i++) direction[i] /= largest;
}

static bool check_one(ops_case *c, int k, bool own, const double *g, double tolerance, char *message,
                      size_t message_bytes) {
    ref_tensor *point = &c->ref.any.operand[c->info->operands + k];
    int64_t count = ref_count(point);
    double *base = ref_new(count), *direction = ref_new(count);
    memcpy(base, point->v, (size_t)count * sizeof(double));
    make_direction(c, k, own, g, count, direction);
    double difference = five_point(c, point, base, direction), claimed = ref_dot(g, direction, count);
    double level = fabs(along(c, point, base, direction, 0)) + 1;
    double scale = sqrt(ref_dot(g, g, count) * ref_dot(direction, direction, count));
    bool good = fabs(claimed - difference) <= tolerance * scale + 1e-10 * level; /* false for NaN */
    if (!good)
        snprintf(message, message_bytes,
                 "%s along %s: derivative %.9g, differences of the forward give %.9g (|g||d| = %.3g)",
                 c->info->operand[k].name, own ? "the gradient" : "a random direction", claimed, difference, scale);
    memcpy(point->v, base, (size_t)count * sizeof(double));
    free(base);
    free(direction);
    return good;
}

int ops_check_gradients(ops_case *c, double *const *g, double tolerance, char *message, size_t message_bytes) {
    int checks = 0, add = ops_operand_index(c->info, "add", 3);
    for (const char *p = c->spec->gradients; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
        int k = ops_operand_index(c->info, p, strcspn(p, "= "));
        BT_ASSERT(k >= 0);
        if (!ops_case_has(c, k)) continue;
        int64_t count = ref_count(&c->ref.any.operand[k]);
        double *pure = ref_new(count); /* without `add`, which is no part of the derivative */
        for (int64_t i = 0; i < count; i++)
            pure[i] = g[k][i] - (add >= 0 && ops_case_has(c, add) ? c->ref.any.operand[add].v[i] : 0);
        bool good = true;
        for (int own = 0; own < 2 && good; own++, checks++)
            good = check_one(c, k, own == 1, pure, tolerance, message, message_bytes);
        free(pure);
        if (!good) return -1;
    }
    return checks;
}
