/* Deflate by zlib; see inflate.h. */
#include "formats/inflate.h"

#ifdef BITTERN_WITH_ZLIB

#include <zlib.h>

bt_status bt_inflate_check(const char *where, uint64_t packed, uint64_t unpacked) {
    if (unpacked / 1032 <= packed) return BT_OK;
    return bt_error(BT_ERR_FORMAT, "%s: is said to give %llu bytes of %llu packed ones, more than deflate can", where,
                    (unsigned long long)unpacked, (unsigned long long)packed);
}

/** zlib counts in 32 bits: both sides are handed over in parts. */
static uInt part(size_t left) {
    return left > (1u << 30) ? 1u << 30 : (uInt)left;
}

static bt_status inflate_all(z_stream *z, const char *where, const unsigned char *packed, size_t packed_bytes,
                             unsigned char *out, size_t bytes, uint32_t crc) {
    unsigned char beyond; /* room for one byte too many, so that a stream that goes on is seen */
    size_t read = 0, made = 0;
    uLong sum = crc32(0, NULL, 0);
    int code = Z_OK;
    while (code == Z_OK) {
        uInt in = part(packed_bytes - read), room = part(bytes - made);
        z->next_in = (Bytef *)(uintptr_t)(packed + read);
        z->avail_in = in;
        z->next_out = room ? out + made : &beyond;
        z->avail_out = room ? room : 1;
        code = inflate(z, Z_NO_FLUSH);
        if (code != Z_OK && code != Z_STREAM_END) break;
        if (!room && z->avail_out == 0)
            return bt_error(BT_ERR_FORMAT, "%s: gives more than the %zu bytes that the archive says", where, bytes);
        read += in - z->avail_in;
        if (!room) continue;
        sum = crc32(sum, out + made, room - z->avail_out);
        made += room - z->avail_out;
    }
    if (code != Z_STREAM_END || made != bytes || read != packed_bytes)
        return bt_error(code == Z_MEM_ERROR ? BT_ERR_MEMORY : BT_ERR_FORMAT,
                        "%s: the packed data are damaged after %zu of %zu bytes%s%s", where, made, bytes,
                        z->msg ? ": " : "", z->msg ? z->msg : "");
    if (sum != crc)
        return bt_error(BT_ERR_FORMAT, "%s: the data are damaged: their checksum is %08lx, the archive says %08x",
                        where, sum, crc);
    return BT_OK;
}

bt_status bt_inflate(const char *where, const unsigned char *packed, size_t packed_bytes, void *out,
                     size_t unpacked_bytes, uint32_t crc) {
    z_stream z = {.next_in = NULL};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) return bt_error(BT_ERR_MEMORY, "%s: zlib has no memory", where);
    bt_status status = inflate_all(&z, where, packed, packed_bytes, out, unpacked_bytes, crc);
    inflateEnd(&z);
    return status;
}

#else

bt_status bt_inflate_check(const char *where, uint64_t packed, uint64_t unpacked) {
    (void)packed;
    (void)unpacked;
    return bt_error(BT_ERR_UNSUPPORTED,
                    "%s: is compressed, and this build has no zlib; install zlib1g-dev and configure again, or save "
                    "the arrays with numpy.savez in place of savez_compressed",
                    where);
}

bt_status bt_inflate(const char *where, const unsigned char *packed, size_t packed_bytes, void *out,
                     size_t unpacked_bytes, uint32_t crc) {
    (void)packed;
    (void)out;
    (void)crc;
    return bt_inflate_check(where, packed_bytes, unpacked_bytes);
}

#endif
