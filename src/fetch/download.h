/* One file from the network into its place. */
#ifndef BITTERN_FETCH_DOWNLOAD_H
#define BITTERN_FETCH_DOWNLOAD_H

#include "fetch/fetch.h"
#include "fetch/transfer.h"

/** What is to come, and where. */
typedef struct bt_download_job {
    const bt_fetch_options *options;
    const bt_fetch_file *file;
    const char *url, *path;
    const char *token;  /**< for the url's host; NULL */
    const char *sha256; /**< the user's for this file; "" */
} bt_download_job;

/** Downloads to job->path, verified; the caller holds the file's lock. `*unreachable`: there is no network, or nobody
 * answers. */
bt_status bt_download(bt_transfer *transfer, const bt_download_job *job, bt_fetch_result *result,
                      bool *unreachable) BT_MUST_CHECK;

/** Compares `sum` with what is known: the user's, the table's, then `stated` and `record` ("": none). BT_ERR_FORMAT if
 * it differs. */
bt_status bt_download_compare(const bt_download_job *job, const char *sum, const char *stated, bool from_etag,
                              const char *record, bt_fetch_proof *proof) BT_MUST_CHECK;

#endif
