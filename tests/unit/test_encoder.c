/* Model descriptions, files that say more than they hold, merging, and the public encoder, without a run: models made
 * here. */
#include "check.h"
#include "scratch.h"

#include "base/memory.h"
#include "encoder/embed.h"
#include "encoder/export.h"
#include "encoder/sources.h"
#include "formats/npy.h"

#include <bittern/encoder.h>
#include <bittern/image.h>
#include <bittern/safetensors.h>

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

enum { IMAGE = 8, PATCH = 4, WIDTH = 16, BITS = 12, CLASSES = 3, PIXELS = IMAGE * IMAGE * 3 };

static bt_model_info info_of(const bt_method *method, bool adapters) {
    bt_model_info i = {.tower = "custom",
                       .vit = {.image = IMAGE,
                               .patch = PATCH,
                               .width = WIDTH,
                               .depth = 2,
                               .heads = 2,
                               .mlp = 24,
                               .norm_eps = 1e-6f,
                               .mean = {0.5f, 0.4f, 0.3f},
                               .std = {0.25f, 0.2f, 0.3f}},
                       .method = method,
                       .config = {.views = 1,
                                  .bits = method == &bt_method_crovca ? BITS : 0,
                                  .classes = method == &bt_method_crovca ? 0 : CLASSES},
                       .targets = "none",
                       .lora = {.rank = 1},
                       .pictures = {.resize = 10, .filter = BT_FILTER_BICUBIC},
                       .step = 77,
                       .adapter_file = adapters};
    if (adapters) {
        snprintf(i.targets, sizeof i.targets, "k,v,proj,fc2");
        i.lora = (bt_lora_config){.targets = BT_LORA_K | BT_LORA_V | BT_LORA_PROJ | BT_LORA_FC2, .rank = 3, .alpha = 5};
    }
    return i;
}

/** A model with values that matter everywhere. */
static void make_model(bt_model *m, const bt_model_info *i) {
    bt_vit_training t = {.lora = i->lora, .seed = 9};
    bt_model_init(m, i->method, &i->config, &i->vit, &t, BT_F32);
    unsigned state = 1;
    for (int k = 0; k < bt_params_count(m->store); k++) {
        const bt_param_spec *spec = bt_params_spec(m->store, k);
        float *host = bt_params_host(m->store, k);
        for (int64_t n = 0; n < bt_shape_count(spec->shape); n++) {
            state = state * 1664525u + 1013904223u;
            host[n] =
                (float)(state >> 8) / (float)(1 << 24) * 0.4f + (strstr(spec->name, "running_var") ? 0.5f : -0.2f);
        }
    }
}

/** Writes what of a model `take` wants, with a description or another text in its place. */
static const char *write_model(const char *name, const bt_model *m, const char *json, bool (*take)(const char *)) {
    const char *path = scratch_path(name);
    int count = bt_params_count(m->store), used = 0;
    bt_safetensors_source *s = calloc((size_t)count, sizeof *s);
    assert_non_null(s);
    for (int k = 0; k < count; k++) {
        const bt_param_spec *spec = bt_params_spec(m->store, k);
        if (take && !take(spec->name)) continue;
        s[used] = (bt_safetensors_source){
            .name = spec->name, .dtype = BT_FILE_F32, .rank = spec->shape.rank, .data = bt_params_host(m->store, k)};
        memcpy(s[used++].dim, spec->shape.dim, sizeof(int64_t) * (size_t)spec->shape.rank);
    }
    bt_safetensors_pair pair = {BT_MODEL_INFO_KEY, json};
    check_ok(bt_safetensors_write(path, s, used, &pair, json ? 1 : 0));
    free(s);
    return path;
}

static bool of_adapter(const char *name) {
    return strstr(name, ".lora_") || strncmp(name, "hashcoder.", 10) == 0;
}
static bool of_tower(const char *name) {
    return !of_adapter(name);
}

/** A complete model file; the name's buffer is one of eight. */
static const char *simple_model(const char *name, const bt_method *method) {
    bt_model_info i = info_of(method, false);
    bt_model m;
    bt_text json = {0};
    make_model(&m, &i);
    check_ok(bt_model_info_write(&i, false, &json));
    const char *path = write_model(name, &m, bt_text_get(&json), NULL);
    bt_text_free(&json);
    bt_model_release(&m);
    return path;
}

