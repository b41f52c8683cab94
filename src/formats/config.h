/* From a YAML file and command line overrides to filled option structs. */
#ifndef BITTERN_FORMATS_CONFIG_H
#define BITTERN_FORMATS_CONFIG_H

#include "base/options.h"
#include "formats/config_tree.h"

/** Sets every value of the tree. The first that is unknown or does not fit stops with its message; required options are
 * not checked yet (bt_options_check). */
bt_status bt_config_apply(const bt_config_tree *tree, bt_options *options) BT_MUST_CHECK;

/** Binds `values` to `table`, reads `path` (NULL: defaults only), then the overrides "optim.lr=1e-4" in order. Required
 * options may be missing. The caller frees `*out`, and with it the strings and lists in `values`. */
bt_status bt_config_read(const bt_option_table *table, void *values, const char *path, const char *const *overrides,
                         int override_count, bt_options **out) BT_MUST_CHECK;

/** bt_config_read, and checks that nothing required is missing. */
bt_status bt_config_load(const bt_option_table *table, void *values, const char *path, const char *const *overrides,
                         int override_count, bt_options **out) BT_MUST_CHECK;

#endif
