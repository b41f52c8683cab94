/* YAML configs: origins, merging of includes, overrides, one hostile file for every rule, and the way into option
 * structs. */
#include "check.h"
#include "scratch.h"

#include "base/memory.h"
#include "formats/config.h"
#include "formats/yaml.h"

#include <math.h>

static const char *write_yaml(const char *name, const char *text) {
    return scratch_file(name, text, strlen(text));
}

/* "FOLDER/rest", where messages name files by path. */
static const char *under(const char *rest) {
    return scratch_path(rest);
}

/* ---- overrides: no libyaml needed ---- */

static void expect_override(const char *text, int count, const char *const *items) {
    bt_config_tree tree = {0};
    check_ok(bt_config_tree_override(&tree, text));
    assert_int_equal(tree.count, 1);
    assert_string_equal(tree.values[0].path, "a.b");
    assert_string_equal(tree.values[0].origin, "command line");
    assert_int_equal(tree.values[0].count, count);
    for (int i = 0; i < (count < 0 ? 1 : count); i++) {
        if (items[i])
            assert_string_equal(tree.values[0].items[i], items[i]);
        else
            assert_null(tree.values[0].items[i]);
    }
    bt_config_tree_free(&tree);
}

#define SCALAR(text, value) expect_override(text, -1, (const char *const[]){value})
#define LIST(text, n, ...) expect_override(text, n, (const char *const[]){__VA_ARGS__})

static void overrides(void **state) {
    (void)state;
    SCALAR("a.b=1e-4", "1e-4");
    SCALAR("a.b= two words ", "two words");
    SCALAR("a.b=x=y", "x=y");
    SCALAR("a.b=", NULL);
    SCALAR("a.b=~", NULL);
    SCALAR("a.b=null", NULL);
    SCALAR("a.b=\"null\"", "null");
    SCALAR("a.b=''", "");
    SCALAR("a.b='it''s'", "it's");
    SCALAR("a.b=\"x\\n\\\"y\\\\\"", "x\n\"y\\");
    LIST("a.b=[1, 2 ,3]", 3, "1", "2", "3");
    LIST("a.b=[]", 0, NULL);
    LIST("a.b=[ ]", 0, NULL);
    LIST("a.b=['x, y', \"]\", z w, ~,]", 4, "x, y", "]", "z w", NULL);
}

static void wrong_overrides(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"lr", "command line: \"lr\": an override is KEY=VALUE, such as optim.lr=1e-4"},
        {"=3", "command line: \"=3\": the part before = is not a key such as optim.lr"},
        {"a..b=3", "command line: \"a..b=3\": the part before = is not a key such as optim.lr"},
        {"a.=3", "command line: \"a.=3\": the part before = is not a key such as optim.lr"},
        {"a b=3", "command line: \"a b=3\": the part before = is not a key such as optim.lr"},
        {"a=[1", "command line: \"a=[1\": the closing ] is missing"},
        {"a=[1,,2]", "command line: \"a=[1,,2]\": a list item is empty"},
        {"a=[1] 2", "command line: \"a=[1] 2\": there is text behind the value"},
        {"a=[[1]]", "command line: \"a=[[1]]\": lists may hold plain values only"},
        {"a=['x' y]", "command line: \"a=['x' y]\": expected \",\" or \"]\" behind a list item"},
        {"a='x", "command line: \"a='x\": the closing ' is missing"},
        {"a=\"x", "command line: \"a=\"x\": the closing \" is missing"},
        {"a=\"x\\", "command line: \"a=\"x\\\": behind a backslash one of \" \\ / n t is expected"},
        {"a={b: 1}", "command line: \"a={b: 1}\": a mapping cannot be given here; override its keys one by one"},
        {"a=*x", "command line: \"a=*x\": anchors, aliases and tags are not supported"},
        {"include=b.yaml", "command line: \"include=b.yaml\": include: works in files only"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bt_config_tree tree = {0};
        check_message(bt_config_tree_override(&tree, cases[i].text), BT_ERR_CONFIG, cases[i].message);
        assert_int_equal(tree.count, 0);
        bt_config_tree_free(&tree);
    }
}

