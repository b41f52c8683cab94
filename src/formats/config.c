/* From a YAML file and command line overrides to filled option structs. */
#include "formats/config.h"

#include "formats/yaml.h"

bt_status bt_config_apply(const bt_config_tree *tree, bt_options *options) {
    for (size_t i = 0; i < tree->count; i++) {
        const bt_config_value *value = &tree->values[i];
        bt_option_text text = {value->items, value->count};
        BT_TRY(bt_options_set(options, value->path, text, value->key_origin, value->origin));
    }
    return BT_OK;
}

static bt_status fill_tree(bt_config_tree *tree, const char *path, const char *const *overrides, int override_count) {
    if (path) BT_TRY(bt_yaml_read(path, tree));
    for (int i = 0; i < override_count; i++) BT_TRY(bt_config_tree_override(tree, overrides[i]));
    return BT_OK;
}

bt_status bt_config_read(const bt_option_table *table, void *values, const char *path, const char *const *overrides,
                         int override_count, bt_options **out) {
    bt_config_tree tree = {0};
    bt_options *options = NULL;
    bt_status status = fill_tree(&tree, path, overrides, override_count);
    if (status == BT_OK) status = bt_options_new(table, values, &options);
    if (status == BT_OK) status = bt_config_apply(&tree, options);
    bt_config_tree_free(&tree);
    if (status != BT_OK) {
        bt_options_free(options);
        return status;
    }
    *out = options;
    return BT_OK;
}

bt_status bt_config_load(const bt_option_table *table, void *values, const char *path, const char *const *overrides,
                         int override_count, bt_options **out) {
    bt_options *options;
    BT_TRY(bt_config_read(table, values, path, overrides, override_count, &options));
    bt_status status = bt_options_check(options);
    if (status != BT_OK) {
        bt_options_free(options);
        return status;
    }
    *out = options;
    return BT_OK;
}
