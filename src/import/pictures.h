/* How a tower wants its pictures, as the configuration beside its weights says. */
#ifndef BITTERN_IMPORT_PICTURES_H
#define BITTERN_IMPORT_PICTURES_H

#include "import/import.h"
#include "import/source.h"

/** Fills r->resize, r->filter, r->config.mean, .std from options->preprocess, or the file beside the weights, or what
 * is published for the family (said in r->notes; where neither is there, ImageNet's numbers are taken with a warning).
 * BT_ERR_UNSUPPORTED for pictures that are squashed or padded, unless options->shortest. */
bt_status bt_import_pictures(const bt_import_options *options, const bt_import_source *source,
                             bt_import_result *r) BT_MUST_CHECK;

/** Size of the pictures that the configuration names; 0: it names none, or there is none. */
bt_status bt_import_picture_size(const bt_import_options *options, int *out) BT_MUST_CHECK;

#endif
