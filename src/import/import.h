/* A published tower as one of ours: recognised, mapped name by name, checked (encoder/export.h writes it).
 *
 * Nothing is guessed: a tensor that is missing, unexpected or of another shape refuses the file, and so does what
 * neither tensors nor a configuration nor the publication of the family decide. */
#ifndef BITTERN_IMPORT_IMPORT_H
#define BITTERN_IMPORT_IMPORT_H

#include "base/text.h"
#include "data/picture_rule.h"
#include "import/hints.h"
#include "nn/vit.h"

typedef struct bt_import_options {
    const char *path;   /**< weights: a file, or an index of shards */
    const char *config; /**< config.json, open_clip_config.json; NULL: the one beside the weights, if there is one */
    const char *preprocess; /**< configuration of its pictures: preprocessor_config.json, config.json of timm,
                               open_clip_config.json; NULL: the one beside the weights, or what is published for the
                               family */
    const char *prefix;     /**< of the tower, where there are several; NULL */
    bt_import_hints given;  /**< what the user says; overrides configurations */
} bt_import_options;

typedef struct bt_import_result {
    const char *family; /**< "DINOv2 (hub)" */
    char format[64];    /**< "PyTorch", "safetensors in 3 shards" */
    char prefix[200];
    bt_vit_config config;
    bt_picture_rule pictures;     /**< how they become squares of config.image */
    bt_params *store;             /**< all values; NULL after a failure before they were read */
    bt_vit vit;                   /**< in it */
    int64_t tensors, taken, left; /**< of the file; used; left out for a reason */
    bt_text notes;                /**< lines: what was decided by something else than shapes */
    bt_text map;                  /**< lines "theirs -> ours", blocks once, with # */
    bt_text left_out;             /**< lines "name: why", by prefix */
    bt_text problems;             /**< lines: missing, unexpected, mismatched */
} bt_import_result;

/** On failure the result holds what was found until then, so that it can be shown: free it in any case. BT_ERR_FORMAT
 * where tensors do not match (problems), errors of files. */
bt_status bt_import(const bt_import_options *options, bt_import_result *out) BT_MUST_CHECK;
void bt_import_result_free(bt_import_result *result);

#endif