/* ---- descriptions ---- */

static void test_description_comes_back(void **state) {
    (void)state;
    for (int adapters = 0; adapters < 2; adapters++) {
        bt_model_info i = info_of(&bt_method_crovca, adapters), back;
        i.tower_crc = 0xfedcba98u;
        i.config.head = BT_HASHCODER_LARGE;
        i.vit.registers = 3;
        i.vit.layer_scale = true;
        bt_text json = {0};
        check_ok(bt_model_info_write(&i, adapters, &json));
        check_ok(bt_model_info_read(bt_text_get(&json), "file", &back));
        assert_int_equal(back.vit.image, IMAGE);
        assert_int_equal(back.vit.mlp, 24);
        assert_int_equal(back.vit.registers, 3);
        assert_true(back.vit.layer_scale);
        assert_memory_equal(back.vit.mean, i.vit.mean, sizeof i.vit.mean);
        assert_memory_equal(back.vit.std, i.vit.std, sizeof i.vit.std);
        assert_true(back.vit.norm_eps == i.vit.norm_eps);
        assert_ptr_equal(back.method, &bt_method_crovca);
        assert_int_equal(back.config.bits, BITS);
        assert_int_equal(back.config.head, BT_HASHCODER_LARGE);
        assert_int_equal(back.pictures.resize, 10);
        assert_int_equal(back.pictures.filter, BT_FILTER_BICUBIC);
        assert_int_equal(back.step, 77);
        assert_int_equal(back.adapter_file, adapters);
        assert_int_equal(back.lora.targets, i.lora.targets);
        assert_string_equal(back.targets, i.targets);
        if (adapters) assert_int_equal(back.tower_crc, i.tower_crc);
        assert_int_equal(bt_model_bits(&back), BITS);
        bt_text_free(&json);
    }
}

/** The description with `from` replaced by `to`. */
static bt_status read_changed(bool adapters, const char *from, const char *to, bt_model_info *out) {
    bt_model_info i = info_of(&bt_method_crovca, adapters);
    bt_text json = {0}, changed = {0};
    check_ok(bt_model_info_write(&i, adapters, &json));
    const char *at = strstr(bt_text_get(&json), from);
    if (!at) fail_msg("no %s in %s", from, bt_text_get(&json));
    bt_text_append_bytes(&changed, bt_text_get(&json), (size_t)(at - bt_text_get(&json)));
    bt_text_append(&changed, "%s%s", to, at + strlen(from));
    bt_status status = bt_model_info_read(bt_text_get(&changed), "F", out);
    bt_text_free(&json);
    bt_text_free(&changed);
    return status;
}

