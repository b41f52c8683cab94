/* The wire format of protocol buffers, writing only: fields appended to a text of bytes. A message within a message is
 * written into a text of its own first, as its length stands before it.
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

#endif
