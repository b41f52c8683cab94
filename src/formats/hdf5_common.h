/* What reading and writing HDF5 share. */
#ifndef BITTERN_FORMATS_HDF5_COMMON_H
#define BITTERN_FORMATS_HDF5_COMMON_H

#include "formats/hdf5.h"

/** The library's type (hid_t, which is an int64_t) of a number, in the file's order of bytes (little-endian); -1 for
 * what it has not. */
int64_t bt_h5_type(bt_file_dtype dtype);

/** Starts the library quietly: its messages are ours to print, plugins stay out. */
void bt_h5_quiet(void);

/** Sets `status` with "PATH: WHAT: " and the innermost reason that the library gives. An errno in it makes BT_ERR_IO of
 * a system's fault. To be called before any other function of the library, as each begins by forgetting the last one's
 * reason. */
bt_status bt_h5_fault(bt_status status, const char *path, const char *what);

#endif
