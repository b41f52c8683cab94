/* What is to be embedded, as a data set:
 *
 *   folder          all of it, recursively, in bytewise order of the relative paths. The class of a picture is the
 * first folder of its path; pictures in the folder itself have none. Hidden names are left out; links are followed to
 * files only list of paths   a text file, one path a line, relative to the folder of the list or absolute; a picture
 * may be named more than once tables, lists, packs   CSV and TSV manifests, DeepHash's lists, HDF5 packs
 * (data/dataset.h)
 */
#ifndef BITTERN_ENCODER_SOURCES_H
#define BITTERN_ENCODER_SOURCES_H

#include "data/dataset.h"

typedef struct bt_sources {
    bt_dataset set;
    bool labelled; /**< some picture has a label */
    uint32_t crc;  /**< CRC-32C of paths, labels and names of classes */
} bt_sources;

/** `options->root` says where; the rest is for tables. BT_ERR_IO, BT_ERR_FORMAT (no picture, a name with a line break),
 * BT_ERR_CONFIG, BT_ERR_USAGE, BT_ERR_MEMORY. */
bt_status bt_sources_open(const bt_dataset_options *options, bt_sources *out) BT_MUST_CHECK;
void bt_sources_close(bt_sources *sources);

#endif
