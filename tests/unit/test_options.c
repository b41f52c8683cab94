/* Option tables: defaults, every type and bound, messages, the resolved config, reference and help. */
#include "check.h"

#include "base/memory.h"
#include "base/options.h"

#include <stdio.h>

typedef enum schedule { COSINE, LINEAR, CONSTANT } schedule;
static const char *const schedule_names[] = {"cosine", "linear", "constant", NULL};

typedef struct optim {
    float learning_rate;
    double eps;
    schedule schedule;
    bt_int_list milestones;
    bt_float_list betas;
} optim;

typedef struct experiment {
    const char *name;
    int epochs;
    bool bf16;
    int64_t seed;
    const char *data;
    optim optim;
    bt_string_list adapt;
} experiment;

static const bt_option optim_options[] = {
    BT_OPTION_FLOAT(optim, learning_rate, "0.001", 0, 10, "step length of the | optimizer"),
    BT_OPTION_DOUBLE(optim, eps, "1e-08", 0, INFINITY, "added to the root of the second moment"),
    BT_OPTION_ENUM(optim, schedule, "cosine", schedule_names, "how the learning rate falls"),
    BT_OPTION_INTS(optim, milestones, "", 1, 1000, "epochs at which it drops"),
    BT_OPTION_FLOATS(optim, betas, "0.9, 0.999", 0, 1, "decay of the moments"),
};
static const bt_option_table optim_table = BT_OPTION_TABLE("Optimizer", optim_options);

static const bt_option experiment_options[] = {
    BT_OPTION_STRING(experiment, name, "run", "name of the run"),
    BT_OPTION_INT(experiment, epochs, "10", 1, INFINITY, "passes over the data"),
    BT_OPTION_BOOL(experiment, bf16, "false", "compute in bf16"),
    BT_OPTION_I64(experiment, seed, "0", -INFINITY, INFINITY, "seed of all random numbers"),
    BT_OPTION_STRING(experiment, data, NULL, "folder of the images"),
    BT_OPTION_SECTION(experiment, optim, &optim_table, "How weights are updated."),
    BT_OPTION_STRINGS(experiment, adapt, "q,v", "projections with adapters"),
};
static const bt_option_table experiment_table = BT_OPTION_TABLE("Experiment", experiment_options);

static experiment values;
static bt_options *options;

static int bind(void **state) {
    (void)state;
    memset(&values, 0xa5, sizeof values); /* nothing may depend on zeroed memory */
    return bt_options_new(&experiment_table, &values, &options) == BT_OK ? 0 : -1;
}

static int unbind(void **state) {
    (void)state;
    bt_options_free(options);
    return 0;
}

static void defaults(void **state) {
    (void)state;
    assert_string_equal(values.name, "run");
    assert_int_equal(values.epochs, 10);
    assert_false(values.bf16);
    assert_true(values.seed == 0);
    assert_string_equal(values.data, "");
    assert_true(values.optim.learning_rate == 0.001f);
    assert_true(values.optim.eps == 1e-8);
    assert_int_equal(values.optim.schedule, COSINE);
    assert_int_equal(values.optim.milestones.count, 0);
    assert_int_equal(values.optim.betas.count, 2);
    assert_true(values.optim.betas.items[0] == 0.9f && values.optim.betas.items[1] == 0.999f);
    assert_int_equal(values.adapt.count, 2);
    assert_string_equal(values.adapt.items[1], "v");
    assert_int_equal(bt_options_count(options), 11);
    assert_string_equal(bt_options_origin(options, bt_options_find(options, "epochs")), "default");
    assert_string_equal(bt_options_origin(options, bt_options_find(options, "data")), "");
}

static bt_status set(const char *path, const char *text) {
    return bt_options_set(options, path, (bt_option_text){&text, -1}, "a.yaml:4:2", "a.yaml:4:9");
}

static bt_status set_list(const char *path, int count, const char *const *items) {
    return bt_options_set(options, path, (bt_option_text){items, count}, "a.yaml:4:2", "a.yaml:4:9");
}

