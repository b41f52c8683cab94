/* The parameter store: which slots there are, values through the store's layout and back, sizes, tensors for programs,
 * refusals. */
#include "check.h"

#include "program/store.h"

enum { WEIGHT, FROZEN_WEIGHT, BIAS, FROZEN_BIAS, BUFFER, HEAD, COUNT };

/* In this order; HEAD is of another group, WEIGHT and FROZEN_WEIGHT are padded from 2 x 2 to 5 columns. */
static bt_params *make_store(bt_dtype compute) {
    const bt_param_spec specs[COUNT] = {
        [WEIGHT] = {"weight", bt_shape3(3, 2, 2), 5, BT_PARAM_WEIGHT, true, 0, 0.1f},
        [FROZEN_WEIGHT] = {"frozen.weight", bt_shape3(3, 2, 2), 5, BT_PARAM_WEIGHT, false, 0, 0},
        [BIAS] = {"bias", bt_shape1(7), 0, BT_PARAM_F32, true, 0, 0},
        [FROZEN_BIAS] = {"frozen.bias", bt_shape1(7), 0, BT_PARAM_F32, false, 0, 0},
        [BUFFER] = {"running_mean", bt_shape1(9), 0, BT_PARAM_BUFFER, true, 0, 0},
        [HEAD] = {"head.weight", bt_shape2(4, 10), 0, BT_PARAM_F32, true, 1, 0.2f},
    };
    bt_params *s = bt_params_new(compute);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(bt_params_add(s, &specs[i]), i);
        float *host = bt_params_host(s, i);
        for (int64_t k = 0; k < bt_shape_count(specs[i].shape); k++) {
            assert_true(host[k] == 0);
            host[k] = (float)(100 * i + k) + 0.125f;
        }
    }
    return s;
}

static bt_device *open_device(void) {
    bt_device *device;
    check_ok(bt_cpu_backend.open(&(bt_device_options){.threads = 1}, &device));
    return device;
}

static int64_t count_of(const bt_params *s, int i) {
    return bt_shape_count(bt_params_spec(s, i)->shape);
}

static bt_tensor tensor_of(const bt_params *s, bt_store_ref ref) {
    bt_tensor t;
    check_ok(bt_store_tensor(s, ref, &t));
    return t;
}

static void values_come_back(void **state) {
    (void)state;
    for (int half = 0; half < 2; half++) {
        bt_device *device = open_device();
        bt_params *s = make_store(half ? BT_BF16 : BT_F32);
        check_ok(bt_params_commit(s, device));
        for (int i = 0; i < COUNT; i++) {
            float found[64], guard = found[count_of(s, i)] = -3;
            check_ok(bt_params_read(s, i, BT_SLOT_VALUE, found));
            for (int64_t k = 0; k < count_of(s, i); k++) {
                float wanted = (float)(100 * i + k) + 0.125f;
                if (half && i == FROZEN_WEIGHT) wanted = bt_bf16_to_float(bt_bf16_of(wanted));
                assert_true(found[k] == wanted);
            }
            assert_true(found[count_of(s, i)] == guard);
        }
        bt_params_free(s);
        device->backend->close(device);
    }
}

static void slots_are_written_and_read(void **state) {
    (void)state;
    bt_device *device = open_device();
    bt_params *s = make_store(BT_BF16);
    check_ok(bt_params_commit(s, device));
    const int trained[] = {WEIGHT, BIAS, HEAD};
    for (int t = 0; t < 3; t++)
        for (int slot = BT_SLOT_VALUE; slot <= BT_SLOT_ADAM_V; slot++) {
            float values[64];
            for (int k = 0; k < 64; k++) values[k] = (float)(1000 * trained[t] + 100 * slot + k);
            check_ok(bt_params_write(s, trained[t], (bt_param_slot)slot, values));
        }
    for (int t = 0; t < 3; t++)
        for (int slot = BT_SLOT_VALUE; slot <= BT_SLOT_ADAM_V; slot++) {
            float found[64];
            check_ok(bt_params_read(s, trained[t], (bt_param_slot)slot, found));
            for (int64_t k = 0; k < count_of(s, trained[t]); k++)
                assert_true(found[k] == (float)(1000 * trained[t] + 100 * slot + k));
        }
    float buffer[9] = {5}, found[9];
    check_ok(bt_params_write(s, BUFFER, BT_SLOT_VALUE, buffer));
    check_ok(bt_params_read(s, BUFFER, BT_SLOT_VALUE, found));
    assert_memory_equal(found, buffer, sizeof found);
    bt_params_free(s);
    device->backend->close(device);
}

