/* A set of strings with a number each, in the order they came: the classes of a table, the paths of a list. */
#ifndef BITTERN_DATA_NAMES_H
#define BITTERN_DATA_NAMES_H

#include <bittern/status.h>

#include <stddef.h>
#include <stdint.h>

/** Zero-initialised is empty. The strings are borrowed. */
typedef struct bt_names {
    const char **name; /**< (count) */
    size_t count, capacity;
    int32_t *slots; /**< (slot_count) open addressing: number of a name, -1 */
    size_t slot_count;
} bt_names;

/** The number of `name`, a new one if it was not there. BT_ERR_MEMORY. */
bt_status bt_names_add(bt_names *names, const char *name, int32_t *number) BT_MUST_CHECK;

/** The number of `name`; -1 if it is not there. */
int32_t bt_names_find(const bt_names *names, const char *name);

/** Puts the names in bytewise order. new_number (count): of each old number. BT_ERR_MEMORY. */
bt_status bt_names_sort(bt_names *names, int32_t *new_number) BT_MUST_CHECK;

void bt_names_free(bt_names *names);

#endif
