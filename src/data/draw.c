/* Random draws of the data module; see draw.h. */
#include "data/draw.h"

void bt_draw_shuffle(int64_t *items, int64_t count, uint64_t seed, int64_t step, uint32_t stream, int64_t id) {
    bt_philox block = {{0}};
    for (int64_t i = count - 1; i > 0; i--) {
        if (i == count - 1 || i % 4 == 3) block = bt_random_block(seed, step, stream, id, (uint32_t)(i / 4));
        int64_t j = bt_draw_below(block.word[i % 4], i + 1);
        int64_t swap = items[i];
        items[i] = items[j];
        items[j] = swap;
    }
}
