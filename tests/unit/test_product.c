/* Matrix products of the CPU backend: both implementations against a float64 loop, at shapes that divide nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cpu/product.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 3 }; /* extra columns of every matrix: a product must not touch those of c */

/* A stored matrix (rows, cols) with GUARD columns of padding, and its values in double. */
typedef struct matrix {
    int64_t rows, cols, ld;
    bt_dtype dtype;
    void *data;
    double *value;
} matrix;

static uint32_t random_state;

static double random_value(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return (double)(random_state >> 8) * 0x1p-23 - 1.0;
}

static double element(const matrix *m, int64_t i, int64_t j) {
    int64_t at = i * m->ld + j;
    if (m->dtype == BT_BF16) return (double)bt_bf16_to_float(((const uint16_t *)m->data)[at]);
    return (double)((const float *)m->data)[at];
}

static matrix matrix_new(int64_t rows, int64_t cols, bt_dtype dtype) {
    matrix m = {.rows = rows, .cols = cols, .ld = cols + GUARD, .dtype = dtype};
    size_t count = (size_t)(rows * m.ld);
    m.data = malloc(count * bt_dtype_bytes(dtype));
    m.value = malloc(count * sizeof(double));
    assert_non_null(m.data);
    assert_non_null(m.value);
    for (int64_t at = 0; at < rows * m.ld; at++) {
        float x = (float)random_value();
        if (dtype == BT_BF16)
            ((uint16_t *)m.data)[at] = bt_bf16_of(x);
        else
            ((float *)m.data)[at] = x;
        m.value[at] = element(&m, 0, at);
    }
    return m;
}

static void matrix_free(matrix *m) {
    free(m->data);
    free(m->value);
}

typedef struct variant {
    const char *name;
    bool a_trans, b_trans, bias, add, in_place, accumulate, frozen;
    float alpha;
} variant;

static const variant variants[] = {
    {.name = "plain", .alpha = 1},
    {.name = "b transposed, bias", .b_trans = true, .bias = true, .alpha = 1},
    {.name = "a transposed, accumulate", .a_trans = true, .accumulate = true, .alpha = 1},
    {.name = "both transposed", .a_trans = true, .b_trans = true, .alpha = 1},
    {.name = "frozen, bias, add", .b_trans = true, .bias = true, .add = true, .frozen = true, .alpha = 1},
    {.name = "frozen, bias, add in place",
     .b_trans = true,
     .bias = true,
     .add = true,
     .in_place = true,
     .frozen = true,
     .alpha = 1},
    {.name = "frozen, not transposed, add", .add = true, .frozen = true, .alpha = 1},
    {.name = "factor, accumulate", .b_trans = true, .accumulate = true, .alpha = -0.75f},
    {.name = "factor, a transposed", .a_trans = true, .alpha = 2.5f},
};

static const int64_t shapes[][3] = {{1, 1, 1},   {1, 7, 1},    {2, 1, 5},   {5, 3, 2},     {7, 13, 31},  {17, 33, 64},
                                    {31, 16, 1}, {64, 48, 16}, {67, 5, 97}, {129, 65, 33}, {1, 97, 130}, {53, 257, 20}};

static const struct {
    bt_dtype in, out;
    double tolerance; /* norm of the error over that of the result; a bf16 is within 2^-8 of what it rounds */
} types[] = {{BT_F32, BT_F32, 1e-6}, {BT_BF16, BT_F32, 1e-6}, {BT_BF16, BT_BF16, 0x1.01p-8}};

typedef struct problem {
    bt_product_spec spec;
    matrix a, b, c, add, bias;
    double *wanted; /* (m,n) */
} problem;

static void compute_wanted(problem *p) {
    const bt_product_spec *s = &p->spec;
    p->wanted = malloc((size_t)(s->m * s->n) * sizeof(double));
    assert_non_null(p->wanted);
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t j = 0; j < s->n; j++) {
            double sum = 0;
            for (int64_t k = 0; k < s->k; k++)
                sum += (s->a_trans ? p->a.value[k * p->a.ld + i] : p->a.value[i * p->a.ld + k]) *
                       (s->b_trans ? p->b.value[j * p->b.ld + k] : p->b.value[k * p->b.ld + j]);
            sum *= (double)s->alpha;
            if (s->bias) sum += p->bias.value[j];
            if (s->add) sum += p->add.value[i * p->add.ld + j];
            if (s->accumulate) sum += p->c.value[i * p->c.ld + j];
            p->wanted[i * s->n + j] = sum;
        }
}

