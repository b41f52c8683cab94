/* Keys, varints, lengths. */
#include "formats/protobuf.h"

#include <string.h>

/* Wire types: the low three bits of a key. */
enum { VARINT = 0, BYTES = 2, FOUR_BYTES = 5 };

void bt_protobuf_varint(bt_text *out, uint64_t value) {
    char bytes[10];
    size_t count = 0;
    do {
        unsigned low = value & 127;
        value >>= 7;
        bytes[count++] = (char)(low | (value ? 128u : 0u));
    } while (value);
    bt_text_append_bytes(out, bytes, count);
}

static void put_key(bt_text *out, int field, int wire) {
    bt_protobuf_varint(out, (uint64_t)field << 3 | (uint64_t)wire);
}

void bt_protobuf_integer(bt_text *out, int field, int64_t value) {
    put_key(out, field, VARINT);
    bt_protobuf_varint(out, (uint64_t)value);
}

void bt_protobuf_float(bt_text *out, int field, float value) {
    char bytes[sizeof value];
    memcpy(bytes, &value, sizeof value); /* low byte first, as all machines of this program */
    put_key(out, field, FOUR_BYTES);
    bt_text_append_bytes(out, bytes, sizeof bytes);
}

void bt_protobuf_head(bt_text *out, int field, uint64_t count) {
    put_key(out, field, BYTES);
    bt_protobuf_varint(out, count);
}

void bt_protobuf_bytes(bt_text *out, int field, const void *bytes, size_t count) {
    bt_protobuf_head(out, field, count);
    bt_text_append_bytes(out, bytes, count);
}

void bt_protobuf_string(bt_text *out, int field, const char *text) {
    bt_protobuf_bytes(out, field, text, strlen(text));
}

void bt_protobuf_message(bt_text *out, int field, const bt_text *message) {
    out->failed = out->failed || message->failed;
    bt_protobuf_bytes(out, field, bt_text_get(message), message->length);
}
