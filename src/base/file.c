/* Files: read whole and map. Writing is in file_write.c. */
#include "base/file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bt_status bt_file_error(const char *verb, const char *path, int error_number) {
    const char *hint = "";
    if (error_number == ENOSPC) hint = "; the disk is full: free some space or choose another folder";
    if (error_number == EDQUOT) hint = "; your disk quota is used up: free some space or choose another folder";
    return bt_error(BT_ERR_IO, "cannot %s %s: %s%s", verb, path, strerror(error_number), hint);
}

/* Opens a regular file for reading and gives its size. A FIFO or a terminal is refused instead of waited for. */
static bt_status open_regular(const char *path, int *out_fd, size_t *out_bytes) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return bt_file_error("open", path, errno);
    struct stat info;
    if (fstat(fd, &info) != 0) {
        int error = errno;
        close(fd);
        return bt_file_error("examine", path, error);
    }
    if (!S_ISREG(info.st_mode)) {
        close(fd);
        return bt_error(BT_ERR_IO, "cannot read %s: it is %s, not a file", path,
                        S_ISDIR(info.st_mode) ? "a folder" : "a device, pipe or socket");
    }
    *out_fd = fd;
    *out_bytes = (size_t)info.st_size;
    return BT_OK;
}

/* Fills `data` from the file; a file that shrinks meanwhile gives fewer bytes. */
static bt_status read_all(int fd, const char *path, char *data, size_t bytes, size_t *out_bytes) {
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = read(fd, data + done, bytes - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return bt_file_error("read", path, errno);
        if (got == 0) break;
        done += (size_t)got;
    }
    *out_bytes = done;
    return BT_OK;
}

bt_status bt_file_read(const char *path, size_t limit_bytes, char **out, size_t *out_bytes) {
    int fd;
    size_t bytes, done = 0;
    BT_TRY(open_regular(path, &fd, &bytes));
    if (bytes > limit_bytes) {
        close(fd);
        return bt_error(BT_ERR_FORMAT, "%s: the file has %zu bytes, at most %zu are allowed here", path, bytes,
                        limit_bytes);
    }
    bt_status status = BT_ERR_MEMORY;
    char *data = bt_memory_alloc(bytes + 1, 1);
    if (data) status = read_all(fd, path, data, bytes, &done);
    close(fd);
    if (status != BT_OK) {
        bt_memory_free(data);
        return status;
    }
    data[done] = '\0';
    *out = data;
    *out_bytes = done;
    return BT_OK;
}

bt_status bt_file_map_open(const char *path, bt_file_map *out) {
    int fd;
    bt_file_map map = {0};
    BT_TRY(open_regular(path, &fd, &map.bytes));
    if (map.bytes > 0) {
        void *data = mmap(NULL, map.bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            int error = errno;
            close(fd);
            return bt_file_error("map", path, error);
        }
        map.data = data;
    }
    close(fd);
    *out = map;
    return BT_OK;
}

void bt_file_map_close(bt_file_map *map) {
    if (map->data) munmap((void *)(uintptr_t)map->data, map->bytes);
    *map = (bt_file_map){0};
}

void bt_file_map_forget(const void *data, size_t bytes) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)data, end = begin + bytes;
    begin = (begin + page - 1) / page * page;
    end = end / page * page;
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED); /* only a hint: a refusal changes nothing */
}

bool bt_file_exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

bool bt_file_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool bt_file_is_same(const char *a, const char *b) {
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

char *bt_file_sibling(const char *beside, const char *name) {
    const char *slash = strrchr(beside, '/');
    size_t folder = name[0] == '/' || !slash ? 0 : (size_t)(slash - beside) + 1;
    size_t length = strlen(name);
    char *path = bt_memory_alloc(folder + length + 1, 1);
    if (!path) return NULL;
    memcpy(path, beside, folder);
    memcpy(path + folder, name, length + 1);
    return path;
}
