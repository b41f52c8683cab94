/* A weight file as one family of towers: its tensors under the names that the family's rules use. */
#ifndef BITTERN_IMPORT_SOURCE_H
#define BITTERN_IMPORT_SOURCE_H

#include "formats/weights.h"
#include "import/families.h"

typedef struct bt_import_source {
    const bt_weights *weights; /**< borrowed */
    const bt_import_family *family;
    char prefix[200]; /**< in front of the family's names: "teacher.backbone.", often "" */
    bool chunked;     /**< blocks.C.i: DINOv2's checkpoints of training with block chunks */
    char **name;      /**< [tensors] behind the prefix, blocks numbered straight; NULL: outside of it */
    bool *used;       /**< [tensors] by bt_import_take */
} bt_import_source;

/** Recognises the family. `prefix` chooses among several towers ("teacher.backbone."); NULL: there must be one.
 * BT_ERR_FORMAT says what there is instead. */
bt_status bt_import_source_open(const bt_weights *weights, const char *prefix, bt_import_source *out) BT_MUST_CHECK;
void bt_import_source_close(bt_import_source *source);

/** A tensor by the family's name; NULL. */
const bt_weight *bt_import_find(const bt_import_source *source, const char *name);

/** What makes one of our parameters. */
typedef struct bt_import_parts {
    const bt_import_rule *rule;
    int count, block;
    const bt_weight *part[3];
} bt_import_parts;

/** The tensors for our name `to`; false if there are none. bt_import_take marks them as used. */
bool bt_import_resolve(const bt_import_source *source, const char *to, bt_import_parts *out);
void bt_import_take(bt_import_source *source, const bt_import_parts *parts);

/** Why a tensor is left out: text of the family's table, NULL if it is unexpected. */
const char *bt_import_why_left(const bt_import_source *source, int64_t index);

/** Blocks 0 .. n-1 of the file: their number; the highest number and 1 where some are missing. */
int bt_import_depth(const bt_import_source *source);

#endif