static void later_values_win(void **state) {
    (void)state;
    bt_config_tree tree = {0};
    check_ok(bt_config_tree_override(&tree, "a.b=1"));
    check_ok(bt_config_tree_override(&tree, "c=2"));
    check_ok(bt_config_tree_override(&tree, "a.b=3"));
    assert_int_equal(tree.count, 2);
    assert_string_equal(bt_config_tree_find(&tree, "a.b")->items[0], "3");
    check_ok(bt_config_tree_override(&tree, "a=4")); /* the scalar takes the place of the mapping */
    assert_int_equal(tree.count, 2);
    assert_null(bt_config_tree_find(&tree, "a.b"));
    check_ok(bt_config_tree_override(&tree, "a.x=5"));
    check_ok(bt_config_tree_override(&tree, "ab=6"));
    assert_int_equal(tree.count, 3);
    assert_null(bt_config_tree_find(&tree, "a"));
    bt_config_tree_free(&tree);
}

static void number_of_values_is_bounded(void **state) {
    (void)state;
    bt_config_tree tree = {0};
    char text[32];
    for (int i = 0; i < BT_CONFIG_MAX_VALUES; i++) {
        snprintf(text, sizeof text, "k%d=1", i);
        check_ok(bt_config_tree_override(&tree, text));
    }
    check_ok(bt_config_tree_override(&tree, "k7=2"));
    check_message(bt_config_tree_override(&tree, "one=1"), BT_ERR_CONFIG,
                  "command line: the config has more than 4096 values");
    bt_config_tree_free(&tree);
}

/* ---- into structs ---- */

typedef struct optim {
    float lr;
    bt_int_list milestones;
} optim;

typedef struct setup {
    const char *name;
    optim optim;
} setup;

static const bt_option optim_options[] = {
    BT_OPTION_FLOAT(optim, lr, "0.001", 0, 10, "learning rate"),
    BT_OPTION_INTS(optim, milestones, "", 1, INFINITY, "where it drops"),
};
static const bt_option_table optim_table = BT_OPTION_TABLE("Optimizer", optim_options);
static const bt_option setup_options[] = {
    BT_OPTION_STRING(setup, name, NULL, "name of the run"),
    BT_OPTION_SECTION(setup, optim, &optim_table, "optimizer"),
};
static const bt_option_table setup_table = BT_OPTION_TABLE("Setup", setup_options);

static void load_from_overrides_alone(void **state) {
    (void)state;
    setup s;
    bt_options *options = NULL;
    const char *const overrides_given[] = {"name=x", "optim.milestones=[3, 5]"};
    check_ok(bt_config_load(&setup_table, &s, NULL, overrides_given, 2, &options));
    assert_string_equal(s.name, "x");
    assert_int_equal(s.optim.milestones.count, 2);
    assert_int_equal(s.optim.milestones.items[1], 5);
    bt_options_free(options);
    options = (bt_options *)&scratch_root;
    check_message(bt_config_load(&setup_table, &s, NULL, NULL, 0, &options), BT_ERR_CONFIG,
                  "the config lacks name (text), which has no default");
    check_message(bt_config_load(&setup_table, &s, NULL, (const char *const[]){"optim.lr=fast"}, 1, &options),
                  BT_ERR_CONFIG, "command line: optim.lr: found \"fast\", expected a number between 0 and 10");
    check_message(bt_config_load(&setup_table, &s, NULL, (const char *const[]){"optim.lt=1"}, 1, &options),
                  BT_ERR_CONFIG, "command line: unknown key \"optim.lt\"; did you mean \"optim.lr\"?");
    assert_ptr_equal(options, &scratch_root);
}

/* ---- files ---- */

#ifdef BITTERN_WITH_YAML