static problem problem_new(const int64_t *shape, const variant *v, bt_dtype in, bt_dtype out,
                           bt_product_library library) {
    const int64_t m = shape[0], n = shape[1], k = shape[2];
    problem p = {.a = matrix_new(v->a_trans ? k : m, v->a_trans ? m : k, in),
                 .b = matrix_new(v->b_trans ? n : k, v->b_trans ? k : n, in),
                 .c = matrix_new(m, n, out),
                 .add = matrix_new(m, n, out),
                 .bias = matrix_new(1, n, BT_F32)};
    if (v->in_place) {
        memcpy(p.c.data, p.add.data, (size_t)(m * p.c.ld) * bt_dtype_bytes(out));
        memcpy(p.c.value, p.add.value, (size_t)(m * p.c.ld) * sizeof(double));
    }
    p.spec = (bt_product_spec){.m = m,
                               .n = n,
                               .k = k,
                               .in = in,
                               .out = out,
                               .a_trans = v->a_trans,
                               .b_trans = v->b_trans,
                               .a_ld = p.a.ld,
                               .b_ld = p.b.ld,
                               .c_ld = p.c.ld,
                               .add_ld = p.add.ld,
                               .bias = v->bias,
                               .add = v->add,
                               .accumulate = v->accumulate,
                               .alpha = v->alpha,
                               .frozen_b = v->frozen ? p.b.data : NULL,
                               .library = library};
    compute_wanted(&p);
    return p;
}

static void problem_free(problem *p) {
    matrix *all[] = {&p->a, &p->b, &p->c, &p->add, &p->bias};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) matrix_free(all[i]);
    free(p->wanted);
}

/* Norm of the error over the norm of the result; NaN if c's padding changed. */
static double error_of(const problem *p) {
    double error = 0, norm = 0;
    for (int64_t i = 0; i < p->c.rows; i++) {
        for (int64_t j = 0; j < p->c.cols; j++) {
            double w = p->wanted[i * p->spec.n + j], d = element(&p->c, i, j) - w;
            error += d * d;
            norm += w * w;
        }
        for (int64_t j = p->c.cols; j < p->c.ld; j++)
            if (element(&p->c, i, j) != p->c.value[i * p->c.ld + j]) return NAN;
    }
    return sqrt(error / norm);
}

/* Runs p on `c`, with scratch full of NaN. False if the library cannot do it. */
static bool run(bt_cpu_device *device, const problem *p, bool in_place, void *c) {
    bt_product *product;
    bt_status status = bt_product_prepare(device, &p->spec, &product);
    if (status == BT_ERR_UNSUPPORTED && p->spec.library == BT_PRODUCT_DNNL) return false;
    assert_int_equal(status, BT_OK);
    size_t bytes = bt_cpu_round_up(bt_product_scratch_bytes(product) + 1, BT_CPU_ALIGNMENT);
    void *scratch = aligned_alloc(BT_CPU_ALIGNMENT, bytes);
    assert_non_null(scratch);
    memset(scratch, 0xff, bytes);
    const bt_product_operands operands = {.a = p->a.data,
                                          .b = p->spec.frozen_b ? NULL : p->b.data,
                                          .bias = p->bias.data,
                                          .add = in_place ? c : p->add.data,
                                          .c = c};
    assert_int_equal(bt_product_run(product, &operands, scratch), BT_OK);
    bt_product_free(product);
    free(scratch);
    return true;
}

static bt_cpu_device *device_open(int threads) {
    bt_device *device;
    assert_int_equal(bt_cpu_backend.open(&(bt_device_options){.threads = threads}, &device), BT_OK);
    return bt_cpu_of(device);
}

