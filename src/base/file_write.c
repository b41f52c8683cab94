/* Files: writing. The order of operations is what makes a file appear whole or not at all, over crashes and power
 * failures: write under a temporary name, fsync the file, rename, fsync the folder. */
#include "base/file.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)1 << 16)
#define NAME_TRIES 100

/* Creates a file of a name that no other writer uses. Not mkstemp: the file must end with the permissions of the umask.
 */
static bt_status create_temporary(bt_file_writer *writer) {
    static atomic_uint counter;
    size_t bytes = strlen(writer->path) + 48;
    writer->temporary = bt_memory_alloc(bytes, 1);
    if (!writer->temporary) return BT_ERR_MEMORY;
    for (int i = 0; i < NAME_TRIES; i++) {
        unsigned number = atomic_fetch_add(&counter, 1);
        snprintf(writer->temporary, bytes, "%s.partial-%ld-%u", writer->path, (long)getpid(), number);
        writer->fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (writer->fd >= 0) return BT_OK;
        if (errno != EEXIST) break; /* it exists: left by a process of the same id that was killed */
    }
    return bt_file_error("create", writer->temporary, errno);
}

static void release(bt_file_writer *writer) {
    if (writer->fd >= 0) close(writer->fd);
    bt_memory_free(writer->path);
    bt_memory_free(writer->temporary);
    bt_memory_free(writer->folder);
    bt_memory_free(writer->buffer);
    *writer = (bt_file_writer){.fd = -1};
}

/* The folder that `path` lies in, in new memory. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return bt_memory_copy_text(".");
    char *folder = bt_memory_copy_text(path);
    if (folder) folder[slash == path ? 1 : slash - path] = '\0';
    return folder;
}

bt_status bt_file_begin(const char *path, bt_file_writer *out) {
    bt_file_writer writer = {.fd = -1};
    bt_status status = BT_ERR_MEMORY;
    writer.path = bt_memory_copy_text(path);
    if (writer.path) writer.folder = folder_of(path);
    if (writer.folder) writer.buffer = bt_memory_alloc(BUFFER_BYTES, 1);
    if (writer.buffer) status = create_temporary(&writer);
    if (status != BT_OK) {
        release(&writer);
        return status;
    }
    *out = writer;
    return BT_OK;
}

static bt_status write_out(bt_file_writer *writer, const char *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t done = write(writer->fd, data, bytes);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return writer->status = bt_file_error("write", writer->path, errno);
        data += done;
        bytes -= (size_t)done;
    }
    return BT_OK;
}

static bt_status flush(bt_file_writer *writer) {
    size_t bytes = writer->buffered_bytes;
    writer->buffered_bytes = 0;
    return write_out(writer, writer->buffer, bytes);
}

bt_status bt_file_append(bt_file_writer *writer, const void *data, size_t bytes) {
    if (writer->status != BT_OK) return writer->status;
    if (bytes > BUFFER_BYTES - writer->buffered_bytes) {
        BT_TRY(flush(writer));
        if (bytes >= BUFFER_BYTES) return write_out(writer, data, bytes);
    }
    if (bytes) memcpy(writer->buffer + writer->buffered_bytes, data, bytes);
    writer->buffered_bytes += bytes;
    return BT_OK;
}

bt_status bt_file_patch(bt_file_writer *writer, size_t offset, const void *data, size_t bytes) {
    const char *from = data;
    if (writer->status == BT_OK) (void)flush(writer);
    while (writer->status == BT_OK && bytes > 0) {
        ssize_t done = pwrite(writer->fd, from, bytes, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return writer->status = bt_file_error("write", writer->path, errno);
        from += done;
        offset += (size_t)done;
        bytes -= (size_t)done;
    }
    return writer->status;
}

bt_status bt_file_flush(bt_file_writer *writer) {
    if (writer->status == BT_OK) (void)flush(writer);
    if (writer->status == BT_OK && fsync(writer->fd) != 0) writer->status = bt_file_error("write", writer->path, errno);
    return writer->status;
}

bt_status bt_file_commit(bt_file_writer *writer) {
    BT_ASSERT(writer->fd >= 0);
    bt_status status = bt_file_flush(writer);
    if (status == BT_OK) {
        /* Network file systems report a full disk only here. */
        int failed = close(writer->fd);
        writer->fd = -1;
        if (failed) status = bt_file_error("write", writer->path, errno);
    }
    if (status == BT_OK && rename(writer->temporary, writer->path) != 0) {
        status = bt_file_error("write", writer->path, errno);
    }
    if (status != BT_OK) unlink(writer->temporary);
    if (status == BT_OK) status = bt_file_sync_folder(writer->folder);
    release(writer);
    return status;
}

void bt_file_abandon(bt_file_writer *writer) {
    if (writer->fd < 0) return;
    unlink(writer->temporary);
    release(writer);
}

bt_status bt_file_write(const char *path, const void *data, size_t bytes) {
    bt_file_writer writer;
    BT_TRY(bt_file_begin(path, &writer));
    bt_status status = bt_file_append(&writer, data, bytes);
    if (status != BT_OK) {
        bt_file_abandon(&writer);
        return status;
    }
    return bt_file_commit(&writer);
}

static bt_status make_folder(const char *path) {
    if (mkdir(path, 0777) == 0) return BT_OK;
    int error = errno;
    struct stat info;
    if (error == EEXIST && stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode)) return BT_OK;
        return bt_error(BT_ERR_IO, "cannot make the folder %s: a file of that name exists", path);
    }
    return bt_file_error("make the folder", path, error);
}

bt_status bt_file_make_folders(const char *path) {
    char *part = bt_memory_copy_text(path);
    if (!part) return BT_ERR_MEMORY;
    bt_status status = BT_OK;
    for (char *p = part + 1; part[0] && *p && status == BT_OK; p++) {
        if (*p != '/' || p[-1] == '/') continue;
        *p = '\0';
        status = make_folder(part);
        *p = '/';
    }
    if (status == BT_OK) status = make_folder(part);
    bt_memory_free(part);
    return status;
}

static bt_status remove_entry(const char *folder, const char *name) {
    size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = bt_memory_alloc(bytes, 1);
    if (!path) return BT_ERR_MEMORY;
    snprintf(path, bytes, "%s/%s", folder, name);
    bt_status status = unlink(path) != 0 && errno != ENOENT ? bt_file_error("remove", path, errno) : BT_OK;
    bt_memory_free(path);
    return status;
}

bt_status bt_file_remove_folder(const char *path) {
    DIR *folder = opendir(path);
    if (!folder && errno == ENOENT) return BT_OK;
    if (!folder) return bt_file_error("open the folder", path, errno);
    bt_status status = BT_OK;
    for (struct dirent *e; status == BT_OK && (e = readdir(folder));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) status = remove_entry(path, e->d_name);
    closedir(folder);
    if (status == BT_OK && rmdir(path) != 0) status = bt_file_error("remove the folder", path, errno);
    return status;
}

bt_status bt_file_sync_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return bt_file_error("open the folder", path, errno);
    int failed = fsync(fd), error = errno;
    close(fd);
    /* EINVAL: a file system that has nothing to sync for folders. */
    if (failed && error != EINVAL) return bt_file_error("sync the folder", path, error);
    return BT_OK;
}
