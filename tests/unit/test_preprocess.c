/* Preprocessing of published models: what is read from the three kinds of configuration, what is refused and how,
 * geometry by hand, the loader's views. Pixels are compared with the libraries' in tests/images. */
#include "check.h"

#include "data/loader.h"
#include "formats/encode.h"
#include "scratch.h"

#include <math.h>

#define TIMM(rest)                                                                                                     \
    "{\"pretrained_cfg\": {\"mean\": [0.485, 0.456, 0.406], \"std\": [0.229, 0.224, 0.225], \"input_size\": [3, 224, " \
    "224]" rest "}}"
#define CLIP(rest, size)                                                                                               \
    "{\"model_cfg\": {\"vision_cfg\": {\"image_size\": " size                                                          \
    "}}, \"preprocess_cfg\": {\"mean\": [0.5, 0.5, 0.5], \"std\": 0.5" rest "}}"
#define HF(type, rest)                                                                                                 \
    "{\"image_processor_type\": \"" type "\", \"image_mean\": [0.5, 0.4, 0.3], \"image_std\": [0.2, 0.2, 0.2]" rest "}"

static bt_status parse(const char *text, bt_preprocess *out) {
    return bt_preprocess_parse(text, strlen(text), "config.json", out);
}

static void described(void **state) {
    (void)state;
    static const struct {
        const char *text, *want, *assumed;
    } cases[] = {
        {TIMM(", \"crop_pct\": 0.9, \"interpolation\": \"bicubic\", \"crop_mode\": \"center\", \"classifier\": "
              "\"head\", \"test_crop_pct\": 1.0"),
         "shorter side to 248 (bicubic), centre 224 x 224; mean 0.485 0.456 0.406, std 0.229 0.224 0.225", ""},
        {TIMM(", \"crop_pct\": null"),
         "shorter side to 256 (bicubic), centre 224 x 224; mean 0.485 0.456 0.406, std 0.229 0.224 0.225",
         "crop_pct 0.875, interpolation bicubic, crop_mode center"},
        {TIMM(", \"crop_pct\": 1, \"interpolation\": \"bilinear\", \"crop_mode\": \"border\""),
         "to fit into 224 x 224 (bilinear), filled with 124 116 104, centre 224 x 224; mean 0.485 0.456 0.406, std "
         "0.229 0.224 0.225",
         ""},
        {"{\"input_size\": [3, 100, 80], \"mean\": [0, 0, 0], \"std\": [1, 1, 1], \"crop_pct\": 0.9, "
         "\"interpolation\": \"bicubic\", \"crop_mode\": \"center\"}",
         "to cover 88 x 111 (bilinear), centre 80 x 100; mean 0 0 0, std 1 1 1",
         "interpolation bilinear (timm's for sides that differ)"},
        {CLIP(", \"interpolation\": \"bilinear\", \"resize_mode\": \"shortest\", \"mode\": \"RGB\", \"size\": 99",
              "224"),
         "shorter side to 224 (bilinear), centre 224 x 224; mean 0.5 0.5 0.5, std 0.5 0.5 0.5", ""},
        {CLIP(", \"interpolation\": \"random\", \"resize_mode\": \"squash\"", "[30, 40]"),
         "squashed to 40 x 30 (bicubic), centre 40 x 30; mean 0.5 0.5 0.5, std 0.5 0.5 0.5", ""},
        {CLIP(", \"resize_mode\": \"longest\", \"fill_color\": [1, 2, 3]", "null"),
         "to fit into 224 x 224 (bicubic), filled with 1 2 3, centre 224 x 224; mean 0.5 0.5 0.5, std 0.5 0.5 0.5",
         "image_size 224, interpolation bicubic"},
        {"{\"preprocess_cfg\": {\"mean\": [0.5, 0.5, 0.5], \"std\": [0.5, 0.5, 0.5], \"size\": 384}}",
         "shorter side to 384 (bicubic), centre 384 x 384; mean 0.5 0.5 0.5, std 0.5 0.5 0.5",
         "interpolation bicubic, resize_mode shortest"},
        {HF("BitImageProcessor", ", \"size\": {\"shortest_edge\": 256}, \"crop_size\": {\"height\": 224, \"width\": "
                                 "220}, \"resample\": 3, \"rescale_factor\": 0.00392156862745098"),
         "shorter side to 256 (bicubic), centre 220 x 224; mean 0.5 0.4 0.3, std 0.2 0.2 0.2", ""},
        {HF("CLIPImageProcessor",
            ", \"size\": 30, \"crop_size\": 20, \"do_pad\": false, \"do_center_crop\": true, \"rescale_factor\": 0.5"),
         "shorter side to 30 (bicubic), centre 20 x 20; mean 0.5 0.4 0.3, std 0.2 0.2 0.2, bytes times 0.5",
         "resample 3 (bicubic)"},
        {HF("ViTImageProcessor", ", \"size\": 30, \"do_rescale\": false"),
         "squashed to 30 x 30 (bilinear), centre 30 x 30; mean 0.5 0.4 0.3, std 0.2 0.2 0.2, bytes times 1",
         "resample 2 (bilinear)"},
        {HF("DINOv3ViTImageProcessorFast",
            ", \"size\": {\"height\": 224, \"width\": 224}, \"resample\": 2, \"do_center_crop\": null, \"crop_size\": "
            "null, \"rescale_factor\": 0.00392156862745098"),
         "squashed to 224 x 224 (bilinear), centre 224 x 224; mean 0.5 0.4 0.3, std 0.2 0.2 0.2", ""},
        {"{\"feature_extractor_type\": \"CLIPFeatureExtractor\", \"do_resize\": false, \"crop_size\": 64, "
         "\"do_normalize\": false}",
         "not resized, centre 64 x 64; mean 0 0 0, std 1 1 1", "rescale_factor 1/255"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bt_preprocess p;
        bt_text text = {0};
        check_ok(parse(cases[i].text, &p));
        check_ok(bt_preprocess_describe(&p, &text));
        assert_string_equal(bt_text_get(&text), cases[i].want);
        assert_string_equal(p.assumed, cases[i].assumed);
        bt_text_free(&text);
    }
}

typedef struct refusal {
    const char *text;
    bt_status status;
    const char *message;
} refusal;

static const refusal refusals[] = {
    {"", BT_ERR_FORMAT, "config.json: "},
    {"[1]", BT_ERR_FORMAT, "config.json: byte 0: "},
    {"{}", BT_ERR_FORMAT, "config.json: byte 0: no configuration of pictures: none of timm's pretrained_cfg"},
    {"{\"pretrained_cfg\": 3}", BT_ERR_FORMAT, "pretrained_cfg: found a whole number, expected an object"},
    {"{\"pretrained_cfg\": {\"mean\": [1, 1, 1]}}", BT_ERR_FORMAT,
     "\"std\" is missing: without it the pictures cannot be made as the model expects them"},
    {"{\"pretrained_cfg\": {\"mean\": [1, 1, 1], \"std\": [1, 0, 1]}}", BT_ERR_FORMAT,
     "a number is 0; allowed are 1e-06 to 1000"},
    {"{\"pretrained_cfg\": {\"mean\": [1, 1], \"std\": [1, 1, 1]}}", BT_ERR_FORMAT,
     "mean has 2 numbers; 3 are expected"},
    {"{\"pretrained_cfg\": {\"mean\": \"x\", \"std\": [1, 1, 1]}}", BT_ERR_FORMAT,
     "mean: found \"x\", expected a number"},
    {TIMM(", \"interpolation\": \"lanczos\""), BT_ERR_UNSUPPORTED,
     "interpolation is \"lanczos\"; this program knows bilinear and bicubic"},
    {TIMM(", \"interpolation\": \"random\""), BT_ERR_UNSUPPORTED, "interpolation is \"random\""},
    {TIMM(", \"crop_mode\": \"corner\""), BT_ERR_UNSUPPORTED,
     "crop_mode is \"corner\"; this program knows center, squash and border"},
    {TIMM(", \"crop_pct\": 0.01"), BT_ERR_FORMAT, "crop_pct is 0.01; allowed are 0.05 to 4"},
    {TIMM(", \"crop_pct\": \"0.9\""), BT_ERR_FORMAT, "crop_pct: found \"0.9\", expected a number"},
    {"{\"input_size\": [1, 28, 28], \"mean\": [1, 1, 1], \"std\": [1, 1, 1]}", BT_ERR_UNSUPPORTED,
     "the number of channels is 1; this program knows 3"},
    {"{\"input_size\": [3, 28], \"mean\": [1, 1, 1], \"std\": [1, 1, 1]}", BT_ERR_FORMAT,
     "input_size: expected an array of channels, height and width"},
    {"{\"input_size\": [3, 28, 9000], \"mean\": [1, 1, 1], \"std\": [1, 1, 1]}", BT_ERR_FORMAT, "found 9000"},
    {"{\"input_size\": [3, 1, 1], \"mean\": [1, 1, 1], \"std\": [1, 1, 1], \"crop_pct\": 3}", BT_ERR_FORMAT,
     "leave no pixel to resize to"},
    {CLIP(", \"interpolation\": \"nearest\"", "224"), BT_ERR_UNSUPPORTED, "interpolation is \"nearest\""},
    {CLIP(", \"resize_mode\": \"widest\"", "224"), BT_ERR_UNSUPPORTED,
     "resize_mode is \"widest\"; this program knows shortest, longest and squash"},
    {CLIP(", \"mode\": \"L\"", "224"), BT_ERR_UNSUPPORTED, "mode is \"L\"; this program knows RGB"},
    {CLIP(", \"resize_mode\": \"longest\", \"fill_color\": 256", "224"), BT_ERR_FORMAT,
     "fill_color is 256; allowed are 0 to 255"},
    {CLIP(", \"resize_mode\": \"longest\", \"fill_color\": 0.5", "224"), BT_ERR_FORMAT,
     "fill_color: found 0.5, expected whole numbers"},
    {CLIP("", "[1, 2, 3]"), BT_ERR_FORMAT, "image_size has 3 numbers; a height and a width are expected"},
    {CLIP("", "0"), BT_ERR_FORMAT, "found 0"},
    {"{\"preprocess_cfg\": {\"mean\": [1, 1, 1], \"std\": [1, 1, 1]}}", BT_ERR_FORMAT, "\"size\" is missing"},
    {"{\"image_mean\": [1, 1, 1], \"image_std\": [1, 1, 1], \"size\": 224}", BT_ERR_FORMAT,
     "add \"image_processor_type\": one of CLIP-, Bit-"},
    {HF("ConvNextImageProcessor", ", \"size\": {\"shortest_edge\": 224}"), BT_ERR_UNSUPPORTED,
     "image_processor_type is \"ConvNextImageProcessor\"; this program knows CLIP-"},
    {HF("CLIPImageProcessor", ""), BT_ERR_FORMAT, "\"size\" is missing"},
    {HF("CLIPImageProcessor", ", \"size\": 224"), BT_ERR_FORMAT, "\"crop_size\" is missing"},
    {HF("CLIPImageProcessor", ", \"size\": {\"longest_edge\": 224}"), BT_ERR_UNSUPPORTED,
     "size has \"longest_edge\"; this program knows height and width, or shortest_edge"},
    {HF("CLIPImageProcessor", ", \"size\": {\"height\": 224}"), BT_ERR_FORMAT,
     "size: expected height and width, or shortest_edge alone"},
    {HF("CLIPImageProcessor", ", \"size\": 224, \"crop_size\": {\"shortest_edge\": 5}"), BT_ERR_FORMAT,
     "crop_size: expected a number, or height and width"},
    {HF("CLIPImageProcessor", ", \"size\": 224, \"do_center_crop\": false"), BT_ERR_UNSUPPORTED,
     "without do_center_crop and with a shortest_edge every picture keeps a size of its own"},
    {HF("ViTImageProcessor", ", \"do_resize\": false"), BT_ERR_UNSUPPORTED,
     "without do_center_crop and do_resize every picture"},
    {HF("ViTImageProcessor", ", \"size\": {\"shortest_edge\": 224}"), BT_ERR_UNSUPPORTED,
     "shortest_edge of size is an object"},
    {HF("ViTImageProcessor", ", \"size\": 224, \"resample\": 1"), BT_ERR_UNSUPPORTED,
     "resample (lanczos) is 1; this program knows 2 (bilinear) and 3 (bicubic)"},
    {HF("ViTImageProcessor", ", \"size\": 224, \"resample\": 0"), BT_ERR_UNSUPPORTED, "resample (nearest) is 0"},
    {HF("ViTImageProcessor", ", \"size\": 224, \"resample\": 4"), BT_ERR_UNSUPPORTED, "resample (box) is 4"},
    {HF("ViTImageProcessor", ", \"size\": 224, \"resample\": 5"), BT_ERR_UNSUPPORTED, "resample (hamming) is 5"},
    {HF("ViTImageProcessor", ", \"size\": 224, \"resample\": 6"), BT_ERR_FORMAT, "found 6"},
    {HF("ViTImageProcessor", ", \"size\": 224, \"do_pad\": true"), BT_ERR_UNSUPPORTED,
     "the step \"do_pad\" is not known"},
    {HF("ViTImageProcessor", ", \"size\": 224, \"do_resize\": 1"), BT_ERR_FORMAT,
     "do_resize: found 1, expected true or false"},
    {HF("ViTImageProcessor", ", \"size\": 224, \"size_divisor\": 32"), BT_ERR_UNSUPPORTED,
     "the step \"size_divisor\" is not known"},
    {HF("ViTImageProcessor", ", \"size\": 224, \"rescale_factor\": 0"), BT_ERR_FORMAT, "rescale_factor is 0"},
};

static void refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        bt_preprocess p = {.height = -1};
        check_error(parse(refusals[i].text, &p), refusals[i].status, refusals[i].message);
        assert_int_equal(p.height, -1);
    }
    bt_preprocess p;
    check_error(bt_preprocess_parse_timm("{\"image_mean\": 1}", 17, "x", &p), BT_ERR_FORMAT, "\"mean\" is missing");
    check_error(bt_preprocess_parse_open_clip("3", 1, "x", &p), BT_ERR_FORMAT, "expected an object");
    check_error(bt_preprocess_parse_transformers("{}", 2, "x", &p), BT_ERR_FORMAT, "image_processor_type");
}

