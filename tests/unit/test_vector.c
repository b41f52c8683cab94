/* The vector loops: bf16 against tensor.h, those with an exponential (GELU, quick GELU) against double, and every other
 * in every copy that this processor can run against the generic one, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cpu/vector.h"

#include <bittern/random.h>
#include <bittern/tensor.h>

#include <math.h>
#include <string.h>

#define N 1031 /* a prime: every loop has a remainder */

static const bt_vector *copies[3];
static int copy_count;

static int find_copies(void **state) {
    (void)state;
    bt_cpu_features cpu;
    if (bt_cpu_detect(&cpu) != BT_OK) return -1;
    for (int isa = BT_ISA_GENERIC; isa <= (int)cpu.isa; isa++) copies[copy_count++] = bt_vector_for((bt_isa)isa);
    return 0;
}

/* x (N), uniform in -scale..scale */
static void draw(float *x, uint32_t stream, float scale) {
    for (uint32_t i = 0; i < N; i++)
        x[i] = scale * (2 * bt_random_unit(bt_random_block(7, 0, stream, 0, i / 4).word[i % 4]) - 1);
}

static void test_bf16(void **state) {
    (void)state;
    static float x[65536 * 4];
    static uint16_t packed[65536 * 4];
    for (uint32_t high = 0; high < 65536; high++) {
        const uint32_t low[4] = {0, 0x7fff, 0x8000, 0x8001}; /* below, at and above half */
        for (uint32_t k = 0; k < 4; k++) {
            uint32_t bits = high << 16 | low[k];
            memcpy(&x[high * 4 + k], &bits, sizeof bits);
        }
    }
    for (int c = 0; c < copy_count; c++) {
        copies[c]->to_bf16(packed, x, 65536 * 4);
        for (size_t i = 0; i < 65536 * 4; i++) assert_int_equal(packed[i], bt_bf16_of(x[i]));
        static float back[65536];
        static uint16_t all[65536];
        for (uint32_t i = 0; i < 65536; i++) all[i] = (uint16_t)i;
        copies[c]->from_bf16(back, all, 65536);
        for (uint32_t i = 0; i < 65536; i++) {
            float expected = bt_bf16_to_float((uint16_t)i);
            assert_memory_equal(&back[i], &expected, sizeof expected);
        }
    }
}

/* What GELU and quick GELU are made of: a distribution and its density. */
static double normal(double x, double *density) {
    *density = exp(-x * x / 2) / sqrt(2 * acos(-1.0));
    return 0.5 * erfc(-x / sqrt(2.0));
}

static double quick(double x, double *density) {
    double e = exp(-1.702 * fabs(x));
    *density = 1.702 * e / ((1 + e) * (1 + e));
    return (x > 0 ? 1 : e) / (1 + e);
}

/* y = x F(x) and its derivative F + x F'. Errors relative to |x| + 1, over the reach of f32 tails. */
static void check_gelu(const char *name, int c, double (*distribution)(double x, double *density),
                       void (*forward)(float *y, const float *x, int64_t n),
                       void (*backward)(float *dx, const float *dy, const float *x, int64_t n)) {
    enum { COUNT = 400001 };
    static float x[COUNT], y[COUNT], dx[COUNT], one[COUNT];
    for (int i = 0; i < COUNT; i++) {
        x[i] = (float)(i - COUNT / 2) * 1e-4f;
        one[i] = 1;
    }
    forward(y, x, COUNT);
    backward(dx, one, x, COUNT);
    double worst = 0, worst_dx = 0;
    for (int i = 0; i < COUNT; i++) {
        double v = (double)x[i], density, below = distribution(v, &density);
        double error = fabs((double)y[i] - v * below) / (fabs(v) + 1);
        double error_dx = fabs((double)dx[i] - below - v * density) / (fabs(v) + 1);
        assert_false(isnan(error) || isnan(error_dx));
        worst = error > worst ? error : worst;
        worst_dx = error_dx > worst_dx ? error_dx : worst_dx;
    }
    print_message("copy %d: %s %.2g, %s_dx %.2g\n", c, name, worst, name, worst_dx);
    assert_true(worst < 1.5e-7 && worst_dx < 2.5e-7);
    const float special[3] = {NAN, INFINITY, -200};
    float result[3];
    forward(result, special, 3);
    assert_true(isnan(result[0]) && isinf(result[1]) && result[2] == 0);
}

