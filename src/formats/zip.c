/* The directory of a zip archive; see zip.h. Every number of the file is compared with the file's size before it is
 * used, and local headers with the directory: readers that trust one of the two could be shown different members. */
#include "formats/zip.h"

#include "base/memory.h"
#include "formats/bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { END_BYTES = 22, LOCATOR_BYTES = 20, END64_BYTES = 56, ENTRY_BYTES = 46, LOCAL_BYTES = 30 };
static const unsigned char end_mark[] = "PK\5\6", locator_mark[] = "PK\6\7", end64_mark[] = "PK\6\6",
                           entry_mark[] = "PK\1\2", local_mark[] = "PK\3\4";

/** What the end of the archive says of the directory. */
typedef struct directory {
    uint64_t count, bytes, offset;
    uint64_t end; /* where it must end */
} directory;

static bool marked(const bt_zip *zip, uint64_t at, const unsigned char *mark) {
    return memcmp(zip->data + at, mark, 4) == 0;
}

/* ---- the end of the archive ---- */

/** The end record's place: the last one whose comment reaches the end of the file. */
static bt_status find_end(const bt_zip *zip, uint64_t *out) {
    uint64_t least = zip->bytes > END_BYTES + 65535 ? zip->bytes - END_BYTES - 65535 : 0;
    for (uint64_t at = zip->bytes >= END_BYTES ? zip->bytes - END_BYTES + 1 : 0; at-- > least;) {
        if (!marked(zip, at, end_mark) || bt_bytes_u16(zip->data + at + 20) != zip->bytes - at - END_BYTES) continue;
        *out = at;
        return BT_OK;
    }
    return bt_error(
        BT_ERR_FORMAT,
        "%s: byte %zu: the file begins as a zip archive and ends without its directory; is the download complete?",
        zip->path, zip->bytes);
}

static bt_status read_end64(const bt_zip *zip, uint64_t end, directory *d) {
    uint64_t locator = end - LOCATOR_BYTES, at = bt_bytes_u64(zip->data + locator + 8);
    if (locator < END64_BYTES || at > locator - END64_BYTES || !marked(zip, at, end64_mark))
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %" PRIu64 ": the zip64 record is said to be at byte %" PRIu64 ", and is not there",
                        zip->path, locator + 8, at);
    const unsigned char *r = zip->data + at;
    if (bt_bytes_u64(r + 4) != locator - at - 12)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %" PRIu64 ": the zip64 record has %" PRIu64 " bytes, and room for %" PRIu64,
                        zip->path, at + 4, bt_bytes_u64(r + 4), locator - at - 12);
    if (bt_bytes_u32(r + 16) || bt_bytes_u32(r + 20) || bt_bytes_u64(r + 24) != bt_bytes_u64(r + 32) ||
        bt_bytes_u32(zip->data + locator + 4))
        return bt_error(BT_ERR_UNSUPPORTED, "%s: byte %" PRIu64 ": an archive of several disks; join its parts first",
                        zip->path, at + 16);
    *d = (directory){
        .count = bt_bytes_u64(r + 32), .bytes = bt_bytes_u64(r + 40), .offset = bt_bytes_u64(r + 48), .end = at};
    return BT_OK;
}

/** A field of the end record is all ones, or the same as in the zip64 record. */
static bool agrees(uint64_t narrow, uint64_t ones, uint64_t wide) {
    return narrow == ones || narrow == wide;
}

static bt_status read_end(const bt_zip *zip, directory *d) {
    uint64_t end = 0;
    BT_TRY(find_end(zip, &end));
    const unsigned char *r = zip->data + end;
    uint64_t count = bt_bytes_u16(r + 10), bytes = bt_bytes_u32(r + 12), offset = bt_bytes_u32(r + 16);
    if (end >= LOCATOR_BYTES && marked(zip, end - LOCATOR_BYTES, locator_mark)) {
        BT_TRY(read_end64(zip, end, d));
        if (!agrees(count, 0xFFFF, d->count) || !agrees(bytes, 0xFFFFFFFF, d->bytes) ||
            !agrees(offset, 0xFFFFFFFF, d->offset))
            return bt_error(BT_ERR_FORMAT, "%s: byte %" PRIu64 ": the end of the archive contradicts its zip64 record",
                            zip->path, end);
    } else if (bt_bytes_u16(r + 4) || bt_bytes_u16(r + 6) || bt_bytes_u16(r + 8) != count) {
        return bt_error(BT_ERR_UNSUPPORTED, "%s: byte %" PRIu64 ": an archive of several disks; join its parts first",
                        zip->path, end + 4);
    } else {
        *d = (directory){.count = count, .bytes = bytes, .offset = offset, .end = end};
    }
    if (d->offset > d->end || d->bytes != d->end - d->offset)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %" PRIu64 ": the directory is said to be at byte %" PRIu64 " with %" PRIu64
                        " bytes, but it ends at byte %" PRIu64 "; is the download complete?",
                        zip->path, end + 12, d->offset, d->bytes, d->end);
    if (d->count > d->bytes / ENTRY_BYTES || d->count > BT_ZIP_MAX_MEMBERS)
        return bt_error(BT_ERR_FORMAT, "%s: byte %" PRIu64 ": a directory of %" PRIu64 " members in %" PRIu64 " bytes",
                        zip->path, end + 10, d->count, d->bytes);
    return BT_OK;
}