static void by_tensor(void **state) {
    (void)state;
    bt_preprocess p;
    check_ok(parse(HF("BitImageProcessor", ", \"size\": 20, \"crop_size\": 10"), &p));
    assert_true(!p.by_tensor && p.center == BT_CENTER_DOWN);
    check_ok(parse(HF("BitImageProcessorFast", ", \"size\": 20, \"crop_size\": 10"), &p));
    assert_true(p.by_tensor && p.center == BT_CENTER_EVEN);
    check_ok(parse(
        HF("ViTImageProcessorFast", ", \"size\": {\"shortest_edge\": 20}, \"do_center_crop\": true, \"crop_size\": 10"),
        &p));
    assert_true(p.by_tensor && p.mode == BT_RESIZE_SHORTEST && p.height == 10);
}

static void unit(void **state) {
    (void)state;
    float mean[3], std[3];
    bt_preprocess p = {.rescale = 0.00392156862745098, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}};
    bt_preprocess_unit(&p, mean, std);
    for (int c = 0; c < 3; c++) assert_true(mean[c] == (float)p.mean[c] && std[c] == (float)p.std[c]);
    p = (bt_preprocess){
        .rescale = 2.0 / 255, .mean = {1, 0.5, 0}, .std = {0.5, 1, 2}}; /* (2u - m) / s = (u - m/2) / (s/2) */
    bt_preprocess_unit(&p, mean, std);
    for (int c = 0; c < 3; c++) assert_true(fabs(mean[c] - p.mean[c] / 2) < 1e-7 && fabs(std[c] - p.std[c] / 2) < 1e-7);
}