static void slots_that_are_not_there(void **state) {
    (void)state;
    bt_device *device = open_device();
    bt_params *s = make_store(BT_F32);
    check_ok(bt_params_commit(s, device));
    float values[64] = {0};
    const int without[] = {FROZEN_WEIGHT, FROZEN_BIAS, BUFFER};
    for (int i = 0; i < 3; i++)
        for (int slot = BT_SLOT_GRADIENT; slot <= BT_SLOT_ADAM_V; slot++)
            check_error(bt_params_read(s, without[i], (bt_param_slot)slot, values), BT_ERR_UNSUPPORTED,
                        "has no gradient and no optimizer state");
    check_message(bt_params_write(s, BUFFER, BT_SLOT_ADAM_M, values), BT_ERR_UNSUPPORTED,
                  "parameter \"running_mean\" is frozen: it has no gradient and no optimizer state");
    for (int slot = BT_SLOT_VALUE; slot <= BT_SLOT_ADAM_V; slot++)
        check_message(bt_params_write(s, FROZEN_WEIGHT, (bt_param_slot)slot, values), BT_ERR_UNSUPPORTED,
                      "parameter \"frozen.weight\" is frozen; set it before bt_params_commit");
    bt_params_free(s);
    device->backend->close(device);
}

/* A written value reaches what programs read, and the gaps between parameters stay 0. */
static void programs_see_the_layout(void **state) {
    (void)state;
    bt_device *device = open_device();
    bt_params *s = make_store(BT_BF16);
    bt_tensor before = tensor_of(s, (bt_store_ref){.slot = BT_STORE_VALUE, .param = WEIGHT});
    assert_true(before.data == NULL && before.dtype == BT_BF16 && bt_shape_equal(before.shape, bt_shape2(3, 5)));
    check_ok(bt_params_commit(s, device));
    float values[12];
    for (int k = 0; k < 12; k++) values[k] = (float)k + 1;
    check_ok(bt_params_write(s, WEIGHT, BT_SLOT_VALUE, values));
    const uint16_t *copy = tensor_of(s, (bt_store_ref){.slot = BT_STORE_VALUE, .param = WEIGHT}).data;
    const float *master = tensor_of(s, (bt_store_ref){.slot = BT_STORE_ALL_MASTERS}).data;
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 5; c++) {
            float wanted = c < 4 ? (float)(4 * r + c + 1) : 0;
            assert_true(bt_bf16_to_float(copy[5 * r + c]) == wanted && master[5 * r + c] == wanted);
        }
    for (int k = 15; k < 32; k++) assert_true(master[k] == 0);
    bt_tensor rows = tensor_of(s, (bt_store_ref){.slot = BT_STORE_VALUE, .param = WEIGHT, .first = 1, .count = 2});
    assert_true(rows.data == copy + 5 && bt_shape_equal(rows.shape, bt_shape2(2, 5)) && !(rows.flags & BT_FROZEN));
    bt_tensor gradient = tensor_of(s, (bt_store_ref){.slot = BT_STORE_GRADIENT, .param = BIAS, .first = 3, .count = 4});
    bt_tensor gradients = tensor_of(s, (bt_store_ref){.slot = BT_STORE_ALL_GRADIENTS});
    assert_true(gradient.data == (float *)gradients.data + 32 + 3 && bt_shape_equal(gradient.shape, bt_shape1(4)));
    bt_tensor frozen =
        tensor_of(s, (bt_store_ref){.slot = BT_STORE_VALUE, .param = FROZEN_WEIGHT, .first = 2, .count = 1});
    assert_true(frozen.dtype == BT_BF16 && frozen.flags & BT_FROZEN);
    assert_true(bt_bf16_to_float(((const uint16_t *)frozen.data)[0]) == bt_bf16_to_float(bt_bf16_of(108.125f)));
    bt_tensor buffer = tensor_of(s, (bt_store_ref){.slot = BT_STORE_VALUE, .param = BUFFER});
    assert_true(buffer.dtype == BT_F32 && !(buffer.flags & BT_FROZEN) && ((const float *)buffer.data)[8] == 408.125f);
    bt_params_free(s);
    device->backend->close(device);
}

