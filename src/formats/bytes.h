/* Little-endian numbers at any address. */
#ifndef BITTERN_FORMATS_BYTES_H
#define BITTERN_FORMATS_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t bt_bytes_u16(const unsigned char *at) {
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t bt_bytes_u32(const unsigned char *at) {
    return (uint32_t)bt_bytes_u16(at) | (uint32_t)bt_bytes_u16(at + 2) << 16;
}

static inline uint64_t bt_bytes_u64(const unsigned char *at) {
    return (uint64_t)bt_bytes_u32(at) | (uint64_t)bt_bytes_u32(at + 4) << 32;
}

#endif
