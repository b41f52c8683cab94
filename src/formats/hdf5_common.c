/* libhdf5: its types, and its errors as ours. */
#include "formats/hdf5_common.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool bt_h5_available(void) {
    return true;
}

int64_t bt_h5_type(bt_file_dtype dtype) {
    switch (dtype) {
    case BT_FILE_BOOL:
    case BT_FILE_U8:
        return H5T_STD_U8LE;
    case BT_FILE_I8:
        return H5T_STD_I8LE;
    case BT_FILE_U16:
        return H5T_STD_U16LE;
    case BT_FILE_I16:
        return H5T_STD_I16LE;
    case BT_FILE_U32:
        return H5T_STD_U32LE;
    case BT_FILE_I32:
        return H5T_STD_I32LE;
    case BT_FILE_U64:
        return H5T_STD_U64LE;
    case BT_FILE_I64:
        return H5T_STD_I64LE;
    case BT_FILE_F32:
        return H5T_IEEE_F32LE;
    case BT_FILE_F64:
        return H5T_IEEE_F64LE;
    default:
        return -1;
    }
}

void bt_h5_quiet(void) {
    H5dont_atexit(); /* files are closed by their owners; what a full disk left behind must not be flushed once more */
    H5open();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
}

typedef struct reason {
    char text[256];
    int error_number;
} reason;

/* Upwards: the first entry is where it began. An errno may stand in any of them. */
static herr_t on_entry(unsigned n, const H5E_error2_t *entry, void *context) {
    reason *r = context;
    const char *number = entry->desc ? strstr(entry->desc, "errno = ") : NULL;
    if (n == 0 && entry->desc) snprintf(r->text, sizeof r->text, "%s", entry->desc);
    if (number && !r->error_number) r->error_number = (int)strtol(number + 8, NULL, 10);
    return 0;
}

bt_status bt_h5_fault(bt_status status, const char *path, const char *what) {
    reason r = {.text = "no reason given"};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, on_entry, &r);
    H5Eclear2(H5E_DEFAULT);
    if (r.error_number) return bt_file_error(what, path, r.error_number);
    for (char *c = r.text; *c; c++) {
        if (*c == '\n') *c = ' ';
    }
    return bt_error(status, "%s: cannot %s: %s", path, what, r.text);
}
