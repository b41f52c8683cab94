/* Which part of a picture becomes a view; see transform.h. The pixels are made in src/pixels. */
#include "data/transform.h"

#include "data/draw.h"

#include <math.h>

#define TRIES 10
#define CHOICE_BLOCK 10

static double between(uint32_t word, double low, double high) {
    return low + (double)bt_random_unit(word) * (high - low);
}

static bool happens(uint32_t word, double probability) {
    return (double)bt_random_unit(word) < probability;
}

/* The largest centred box whose ratio is within the allowed range. */
static bt_box center_box(int64_t height, int64_t width, const bt_augment *augment) {
    double ratio = (double)width / (double)height;
    bt_box box = {.height = height, .width = width};
    if (ratio < augment->ratio[0]) box.height = (int64_t)rint((double)width / augment->ratio[0]);
    if (ratio > augment->ratio[1]) box.width = (int64_t)rint((double)height * augment->ratio[1]);
    if (box.height < 1) box.height = 1;
    if (box.width < 1) box.width = 1;
    box.top = (height - box.height) / 2;
    box.left = (width - box.width) / 2;
    return box;
}

static bt_box random_box(int64_t height, int64_t width, const bt_augment *augment, uint64_t seed, int64_t epoch,
                         int64_t id) {
    double area = (double)height * (double)width;
    double log_low = log(augment->ratio[0]), log_high = log(augment->ratio[1]);
    for (uint32_t t = 0; t < TRIES; t++) {
        bt_philox draw = bt_random_block(seed, epoch, BT_STREAM_AUGMENT, id, t);
        double target = area * between(draw.word[0], augment->scale[0], augment->scale[1]);
        double ratio = exp(between(draw.word[1], log_low, log_high));
        bt_box box = {.height = (int64_t)rint(sqrt(target / ratio)), .width = (int64_t)rint(sqrt(target * ratio))};
        if (box.height < 1 || box.width < 1 || box.height > height || box.width > width) continue;
        box.top = bt_draw_below(draw.word[2], height - box.height + 1);
        box.left = bt_draw_below(draw.word[3], width - box.width + 1);
        return box;
    }
    return center_box(height, width, augment);
}

bt_view bt_view_random(int64_t height, int64_t width, int64_t size, const bt_augment *augment, uint64_t seed,
                       int64_t epoch, int64_t id) {
    BT_ASSERT(height > 0 && width > 0 && size > 0 && augment->scale[0] > 0 && augment->ratio[0] > 0);
    bt_philox draw = bt_random_block(seed, epoch, BT_STREAM_AUGMENT, id, CHOICE_BLOCK);
    return (bt_view){.crop = random_box(height, width, augment, seed, epoch, id),
                     .full_height = size,
                     .full_width = size,
                     .window = {.height = size, .width = size},
                     .flip = happens(draw.word[0], augment->flip),
                     .filter = augment->filter};
}

bt_view bt_view_center(int64_t height, int64_t width, int64_t resize, int64_t size) {
    BT_ASSERT(height > 0 && width > 0 && size > 0 && size <= resize);
    bt_view view = {.crop = {.height = height, .width = width}, .full_height = resize, .full_width = resize};
    if (width <= height) {
        view.full_height = resize * height / width;
    } else {
        view.full_width = resize * width / height;
    }
    view.window = (bt_box){.top = (int64_t)rint((double)(view.full_height - size) / 2),
                           .left = (int64_t)rint((double)(view.full_width - size) / 2),
                           .height = size,
                           .width = size};
    return view;
}