/* Trained: 15, 7 and 40 elements, each start on a multiple of 32: 32 + 32 in group 0, 64 in group 1. */
static void groups_and_segments(void **state) {
    (void)state;
    bt_device *device = open_device();
    bt_params *s = make_store(BT_BF16);
    assert_int_equal(bt_shape_count(tensor_of(s, (bt_store_ref){.slot = BT_STORE_ALL_MASTERS}).shape), 128);
    assert_int_equal(bt_shape_count(tensor_of(s, (bt_store_ref){.slot = BT_STORE_GROUP_GRADIENTS, .groups = 1}).shape),
                     64);
    check_ok(bt_params_commit(s, device));
    bt_tensor all = tensor_of(s, (bt_store_ref){.slot = BT_STORE_ALL_GRADIENTS}),
              copies = tensor_of(s, (bt_store_ref){.slot = BT_STORE_ALL_COPIES});
    assert_true(all.dtype == BT_F32 && copies.dtype == BT_BF16 && bt_shape_count(copies.shape) == 128);
    bt_tensor second = tensor_of(s, (bt_store_ref){.slot = BT_STORE_GROUP_GRADIENTS, .groups = 2});
    assert_true(second.data == (float *)all.data + 64 && bt_shape_count(second.shape) == 64);
    bt_tensor t = tensor_of(s, (bt_store_ref){.slot = BT_STORE_SEGMENTS, .groups = 3});
    const bt_adamw_segment *segment = t.data;
    const bt_adamw_segment wanted[] = {{0, 15, 0, 0.1f}, {32, 39, 0, 0}, {64, 104, 1, 0.2f}};
    assert_int_equal(bt_shape_count(t.shape), sizeof wanted);
    for (int i = 0; i < 3; i++)
        assert_true(segment[i].begin == wanted[i].begin && segment[i].end == wanted[i].end &&
                    segment[i].group == wanted[i].group && segment[i].decay == wanted[i].decay);
    t = tensor_of(s, (bt_store_ref){.slot = BT_STORE_SEGMENTS, .groups = 2});
    assert_true(((const bt_adamw_segment *)t.data)->begin == 64 && bt_shape_count(t.shape) == sizeof *wanted);
    bt_tensor none;
    check_error(bt_store_tensor(s, (bt_store_ref){.slot = BT_STORE_SEGMENTS, .groups = 4}, &none), BT_ERR_SHAPE,
                "the groups in mask 0x4 have no parameters");
    check_error(bt_store_tensor(s, (bt_store_ref){.slot = BT_STORE_GROUP_GRADIENTS, .groups = 5}, &none),
                BT_ERR_UNSUPPORTED, "must be neighbours (mask 0x5)");
    check_message(bt_store_tensor(s, (bt_store_ref){.slot = BT_STORE_GROUP_GRADIENTS}, &none), BT_ERR_SHAPE,
                  "no parameter group is trained");
    bt_params_free(s);
    device->backend->close(device);
}

static void sizes(void **state) {
    (void)state;
    bt_device *device = open_device();
    for (int half = 0; half < 2; half++) {
        bt_params *s = make_store(half ? BT_BF16 : BT_F32);
        check_ok(bt_params_commit(s, device));
        assert_int_equal(bt_params_bytes(s),
                         3 * 256 + 128 * (half ? 6 : 4)); /* three frozen ones, each on a line of 256 bytes */
        assert_int_equal(bt_params_optimizer_bytes(s), 128 * 12);
        bt_params_free(s);
    }
    device->backend->close(device);
}

/* Averages begin as the values; an exchange shows them to programs, bf16 copies included, and a second one takes it
 * back. */
