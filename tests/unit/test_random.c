/* Philox4x32-10 against the published vectors, and the layout of the counter. */
#include "check.h"

#include <bittern/random.h>

/* Random123's kat_vectors, lines "philox4x32 10": counter, key, result. */
static void published_vectors(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], result[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const uint32_t *c = vectors[i].counter;
        uint64_t key = (uint64_t)vectors[i].key[1] << 32 | vectors[i].key[0];
        bt_philox r = bt_philox4x32(c[0], c[1], c[2], c[3], key);
        assert_memory_equal(r.word, vectors[i].result, sizeof r.word);
    }
}

/* Word by word as random.h states it: each argument in its place, and nothing of one leaks into another. */
static void counter_layout(void **state) {
    (void)state;
    uint64_t seed = 0x0123456789abcdef;
    int64_t id = (int64_t)0xfedcba98 | (int64_t)5 << 32, step = (int64_t)9 << 32 | 77;
    bt_philox got = bt_random_block(seed, step, 0xabcdef, id, 1234);
    bt_philox expected = bt_philox4x32(1234, 0xfedcba98, 77, 0xabcdef05, seed);
    assert_memory_equal(got.word, expected.word, sizeof got.word);
}

static void unit_interval(void **state) {
    (void)state;
    assert_true(bt_random_unit(0) == 0.0f);
    assert_true(bt_random_unit(255) == 0.0f); /* the lower 8 bits do not count */
    assert_true(bt_random_unit(256) == 0x1p-24f);
    assert_true(bt_random_unit(0xffffffff) == 1.0f - 0x1p-24f);
    double sum = 0, squares = 0;
    enum { BLOCKS = 25000 };
    for (uint32_t i = 0; i < BLOCKS; i++) {
        bt_philox r = bt_random_block(1, 0, 0, 0, i);
        for (int k = 0; k < 4; k++) {
            double u = (double)bt_random_unit(r.word[k]);
            sum += u;
            squares += u * u;
        }
    }
    /* Of 1e5 uniform draws the mean has a standard deviation of 9e-4, the mean square one of 9.4e-4: five of them. */
    double n = 4.0 * BLOCKS;
    assert_true(sum / n > 0.5 - 5e-3 && sum / n < 0.5 + 5e-3);
    assert_true(squares / n > 1.0 / 3 - 5e-3 && squares / n < 1.0 / 3 + 5e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(counter_layout),
        cmocka_unit_test(unit_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
