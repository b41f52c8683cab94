/* The cache of weights: CACHE/weights/NAME/FILE, and beside each file
 *   FILE.sha256          the sum it was verified to have, as sha256sum writes it
 *   FILE.partial         a download that is not complete
 *   FILE.partial.state   what the server said of it: the validator (ETag) that a resume depends on, the size, the sum
 *   FILE.lock            while a process works on it */
#ifndef BITTERN_FETCH_CACHE_H
#define BITTERN_FETCH_CACHE_H

#include "base/text.h"
#include "fetch/digest.h"

#include <stdint.h>

/** Appends the cache's folder: $BITTERN_CACHE, else $XDG_CACHE_HOME/bittern, else $HOME/.cache/bittern. BT_ERR_CONFIG
 * if none is set. */
bt_status bt_cache_folder(bt_text *out) BT_MUST_CHECK;

/** Bytes of a regular file; -1 if there is none (or something else of that name). */
int64_t bt_cache_bytes(const char *path);

/** Whether the file's first bytes are what its name promises: BT_ERR_FORMAT for an empty file, a page of HTML, a
 * pointer of git-lfs, a .json that begins no object. `from` is its path or address, which has the name and is shown. */
bt_status bt_cache_check_head(const char *path, const char *from) BT_MUST_CHECK;

/** What FILE.sha256 says; "" if there is none. */
void bt_cache_read_sum(const char *path, char out[BT_SHA256_BYTES]);

/** Writes FILE.sha256. */
bt_status bt_cache_write_sum(const char *path, const char *sum) BT_MUST_CHECK;

/** What the server said when a partial download began. */
typedef struct bt_partial_state {
    char etag[256];               /**< strong, with its quotes; "": a resume is not possible */
    char sha256[BT_SHA256_BYTES]; /**< as the server states it; "" if it does not */
    bool from_etag;               /**< that sum is the plain ETag, not the hub's header for the content */
    int64_t total;                /**< bytes of the whole file; -1: unknown */
} bt_partial_state;

/** Reads the state; anything unreadable is an empty state, so the download begins anew. */
void bt_partial_read(const char *path, bt_partial_state *out);
bt_status bt_partial_write(const char *path, const bt_partial_state *state) BT_MUST_CHECK;

/** Holds FILE.lock, so that one process at a time fetches a file. While another has it, waits and says so;
 * BT_ERR_INTERRUPTED if `stop` says so meanwhile. */
typedef struct bt_cache_lock {
    int fd;
    char *path;
} bt_cache_lock;

bt_status bt_cache_lock_take(const char *path, bool (*stop)(void), bt_cache_lock *out) BT_MUST_CHECK;
void bt_cache_lock_release(bt_cache_lock *lock);

#endif
