/* Models whose published weights `bittern fetch` knows: where they lie, under which licence, and what is known of their
 * bytes. */
#ifndef BITTERN_FETCH_TABLE_H
#define BITTERN_FETCH_TABLE_H

#include "base/text.h"

#include <stdint.h>

typedef struct bt_fetch_file {
    const char *path;   /**< in the repository, or below the base; its last part is the name in the cache */
    const char *sha256; /**< 64 lower-case digits, or the first 8 of them, which some names carry; NULL: not known */
    int64_t bytes;      /**< 0: not known */
} bt_fetch_file;

typedef struct bt_fetch_model {
    const char *name, *what, *licence;
    const char
        *base; /**< address that the files lie below; NULL: no address, they are brought by hand or from a mirror */
    const char *repository; /**< of a model hub: files are at BASE/REPOSITORY/resolve/main/PATH; NULL: at BASE/PATH */
    const char
        *note; /**< what to do before (a licence to accept), or where the authors share the files; NULL: nothing */
    const bt_fetch_file *files; /**< weights first, then configurations */
    int file_count;
} bt_fetch_model;

/** All rows, in the order of the list. */
const bt_fetch_model *bt_fetch_models(int *count);

/** By name or repository. BT_ERR_USAGE with the nearest name. */
bt_status bt_fetch_find(const char *name, const bt_fetch_model **out) BT_MUST_CHECK;

/** The file's name in the cache: the last part of its path. */
const char *bt_fetch_file_name(const bt_fetch_file *file);

/** Appends the file's address below `base`, or below the model's own if that is "". */
void bt_fetch_address(const bt_fetch_model *model, const bt_fetch_file *file, const char *base, bt_text *out);

#endif
