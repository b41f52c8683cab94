/* One file over HTTP: a GET with its redirects, by libcurl. What the server says is checked here as far as HTTP goes;
 * what the bytes are is the caller's.
 *
 * Addresses: https, and http for loopback only. Redirects are followed by hand, at most BT_TRANSFER_REDIRECTS: to
 * https, or from loopback to loopback. The token goes to the host (scheme, name, port) of the first address and to no
 * other. */
#ifndef BITTERN_FETCH_TRANSFER_H
#define BITTERN_FETCH_TRANSFER_H

#include "fetch/digest.h"

#include <stdint.h>

#define BT_TRANSFER_REDIRECTS 8

/** What the server said. Of a redirect, sum and size are kept, if the host of the first address states them. */
typedef struct bt_transfer_answer {
    int code;                     /**< HTTP's, of the last answer; 0: none came */
    int64_t length;               /**< of this body; -1: not said */
    int64_t first, last, total;   /**< Content-Range of a 206; -1: absent or not understood */
    char etag[256];               /**< strong, with its quotes; "" */
    char type[64];                /**< Content-Type, without parameters */
    bool encoded;                 /**< a Content-Encoding other than identity: these are not the file's bytes */
    char sha256[BT_SHA256_BYTES]; /**< stated: X-Linked-ETag, or a strong ETag of 64 hexadecimal digits of the first
                                     host; "" */
    bool from_etag;               /**< that was the ETag */
    int64_t stated_bytes;         /**< X-Linked-Size; -1: not said */
    int64_t retry_after;          /**< seconds; -1: not said */
} bt_transfer_answer;

typedef enum bt_transfer_end {
    BT_TRANSFER_DONE,        /**< the body came whole, as far as HTTP can tell */
    BT_TRANSFER_AGAIN,       /**< failed, and may work when tried again: timeout, cut, 429, 5xx */
    BT_TRANSFER_UNREACHABLE, /**< failed: no network, no such host, nobody listens */
    BT_TRANSFER_FAILED       /**< failed for good */
} bt_transfer_end;

typedef struct bt_transfer_request {
    const char *url;
    const char *token;   /**< NULL or "": none */
    int64_t from;        /**< first byte wanted; with `etag`, by Range and If-Range */
    const char *etag;    /**< of the part that is there; "": all is asked for */
    const char *sha256;  /**< stated for that part; if the server now states another, all is asked for; "" */
    int timeout_seconds; /**< without any byte */
    bool (*stop)(void);  /**< asked about every second; NULL */
    void *sink;
    /** Before the first byte of a 200 or 206; its failure ends the transfer and is what bt_transfer_get returns. */
    bt_status (*begin)(void *sink, const bt_transfer_answer *answer);
    bt_status (*take)(void *sink, const void *data, size_t bytes); /**< the same for bytes of the body */
} bt_transfer_request;

typedef struct bt_transfer bt_transfer;

/** Whether this build can. */
bool bt_transfer_available(void);

/** BT_ERR_USAGE if `base` is no address that files may come from: https://..., or http:// of loopback, without user,
 * query and fragment. */
bt_status bt_transfer_check_base(const char *base) BT_MUST_CHECK;

bt_status bt_transfer_open(bt_transfer **out) BT_MUST_CHECK;
void bt_transfer_close(bt_transfer *transfer);

/** One GET. On failure `*end` tells whether to try again; messages name the address without its query. */
bt_status bt_transfer_get(bt_transfer *transfer, const bt_transfer_request *request, bt_transfer_answer *answer,
                          bt_transfer_end *end) BT_MUST_CHECK;

#endif
