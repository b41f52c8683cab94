/* Orders of an epoch: what each sampler promises, counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "data/draw.h"
#include "data/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Classes of 1, 2, 6, 30 and 90 samples, in order; then 3 without a label. */
enum { CLASSES = 5, COUNT = 132, BATCH = 12 };
static const int sizes[CLASSES] = {1, 2, 6, 30, 90};
static int64_t first[COUNT + 1], samples[COUNT];
static int32_t labels[COUNT];
static bt_dataset set;

static int make(void **state) {
    (void)state;
    int at = 0;
    for (int c = 0; c < CLASSES; c++) {
        for (int i = 0; i < sizes[c]; i++) labels[at++] = c;
    }
    for (int i = 0; i < COUNT; i++) {
        samples[i] = i;
        first[i] = i < at ? i : at;
        if (i >= at) labels[i] = -1;
    }
    first[COUNT] = at;
    set = (bt_dataset){.name = "set",
                       .count = COUNT,
                       .class_count = CLASSES,
                       .labels = labels,
                       .label_first = first,
                       .label_items = labels,
                       .unlabelled = 3};
    return 0;
}

static bt_sampler *start(bt_sampler_options options, int64_t count, int64_t batch, uint64_t seed) {
    bt_sampler *s;
    if (bt_sampler_new(&options, &set, samples, count, batch, seed, &s) != BT_OK) fail_msg("%s", bt_error_message());
    return s;
}

/* An epoch does not depend on those before it, but on its number and the seed. */
static void repeats(bt_sampler_options options, int64_t used) {
    int64_t a[COUNT], b[COUNT], c[COUNT];
    int32_t again[COUNT];
    bt_sampler *s = start(options, COUNT, BATCH, 7), *other = start(options, COUNT, BATCH, 8);
    bt_sampler_epoch(s, 3, a, again);
    bt_sampler_epoch(s, 4, b, again);
    bt_sampler_epoch(s, 3, c, again);
    assert_memory_equal(a, c, (size_t)used * sizeof *a);
    assert_memory_not_equal(a, b, (size_t)used * sizeof *a);
    bt_sampler_epoch(other, 3, c, again);
    assert_memory_not_equal(a, c, (size_t)used * sizeof *a);
    bt_sampler_free(s);
    bt_sampler_free(other);
}

static void check_again(const int64_t *order, const int32_t *again, int64_t count) {
    int seen[COUNT] = {0};
    for (int64_t i = 0; i < count; i++) assert_int_equal(again[i], seen[order[i]]++);
}

static void shuffled(void **state) {
    (void)state;
    int64_t order[COUNT], want[COUNT];
    int32_t again[COUNT];
    bt_sampler *s = start((bt_sampler_options){0}, COUNT, BATCH, 5);
    bt_sampler_epoch(s, 2, order, again);
    memcpy(want, samples, sizeof want);
    bt_draw_shuffle(want, COUNT, 5, 2, BT_STREAM_SHUFFLE, 0);
    assert_memory_equal(order, want, sizeof want);
    for (int i = 0; i < COUNT; i++) assert_int_equal(again[i], 0);
    bt_sampler_free(s);
    repeats((bt_sampler_options){0}, COUNT);
}

static void balanced(void **state) {
    (void)state;
    int64_t order[COUNT];
    int32_t again[COUNT];
    const bt_sampler_options options = {.kind = BT_SAMPLING_CLASS_BALANCED, .per_class = 3};
    bt_sampler *s = start(options, COUNT, BATCH, 5);
    int batches[CLASSES] = {0}, times[COUNT] = {0};
    for (int64_t epoch = 0; epoch < 10; epoch++) {
        bt_sampler_epoch(s, epoch, order, again);
        check_again(order, again, COUNT / BATCH * BATCH);
        for (int b = 0; b < COUNT / BATCH; b++) {
            int seen[CLASSES] = {0};
            for (int i = 0; i < BATCH; i++) {
                int64_t sample = order[b * BATCH + i];
                assert_in_range(labels[sample], 0, CLASSES - 1);
                seen[labels[sample]]++;
                times[sample]++;
            }
            for (int c = 0; c < CLASSES; c++) {
                assert_true(seen[c] == 0 || seen[c] == 3); /* four classes of three */
                batches[c] += seen[c] > 0;
            }
        }
    }
    /* 110 batches of 4 of 5 classes: each in 88, but for the ends of epochs. */
    for (int c = 0; c < CLASSES; c++) assert_true(abs(batches[c] - 88) <= 10);
    /* Images of a class come in rounds: within an epoch their counts differ by 1 at most, here within ten epochs by 10.
     */
    for (int c = 0, at = 0; c < CLASSES; at += sizes[c++]) {
        int least = 1000, most = 0;
        for (int i = at; i < at + sizes[c]; i++) {
            least = times[i] < least ? times[i] : least;
            most = times[i] > most ? times[i] : most;
        }
        assert_true(most - least <= 10 && most > 0);
    }
    bt_sampler_free(s);
    repeats(options, COUNT / BATCH * BATCH);
}

