/* Fetching the files of a model into the cache: what is there stays, what is cut goes on, what is wrong never gets its
 * name. */
#ifndef BITTERN_FETCH_FETCH_H
#define BITTERN_FETCH_FETCH_H

#include "fetch/digest.h"
#include "fetch/table.h"

typedef struct bt_fetch_options {
    const char *cache;   /**< its folder (bt_cache_folder) */
    const char *base;    /**< in place of the model's own address; "": that one */
    const char *sha256;  /**< the first file's, from the user; goes before the table and the server. "": none */
    const char *token;   /**< NULL or "": none */
    int tries;           /**< of a request that may pass; begins anew with every mebibyte that came */
    int timeout_seconds; /**< without any byte */
    bool resume;         /**< go on with partial downloads */
    bool verify;         /**< compute the sums of cached files again */
    bool (*stop)(void);  /**< asked about every second; NULL */
} bt_fetch_options;

/** What a file was compared with; the first that is there is taken. */
typedef enum bt_fetch_proof {
    BT_PROOF_NONE,   /**< nothing: neither size nor sum is known */
    BT_PROOF_SIZE,   /**< the size that the server states */
    BT_PROOF_NAME,   /**< the first eight digits of the sum, which are part of the file's name */
    BT_PROOF_RECORD, /**< FILE.sha256, written when it was fetched */
    BT_PROOF_ETAG,   /**< the server's ETag, 64 digits */
    BT_PROOF_SERVER, /**< the sum that the server states of the content */
    BT_PROOF_TABLE,  /**< the sum in the table */
    BT_PROOF_GIVEN   /**< the sum that the user gave */
} bt_fetch_proof;

/** In words, for "sha256 ...: WORDS". */
const char *bt_fetch_proof_text(bt_fetch_proof proof);

typedef struct bt_fetch_result {
    char *path; /**< bt_memory_free */
    int64_t bytes;
    char sha256[BT_SHA256_BYTES]; /**< "" if it was not computed and is not on record */
    bt_fetch_proof proof;         /**< of a cached file that is not verified now: NONE */
    bool cached;                  /**< it was there before */
} bt_fetch_result;

/** Appends the path of a file in the cache. */
bt_status bt_fetch_path(const bt_fetch_options *options, const bt_fetch_model *model, const bt_fetch_file *file,
                        bt_text *out) BT_MUST_CHECK;

/** How many of the model's files are in the cache. */
int bt_fetch_cached(const bt_fetch_options *options, const bt_fetch_model *model);

/** Appends what a user brings by hand: the files that are missing, where they are, where to put them. */
void bt_fetch_by_hand(const bt_fetch_options *options, const bt_fetch_model *model, bt_text *out);

/** Fetches all files of the model that are not there; results[i] is of file i, to be freed by bt_fetch_free even on
 * failure. BT_ERR_UNSUPPORTED: a file is missing, and this build cannot fetch or no address is known: the message says
 * what to bring and where to. BT_ERR_IO: network, server, disk. BT_ERR_FORMAT: what came, or lies in the cache, is not
 * the file. BT_ERR_INTERRUPTED: `stop`. */
bt_status bt_fetch_model_files(const bt_fetch_options *options, const bt_fetch_model *model,
                               bt_fetch_result *results) BT_MUST_CHECK;
void bt_fetch_free(bt_fetch_result *results, int count);

#endif
