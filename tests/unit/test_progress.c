/* The progress line's text at any width, durations, the slowest stage, and which scores are best. */
#include "check.h"

#include "scratch.h"
#include "train/history.h"
#include "train/progress.h"

#include <math.h>
#include <string.h>

static const bt_progress_view view = {120, 480, 2, 5, 0.43125, 64};

static void narrower_lines_tell_less(void **state) {
    (void)state;
    bt_progress p = {.steps = 30, .step_seconds = 0.25, .wait_share = 0.123, .guilty = "decode"};
    char text[512];
    const struct {
        int width;
        const char *text;
    } cases[] = {{200, "step 120/480  25 %  epoch 2/5  loss 0.4313  256 views/s  waiting 12 % (decode)  1:30 left"},
                 {88, "step 120/480  epoch 2/5  loss 0.4313  256 views/s  waiting 12 % (decode)  1:30 left"},
                 {80, "step 120/480  loss 0.4313  256 views/s  waiting 12 % (decode)  1:30 left"},
                 {60, "step 120/480  loss 0.4313  waiting 12 % (decode)  1:30 left"},
                 {40, "step 120/480  loss 0.4313  1:30 left"},
                 {20, "step 120/480"},
                 {6, "step 1"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bt_progress_text(&p, &view, cases[i].width, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
    for (int width = 1; width < 120; width++) {
        bt_progress_text(&p, &view, width, text, sizeof text);
        assert_true(strlen(text) <= (size_t)width);
    }
    p.wait_share = 0.01; /* not worth telling on a narrow line */
    bt_progress_text(&p, &view, 60, text, sizeof text);
    assert_string_equal(text, "step 120/480  epoch 2/5  loss 0.4313  256 views/s  1:30 left");
    p = (bt_progress){.guilty = ""};
    bt_progress_text(&p, &view, 200, text, sizeof text);
    assert_string_equal(text, "step 120/480  25 %  epoch 2/5  loss 0.4313  waiting 0 %  ? left");
}

static void durations(void **state) {
    (void)state;
    const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0:00"},        {7.4, "0:07"}, {59.6, "1:00"}, {754, "12:34"}, {3599.4, "59:59"},
                 {11045, "3:04:05"}, {NAN, "?"},    {-1, "?"},      {1e300, "?"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        bt_duration_text(cases[i].seconds, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

static void the_slowest_stage_is_named(void **state) {
    (void)state;
    bt_loader_times a = {.read_seconds = 5, .decode_seconds = 5, .augment_seconds = 5}, b = a;
    assert_string_equal(bt_guilty_stage(&a, &b), "");
    b.read_seconds += 1;
    assert_string_equal(bt_guilty_stage(&a, &b), "read");
    b.decode_seconds += 2;
    assert_string_equal(bt_guilty_stage(&a, &b), "decode");
    b.augment_seconds += 3;
    assert_string_equal(bt_guilty_stage(&a, &b), "augment");
    b.wait_seconds += 1;
    b.copy_seconds += 1.5;
    assert_string_equal(bt_guilty_stage(&a, &b), "copy");
    assert_true(bt_waited(&a, &b) == 2.5);
    b.wait_seconds += 1;
    assert_string_equal(bt_guilty_stage(&a, &b), "augment");
}

static void the_best_scores(void **state) {
    (void)state;
    bt_history h = {.key = "map_binary", .last_step = -1, .best_step = -1};
    bt_history_add(&h, 10, 0.5);
    bt_history_add(&h, 20, 0.4);
    bt_history_add(&h, 30, 0.5); /* equal is not better */
    assert_true(h.best_step == 10 && h.best == 0.5 && h.since_best == 2 && h.last_step == 30);
    bt_history_add(&h, 30, 0.9); /* the same step again */
    bt_history_add(&h, 40, NAN);
    assert_true(h.best_step == 10 && h.last_step == 30);
    bt_history_add(&h, 40, 0.6);
    assert_true(h.best_step == 40 && h.since_best == 0);
    h = (bt_history){.key = "loss", .last_step = -1, .best_step = -1};
    bt_history_add(&h, 1, 2);
    bt_history_add(&h, 2, 1);
    bt_history_add(&h, 3, 3);
    assert_true(h.best_step == 2 && h.since_best == 1);
}

/* Steps, scores before training, torn lines and lines that are none do not count. */
static void scores_are_read_from_lines(void **state) {
    (void)state;
    char path[600];
    const char *folder = scratch_folder("run");
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    static const char lines[] = "{\"kind\":\"scores\",\"when\":\"before\",\"step\":0,\"map_binary\":0.9}\n"
                                "{\"kind\":\"step\",\"step\":4,\"map_binary\":0.95}\n"
                                "{\"kind\":\"scores\",\"when\":\"epoch\",\"step\":4,\"map_binary\":0.25,\"loss\":2}\n"
                                "rubbish\n"
                                "{\"kind\":\"scores\",\"when\":\"epoch\",\"step\":8,\"map_binary\":0.5,\"loss\":3}\n"
                                "{\"kind\":\"scores\",\"when\":\"after\",\"step\":12,\"map_binary\":0.375,\"loss\":1}\n"
                                "{\"kind\":\"scores\",\"when\":\"epoch\",\"step\":16,\"map_bin";
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(lines, 1, sizeof lines - 1, f), sizeof lines - 1);
    fclose(f);
    bt_history h;
    check_ok(bt_history_read(folder, "map_binary", &h));
    assert_true(h.last_step == 12 && h.best_step == 8 && h.best == 0.5 && h.since_best == 1);
    check_ok(bt_history_read(folder, "loss", &h));
    assert_true(h.best_step == 12 && h.best == 1);
    check_ok(bt_history_read(folder, "accuracy", &h));
    assert_true(h.last_step == -1 && h.best_step == -1);
    assert_string_equal(bt_best_key(BT_BEST_AUTO, &bt_method_crovca), "map_binary");
    assert_string_equal(bt_best_key(BT_BEST_AUTO, &bt_method_classify), "accuracy");
    assert_string_equal(bt_best_key(BT_BEST_LOSS, &bt_method_classify), "loss");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(narrower_lines_tell_less),   cmocka_unit_test(durations),
        cmocka_unit_test(the_slowest_stage_is_named), cmocka_unit_test(the_best_scores),
        cmocka_unit_test(scores_are_read_from_lines),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
