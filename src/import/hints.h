/* What a configuration file beside the weights says of a tower: config.json of transformers and timm,
 * open_clip_config.json. */
#ifndef BITTERN_IMPORT_HINTS_H
#define BITTERN_IMPORT_HINTS_H

#include "nn/vit.h"

/** Everything is optional: 0 and -1 mean that nothing was said. */
typedef struct bt_import_hints {
    char path[1100]; /**< of the file; "": none */
    int image, patch, width, depth, heads, registers;
    int activation; /**< bt_vit_activation; -1 */
    double norm_eps, rope_theta;
} bt_import_hints;

/** Reads `path`; BT_ERR_FORMAT for what is no such configuration, BT_ERR_UNSUPPORTED for an activation that no tower
 * here has. */
bt_status bt_import_hints_read(const char *path, bt_import_hints *out) BT_MUST_CHECK;

/** The path of `name` in the folder of a file; false if there is none, or the path is too long. */
bool bt_import_beside(const char *file, const char *name, char *path, size_t bytes);

/** The configuration beside a weight file, by the usual names; false if there is none. */
bool bt_import_hints_find(const char *weights_path, char *path, size_t bytes);

#endif