/* ---- one member ---- */

/** Fields of the entry that are all ones are, in this order, in the extra field 1. */
static bt_status read_wide(const bt_zip *zip, uint64_t at, const unsigned char *extra, size_t extra_bytes,
                           bt_zip_member *m) {
    uint64_t *wide[3];
    size_t need = 0;
    if (m->unpacked_bytes == 0xFFFFFFFF) wide[need++] = &m->unpacked_bytes;
    if (m->bytes == 0xFFFFFFFF) wide[need++] = &m->bytes;
    if (m->header == 0xFFFFFFFF) wide[need++] = &m->header;
    while (need > 0 && extra_bytes >= 4) {
        size_t bytes = bt_bytes_u16(extra + 2);
        if (bytes > extra_bytes - 4) break;
        if (bt_bytes_u16(extra) == 1) {
            if (bytes < need * 8) break;
            for (size_t i = 0; i < need; i++) *wide[i] = bt_bytes_u64(extra + 4 + 8 * i);
            return BT_OK;
        }
        extra += 4 + bytes;
        extra_bytes -= 4 + bytes;
    }
    if (need == 0) return BT_OK;
    return bt_error(BT_ERR_FORMAT, "%s: byte %" PRIu64 ": member %s has sizes in zip64, and no field that gives them",
                    zip->path, at, m->name);
}

/** The member's local header: there, of the same name and method, its data before the directory. */
static bt_status read_local(const bt_zip *zip, const directory *d, bt_zip_member *m) {
    size_t name_bytes = strlen(m->name);
    if (m->header > d->offset || d->offset - m->header < LOCAL_BYTES || !marked(zip, m->header, local_mark))
        return bt_error(BT_ERR_FORMAT, "%s: byte %" PRIu64 ": member %s is said to be here, and is not", zip->path,
                        m->header, m->name);
    const unsigned char *l = zip->data + m->header;
    uint64_t offset = m->header + LOCAL_BYTES + bt_bytes_u16(l + 26) + bt_bytes_u16(l + 28);
    if (offset > d->offset || m->bytes > d->offset - offset)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %" PRIu64 ": member %s of %" PRIu64
                        " bytes reaches beyond the directory at byte %" PRIu64,
                        zip->path, m->header, m->name, m->bytes, d->offset);
    if (bt_bytes_u16(l + 26) != name_bytes || memcmp(l + LOCAL_BYTES, m->name, name_bytes) != 0)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %" PRIu64 ": the member's own header has another name than the directory's %s",
                        zip->path, m->header, m->name);
    bool later = bt_bytes_u16(l + 6) & 8; /* sizes follow the data */
    uint32_t stored = bt_bytes_u32(l + 18), unpacked = bt_bytes_u32(l + 22);
    if (bt_bytes_u16(l + 8) != m->method ||
        (!later && !(agrees(stored, 0xFFFFFFFF, m->bytes) && agrees(unpacked, 0xFFFFFFFF, m->unpacked_bytes))))
        return bt_error(BT_ERR_FORMAT, "%s: byte %" PRIu64 ": the own header of member %s contradicts the directory",
                        zip->path, m->header, m->name);
    m->offset = offset;
    return BT_OK;
}