static void test_descriptions_that_do_not_fit(void **state) {
    (void)state;
    const struct {
        const char *from, *to, *text;
        bt_status status;
    } cases[] = {
        {"\"version\":2", "\"version\":1", "version 1 of the description; this program reads 2 and 3",
         BT_ERR_UNSUPPORTED},
        {"\"version\":2", "\"version\":4", "version 4 of the description", BT_ERR_UNSUPPORTED},
        {"\"crop\":8", "\"mode\":\"widest\",\"crop\":8",
         "mode \"widest\"; this program knows shortest, longest, squash and none", BT_ERR_UNSUPPORTED},
        {"\"crop\":8", "\"center\":\"up\",\"crop\":8", "center \"up\"; this program knows even and down",
         BT_ERR_UNSUPPORTED},
        {"\"crop\":8", "\"fill\":[1,2],\"crop\":8", "\"fill\" has 2 numbers, 3 are expected", BT_ERR_FORMAT},
        {"\"crop\":8", "\"fill\":[1,2,256],\"crop\":8", "256", BT_ERR_FORMAT},
        {"\"resize\":10", "\"mode\":\"longest\",\"resize\":0", "0", BT_ERR_FORMAT},
        {"\"activation\":\"gelu\"", "\"activation\":\"tanh\"",
         "\"activation\" is \"tanh\", which this program does not know", BT_ERR_UNSUPPORTED},
        {"\"qkv_bias\":true", "\"qkv_bias\":1", "qkv_bias", BT_ERR_FORMAT},
        {"\"kind\":\"adapter\"", "\"kind\":\"onnx\"", "kind \"onnx\"", BT_ERR_UNSUPPORTED},
        {"\"image\":8", "\"image\":9", "must be a multiple of model.patch", BT_ERR_CONFIG},
        {"\"image\":8", "\"image\":4097", "4097", BT_ERR_FORMAT},
        {"\"depth\":2", "\"depth\":0", "0", BT_ERR_FORMAT},
        {"\"depth\":2", "\"depth\":\"2\"", "depth: found \"2\", expected a whole number", BT_ERR_FORMAT},
        {"\"heads\":2", "\"heads\":3", "multiple of model.heads 3", BT_ERR_CONFIG},
        {"\"norm_eps\":", "\"norm_eps\":7,\"x\":", "\"norm_eps\" is 7", BT_ERR_FORMAT},
        {"\"crop\":8", "\"crop\":7", "7", BT_ERR_FORMAT},
        {"\"resize\":10", "\"resize\":7", "7", BT_ERR_FORMAT},
        {"bicubic", "lanczos", "interpolation \"lanczos\"", BT_ERR_UNSUPPORTED},
        {"\"mean\":[", "\"mean\":[0,", "\"mean\" has 4 numbers, 3 are expected", BT_ERR_FORMAT},
        {"\"std\":[0.25", "\"std\":[0", "\"std\" is 0; allowed are 1e-06 to 1000", BT_ERR_FORMAT},
        {"crovca", "crovka", "method.name \"crovka\" is unknown", BT_ERR_UNSUPPORTED},
        {"\"bits\":12", "\"bits\":0", "0", BT_ERR_FORMAT},
        {"\"bits\":12", "\"bits\":4097", "4097", BT_ERR_FORMAT},
        {"\"head\":\"small\"", "\"head\":\"huge\"", "head \"huge\"", BT_ERR_UNSUPPORTED},
        {"k,v,proj,fc2", "q,qkv", "qkv is one adapter for all three", BT_ERR_CONFIG},
        {"\"rank\":3", "\"rank\":0", "0", BT_ERR_FORMAT},
        {"\"tower_crc32c\":0", "\"tower_crc32c\":4294967296", "4294967296", BT_ERR_FORMAT},
        {"\"tower\":", "\"tover\":", "tower", BT_ERR_FORMAT},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        bt_model_info out = {.step = -5};
        check_error(read_changed(true, cases[k].from, cases[k].to, &out), cases[k].status, cases[k].text);
        assert_int_equal(out.step, -5); /* untouched */
    }
    bt_model_info out;
    check_error(bt_model_info_read("[]", "F", &out), BT_ERR_FORMAT, "F: byte 0");
    check_error(bt_model_info_read("", "F", &out), BT_ERR_FORMAT, "F: byte 0");
}

/* ---- files ---- */

static void test_files_that_do_not_fit(void **state) {
    (void)state;
    bt_model_info i = info_of(&bt_method_crovca, false), out;
    bt_model m, opened;
    make_model(&m, &i);
    bt_text json = {0};
    i.vit.width = 16384; /* a file that asks for far more memory than it has bytes */
    i.vit.depth = 256;
    check_ok(bt_model_info_write(&i, false, &json));
    bt_model_source source = {.path = write_model("large.safetensors", &m, bt_text_get(&json), NULL)};
    check_error(bt_model_open(&source, BT_F32, &out, &opened), BT_ERR_FORMAT, "the description needs at least");
    bt_text_clear(&json);
    i = info_of(&bt_method_crovca, false);
    i.vit.mlp = 20;
    check_ok(bt_model_info_write(&i, false, &json));
    source.path = write_model("shape.safetensors", &m, bt_text_get(&json), NULL);
    check_error(bt_model_open(&source, BT_F32, &out, &opened), BT_ERR_FORMAT,
                "tensor \"blocks.0.mlp.fc1.weight\" has shape (24, 16), the model has (20, 16)");
    bt_text_clear(&json);
    i = info_of(&bt_method_crovca, false);
    check_ok(bt_model_info_write(&i, false, &json));
    source.path = write_model("none.safetensors", &m, NULL, NULL);
    check_error(bt_model_open(&source, BT_F32, &out, &opened), BT_ERR_FORMAT,
                "it was written neither by bittern export nor by bittern import");
    bt_text_free(&json);
    bt_model_release(&m);
}