static void averages(void **state) {
    (void)state;
    bt_device *device = open_device();
    bt_params *s = make_store(BT_BF16), *plain = make_store(BT_F32);
    bt_params_keep_average(s);
    check_ok(bt_params_commit(s, device));
    check_ok(bt_params_commit(plain, device));
    float values[64], average[64], back[64];
    check_message(bt_params_read(plain, BUFFER, BT_SLOT_AVERAGE, values), BT_ERR_UNSUPPORTED,
                  "parameter \"running_mean\" has no average: the store keeps none (bt_params_keep_average)");
    check_error(bt_params_read(s, FROZEN_BIAS, BT_SLOT_AVERAGE, values), BT_ERR_UNSUPPORTED, "is frozen");
    assert_int_equal(bt_params_optimizer_bytes(s), 128 * 16);
    const int kept[] = {WEIGHT, BIAS, HEAD, BUFFER};
    for (int k = 0; k < 4; k++) {
        int64_t count = bt_shape_count(bt_params_spec(s, kept[k])->shape);
        check_ok(bt_params_read(s, kept[k], BT_SLOT_VALUE, values));
        check_ok(bt_params_read(s, kept[k], BT_SLOT_AVERAGE, average));
        assert_memory_equal(values, average, (size_t)count * sizeof(float));
        for (int64_t i = 0; i < count; i++) average[i] = (float)(kept[k] * 100 + i) + 0.25f;
        check_ok(bt_params_write(s, kept[k], BT_SLOT_AVERAGE, average));
        check_ok(bt_params_read(s, kept[k], BT_SLOT_VALUE, back));
        assert_memory_equal(values, back, (size_t)count * sizeof(float));
    }
    const uint16_t *copy = tensor_of(s, (bt_store_ref){.slot = BT_STORE_VALUE, .param = WEIGHT}).data;
    const float *buffer = tensor_of(s, (bt_store_ref){.slot = BT_STORE_VALUE, .param = BUFFER}).data;
    uint16_t copy_before = copy[6];
    float buffer_before = buffer[2];
    check_ok(bt_params_exchange_average(s));
    assert_true(copy[6] ==
                bt_bf16_of((float)(WEIGHT * 100 + 5) + 0.25f)); /* row 1, column 1 of rows of 4, stored as 5 */
    assert_true(buffer[2] == (float)(BUFFER * 100 + 2) + 0.25f);
    check_ok(bt_params_exchange_average(s));
    assert_true(copy[6] == copy_before && buffer[2] == buffer_before);
    bt_params_free(s);
    bt_params_free(plain);
    device->backend->close(device);
}

static void refusals(void **state) {
    (void)state;
    bt_params *s = make_store(BT_F32);
    assert_int_equal(bt_params_count(s), COUNT);
    assert_int_equal(bt_params_find(s, "head.weight"), HEAD);
    assert_int_equal(bt_params_find(s, "head"), -1);
    assert_int_equal(bt_params_add(s, &(bt_param_spec){.name = "bias", .shape = bt_shape1(2)}), -1);
    assert_string_equal(bt_error_message(), "parameter \"bias\" is declared twice");
    assert_int_equal(bt_params_add(s, &(bt_param_spec){.name = "none", .shape = bt_shape2(2, 0)}), -1);
    assert_string_equal(bt_error_message(), "parameter \"none\" has shape (2, 0); every axis must be at least 1");
    bt_tensor t;
    check_message(bt_store_tensor(s, (bt_store_ref){.param = HEAD, .first = 3, .count = 2}, &t), BT_ERR_SHAPE,
                  "rows 3 to 5 of \"head.weight\", which has 4");
    check_message(bt_store_tensor(s, (bt_store_ref){.param = HEAD, .first = -1, .count = 2}, &t), BT_ERR_SHAPE,
                  "rows -1 to 1 of \"head.weight\", which has 4");
    check_ok(bt_store_tensor(s, (bt_store_ref){.param = HEAD, .first = 3, .count = 1}, &t));
    check_message(bt_store_tensor(s, (bt_store_ref){.param = COUNT}, &t), BT_ERR_SHAPE, "no parameter 6 in the store");
    check_message(bt_store_tensor(s, (bt_store_ref){.param = -1}, &t), BT_ERR_SHAPE, "no parameter -1 in the store");
    bt_params_free(s);
    s = bt_params_new(BT_F32);
    assert_int_equal(bt_params_add(s, &(bt_param_spec){.name = "frozen", .shape = bt_shape1(2)}), 0);
    check_message(bt_store_tensor(s, (bt_store_ref){.slot = BT_STORE_ALL_M}, &t), BT_ERR_SHAPE, "nothing is trainable");
    bt_params_free(s);
}

