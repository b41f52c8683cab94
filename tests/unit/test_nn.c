/* Modules before training: names, shapes and initial values of parameters, adapters cut to a range of outputs, and what
 * configurations refuse. */
#include "check.h"
#include "inputs.h"

#include "method/method.h"
#include "nn/init.h"

#include <math.h>

static const bt_program_options inference = {.compute = BT_F32};

/* ---- initial values ---- */

typedef struct spread {
    double mean, deviation, largest;
} spread;

static spread spread_of(bt_params *s, int index) {
    const float *v = bt_params_host(s, index);
    int64_t count = bt_shape_count(bt_params_spec(s, index)->shape);
    spread found = {0};
    for (int64_t i = 0; i < count; i++) found.mean += (double)v[i];
    found.mean /= (double)count;
    for (int64_t i = 0; i < count; i++) {
        found.deviation += ((double)v[i] - found.mean) * ((double)v[i] - found.mean) / (double)count;
        found.largest = fmax(found.largest, fabs((double)v[i]));
    }
    found.deviation = sqrt(found.deviation);
    return found;
}

static int declare(bt_params *s, const char *name, int64_t rows, int64_t columns) {
    return bt_declare(s, &(bt_param_spec){.name = name, .shape = bt_shape2(rows, columns), .kind = BT_PARAM_F32});
}

/* 20,001 draws: the mean is off by 0.007 deviations, the deviation by half a percent (one standard error). */
static void distributions(void **state) {
    (void)state;
    bt_params *s = bt_params_new(BT_F32);
    int normal = declare(s, "normal", 59, 339), uniform = declare(s, "uniform", 59, 339),
        other = declare(s, "other", 59, 339);
    bt_init_normal(s, normal, 0.5f, 7);
    bt_init_uniform(s, uniform, 3, 7);
    bt_init_normal(s, other, 0.5f, 7);
    spread n = spread_of(s, normal), u = spread_of(s, uniform);
    assert_true(fabs(n.mean) < 0.5 * 0.03 && fabs(n.deviation / 0.5 - 1) < 0.02 && n.largest > 0.5 * 3.3 &&
                n.largest < 0.5 * 6);
    assert_true(fabs(u.mean) < 3 * 0.02 && fabs(u.deviation * sqrt(3) / 3 - 1) < 0.02 && u.largest > 2.99 &&
                u.largest <= 3);
    const float *a = bt_params_host(s, normal), *b = bt_params_host(s, other);
    assert_true(a[20000] != 0 && bt_params_host(s, uniform)[20000] != 0); /* to the last one, of an odd number */
    double product = 0, neighbours = 0;
    for (int i = 0; i < 20000; i++) {
        product += (double)a[i] * (double)b[i] / 20000 / 0.25;
        neighbours += (double)a[i] * (double)a[i + 1] / 20000 / 0.25;
    }
    assert_true(fabs(product) < 0.03 && fabs(neighbours) < 0.03); /* other names draw other values */
    bt_init_constant(s, uniform, 2);
    assert_true(spread_of(s, uniform).mean == 2 && spread_of(s, uniform).largest == 2);
    bt_params_free(s);
}

static void draws_depend_on_name_and_seed(void **state) {
    (void)state;
    bt_params *s = bt_params_new(BT_F32), *t = bt_params_new(BT_F32);
    declare(t, "before", 3, 3);
    int a = declare(s, "w", 5, 7), b = declare(t, "w", 5, 7);
    bt_init_normal(s, a, 1, 11);
    bt_init_normal(t, b, 1, 11);
    assert_memory_equal(bt_params_host(s, a), bt_params_host(t, b), 35 * sizeof(float));
    bt_init_normal(t, b, 1, 12);
    assert_memory_not_equal(bt_params_host(s, a), bt_params_host(t, b), 35 * sizeof(float));
    bt_params_free(s);
    bt_params_free(t);
}

/* ---- adapters ---- */