static void check_case(bt_cpu_device *device, size_t shape, size_t which, size_t type, bt_product_library library,
                       int *ran) {
    const variant *v = &variants[which];
    problem p = problem_new(shapes[shape], v, types[type].in, types[type].out, library);
    size_t bytes = (size_t)(p.c.rows * p.c.ld) * bt_dtype_bytes(p.c.dtype);
    void *again = malloc(bytes);
    assert_non_null(again);
    memcpy(again, p.c.data, bytes);
    if (run(device, &p, v->in_place, p.c.data)) {
        ++*ran;
        double error = error_of(&p);
        if (!(error <= types[type].tolerance))
            fail_msg("library %d, %s, %s -> %s, m %lld n %lld k %lld: error %g", (int)library, v->name,
                     bt_dtype_name(types[type].in), bt_dtype_name(types[type].out), (long long)p.spec.m,
                     (long long)p.spec.n, (long long)p.spec.k, error);
        assert_true(run(device, &p, v->in_place, again));
        assert_memory_equal(again, p.c.data, bytes);
    }
    free(again);
    problem_free(&p);
}

static int check_library(bt_product_library library) {
    int ran = 0;
    bt_cpu_device *device = device_open(2);
    for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++)
        for (size_t v = 0; v < sizeof variants / sizeof *variants; v++)
            for (size_t type = 0; type < sizeof types / sizeof *types; type++)
                check_case(device, shape, v, type, library, &ran);
    assert_null(device->packs);
    bt_cpu_backend.close(&device->base);
    return ran;
}

static void plain_against_float64(void **state) {
    (void)state;
    int all =
        (int)(sizeof shapes / sizeof *shapes * (sizeof variants / sizeof *variants) * (sizeof types / sizeof *types));
    assert_int_equal(check_library(BT_PRODUCT_PLAIN), all);
}

static void chosen_against_float64(void **state) {
    (void)state;
    assert_true(check_library(BT_PRODUCT_AUTO) > 0);
}

static void dnnl_against_float64(void **state) {
    (void)state;
#ifdef BITTERN_WITH_ONEDNN
    assert_true(check_library(BT_PRODUCT_DNNL) >= (int)(sizeof shapes / sizeof *shapes) * 8); /* nearly all of f32 */
#else
    bt_cpu_device *device = device_open(1);
    bt_product *product;
    bt_product_spec spec = {.m = 1,
                            .n = 1,
                            .k = 1,
                            .in = BT_F32,
                            .out = BT_F32,
                            .a_ld = 1,
                            .b_ld = 1,
                            .c_ld = 1,
                            .alpha = 1,
                            .library = BT_PRODUCT_DNNL};
    assert_int_equal(bt_product_prepare(device, &spec, &product), BT_ERR_UNSUPPORTED);
    assert_non_null(strstr(bt_error_message(), "libdnnl-dev"));
    bt_cpu_backend.close(&device->base);
    skip();
#endif
}

static void plain_does_not_depend_on_threads(void **state) {
    (void)state;
    const int64_t shape[3] = {129, 97, 70};
    const variant v = {.b_trans = true, .bias = true, .alpha = 1};
    problem p = problem_new(shape, &v, BT_F32, BT_F32, BT_PRODUCT_PLAIN);
    size_t bytes = (size_t)(p.c.rows * p.c.ld) * sizeof(float);
    float *first = malloc(bytes);
    assert_non_null(first);
    for (int threads = 1; threads <= 5; threads++) {
        bt_cpu_device *device = device_open(threads);
        assert_true(run(device, &p, false, p.c.data));
        if (threads == 1)
            memcpy(first, p.c.data, bytes);
        else
            assert_memory_equal(first, p.c.data, bytes);
        bt_cpu_backend.close(&device->base);
    }
    free(first);
    problem_free(&p);
}

