/* Addresses of the web, by libcurl's own parser, so that what is checked is what is connected to. */
#ifndef BITTERN_FETCH_ADDRESS_H
#define BITTERN_FETCH_ADDRESS_H

#include "base/text.h"

#include <curl/curl.h>

typedef struct bt_address {
    CURLU *parts;
    char *url, *shown;          /**< whole; without query and fragment, for messages */
    char *scheme, *host, *port; /**< libcurl's: all of the url's parts are its memory */
    bool loopback;
} bt_address;

/** Takes `url` apart, relative to `before` unless that is NULL. BT_ERR_IO for what is no address or may not be fetched
 * from; its message begins with the address. */
bt_status bt_address_open(const char *url, const bt_address *before, bt_address *out) BT_MUST_CHECK;
void bt_address_close(bt_address *address);

/** The same scheme, host and port: what a token was meant for. */
bool bt_address_same_host(const bt_address *a, const bt_address *b);

#endif