static void expect_scalar(const bt_config_tree *tree, const char *path, const char *text, const char *origin) {
    const bt_config_value *value = bt_config_tree_find(tree, path);
    assert_non_null(value);
    assert_int_equal(value->count, -1);
    if (text)
        assert_string_equal(value->items[0], text);
    else
        assert_null(value->items[0]);
    assert_string_equal(value->origin, under(origin));
}

static void reading(void **state) {
    (void)state;
    bt_config_tree tree = {0};
    check_ok(bt_yaml_read(write_yaml("a.yaml", "# a comment\n"
                                               "name: cifar run\n"
                                               "optim:\n"
                                               "  lr: 1e-4\n"
                                               "  \xC3\xA4\xC3\xB6: 'it''s'\n"
                                               "  milestones: [1,\n"
                                               "    20]\n"
                                               "empty:\n"
                                               "tilde: ~\n"
                                               "quoted: \"null\"\n"
                                               "flow: {x: 1, y: [a, ~]}\n"
                                               "block:\n"
                                               "  - p\n"
                                               "  - q\n"
                                               "none: []\n"
                                               "text: |\n"
                                               "  two\n"
                                               "  lines\n"),
                          &tree));
    assert_int_equal(tree.count, 12);
    expect_scalar(&tree, "name", "cifar run", "a.yaml:2:7");
    expect_scalar(&tree, "optim.lr", "1e-4", "a.yaml:4:7");
    expect_scalar(&tree, "optim.\xC3\xA4\xC3\xB6", "it's", "a.yaml:5:7");
    expect_scalar(&tree, "empty", NULL, "a.yaml:8:7");
    expect_scalar(&tree, "tilde", NULL, "a.yaml:9:8");
    expect_scalar(&tree, "quoted", "null", "a.yaml:10:9");
    expect_scalar(&tree, "flow.x", "1", "a.yaml:11:11");
    expect_scalar(&tree, "text", "two\nlines\n", "a.yaml:16:7");
    const bt_config_value *list = bt_config_tree_find(&tree, "optim.milestones");
    assert_int_equal(list->count, 2);
    assert_string_equal(list->items[1], "20");
    assert_string_equal(list->key_origin, under("a.yaml:6:3"));
    assert_string_equal(list->origin, under("a.yaml:6:15"));
    assert_int_equal(bt_config_tree_find(&tree, "block")->count, 2);
    assert_int_equal(bt_config_tree_find(&tree, "none")->count, 0);
    assert_null(bt_config_tree_find(&tree, "flow.y")->items[1]);
    bt_config_tree_free(&tree);
}

static void empty_files(void **state) {
    (void)state;
    static const char *const texts[] = {"", "# only a comment\n", "\n\n"};
    for (size_t i = 0; i < 3; i++) {
        bt_config_tree tree = {0};
        check_ok(bt_yaml_read(write_yaml("a.yaml", texts[i]), &tree));
        assert_int_equal(tree.count, 0);
        bt_config_tree_free(&tree);
    }
}