/* The centre of 10 pixels of which 7 are wanted, and of 7 of which 10 are. */
static void centres(void **state) {
    (void)state;
    static const struct {
        bt_center center;
        int64_t side, wanted, begin, at;
    } cases[] = {{BT_CENTER_EVEN, 10, 7, 2, 0}, {BT_CENTER_DOWN, 10, 7, 1, 0}, {BT_CENTER_EVEN, 10, 5, 2, 0},
                 {BT_CENTER_DOWN, 10, 5, 2, 0}, {BT_CENTER_EVEN, 9, 8, 0, 0},  {BT_CENTER_EVEN, 7, 10, 0, 1},
                 {BT_CENTER_DOWN, 7, 10, 0, 2}, {BT_CENTER_EVEN, 8, 10, 0, 1}, {BT_CENTER_DOWN, 8, 10, 0, 1},
                 {BT_CENTER_DOWN, 5, 5, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bt_preprocess p = {
            .mode = BT_RESIZE_NONE, .height = (int)cases[i].wanted, .width = 3, .center = cases[i].center};
        bt_placed_view placed;
        check_ok(bt_preprocess_view(&p, cases[i].side, 3, &placed));
        assert_int_equal(placed.view.window.top, cases[i].begin);
        assert_int_equal(placed.top, cases[i].at);
        assert_int_equal(placed.left, 0);
        assert_int_equal(placed.padded, cases[i].wanted > cases[i].side);
        assert_true(bt_view_valid(&placed.view, cases[i].side, 3));
    }
    bt_preprocess fit = {
        .mode = BT_RESIZE_LONGEST, .resize_height = 8, .resize_width = 8, .height = 8, .width = 8, .fill = {1, 2, 3}};
    bt_placed_view placed;
    check_error(bt_preprocess_view(&fit, 1, 100, &placed), BT_ERR_FORMAT,
                "a picture of 100 x 1 pixels (width x height) that is resized to fit into 8 x 8 keeps no pixel");
    uint8_t pixels[2 * 4 * 3], out[8 * 8 * 3];
    bt_resampler resampler = {0};
    memset(pixels, 200, sizeof pixels);
    check_ok(bt_preprocess_run(&fit, &resampler, pixels, 2, 4, out));
    for (int i = 0; i < 64; i++) {
        bool inside = i / 8 >= 2 && i / 8 < 6;
        for (int c = 0; c < 3; c++) assert_int_equal(out[3 * i + c], inside ? 200 : c + 1);
    }
    bt_resampler_free(&resampler);
}

/* ---- the loader ---- */

static void loaded(void **state) {
    (void)state;
    static uint8_t pixels[9 * 20 * 3];
    uint8_t want[12 * 12 * 3];
    bt_dataset set;
    bt_loader *loader;
    bt_batch batch;
    bt_resampler resampler = {0};
    int64_t samples[2] = {0, 1};
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 37 + i / 60);
    scratch_folder("set");
    scratch_folder("set/a");
    check_ok(bt_image_save_ppm(scratch_path("set/a/0.ppm"), pixels, 9, 20));
    check_ok(bt_image_save_ppm(scratch_path("set/a/1.ppm"), pixels, 20, 9));
    check_ok(bt_dataset_open(&(bt_dataset_options){.root = scratch_path("set")}, &set));
    bt_preprocess p = {.mode = BT_RESIZE_LONGEST,
                       .filter = BT_FILTER_BICUBIC,
                       .resize_height = 12,
                       .resize_width = 12,
                       .height = 12,
                       .width = 12,
                       .fill = {9, 8, 7}};
    bt_loader_options o = {.set = &set,
                           .samples = samples,
                           .count = 2,
                           .batch = 2,
                           .size = 12,
                           .views = 1,
                           .preprocess = &p,
                           .threads = 1,
                           .ahead = 2,
                           .epochs = 1};
    check_ok(bt_loader_new(&o, &loader));
    check_ok(bt_loader_next(loader, &batch));
    for (int i = 0; i < 2; i++) {
        check_ok(bt_preprocess_run(&p, &resampler, pixels, i ? 20 : 9, i ? 9 : 20, want));
        assert_memory_equal(batch.images + i * (int)sizeof want, want, sizeof want);
    }
    bt_loader_free(loader);
    p.resize_height = p.resize_width = 1; /* 20 to 1 leaves nothing of 9 */
    check_ok(bt_loader_new(&o, &loader));
    check_error(bt_loader_next(loader, &batch), BT_ERR_FORMAT, "a/0.ppm: a picture of 20 x 9 pixels");
    bt_loader_free(loader);
    p.width = 11;
    check_error(bt_loader_new(&o, &loader), BT_ERR_CONFIG, "width of a view is 11; allowed are 12..12");
    bt_resampler_free(&resampler);
    bt_dataset_close(&set);
}

