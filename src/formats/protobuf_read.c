/* Fields of a message; see protobuf.h. */
#include "formats/protobuf.h"

#include <string.h>

enum { VARINT = 0, EIGHT_BYTES = 1, BYTES = 2, FOUR_BYTES = 5, VARINT_MOST = 10 };

static bool take_varint(bt_protobuf_span *s, uint64_t *out) {
    uint64_t value = 0;
    for (size_t k = 0; k < VARINT_MOST && k < s->bytes; k++) {
        value |= (uint64_t)(s->at[k] & 127) << (7 * k);
        if (s->at[k] & 128) continue;
        s->at += k + 1;
        s->bytes -= k + 1;
        *out = value;
        return true;
    }
    return false;
}

bool bt_protobuf_next(bt_protobuf_span *message, bt_protobuf_field *out) {
    bt_protobuf_span s = *message;
    uint64_t key, bytes = 0;
    *out = (bt_protobuf_field){.number = 0};
    if (s.bytes == 0 || !take_varint(&s, &key)) return false;
    int wire = (int)(key & 7);
    if (wire == VARINT) {
        if (!take_varint(&s, &out->value)) return false;
    } else if (wire == BYTES) {
        if (!take_varint(&s, &bytes)) return false;
    } else if (wire == EIGHT_BYTES || wire == FOUR_BYTES) {
        bytes = wire == EIGHT_BYTES ? 8 : 4;
    } else {
        return false;
    }
    if (bytes > s.bytes) return false;
    out->number = key >> 3;
    out->content = (bt_protobuf_span){s.at, (size_t)bytes};
    *message = (bt_protobuf_span){s.at + bytes, s.bytes - (size_t)bytes};
    return true;
}

bool bt_protobuf_is(const bt_protobuf_span *content, const char *text) {
    return content->bytes == strlen(text) && memcmp(content->at, text, content->bytes) == 0;
}