static void hostile_files(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", ":3:1: the key \"a\" stands a second time in its mapping; the first is at "},
        {"o:\n  x: 1\no:\n  y: 2\n", ":3:1: the key \"o\" stands a second time in its mapping; the first is at "},
        {"o: {x: 1, x: 2}\n", ":1:11: the key \"o.x\" stands a second time in its mapping; the first is at "},
        {"a: &x 1\n",
         ":1:4: anchors (&name) and aliases (*name) are not supported; repeat the value, or put the shared"},
        {"a: *x\n", ":1:4: anchors (&name) and aliases (*name) are not supported"},
        {"<<: {a: 1}\n", ":1:1: merge keys (<<) are not supported; use include:"},
        {"a: !!int 3\n", ":1:4: tags (!name) are not supported; leave it out"},
        {"a: [1, [2]]\n", ":1:8: lists may hold plain values only, not lists or mappings"},
        {"a:\n  - b: 1\n", ":2:5: lists may hold plain values only, not lists or mappings"},
        {"a.b: 1\n", ":1:1: the key \"a.b\" holds a dot; write nested mappings instead"},
        {"'': 1\n", ":1:1: a key is empty"},
        {"[a]: 1\n", ":1:1: a key must be a plain word"},
        {"a: {}\n", ":1:5: a mapping is empty; leave its key out"},
        {"- a\n- b\n", ":1:1: expected keys with values (key: value)"},
        {"just words\n", ":1:1: expected keys with values (key: value)"},
        {"a: 1\n---\nb: 2\n", ":2:1: more than one document in the file"},
        {"a: \"x\\0y\"\n", ":1:4: a NUL character in a value is not accepted"},
        {"a: [1, 2\nb: 3\n", ":2:2: not YAML: did not find expected ',' or ']' while parsing a flow sequence"},
        {"a:\n\tb: 1\n",
         ":2:1: not YAML: found character that cannot start any token while scanning for the next token"},
        {"a: \xFF\n", ": byte 3: not YAML: invalid leading UTF-8 octet"},
        {"include: {a: 1}\n", ":1:10: include: takes a path or a list of paths"},
        {"include:\n", ":1:9: include: a path is empty"},
        {"include: [x.yaml, '']\nx: 1\n", ":1:10: include: cannot open "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bt_config_tree tree = {0};
        const char *path = write_yaml("a.yaml", cases[i].text);
        bt_status status = bt_yaml_read(path, &tree);
        assert_true(status == BT_ERR_CONFIG || (status == BT_ERR_IO && strstr(cases[i].message, "open")));
        size_t length = strlen(path);
        assert_memory_equal(bt_error_message(), path, length);
        check_error(status, status, cases[i].message);
        assert_ptr_equal(strstr(bt_error_message(), cases[i].message), bt_error_message() + length);
        bt_config_tree_free(&tree);
    }
}

static void expect_text_refused(const bt_text *text, bt_status wanted, const char *message) {
    bt_config_tree tree = {0};
    check_error(bt_yaml_read(scratch_file("a.yaml", text->bytes, text->length), &tree), wanted, message);
    bt_config_tree_free(&tree);
}

static void limits(void **state) {
    (void)state;
    bt_text text = {0};
    for (int i = 0; i < 17; i++) bt_text_append(&text, "{a: ");
    bt_text_append(&text, "1");
    for (int i = 0; i < 17; i++) bt_text_append(&text, "}");
    expect_text_refused(&text, BT_ERR_CONFIG, ":1:66: mappings are nested more than 16 deep");
    bt_text_clear(&text);
    for (int i = 0; i < 4097; i++) bt_text_append(&text, "k%d: 1\n", i);
    expect_text_refused(&text, BT_ERR_CONFIG, "a.yaml:4097:1: more than 4096 keys in one file");
    bt_text_clear(&text);
    bt_text_append(&text, "a: [");
    for (int i = 0; i < 65537; i++) bt_text_append(&text, "1,");
    bt_text_append(&text, "]");
    expect_text_refused(&text, BT_ERR_CONFIG, "more than 65536 list items in one file");
    bt_text_clear(&text);
    bt_text_append(&text, "%0129d: 1\n", 0);
    expect_text_refused(&text, BT_ERR_CONFIG, ":1:1: a key is longer than 128 bytes");
    bt_text_clear(&text);
    bt_text_append(&text, "a: %01048576d\n", 0);
    expect_text_refused(&text, BT_ERR_FORMAT, "a.yaml: the file has 1048580 bytes, at most 1048576 are allowed here");
    bt_text_free(&text);
}