/* JPEG files at the eighth that is just enough. */
static void scaled(void **state) {
    (void)state;
#ifdef BITTERN_WITH_JPEG
    static uint8_t pixels[120 * 150 * 3];
    uint8_t want[12 * 12 * 3];
    bt_text jpeg = {0};
    bt_image image;
    bt_dataset set;
    bt_loader *loader;
    bt_batch batch;
    bt_resampler resampler = {0};
    int64_t sample = 0;
    for (int i = 0; i < 120 * 150 * 3; i++) pixels[i] = (uint8_t)(i / 450 + i % 450 / 3 * (1 + i % 3));
    check_ok(bt_jpeg_encode(pixels, 120, 150, 90, &jpeg));
    scratch_folder("scaled");
    scratch_folder("scaled/a");
    scratch_file("scaled/a/0.jpg", bt_text_get(&jpeg), jpeg.length);
    check_ok(bt_dataset_open(&(bt_dataset_options){.root = scratch_path("scaled")}, &set));
    bt_loader_options o = {.set = &set,
                           .samples = &sample,
                           .count = 1,
                           .batch = 1,
                           .size = 12,
                           .views = 1,
                           .resize = 14,
                           .jpeg_scale = true,
                           .threads = 1,
                           .ahead = 2,
                           .epochs = 1};
    check_ok(bt_loader_new(&o, &loader));
    check_ok(bt_loader_next(loader, &batch));
    check_ok(bt_image_load(scratch_path("scaled/a/0.jpg"), &(bt_image_options){.jpeg_side = 14}, &image));
    assert_true(image.height == 15 && image.width == 19);
    bt_view view = bt_view_center(image.height, image.width, 14, 12);
    check_ok(bt_resample(&resampler, image.pixels, image.height, image.width, &view, want));
    assert_memory_equal(batch.images, want, sizeof want);
    bt_loader_free(loader);
    bt_image_free(&image);
    bt_resampler_free(&resampler);
    bt_dataset_close(&set);
    bt_text_free(&jpeg);
#else
    skip();
#endif
}