static void setting(void **state) {
    (void)state;
    check_ok(set("name", "trial 2"));
    check_ok(set("epochs", "2147483647"));
    check_ok(set("bf16", "true"));
    check_ok(set("seed", "-9223372036854775808"));
    check_ok(set("optim.learning_rate", "1e-4"));
    check_ok(set("optim.schedule", "constant"));
    check_ok(set_list("optim.milestones", 3, (const char *const[]){"1", "30", "1000"}));
    check_ok(set_list("adapt", 0, NULL));
    assert_string_equal(values.name, "trial 2");
    assert_int_equal(values.epochs, INT32_MAX);
    assert_true(values.bf16);
    assert_true(values.seed == INT64_MIN);
    assert_true(values.optim.learning_rate == 1e-4f);
    assert_int_equal(values.optim.schedule, CONSTANT);
    assert_int_equal(values.optim.milestones.count, 3);
    assert_int_equal(values.optim.milestones.items[1], 30);
    assert_int_equal(values.adapt.count, 0);
    assert_string_equal(bt_options_origin(options, bt_options_find(options, "bf16")), "a.yaml:4:9");
    check_ok(bt_options_set_text(options, "bf16", "false", "command line"));
    assert_string_equal(bt_options_origin(options, bt_options_find(options, "bf16")), "command line");
}

static void bounds_are_inclusive(void **state) {
    (void)state;
    check_ok(set("optim.learning_rate", "0"));
    check_ok(set("optim.learning_rate", "10"));
    check_error(set("optim.learning_rate", "10.0001"), BT_ERR_CONFIG, "found \"10.0001\"");
    check_error(set("optim.learning_rate", "-1e-30"), BT_ERR_CONFIG, "found \"-1e-30\"");
    check_ok(set("epochs", "1"));
    check_error(set("epochs", "0"), BT_ERR_CONFIG, "a whole number of at least 1");
}