static void includes_merge(void **state) {
    (void)state;
    scratch_folder("models");
    write_yaml("models/small.yaml", "include: base.yaml\nmodel: {depth: 12}\n");
    write_yaml("models/base.yaml", "model: {depth: 2, width: 64}\noptim: {lr: 1, milestones: [1, 2, 3]}\n");
    write_yaml("data.yaml", "data: {name: cifar}\nmodel: {width: 96}\n");
    bt_config_tree tree = {0};
    check_ok(bt_yaml_read(write_yaml("main.yaml", "optim: {milestones: [9]}\n"
                                                  "include: [models/small.yaml, data.yaml]\n"),
                          &tree));
    assert_int_equal(tree.count, 5);
    expect_scalar(&tree, "model.depth", "12", "models/small.yaml:2:16");
    expect_scalar(&tree, "model.width", "96", "data.yaml:2:16"); /* the later include wins */
    expect_scalar(&tree, "optim.lr", "1", "models/base.yaml:2:13");
    expect_scalar(&tree, "data.name", "cifar", "data.yaml:1:14");
    const bt_config_value *list = bt_config_tree_find(&tree, "optim.milestones");
    assert_int_equal(list->count, 1); /* lists are replaced, and the file wins over what it includes */
    assert_string_equal(list->origin, under("main.yaml:1:21"));
    bt_config_tree_free(&tree);
}

static void include_faults(void **state) {
    (void)state;
    char expected[1024];
    bt_config_tree tree = {0};
    const char *a = write_yaml("a.yaml", "include: b.yaml\n"), *b = write_yaml("b.yaml", "x: 1\ninclude: ./a.yaml\n");
    snprintf(expected, sizeof expected, "%s:2:10: include: the files include each other: %s -> %s -> %s/./a.yaml", b, a,
             b, scratch_root);
    check_message(bt_yaml_read(a, &tree), BT_ERR_CONFIG, expected);
    bt_config_tree_free(&tree);

    snprintf(expected, sizeof expected, "%s:1:10: include: cannot open %s: No such file or directory", a,
             under("gone.yaml"));
    write_yaml("a.yaml", "include: gone.yaml\n");
    check_message(bt_yaml_read(a, &tree), BT_ERR_IO, expected);
    bt_config_tree_free(&tree);

    for (int i = 0; i < 10; i++) { /* a chain deeper than allowed */
        char name[32], text[64];
        snprintf(name, sizeof name, "deep%d.yaml", i);
        snprintf(text, sizeof text, "include: deep%d.yaml\n", i + 1);
        write_yaml(name, text);
    }
    check_error(bt_yaml_read(under("deep0.yaml"), &tree), BT_ERR_CONFIG,
                "deep8.yaml:1:10: include: files include each other more than 8 deep");
    bt_config_tree_free(&tree);

    for (int i = 0; i < 7; i++) { /* each file includes the next one twice */
        char name[32], text[64];
        snprintf(name, sizeof name, "fork%d.yaml", i);
        snprintf(text, sizeof text, "include: [fork%d.yaml, fork%d.yaml]\n", i + 1, i + 1);
        write_yaml(name, text);
    }
    write_yaml("fork7.yaml", "x: 1\n");
    check_error(bt_yaml_read(under("fork0.yaml"), &tree), BT_ERR_CONFIG, "include: more than 64 files");
    bt_config_tree_free(&tree);
}

static void load_with_file(void **state) {
    (void)state;
    char expected[512];
    setup s;
    bt_options *options = NULL;
    const char *path = write_yaml("c.yaml", "name: first\noptim:\n  lr: 0.5\n");
    check_ok(bt_config_load(&setup_table, &s, path, (const char *const[]){"name=second"}, 1, &options));
    assert_string_equal(s.name, "second");
    assert_true(s.optim.lr == 0.5f);
    assert_string_equal(bt_options_origin(options, bt_options_find(options, "optim.lr")), under("c.yaml:3:7"));
    bt_options_free(options);
    options = NULL;

    write_yaml("c.yaml", "name: first\noptim:\n  lt: 0.5\n");
    snprintf(expected, sizeof expected, "%s:3:3: unknown key \"optim.lt\"; did you mean \"optim.lr\"?", path);
    check_message(bt_config_load(&setup_table, &s, path, NULL, 0, &options), BT_ERR_CONFIG, expected);
    write_yaml("c.yaml", "name: first\noptim:\n  lr: fast\n");
    snprintf(expected, sizeof expected, "%s:3:7: optim.lr: found \"fast\", expected a number between 0 and 10", path);
    check_message(bt_config_load(&setup_table, &s, path, NULL, 0, &options), BT_ERR_CONFIG, expected);
    assert_null(options);
}

