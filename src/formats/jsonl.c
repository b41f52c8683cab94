/* Files of one JSON value a line (metrics.jsonl). Each line is one write to a file opened for appending, so a reader
 * sees whole lines, and a process that is killed loses at most the line it was writing. */
#include "formats/json.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct bt_jsonl {
    int fd;
    bool sync;
    bool regular; /* a file with a length; /dev/stdout and pipes have none to restore */
    char *path;
    bt_text line;
};

/* Length of the file up to and with its last line break. */
static bt_status whole_length(int fd, const char *path, off_t length, off_t *out) {
    char block[4096];
    off_t end = length;
    while (end > 0) {
        size_t bytes = end < (off_t)sizeof block ? (size_t)end : sizeof block;
        off_t start = end - (off_t)bytes;
        ssize_t got = pread(fd, block, bytes, start);
        if (got < 0 && errno == EINTR) continue;
        if (got != (ssize_t)bytes) return bt_file_error("read", path, got < 0 ? errno : EIO);
        for (size_t i = bytes; i > 0; i--) {
            if (block[i - 1] == '\n') {
                *out = start + (off_t)i;
                return BT_OK;
            }
        }
        end = start;
    }
    *out = 0;
    return BT_OK;
}

static bt_status open_log(bt_jsonl *log) {
    log->fd = open(log->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (log->fd < 0) return bt_file_error("open", log->path, errno);
    struct stat info;
    if (fstat(log->fd, &info) != 0) return bt_file_error("examine", log->path, errno);
    log->regular = S_ISREG(info.st_mode);
    if (!log->regular) return BT_OK;
    off_t whole;
    BT_TRY(whole_length(log->fd, log->path, info.st_size, &whole));
    if (whole < info.st_size && ftruncate(log->fd, whole) != 0) return bt_file_error("write", log->path, errno);
    return BT_OK;
}

bt_status bt_jsonl_open(const char *path, bool sync, bt_jsonl **out) {
    bt_jsonl *log = bt_memory_zeroed(1, sizeof *log);
    if (!log) return BT_ERR_MEMORY;
    log->fd = -1;
    log->sync = sync;
    log->path = bt_memory_copy_text(path);
    bt_status status = log->path ? open_log(log) : BT_ERR_MEMORY;
    if (status != BT_OK) {
        bt_jsonl_close(log);
        return status;
    }
    *out = log;
    return BT_OK;
}

static bt_status write_line(bt_jsonl *log, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t done = write(log->fd, bytes, count);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return bt_file_error("write", log->path, errno);
        bytes += done;
        count -= (size_t)done;
    }
    if (log->sync && log->regular && fsync(log->fd) != 0) return bt_file_error("write", log->path, errno);
    return BT_OK;
}

bt_status bt_jsonl_append(bt_jsonl *log, const bt_text *line) {
    BT_TRY(bt_text_status(line));
    BT_ASSERT(line->length > 0 && !memchr(line->bytes, '\n', line->length));
    bt_text_clear(&log->line);
    bt_text_append_bytes(&log->line, line->bytes, line->length);
    bt_text_append_bytes(&log->line, "\n", 1);
    BT_TRY(bt_text_status(&log->line));
    off_t before = log->regular ? lseek(log->fd, 0, SEEK_END) : -1;
    bt_status status = write_line(log, log->line.bytes, log->line.length);
    /* If taking it back fails too, the next open does it. */
    if (status != BT_OK && before >= 0 && ftruncate(log->fd, before) != 0) return status;
    return status;
}

void bt_jsonl_close(bt_jsonl *log) {
    if (!log) return;
    if (log->fd >= 0) close(log->fd);
    bt_memory_free(log->path);
    bt_text_free(&log->line);
    bt_memory_free(log);
}
