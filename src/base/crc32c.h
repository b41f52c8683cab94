/* CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected; RFC 3720 B.4): the checksum of event files and packs. */
#ifndef BITTERN_BASE_CRC32C_H
#define BITTERN_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/** Goes on from `crc`, which is 0 at the start: crc(crc(0, a), b) is the checksum of a followed by b. */
uint32_t bt_crc32c(uint32_t crc, const void *data, size_t bytes);

/** The same on every processor: what bt_crc32c does where there is no instruction for it. */
uint32_t bt_crc32c_portable(uint32_t crc, const void *data, size_t bytes);

#endif
