/* A folder of its own for each test program, removed at the end, and files in it. */
#ifndef BITTERN_TESTS_SCRATCH_H
#define BITTERN_TESTS_SCRATCH_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_root[64];

static inline int scratch_make(void **state) {
    (void)state;
    snprintf(scratch_root, sizeof scratch_root, "/tmp/bittern_test_XXXXXX");
    return mkdtemp(scratch_root) ? 0 : -1;
}

static inline void scratch_remove_tree(const char *folder) {
    DIR *stream = opendir(folder);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        char path[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path) abort();
        if (unlink(path) != 0) scratch_remove_tree(path);
    }
    if (stream) closedir(stream);
    rmdir(folder);
}

static inline int scratch_remove(void **state) {
    (void)state;
    scratch_remove_tree(scratch_root);
    return 0;
}

/* Path of a name in the folder; one of eight buffers in turn. */
static inline const char *scratch_path(const char *name) {
    static char buffers[8][256];
    static int next;
    char *path = buffers[next++ % 8];
    snprintf(path, sizeof buffers[0], "%s/%s", scratch_root, name);
    return path;
}

static inline const char *scratch_file(const char *name, const void *data, size_t bytes) {
    const char *path = scratch_path(name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0) abort();
    return path;
}

static inline const char *scratch_folder(const char *name) {
    const char *path = scratch_path(name);
    if (mkdir(path, 0777) != 0) abort();
    return path;
}

/* A whole file in memory of malloc. */
static inline unsigned char *scratch_read(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (!file) abort();
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = malloc(*bytes + 1);
    if (!data || fread(data, 1, *bytes, file) != *bytes) abort();
    fclose(file);
    return data;
}

/* Number of names in the folder that contain `part`. */
static inline int scratch_count(const char *part) {
    int count = 0;
    DIR *folder = opendir(scratch_root);
    if (!folder) abort();
    for (struct dirent *entry; (entry = readdir(folder));) count += strstr(entry->d_name, part) != NULL;
    closedir(folder);
    return count;
}

#endif