/** Reads the entry at *at, and moves *at behind it. */
static bt_status read_member(bt_zip *zip, const directory *d, uint64_t *at, bt_zip_member *m) {
    if (d->end - *at < ENTRY_BYTES || !marked(zip, *at, entry_mark))
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %" PRIu64 ": the directory has no further member here; %" PRIu64 " are announced",
                        zip->path, *at, d->count);
    const unsigned char *e = zip->data + *at;
    size_t name = bt_bytes_u16(e + 28), extra = bt_bytes_u16(e + 30), comment = bt_bytes_u16(e + 32);
    if (name + extra + comment > d->end - *at - ENTRY_BYTES)
        return bt_error(BT_ERR_FORMAT, "%s: byte %" PRIu64 ": an entry of the directory reaches beyond its end",
                        zip->path, *at);
    if (name == 0 || name > BT_ZIP_MAX_NAME || memchr(e + ENTRY_BYTES, 0, name))
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %" PRIu64 ": a member's name of %zu bytes is empty, too long, or holds a NUL",
                        zip->path, *at + ENTRY_BYTES, name);
    *m = (bt_zip_member){.method = bt_bytes_u16(e + 10), .crc = bt_bytes_u32(e + 16), .bytes = bt_bytes_u32(e + 20)};
    m->unpacked_bytes = bt_bytes_u32(e + 24);
    m->header = bt_bytes_u32(e + 42);
    m->name = bt_arena_copy(&zip->arena, (const char *)e + ENTRY_BYTES, name);
    if (!m->name) return BT_ERR_MEMORY;
    if (bt_bytes_u16(e + 8) & 0x2041)
        return bt_error(BT_ERR_UNSUPPORTED,
                        "%s: byte %" PRIu64 ": member %s is encrypted; unpack it with its password first", zip->path,
                        *at + 8, m->name);
    if (m->method != BT_ZIP_STORED && m->method != BT_ZIP_DEFLATED)
        return bt_error(BT_ERR_UNSUPPORTED,
                        "%s: byte %" PRIu64 ": member %s is packed by method %d; read are 0 (stored) and 8 (deflated)",
                        zip->path, *at + 10, m->name, m->method);
    BT_TRY(read_wide(zip, *at, e + ENTRY_BYTES + name, extra, m));
    if (m->method == BT_ZIP_STORED && m->bytes != m->unpacked_bytes)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %" PRIu64 ": member %s is stored as it is, but has %" PRIu64
                        " bytes packed and %" PRIu64 " unpacked",
                        zip->path, *at + 20, m->name, m->bytes, m->unpacked_bytes);
    BT_TRY(read_local(zip, d, m));
    *at += ENTRY_BYTES + name + extra + comment;
    return BT_OK;
}

/* ---- all members ---- */

static int by_name(const void *a, const void *b) {
    return strcmp((*(const bt_zip_member *const *)a)->name, (*(const bt_zip_member *const *)b)->name);
}

static int by_place(const void *a, const void *b) {
    uint64_t x = (*(const bt_zip_member *const *)a)->header, y = (*(const bt_zip_member *const *)b)->header;
    return (x > y) - (x < y);
}

/** No member over another, no name twice. Leaves `by_name` sorted by name. */
static bt_status check_members(bt_zip *zip) {
    for (size_t i = 0; i < zip->count; i++) zip->by_name[i] = &zip->members[i];
    qsort(zip->by_name, zip->count, sizeof *zip->by_name, by_place);
    for (size_t i = 1; i < zip->count; i++) {
        const bt_zip_member *a = zip->by_name[i - 1], *b = zip->by_name[i];
        if (b->header < a->offset + a->bytes)
            return bt_error(BT_ERR_FORMAT, "%s: byte %" PRIu64 ": members %s and %s overlap", zip->path, b->header,
                            a->name, b->name);
    }
    qsort(zip->by_name, zip->count, sizeof *zip->by_name, by_name);
    for (size_t i = 1; i < zip->count; i++)
        if (strcmp(zip->by_name[i - 1]->name, zip->by_name[i]->name) == 0)
            return bt_error(BT_ERR_FORMAT, "%s: byte %" PRIu64 ": the archive has the member %s twice", zip->path,
                            zip->by_name[i]->header, zip->by_name[i]->name);
    return BT_OK;
}

static bt_status read_all(bt_zip *zip) {
    directory d = {0};
    BT_TRY(read_end(zip, &d));
    zip->members = bt_memory_zeroed((size_t)d.count, sizeof *zip->members);
    zip->by_name = bt_memory_zeroed((size_t)d.count, sizeof *zip->by_name);
    if (!zip->members || !zip->by_name) return BT_ERR_MEMORY;
    uint64_t at = d.offset;
    for (; zip->count < d.count; zip->count++) BT_TRY(read_member(zip, &d, &at, &zip->members[zip->count]));
    if (at != d.end)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %" PRIu64 ": %" PRIu64 " bytes behind the directory's last member belong to none",
                        zip->path, at, d.end - at);
    return check_members(zip);
}

bt_status bt_zip_open(const char *path, const unsigned char *data, size_t bytes, bt_zip *out) {
    bt_zip zip = {.path = path, .data = data, .bytes = bytes};
    bt_status status = read_all(&zip);
    if (status != BT_OK) {
        bt_zip_close(&zip);
        return status;
    }
    *out = zip;
    return BT_OK;
}

void bt_zip_close(bt_zip *zip) {
    bt_memory_free(zip->members);
    bt_memory_free(zip->by_name);
    bt_arena_free(&zip->arena);
    *zip = (bt_zip){.path = NULL};
}

const bt_zip_member *bt_zip_find(const bt_zip *zip, const char *name) {
    bt_zip_member key = {.name = name};
    const bt_zip_member *pointer = &key;
    const bt_zip_member **found = bsearch(&pointer, zip->by_name, zip->count, sizeof *zip->by_name, by_name);
    return found ? *found : NULL;
}
