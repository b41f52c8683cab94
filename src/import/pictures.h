/* How a tower wants its pictures, as the configuration beside its weights says. */
#ifndef BITTERN_IMPORT_PICTURES_H
#define BITTERN_IMPORT_PICTURES_H

#include "data/preprocess.h"
#include "import/import.h"
#include "import/source.h"

/** The configuration of pictures: options->preprocess, or the file beside the weights. */
typedef struct bt_import_picture_file {
    char path[1100];
    bool found;
    bt_preprocess preprocess; /**< where found */
} bt_import_picture_file;
bt_status bt_import_pictures_read(const bt_import_options *options, bt_import_picture_file *out) BT_MUST_CHECK;

/** Fills r->pictures, r->config.mean, .std from it, or what is published for the family (said in r->notes; where
 * neither is there, ImageNet's numbers are taken with a warning). BT_ERR_UNSUPPORTED for pictures that are no squares.
 */
bt_status bt_import_pictures(const bt_import_source *source, const bt_import_picture_file *file,
                             bt_import_result *r) BT_MUST_CHECK;

#endif
