/* A YAML file: into a tree, and as the configuration of a run. */
#include "fuzz.h"

#include "formats/config.h"
#include "formats/yaml.h"
#include "train/run_config.h"

static void check_value(const bt_config_tree *tree, const bt_config_value *v) {
    FUZZ_CHECK(bt_config_tree_find(tree, v->path) == v && v->count >= -1 && v->origin && v->key_origin);
    for (int i = 0; i < (v->count < 0 ? 1 : v->count); i++)
        if (v->items[i]) fuzz_touch(v->items[i], strlen(v->items[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const char *path = fuzz_file("input.yaml", data, bytes);
    bt_config_tree tree = {0};
    bt_status status = bt_yaml_read(path, &tree);
    if (status != BT_OK) FUZZ_CHECK_REFUSED(status);
    for (size_t i = 0; status == BT_OK && i < tree.count; i++) check_value(&tree, &tree.values[i]);
    bt_config_tree_free(&tree);

    bt_run_config config;
    bt_options *options = NULL;
    bt_status loaded = bt_config_load(&bt_run_config_table, &config, path, NULL, 0, &options);
    FUZZ_CHECK(loaded != BT_OK || status == BT_OK);
    if (loaded == BT_OK) loaded = bt_run_config_check(&config, options);
    bt_text json = {0};
    if (loaded == BT_OK) FUZZ_CHECK(bt_run_config_json(options, &json) == BT_OK);
    if (loaded != BT_OK) FUZZ_CHECK_REFUSED(loaded);
    bt_text_free(&json);
    bt_options_free(options);
    return 0;
}
