/* HDF5: reading, from the side of the program. libhdf5 works in a child process that answers over a socket; a file that
 * makes it crash or run without end is then a damaged file, not the end of the program. What the child says is checked
 * like any input: it may have lost its mind. The child is forked from this process, so requests and answers are plain
 * structs.
 */
#include "formats/hdf5.h"

#include "base/memory.h"
#include "base/text.h"
#include "formats/hdf5_local.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME_BYTES 512
#define BYTES_PER_SECOND ((size_t)20 << 20) /* that unpacking reaches on any machine */

static rlim_t cpu_seconds = 60;

void bt_h5_limit(int seconds) {
    cpu_seconds = (rlim_t)seconds;
}

typedef enum request_kind { ASK_HAS, ASK_LOOK, ASK_READ, ASK_TEXTS, ASK_NUMBER, ASK_TEXT, ASK_ONLY } request_kind;

typedef struct request {
    request_kind kind;
    int64_t count; /* texts that are expected */
    char name[NAME_BYTES];
} request;

typedef struct answer {
    bt_status status;
    bool has;
    int64_t number;
    bt_h5_array array;
    size_t bytes; /* that follow */
    char message[1024];
} answer;

struct bt_h5 {
    char *path;
    size_t bytes; /* of the file */
    pid_t child;
    int socket; /* -1: the child is gone */
};

static bool send_all(int to, const void *data, size_t bytes) {
    const char *from = data;
    while (bytes > 0) {
        ssize_t done = send(to, from, bytes, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        from += done;
        bytes -= (size_t)done;
    }
    return true;
}

static bool receive_all(int from, void *data, size_t bytes) {
    char *to = data;
    while (bytes > 0) {
        ssize_t done = recv(from, to, bytes, 0);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        to += done;
        bytes -= (size_t)done;
    }
    return true;
}

/* ---- the child ---- */

/* More time for what unpacks more. */
static void allow_seconds(size_t bytes) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_CPU, &limit) != 0) return;
    limit.rlim_cur += bytes / BYTES_PER_SECOND;
    if (limit.rlim_cur > limit.rlim_max) limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_CPU, &limit);
}

static bt_status read_array(bt_h5_local *file, const request *r, bt_text *payload) {
    bt_h5_array array;
    BT_TRY(bt_h5_local_look(file, r->name, &array));
    if (array.bytes == 0) return BT_OK;
    allow_seconds(array.bytes);
    char *data = bt_memory_alloc(array.bytes, 1);
    if (!data) return BT_ERR_MEMORY;
    bt_status status = bt_h5_local_read(file, r->name, &array, data);
    if (status == BT_OK) bt_text_append_bytes(payload, data, array.bytes);
    bt_memory_free(data);
    return status == BT_OK ? bt_text_status(payload) : status;
}

static bt_status serve(bt_h5_local *file, const request *r, answer *a, bt_text *payload) {
    char text[1024];
    switch (r->kind) {
    case ASK_HAS:
        a->has = bt_h5_local_has(file, r->name);
        return BT_OK;
    case ASK_LOOK:
        return bt_h5_local_look(file, r->name, &a->array);
    case ASK_READ:
        return read_array(file, r, payload);
    case ASK_TEXTS:
        allow_seconds((size_t)r->count * 64);
        return bt_h5_local_texts(file, r->name, r->count, payload);
    case ASK_NUMBER:
        return bt_h5_local_number(file, r->name, &a->number);
    case ASK_TEXT:
        BT_TRY(bt_h5_local_text(file, r->name, text, sizeof text));
        bt_text_append(payload, "%s", text);
        return bt_text_status(payload);
    case ASK_ONLY:
        return bt_h5_local_only(file, payload);
    }
    return BT_ERR_FAILED;
}

static bool answer_with(int to, bt_status status, answer *a, const bt_text *payload) {
    a->status = status;
    a->bytes = status == BT_OK && payload ? payload->length : 0;
    if (status != BT_OK) snprintf(a->message, sizeof a->message, "%s", bt_error_message());
    return send_all(to, a, sizeof *a) && send_all(to, a->bytes ? payload->bytes : "", a->bytes);
}

/* Nothing of the parent's is flushed or freed: it ends by _exit. */
static void run_child(const char *path, int socket) {
    struct rlimit cpu = {cpu_seconds, RLIM_INFINITY}, none = {0, 0};
    (void)setrlimit(RLIMIT_CPU, &cpu);
    (void)setrlimit(RLIMIT_CORE, &none);
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    signal(SIGINT, SIG_IGN); /* the terminal sends it to both; the parent decides */
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) (void)dup2(null, STDERR_FILENO);
    bt_h5_local *file = NULL;
    answer a = {.status = BT_OK};
    request r;
    bool going = answer_with(socket, bt_h5_local_open(path, &file), &a, NULL) && a.status == BT_OK;
    while (going && receive_all(socket, &r, sizeof r)) {
        bt_text payload = {0};
        memset(&a, 0, sizeof a);
        bt_status status = serve(file, &r, &a, &payload);
        going = answer_with(socket, status, &a, &payload);
        bt_text_free(&payload);
    }
    _exit(0);
}

