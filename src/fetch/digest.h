/* SHA-256 of files (FIPS 180-4), by OpenSSL's libcrypto, which comes with libcurl: without the option CURL there is
 * none. */
#ifndef BITTERN_FETCH_DIGEST_H
#define BITTERN_FETCH_DIGEST_H

#include <bittern/status.h>

#include <stddef.h>

#define BT_SHA256_BYTES 65 /* 64 digits and the terminator */

/** Whether this build can. */
bool bt_sha256_available(void);

/** The sum of a file as lower-case digits. `stop` (or NULL) is asked now and then: BT_ERR_INTERRUPTED. */
bt_status bt_sha256_file(const char *path, bool (*stop)(void), char out[BT_SHA256_BYTES]) BT_MUST_CHECK;

/** Whether `text` is `least` to 64 hexadecimal digits. */
bool bt_sha256_is(const char *text, size_t least);

/** Whether `sum` begins with the digits of `known`, whatever their case. */
bool bt_sha256_agrees(const char *sum, const char *known);

#endif