static void adapters(void **state) {
    (void)state;
    bt_params *s = bt_params_new(BT_F32);
    const bt_lora_config config = {.targets = BT_LORA_Q | BT_LORA_V, .rank = 4, .alpha = 10, .dropout = 0.25f};
    const int part[] = {0, 2};
    bt_lora l = bt_lora_declare(s, "blocks.0.attn.qkv", 64, 64, part, 2, &config, 9, 1, 0.5f, 3);
    assert_true(l.scale == 2.5f && l.dropout == 0.25f && l.stream == 9 && l.rank == 4 && l.parts == 2);
    const bt_param_spec *a = bt_params_spec(s, l.a), *b = bt_params_spec(s, l.b);
    assert_string_equal(a->name, "blocks.0.attn.qkv.lora_A.weight");
    assert_string_equal(b->name, "blocks.0.attn.qkv.lora_B.weight");
    assert_true(bt_shape_equal(a->shape, bt_shape2(8, 64)) && bt_shape_equal(b->shape, bt_shape2(128, 4)));
    assert_true(a->trainable && b->trainable && a->group == 1 && b->group == 1 && a->decay == 0.5f && b->decay == 0.5f);
    spread found = spread_of(s, l.a);
    assert_true(found.largest <= 1.0 / 8 && found.largest > 0.98 / 8 && fabs(found.deviation * sqrt(3) * 8 - 1) < 0.1);
    assert_true(spread_of(s, l.b).largest == 0);

    bt_program *p = bt_program_new(&inference);
    bt_lora_values all = bt_lora_range(p, s, &l, 0, 192), q = bt_lora_range(p, s, &l, 0, 64),
                   kv = bt_lora_range(p, s, &l, 64, 128);
    assert_true(all.parts == 2 && all.part_column[0] == 0 && all.part_column[1] == 128 && all.part_width == 64 &&
                all.rank == 4);
    assert_true(q.parts == 1 && q.part_column[0] == 0 && kv.parts == 1 && kv.part_column[0] == 64 && kv.scale == 2.5f);
    assert_true(bt_shape_equal(bt_shape_of_value(p, q.a), bt_shape2(4, 64)) && q.a != kv.a && q.b != kv.b);
    assert_true(bt_shape_equal(bt_shape_of_value(p, kv.b), bt_shape2(64, 4)));
    assert_true(bt_info(p, q.a)->ref.first == 0 && bt_info(p, kv.a)->ref.first == 4 &&
                bt_info(p, kv.b)->ref.first == 64);
    bt_lora_values k = bt_lora_range(p, s, &l, 64, 64);
    assert_true(k.parts == 0 && k.a == 0 && k.b == 0);
    check_ok(bt_program_check(p));
    bt_program_free(p);
    bt_params_free(s);
}

/* One adapter over all of qkv: a range takes its rows of B and all of A. */
static void adapter_of_a_whole_layer(void **state) {
    (void)state;
    bt_params *s = bt_params_new(BT_F32);
    const bt_lora_config config = {.targets = BT_LORA_QKV, .rank = 4, .alpha = 4};
    const int whole[] = {0};
    bt_lora l = bt_lora_declare(s, "qkv", 64, 192, whole, 1, &config, 1, 1, 0, 3);
    bt_program *p = bt_program_new(&inference);
    bt_lora_values all = bt_lora_range(p, s, &l, 0, 192), kv = bt_lora_range(p, s, &l, 64, 128);
    assert_true(all.parts == 1 && all.part_width == 192 && kv.parts == 1 && kv.part_width == 128 &&
                kv.part_column[0] == 0);
    assert_true(all.a == kv.a && bt_info(p, kv.b)->ref.first == 64 && bt_info(p, kv.b)->ref.count == 128);
    assert_true(bt_lora_range(p, s, &l, 128, 128).parts == 0);
    bt_program_free(p);
    bt_params_free(s);
}

