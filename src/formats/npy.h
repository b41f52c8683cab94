/* NumPy arrays in files (.npy): read through a memory map, written in one pass.
 *
 * Byte layout (numpy.lib.format, versions 1.0 to 3.0):
 *   0       6 bytes   "\x93NUMPY"
 *   6       uint8     major version: 1, 2 or 3; uint8 minor version: 0
 *   8       uint16    n, bytes of the header (version 1), or uint32 (versions 2 and 3), little-endian
 *   then    n bytes   a Python dictionary, {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, spaces, a line
 * break then    data      row-major, to the end of the file
 *
 * Read are numbers of one little-endian type in C order. Objects ('|O') are refused, never unpickled; so are records,
 * big-endian and Fortran order, with what to call in NumPy to mend it. Files come from other people: every length is
 * checked before it is used, and the data must end where the file ends. Messages give the file and the byte.
 */
#ifndef BITTERN_FORMATS_NPY_H
#define BITTERN_FORMATS_NPY_H

#include "base/file.h"
#include "base/text.h"

#include <bittern/safetensors.h>

#include <stdint.h>

#define BT_NPY_MAX_RANK 8
#define BT_NPY_MAX_HEADER_BYTES 65535 /* what version 1 can hold; longer ones belong to records */

/** An open file. Borrow `data` while it is open. */
typedef struct bt_npy {
    bt_file_map map;
    char *path;
    bt_file_dtype dtype;
    int rank; /**< 0: a single number */
    int64_t dim[BT_NPY_MAX_RANK];
    int64_t count; /**< elements */
    const unsigned char *data;
    size_t data_offset; /**< bytes from the start of the file */
    void *memory;       /**< owns the data of arrays that do not lie in a file as they are (hdf5.h); NULL */
} bt_npy;

/** Opens and checks. BT_ERR_IO, BT_ERR_FORMAT, BT_ERR_MEMORY; types and orders that are not read: BT_ERR_UNSUPPORTED.
 */
bt_status bt_npy_open(const char *path, bt_npy *out) BT_MUST_CHECK;
void bt_npy_close(bt_npy *file);

/** The same for a file that is in memory, or within another one: `name` is its name in messages, and `data` of `out`
 * points into `data`, which close leaves alone. */
bt_status bt_npy_parse(const char *name, const unsigned char *data, size_t bytes, bt_npy *out) BT_MUST_CHECK;

/** The data in place if they are f32 at an address fit for float, as numpy.save writes them; NULL otherwise. */
const float *bt_npy_f32_in_place(const bt_npy *file);

/** All elements as float32 (count); f64 is rounded, a value beyond float's range becomes infinite. */
void bt_npy_to_f32(const bt_npy *file, float *out);

/** All elements as int64 (count). BT_ERR_UNSUPPORTED for f16, f32, f64; BT_ERR_FORMAT with the byte for a u64 above the
 * range. */
bt_status bt_npy_to_i64(const bt_npy *file, int64_t *out) BT_MUST_CHECK;

/** Writes a row-major array, whole or not at all (bt_file_write). dtype: any that NumPy has (not BF16, F8). BT_ERR_IO,
 * BT_ERR_MEMORY. */
bt_status bt_npy_write(const char *path, bt_file_dtype dtype, int rank, const int64_t *dim,
                       const void *data) BT_MUST_CHECK;

/** Appends the header of such a file, for writers that do not have all data at once: the data follow it. Its length is
 * a multiple of 64; for up to two axes it is always BT_NPY_HEADER_BYTES, so it can be written again when the number of
 * rows is known. */
void bt_npy_header(bt_text *out, bt_file_dtype dtype, int rank, const int64_t *dim);
#define BT_NPY_HEADER_BYTES 128

/** A matrix that is written row by row when the number of rows is known at the end only. */
typedef struct bt_npy_rows {
    bt_file_writer file;
    bt_file_dtype dtype;
    int64_t columns, count; /**< count: rows so far */
} bt_npy_rows;

/** Begins a file of rows; nothing exists under its name until commit. Errors of bt_file_begin. */
bt_status bt_npy_rows_begin(const char *path, bt_file_dtype dtype, int64_t columns, bt_npy_rows *out) BT_MUST_CHECK;

/** Appends `count` rows. Failures are kept, as those of bt_file_append. */
bt_status bt_npy_rows_append(bt_npy_rows *rows, const void *data, int64_t count);

/** Writes the header with the number of rows, and ends as bt_file_commit. */
bt_status bt_npy_rows_commit(bt_npy_rows *rows) BT_MUST_CHECK;
void bt_npy_rows_abandon(bt_npy_rows *rows);

#endif
