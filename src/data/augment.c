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

/* Order number 0..23 names the permutation whose k-th entry is digit k (base 4 - k, from the first) among those left.
 */
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
        int64_t low = lrint(augment->blur_radius[0] * BT_FACTOR_ONE),
                high = lrint(augment->blur_radius[1] * BT_FACTOR_ONE);
        float radius = (float)among(more.word[2], low > 0 ? low : 1, high > 0 ? high : 1) / (float)BT_FACTOR_ONE;
        colour.step[colour.count++] = bt_colour_blur(radius);
    }
    if (happens(more.word[0], augment->solarize)) add_step(&colour, BT_COLOUR_SOLARIZE, augment->solarize_threshold);
    return colour;
}

/* Conditions are written so that a NaN fails. */
static bt_status check_share(const char *name, double value, double highest) {
    if (value >= 0 && value <= highest) return BT_OK;
    return bt_error(BT_ERR_CONFIG, "loader: %s is %g; allowed are 0..%g", name, value, highest);
}

static bt_status check_crop(const bt_augment *augment) {
    if (!(augment->scale[0] > 0 && augment->scale[0] <= augment->scale[1] && augment->scale[1] <= 1)) {
        return bt_error(BT_ERR_CONFIG, "loader: crop scale is %g..%g; allowed is 0 < low <= high <= 1",
                        augment->scale[0], augment->scale[1]);
    }
    if (!(augment->ratio[0] > 0 && augment->ratio[0] <= augment->ratio[1] && augment->ratio[1] <= 1e6)) {
        return bt_error(BT_ERR_CONFIG, "loader: crop ratio is %g..%g; allowed is 0 < low <= high <= 1e6",
                        augment->ratio[0], augment->ratio[1]);
    }
    if (!(augment->flip >= 0 && augment->flip <= 1)) {
        return bt_error(BT_ERR_CONFIG, "loader: flip is %g; allowed are probabilities 0..1", augment->flip);
    }
    if (augment->filter != BT_FILTER_BILINEAR && augment->filter != BT_FILTER_BICUBIC) {
        return bt_error(BT_ERR_CONFIG, "loader: filter is %d; allowed are 0 (bilinear) and 1 (bicubic)",
                        (int)augment->filter);
    }
    return BT_OK;
}

const bt_augment bt_augment_papers = {.scale = {0.4, 1},
                                      .ratio = {3.0 / 4, 4.0 / 3},
                                      .flip = 0.5,
                                      .jitter = 0.8,
                                      .brightness = 0.4,
                                      .contrast = 0.4,
                                      .saturation = 0.4,
                                      .hue = 0.2,
                                      .grey = 0.2,
                                      .blur = 0.1,
                                      .solarize = 0.1,
                                      .blur_radius = {0.1, 2},
                                      .solarize_threshold = 128};

bt_status bt_augment_check(const bt_augment *augment) {
    BT_TRY(check_crop(augment));
    const struct {
        const char *name;
        double value, highest;
    } shares[] = {{"jitter", augment->jitter, 1},     {"brightness", augment->brightness, 1},
                  {"contrast", augment->contrast, 1}, {"saturation", augment->saturation, 1},
                  {"hue", augment->hue, 0.5},         {"grey", augment->grey, 1},
                  {"blur", augment->blur, 1},         {"solarize", augment->solarize, 1}};
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++)
        BT_TRY(check_share(shares[i].name, shares[i].value, shares[i].highest));
    const double *radius = augment->blur_radius;
    if (augment->blur > 0 && !(radius[0] > 0 && radius[0] <= radius[1] && radius[1] <= BT_AUGMENT_BLUR_RADIUS)) {
        return bt_error(BT_ERR_CONFIG, "loader: blur radius is %g..%g; allowed is 0 < low <= high <= %d", radius[0],
                        radius[1], BT_AUGMENT_BLUR_RADIUS);
    }
    if (augment->solarize_threshold < 0 || augment->solarize_threshold > 256) {
        return bt_error(BT_ERR_CONFIG, "loader: solarize threshold is %d; allowed are 0..256",
                        augment->solarize_threshold);
    }
    return BT_OK;
}
