/* Rotary positions: the table of angles against numbers from the published formula, what it is for (products of rotated
 * queries and keys see distances only), and the operation in a program: in the memory of its input, with its gradient.
 */
#include "check.h"
#include "inputs.h"

#include "nn/rope.h"
#include "program/plan.h"

#include <math.h>

/* From transformers' DINOv3 arithmetic (get_patches_center_coordinates, cos and sin of the angles) in float64: a grid
 * of 3 x 4, heads of 8, theta 100; rows 0, 6 and 11. */
static void table_of_a_small_grid(void **state) {
    (void)state;
    static const int row[3] = {0, 6, 11};
    static const double known[3][8] = {{-0.5, 0.91354546, 0, 0.89100652, 0.86602540, -0.40673664, 1, -0.45399050},
                                       {1, 1, 0, 0.98768834, 0, 0, 1, 0.15643447},
                                       {-0.5, 0.91354546, 0, 0.89100652, -0.86602540, 0.40673664, -1, 0.45399050}};
    float table[12 * 8];
    check_ok(bt_rope_table(table, 3, 4, 8, 100));
    for (int r = 0; r < 3; r++)
        for (int k = 0; k < 8; k++) assert_true(fabs((double)table[row[r] * 8 + k] - known[r][k]) < 1e-7);
}

static void refused_tables(void **state) {
    (void)state;
    float table[16] = {7};
    check_message(bt_rope_table(table, 1, 1, 6, 100), BT_ERR_CONFIG,
                  "rotary positions need heads of a multiple of 4 elements, found 6");
    check_message(bt_rope_table(table, 1, 1, 8, 0), BT_ERR_CONFIG,
                  "rotary positions: theta 0 on a grid of 1 x 1; all must be positive");
    check_message(bt_rope_table(table, 0, 1, 8, 100), BT_ERR_CONFIG,
                  "rotary positions: theta 100 on a grid of 0 x 1; all must be positive");
    assert_true(table[0] == 7);
}

/* ---- programs ---- */

enum { ROWS = 3, COLUMNS = 5, PATCHES = ROWS * COLUMNS, PREFIX = 2, TOKENS = PREFIX + PATCHES, HEADS = 2, HEAD = 8 };
enum { WIDTH = HEADS * HEAD, COUNT = TOKENS * 3 * WIDTH };

typedef struct running {
    bt_device *device;
    bt_plan *plan;
    void *block;
} running;

static void run_plan(running *r, bt_program *p, const float *x, const float *table, const float *dy) {
    check_ok(bt_cpu_backend.open(&(bt_device_options){.threads = 2}, &r->device));
    check_ok(bt_plan_new(p, r->device, &r->plan));
    check_ok(r->device->backend->alloc(r->device, bt_plan_bytes(r->plan), &r->block));
    check_ok(bt_plan_bind(r->plan, r->block));
    check_ok(bt_plan_set(r->plan, "x", x, COUNT * sizeof *x));
    check_ok(bt_plan_set(r->plan, "table", table, PATCHES * HEAD * sizeof *table));
    if (dy) check_ok(bt_plan_set(r->plan, "dy", dy, COUNT * sizeof *dy));
    check_ok(bt_plan_run(r->plan));
}

static void end(running *r, bt_program *p) {
    r->device->backend->free(r->device, r->block);
    bt_plan_free(r->plan);
    r->device->backend->close(r->device);
    bt_program_free(p);
}

static void draw(float *x, uint32_t s) {
    for (int i = 0; i < COUNT; i++) x[i] = (float)((s = s * 1664525u + 1013904223u) >> 8) * 0x1p-23f - 1;
}

static float product(const float *a, const float *b) {
    float sum = 0;
    for (int i = 0; i < HEAD; i++) sum += a[i] * b[i];
    return sum;
}

/* Equal queries and keys everywhere: scores of two patches depend on how far apart they are, and on nothing else.
 * Values and the tokens without position keep their bits. */