/* ---- the parent ---- */

/* Ends the child; how it ended, where it was not by us. */
static int end_child(bt_h5 *file, bool kill_it) {
    int how = 0;
    if (file->socket < 0) return 0;
    close(file->socket);
    file->socket = -1;
    if (kill_it) kill(file->child, SIGKILL);
    while (waitpid(file->child, &how, 0) < 0 && errno == EINTR) {}
    return how;
}

static bt_status lost(bt_h5 *file) {
    int how = end_child(file, false);
    if (WIFSIGNALED(how) && WTERMSIG(how) == SIGXCPU)
        return bt_error(BT_ERR_FORMAT, "%s: libhdf5 did not come to an end with it; it is damaged", file->path);
    return bt_error(BT_ERR_FORMAT, "%s: libhdf5 crashed on it (%s %d); it is damaged", file->path,
                    WIFSIGNALED(how) ? "signal" : "exit code", WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
}

static bt_status confused(bt_h5 *file) {
    (void)end_child(file, true);
    return bt_error(BT_ERR_FORMAT, "%s: libhdf5 gave an answer that cannot be; it is damaged", file->path);
}

static bt_status receive_answer(bt_h5 *file, answer *a) {
    if (!receive_all(file->socket, a, sizeof *a)) return lost(file);
    a->message[sizeof a->message - 1] = 0;
    if ((unsigned)a->status > BT_ERR_INTERRUPTED || (a->status != BT_OK && a->bytes)) return confused(file);
    return a->status == BT_OK ? BT_OK : bt_error(a->status, "%s", a->message);
}

static bt_status ask(bt_h5 *file, request_kind kind, const char *name, int64_t count, answer *a) {
    request r = {.kind = kind, .count = count};
    size_t length = strlen(name);
    if (file->socket < 0) return bt_error(BT_ERR_FORMAT, "%s: it is damaged; libhdf5 crashed on it before", file->path);
    if (length >= sizeof r.name) return bt_error(BT_ERR_FORMAT, "%s: it has no data set %.60s...", file->path, name);
    memcpy(r.name, name, length + 1);
    if (!send_all(file->socket, &r, sizeof r)) return lost(file);
    return receive_answer(file, a);
}

static bt_status start_child(bt_h5 *file) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return bt_file_error("start a process for", file->path, errno);
    file->child = fork();
    if (file->child == 0) {
        close(pair[0]);
        run_child(file->path, pair[1]);
    }
    int error = errno;
    close(pair[1]);
    file->socket = pair[0];
    if (file->child > 0) return BT_OK;
    close(pair[0]);
    file->socket = -1;
    return bt_file_error("start a process for", file->path, error);
}

bt_status bt_h5_open(const char *path, bt_h5 **out) {
    struct stat info;
    answer a;
    if (stat(path, &info) != 0) return bt_file_error("open", path, errno);
    if (!bt_h5_is(path)) return bt_error(BT_ERR_FORMAT, "%s: not an HDF5 file: its first bytes are others", path);
    bt_h5 *file = bt_memory_zeroed(1, sizeof *file);
    if (!file) return BT_ERR_MEMORY;
    file->socket = -1;
    file->bytes = (size_t)info.st_size;
    file->path = bt_memory_copy_text(path);
    bt_status status = file->path ? start_child(file) : BT_ERR_MEMORY;
    if (status == BT_OK) status = receive_answer(file, &a);
    if (status == BT_OK)
        *out = file;
    else
        bt_h5_close(file);
    return status;
}

void bt_h5_close(bt_h5 *file) {
    if (!file) return;
    (void)end_child(file, true); /* a later child may hold this socket too, so that closing it tells this one nothing */
    bt_memory_free(file->path);
    bt_memory_free(file);
}

bool bt_h5_has(bt_h5 *file, const char *name) {
    answer a;
    return ask(file, ASK_HAS, name, 0, &a) == BT_OK && a.has;
}

/* What a sane child says of a data set. */
static bool possible(const bt_h5 *file, const bt_h5_array *array) {
    size_t count = 1, bytes;
    if (array->rank < 0 || array->rank > BT_NPY_MAX_RANK || array->item_bytes < 1 ||
        (unsigned)array->dtype >= BT_FILE_DTYPE_COUNT)
        return false;
    if (!array->text && array->item_bytes != bt_file_dtype_bytes(array->dtype)) return false;
    for (int i = 0; i < array->rank; i++) {
        if (array->dim[i] < 0 || !bt_memory_product(count, (size_t)array->dim[i], &count)) return false;
    }
    if (count > INT64_MAX || (int64_t)count != array->count || !bt_memory_product(count, array->item_bytes, &bytes) ||
        bytes != array->bytes)
        return false;
    return array->offset < 0 || ((size_t)array->offset <= file->bytes && bytes <= file->bytes - (size_t)array->offset);
}

bt_status bt_h5_look(bt_h5 *file, const char *name, bt_h5_array *out) {
    answer a;
    BT_TRY(ask(file, ASK_LOOK, name, 0, &a));
    if (!possible(file, &a.array)) return confused(file);
    *out = a.array;
    return BT_OK;
}