/* ---- values from a source ---- */

typedef struct source {
    const bt_params *store;
    int next, fails_at;
} source;

static bt_status number(void *context, int index, float *values) {
    source *s = context;
    if (index == s->fails_at) return bt_error(BT_ERR_FORMAT, "the file ends");
    assert_int_equal(index, s->next++);
    for (int64_t k = 0; k < count_of(s->store, index); k++) values[k] = (float)(100 * index + k) + 0.125f;
    return BT_OK;
}

/* In order, each once, to the same values as host copies give; averages too. */
static void values_from_a_source(void **state) {
    (void)state;
    bt_device *device = open_device();
    bt_params *from_host = make_store(BT_BF16), *s = make_store(BT_BF16);
    bt_params_host(s, BIAS)[3] = 77; /* not used */
    bt_params_keep_average(s);
    check_ok(bt_params_commit(from_host, device));
    source counted = {.store = s, .fails_at = -1};
    check_ok(bt_params_commit_from(s, device, number, &counted));
    assert_int_equal(counted.next, COUNT);
    for (int i = 0; i < COUNT; i++) {
        float found[64], wanted[64], average[64];
        size_t bytes = (size_t)count_of(s, i) * sizeof(float);
        check_ok(bt_params_read(from_host, i, BT_SLOT_VALUE, wanted));
        check_ok(bt_params_read(s, i, BT_SLOT_VALUE, found));
        assert_memory_equal(found, wanted, bytes);
        if (i == FROZEN_WEIGHT || i == FROZEN_BIAS) continue;
        check_ok(bt_params_read(s, i, BT_SLOT_AVERAGE, average));
        assert_memory_equal(average, wanted, bytes);
    }
    bt_params_free(s);
    bt_params_free(from_host);
    bt_cpu_backend.close(device);
}

/* Constants keep their values and are not asked for; what nobody set is zero. */
static void constants_are_not_asked_for(void **state) {
    (void)state;
    bt_device *device = open_device();
    for (int with_source = 0; with_source < 2; with_source++) {
        bt_params *s = bt_params_new(BT_F32);
        const bt_param_spec constant = {.name = "angles", .shape = bt_shape1(3), .kind = BT_PARAM_CONSTANT},
                            other = {.name = "bias", .shape = bt_shape1(5), .kind = BT_PARAM_F32};
        assert_int_equal(bt_params_add(s, &constant), 0);
        assert_int_equal(bt_params_add(s, &other), 1);
        bt_params_host(s, 0)[2] = 4;
        source counted = {.store = s, .next = 1, .fails_at = -1};
        check_ok(with_source ? bt_params_commit_from(s, device, number, &counted) : bt_params_commit(s, device));
        assert_int_equal(counted.next, 1 + with_source);
        float angles[3], bias[5];
        check_ok(bt_params_read(s, 0, BT_SLOT_VALUE, angles));
        check_ok(bt_params_read(s, 1, BT_SLOT_VALUE, bias));
        assert_true(angles[0] == 0 && angles[2] == 4);
        for (int k = 0; k < 5; k++) assert_true(bias[k] == (with_source ? 100.125f + (float)k : 0));
        bt_params_free(s);
    }
    bt_cpu_backend.close(device);
}

static void a_source_that_fails(void **state) {
    (void)state;
    bt_device *device = open_device();
    bt_params *s = make_store(BT_F32);
    source counted = {.store = s, .fails_at = BUFFER};
    check_error(bt_params_commit_from(s, device, number, &counted), BT_ERR_FORMAT, "the file ends");
    assert_int_equal(counted.next, BUFFER);
    bt_params_free(s);
    bt_cpu_backend.close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back),
        cmocka_unit_test(values_from_a_source),
        cmocka_unit_test(constants_are_not_asked_for),
        cmocka_unit_test(a_source_that_fails),
        cmocka_unit_test(slots_are_written_and_read),
        cmocka_unit_test(slots_that_are_not_there),
        cmocka_unit_test(programs_see_the_layout),
        cmocka_unit_test(groups_and_segments),
        cmocka_unit_test(sizes),
        cmocka_unit_test(averages),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
