/* In place of transfer.c, address.c, headers.c and digest.c in a build without libcurl. */
#include "fetch/transfer.h"

static bt_status unsupported(void) {
    return bt_error(BT_ERR_UNSUPPORTED,
                    "this build cannot fetch: install libcurl4-openssl-dev and libssl-dev and configure again");
}

bool bt_transfer_available(void) {
    return false;
}

bt_status bt_transfer_check_base(const char *base) {
    (void)base;
    return BT_OK;
}

bt_status bt_transfer_open(bt_transfer **out) {
    *out = NULL;
    return unsupported();
}

void bt_transfer_close(bt_transfer *transfer) {
    (void)transfer;
}

bt_status bt_transfer_get(bt_transfer *transfer, const bt_transfer_request *request, bt_transfer_answer *answer,
                          bt_transfer_end *end) {
    (void)transfer;
    (void)request;
    *answer = (bt_transfer_answer){.length = -1, .stated_bytes = -1, .retry_after = -1};
    *end = BT_TRANSFER_FAILED;
    return unsupported();
}

bool bt_sha256_available(void) {
    return false;
}

bt_status bt_sha256_file(const char *path, bool (*stop)(void), char out[BT_SHA256_BYTES]) {
    (void)stop;
    out[0] = 0;
    return bt_error(BT_ERR_UNSUPPORTED,
                    "%s: this build has no SHA-256 (libssl-dev and libcurl4-openssl-dev); use sha256sum", path);
}