static void wrong_scalars(void **state) {
    (void)state;
    static const struct {
        const char *path, *text, *message;
    } cases[] = {
        {"optim.learning_rate", "fast",
         "a.yaml:4:9: optim.learning_rate: found \"fast\", expected a number between 0 and 10"},
        {"optim.learning_rate", "nan",
         "a.yaml:4:9: optim.learning_rate: found \"nan\", expected a number between 0 and 10"},
        {"optim.learning_rate", NULL,
         "a.yaml:4:9: optim.learning_rate: found nothing, expected a number between 0 and 10"},
        {"optim.eps", "1e999", "a.yaml:4:9: optim.eps: found \"1e999\", expected a number of at least 0"},
        {"epochs", "2147483648", "a.yaml:4:9: epochs: found \"2147483648\", expected a whole number of at least 1"},
        {"epochs", "1.5", "a.yaml:4:9: epochs: found \"1.5\", expected a whole number of at least 1"},
        {"seed", "9223372036854775808", "a.yaml:4:9: seed: found \"9223372036854775808\", expected a whole number"},
        {"bf16", "yes", "a.yaml:4:9: bf16: found \"yes\", expected true or false"},
        {"name", NULL, "a.yaml:4:9: name: found nothing (\"\" is the empty text), expected text"},
        {"optim.schedule", "cosin",
         "a.yaml:4:9: optim.schedule: found \"cosin\", expected cosine, linear or constant; did you mean \"cosine\"?"},
        {"optim.schedule", "step", "a.yaml:4:9: optim.schedule: found \"step\", expected cosine, linear or constant"},
        {"optim.milestones", "3",
         "a.yaml:4:9: optim.milestones: found \"3\", expected a list [a, b, ...] of whole numbers between 1 and 1000"},
        {"adapt", "q", "a.yaml:4:9: adapt: found \"q\", expected a list [a, b, ...] of texts"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        experiment before = values;
        check_message(set(cases[i].path, cases[i].text), BT_ERR_CONFIG, cases[i].message);
        assert_memory_equal(&before, &values, sizeof before);
        assert_string_not_equal(bt_options_origin(options, bt_options_find(options, cases[i].path)), "a.yaml:4:9");
    }
}

/* A last name that two sections know is not guessed at. */
static void ambiguous_keys(void **state) {
    (void)state;
    typedef struct pair {
        optim first, second;
    } pair;
    const bt_option both[] = {BT_OPTION_SECTION(pair, first, &optim_table, ""),
                              BT_OPTION_SECTION(pair, second, &optim_table, "")};
    const bt_option_table table = BT_OPTION_TABLE("pair", both);
    pair p;
    bt_options *o;
    check_ok(bt_options_new(&table, &p, &o));
    check_message(bt_options_set_text(o, "eps", "1", "command line"), BT_ERR_CONFIG,
                  "command line: unknown key \"eps\"; docs/options.md lists the keys");
    bt_options_free(o);
}

static void wrong_lists(void **state) {
    (void)state;
    experiment before = values;
    check_message(set_list("epochs", 1, (const char *const[]){"3"}), BT_ERR_CONFIG,
                  "a.yaml:4:9: epochs: found a list, expected a whole number of at least 1");
    check_message(set_list("optim.betas", 2, (const char *const[]){"0.9", "1.5"}), BT_ERR_CONFIG,
                  "a.yaml:4:9: optim.betas: item 2: found \"1.5\", expected a number between 0 and 1");
    check_message(set_list("optim.milestones", 1, (const char *const[]){"1001"}), BT_ERR_CONFIG,
                  "a.yaml:4:9: optim.milestones: item 1: found \"1001\", expected a whole number between 1 and 1000");
    check_message(set_list("optim.betas", 2, (const char *const[]){NULL, "1"}), BT_ERR_CONFIG,
                  "a.yaml:4:9: optim.betas: item 1 of the list is empty");
    assert_memory_equal(&before, &values, sizeof before);
}

static void unknown_keys(void **state) {
    (void)state;
    static const struct {
        const char *path, *message;
    } cases[] = {
        {"optim.leraning_rate",
         "a.yaml:4:2: unknown key \"optim.leraning_rate\"; did you mean \"optim.learning_rate\"?"},
        {"learning-rate", "a.yaml:4:2: unknown key \"learning-rate\"; did you mean \"optim.learning_rate\"?"},
        {"epoch", "a.yaml:4:2: unknown key \"epoch\"; did you mean \"epochs\"?"},
        {"momentum", "a.yaml:4:2: unknown key \"momentum\"; docs/options.md lists the keys"},
        {"optim", "a.yaml:4:2: optim is a section, expected keys within it, such as optim.learning_rate"},
        {"epochs.first",
         "a.yaml:4:2: epochs: found keys within it (epochs.first), expected a whole number of at least 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_message(set(cases[i].path, "1"), BT_ERR_CONFIG, cases[i].message);
    }
}

static void required(void **state) {
    (void)state;
    check_message(bt_options_check(options), BT_ERR_CONFIG, "the config lacks data (text), which has no default");
    check_ok(set("data", "cifar"));
    check_ok(bt_options_check(options));
}

static void own_checks(void **state) {
    (void)state;
    check_ok(set("epochs", "3"));
    check_message(bt_options_error(options, "epochs", "must be above %d", 5), BT_ERR_CONFIG,
                  "a.yaml:4:9: epochs: must be above 5");
}

static void dump(void **state) {
    (void)state;
    check_ok(set("name", "a: \"b\" #c"));
    check_ok(bt_options_set_text(options, "optim.learning_rate", "0.1", "command line"));
    bt_text text = {0};
    bt_options_dump(options, &text);
    assert_string_equal(bt_text_get(&text), "name: \"a: \\\"b\\\" #c\"  # a.yaml:4:9\n"
                                            "epochs: 10  # default\n"
                                            "bf16: false  # default\n"
                                            "seed: 0  # default\n"
                                            "# data: required, not set\n"
                                            "optim:\n"
                                            "  learning_rate: 0.1  # command line\n"
                                            "  eps: 1e-08  # default\n"
                                            "  schedule: cosine  # default\n"
                                            "  milestones: []  # default\n"
                                            "  betas: [0.9, 0.999]  # default\n"
                                            "adapt: [\"q\", \"v\"]  # default\n");
    bt_text_free(&text);
}

static void reference(void **state) {
    (void)state;
    bt_text text = {0};
    bt_options_markdown(&experiment_table, &text);
    static const char *const lines[] = {
        "## Experiment\n\n| Key | Value | Default | Meaning |\n|---|---|---|---|\n",
        "| `data` | text | required | folder of the images |\n",
        "| `adapt` | a list [a, b, ...] of texts | `[q,v]` | projections with adapters |\n",
        "\n## Optimizer: `optim`\n\nHow weights are updated.\n\n| Key |",
        "| `learning_rate` | a number between 0 and 10 | `0.001` | step length of the \\| optimizer |\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) assert_non_null(strstr(bt_text_get(&text), lines[i]));
    bt_text_clear(&text);
    bt_options_help(&experiment_table, &text);
    static const char *const help[] = {
        "  data  text (required): folder of the images\n",
        "  optim.schedule  cosine, linear or constant (default cosine): how the learning rate falls\n",
        "  optim.milestones  a list [a, b, ...] of whole numbers between 1 and 1000: epochs at which it drops\n",
    };
    for (size_t i = 0; i < sizeof help / sizeof help[0]; i++) assert_non_null(strstr(bt_text_get(&text), help[i]));
    bt_text_free(&text);
}

typedef struct small {
    int a;
} small;
static const bt_option bad_default[] = {BT_OPTION_INT(small, a, "7", 0, 5, "")};
static const bt_option_table bad_table = BT_OPTION_TABLE("bad", bad_default);
static const bt_option twice[] = {BT_OPTION_INT(small, a, "1", 0, 5, ""), BT_OPTION_INT(small, a, "1", 0, 5, "")};
static const bt_option_table twice_table = BT_OPTION_TABLE("twice", twice);

static void bind_bad_default(void) {
    small s;
    bt_options *o;
    if (bt_options_new(&bad_table, &s, &o) != BT_OK) _exit(1);
}

static void bind_twice(void) {
    small s;
    bt_options *o;
    if (bt_options_new(&twice_table, &s, &o) != BT_OK) _exit(1);
}

static void contradicting_tables_abort(void **state) {
    (void)state;
    assert_true(check_aborts(bind_bad_default));
    assert_true(check_aborts(bind_twice));
}

static void failed_allocations(void **state) {
    (void)state;
    for (int n = 1;; n++) {
        experiment other;
        bt_options *o = NULL;
        bt_memory_fail_at(n);
        bt_status status = bt_options_new(&experiment_table, &other, &o);
        bt_memory_fail_at(0);
        bt_options_free(o);
        if (status == BT_OK) {
            assert_true(n > 2);
            break;
        }
        check_error(status, BT_ERR_MEMORY, "out of memory");
    }
}

typedef struct command {
    int per_class;
    bool json;
    bt_int_list bits;
} command;

static const bt_option command_options[] = {
    BT_OPTION_INT(command, per_class, "80", 1, 100, "pictures of each class"),
    BT_OPTION_BOOL(command, json, "false", "prints JSON"),
    BT_OPTION_INTS(command, bits, "16", 1, 4096, "lengths of codes"),
};
static const bt_option_table command_table = BT_OPTION_TABLE("command", command_options);

static void flags(void **state) {
    (void)state;
    command c;
    bt_options *o;
    check_ok(bt_options_new(&command_table, &c, &o));
    check_ok(bt_options_set_flag(o, "per-class", "3"));
    check_ok(bt_options_set_flag(o, "json", "true"));
    check_ok(bt_options_set_flag(o, "bits", "16,32, 64"));
    assert_int_equal(c.per_class, 3);
    assert_true(c.json);
    assert_int_equal(c.bits.count, 3);
    assert_int_equal(c.bits.items[2], 64);
    assert_string_equal(bt_options_origin(o, 0), "command line");
    check_message(bt_options_set_flag(o, "per-class", "101"), BT_ERR_USAGE,
                  "--per-class: found \"101\", expected a whole number between 1 and 100");
    check_message(bt_options_set_flag(o, "bits", "16,x"), BT_ERR_USAGE,
                  "--bits: item 2: found \"x\", expected a whole number between 1 and 4096");
    check_message(bt_options_set_flag(o, "per-clas", "1"), BT_ERR_USAGE,
                  "unknown option --per-clas; did you mean --per-class?");
    check_message(bt_options_set_flag(o, "zebra", "1"), BT_ERR_USAGE, "unknown option --zebra (see --help)");
    char endless[200];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    check_error(bt_options_set_flag(o, endless, "1"), BT_ERR_USAGE, "unknown option --aaa");
    assert_int_equal(c.per_class, 3); /* failures leave the struct */
    bt_text help = {0};
    bt_options_help_flags(&command_table, &help);
    assert_non_null(strstr(bt_text_get(&help),
                           "  --per-class  a whole number between 1 and 100 (default 80): pictures of each class\n"));
    assert_non_null(strstr(bt_text_get(&help), "  --json  prints JSON\n"));
    bt_text_free(&help);
    bt_options_free(o);
}

#define WITH_OPTIONS(test) cmocka_unit_test_setup_teardown(test, bind, unbind)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_OPTIONS(defaults),
        WITH_OPTIONS(setting),
        WITH_OPTIONS(bounds_are_inclusive),
        WITH_OPTIONS(wrong_scalars),
        WITH_OPTIONS(wrong_lists),
        WITH_OPTIONS(unknown_keys),
        WITH_OPTIONS(required),
        WITH_OPTIONS(own_checks),
        WITH_OPTIONS(dump),
        cmocka_unit_test(flags),
        cmocka_unit_test(ambiguous_keys),
        cmocka_unit_test(reference),
        cmocka_unit_test(contradicting_tables_abort),
        cmocka_unit_test(failed_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
