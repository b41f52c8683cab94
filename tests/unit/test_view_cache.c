/* Batches of cached views: every item once an epoch, different views of it, the same whatever was asked before; files
 * of embeddings. */
#include "check.h"

#include "data/stored_set.h"
#include "scratch.h"
#include "train/view_cache.h"

#include <math.h>

enum { ITEMS = 23, VIEWS = 5, WIDTH = 3, BATCH = 4, TAKEN = 3 };

static float values[ITEMS * VIEWS * WIDTH];
static bt_dataset set;
static int64_t samples[ITEMS];

/* The value tells item, view and column. */
static int make(void **state) {
    int32_t classes[ITEMS];
    for (int i = 0; i < ITEMS; i++) {
        classes[i] = i % 3;
        samples[i] = i;
        for (int v = 0; v < VIEWS; v++)
            for (int c = 0; c < WIDTH; c++) values[(i * VIEWS + v) * WIDTH + c] = (float)(100 * i + 10 * v + c);
    }
    bt_stored_labels l = {.count = ITEMS, .class_count = 3, .classes = classes};
    check_ok(bt_stored_set("items", &l, &set));
    return scratch_make(state);
}

static int end(void **state) {
    bt_dataset_close(&set);
    return scratch_remove(state);
}

static void epochs_and_views(void **state) {
    (void)state;
    bt_view_cache cache = {.count = ITEMS, .views = VIEWS, .width = WIDTH, .values = values};
    bt_cached_batches b, again;
    check_ok(bt_cached_batches_new(&cache, &set, samples, ITEMS, BATCH, TAKEN, 7, &b));
    check_ok(bt_cached_batches_new(&cache, &set, samples, ITEMS, BATCH, TAKEN, 7, &again));
    int used[VIEWS] = {0}, other_order = 0, first_items[BATCH];
    for (int epoch = 0; epoch < 200; epoch++) {
        int seen[ITEMS] = {0};
        for (int k = 0; k < ITEMS / BATCH; k++) {
            bt_step_batch s;
            bt_cached_batch(&b, epoch, k, &s);
            assert_null(s.images);
            assert_null(s.multi_hot);
            for (int n = 0; n < BATCH; n++) {
                int item = (int)s.embeddings[n * WIDTH] / 100, taken[TAKEN];
                seen[item]++;
                assert_int_equal(s.classes[n], item % 3);
                for (int v = 0; v < TAKEN; v++) {
                    const float *row = s.embeddings + (v * BATCH + n) * WIDTH;
                    taken[v] = ((int)row[0] - 100 * item) / 10;
                    assert_in_range(taken[v], 0, VIEWS - 1);
                    assert_true(row[2] == row[0] + 2);
                    used[taken[v]]++;
                    for (int u = 0; u < v; u++) assert_int_not_equal(taken[u], taken[v]);
                }
                if (epoch == 0 && k == 0) first_items[n] = item;
                if (epoch == 1 && k == 0) other_order += item != first_items[n];
            }
            if (epoch != 150 || k != 2) continue;
            bt_step_batch direct; /* asked for at once, as after a resume */
            bt_cached_batch(&again, epoch, k, &direct);
            assert_memory_equal(direct.embeddings, s.embeddings, sizeof(float) * TAKEN * BATCH * WIDTH);
            assert_memory_equal(direct.classes, s.classes, sizeof(int32_t) * BATCH);
        }
        for (int i = 0; i < ITEMS; i++) assert_in_range(seen[i], 0, 1);
    }
    assert_true(other_order > 0);
    int total = 200 * (ITEMS / BATCH) * BATCH * TAKEN;
    for (int v = 0; v < VIEWS; v++) assert_true(abs(used[v] - total / VIEWS) < total / VIEWS / 10); /* each as often */
    bt_cached_batches_free(&b);
    bt_cached_batches_free(&again);
}

