/* What a resume accepts: the configuration of the run, but for what may change, and options that are newer than the
 * run. */
#include "check.h"

#include "train/metrics.h"
#include "train/run_config.h"

static const char defaults[] = "{\"optim.lr\":\"0.001\",\"data.fill\":\"0\",\"run.keep\":\"2\"}";

static bt_status compare(const char *saved, const char *now) {
    return bt_config_compare("runs/a/last", saved, now, defaults);
}

static void what_changed_is_named(void **state) {
    (void)state;
    const char *saved = "{\"optim.lr\":\"0.5\",\"data.fill\":\"0\",\"run.keep\":\"2\"}";
    check_ok(compare(saved, saved));
    check_ok(compare(saved, "{\"optim.lr\":\"0.5\",\"run.keep\":\"9\"}"));
    check_message(compare(saved, "{\"optim.lr\":\"0.001\"}"), BT_ERR_CONFIG,
                  "resume: optim.lr was \"0.5\" in runs/a/last and is \"0.001\" now; restore it, or start a new run in "
                  "another run.dir");
}

static void long_texts_differ_at_their_ends(void **state) {
    (void)state;
    char saved[600], now[600];
    snprintf(saved, sizeof saved, "{\"data.root\":\"/%0300d/a\"}", 0);
    snprintf(now, sizeof now, "{\"data.root\":\"/%0300d/b\"}", 0);
    check_ok(compare(saved, saved));
    check_error(compare(saved, now), BT_ERR_CONFIG, "0/b\" now; restore it");
}

static void options_newer_than_the_run(void **state) {
    (void)state;
    const char *saved = "{\"optim.lr\":\"0.5\"}";
    check_ok(compare(saved, "{\"optim.lr\":\"0.5\",\"data.fill\":\"0\"}"));
    check_error(compare(saved, "{\"optim.lr\":\"0.5\",\"data.fill\":\"128\"}"), BT_ERR_CONFIG,
                "data.fill was \"0\" in runs/a/last and is \"128\" now");
}

/* Every option that a configuration has is among the defaults. */
static void defaults_have_every_option(void **state) {
    (void)state;
    bt_run_config config;
    bt_options *options;
    bt_text json = {0};
    check_ok(bt_run_config_default_json(&json));
    check_ok(bt_options_new(&bt_run_config_table, &config, &options));
    assert_true(bt_options_count(options) > 50);
    for (int i = 0; i < bt_options_count(options); i++) {
        char key[80];
        snprintf(key, sizeof key, "\"%s\":", bt_options_path(options, i));
        assert_non_null(strstr(bt_text_get(&json), key));
    }
    bt_text_free(&json);
    bt_options_free(options);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changed_is_named), cmocka_unit_test(long_texts_differ_at_their_ends),
        cmocka_unit_test(options_newer_than_the_run), cmocka_unit_test(defaults_have_every_option)};
    return cmocka_run_group_tests_name("config_compare", tests, NULL, NULL);
}
