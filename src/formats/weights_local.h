/* Between weights.c and the readers of each kind (weights_<kind>.c), which add their tensors to one bt_weights. */
#ifndef BITTERN_FORMATS_WEIGHTS_LOCAL_H
#define BITTERN_FORMATS_WEIGHTS_LOCAL_H

#include "base/arena.h"
#include "base/file.h"
#include "base/text.h"
#include "formats/weights.h"

/** Memory for tensors that do not lie in their file as they are: at most this, and this many times the file's bytes. An
 * expanded view or a deflated array of zeros can ask for any amount. */
#define BT_WEIGHTS_COPY_BYTES ((uint64_t)64 << 20)
#define BT_WEIGHTS_COPY_TIMES 16

#define BT_WEIGHTS_MAX_TENSORS ((size_t)1 << 18)
#define BT_WEIGHTS_MAX_NAME 1000                     /* bytes */
#define BT_WEIGHTS_MAX_NAME_BYTES ((size_t)64 << 20) /* of all names */

/** What must stay open or allocated: exactly one of the three. */
typedef struct bt_weights_part {
    bt_file_map map;
    bt_safetensors *safetensors;
    void *memory;
} bt_weights_part;

typedef struct bt_weights_note_pair {
    const char *name, *text;
} bt_weights_note_pair;

struct bt_weights {
    bt_arena arena; /* names, notes, paths, the format */
    const char *format;
    bt_weight *items;
    const bt_weight **by_name;
    size_t count, capacity, name_bytes;
    bt_weights_note_pair *notes;
    size_t note_count, note_capacity;
    bt_weights_part *parts;
    size_t part_count, part_capacity;
    uint64_t file_bytes, copied_bytes; /* of all files so far */
};

/** Keeps a part until close. On failure the caller still owns it. */
bt_status bt_weights_keep(bt_weights *weights, bt_weights_part part) BT_MUST_CHECK;

/** Memory for `bytes` bytes of a tensor, kept until close; refused beyond the bound above. `where` is for the message.
 */
bt_status bt_weights_block(bt_weights *weights, const char *where, uint64_t bytes, void **out) BT_MUST_CHECK;

/** Adds a tensor under a copy of its name (checked: UTF-8, length); `file` must be of the arena. `where` is for
 * messages. */
bt_status bt_weights_add(bt_weights *weights, const char *where, const bt_weight *weight, const char *name,
                         size_t name_bytes) BT_MUST_CHECK;

/** Adds a note under copies; what is not UTF-8 is left out. The reader bounds their number and length. */
bt_status bt_weights_add_note(bt_weights *weights, const char *name, size_t name_bytes, const char *text,
                              size_t text_bytes) BT_MUST_CHECK;

/* The readers. `path` is of the arena; `map` is kept already. Each sets the format. */
bt_status bt_weights_read_safetensors(bt_weights *weights, const char *path) BT_MUST_CHECK;
bt_status bt_weights_read_index(bt_weights *weights, const char *path) BT_MUST_CHECK;
bt_status bt_weights_read_zip(bt_weights *weights, const char *path, const bt_file_map *map) BT_MUST_CHECK;
bt_status bt_weights_read_torch_old(bt_weights *weights, const char *path, const bt_file_map *map) BT_MUST_CHECK;
bt_status bt_weights_read_npy(bt_weights *weights, const char *path, const bt_file_map *map) BT_MUST_CHECK;

/** Reads one file by its first bytes. A shard may not be an index again. */
bt_status bt_weights_read_file(bt_weights *weights, const char *path, bool shard) BT_MUST_CHECK;

/** The first byte that is no white space, of the first hundred; -1 if there is none. */
int bt_weights_first_byte(const bt_file_map *map);

/** One line that says what a file without a reader is, as far as its bytes or its name tell, and what to do. */
bt_status bt_weights_unknown(const char *path, const bt_file_map *map);

#endif
