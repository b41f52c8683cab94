/* In place of the other files of HDF5 in a build without libhdf5. */
#include "formats/hdf5.h"

bool bt_h5_available(void) {
    return false;
}

static bt_status unsupported(const char *path) {
    return bt_error(BT_ERR_UNSUPPORTED, "%s: this build has no HDF5; install libhdf5-dev and configure again", path);
}

void bt_h5_limit(int seconds) {
    (void)seconds;
}
bt_status bt_h5_open(const char *path, bt_h5 **out) {
    *out = NULL;
    return unsupported(path);
}
void bt_h5_close(bt_h5 *file) {
    (void)file;
}
bool bt_h5_has(bt_h5 *file, const char *name) {
    (void)file;
    (void)name;
    return false;
}
bt_status bt_h5_look(bt_h5 *file, const char *name, bt_h5_array *out) {
    (void)file;
    (void)out;
    return unsupported(name);
}
bt_status bt_h5_read(bt_h5 *file, const char *name, const bt_h5_array *array, void *out) {
    (void)file;
    (void)array;
    (void)out;
    return unsupported(name);
}
bt_status bt_h5_read_texts(bt_h5 *file, const char *name, int64_t count, bt_arena *arena, const char **out) {
    (void)file;
    (void)count;
    (void)arena;
    (void)out;
    return unsupported(name);
}
bt_status bt_h5_number(bt_h5 *file, const char *name, int64_t *out) {
    (void)file;
    (void)out;
    return unsupported(name);
}
bt_status bt_h5_text(bt_h5 *file, const char *name, char *out, size_t bytes) {
    (void)file;
    (void)out;
    (void)bytes;
    return unsupported(name);
}
bt_status bt_h5_array_open(const char *path, const char *name, bt_npy *out) {
    (void)name;
    (void)out;
    return unsupported(path);
}
bt_status bt_h5_begin(const char *path, bt_h5_writer *out) {
    (void)out;
    return unsupported(path);
}
void bt_h5_put(bt_h5_writer *writer, const char *name, bt_file_dtype dtype, int rank, const int64_t *dim,
               const void *data, int64_t *offset) {
    (void)writer, (void)name, (void)dtype, (void)rank, (void)dim, (void)data, (void)offset;
}
void bt_h5_put_texts(bt_h5_writer *writer, const char *name, const char *const *texts, int64_t count) {
    (void)writer, (void)name, (void)texts, (void)count;
}
void bt_h5_put_number(bt_h5_writer *writer, const char *name, int64_t value) {
    (void)writer, (void)name, (void)value;
}
void bt_h5_put_text(bt_h5_writer *writer, const char *name, const char *text) {
    (void)writer, (void)name, (void)text;
}
bt_status bt_h5_seal(bt_h5_writer *writer) {
    return unsupported(writer->file.path);
}
bt_status bt_h5_fill(bt_h5_writer *writer, int64_t offset, const void *data, size_t bytes) {
    (void)offset, (void)data, (void)bytes;
    return unsupported(writer->file.path);
}
bt_status bt_h5_change_number(bt_h5_writer *writer, const char *name, int64_t value) {
    (void)name, (void)value;
    return unsupported(writer->file.path);
}
bt_status bt_h5_commit(bt_h5_writer *writer) {
    return unsupported(writer->file.path);
}
void bt_h5_abandon(bt_h5_writer *writer) {
    (void)writer;
}