/* The resolved config, read again, gives the same values: bits of floats, awkward strings. */
static void dump_reads_back(void **state) {
    (void)state;
    static const char *const names[] = {"plain",
                                        "",
                                        "~",
                                        "a: b # c",
                                        "'\"\\",
                                        "line\nbreak\t",
                                        " \xC3\xBC\xE2\x80\xA8\xC2\x85 ",
                                        "\xF0\x9F\x90\xA6\x7F\x01",
                                        "[x]",
                                        "null"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        setup s, back;
        bt_options *options, *again;
        check_ok(bt_options_new(&setup_table, &s, &options));
        check_ok(bt_options_set_text(options, "name", names[i], "test"));
        check_ok(bt_options_set_text(options, "optim.lr", "0.1234567891", "test"));
        check_ok(bt_options_set(options, "optim.milestones", (bt_option_text){(const char *const[]){"4", "5"}, 2},
                                "test", "test"));
        bt_text text = {0};
        bt_options_dump(options, &text);
        check_ok(bt_config_load(&setup_table, &back, write_yaml("dump.yaml", bt_text_get(&text)), NULL, 0, &again));
        assert_string_equal(back.name, names[i]);
        assert_memory_equal(&back.optim.lr, &s.optim.lr, sizeof s.optim.lr);
        assert_int_equal(back.optim.milestones.count, 2);
        assert_int_equal(back.optim.milestones.items[1], 5);
        bt_text_free(&text);
        bt_options_free(options);
        bt_options_free(again);
    }
}

/* Every allocation of ours fails in turn; nothing leaks (the sanitizer build checks) and the message says so. */
static void failed_allocations(void **state) {
    (void)state;
    const char *path = write_yaml("d.yaml", "name: x\noptim: {lr: 1, milestones: [1, 2]}\ninclude: e.yaml\n");
    write_yaml("e.yaml", "name: y\n");
    for (int n = 1;; n++) {
        setup s;
        bt_options *options = NULL;
        bt_memory_fail_at(n);
        bt_status status = bt_config_load(&setup_table, &s, path, NULL, 0, &options);
        bt_memory_fail_at(0);
        bt_options_free(options);
        if (status == BT_OK) {
            assert_true(n > 10);
            break;
        }
        check_error(status, BT_ERR_MEMORY, "out of memory");
    }
}

#else

static void file_without_libyaml(void **state) {
    (void)state;
    bt_config_tree tree = {0};
    char expected[512];
    const char *path = write_yaml("a.yaml", "a: 1\n");
    snprintf(expected, sizeof expected,
             "cannot read %s: this build has no libyaml; install libyaml-dev and build again, or give all settings as "
             "KEY=VALUE",
             under("a.yaml"));
    check_message(bt_yaml_read(path, &tree), BT_ERR_UNSUPPORTED, expected);
}

#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overrides),
        cmocka_unit_test(wrong_overrides),
        cmocka_unit_test(later_values_win),
        cmocka_unit_test(number_of_values_is_bounded),
        cmocka_unit_test(load_from_overrides_alone),
#ifdef BITTERN_WITH_YAML
        cmocka_unit_test(reading),
        cmocka_unit_test(empty_files),
        cmocka_unit_test(hostile_files),
        cmocka_unit_test(limits),
        cmocka_unit_test(includes_merge),
        cmocka_unit_test(include_faults),
        cmocka_unit_test(load_with_file),
        cmocka_unit_test(dump_reads_back),
        cmocka_unit_test(failed_allocations),
#else
        cmocka_unit_test(file_without_libyaml),
#endif
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