/* ---- merging ---- */

static void check_same_tensors(const char *a, const char *b) {
    bt_safetensors *x, *y;
    check_ok(bt_safetensors_open(a, &x));
    check_ok(bt_safetensors_open(b, &y));
    assert_int_equal(bt_safetensors_count(x), bt_safetensors_count(y));
    for (int64_t k = 0; k < bt_safetensors_count(x); k++) {
        const bt_safetensors_entry *one = bt_safetensors_at(x, k), *two = bt_safetensors_find(y, one->name);
        assert_non_null(two);
        assert_int_equal(one->bytes, two->bytes);
        assert_memory_equal(one->data, two->data, one->bytes);
    }
    bt_safetensors_close(x);
    bt_safetensors_close(y);
}

static void test_merged_equals_apart(void **state) {
    (void)state;
    bt_model_info i = info_of(&bt_method_crovca, true);
    bt_model m;
    bt_text json = {0};
    make_model(&m, &i);
    i.tower_crc = bt_model_tower_crc(&m);
    check_ok(bt_model_info_write(&i, true, &json));
    const char *apart = write_model("apart.safetensors", &m, bt_text_get(&json), of_adapter);
    const char *base = write_model("base.safetensors", &m, NULL, of_tower),
               *merged = scratch_path("merged.safetensors");
    bt_model_source source = {.path = apart, .base = base};
    bt_export_result r;
    check_ok(bt_model_export(&source, false, BT_FORM_BITTERN, merged, &r));
    assert_int_equal(r.merged, 6); /* k with v, proj, fc2 of two blocks */
    assert_int_equal(r.info.lora.targets, i.lora.targets);
    const char *again = scratch_path("again.safetensors");
    check_ok(bt_model_export(&source, true, BT_FORM_BITTERN, again, &r));
    check_same_tensors(apart, again);
    bt_engine_options o = {.source = source, .device = "cpu", .dtype = BT_F32, .threads = 1, .batch = 2};
    bt_engine x, y;
    check_ok(bt_engine_open(&o, &x));
    o.source = (bt_model_source){.path = merged};
    check_ok(bt_engine_open(&o, &y));
    uint8_t pixels[2 * PIXELS], code[2][4];
    for (int k = 0; k < 2 * PIXELS; k++) pixels[k] = (uint8_t)(k * 37 % 256);
    float e[2][2 * WIDTH], z[2][2 * BITS];
    check_ok(bt_engine_encode(&x, pixels, 2, e[0], z[0], code[0]));
    check_ok(bt_engine_encode(&y, pixels, 2, e[1], z[1], code[1]));
    for (int k = 0; k < 2 * WIDTH; k++) assert_true(fabsf(e[0][k] - e[1][k]) <= 2e-6f * (1 + fabsf(e[0][k])));
    for (int k = 0; k < 2 * BITS; k++)
        assert_int_equal(code[1][k / BITS * 2 + k % BITS / 8] >> (k % BITS % 8) & 1, z[1][k] > 0);
    bt_engine_close(&x);
    bt_engine_close(&y);
    bt_params_host(m.store, m.vit.norm_b)[3] += 1; /* another tower */
    source.base = write_model("other.safetensors", &m, NULL, of_tower);
    check_error(bt_model_export(&source, false, BT_FORM_BITTERN, merged, &r), BT_ERR_FORMAT,
                "its tower is not the one that the adapters");
    source.path = simple_model("plain.safetensors", &bt_method_crovca);
    check_error(bt_model_export(&source, true, BT_FORM_BITTERN, merged, &r), BT_ERR_USAGE, "leave out --base");
    source.base = NULL;
    check_error(bt_model_export(&source, true, BT_FORM_BITTERN, merged, &r), BT_ERR_CONFIG, "has no adapters");
    bt_text_free(&json);
    bt_model_release(&m);
}

/* ---- the public encoder ---- */

