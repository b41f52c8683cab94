/* Packs: a data set in one HDF5 file, whose images are mapped into memory.
 *
 * Content (h5py reads all of it; N samples, C classes, texts of fixed length in UTF-8):
 *   attributes   bittern_pack 1 (version), size S (0: encoded), crc32c of the images, tables_crc32c of the rest, source
 *   images       u8 (N, S, S, 3) in one piece: the evaluation crop of each picture
 *   or encoded   u8 (B) in one piece, encoded_first i64 (N + 1): file of sample i is encoded[first[i] : first[i + 1]]
 *   labels       i32 (N), -1: none; or u8 (N, C) of 0 and 1 where samples have several
 *   class_names  texts (C), paths texts (N), captions texts (N) if there
 *   splits       u8 (N) if there: 1 train + 2 query + 4 database
 *   rank_names   texts (R) if there, and for rank k: rank_k i32 (N), -1: not given; rank_k_names texts
 *
 * A pack is written under a temporary name, synced and renamed. Reading checks every size against the file, labels
 * against the classes and tables_crc32c; the images' checksum takes a pass over all of them: bt_pack_verify. Another
 * process that truncates a pack in use makes access fault (SIGBUS).
 */
#ifndef BITTERN_DATA_PACK_H
#define BITTERN_DATA_PACK_H

#include "base/file.h"
#include "data/dataset.h"
#include "pixels/view.h"

#include <bittern/image.h>

#define BT_PACK_VERSION 1

typedef struct bt_pack {
    bt_file_map map;
    int64_t size;                 /**< S; 0: encoded */
    int64_t count;                /**< N of the file */
    const uint8_t *images;        /**< (N, S, S, 3) in the map, or NULL */
    const uint8_t *encoded;       /**< (bytes) in the map, or NULL */
    const uint8_t *encoded_first; /**< (N + 1) i64 in the map, perhaps not aligned; checked */
    size_t bytes;                 /**< of images or encoded */
    int64_t crc32c;               /**< as the file says; -1: it does not */
} bt_pack;

/** The row of a sample in its pack: another number where samples were left out. The data set is a pack. */
int64_t bt_pack_row(const bt_dataset *set, int64_t sample);

/** The stored image (size, size, 3) of a sample; NULL if the data set is no pack of images. */
const uint8_t *bt_pack_image(const bt_dataset *set, int64_t sample);

/** The stored file of a sample; NULL if the data set is no pack of files. */
const uint8_t *bt_pack_encoded(const bt_dataset *set, int64_t sample, size_t *bytes);

/** Writing. */
typedef struct bt_pack_options {
    const char *path;
    int64_t size, resize;       /**< of bt_view_center: images are its crop */
    bt_filter filter;           /**< of the resampling */
    bt_orientation orientation; /**< of the files, where images are stored */
    bool keep_encoded;          /**< the files as they are instead */
    int threads;
    bool (*stop)(void); /**< asked now and then; true ends with BT_ERR_INTERRUPTED. May be NULL */
} bt_pack_options;

/** Packs all samples of a data set. A damaged picture ends it with its name (bt_pack_drop_damaged leaves them out
 * first). Files of an encoded pack are not decoded. BT_ERR_IO (disk full: found before any picture is read, where the
 * file system can reserve room), errors of the loader. Nothing stays under the path's name, or what was there before.
 */
bt_status bt_pack_write(const bt_dataset *set, const bt_pack_options *options) BT_MUST_CHECK;

/** Decodes every picture and drops samples that cannot be; each is named in a warning. */
bt_status bt_pack_drop_damaged(bt_dataset *set, int threads, int64_t *dropped) BT_MUST_CHECK;

/** Compares the images with their checksum. BT_ERR_FORMAT if they differ or none is stored. */
bt_status bt_pack_verify(const bt_dataset *set) BT_MUST_CHECK;

#endif
