/* Files that grow row by row. */
#include "encoder/growing.h"

#include "base/file.h"
#include "base/memory.h"
#include "formats/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t header_bytes(const bt_growing *f) {
    return f->array ? BT_NPY_HEADER_BYTES : 0;
}

static bt_status write_at(const bt_growing *f, const void *data, size_t bytes, int64_t at) {
    const char *from = data;
    while (bytes > 0) {
        ssize_t done = pwrite(f->fd, from, bytes, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return bt_file_error("write", f->path, errno);
        from += done;
        at += done;
        bytes -= (size_t)done;
    }
    return BT_OK;
}

static bt_status open_file(bt_growing *f, const char *path) {
    f->path = bt_memory_copy_text(path);
    if (!f->path) return BT_ERR_MEMORY;
    f->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (f->bytes ? 0 : O_TRUNC), 0666);
    if (f->fd < 0) return bt_file_error("create", path, errno);
    struct stat info;
    int64_t wanted = f->bytes ? header_bytes(f) + f->bytes : 0;
    if (fstat(f->fd, &info) != 0) return bt_file_error("examine", path, errno);
    if (info.st_size < wanted)
        return bt_error(BT_ERR_IO,
                        "%s has %lld bytes, %lld were saved: it cannot be continued; begin anew (without --resume)",
                        path, (long long)info.st_size, (long long)wanted);
    if (ftruncate(f->fd, (off_t)wanted) != 0) return bt_file_error("cut", path, errno);
    return BT_OK;
}

static bt_status open_any(const char *path, bt_growing f, bt_growing *out) {
    bt_status status = open_file(&f, path);
    if (status == BT_OK)
        *out = f;
    else
        bt_growing_close(&f);
    return status;
}

bt_status bt_growing_open_array(const char *path, bt_file_dtype dtype, int64_t columns, int64_t bytes,
                                bt_growing *out) {
    return open_any(path, (bt_growing){.fd = -1, .array = true, .dtype = dtype, .columns = columns, .bytes = bytes},
                    out);
}

bt_status bt_growing_open_text(const char *path, int64_t bytes, bt_growing *out) {
    return open_any(path, (bt_growing){.fd = -1, .bytes = bytes}, out);
}

bt_status bt_growing_append(bt_growing *f, const void *data, size_t bytes) {
    if (f->fd < 0 || !bytes) return BT_OK;
    BT_TRY(write_at(f, data, bytes, header_bytes(f) + f->bytes));
    f->bytes += (int64_t)bytes;
    return BT_OK;
}

bt_status bt_growing_read(const bt_growing *f, int64_t at, void *out, size_t bytes) {
    char *to = out;
    at += header_bytes(f);
    while (bytes > 0) {
        ssize_t done = pread(f->fd, to, bytes, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return bt_file_error("read", f->path, errno);
        if (done == 0)
            return bt_error(BT_ERR_IO, "%s: it ends at byte %" PRId64 ", %zu bytes early; has another program cut it?",
                            f->path, at, bytes);
        to += done;
        at += done;
        bytes -= (size_t)done;
    }
    return BT_OK;
}

bt_status bt_growing_sync(bt_growing *f) {
    if (f->fd >= 0 && fsync(f->fd) != 0) return bt_file_error("write", f->path, errno);
    return BT_OK;
}

static bt_status write_header(const bt_growing *f) {
    int64_t row = (int64_t)bt_file_dtype_bytes(f->dtype) * (f->columns ? f->columns : 1),
            dim[] = {f->bytes / row, f->columns};
    bt_text header = {0};
    bt_npy_header(&header, f->dtype, f->columns ? 2 : 1, dim);
    bt_status status = bt_text_status(&header);
    BT_ASSERT(status != BT_OK || header.length == BT_NPY_HEADER_BYTES);
    if (status == BT_OK) status = write_at(f, bt_text_get(&header), header.length, 0);
    bt_text_free(&header);
    return status;
}

bt_status bt_growing_finish(bt_growing *f, const char *final) {
    if (f->fd < 0) return BT_OK;
    if (f->array) BT_TRY(write_header(f));
    BT_TRY(bt_growing_sync(f));
    if (rename(f->path, final) != 0) return bt_file_error("write", final, errno);
    bt_growing_close(f);
    return BT_OK;
}

void bt_growing_close(bt_growing *f) {
    if (f->fd >= 0) close(f->fd);
    bt_memory_free(f->path);
    *f = (bt_growing){.fd = -1};
}