static void target_lists(void **state) {
    (void)state;
    uint32_t mask = 99;
    check_ok(bt_lora_parse_targets("none", &mask));
    assert_int_equal(mask, 0);
    check_ok(bt_lora_parse_targets("q,v,proj,fc1", &mask));
    assert_int_equal(mask, BT_LORA_Q | BT_LORA_V | BT_LORA_PROJ | BT_LORA_FC1);
    check_ok(bt_lora_parse_targets("fc2,qkv", &mask));
    assert_int_equal(mask, BT_LORA_FC2 | BT_LORA_QKV);
    check_ok(bt_lora_parse_targets("k", &mask));
    assert_int_equal(mask, BT_LORA_K);
    static const char *const wrong[][2] = {
        {"q,w", "adapter target \"w\" is unknown"},    {"", "adapter target \"\" is unknown"},
        {"q,", "adapter target \"\" is unknown"},      {"qk", "adapter target \"qk\" is unknown"},
        {"q,none", "adapter target \"none\""},         {"v,qkv", "\"v,qkv\": qkv is one adapter for all three"},
        {"qkv,k", "qkv is one adapter for all three"}, {"q,qkv", "it excludes q, k and v"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check_error(bt_lora_parse_targets(wrong[i][0], &mask), BT_ERR_CONFIG, wrong[i][1]);
    assert_int_equal(mask, BT_LORA_K);
}

/* ---- the tower and the heads ---- */

static void expect_parameter(bt_params *s, const char *name, bt_shape shape, double mean, double deviation) {
    int index = bt_params_find(s, name);
    if (index < 0) fail_msg("no parameter %s", name);
    assert_true(bt_shape_equal(bt_params_spec(s, index)->shape, shape));
    spread found = spread_of(s, index);
    double error = deviation * 3.5 / sqrt((double)bt_shape_count(shape)) + 1e-12; /* 3.5 and 5 standard errors */
    if (!(fabs(found.mean - mean) <= error && fabs(found.deviation - deviation) <= error))
        fail_msg("%s: mean %g, deviation %g; wanted %g, %g", name, found.mean, found.deviation, mean, deviation);
}

static void tower(void **state) {
    (void)state;
    const bt_vit_config config = {.image = 32,
                                  .patch = 8,
                                  .width = 48,
                                  .depth = 2,
                                  .heads = 3,
                                  .mlp = 96,
                                  .registers = 4,
                                  .layer_scale = true,
                                  .layer_scale_init = 0.125f,
                                  .norm_eps = 1e-6f,
                                  .std = {1, 1, 1}};
    const bt_vit_training training = {
        .lora = {.targets = BT_LORA_K | BT_LORA_FC2, .rank = 2, .alpha = 2}, .group = 1, .decay = 0.25f, .seed = 5};
    bt_params *s = bt_params_new(BT_F32);
    bt_vit vit;
    check_ok(bt_vit_check(&config));
    bt_vit_init(&vit, s, &config, &training);
    assert_int_equal(bt_vit_token_count(&config), 1 + 4 + 16);
    expect_parameter(s, "patch_embed.proj.weight", bt_shape4(48, 3, 8, 8), 0, 1 / sqrt(192) / sqrt(3));
    assert_int_equal(bt_params_spec(s, vit.patch_w)->columns, 192);
    expect_parameter(s, "patch_embed.proj.bias", bt_shape1(48), 0, 0);
    expect_parameter(s, "cls_token", bt_shape3(1, 1, 48), 0, 1e-6);
    expect_parameter(s, "reg_token", bt_shape3(1, 4, 48), 0, 1e-6);
    expect_parameter(s, "pos_embed", bt_shape3(1, 17, 48), 0, 0.02);
    expect_parameter(s, "blocks.1.norm1.weight", bt_shape1(48), 1, 0);
    expect_parameter(s, "blocks.1.norm2.weight", bt_shape1(48), 1, 0);
    expect_parameter(s, "blocks.0.norm1.bias", bt_shape1(48), 0, 0);
    expect_parameter(s, "blocks.0.norm2.bias", bt_shape1(48), 0, 0);
    expect_parameter(s, "blocks.0.attn.qkv.weight", bt_shape2(144, 48), 0, 0.02);
    expect_parameter(s, "blocks.0.attn.qkv.bias", bt_shape1(144), 0, 0);
    expect_parameter(s, "blocks.0.attn.qkv.lora_A.weight", bt_shape2(2, 48), 0, 1 / sqrt(48) / sqrt(3));
    expect_parameter(s, "blocks.0.attn.qkv.lora_B.weight", bt_shape2(48, 2), 0, 0);
    expect_parameter(s, "blocks.1.attn.proj.weight", bt_shape2(48, 48), 0, 0.02);
    expect_parameter(s, "blocks.1.ls1.gamma", bt_shape1(48), 0.125, 0);
    expect_parameter(s, "blocks.1.ls2.gamma", bt_shape1(48), 0.125, 0);
    expect_parameter(s, "blocks.0.mlp.fc1.weight", bt_shape2(96, 48), 0, 0.02);
    expect_parameter(s, "blocks.0.mlp.fc2.weight", bt_shape2(48, 96), 0, 0.02);
    expect_parameter(s, "blocks.0.mlp.fc2.lora_A.weight", bt_shape2(2, 96), 0, 1 / sqrt(96) / sqrt(3));
    expect_parameter(s, "norm.weight", bt_shape1(48), 1, 0);
    expect_parameter(s, "norm.bias", bt_shape1(48), 0, 0);
    assert_int_equal(bt_params_find(s, "blocks.0.attn.proj.lora_A.weight"), -1);
    assert_int_equal(vit.block[0].qkv.lora.part[0], 1);
    for (int i = 0; i < bt_params_count(s); i++) {
        const bt_param_spec *spec = bt_params_spec(s, i);
        assert_int_equal(spec->trainable, strstr(spec->name, "lora_") != NULL);
        assert_true(spec->group == 1 && spec->decay == 0.25f);
    }
    bt_vit_release(&vit);
    bt_params_free(s);
}

/* Streams of dropout belong to layers, whichever are adapted. */
static void streams(void **state) {
    (void)state;
    const bt_vit_config config = {
        .image = 8, .patch = 8, .width = 8, .depth = 2, .heads = 1, .mlp = 8, .std = {1, 1, 1}};
    bt_vit few, many;
    bt_params *s = bt_params_new(BT_F32), *t = bt_params_new(BT_F32);
    bt_vit_init(&few, s, &config, &(bt_vit_training){.lora = {.targets = BT_LORA_FC2, .rank = 1}});
    bt_vit_init(
        &many, t, &config,
        &(bt_vit_training){.lora = {.targets = BT_LORA_QKV | BT_LORA_PROJ | BT_LORA_FC1 | BT_LORA_FC2, .rank = 1}});
    for (int i = 0; i < 2; i++) {
        assert_int_equal(few.block[i].fc2.lora.stream, 4 * i + 4);
        assert_int_equal(many.block[i].qkv.lora.stream, 4 * i + 1);
        assert_int_equal(many.block[i].proj.lora.stream, 4 * i + 2);
        assert_int_equal(many.block[i].fc1.lora.stream, 4 * i + 3);
        assert_int_equal(many.block[i].fc2.lora.stream, 4 * i + 4);
    }
    assert_true(few.block[0].scale1 == -1 && few.block[0].scale2 == -1 && few.reg == -1 &&
                few.block[0].qkv.lora.a == -1);
    bt_vit_release(&few);
    bt_vit_release(&many);
    bt_params_free(s);
    bt_params_free(t);
}

static void wrong_towers(void **state) {
    (void)state;
    const bt_vit_config good = {.image = 32, .patch = 8, .width = 48, .depth = 2, .heads = 3, .mlp = 96};
    bt_vit_config c = good;
    c.patch = 5;
    check_message(bt_vit_check(&c), BT_ERR_CONFIG,
                  "model.image 32 must be a multiple of model.patch 5; nearest are 30 and 35");
    c.patch = 0;
    check_error(bt_vit_check(&c), BT_ERR_CONFIG, "model.patch 0; nearest are 0 and 0");
    c.patch = 64;
    check_error(bt_vit_check(&c), BT_ERR_CONFIG, "model.patch 64; nearest are 0 and 64");
    for (int heads = 0; heads < 6; heads += 5) {
        c = good;
        c.heads = heads;
        check_error(bt_vit_check(&c), BT_ERR_CONFIG,
                    heads ? "model.width 48 must be a multiple of model.heads 5" : "model.heads 0");
    }
    int *const fields[] = {&c.depth, &c.mlp, &c.registers, &c.width};
    for (int i = 0; i < 4; i++) {
        c = good;
        *fields[i] = i == 2 ? -1 : 0;
        check_error(bt_vit_check(&c), BT_ERR_CONFIG, i == 3 ? "model.width 0" : "must be at least 1, model.registers");
    }
    check_ok(bt_vit_check(&good));
    for (const char *const *name = bt_vit_names(); *name; name++) {
        assert_true(bt_vit_named(*name, &c));
        check_ok(bt_vit_check(&c));
    }
    assert_false(bt_vit_named("vit_small", &c));
}

static void heads(void **state) {
    (void)state;
    bt_params *s = bt_params_new(BT_F32), *t = bt_params_new(BT_F32);
    bt_hashcoder small, large;
    bt_hashcoder_init(&small, s, &(bt_hashcoder_config){.size = BT_HASHCODER_SMALL, .width = 48, .bits = 16}, 0, 0.5f,
                      3);
    bt_hashcoder_init(&large, t,
                      &(bt_hashcoder_config){.size = BT_HASHCODER_LARGE, .width = 48, .hidden = 64, .bits = 16}, 0,
                      0.5f, 3);
    expect_parameter(s, "hashcoder.0.weight", bt_shape2(48, 48), 0, 0.02);
    expect_parameter(s, "hashcoder.0.bias", bt_shape1(48), 0, 0);
    expect_parameter(s, "hashcoder.2.weight", bt_shape2(16, 48), 0, 0.02);
    expect_parameter(s, "hashcoder.3.weight", bt_shape1(16), 1, 0);
    expect_parameter(s, "hashcoder.3.bias", bt_shape1(16), 0, 0);
    expect_parameter(s, "hashcoder.3.running_mean", bt_shape1(16), 0, 0);
    expect_parameter(s, "hashcoder.3.running_var", bt_shape1(16), 1, 0);
    assert_int_equal(bt_params_count(s), 8);
    expect_parameter(t, "hashcoder.0.weight", bt_shape2(64, 48), 0, 0.02);
    expect_parameter(t, "hashcoder.2.weight", bt_shape2(64, 64), 0, 0.02);
    expect_parameter(t, "hashcoder.4.weight", bt_shape2(16, 64), 0, 0.02);
    expect_parameter(t, "hashcoder.5.running_var", bt_shape1(16), 1, 0);
    assert_int_equal(bt_params_count(t), 10);
    for (int i = 0; i < 8; i++) {
        const bt_param_spec *spec = bt_params_spec(s, i);
        assert_true(spec->trainable == !strstr(spec->name, "running") &&
                    (spec->kind == BT_PARAM_BUFFER) == !spec->trainable);
        assert_true(spec->group == 0 && spec->decay == 0.5f);
    }
    bt_params_free(s);
    bt_params_free(t);
    const int widths[] = {48, 1024, 1025}, hidden[] = {2048, 2048, 2050}; /* h = max(2d, 2048) */
    for (int i = 0; i < 3; i++) {
        s = bt_params_new(BT_F32);
        bt_hashcoder_init(&large, s, &(bt_hashcoder_config){.size = BT_HASHCODER_LARGE, .width = widths[i], .bits = 1},
                          0, 0, 3);
        assert_true(bt_shape_equal(bt_params_spec(s, large.w[0])->shape, bt_shape2(hidden[i], widths[i])));
        bt_params_free(s);
    }
}

static void classifier(void **state) {
    (void)state;
    bt_model m = {.store = bt_params_new(BT_F32), .vit = {.config = {.width = 480}}, .config = {.classes = 20}};
    bt_method_classify.declare(&m, 0.5f, 3);
    expect_parameter(m.store, "head.weight", bt_shape2(20, 480), 0, 0.02);
    expect_parameter(m.store, "head.bias", bt_shape1(20), 0, 0);
    for (int i = 0; i < 2; i++) {
        const bt_param_spec *spec = bt_params_spec(m.store, i);
        assert_true(spec->trainable && spec->group == BT_GROUP_HEAD && spec->decay == 0.5f);
    }
    bt_params_free(m.store);
}

static void wrong_methods(void **state) {
    (void)state;
    const bt_method_config good = {
        .views = 2, .classes = 3, .bits = 16, .align_weight = 1, .rate_weight = 0.1f, .rate_eps = 0.05f};
    bt_method_config c = good;
    check_ok(bt_method_crovca.check(&c, 2));
    check_message(bt_method_crovca.check(&c, 1), BT_ERR_CONFIG,
                  "train.batch is 1; batch norm in the HashCoder needs at least 2 images per step");
    for (int bits = 0; bits <= 4097; bits += 4097) {
        c.bits = bits;
        check_error(bt_method_crovca.check(&c, 2), BT_ERR_CONFIG,
                    bits ? "method.bits is 4097; allowed: 1 to 4096" : "method.bits is 0");
    }
    c = good;
    c.bits = 1;
    check_ok(bt_method_crovca.check(&c, 2));
    c.bits = 4096;
    check_ok(bt_method_crovca.check(&c, 2));
    c.views = 1;
    check_message(bt_method_crovca.check(&c, 2), BT_ERR_CONFIG,
                  "method.views is 1; aligning codes across views needs at least 2");
    c.supervised = true;
    check_ok(bt_method_crovca.check(&c, 2));
    c.views = 0;
    check_message(bt_method_crovca.check(&c, 2), BT_ERR_CONFIG, "method.views is 0; at least 1 is needed");
    c = good;
    c.rate_eps = 0;
    check_error(bt_method_crovca.check(&c, 2), BT_ERR_CONFIG, "method.rate_eps is 0; it must be above 0");
    c = good;
    check_message(bt_method_classify.check(&c, 2), BT_ERR_CONFIG, "method.views is 2; classify takes 1");
    c.views = 1;
    check_ok(bt_method_classify.check(&c, 1));
    c.classes = 1;
    check_message(bt_method_classify.check(&c, 1), BT_ERR_CONFIG,
                  "method classify needs at least 2 classes, the data has 1");
    bt_loss_term terms[BT_MAX_TERMS];
    c = good;
    assert_int_equal(bt_method_crovca.terms(&c, terms), 2);
    assert_true(strcmp(terms[0].name, "align") == 0 && terms[0].weight == 1 && strcmp(terms[1].name, "rate") == 0 &&
                terms[1].weight == 0.1f);
    c.rate_weight = 0;
    assert_int_equal(bt_method_crovca.terms(&c, terms), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distributions), cmocka_unit_test(draws_depend_on_name_and_seed),
        cmocka_unit_test(adapters),      cmocka_unit_test(adapter_of_a_whole_layer),
        cmocka_unit_test(target_lists),  cmocka_unit_test(tower),
        cmocka_unit_test(streams),       cmocka_unit_test(wrong_towers),
        cmocka_unit_test(heads),         cmocka_unit_test(classifier),
        cmocka_unit_test(wrong_methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
