/* Deflated members of zip archives, by zlib; a build without it says so. */
#ifndef BITTERN_FORMATS_INFLATE_H
#define BITTERN_FORMATS_INFLATE_H

#include <bittern/status.h>

#include <stddef.h>
#include <stdint.h>

/** That `unpacked` bytes can come from `packed` ones at all (deflate makes at most 1,032 of one), before memory is
 * taken for them. `where` is the file and member in messages. BT_ERR_FORMAT; BT_ERR_UNSUPPORTED in a build without
 * zlib. */
bt_status bt_inflate_check(const char *where, uint64_t packed, uint64_t unpacked) BT_MUST_CHECK;

/** Unpacks a raw deflate stream that must give exactly `unpacked_bytes` with this CRC-32 and end with `packed_bytes`.
 * BT_ERR_FORMAT, BT_ERR_MEMORY. */
bt_status bt_inflate(const char *where, const unsigned char *packed, size_t packed_bytes, void *out,
                     size_t unpacked_bytes, uint32_t crc) BT_MUST_CHECK;

#endif
