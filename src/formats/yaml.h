/* YAML files (libyaml) into a config tree.
 *
 * The subset: mappings of mappings, scalars, and lists of scalars. `include:` at the top of a file takes one path or a
 * list of them, relative to the including file; included files come first, in order, and the file's own keys win.
 * Refused with a message: duplicate keys in one mapping, anchors, aliases, merge keys and tags (a config says what it
 * means in place; shared parts are what `include:` is for), lists of lists or mappings, keys with a dot, more than one
 * document.
 */
#ifndef BITTERN_FORMATS_YAML_H
#define BITTERN_FORMATS_YAML_H

#include "formats/config_tree.h"

#define BT_YAML_MAX_BYTES ((size_t)1 << 20)
#define BT_YAML_MAX_DEPTH 16
#define BT_YAML_MAX_KEY_BYTES 128
#define BT_YAML_MAX_INCLUDE_DEPTH 8
#define BT_YAML_MAX_FILES 64

/** Reads a file and what it includes into `tree`. Origins are "PATH:LINE:COLUMN", counted from 1, with the path as it
 * was given. BT_ERR_CONFIG for content, BT_ERR_FORMAT for a file over the limit, BT_ERR_IO, BT_ERR_MEMORY;
 * BT_ERR_UNSUPPORTED in a build without libyaml. On failure the tree may hold part of the values and is good for
 * freeing only. */
bt_status bt_yaml_read(const char *path, bt_config_tree *tree) BT_MUST_CHECK;

#endif