static void scores_see_distances(void **state) {
    (void)state;
    float x[COUNT], y[COUNT], table[PATCHES * HEAD];
    draw(x, 1);
    for (int t = 1; t < TOKENS; t++) memcpy(x + t * 3 * WIDTH, x, 2 * WIDTH * sizeof *x);
    check_ok(bt_rope_table(table, ROWS, COLUMNS, HEAD, 100));
    bt_program *p = bt_program_new(&(bt_program_options){.compute = BT_F32});
    bt_value in = bt_input(p, "x", BT_F32, bt_shape3(1, TOKENS, 3 * WIDTH));
    bt_output(p, "y", bt_rope(p, in, bt_input(p, "table", BT_F32, bt_shape2(PATCHES, HEAD)), 3, 2, HEADS, PREFIX));
    running r;
    run_plan(&r, p, x, table, NULL);
    check_ok(bt_plan_get(r.plan, "y", y, sizeof y));
    end(&r, p);
    assert_memory_equal(x, y, PREFIX * 3 * WIDTH * sizeof *x);
    for (int t = 0; t < TOKENS; t++)
        assert_memory_equal(x + (t * 3 + 2) * WIDTH, y + (t * 3 + 2) * WIDTH, WIDTH * sizeof *x);
    const float *first = y + PREFIX * 3 * WIDTH; /* of the patches */
    for (int h = 0; h < HEADS; h++) {
        float down = 0, across = 0, same = 0;
        for (int i = 0; i < ROWS - 1; i++)
            for (int j = 0; j < COLUMNS - 1; j++) {
                const float *q = first + (i * COLUMNS + j) * 3 * WIDTH + h * HEAD, *k = q + WIDTH;
                float d = product(q, k + COLUMNS * 3 * WIDTH), a = product(q, k + 3 * WIDTH), s = product(q, k);
                if (i + j == 0) down = d, across = a, same = s;
                assert_true(fabsf(d - down) < 1e-5f && fabsf(a - across) < 1e-5f && fabsf(s - same) < 1e-5f);
            }
        assert_true(fabsf(down - across) > 1e-3f && fabsf(down - same) > 1e-3f && fabsf(across - same) > 1e-3f);
    }
}

/* Between a product and an attention, both directions lie in memory that is there anyway. */
static void takes_the_memory_of_its_input(void **state) {
    (void)state;
    bt_program *p = bt_program_new(&(bt_program_options){.compute = BT_F32, .training = true});
    bt_value in = bt_input_with_gradient(p, "x", BT_F32, bt_shape3(1, TOKENS, WIDTH));
    bt_value qkv = bt_linear(p, in, F32(3 * WIDTH, WIDTH), 0, 0), table = F32(PATCHES, HEAD);
    bt_value turned = bt_rope(p, qkv, table, 3, 2, HEADS, PREFIX), o = bt_attention(p, turned, 0, HEADS);
    bt_root root = {.value = o, .gradient = F32(1, TOKENS, WIDTH)};
    bt_differentiate(p, &root, 1, 1);
    bt_plan *plan;
    check_ok(bt_plan_new(p, NULL, &plan));
    int found = 0;
    for (int i = 0; i < plan->instruction_count; i++) {
        const bt_instruction *in_place = plan->instruction[i].source;
        if (in_place->op != BT_OP_rope && in_place->op != BT_OP_rope_dx) continue;
        found++;
        assert_int_equal(plan->storage_of[in_place->operand[0]], plan->storage_of[in_place->operand[2]]);
    }
    assert_int_equal(found, 2);
    bt_plan_free(plan);
    bt_program_free(p);
}

/* Turning the gradient of a rotated value back is the value: the rotation is orthogonal. */
static void gradient_is_the_inverse(void **state) {
    (void)state;
    float x[COUNT], y[COUNT], dx[COUNT], table[PATCHES * HEAD];
    draw(x, 2);
    check_ok(bt_rope_table(table, ROWS, COLUMNS, HEAD, 100));
    for (int pass = 0; pass < 2; pass++) { /* the second gives the first one's output as gradient */
        bt_program *p = bt_program_new(&(bt_program_options){.compute = BT_F32, .training = true});
        bt_value in = bt_input_with_gradient(p, "x", BT_F32, bt_shape3(1, TOKENS, 3 * WIDTH));
        bt_value turned = bt_rope(p, in, bt_input(p, "table", BT_F32, bt_shape2(PATCHES, HEAD)), 3, 2, HEADS, PREFIX);
        bt_output(p, "y", turned);
        bt_root root = {.value = turned, .gradient = bt_input(p, "dy", BT_F32, bt_shape3(1, TOKENS, 3 * WIDTH))};
        bt_differentiate(p, &root, 1, 1);
        running r;
        run_plan(&r, p, x, table, pass ? y : x);
        check_ok(bt_plan_get(r.plan, "y", y, sizeof y));
        check_ok(bt_plan_get(r.plan, "dx", dx, sizeof dx));
        end(&r, p);
    }
    for (int i = 0; i < COUNT; i++) assert_true(fabsf(dx[i] - x[i]) < 1e-6f);
}

static void a_trained_table_is_refused(void **state) {
    (void)state;
    bt_program *p = bt_program_new(&(bt_program_options){.compute = BT_F32, .training = true});
    bt_value table = bt_input_with_gradient(p, "table", BT_F32, bt_shape2(PATCHES, HEAD));
    bt_root root = {.value = bt_rope(p, F32(1, TOKENS, 3 * WIDTH), table, 3, 2, HEADS, PREFIX),
                    .gradient = F32(1, TOKENS, 3 * WIDTH)};
    bt_differentiate(p, &root, 1, 1);
    check_message(bt_program_check(p), BT_ERR_UNSUPPORTED, "rope: its table of angles is not trained");
    bt_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_a_small_grid),   cmocka_unit_test(refused_tables),
        cmocka_unit_test(scores_see_distances),    cmocka_unit_test(takes_the_memory_of_its_input),
        cmocka_unit_test(gradient_is_the_inverse), cmocka_unit_test(a_trained_table_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