bt_status bt_h5_read(bt_h5 *file, const char *name, const bt_h5_array *array, void *out) {
    answer a;
    BT_TRY(ask(file, ASK_READ, name, 0, &a));
    if (a.bytes != array->bytes) return confused(file);
    return receive_all(file->socket, out, a.bytes) ? BT_OK : lost(file);
}

/* A payload with a 0 behind it. */
static bt_status take_payload(bt_h5 *file, const answer *a, size_t limit, char **out) {
    if (a->bytes > limit) return confused(file);
    char *data = bt_memory_alloc(a->bytes + 1, 1);
    if (!data) {
        (void)end_child(file, true); /* the rest of the answer is still on its way */
        return BT_ERR_MEMORY;
    }
    data[a->bytes] = 0;
    *out = data;
    if (receive_all(file->socket, data, a->bytes)) return BT_OK;
    bt_memory_free(data);
    return lost(file);
}

static bt_status take_texts(bt_h5 *file, const char *name, const char *data, size_t bytes, int64_t count,
                            bt_arena *arena, const char **out) {
    const char *at = data, *end = data + bytes;
    for (int64_t i = 0; i < count; i++) {
        size_t length = strlen(at); /* there is a 0 at the end */
        if (at >= end) return confused(file);
        if (!bt_text_is_utf8(at, length))
            return bt_error(BT_ERR_FORMAT, "%s: data set %s: text %" PRId64 " is not UTF-8", file->path, name, i);
        out[i] = bt_arena_copy(arena, at, length);
        if (!out[i]) return BT_ERR_MEMORY;
        at += length + 1;
    }
    return at == end ? BT_OK : confused(file);
}

bt_status bt_h5_read_texts(bt_h5 *file, const char *name, int64_t count, bt_arena *arena, const char **out) {
    answer a;
    char *data;
    BT_TRY(ask(file, ASK_TEXTS, name, count, &a));
    BT_TRY(take_payload(file, &a, SIZE_MAX - 1, &data));
    bt_status status = take_texts(file, name, data, a.bytes, count, arena, out);
    bt_memory_free(data);
    return status;
}

bt_status bt_h5_number(bt_h5 *file, const char *name, int64_t *out) {
    answer a;
    BT_TRY(ask(file, ASK_NUMBER, name, 0, &a));
    *out = a.number;
    return BT_OK;
}

bt_status bt_h5_text(bt_h5 *file, const char *name, char *out, size_t bytes) {
    answer a;
    char *text;
    BT_TRY(ask(file, ASK_TEXT, name, 0, &a));
    BT_TRY(take_payload(file, &a, 1 << 20, &text));
    snprintf(out, bytes, "%s", text);
    bt_memory_free(text);
    return BT_OK;
}

/* ---- as arrays ---- */

static bt_status fill_array(bt_h5 *file, const char *name, bt_npy *out) {
    bt_h5_array array;
    BT_TRY(bt_h5_look(file, name, &array));
    if (array.text)
        return bt_error(BT_ERR_UNSUPPORTED, "%s: data set %s: texts, where numbers are needed", file->path, name);
    out->dtype = array.dtype;
    out->rank = array.rank;
    out->count = array.count;
    memcpy(out->dim, array.dim, sizeof array.dim);
    if (array.offset >= 0) {
        BT_TRY(bt_file_map_open(file->path, &out->map));
        if ((size_t)array.offset + array.bytes > out->map.bytes)
            return bt_error(BT_ERR_FORMAT, "%s: data set %s: the file has become shorter", file->path, name);
        out->data = out->map.data + array.offset;
        return BT_OK;
    }
    out->memory = bt_memory_alloc((size_t)array.count, array.item_bytes);
    if (!out->memory) return BT_ERR_MEMORY;
    out->data = out->memory;
    return bt_h5_read(file, name, &array, out->memory);
}

static bt_status open_array(bt_h5 *file, const char *name, bt_npy *out) {
    char *only = NULL;
    if (!name) {
        answer a;
        BT_TRY(ask(file, ASK_ONLY, "", 0, &a));
        BT_TRY(take_payload(file, &a, NAME_BYTES, &only));
        name = only;
    }
    size_t bytes = strlen(file->path) + strlen(name) + 2;
    out->path = bt_memory_alloc(bytes, 1);
    bt_status status = out->path ? BT_OK : BT_ERR_MEMORY;
    if (out->path) snprintf(out->path, bytes, "%s:%s", file->path, name);
    if (status == BT_OK) status = fill_array(file, name, out);
    bt_memory_free(only);
    return status;
}

bt_status bt_h5_array_open(const char *path, const char *name, bt_npy *out) {
    bt_h5 *file;
    bt_npy array = {.path = NULL};
    BT_TRY(bt_h5_open(path, &file));
    bt_status status = open_array(file, name, &array);
    bt_h5_close(file);
    if (status == BT_OK)
        *out = array;
    else
        bt_npy_close(&array);
    return status;
}
