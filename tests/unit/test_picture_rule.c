/* A model's rule for its pictures: from configurations, in descriptions, and what the encoder and bittern embed make of
 * it: the bytes of data/preprocess.h. */
#include "check.h"
#include "scratch.h"

#include "base/file.h"
#include "data/picture_rule.h"
#include "encoder/embed.h"
#include "encoder/export.h"
#include "formats/npy.h"

#include <bittern/encoder.h>
#include <bittern/image.h>

#include <stdlib.h>

enum { IMAGE = 8, WIDTH = 16, PIXELS = IMAGE * IMAGE * 3, SIDES = 5 };

static const bt_picture_rule rules[] = {
    {BT_RESIZE_SHORTEST, 11, BT_FILTER_BILINEAR, BT_CENTER_EVEN, {0}},
    {BT_RESIZE_SHORTEST, 11, BT_FILTER_BILINEAR, BT_CENTER_DOWN, {0}},
    {BT_RESIZE_LONGEST, 8, BT_FILTER_BICUBIC, BT_CENTER_EVEN, {255, 7, 0}},
    {BT_RESIZE_SQUASH, 8, BT_FILTER_BICUBIC, BT_CENTER_EVEN, {0}},
    {BT_RESIZE_SQUASH, 11, BT_FILTER_BICUBIC, BT_CENTER_DOWN, {0}},
    {BT_RESIZE_SQUASH, 5, BT_FILTER_BILINEAR, BT_CENTER_EVEN, {9, 0, 0}},
    {BT_RESIZE_NONE, 8, BT_FILTER_BILINEAR, BT_CENTER_DOWN, {1, 2, 3}},
};
enum { RULES = sizeof rules / sizeof rules[0] };
static const int64_t sides[SIDES][2] = {{20, 31}, {31, 20}, {5, 9}, {8, 8}, {7, 13}};

static bt_model_info info_of(const bt_picture_rule *rule) {
    return (bt_model_info){.tower = "custom",
                           .vit = {.image = IMAGE,
                                   .patch = 4,
                                   .width = WIDTH,
                                   .depth = 1,
                                   .heads = 2,
                                   .mlp = 24,
                                   .norm_eps = 1e-6f,
                                   .mean = {0.5f, 0.4f, 0.3f},
                                   .std = {0.25f, 0.2f, 0.3f}},
                           .method = &bt_method_features,
                           .config.views = 1,
                           .targets = "none",
                           .lora.rank = 1,
                           .pictures = *rule};
}

static const char *write_model(const bt_picture_rule *rule) {
    const char *path = scratch_path("rule.safetensors");
    bt_export_result r = {.info = info_of(rule)};
    bt_model m;
    bt_vit_training t = {.seed = 9};
    bt_model_init(&m, r.info.method, &r.info.config, &r.info.vit, &t, BT_F32);
    check_ok(bt_model_write(&m, false, path, &r));
    bt_model_release(&m);
    return path;
}

/** The same rule as it is written without any help of picture_rule.c. */
static bt_preprocess by_hand(const bt_picture_rule *r) {
    return (bt_preprocess){.mode = r->mode,
                           .filter = r->filter,
                           .resize_height = r->resize,
                           .resize_width = r->resize,
                           .height = IMAGE,
                           .width = IMAGE,
                           .center = r->center,
                           .fill = {r->fill[0], r->fill[1], r->fill[2]}};
}

static void fill(uint8_t *pixels, size_t count, unsigned seed) {
    for (size_t k = 0; k < count; k++) {
        seed = seed * 1664525u + 1013904223u;
        pixels[k] = (uint8_t)(seed >> 24);
    }
}

static void check_rule(const bt_picture_rule *got, const bt_picture_rule *want) {
    assert_int_equal(got->mode, want->mode);
    assert_int_equal(got->resize, want->resize);
    assert_int_equal(got->filter, want->filter);
    assert_int_equal(got->center, want->center);
    assert_memory_equal(got->fill, want->fill, 3);
}

/** Only what version 2 cannot say is written under version 3. */
static void test_descriptions(void **state) {
    (void)state;
    for (int k = 0; k < RULES; k++) {
        bt_model_info i = info_of(&rules[k]), back;
        bt_text json = {0};
        check_ok(bt_model_info_write(&i, false, &json));
        assert_int_equal(strstr(bt_text_get(&json), "\"version\":2") != NULL, k == 0);
        check_ok(bt_model_info_read(bt_text_get(&json), "file", &back));
        check_rule(&back.pictures, &rules[k]);
        bt_text_free(&json);
    }
}