static void refused(bt_sampler_options options, int64_t batch, const char *message) {
    bt_sampler *s = NULL;
    assert_int_equal(bt_sampler_new(&options, &set, samples, COUNT, batch, 1, &s), BT_ERR_CONFIG);
    assert_null(s);
    if (!strstr(bt_error_message(), message)) fail_msg("\"%s\" is not in \"%s\"", message, bt_error_message());
}

static void bad_options(void **state) {
    (void)state;
    refused((bt_sampler_options){.kind = BT_SAMPLING_CLASS_BALANCED, .per_class = 5}, 12,
            "data.per_class 5 does not divide the batch of 12");
    refused((bt_sampler_options){.kind = BT_SAMPLING_CLASS_BALANCED, .per_class = 2}, 12,
            "data.per_class 2 and a batch of 12 make 6 classes a batch, but training images have 5; raise "
            "data.per_class or lower train.batch");
}

/* Shares n^p / sum n^p, and no sample off its average by 1 or more. */
static void long_tail(void **state) {
    (void)state;
    int64_t order[COUNT];
    int32_t again[COUNT];
    for (int k = 0; k < 3; k++) {
        const double p = k / 2.0;
        const bt_sampler_options options = {.kind = BT_SAMPLING_LONG_TAIL, .tail_power = p};
        bt_sampler *s = start(options, COUNT, BATCH, 5);
        double weight[CLASSES + 1], sum = 3 * pow(90, p - 1), mean = 0;
        for (int c = 0; c < CLASSES; c++) {
            weight[c] = pow(sizes[c], p - 1);
            sum += sizes[c] * weight[c];
        }
        weight[CLASSES] = pow(90, p - 1);
        for (int64_t epoch = 0; epoch < 20; epoch++) {
            int times[COUNT] = {0}, rare = 0;
            bt_sampler_epoch(s, epoch, order, again);
            check_again(order, again, COUNT);
            for (int i = 0; i < COUNT; i++) times[order[i]]++;
            for (int i = 0; i < COUNT; i++) {
                double want = COUNT * weight[labels[i] < 0 ? CLASSES : labels[i]] / sum;
                assert_true(fabs(times[i] - want) < 1 + 1e-9);
                rare += labels[i] == 0 ? times[i] : 0;
            }
            mean += rare / 20.0;
        }
        assert_true(fabs(mean - COUNT * weight[0] / sum) < 1);
        bt_sampler_free(s);
        repeats(options, COUNT);
    }
}

/* A sample of several classes weighs as that of its rarest, and serves each of them. */
static void several_labels(void **state) {
    (void)state;
    static int64_t two_first[] = {0, 2, 3, 4, 5};
    static int32_t two_items[] = {0, 1, 1, 1, 1}, two_labels[] = {0, 1, 1, 1};
    bt_dataset two = {.name = "two",
                      .count = 4,
                      .class_count = 2,
                      .labels = two_labels,
                      .label_first = two_first,
                      .label_items = two_items,
                      .several = 1};
    bt_sampler *s;
    int64_t order[4];
    int32_t again[4];
    int times[4] = {0};
    bt_sampler_options options = {.kind = BT_SAMPLING_LONG_TAIL, .tail_power = 0};
    assert_int_equal(bt_sampler_new(&options, &two, samples, 4, 2, 1, &s), BT_OK);
    for (int e = 0; e < 700; e++) {
        bt_sampler_epoch(s, e, order, again);
        for (int i = 0; i < 4; i++) times[order[i]]++;
    }
    bt_sampler_free(s);
    assert_true(abs(times[0] - 1600) < 30 && abs(times[1] - 400) < 30); /* weights 1, 1/4, 1/4, 1/4 */
    options = (bt_sampler_options){.kind = BT_SAMPLING_CLASS_BALANCED, .per_class = 1};
    assert_int_equal(bt_sampler_new(&options, &two, samples, 4, 2, 1, &s), BT_OK);
    bt_sampler_epoch(s, 0, order, again);
    assert_true((order[0] == 0) + (order[1] == 0) >= 1 && (order[2] == 0) + (order[3] == 0) >= 1);
    bt_sampler_free(s);
}

static void failing_memory(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        bt_sampler_options options = {.kind = (bt_sampling)kind, .per_class = 3, .tail_power = 0.5};
        int failed = 0;
        for (int n = 1; n < 20; n++) {
            bt_sampler *s;
            bt_memory_fail_at(n);
            bt_status status = bt_sampler_new(&options, &set, samples, COUNT, BATCH, 1, &s);
            bt_memory_fail_at(0);
            assert_true(status == BT_OK || status == BT_ERR_MEMORY);
            if (status == BT_OK) bt_sampler_free(s);
            failed += status != BT_OK;
        }
        assert_true(failed >= 2 && failed < 19);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shuffled),  cmocka_unit_test(balanced),       cmocka_unit_test(bad_options),
        cmocka_unit_test(long_tail), cmocka_unit_test(several_labels), cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
