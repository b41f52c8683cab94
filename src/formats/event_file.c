/* TensorBoard event files; the layout is in the header. */
#include "formats/event_file.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct bt_event_file {
    int fd;
    bt_text path, record;
};

/* ---- protocol buffers: a key (field << 3 | wire type), then the value ---- */

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

static void put_varint(bt_text *out, uint64_t value) {
    char bytes[10];
    size_t count = 0;
    do {
        bytes[count++] = (char)((value & 127) | (value > 127 ? 128 : 0));
        value >>= 7;
    } while (value);
    bt_text_append_bytes(out, bytes, count);
}

static void put_key(bt_text *out, unsigned field, unsigned wire) {
    put_varint(out, field << 3 | wire);
}

static void put_little(bt_text *out, uint64_t value, size_t bytes) {
    char little[8];
    for (size_t i = 0; i < bytes; i++) little[i] = (char)(value >> 8 * i & 255);
    bt_text_append_bytes(out, little, bytes);
}

static void put_text(bt_text *out, unsigned field, const char *bytes, size_t count) {
    put_key(out, field, LENGTH);
    put_varint(out, count);
    bt_text_append_bytes(out, bytes, count);
}

static void put_message(bt_text *out, unsigned field, const bt_text *message) {
    put_text(out, field, bt_text_get(message), message->length);
}

static void begin_event(bt_text *out, int64_t step) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    uint64_t bits;
    memcpy(&bits, &seconds, sizeof bits);
    put_key(out, 1, FIXED64);
    put_little(out, bits, 8);
    put_key(out, 2, VARINT);
    put_varint(out, (uint64_t)step);
}

/* ---- records ---- */

static uint32_t masked_crc(const char *bytes, size_t count) {
    uint32_t crc = bt_crc32c(0, bytes, count);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static bt_status write_all(bt_event_file *f, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t written = write(f->fd, bytes, count);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return bt_file_error("write", bt_text_get(&f->path), errno);
        bytes += written;
        count -= (size_t)written;
    }
    return BT_OK;
}

/** Writes `event` as a record and frees it. One write, so that a reader sees whole records. */
static bt_status write_record(bt_event_file *f, bt_text *event) {
    bt_text *r = &f->record;
    bt_text_clear(r);
    put_little(r, event->length, 8);
    put_little(r, masked_crc(bt_text_get(r), 8), 4);
    bt_text_append_bytes(r, bt_text_get(event), event->length);
    put_little(r, masked_crc(bt_text_get(event), event->length), 4);
    bt_status status = bt_text_status(event);
    if (status == BT_OK) status = bt_text_status(r);
    bt_text_free(event);
    return status == BT_OK ? write_all(f, bt_text_get(r), r->length) : status;
}

static bt_status write_head(bt_event_file *f, int64_t first_step) {
    static const char version[] = "brain.Event:2";
    bt_text event = {0}, session = {0};
    begin_event(&event, 0);
    put_text(&event, 3, version, sizeof version - 1);
    BT_TRY(write_record(f, &event));
    if (first_step <= 0) return BT_OK;
    begin_event(&event, first_step);
    put_key(&session, 1, VARINT);
    put_varint(&session, 1);
    put_message(&event, 7, &session);
    bt_status status = bt_text_status(&session);
    bt_text_free(&session);
    if (status == BT_OK) return write_record(f, &event);
    bt_text_free(&event);
    return status;
}

bt_status bt_event_file_open(const char *folder, int64_t first_step, bt_event_file **out) {
    bt_event_file *f = bt_memory_zeroed(1, sizeof *f);
    if (!f) return BT_ERR_MEMORY;
    f->fd = -1;
    bt_text_append(&f->path, "%s/events.out.tfevents.%lld.%ld.bittern", folder, (long long)time(NULL), (long)getpid());
    bt_status status = bt_text_status(&f->path);
    if (status == BT_OK) {
        f->fd = open(bt_text_get(&f->path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (f->fd < 0) status = bt_file_error("create", bt_text_get(&f->path), errno);
    }
    if (status == BT_OK) status = write_head(f, first_step);
    if (status == BT_OK)
        *out = f;
    else
        bt_event_file_close(f);
    return status;
}

bt_status bt_event_file_append(bt_event_file *f, int64_t step, const bt_event_scalar *scalars, int count) {
    bt_text event = {0}, summary = {0}, value = {0};
    begin_event(&event, step);
    for (int i = 0; i < count; i++) {
        float number = (float)scalars[i].value;
        uint32_t bits;
        memcpy(&bits, &number, sizeof bits);
        bt_text_clear(&value);
        put_text(&value, 1, scalars[i].tag, strlen(scalars[i].tag));
        put_key(&value, 2, FIXED32);
        put_little(&value, bits, 4);
        put_message(&summary, 1, &value);
    }
    put_message(&event, 5, &summary);
    bt_status status = bt_text_status(&value);
    if (status == BT_OK) status = bt_text_status(&summary);
    bt_text_free(&value);
    bt_text_free(&summary);
    if (status == BT_OK) return write_record(f, &event);
    bt_text_free(&event);
    return status;
}

void bt_event_file_close(bt_event_file *f) {
    if (!f) return;
    if (f->fd >= 0) close(f->fd);
    bt_text_free(&f->path);
    bt_text_free(&f->record);
    bt_memory_free(f);
}