static void test_configurations(void **state) {
    (void)state;
    bt_preprocess p = {.mode = BT_RESIZE_SHORTEST,
                       .filter = BT_FILTER_BICUBIC,
                       .resize_height = 248,
                       .resize_width = 248,
                       .height = 224,
                       .width = 224,
                       .center = BT_CENTER_DOWN,
                       .fill = {1, 2, 3}};
    bt_picture_rule r;
    check_ok(bt_picture_rule_of(&p, 224, "F", &r));
    check_rule(&r, &(bt_picture_rule){BT_RESIZE_SHORTEST, 248, BT_FILTER_BICUBIC, BT_CENTER_DOWN, {0}});
    check_ok(bt_picture_rule_of(&p, 336, "F", &r));
    assert_int_equal(r.resize, 372);
    p.resize_height = p.resize_width = 8192;
    check_error(bt_picture_rule_of(&p, 448, "F", &r), BT_ERR_UNSUPPORTED,
                "F: for squares of 448 pictures would be resized to 16384; at most 8192");
    p.mode = BT_RESIZE_LONGEST;
    p.resize_height = p.resize_width = 200;
    check_ok(bt_picture_rule_of(&p, 112, "F", &r));
    check_rule(&r, &(bt_picture_rule){BT_RESIZE_LONGEST, 100, BT_FILTER_BICUBIC, BT_CENTER_DOWN, {1, 2, 3}});
    p.mode = BT_RESIZE_SHORTEST;
    check_error(bt_picture_rule_of(&p, 224, "F", &r), BT_ERR_UNSUPPORTED,
                "F: the shorter side is resized to 200, and 224 x 224 are taken: every picture would get a border");
    p.mode = BT_RESIZE_SQUASH;
    p.resize_height = 100;
    check_error(bt_picture_rule_of(&p, 224, "F", &r), BT_ERR_UNSUPPORTED, "F: pictures are resized to 200 x 100");
    p.resize_height = 200;
    p.width = 100;
    check_error(bt_picture_rule_of(&p, 224, "F", &r), BT_ERR_UNSUPPORTED, "100 x 224 of them taken");
    p.width = 224;
    p.resize_height = p.resize_width = 1;
    check_error(bt_picture_rule_of(&p, 112, "F", &r), BT_ERR_UNSUPPORTED, "leave no pixel");
    p.mode = BT_RESIZE_NONE;
    p.resize_height = p.resize_width = 0;
    check_ok(bt_picture_rule_of(&p, 112, "F", &r));
    assert_int_equal(r.resize, 112);
}

/** The library's square of a picture, of odd sizes, wide and tall. */
static void test_encoder_prepares(void **state) {
    (void)state;
    uint8_t picture[31 * 31 * 3], got[PIXELS], want[PIXELS], before[PIXELS];
    fill(picture, sizeof picture, 8);
    bt_resampler resampler = {.weights = NULL};
    for (int k = 0; k < RULES; k++) {
        bt_encoder *encoder;
        check_ok(bt_encoder_open(write_model(&rules[k]), &(bt_encoder_options){.threads = 1}, &encoder));
        const bt_preprocess p = by_hand(&rules[k]);
        for (int s = 0; s < SIDES; s++) {
            check_ok(bt_preprocess_run(&p, &resampler, picture, sides[s][0], sides[s][1], want));
            check_ok(bt_encoder_prepare(encoder, picture, sides[s][0], sides[s][1], got));
            assert_memory_equal(got, want, sizeof want);
            if (s == 1 && k) assert_memory_not_equal(got, before, sizeof got); /* every rule makes another square */
            if (s == 1) memcpy(before, got, sizeof before);
        }
        if (rules[k].mode == BT_RESIZE_LONGEST)
            check_error(bt_encoder_prepare(encoder, picture, 1, 31, got), BT_ERR_FORMAT, "keeps no pixel");
        bt_encoder_close(encoder);
    }
    bt_resampler_free(&resampler);
}

/** bittern embed of files: the bits of their squares. */
static void test_embed(void **state) {
    (void)state;
    uint8_t picture[31 * 31 * 3], squares[SIDES * PIXELS];
    char list[256], name[32];
    bt_text names = {0};
    bt_resampler resampler = {.weights = NULL};
    for (int s = 0; s < SIDES; s++) {
        snprintf(name, sizeof name, "picture%d.ppm", s);
        bt_text_append(&names, "%s\n", name);
        fill(picture, sizeof picture, 20 + (unsigned)s);
        check_ok(bt_image_save_ppm(scratch_path(name), picture, sides[s][0], sides[s][1]));
    }
    snprintf(list, sizeof list, "%s", scratch_path("list.txt"));
    check_ok(bt_file_write(list, bt_text_get(&names), names.length));
    for (int k = 0; k < RULES; k++) {
        const bt_preprocess p = by_hand(&rules[k]);
        for (int s = 0; s < SIDES; s++) {
            fill(picture, sizeof picture, 20 + (unsigned)s);
            check_ok(bt_preprocess_run(&p, &resampler, picture, sides[s][0], sides[s][1], squares + s * PIXELS));
        }
        char model[256], out[256];
        snprintf(model, sizeof model, "%s", write_model(&rules[k]));
        snprintf(out, sizeof out, "%s", scratch_path("out.npy"));
        bt_embed_options o = {
            .engine = {.source = {.path = model}, .device = "cpu", .dtype = BT_F32, .threads = 1, .batch = SIDES},
            .data = {.root = list},
            .out = out,
            .loader_threads = 2,
            .save_seconds = 10};
        bt_embed_result r;
        check_ok(bt_embed(&o, &r));
        bt_engine e;
        float want[SIDES * WIDTH];
        check_ok(bt_engine_open(&o.engine, &e));
        check_ok(bt_engine_encode(&e, squares, SIDES, want, NULL, NULL));
        bt_engine_close(&e);
        bt_npy npy;
        check_ok(bt_npy_open(out, &npy));
        assert_int_equal(npy.dim[0], SIDES);
        assert_memory_equal(bt_npy_f32_in_place(&npy), want, sizeof want);
        bt_npy_close(&npy);
    }
    bt_resampler_free(&resampler);
    bt_text_free(&names);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptions),
        cmocka_unit_test(test_configurations),
        cmocka_unit_test(test_encoder_prepares),
        cmocka_unit_test(test_embed),
    };
    return cmocka_run_group_tests_name("picture_rule", tests, scratch_make, scratch_remove);
}
