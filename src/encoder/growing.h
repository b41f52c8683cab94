/* Files that grow row by row over several runs of the program: arrays (.npy) whose number of rows is known at the end,
 * and text. They lie under their own name in a work folder; what is behind the last saved length is cut off when the
 * work goes on. */
#ifndef BITTERN_ENCODER_GROWING_H
#define BITTERN_ENCODER_GROWING_H

#include "base/text.h"

#include <bittern/safetensors.h>

typedef struct bt_growing {
    int fd; /**< -1: not wanted or closed */
    bool array;
    bt_file_dtype dtype;
    int64_t columns; /**< 0: one axis */
    int64_t bytes;   /**< of data so far, without the header */
    char *path;      /**< while it grows */
} bt_growing;

/** An array (rows, columns), or (rows) with columns 0. `bytes` of data are kept of a file that exists, all else is cut
 * off; 0 begins anew. BT_ERR_IO, also if the file has less. */
bt_status bt_growing_open_array(const char *path, bt_file_dtype dtype, int64_t columns, int64_t bytes,
                                bt_growing *out) BT_MUST_CHECK;
bt_status bt_growing_open_text(const char *path, int64_t bytes, bt_growing *out) BT_MUST_CHECK;

/** Appends bytes. Does nothing for a file that is not wanted (fd -1). */
bt_status bt_growing_append(bt_growing *file, const void *data, size_t bytes) BT_MUST_CHECK;

/** Reads `bytes` that were appended, from byte `at` of the data. */
bt_status bt_growing_read(const bt_growing *file, int64_t at, void *out, size_t bytes) BT_MUST_CHECK;

/** What was appended survives a power failure. */
bt_status bt_growing_sync(bt_growing *file) BT_MUST_CHECK;

/** Writes the header of an array, syncs, renames to `final` and closes. */
bt_status bt_growing_finish(bt_growing *file, const char *final) BT_MUST_CHECK;

/** Closes; the file stays where it is. */
void bt_growing_close(bt_growing *file);

#endif