/* oneDNN packs only where it wants blocks; then, too, the second instruction shares what the first one has. */
static void frozen_weights_are_packed_once(void **state) {
    (void)state;
    const int64_t shape[3] = {20, 24, 40};
    const variant v = {.b_trans = true, .frozen = true, .alpha = 1};
    for (bt_product_library library = BT_PRODUCT_AUTO; library <= BT_PRODUCT_PLAIN; library++) {
        bt_cpu_device *device = device_open(1);
        problem p = problem_new(shape, &v, BT_F32, BT_F32, library);
        bt_product *one, *two;
        assert_int_equal(bt_product_prepare(device, &p.spec, &one), BT_OK);
        const struct bt_pack *pack = device->packs;
        if (library == BT_PRODUCT_PLAIN) assert_non_null(pack);
        p.spec.m = 5; /* another instruction: the same matrix */
        assert_int_equal(bt_product_prepare(device, &p.spec, &two), BT_OK);
        assert_ptr_equal(device->packs, pack);
        bt_product_free(one);
        assert_ptr_equal(device->packs, pack);
        bt_product_free(two);
        assert_null(device->packs);
        problem_free(&p);
        bt_cpu_backend.close(&device->base);
    }
}

/* With many rows a packed copy gains nothing, and is a second model in memory. */
static void many_rows_need_no_packs(void **state) {
    (void)state;
    const int64_t shape[3] = {2048, 16, 8};
    const variant v = {.b_trans = true, .frozen = true, .alpha = 1};
    bt_cpu_device *device = device_open(1);
    problem p = problem_new(shape, &v, BT_F32, BT_F32, BT_PRODUCT_PLAIN);
    bt_product *product;
    assert_int_equal(bt_product_prepare(device, &p.spec, &product), BT_OK);
    assert_null(device->packs);
    bt_product_free(product);
    assert_true(run(device, &p, false, p.c.data));
    assert_true(error_of(&p) < 1e-6);
    problem_free(&p);
    bt_cpu_backend.close(&device->base);
}

/* The same square matrix of weights read both ways, as two instructions of one device: two packs. */
static void packs_differ_by_transposition(void **state) {
    (void)state;
    const int64_t shape[3] = {20, 24, 24};
    const variant upright = {.frozen = true, .alpha = 1}, across = {.b_trans = true, .frozen = true, .alpha = 1};
    for (bt_product_library library = BT_PRODUCT_AUTO; library <= BT_PRODUCT_PLAIN; library++) {
        bt_cpu_device *device = device_open(1);
        problem p = problem_new(shape, &upright, BT_F32, BT_F32, library);
        bt_product *kept;
        assert_int_equal(bt_product_prepare(device, &p.spec, &kept), BT_OK);
        p.spec.b_trans = across.b_trans;
        free(p.wanted);
        compute_wanted(&p);
        assert_true(run(device, &p, false, p.c.data));
        assert_true(error_of(&p) < 1e-6);
        bt_product_free(kept);
        problem_free(&p);
        bt_cpu_backend.close(&device->base);
    }
}

/* A NaN in one row of a reaches that row of c and no other. */
static void nan_stays_in_its_row(void **state) {
    (void)state;
    const int64_t shape[3] = {13, 19, 8};
    const variant v = {.alpha = 1};
    for (bt_product_library library = BT_PRODUCT_AUTO; library <= BT_PRODUCT_PLAIN; library++) {
        bt_cpu_device *device = device_open(2);
        problem p = problem_new(shape, &v, BT_F32, BT_F32, library);
        ((float *)p.a.data)[4 * p.a.ld + 3] = NAN;
        assert_true(run(device, &p, false, p.c.data));
        for (int64_t i = 0; i < p.c.rows; i++)
            for (int64_t j = 0; j < p.c.cols; j++) assert_int_equal(isnan(element(&p.c, i, j)) != 0, i == 4);
        problem_free(&p);
        bt_cpu_backend.close(&device->base);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_against_float64),          cmocka_unit_test(dnnl_against_float64),
        cmocka_unit_test(chosen_against_float64),         cmocka_unit_test(plain_does_not_depend_on_threads),
        cmocka_unit_test(frozen_weights_are_packed_once), cmocka_unit_test(many_rows_need_no_packs),
        cmocka_unit_test(packs_differ_by_transposition),  cmocka_unit_test(nan_stays_in_its_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
