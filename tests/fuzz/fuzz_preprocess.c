/* Configuration files of published models. What is accepted makes views of any picture, or says that it cannot. */
#include "fuzz.h"

#include "data/preprocess.h"

static void make_view(const bt_preprocess *p, int64_t height, int64_t width) {
    static uint8_t pixels[40 * 40 * 3];
    bt_placed_view placed;
    bt_status status = bt_preprocess_view(p, height, width, &placed);
    if (status != BT_OK) {
        FUZZ_CHECK_REFUSED(status);
        return;
    }
    FUZZ_CHECK(bt_view_valid(&placed.view, height, width));
    FUZZ_CHECK(placed.top >= 0 && placed.left >= 0 && placed.top + placed.view.window.height <= p->height &&
               placed.left + placed.view.window.width <= p->width);
    if (height > 40 || width > 40 || p->height > 64 || p->width > 64 || placed.view.full_height > 4096 ||
        placed.view.full_width > 4096)
        return;
    bt_resampler resampler = {.weights = NULL};
    uint8_t *out = malloc((size_t)p->height * (size_t)p->width * 3);
    FUZZ_CHECK(out && bt_preprocess_run(p, &resampler, pixels, height, width, out) == BT_OK);
    fuzz_touch(out, (size_t)p->height * (size_t)p->width * 3);
    free(out);
    bt_resampler_free(&resampler);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    bt_preprocess p = {.height = -1};
    bt_status status = bt_preprocess_parse((const char *)data, bytes, "config.json", &p);
    if (status != BT_OK) {
        FUZZ_CHECK_REFUSED(status);
        FUZZ_CHECK(p.height == -1);
        return 0;
    }
    FUZZ_CHECK(p.height > 0 && p.width > 0 && p.height <= 8192 && p.width <= 8192 && p.rescale > 0);
    for (int c = 0; c < 3; c++) FUZZ_CHECK(p.std[c] > 0);
    bt_text text = {0};
    FUZZ_CHECK(bt_preprocess_describe(&p, &text) == BT_OK && !strchr(bt_text_get(&text), '\n'));
    bt_text_free(&text);
    make_view(&p, 1, 1);
    make_view(&p, 33, 40);
    make_view(&p, 1, 39);
    make_view(&p, 1 << 20, 1);
    make_view(&p, 3, 1 << 20);
    return 0;
}
