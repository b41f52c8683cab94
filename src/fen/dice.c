/* Random draws of the Fen. */
#include "fen/dice.h"

#include <bittern/random.h>

#include <math.h>

bt_fen_dice bt_fen_dice_new(uint64_t seed, bt_fen_stream stream, int species, int individual, int image) {
    BT_ASSERT(individual >= 0 && individual < 65536 && image >= 0 && image < 65536);
    return (bt_fen_dice){.seed = seed,
                         .stream = (uint32_t)stream,
                         .sample = (uint32_t)species,
                         .step = (uint32_t)individual << 16 | (uint32_t)image};
}

uint32_t bt_fen_word(bt_fen_dice *dice) {
    uint32_t k = dice->drawn++;
    if (k % 4 == 0) {
        bt_philox block = bt_random_block(dice->seed, dice->step, dice->stream, dice->sample, k / 4);
        for (int i = 0; i < 4; i++) dice->words[i] = block.word[i];
    }
    return dice->words[k % 4];
}

double bt_fen_unit(bt_fen_dice *dice) {
    return (double)bt_random_unit(bt_fen_word(dice));
}

double bt_fen_range(bt_fen_dice *dice, double lo, double hi) {
    return lo + (hi - lo) * bt_fen_unit(dice);
}

double bt_fen_normal(bt_fen_dice *dice) {
    /* Box-Muller; the first draw is kept off 0, and 2^-24 would give 5.8 deviations: traits beyond 3 are no birds. */
    double r = sqrt(-2 * log(1 - bt_fen_unit(dice))), turn = 6.283185307179586 * bt_fen_unit(dice);
    return fmin(r, 3) * cos(turn);
}

int bt_fen_index(bt_fen_dice *dice, int count) {
    return (int)((uint64_t)bt_fen_word(dice) * (uint64_t)count >> 32);
}

bool bt_fen_chance(bt_fen_dice *dice, double probability) {
    return bt_fen_unit(dice) < probability;
}

int bt_fen_weighted(bt_fen_dice *dice, const double *weights, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) sum += weights[i];
    double at = bt_fen_unit(dice) * sum;
    for (int i = 0; i < count; i++)
        if ((at -= weights[i]) < 0) return i;
    return count - 1;
}
