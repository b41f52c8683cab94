/* Memory, dot products and random values that references and harness share. */
#include "ops_test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double *ref_new(int64_t count) {
    double *v = calloc(count > 0 ? (size_t)count : 1, sizeof *v);
    BT_ASSERT(v != NULL);
    return v;
}

double ref_dot(const double *a, const double *b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

ref_tensor ref_like(const ref_tensor *t) {
    ref_tensor r = *t;
    r.v = ref_new(ref_count(t));
    return r;
}

ops_rng ops_rng_of(const char *text, uint64_t salt) {
    uint64_t h = 0xcbf29ce484222325u ^ salt * 0x9e3779b97f4a7c15u; /* FNV-1a */
    for (; *text; text++) h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    ops_rng rng = {h};
    return rng;
}

uint64_t ops_rng_next(ops_rng *rng) {
    uint64_t z = rng->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Box-Muller; the logarithm's argument is never 0. */
double ops_rng_normal(ops_rng *rng) {
    double u = ((double)(ops_rng_next(rng) >> 11) + 0.5) * 0x1p-53, w = (double)(ops_rng_next(rng) >> 11) * 0x1p-53;
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * w);
}