static void test_gelu(void **state) {
    (void)state;
    for (int c = 0; c < copy_count; c++) {
        check_gelu("gelu", c, normal, copies[c]->gelu, copies[c]->gelu_dx);
        check_gelu("quick_gelu", c, quick, copies[c]->quick_gelu, copies[c]->quick_gelu_dx);
    }
}

#define SAME(call)                                                                                                     \
    do {                                                                                                               \
        float y[N], expected[N];                                                                                       \
        const bt_vector *v = copies[0];                                                                                \
        float *out = expected;                                                                                         \
        call;                                                                                                          \
        v = copies[c];                                                                                                 \
        out = y;                                                                                                       \
        call;                                                                                                          \
        assert_memory_equal(y, expected, sizeof y);                                                                    \
    } while (0)

static void test_copies_agree(void **state) {
    (void)state;
    float a[N], b[N], w[N], s[N];
    draw(a, 1, 3);
    draw(b, 2, 1);
    draw(w, 3, 2);
    draw(s, 4, 1);
    for (int c = 1; c < copy_count; c++) {
        double sums[2], sums_expected[2];
        assert_true(copies[c]->sum(a, N) == copies[0]->sum(a, N));
        assert_true(copies[c]->dot(a, b, N) == copies[0]->dot(a, b, N));
        assert_true(copies[c]->sum_squares_about(a, 0.3, N) == copies[0]->sum_squares_about(a, 0.3, N));
        copies[c]->normalize_dx_sums(&sums[0], &sums[1], a, b, w, 0.1f, 2, N);
        copies[0]->normalize_dx_sums(&sums_expected[0], &sums_expected[1], a, b, w, 0.1f, 2, N);
        assert_memory_equal(sums, sums_expected, sizeof sums);
        SAME(v->normalize(out, a, w, b, 0.1f, 2, N));
        SAME(v->normalize(out, a, NULL, NULL, 0.1f, 2, N));
        SAME(v->normalize_dx(out, a, b, w, s, 0.1f, 2, 0.3f, 0.4f, N));
        SAME(v->normalize_dx(out, a, b, NULL, NULL, 0.1f, 2, 0.3f, 0.4f, N));
        SAME(v->add_scaled(out, a, b, s, N));
        SAME(v->scale_about(out, a, b, w, s, N));
        SAME(v->project(out, a, b, s, 0.7f, 3, N));
        SAME((memcpy(out, a, sizeof y), v->add_weighted(out, b, 0.7f, N)));
        SAME(v->rotate(out, a, b, w, -1, 100, 5));
        float m[N] = {0}, square[N] = {0};
        SAME((memcpy(out, a, sizeof y), v->move_toward(out, b, 0.1f, N)));
        bt_adamw_rates r = {1, 0.99f, 0.1f, 0.999f, 0.001f, 1e-8f, 1e-3f, 0.03f};
        SAME((memcpy(out, a, sizeof a), memset(m, 0, sizeof m), memset(square, 0, sizeof square),
              v->adamw(out, b, m, square, &r, N)));
    }
}

/* Sums against long double, and in the order that the head of vector_simd.h promises not to depend on. */
static void test_sums(void **state) {
    (void)state;
    float a[N], b[N];
    draw(a, 1, 3);
    draw(b, 2, 1);
    for (int c = 0; c < copy_count; c++) {
        for (int n = 0; n < N; n += 1 + n / 8) {
            long double sum = 0, product = 0, squares = 0;
            for (int i = 0; i < n; i++) {
                sum += (long double)a[i];
                product += (long double)a[i] * (long double)b[i];
                squares += ((long double)a[i] - 0.3L) * ((long double)a[i] - 0.3L);
            }
            assert_true(fabsl((long double)copies[c]->sum(a, n) - sum) <= 1e-12L);
            assert_true(fabsl((long double)copies[c]->dot(a, b, n) - product) <= 1e-12L);
            assert_true(fabsl((long double)copies[c]->sum_squares_about(a, 0.3, n) - squares) <= 1e-11L);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_copies_agree),
        cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests(tests, find_copies, NULL);
}
