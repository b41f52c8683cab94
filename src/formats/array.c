/* Which format an array's file has; see hdf5.h. */
#include "formats/hdf5.h"

#include <stdio.h>
#include <string.h>

bool bt_h5_is(const char *path) {
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char head[8];
    FILE *file = fopen(path, "rb");
    bool is = file && fread(head, 1, sizeof head, file) == sizeof head && memcmp(head, signature, sizeof head) == 0;
    if (file) fclose(file);
    return is;
}

/* FILE.h5:NAME; where that is no name of a file itself. */
bt_status bt_array_open(const char *path, bt_npy *out) {
    const char *colon = strrchr(path, ':');
    char file[4096];
    if (bt_h5_is(path)) return bt_h5_array_open(path, NULL, out);
    if (!colon || (size_t)(colon - path) >= sizeof file || bt_file_exists(path)) return bt_npy_open(path, out);
    memcpy(file, path, (size_t)(colon - path));
    file[colon - path] = 0;
    return bt_h5_is(file) ? bt_h5_array_open(file, colon + 1, out) : bt_npy_open(path, out);
}
