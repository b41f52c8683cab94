/* HDF5 files read with libhdf5 itself. The library trusts what it reads: a damaged file can make it write beyond its
 * memory or never end. So these functions run in a process of their own (hdf5_guard.c). */
#ifndef BITTERN_FORMATS_HDF5_LOCAL_H
#define BITTERN_FORMATS_HDF5_LOCAL_H

#include "base/text.h"
#include "formats/hdf5.h"

typedef struct bt_h5_local bt_h5_local;

/* As the functions of hdf5.h. */
bt_status bt_h5_local_open(const char *path, bt_h5_local **out) BT_MUST_CHECK;
void bt_h5_local_close(bt_h5_local *file);
bool bt_h5_local_has(bt_h5_local *file, const char *name);
bt_status bt_h5_local_look(bt_h5_local *file, const char *name, bt_h5_array *out) BT_MUST_CHECK;
bt_status bt_h5_local_read(bt_h5_local *file, const char *name, const bt_h5_array *array, void *out) BT_MUST_CHECK;
bt_status bt_h5_local_number(bt_h5_local *file, const char *name, int64_t *out) BT_MUST_CHECK;
bt_status bt_h5_local_text(bt_h5_local *file, const char *name, char *out, size_t bytes) BT_MUST_CHECK;

/** `count` texts, each with a 0 behind it. */
bt_status bt_h5_local_texts(bt_h5_local *file, const char *name, int64_t count, bt_text *out) BT_MUST_CHECK;

/** The name of the only data set at the root. */
bt_status bt_h5_local_only(bt_h5_local *file, bt_text *out) BT_MUST_CHECK;

#endif
