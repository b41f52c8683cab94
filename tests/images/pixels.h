/* What the programs of this folder share: pixels that Python wrote, and the comparison with them. */
#ifndef BITTERN_TESTS_IMAGES_PIXELS_H
#define BITTERN_TESTS_IMAGES_PIXELS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/** A whole file in memory of malloc, with a 0 behind it; ends the program if it is not there. */
static inline char *read_whole(const char *folder, const char *name, size_t *bytes) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    char *content = NULL;
    if (file && fseek(file, 0, SEEK_END) == 0) {
        *bytes = (size_t)ftell(file);
        rewind(file);
        content = malloc(*bytes + 1);
        if (content && fread(content, 1, *bytes, file) == *bytes) {
            content[*bytes] = 0;
            fclose(file);
            return content;
        }
    }
    printf("FAIL cannot read %s\n", path);
    exit(1);
}

/** Height and width, then (height, width, 3) bytes. */
static inline uint8_t *read_pixels(const char *folder, const char *name, int64_t size[2]) {
    size_t bytes;
    char *content = read_whole(folder, name, &bytes);
    for (int i = 0; i < 2; i++) size[i] = ((int64_t *)(void *)content)[i];
    if (bytes < 16 || (size_t)(size[0] * size[1] * 3) != bytes - 16) {
        printf("FAIL %s/%s has not the size that it says\n", folder, name);
        exit(1);
    }
    for (size_t i = 0; i < bytes - 16; i++) content[i] = content[i + 16];
    return (uint8_t *)content;
}

static inline bool same_pixels(const char *name, const uint8_t *got, int64_t height, int64_t width, const uint8_t *want,
                               const int64_t size[2]) {
    if (height != size[0] || width != size[1]) {
        printf("FAIL %s: %lld x %lld, wanted are %lld x %lld (width x height)\n", name, (long long)width,
               (long long)height, (long long)size[1], (long long)size[0]);
        return false;
    }
    long long differ = 0, first = -1;
    for (int64_t i = 0; i < size[0] * size[1] * 3; i++) {
        if (got[i] == want[i]) continue;
        if (differ++ == 0) first = i;
    }
    if (differ > 0)
        printf("FAIL %s: %lld bytes differ, first %lld: %d, wanted is %d\n", name, differ, first, got[first],
               want[first]);
    return differ == 0;
}

#endif
