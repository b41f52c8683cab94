/* Neighbours, confusion and means by class, by hand and against bt_score's ranking. */
#include "check.h"

#include "retrieval/neighbours.h"

#include <math.h>

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance)) fail_msg("found %.17g, wanted %.17g within %g", found, wanted, tolerance);
}

/* Database codes 00 01 11 10; queries 00 and 11: Hamming distances 0 1 2 1 and 2 1 0 1, ties by index. */
static void by_hand(void **state) {
    (void)state;
    const uint64_t bits[] = {0, 1, 3, 2};
    const float queries[] = {-9, -9, 9, 9};
    bt_items q = {.count = 2, .width = 2, .values = queries}, db = {.count = 4, .width = 2, .bits = bits};
    int32_t index[2 * 3];
    float distance[2 * 3];
    check_ok(bt_neighbours_find(&q, &db, BT_SYMMETRIC, 3, index, distance));
    const int32_t wanted[] = {0, 1, 3, 2, 1, 3};
    const float far[] = {0, 1, 1, 0, 1, 1};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(index[i], wanted[i]);
        near((double)distance[i], (double)far[i], 0);
    }
    check_ok(bt_neighbours_find(&q, &db, BT_SYMMETRIC, 3, index, NULL));
    check_message(bt_neighbours_find(&q, &db, BT_SYMMETRIC, 5, index, NULL), BT_ERR_SHAPE,
                  "5 neighbours of a database of 4 items");
}

/* Three queries of classes 0, 0, 2 and one unlabelled; the first two of three neighbours count. */
static void confusion(void **state) {
    (void)state;
    const int32_t index[] = {0, 1, 4, 1, 2, 0, 3, 4, 0, 0, 0, 0}, items[] = {0, 1, -1, 2, 2}, queries[] = {0, 0, 2, -1};
    double share[9];
    bt_neighbours_confuse(index, 4, 3, 2, queries, items, 3, share);
    /* Class 0: items 0 1, 1 2: labels 0 1 1 -1. Class 2: items 3 4: labels 2 2. */
    const double wanted[] = {0.25, 0.5, 0, 0, 0, 0, 0, 0, 1};
    for (int i = 0; i < 9; i++) near(share[i], wanted[i], 1e-15);
}

static void means(void **state) {
    (void)state;
    const double values[] = {1, 9, 0.5, 9, 0.25, 9, 7, 9};
    const int32_t labels[] = {1, 1, 0, -1};
    double mean[3];
    int64_t count[3];
    bt_class_means(values, 2, labels, 4, 3, mean, count);
    assert_true(mean[0] == 0.25 && mean[1] == 0.75 && mean[2] == 0);
    assert_true(count[0] == 1 && count[1] == 2 && count[2] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(confusion), cmocka_unit_test(means)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
