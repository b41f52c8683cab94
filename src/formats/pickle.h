/* Python pickles as torch.save writes them, read without running anything.
 *
 * A pickle is a program for a small stack machine; its instructions can call any function of Python. This reader knows
 * the instructions that build plain values (none, truth, numbers, text, bytes, lists, tuples, dictionaries; protocols
 * 2 to 5) and a closed list of names (pickle_names.c): functions that put a tensor together, types of storages, ordered
 * dictionaries, numbers of NumPy, and classes that are read as the dictionary of their attributes (argparse.Namespace,
 * modules of TorchScript). What a name of the list does is written here in C; every other name ends the reading and is
 * named in the message. Sets, reductions of other objects, extensions and instructions of protocols 0 and 1 are
 * refused.
 *
 * The pickles are other people's: values, nesting and sizes are bounded, so that no file takes more memory than a few
 * hundred megabytes; shape, strides and offset of a tensor are checked against its storage's number of elements. That a
 * storage has as many bytes in the file is the caller's to check.
 */
#ifndef BITTERN_FORMATS_PICKLE_H
#define BITTERN_FORMATS_PICKLE_H

#include "base/arena.h"

#include <bittern/safetensors.h>

#define BT_PICKLE_MAX_BYTES ((size_t)64 << 20)
#define BT_PICKLE_MAX_VALUES ((size_t)4 << 20) /* ever put on the stack, by all pickles of a document */
#define BT_PICKLE_MAX_MARKS 4096               /* containers begun within each other */
#define BT_PICKLE_MAX_MEMO ((size_t)1 << 21)
#define BT_PICKLE_MAX_RANK BT_SAFETENSORS_MAX_RANK

typedef enum bt_pickle_kind {
    BT_PICKLE_NONE,
    BT_PICKLE_BOOL,
    BT_PICKLE_INTEGER,
    BT_PICKLE_LARGE,  /**< a whole number beyond 64 bits, as `text`: its bytes, lowest first, in two's complement */
    BT_PICKLE_NUMBER, /**< a double */
    BT_PICKLE_TEXT,   /**< UTF-8 is not checked */
    BT_PICKLE_BYTES,
    BT_PICKLE_LIST, /**< also after it was shown to be part of itself: walk with a limit */
    BT_PICKLE_TUPLE,
    BT_PICKLE_DICT, /**< items are key, value, key, value ...; a later pair of one key replaces an earlier one in Python
                     */
    BT_PICKLE_NAME, /**< a name of the list */
    BT_PICKLE_STORAGE,
    BT_PICKLE_TENSOR,
    BT_PICKLE_PLAIN /**< something harmless without use here: a device, a dtype of NumPy; `text` may name it */
} bt_pickle_kind;

/** Elements of one type that tensors are views of. */
typedef struct bt_pickle_storage {
    bt_file_dtype dtype;
    const char *key; /**< (key_bytes) its name in the file; not terminated */
    size_t key_bytes;
    int64_t count; /**< elements of the whole storage */
    int64_t first; /**< this one is elements first .. first + length - 1 of it (files of before 2018); else 0, count */
    int64_t length;
    size_t at;
} bt_pickle_storage;

/** A view of a storage: element (i, j, ...) is at offset + i * stride[0] + j * stride[1] ... of it. */
typedef struct bt_pickle_tensor {
    const bt_pickle_storage *storage;
    bt_file_dtype dtype; /**< the storage's, unless that is of bytes without a type */
    int rank;
    int64_t dim[BT_PICKLE_MAX_RANK], stride[BT_PICKLE_MAX_RANK]; /**< strides in elements of `dtype`, at least 0 */
    int64_t count;                                               /**< elements */
    int64_t offset;                                              /**< in elements of `dtype` */
} bt_pickle_tensor;

typedef struct bt_pickle_value bt_pickle_value;
struct bt_pickle_value {
    bt_pickle_kind kind;
    bool object;      /**< a dictionary that stands for an object's attributes */
    const void *name; /**< of a name: its row in the list */
    size_t at;        /**< byte of the instruction that made it */
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct {
            const char *bytes; /**< not terminated; in the pickle or the document's arena */
            size_t length;
        } text;
        struct {
            bt_pickle_value **item;
            size_t count, capacity;
        } list;
        const bt_pickle_storage *storage;
        const bt_pickle_tensor *tensor;
    } as;
};

/** What was read of one file; zero-initialised is empty. Values live until bt_pickle_free, and the pickles' bytes must
 * live as long. */
typedef struct bt_pickle {
    bt_arena arena;
    size_t pushes;
    const bt_pickle_storage **storages; /**< in the order of their mention, with repetitions */
    size_t storage_count, storage_capacity;
} bt_pickle;

/** Reads one pickle at the start of `data`. `where` (for messages) is the file or member, `base` its byte at which
 * `data` begins. `out_bytes`: how long the pickle is. BT_ERR_FORMAT (also for what is refused), BT_ERR_UNSUPPORTED,
 * BT_ERR_MEMORY. */
bt_status bt_pickle_read(bt_pickle *document, const char *where, size_t base, const unsigned char *data, size_t bytes,
                         bt_pickle_value **out, size_t *out_bytes) BT_MUST_CHECK;
void bt_pickle_free(bt_pickle *document);

/** The value of a text key of a dictionary, or NULL. */
const bt_pickle_value *bt_pickle_find(const bt_pickle_value *dict, const char *key);

/** "a list", "a tensor", ... */
const char *bt_pickle_kind_name(bt_pickle_kind kind);

#endif
