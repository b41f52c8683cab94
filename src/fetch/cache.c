/* The cache of weights; see cache.h. */
#include "fetch/cache.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SIDE_BYTES ((size_t)4096) /* the small files beside a download */
enum { HEAD_BYTES = 512 };

bt_status bt_cache_folder(bt_text *out) {
    const struct {
        const char *variable, *below;
    } places[] = {{"BITTERN_CACHE", ""}, {"XDG_CACHE_HOME", "/bittern"}, {"HOME", "/.cache/bittern"}};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(places[i].variable);
        if (!value || !*value || (i == 1 && *value != '/')) continue; /* the XDG specification ignores relative paths */
        bt_text_append(out, "%s%s", value, places[i].below);
        return bt_text_status(out);
    }
    return bt_error(BT_ERR_CONFIG, "no folder for the cache: set BITTERN_CACHE, XDG_CACHE_HOME or HOME");
}

int64_t bt_cache_bytes(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) ? (int64_t)info.st_size : -1;
}

/* ---- what a file begins with ---- */

static bt_status read_head(const char *path, char *head, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) return bt_file_error("open", path, errno);
    *length = fread(head, 1, HEAD_BYTES, file);
    bt_status status = ferror(file) ? bt_file_error("read", path, errno) : BT_OK;
    fclose(file);
    head[*length] = 0;
    return status;
}

static bool ends_with(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

bt_status bt_cache_check_head(const char *path, const char *from) {
    char head[HEAD_BYTES + 1];
    size_t length = 0;
    BT_TRY(read_head(path, head, &length));
    if (length == 0) return bt_error(BT_ERR_FORMAT, "%s is empty", from);
    if (strncmp(head, "version https://git-lfs", 23) == 0)
        return bt_error(
            BT_ERR_FORMAT,
            "%s is a git-lfs pointer, not the file it stands for; a mirror or clone gets the files by \"git lfs pull\"",
            from);
    const char *first = head;
    if (strncmp(first, "\xef\xbb\xbf", 3) == 0) first += 3;
    while (isspace((unsigned char)*first)) first++;
    if (strncasecmp(first, "<!doctype", 9) == 0 || strncasecmp(first, "<html", 5) == 0 ||
        strncasecmp(first, "<head", 5) == 0)
        return bt_error(
            BT_ERR_FORMAT,
            "%s is a page of HTML, not the file; a login page of the network or a proxy may stand in between", from);
    if (ends_with(from, ".json") && *first != '{') return bt_error(BT_ERR_FORMAT, "%s is no JSON object", from);
    return BT_OK;
}

/* ---- FILE.sha256 ---- */

static bt_status side_name(const char *path, const char *ending, bt_text *out) {
    bt_text_append(out, "%s%s", path, ending);
    return bt_text_status(out);
}

void bt_cache_read_sum(const char *path, char out[BT_SHA256_BYTES]) {
    bt_text name = {0};
    char *text = NULL;
    size_t bytes;
    out[0] = 0;
    if (side_name(path, ".sha256", &name) == BT_OK &&
        bt_file_read(bt_text_get(&name), SIDE_BYTES, &text, &bytes) == BT_OK) {
        size_t digits = strspn(text, "0123456789abcdef");
        if (digits == 64) snprintf(out, BT_SHA256_BYTES, "%.64s", text);
    }
    bt_memory_free(text);
    bt_text_free(&name);
}

bt_status bt_cache_write_sum(const char *path, const char *sum) {
    bt_text name = {0}, line = {0};
    const char *slash = strrchr(path, '/');
    bt_text_append(&line, "%s  %s\n", sum, slash ? slash + 1 : path);
    bt_status status = side_name(path, ".sha256", &name);
    if (status == BT_OK) status = bt_text_status(&line);
    if (status == BT_OK) status = bt_file_write(bt_text_get(&name), bt_text_get(&line), line.length);
    bt_text_free(&name);
    bt_text_free(&line);
    return status;
}

/* ---- FILE.partial.state ---- */

/** Takes one line "key value" of the state. */
static void take_state(bt_partial_state *s, char *line) {
    char *space = strchr(line, ' ');
    if (!space) return;
    *space++ = 0;
    size_t length = strlen(space);
    if (strcmp(line, "etag") == 0 && length < sizeof s->etag) snprintf(s->etag, sizeof s->etag, "%s", space);
    if (strcmp(line, "sha256") == 0 && length == 64 && bt_sha256_is(space, 64))
        snprintf(s->sha256, sizeof s->sha256, "%s", space);
    if (strcmp(line, "sha256-from-etag") == 0) s->from_etag = strcmp(space, "yes") == 0;
    if (strcmp(line, "bytes") == 0 && (!bt_number_read_i64(space, &s->total) || s->total < 0)) s->total = -1;
}

void bt_partial_read(const char *path, bt_partial_state *out) {
    *out = (bt_partial_state){.total = -1};
    char *text, *rest = NULL;
    size_t bytes;
    if (!bt_file_exists(path) || bt_file_read(path, SIDE_BYTES, &text, &bytes) != BT_OK) return;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) take_state(out, line);
    bt_memory_free(text);
}

