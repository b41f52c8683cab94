/* safetensors: named tensors in one file, read through a memory map, written in one pass.
 *
 * Byte layout (https://github.com/huggingface/safetensors), all little-endian:
 *   0        uint64   n, bytes of the header, at most 100,000,000
 *   8        n bytes  JSON object, beginning with '{', may end with spaces:
 *                       "NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...
 *                       "__metadata__": {"key": "value", ...}                                     (optional)
 *   8 + n    data     tensor NAME is bytes begin..end-1 counted from here, row-major
 * The tensors cover the data without overlap and without holes, to the end of the file.
 *
 * Files come from other people, so everything is checked before it is used: every rule above, unique names, rank, sizes
 * without overflow, end - begin = shape x dtype. One line says the file, the byte and what is wrong.
 */
#ifndef BITTERN_SAFETENSORS_H
#define BITTERN_SAFETENSORS_H

#include <bittern/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BT_SAFETENSORS_MAX_RANK 8
#define BT_SAFETENSORS_MAX_HEADER_BYTES 100000000

/** Element types of the format. */
typedef enum bt_file_dtype {
    BT_FILE_BOOL,
    BT_FILE_U8,
    BT_FILE_I8,
    BT_FILE_F8_E5M2,
    BT_FILE_F8_E4M3,
    BT_FILE_U16,
    BT_FILE_I16,
    BT_FILE_F16,
    BT_FILE_BF16,
    BT_FILE_U32,
    BT_FILE_I32,
    BT_FILE_F32,
    BT_FILE_U64,
    BT_FILE_I64,
    BT_FILE_F64,
    BT_FILE_DTYPE_COUNT
} bt_file_dtype;

/** As in the file: "F32", "BF16". */
const char *bt_file_dtype_name(bt_file_dtype dtype);
size_t bt_file_dtype_bytes(bt_file_dtype dtype);

/* ---- reading ---- */

typedef struct bt_safetensors_entry {
    const char *name;
    bt_file_dtype dtype;
    int rank;
    int64_t dim[BT_SAFETENSORS_MAX_RANK];
    int64_t count;    /**< elements */
    const void *data; /**< in the map; aligned to the element only if the file's writer took care: use memcpy */
    size_t bytes;
    uint64_t offset; /**< of the data in the file */
} bt_safetensors_entry;

typedef struct bt_safetensors bt_safetensors;

/** Maps a file and checks all of its header. The entries and their data are valid until bt_safetensors_close.
 *  BT_ERR_IO, BT_ERR_FORMAT, BT_ERR_MEMORY. */
bt_status bt_safetensors_open(const char *path, bt_safetensors **out) BT_MUST_CHECK;
void bt_safetensors_close(bt_safetensors *file);

/** Entries in the order of their data. */
int64_t bt_safetensors_count(const bt_safetensors *file);
const bt_safetensors_entry *bt_safetensors_at(const bt_safetensors *file, int64_t index);

/** NULL if there is none. */
const bt_safetensors_entry *bt_safetensors_find(const bt_safetensors *file, const char *name);

/** Value of a key of "__metadata__", or NULL. */
const char *bt_safetensors_metadata(const bt_safetensors *file, const char *key);

/** Pairs of "__metadata__", in the file's order. */
int64_t bt_safetensors_metadata_count(const bt_safetensors *file);
void bt_safetensors_metadata_at(const bt_safetensors *file, int64_t index, const char **key, const char **value);

/** Converts to float32: out (entry->count). Integers and F64 are rounded to nearest even, BOOL is 0 or 1.
 * BT_ERR_UNSUPPORTED for the 8-bit floats. */
bt_status bt_safetensors_to_f32(const bt_safetensors_entry *entry, float *out) BT_MUST_CHECK;

/* ---- writing ---- */

/** A tensor to write: either `data`, or `fetch`, which is called once to fill a buffer of the tensor's size (values
 * that live on a device). */
typedef struct bt_safetensors_source {
    const char *name; /**< UTF-8 */
    bt_file_dtype dtype;
    int rank;
    int64_t dim[BT_SAFETENSORS_MAX_RANK];
    const void *data;
    bt_status (*fetch)(void *context, void *buffer, size_t bytes);
    void *context;
} bt_safetensors_source;

typedef struct bt_safetensors_pair {
    const char *key, *value;
} bt_safetensors_pair;

/** Writes a file. Order: element size, largest first, then name bytewise; metadata by key; header padded with spaces to
 * a multiple of 8. So every tensor is aligned to its element, and equal content gives equal bytes. Data goes to the
 * file as it is, without a copy of all of it. The file appears under its name only when it is complete and on the disk;
 * after a failure (a full disk) nothing is left behind and an old file of that name is untouched. BT_ERR_IO,
 * BT_ERR_MEMORY, BT_ERR_FORMAT (a name twice, reserved, or not UTF-8), or what `fetch` returned. */
bt_status bt_safetensors_write(const char *path, const bt_safetensors_source *sources, int64_t count,
                               const bt_safetensors_pair *metadata, int64_t metadata_count) BT_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
