/* What fuzz targets share: files, a folder for them, checks. */
#include "fuzz.h"

#include <bittern/image.h>

#include <dirent.h>
#include <limits.h>
#include <unistd.h>

#define PICTURE_PIXELS ((int64_t)1 << 18) /* larger ones only cost time */

static char folder[64];
static pid_t owner; /* a child must not remove the folder of its parent */

static void remove_tree(const char *path) {
    DIR *stream = opendir(path);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        char inner[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        FUZZ_CHECK(snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) < (int)sizeof inner);
        if (unlink(inner) != 0) remove_tree(inner);
    }
    if (stream) closedir(stream);
    rmdir(path);
}

static void remove_folder(void) {
    if (getpid() == owner) remove_tree(folder);
}

const char *fuzz_folder(void) {
    if (folder[0]) return folder;
    snprintf(folder, sizeof folder, "%s/bittern_fuzz_XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    FUZZ_CHECK(mkdtemp(folder));
    owner = getpid();
    atexit(remove_folder);
    return folder;
}

const char *fuzz_path(const char *name) {
    static char buffers[4][128];
    static int next;
    char *path = buffers[next++ % 4];
    FUZZ_CHECK(snprintf(path, sizeof buffers[0], "%s/%s", fuzz_folder(), name) < (int)sizeof buffers[0]);
    return path;
}

const char *fuzz_file(const char *name, const uint8_t *data, size_t bytes) {
    const char *path = fuzz_path(name);
    FILE *file = fopen(path, "wb");
    FUZZ_CHECK(file && fwrite(data, 1, bytes, file) == bytes && fclose(file) == 0);
    return path;
}

uint8_t *fuzz_read(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    FUZZ_CHECK(file && fseek(file, 0, SEEK_END) == 0);
    *bytes = (size_t)ftell(file);
    rewind(file);
    uint8_t *content = malloc(*bytes + 1);
    FUZZ_CHECK(content && fread(content, 1, *bytes, file) == *bytes && fclose(file) == 0);
    return content;
}

bool fuzz_is_refusal(bt_status status) {
    const char *message = bt_error_message();
    return status != BT_OK && message[0] != 0 && !strchr(message, '\n');
}

void fuzz_touch(const void *memory, size_t bytes) {
    const volatile uint8_t *byte = memory;
    for (size_t i = 0; i < bytes; i++) (void)byte[i];
}

void fuzz_picture(const uint8_t *data, size_t bytes) {
    const bt_image_options options = {.pixels = PICTURE_PIXELS,
                                      .orientation = bytes % 2 ? BT_ORIENTATION_APPLY : BT_ORIENTATION_IGNORE,
                                      .jpeg_side = (int64_t)(bytes % 3) * 4};
    bt_image image = {.height = -1};
    bt_status status = bt_image_decode(data, bytes, "input", &options, &image);
    if (status != BT_OK) {
        FUZZ_CHECK_REFUSED(status);
        FUZZ_CHECK(image.height == -1 && !image.pixels);
        return;
    }
    FUZZ_CHECK(image.height >= 1 && image.width >= 1 && image.height * image.width <= PICTURE_PIXELS);
    fuzz_touch(image.pixels, (size_t)(image.height * image.width * 3));
    bt_image_free(&image);
}