bt_status bt_partial_write(const char *path, const bt_partial_state *s) {
    bt_text text = {0};
    if (s->etag[0]) bt_text_append(&text, "etag %s\n", s->etag);
    if (s->sha256[0]) bt_text_append(&text, "sha256 %s\nsha256-from-etag %s\n", s->sha256, s->from_etag ? "yes" : "no");
    if (s->total >= 0) bt_text_append(&text, "bytes %lld\n", (long long)s->total);
    bt_status status = bt_text_status(&text);
    if (status == BT_OK) status = bt_file_write(path, bt_text_get(&text), text.length);
    bt_text_free(&text);
    return status;
}

/* ---- FILE.lock ---- */

/** One try; *out is -1 while another process has it. The holder removes the file before it lets go, so a lock on a file
 * that is no longer there protects nothing, and is tried again. */
static bt_status try_lock(const char *path, int *out) {
    *out = -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return bt_file_error("create", path, errno);
    struct stat mine, there;
    int failed = flock(fd, LOCK_EX | LOCK_NB), error = errno;
    if (failed && error != EWOULDBLOCK && error != EINTR) {
        close(fd);
        return bt_file_error("lock", path, error);
    }
    if (!failed && fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino &&
        mine.st_dev == there.st_dev)
        *out = fd;
    else
        close(fd);
    return BT_OK;
}

bt_status bt_cache_lock_take(const char *path, bool (*stop)(void), bt_cache_lock *out) {
    bt_text name = {0};
    *out = (bt_cache_lock){.fd = -1};
    bt_status status = side_name(path, ".lock", &name);
    if (status == BT_OK && !(out->path = bt_memory_copy_text(bt_text_get(&name)))) status = BT_ERR_MEMORY;
    bt_text_free(&name);
    for (int i = 0; status == BT_OK; i++) {
        status = try_lock(out->path, &out->fd);
        if (status != BT_OK || out->fd >= 0) break;
        if (i == 1)
            bt_log_info("another process is fetching %s; waiting for it",
                        path); /* the first may have met a lock that was let go */
        if (stop && stop())
            status = bt_error(BT_ERR_INTERRUPTED, "interrupted while another process is fetching %s", path);
        else
            nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
    }
    if (status != BT_OK) {
        bt_memory_free(out->path);
        out->path = NULL;
    }
    return status;
}

void bt_cache_lock_release(bt_cache_lock *lock) {
    if (lock->fd < 0) return;
    unlink(lock->path);
    close(lock->fd);
    bt_memory_free(lock->path);
    *lock = (bt_cache_lock){.fd = -1};
}
