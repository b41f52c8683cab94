/* The thread's last error message. One fixed buffer per thread: reporting a failed allocation must not allocate. */
#include <bittern/status.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES 1024

static _Thread_local char message[MESSAGE_BYTES];

/* Messages are one line by contract, and they quote hostile input: a control character must not reach a terminal. */
static void keep_one_line(char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = ' ';
    }
}

bt_status bt_error(bt_status status, const char *format, ...) {
    /* Formatted aside first, because an argument may be the current message. */
    char text[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    keep_one_line(text);
    memcpy(message, text, sizeof message);
    return status;
}

bt_status bt_error_prefix(bt_status status, const char *format, ...) {
    char prefix[MESSAGE_BYTES], text[2 * MESSAGE_BYTES + 2];
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    snprintf(text, sizeof text, "%s: %s", prefix, message);
    keep_one_line(text);
    memcpy(message, text, MESSAGE_BYTES - 1); /* the last byte stays 0 */
    return status;
}

const char *bt_error_message(void) {
    return message;
}

void bt_error_clear(void) {
    message[0] = '\0';
}

const char *bt_status_name(bt_status status) {
    switch (status) {
    case BT_OK:
        return "ok";
    case BT_ERR_FAILED:
        return "failed";
    case BT_ERR_USAGE:
        return "usage";
    case BT_ERR_CONFIG:
        return "config";
    case BT_ERR_IO:
        return "io";
    case BT_ERR_FORMAT:
        return "format";
    case BT_ERR_MEMORY:
        return "memory";
    case BT_ERR_UNSUPPORTED:
        return "unsupported";
    case BT_ERR_SHAPE:
        return "shape";
    case BT_ERR_NUMERIC:
        return "numeric";
    case BT_ERR_DEVICE:
        return "device";
    case BT_ERR_INTERRUPTED:
        return "interrupted";
    }
    return "unknown";
}

void bt_panic(const char *file, int line, const char *format, ...) {
    va_list args;
    fprintf(stderr, "bittern: internal error at %s:%d: ", file, line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}