static void jpeg_sides(void **state) {
    (void)state;
    bt_preprocess p = {.mode = BT_RESIZE_SQUASH, .resize_height = 30, .resize_width = 50};
    bt_loader_options o = {.size = 224, .resize = 256};
    assert_int_equal(bt_loader_jpeg_side(&o), 256);
    o.preprocess = &p;
    assert_int_equal(bt_loader_jpeg_side(&o), 50);
    p.mode = BT_RESIZE_NONE;
    assert_true(bt_loader_jpeg_side(&o) >= 1 << 20);
    o.training = true;
    o.augment = (bt_augment){.scale = {0.4, 1}, .ratio = {0.75, 4.0 / 3}};
    int64_t side = bt_loader_jpeg_side(&o);
    assert_int_equal(side, 409); /* 224 / sqrt(0.4 * 0.75) = 408.97 */
    o.augment.flip = 0;
    for (int64_t id = 0; id < 2000; id++) { /* no crop of such a picture is enlarged */
        bt_view view = bt_view_random(side, side + id % 300, 224, &o.augment, 1, 0, id);
        assert_true(view.crop.height >= 224 && view.crop.width >= 224);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(described), cmocka_unit_test(refused), cmocka_unit_test(by_tensor),  cmocka_unit_test(unit),
        cmocka_unit_test(centres),   cmocka_unit_test(loaded),  cmocka_unit_test(jpeg_sides), cmocka_unit_test(scaled),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
