/* Addresses of the web; see address.h. */
#include "fetch/address.h"

#include "base/memory.h"
#include "fetch/transfer.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/** 127.0.0.0/8, ::1, localhost. Exact: "127.0.0.1.example.org" is a name as any other. */
static bool is_loopback(const char *host) {
    unsigned char v4[4], v6[16];
    static const unsigned char one[16] = {[15] = 1};
    char bare[64];
    size_t length = strlen(host);
    if (strcasecmp(host, "localhost") == 0) return true;
    if (inet_pton(AF_INET, host, v4) == 1) return v4[0] == 127;
    if (length < 3 || length > sizeof bare || host[0] != '[' || host[length - 1] != ']') return false;
    memcpy(bare, host + 1, length - 2);
    bare[length - 2] = 0;
    return inet_pton(AF_INET6, bare, v6) == 1 && memcmp(v6, one, 16) == 0;
}

static bool has(CURLU *parts, CURLUPart part) {
    char *text = NULL;
    bool found = curl_url_get(parts, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return found;
}

/** The address for messages: signed addresses carry their signature in the query. */
static char *without_query(const char *url) {
    char *shown = bt_memory_copy_text(url);
    if (shown) shown[strcspn(shown, "?#")] = 0;
    return shown;
}

static bt_status take_apart(const char *url, const bt_address *before, bt_address *a) {
    if (before)
        a->parts = curl_url_dup(before->parts);
    else
        a->parts = curl_url();
    if (!a->parts) return bt_error(BT_ERR_MEMORY, "no memory for an address");
    if (before) curl_url_set(a->parts, CURLUPART_FRAGMENT, NULL, 0);
    if (curl_url_set(a->parts, CURLUPART_URL, url, 0) != CURLUE_OK)
        return bt_error(BT_ERR_IO, "%s is no address", a->shown);
    if (has(a->parts, CURLUPART_USER) || has(a->parts, CURLUPART_PASSWORD))
        return bt_error(BT_ERR_IO,
                        "an address with a user or password in it is not fetched from; use BITTERN_WEIGHTS_TOKEN");
    if (curl_url_get(a->parts, CURLUPART_URL, &a->url, 0) != CURLUE_OK ||
        curl_url_get(a->parts, CURLUPART_SCHEME, &a->scheme, 0) != CURLUE_OK ||
        curl_url_get(a->parts, CURLUPART_HOST, &a->host, 0) != CURLUE_OK ||
        curl_url_get(a->parts, CURLUPART_PORT, &a->port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return bt_error(BT_ERR_IO, "%s is no address", a->shown);
    bt_memory_free(a->shown); /* relative ones are whole now */
    a->shown = without_query(a->url);
    if (!a->shown) return BT_ERR_MEMORY;
    a->loopback = is_loopback(a->host);
    bool https = strcasecmp(a->scheme, "https") == 0, http = strcasecmp(a->scheme, "http") == 0;
    if (https || (http && a->loopback && (!before || before->loopback))) return BT_OK;
    return bt_error(BT_ERR_IO, "%s is not fetched from: https is, and http of this machine itself (127.0.0.1)%s",
                    a->shown, http && a->loopback ? ", but not by a redirect from elsewhere" : "");
}

bt_status bt_address_open(const char *url, const bt_address *before, bt_address *out) {
    bt_address a = {.shown = without_query(url)};
    bt_status status = a.shown ? take_apart(url, before, &a) : BT_ERR_MEMORY;
    if (status != BT_OK) {
        bt_address_close(&a);
        return status;
    }
    *out = a;
    return BT_OK;
}

void bt_address_close(bt_address *a) {
    curl_free(a->url);
    curl_free(a->scheme);
    curl_free(a->host);
    curl_free(a->port);
    curl_url_cleanup(a->parts);
    bt_memory_free(a->shown);
    *a = (bt_address){.parts = NULL};
}

bool bt_address_same_host(const bt_address *a, const bt_address *b) {
    return strcasecmp(a->scheme, b->scheme) == 0 && strcasecmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

bt_status bt_transfer_check_base(const char *base) {
    bt_address a;
    if (bt_address_open(base, NULL, &a) != BT_OK) return bt_error_prefix(BT_ERR_USAGE, "base address");
    bool plain = !has(a.parts, CURLUPART_QUERY) && !has(a.parts, CURLUPART_FRAGMENT);
    bt_address_close(&a);
    return plain ? BT_OK : bt_error(BT_ERR_USAGE, "base address: it may have no query (?) and no fragment (#)");
}
