/* What both formats of PyTorch share: from the pickle's values to named tensors. */
#ifndef BITTERN_FORMATS_WEIGHTS_TORCH_H
#define BITTERN_FORMATS_WEIGHTS_TORCH_H

#include "formats/pickle.h"
#include "formats/weights_local.h"

/** A file whose storages can be found. */
typedef struct bt_torch_file {
    const char *path;  /**< of the weights' arena */
    const char *where; /**< the file or member of the pickle, for messages */
    const unsigned char *data;
    const void *context;
    /** Byte of the file at which the storage's first element lies; its bytes are all there. `context` is the one above.
     */
    bt_status (*locate)(const struct bt_torch_file *file, const bt_pickle_storage *storage, uint64_t *out_offset);
} bt_torch_file;

/** Adds all tensors that are reached from `root`, with their names, and notes. */
bt_status bt_torch_add(bt_weights *weights, const bt_torch_file *file, const bt_pickle_value *root) BT_MUST_CHECK;

/** Room of a key in messages and member names. */
#define BT_TORCH_MAX_KEY 64

/** The archive's reader, for weights_zip.c. `prefix_bytes`: length of "NAME" of the member "NAME/data.pkl". */
struct bt_zip;
bt_status bt_torch_read_zip(bt_weights *weights, const char *path, const struct bt_zip *zip, const char *prefix,
                            size_t prefix_bytes) BT_MUST_CHECK;

#endif
