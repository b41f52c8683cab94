/* Embeddings and labels from files, as sides of a retrieval: .npy, or a data set of an HDF5 file as FILE:NAME
 * (formats/hdf5.h). */
#ifndef BITTERN_RETRIEVAL_EMBEDDING_FILE_H
#define BITTERN_RETRIEVAL_EMBEDDING_FILE_H

#include "formats/npy.h"

#include <stdint.h>

/** A matrix of embeddings. f32 is used in place (the file stays mapped, so 10^6 embeddings need no memory of their
 * own), other types are converted. */
typedef struct bt_embedding_file {
    bt_npy file;
    int64_t count;
    int width;
    const float *values; /**< (count, width), finite */
    float *converted;    /**< NULL if in place */
} bt_embedding_file;

/** Opens a (count, width) array of numbers. Checks every value: BT_ERR_NUMERIC names the row, column and byte of the
 * first that is not finite; BT_ERR_SHAPE for another rank or an empty array; errors of bt_array_open. */
bt_status bt_embedding_file_open(const char *path, bt_embedding_file *out) BT_MUST_CHECK;
void bt_embedding_file_close(bt_embedding_file *file);

/** Labels of items: class numbers from a (count) array of whole numbers, or sets of labels from a (count, columns)
 * array of 0 and 1. */
typedef struct bt_label_file {
    int64_t count;
    int64_t columns;  /**< of sets; 0 for class numbers */
    int words;        /**< of a row of `sets` */
    int32_t *classes; /**< (count), negative: unlabelled; NULL for sets */
    uint64_t *sets;   /**< (count, words); NULL for class numbers */
} bt_label_file;

/** BT_ERR_FORMAT with the byte for class numbers beyond 31 bits or values that are not 0 or 1; BT_ERR_SHAPE for another
 * rank; BT_ERR_UNSUPPORTED for floats; errors of bt_array_open. */
bt_status bt_label_file_open(const char *path, bt_label_file *out) BT_MUST_CHECK;
void bt_label_file_close(bt_label_file *file);

#endif
