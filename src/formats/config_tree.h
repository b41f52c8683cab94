/* A config as read: a flat list of paths ("optim.lr") with their values as text and where each was written.
 *
 * Files and command line overrides add to one tree; what comes later replaces what came before under the same path, so
 * mappings merge key by key and lists are replaced whole.
 */
#ifndef BITTERN_FORMATS_CONFIG_TREE_H
#define BITTERN_FORMATS_CONFIG_TREE_H

#include "base/arena.h"

#include <stddef.h>

/** Bounds against hostile files; the largest real config has a few hundred values. */
#define BT_CONFIG_MAX_VALUES 4096
#define BT_CONFIG_MAX_ITEMS 65536

typedef struct bt_config_value {
    const char *path;
    const char *const *items; /**< a scalar has one; NULL for an item that is empty, ~ or null */
    int count;                /**< of a list; -1 for a scalar */
    const char *key_origin;   /**< "cifar10.yaml:12:3", or "command line" */
    const char *origin;       /**< the same of the value */
} bt_config_value;

/** Zero-initialised is empty. Everything in it lives in the arena until bt_config_tree_free. */
typedef struct bt_config_tree {
    bt_arena arena;
    bt_config_value *values; /**< in the order of first appearance */
    size_t count, capacity;
} bt_config_tree;

void bt_config_tree_free(bt_config_tree *tree);

/** Adds a value or replaces the one of its path; also removes values within it ("optim.lr" when "optim" becomes a
 * scalar) or above it. Its strings must be in the tree's arena. BT_ERR_CONFIG over BT_CONFIG_MAX_VALUES, BT_ERR_MEMORY.
 */
bt_status bt_config_tree_put(bt_config_tree *tree, const bt_config_value *value) BT_MUST_CHECK;

/** NULL if there is none. */
const bt_config_value *bt_config_tree_find(const bt_config_tree *tree, const char *path);

/** Adds an override from the command line: "optim.lr=1e-4". The value is a YAML scalar (plain, 'single' or "double"
 * quoted) or a flow list of scalars ([1, 2, "c"]). Needs no libyaml. BT_ERR_CONFIG with the override quoted. */
bt_status bt_config_tree_override(bt_config_tree *tree, const char *text) BT_MUST_CHECK;

#endif