/* Items of a cache that lacks some samples, as after damaged pictures; and a part of the samples only. */
static void chosen_items(void **state) {
    (void)state;
    int64_t kept[] = {2, 3, 11, 12, 20}, wanted[] = {1, 3, 11, 20, 22};
    bt_view_cache cache = {.count = 5, .views = VIEWS, .width = WIDTH, .values = values, .samples = kept};
    bt_cached_batches b;
    check_ok(bt_cached_batches_new(&cache, &set, wanted, 5, 3, 1, 7, &b));
    assert_int_equal(b.count, 3);
    bt_step_batch s;
    bt_cached_batch(&b, 0, 0, &s);
    int sum = 0;
    for (int n = 0; n < 3; n++) {
        int item = (int)s.embeddings[n * WIDTH] / 100;
        assert_true(item == 1 || item == 2 || item == 4);
        assert_int_equal(s.classes[n], kept[item] % 3);
        sum += item;
    }
    assert_int_equal(sum, 7);
    bt_cached_batches_free(&b);
    check_message(bt_cached_batches_new(&cache, &set, wanted, 5, 3, 6, 7, &b), BT_ERR_CONFIG,
                  "method.views is 6, but only 5 views of each item are stored; lower it, or store more");
    cache.views = 1; /* repeated */
    check_ok(bt_cached_batches_new(&cache, &set, wanted, 5, 3, 2, 7, &b));
    bt_cached_batch(&b, 0, 0, &s);
    assert_memory_equal(s.embeddings, s.embeddings + 3 * WIDTH, sizeof(float) * 3 * WIDTH);
    bt_cached_batches_free(&b);
}

static void labels_in_sets(void **state) {
    (void)state;
    uint64_t sets[] = {1, 6, 0, 5};
    uint8_t splits[] = {1, 2, 4, 5};
    bt_stored_labels l = {.count = 4, .class_count = 3, .sets = sets, .splits = splits};
    bt_dataset d;
    check_ok(bt_stored_set("items", &l, &d));
    assert_true(d.unlabelled == 1 && d.several == 2 && d.labels[1] == 1 && d.labels[2] == -1 && d.labels[3] == 0);
    uint8_t hot[3];
    bt_dataset_multi_hot(&d, 3, hot);
    assert_true(hot[0] == 1 && hot[1] == 0 && hot[2] == 1);
    assert_string_equal(d.class_names[2], "2");
    assert_memory_equal(d.splits, splits, 4);
    bt_view_cache cache = {.count = 4, .views = VIEWS, .width = WIDTH, .values = values};
    bt_cached_batches b;
    bt_step_batch s;
    check_ok(bt_cached_batches_new(&cache, &d, samples, 4, 4, 1, 7, &b));
    bt_cached_batch(&b, 0, 0, &s);
    for (int n = 0; n < 4; n++) {
        int item = (int)s.embeddings[n * WIDTH] / 100;
        for (int c = 0; c < 3; c++) assert_int_equal(s.multi_hot[3 * n + c], sets[item] >> c & 1);
    }
    bt_cached_batches_free(&b);
    bt_dataset_close(&d);
}

static void files(void **state) {
    (void)state;
    int64_t dim[] = {ITEMS, VIEWS, WIDTH};
    bt_view_cache c;
    const char *path = scratch_path("x.npy");
    int width;
    check_ok(bt_npy_write(path, BT_FILE_F32, 3, dim, values));
    check_ok(bt_view_cache_open(path, &c));
    check_ok(bt_view_cache_width(path, &width));
    assert_true(c.count == ITEMS && c.views == VIEWS && c.width == WIDTH && width == WIDTH && !c.owned);
    assert_memory_equal(c.values, values, sizeof values);
    bt_view_cache_close(&c);
    dim[1] = VIEWS * WIDTH;
    check_ok(bt_npy_write(path, BT_FILE_F32, 2, dim, values));
    check_ok(bt_view_cache_open(path, &c));
    assert_true(c.count == ITEMS && c.views == 1 && c.width == VIEWS * WIDTH);
    bt_view_cache_close(&c);
    dim[0] = ITEMS * VIEWS * WIDTH;
    check_ok(bt_npy_write(path, BT_FILE_F32, 1, dim, values));
    check_error(bt_view_cache_open(path, &c), BT_ERR_SHAPE,
                "the shape is (345); stored embeddings are (items, width) or (items, views, width)");
    check_error(bt_view_cache_width(path, &width), BT_ERR_SHAPE, "(345)");
    float infinite[] = {1, 2, 3, 4, INFINITY, 6};
    int64_t two[] = {1, 2, 3};
    check_ok(bt_npy_write(path, BT_FILE_F32, 3, two, infinite));
    check_error(bt_view_cache_open(path, &c), BT_ERR_NUMERIC, "item 0, view 1, column 1 is not a finite number");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_and_views),
        cmocka_unit_test(chosen_items),
        cmocka_unit_test(labels_in_sets),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, make, end);
}
