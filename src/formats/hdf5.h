/* HDF5 files: arrays out of them, and packs into them (libhdf5).
 *
 * Files come from other people. Read are data sets of little-endian numbers and of texts of fixed length, in one piece
 * or in chunks (deflate, shuffle, fletcher32). Refused, with what to do: other types, big-endian numbers, data in other
 * files (external storage, virtual data sets, soft and external links), other filters (no plugin is ever loaded), and
 * sizes that the file cannot hold: data in one piece must lie within it, chunks may claim at most what deflate can pack
 * into it. libhdf5 trusts what it reads, so it reads in a child process: a file that makes it crash or never end is
 * refused as damaged. libhdf5 is not for two threads at once, and neither is this.
 *
 * A build without libhdf5 has the same functions; those that open files give BT_ERR_UNSUPPORTED.
 */
#ifndef BITTERN_FORMATS_HDF5_H
#define BITTERN_FORMATS_HDF5_H

#include "base/arena.h"
#include "base/file.h"
#include "formats/npy.h"

#include <bittern/safetensors.h>

/** Whether this build reads and writes HDF5. */
bool bt_h5_available(void);

/** Whether a file begins as HDF5 does; false if it cannot be read. */
bool bt_h5_is(const char *path);

/* ---- reading ---- */

typedef struct bt_h5 bt_h5;

/** Processor seconds that libhdf5 may take over what is small in a file opened from now on; 60 at first. For tests. */
void bt_h5_limit(int seconds);

/** BT_ERR_IO, BT_ERR_FORMAT, BT_ERR_UNSUPPORTED. */
bt_status bt_h5_open(const char *path, bt_h5 **out) BT_MUST_CHECK;
void bt_h5_close(bt_h5 *file);

/** What a data set is. */
typedef struct bt_h5_array {
    bool text;           /**< fixed-length texts of item_bytes */
    bt_file_dtype dtype; /**< of numbers */
    size_t item_bytes;
    int rank; /**< 0: a single value */
    int64_t dim[BT_NPY_MAX_RANK];
    int64_t count;
    size_t bytes;
    int64_t offset; /**< of the data in the file, where they lie in one piece; -1 */
} bt_h5_array;

/** Whether a data set or group of that name ("labels", "a/b") is there. */
bool bt_h5_has(bt_h5 *file, const char *name);

/** Looks at a data set and checks it as the head of this file says. BT_ERR_FORMAT (also if it is not there),
 * BT_ERR_UNSUPPORTED. */
bt_status bt_h5_look(bt_h5 *file, const char *name, bt_h5_array *out) BT_MUST_CHECK;

/** All elements of a data set of numbers: out (array->bytes). */
bt_status bt_h5_read(bt_h5 *file, const char *name, const bt_h5_array *array, void *out) BT_MUST_CHECK;

/** A data set of `count` texts: out (count), copies in the arena. BT_ERR_FORMAT for another shape, or text that is not
 * UTF-8. */
bt_status bt_h5_read_texts(bt_h5 *file, const char *name, int64_t count, bt_arena *arena,
                           const char **out) BT_MUST_CHECK;

/** Attributes of the file. BT_ERR_FORMAT if one is not there or of another kind. The text is cut at bytes - 1. */
bt_status bt_h5_number(bt_h5 *file, const char *name, int64_t *out) BT_MUST_CHECK;
bt_status bt_h5_text(bt_h5 *file, const char *name, char *out, size_t bytes) BT_MUST_CHECK;

/** One data set as if it were an .npy file, mapped where it lies in one piece. `name` may be NULL: the file's only data
 * set. Ends with bt_npy_close. out->path is "FILE:NAME", and bytes of its messages count from the first element. */
bt_status bt_h5_array_open(const char *path, const char *name, bt_npy *out) BT_MUST_CHECK;

/** An array by the name of its file: .npy, or HDF5 as FILE or FILE:NAME. */
bt_status bt_array_open(const char *path, bt_npy *out) BT_MUST_CHECK;

/* ---- writing ---- */

/** A file being written under a temporary name. First everything that libhdf5 writes, with room for the large data;
 * then bt_h5_seal; then the large data by bt_h5_fill. Errors are sticky: what follows one does nothing, and commit
 * reports it. Where the disk is too small the message has the system's reason, what the file takes and what is free. */
typedef struct bt_h5_writer {
    bt_file_writer file;
    int64_t handle; /**< libhdf5's; -1: closed */
    int64_t bytes;  /**< of the whole file, once libhdf5 has closed it */
    bt_status status;
    char message[1024];
} bt_h5_writer;

bt_status bt_h5_begin(const char *path, bt_h5_writer *out) BT_MUST_CHECK;

/** A data set in one piece; of numbers that libhdf5 has (not BF16, F8). data NULL: room for it, to be filled later at
 * *offset. */
void bt_h5_put(bt_h5_writer *writer, const char *name, bt_file_dtype dtype, int rank, const int64_t *dim,
               const void *data, int64_t *offset);

/** A data set of texts, padded with 0 to the longest and packed with deflate where that helps; NULL is "". */
void bt_h5_put_texts(bt_h5_writer *writer, const char *name, const char *const *texts, int64_t count);

/** Attributes of the file. */
void bt_h5_put_number(bt_h5_writer *writer, const char *name, int64_t value);
void bt_h5_put_text(bt_h5_writer *writer, const char *name, const char *text);

/** Ends what libhdf5 writes and takes the room for the rest from the disk: a disk too small is found here. */
bt_status bt_h5_seal(bt_h5_writer *writer) BT_MUST_CHECK;

/** Writes into the room of a data set. */
bt_status bt_h5_fill(bt_h5_writer *writer, int64_t offset, const void *data, size_t bytes) BT_MUST_CHECK;

/** Gives an attribute that was put another value, after bt_h5_seal. */
bt_status bt_h5_change_number(bt_h5_writer *writer, const char *name, int64_t value) BT_MUST_CHECK;

/** Seals if that was not done, syncs, renames. Ends the writer, and on failure removes what it wrote. */
bt_status bt_h5_commit(bt_h5_writer *writer) BT_MUST_CHECK;
void bt_h5_abandon(bt_h5_writer *writer);

#endif
