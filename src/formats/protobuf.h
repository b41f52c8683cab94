/* The wire format of protocol buffers. Writing: fields appended to a text of bytes. A message within a message is
 * written into a text of its own first, as its length stands before it. Reading: one field after the other, in place.
 *
 * Source: "Encoding", the published description of the wire format of proto2 and proto3. */
#ifndef BITTERN_FORMATS_PROTOBUF_H
#define BITTERN_FORMATS_PROTOBUF_H

#include "base/text.h"

#include <stdint.h>

/** Seven bits a byte, low bits first. */
void bt_protobuf_varint(bt_text *out, uint64_t value);

/** int32, int64, enum: negative numbers take ten bytes. */
void bt_protobuf_integer(bt_text *out, int field, int64_t value);

/** float, four bytes. */
void bt_protobuf_float(bt_text *out, int field, float value);

/** string and bytes. */
void bt_protobuf_bytes(bt_text *out, int field, const void *bytes, size_t count);
void bt_protobuf_string(bt_text *out, int field, const char *text);

/** Key and length of a field of `count` bytes, which the caller lets follow. */
void bt_protobuf_head(bt_text *out, int field, uint64_t count);

/** A message that was written into `message`. Its failure becomes that of `out`. */
void bt_protobuf_message(bt_text *out, int field, const bt_text *message);

/* ---- reading ---- */

/** Bytes of a message or a string, in place. */
typedef struct bt_protobuf_span {
    const unsigned char *at;
    size_t bytes;
} bt_protobuf_span;

typedef struct bt_protobuf_field {
    uint64_t number;
    uint64_t value;           /**< of a varint; else 0 */
    bt_protobuf_span content; /**< of all others */
} bt_protobuf_field;

/** Takes the first field off the message; false at its end, and where it is damaged (bytes are left then). */
bool bt_protobuf_next(bt_protobuf_span *message, bt_protobuf_field *out);

/** Whether the bytes are that text. */
bool bt_protobuf_is(const bt_protobuf_span *content, const char *text);

#endif
