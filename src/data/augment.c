/* The colour of a training view: which steps, in which order, how strong; see transform.h for the draws. Every strength
 * is an integer (factors count 2^-14) before it is used, so that all devices and PIL start from the same number. */
#include "data/draw.h"
#include "data/transform.h"

#include <math.h>

#define CHOICE_BLOCK 10
#define ORDER_BLOCK 11
#define JITTER_BLOCK 12

static bool happens(uint32_t word, double probability) {
    return (double)bt_random_unit(word) < probability;
}

/* An integer of low..high. */
static int32_t among(uint32_t word, int64_t low, int64_t high) {
    return (int32_t)(low + bt_draw_below(word, high - low + 1));
}

static void add_step(bt_colour *colour, int32_t kind, int32_t value) {
    colour->step[colour->count++] = (bt_colour_step){.kind = kind, .value = value};
}

static int32_t factor(uint32_t word, double strength) {
    int64_t reach = lrint(strength * BT_FACTOR_ONE), high = BT_FACTOR_ONE + reach;
    return among(word, BT_FACTOR_ONE - reach, high < BT_FACTOR_LAST ? high : BT_FACTOR_LAST);
}

/* A turn of t/2^14 of a circle moves a hue of 0..255 by 255 t / 2^14, cut toward 0, modulo 256. */
static int32_t turn(uint32_t word, double hue) {
    int64_t reach = lrint(hue * BT_FACTOR_ONE);
    return among(word, -reach, reach) * 255 / BT_FACTOR_ONE & 255;
}

/* Order number 0..23 names the permutation whose k-th entry is digit k (base 4 - k, from the first) among those left. */
static void jitter(bt_colour *colour, const bt_augment *augment, int64_t order, const bt_philox *draw) {
    const double strength[] = {augment->brightness, augment->contrast, augment->saturation, augment->hue};
    int32_t left[] = {BT_COLOUR_BRIGHTNESS, BT_COLOUR_CONTRAST, BT_COLOUR_SATURATION, BT_COLOUR_HUE};
    const int64_t place[] = {6, 2, 1, 1};
    for (int k = 0; k < 4; k++) {
        int64_t digit = order / place[k] % (4 - k);
        int32_t kind = left[digit];
        for (int64_t j = digit; j < 3 - k; j++) left[j] = left[j + 1];
        if (!(strength[kind] > 0)) continue;
        uint32_t word = draw->word[kind];
        add_step(colour, kind, kind == BT_COLOUR_HUE ? turn(word, augment->hue) : factor(word, strength[kind]));
    }
}

bt_colour bt_colour_random(const bt_augment *augment, uint64_t seed, int64_t epoch, int64_t id) {
    bt_colour colour = {0};
    bt_philox choice = bt_random_block(seed, epoch, BT_STREAM_AUGMENT, id, CHOICE_BLOCK);
    bt_philox more = bt_random_block(seed, epoch, BT_STREAM_AUGMENT, id, ORDER_BLOCK);
    if (happens(choice.word[1], augment->jitter)) {
        bt_philox strength = bt_random_block(seed, epoch, BT_STREAM_AUGMENT, id, JITTER_BLOCK);
        jitter(&colour, augment, bt_draw_below(more.word[1], 24), &strength);
    }
    if (happens(choice.word[2], augment->grey)) add_step(&colour, BT_COLOUR_GREY, 0);
    if (happens(choice.word[3], augment->blur)) {
        int64_t low = lrint(augment->blur_radius[0] * BT_FACTOR_ONE), high = lrint(augment->blur_radius[1] * BT_FACTOR_ONE);
        float radius = (float)among(more.word[2], low > 0 ? low : 1, high > 0 ? high : 1) / (float)BT_FACTOR_ONE;
        colour.step[colour.count++] = bt_colour_blur(radius);
    }
    if (happens(more.word[0], augment->solarize)) add_step(&colour, BT_COLOUR_SOLARIZE, augment->solarize_threshold);
    return colour;
}