static void fill(uint8_t *pixels, size_t count, unsigned seed) {
    for (size_t k = 0; k < count; k++) {
        seed = seed * 1664525u + 1013904223u;
        pixels[k] = (uint8_t)(seed >> 24);
    }
}

static void test_encoder(void **state) {
    (void)state;
    enum { N = 7 };
    const char *path = simple_model("model.safetensors", &bt_method_crovca);
    uint8_t pixels[N * PIXELS], codes[N * 2], one[2];
    float e[N * WIDTH], z[N * BITS], single[WIDTH];
    fill(pixels, sizeof pixels, 3);
    bt_encoder *encoder;
    bt_encoder_info info;
    check_ok(bt_encoder_open(path, &(bt_encoder_options){.threads = 1, .batch = 3}, &encoder));
    bt_encoder_describe(encoder, &info);
    assert_string_equal(info.method, "crovca");
    assert_int_equal(info.image_size, IMAGE);
    assert_int_equal(info.resize, 10);
    assert_int_equal(info.width, WIDTH);
    assert_int_equal(info.bits, BITS);
    assert_int_equal(info.logits, BITS);
    assert_int_equal(info.code_bytes, 2);
    assert_int_equal(info.batch, 3);
    assert_int_equal(info.step, 77);
    check_ok(bt_encoder_encode(encoder, pixels, N, e, z, codes));
    for (int k = 0; k < N * BITS; k++)
        assert_int_equal(codes[k / BITS * 2 + k % BITS / 8] >> (k % BITS % 8) & 1, z[k] > 0);
    for (int k = 0; k < N; k++) assert_int_equal(codes[2 * k + 1] >> 4, 0); /* bits beyond the twelfth */
    for (int k = 0; k < N; k++) { /* what else is in the batch does not matter, the place at most for the last bits */
        check_ok(bt_encoder_encode(encoder, pixels + k * PIXELS, 1, single, NULL, one));
        if (k % 3 == 0) assert_memory_equal(single, e + k * WIDTH, sizeof single);
        for (int c = 0; c < WIDTH; c++)
            assert_true(fabsf(single[c] - e[k * WIDTH + c]) <= 2e-6f * (1 + fabsf(single[c])));
    }
    assert_memory_not_equal(e, e + WIDTH, sizeof single);
    check_ok(bt_encoder_encode(encoder, pixels, 0, e, z, codes));
    check_error(bt_encoder_encode(encoder, pixels, -1, e, z, codes), BT_ERR_USAGE, "count is -1");
    check_error(bt_encoder_prepare(encoder, pixels, 0, 5, pixels), BT_ERR_USAGE, "0 x 5 pixels");
    check_error(bt_encoder_encode_file(encoder, "/nothing.png", single, NULL, NULL), BT_ERR_IO, "/nothing.png");
    uint8_t picture[20 * 30 * 3], square[PIXELS], from_file[PIXELS];
    fill(picture, sizeof picture, 8);
    check_ok(bt_image_save_ppm(scratch_path("picture.ppm"), picture, 20, 30));
    check_ok(bt_encoder_prepare(encoder, picture, 20, 30, square));
    check_ok(bt_encoder_prepare_file(encoder, scratch_path("picture.ppm"), from_file));
    assert_memory_equal(square, from_file, sizeof square);
    check_ok(bt_encoder_encode(encoder, square, 1, e, NULL, NULL));
    check_ok(bt_encoder_encode_file(encoder, scratch_path("picture.ppm"), single, NULL, NULL));
    assert_memory_equal(e, single, sizeof single);
    bt_encoder_close(encoder);
    bt_encoder_close(NULL);
}

static void test_encoder_of_a_classifier(void **state) {
    (void)state;
    bt_encoder *encoder;
    bt_encoder_info info;
    uint8_t pixels[PIXELS] = {1, 2, 3}, code[8];
    float logits[CLASSES];
    check_ok(bt_encoder_open(simple_model("classes.safetensors", &bt_method_classify), NULL, &encoder));
    bt_encoder_describe(encoder, &info);
    assert_int_equal(info.bits, 0);
    assert_int_equal(info.code_bytes, 0);
    assert_int_equal(info.logits, CLASSES);
    assert_int_equal(info.batch, 1);
    check_ok(bt_encoder_encode(encoder, pixels, 1, NULL, logits, NULL));
    check_error(bt_encoder_encode(encoder, pixels, 1, NULL, logits, code), BT_ERR_UNSUPPORTED,
                "method classify makes no codes");
    bt_encoder_close(encoder);
}

