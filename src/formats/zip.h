/* The directory of a zip archive that lies in memory: where each member's bytes are, so that they can be used in place.
 *
 * PyTorch's archives and .npz are zip archives whose members are mostly stored as they are. libzip and minizip read
 * members through a buffer and accept what this reader refuses: members that overlap, names that are there twice, local
 * headers that contradict the directory. So the directory is read here; deflate is left to zlib (inflate.h).
 *
 * Read (APPNOTE.TXT of the format, 6.3): one disk, no encryption, methods 0 (stored) and 8 (deflated), zip64.
 * Layout, all little-endian:
 *
 *   members    local header (30 bytes, name, extra), data, perhaps a descriptor; in any order, none over another
 *
 *   directory  for each member 46 bytes, name, extra, comment
 *
 *   zip64      56 bytes and its locator of 20 bytes, if a field below is all ones
 *
 *   end        22 bytes and a comment; the file ends behind it
 *
 * Members' CRC-32 are not compared: that would read the whole file. bt_zip_member.crc is there for who wants to.
 */
#ifndef BITTERN_FORMATS_ZIP_H
#define BITTERN_FORMATS_ZIP_H

#include "base/arena.h"
#include "base/file.h"

#include <stdint.h>

#define BT_ZIP_MAX_MEMBERS ((uint64_t)1 << 20)
#define BT_ZIP_MAX_NAME 4096 /* bytes */

enum { BT_ZIP_STORED = 0, BT_ZIP_DEFLATED = 8 };

typedef struct bt_zip_member {
    const char *name;        /**< terminated; UTF-8 or not, without NUL */
    uint64_t header;         /**< byte of the archive at which its local header begins */
    uint64_t offset;         /**< byte at which its data begin */
    uint64_t bytes;          /**< of the data in the archive; offset + bytes lies within it */
    uint64_t unpacked_bytes; /**< equal to `bytes` for stored members; a claim, no more, for deflated ones */
    uint32_t crc;
    uint16_t method; /**< BT_ZIP_STORED or BT_ZIP_DEFLATED */
} bt_zip_member;

typedef struct bt_zip {
    const char *path; /**< borrowed, for messages */
    const unsigned char *data;
    size_t bytes;
    bt_arena arena; /**< names */
    bt_zip_member *members;
    size_t count;                  /**< in the directory's order */
    const bt_zip_member **by_name; /**< sorted */
} bt_zip;

/** Reads and checks the whole directory and every local header. `data` and `path` must outlive `out`.
 *  BT_ERR_FORMAT, BT_ERR_UNSUPPORTED (encryption, other methods, several disks), BT_ERR_MEMORY. */
bt_status bt_zip_open(const char *path, const unsigned char *data, size_t bytes, bt_zip *out) BT_MUST_CHECK;
void bt_zip_close(bt_zip *zip);

/** NULL if there is none. */
const bt_zip_member *bt_zip_find(const bt_zip *zip, const char *name);

#endif
