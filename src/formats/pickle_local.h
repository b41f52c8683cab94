/* Between the stack machine (pickle.c) and what names do (pickle_names.c, pickle_tensor.c). */
#ifndef BITTERN_FORMATS_PICKLE_LOCAL_H
#define BITTERN_FORMATS_PICKLE_LOCAL_H

#include "formats/pickle.h"

#include <stdint.h>

typedef struct bt_pickle_machine {
    bt_pickle *document;
    const char *where;
    size_t base;
    const unsigned char *data;
    size_t bytes;
    size_t at; /* of the next byte */
    size_t op; /* of the instruction being done */
    bt_pickle_value **stack;
    size_t depth, stack_capacity;
    size_t marks[BT_PICKLE_MAX_MARKS]; /* depths of the stack */
    size_t mark_count;
    bt_pickle_value **memo;
    size_t memo_count, memo_capacity;
} bt_pickle_machine;

/** "WHERE: byte N: text" of the instruction being done. */
bt_status bt_pickle_error(const bt_pickle_machine *m, const char *format, ...) BT_PRINTF(2, 3);

/** A new value; NULL with a message if memory is out. */
bt_pickle_value *bt_pickle_new(bt_pickle_machine *m, bt_pickle_kind kind) BT_MUST_CHECK;
bt_status bt_pickle_append(bt_pickle_machine *m, bt_pickle_value *list, bt_pickle_value *item) BT_MUST_CHECK;
bool bt_pickle_is_text(const bt_pickle_value *value, const char *text);

/* ---- pickle_names.c ---- */

/** A name of the list as a value; anything else is refused, and named. */
bt_status bt_pickle_name(bt_pickle_machine *m, const char *module, size_t module_bytes, const char *name,
                         size_t name_bytes, bt_pickle_value **out) BT_MUST_CHECK;

/** An instruction that is not done, and why. */
bt_status bt_pickle_refuse(const bt_pickle_machine *m, int op);

/** REDUCE: `callable(*arguments)`; NEWOBJ: `callable.__new__(callable, *arguments)`. */
bt_status bt_pickle_call(bt_pickle_machine *m, const bt_pickle_value *callable, const bt_pickle_value *arguments,
                         bool make, bt_pickle_value **out) BT_MUST_CHECK;

/** BUILD: gives attributes to an object. */
bt_status bt_pickle_build(bt_pickle_machine *m, bt_pickle_value *object, const bt_pickle_value *state) BT_MUST_CHECK;

/* ---- pickle_tensor.c ---- */

/** BINPERSID: the storage that ("storage", type, key, device, elements[, view]) means. */
bt_status bt_pickle_storage_of(bt_pickle_machine *m, const bt_pickle_value *id, bt_pickle_value **out) BT_MUST_CHECK;

/** (storage, offset, shape, strides, ...); `dtype` BT_FILE_DTYPE_COUNT: the storage's. */
bt_status bt_pickle_tensor_of(bt_pickle_machine *m, const bt_pickle_value *arguments, bt_file_dtype dtype,
                              bt_pickle_value **out) BT_MUST_CHECK;

/** Type of a storage if `name` is one; `out` BT_FILE_DTYPE_COUNT: bytes without a type. */
bool bt_pickle_storage_type(const bt_pickle_value *name, bt_file_dtype *out);

#endif