static void test_encoder_refuses(void **state) {
    (void)state;
    bt_encoder *encoder = NULL;
    const char *path = simple_model("model.safetensors", &bt_method_crovca);
    check_error(bt_encoder_open("/nothing", NULL, &encoder), BT_ERR_IO, "cannot open /nothing: No such file");
    check_error(bt_encoder_open(path, &(bt_encoder_options){.dtype = "f64"}, &encoder), BT_ERR_USAGE,
                "allowed are f32 and bf16");
    check_error(bt_encoder_open(path, &(bt_encoder_options){.device = "tpu"}, &encoder), BT_ERR_UNSUPPORTED,
                "no device \"tpu\"");
    check_error(bt_encoder_open(path, &(bt_encoder_options){.batch = -2}, &encoder), BT_ERR_USAGE, "batch is -2");
    check_error(bt_encoder_open(path, &(bt_encoder_options){.threads = -2}, &encoder), BT_ERR_USAGE, "threads is -2");
    check_error(bt_encoder_open(path, &(bt_encoder_options){.checkpoint = "5"}, &encoder), BT_ERR_USAGE, "is one file");
    assert_null(encoder);
}

typedef struct caller {
    bt_encoder *encoder;
    const uint8_t *pixels;
    float e[WIDTH];
    bt_status status;
} caller;

static void *call_often(void *context) {
    caller *c = context;
    for (int k = 0; k < 20 && c->status == BT_OK; k++)
        c->status = bt_encoder_encode(c->encoder, c->pixels, 1, c->e, NULL, NULL);
    return NULL;
}

static void test_encoder_from_threads(void **state) {
    (void)state;
    enum { CALLERS = 4 };
    uint8_t pixels[CALLERS * PIXELS];
    float e[CALLERS * WIDTH];
    fill(pixels, sizeof pixels, 5);
    bt_encoder *encoder;
    check_ok(bt_encoder_open(simple_model("model.safetensors", &bt_method_crovca), &(bt_encoder_options){.threads = 2},
                             &encoder));
    check_ok(bt_encoder_encode(encoder, pixels, CALLERS, e, NULL, NULL)); /* batch 1: each alone */
    caller callers[CALLERS];
    pthread_t threads[CALLERS];
    for (int k = 0; k < CALLERS; k++) {
        callers[k] = (caller){.encoder = encoder, .pixels = pixels + k * PIXELS};
        assert_int_equal(pthread_create(&threads[k], NULL, call_often, &callers[k]), 0);
    }
    for (int k = 0; k < CALLERS; k++) {
        pthread_join(threads[k], NULL);
        check_ok(callers[k].status);
        assert_memory_equal(callers[k].e, e + k * WIDTH, sizeof callers[k].e);
    }
    bt_encoder_close(encoder);
}

static void test_memory_runs_out(void **state) {
    (void)state;
    const char *path = simple_model("model.safetensors", &bt_method_crovca);
    int failed = 0;
    for (int64_t n = 1; n < 40; n++) {
        bt_encoder *encoder = NULL;
        bt_memory_fail_at(n);
        bt_status status = bt_encoder_open(path, &(bt_encoder_options){.threads = 1}, &encoder);
        bt_memory_fail_at(0);
        if (status == BT_OK) {
            bt_encoder_close(encoder);
            continue;
        }
        assert_int_equal(status, BT_ERR_MEMORY);
        failed++;
    }
    assert_true(failed > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_description_comes_back),
        cmocka_unit_test(test_descriptions_that_do_not_fit),
        cmocka_unit_test(test_files_that_do_not_fit),
        cmocka_unit_test(test_merged_equals_apart),
        cmocka_unit_test(test_encoder),
        cmocka_unit_test(test_encoder_of_a_classifier),
        cmocka_unit_test(test_encoder_refuses),
        cmocka_unit_test(test_encoder_from_threads),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests_name("encoder", tests, scratch_make, scratch_remove);
}
