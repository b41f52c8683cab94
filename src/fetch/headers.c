/* Header fields; see headers.h. */
#include "fetch/headers.h"

#include "base/number.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { VALUE_BYTES = 4096 };

void bt_headers_begin(bt_transfer_answer *a) {
    bt_transfer_answer kept = *a;
    *a = (bt_transfer_answer){
        .length = -1, .first = -1, .last = -1, .total = -1, .stated_bytes = kept.stated_bytes, .retry_after = -1};
    snprintf(a->sha256, sizeof a->sha256, "%s", kept.sha256);
    a->from_etag = kept.from_etag;
}

int bt_headers_code(const char *line, size_t length) {
    const char *space = memchr(line, ' ', length);
    int code = 0, digits = 0;
    for (const char *c = space ? space + 1 : line + length;
         c < line + length && isdigit((unsigned char)*c) && digits < 3; c++, digits++)
        code = 10 * code + (*c - '0');
    return digits == 3 ? code : 0;
}

static int64_t whole(const char *text) {
    int64_t value;
    return isdigit((unsigned char)text[0]) && bt_number_read_i64(text, &value) ? value : -1;
}

/** "bytes 10-99/100". */
static void take_range(bt_transfer_answer *a, char *value) {
    if (strncasecmp(value, "bytes", 5) != 0) return;
    char *first = value + 5 + strspn(value + 5, " "), *dash = strchr(first, '-'), *slash = strchr(first, '/');
    if (!dash || !slash || dash > slash) return;
    *dash = *slash = 0;
    a->first = whole(first);
    a->last = whole(dash + 1);
    a->total = whole(slash + 1);
}

/** The digits within quotes if they are a SHA-256; a weak ETag (W/) says nothing of bytes. */
static bool take_sum(const char *value, char out[BT_SHA256_BYTES]) {
    size_t length = strlen(value);
    if (length != 66 || value[0] != '"' || value[65] != '"') return false;
    char digits[BT_SHA256_BYTES];
    memcpy(digits, value + 1, 64);
    digits[64] = 0;
    if (!bt_sha256_is(digits, 64)) return false;
    for (int i = 0; i < BT_SHA256_BYTES; i++) out[i] = (char)tolower((unsigned char)digits[i]);
    return true;
}

static void take_etag(bt_transfer_answer *a, const char *value, bool home) {
    size_t length = strlen(value);
    if (length < 2 || length >= sizeof a->etag || value[0] != '"' || value[length - 1] != '"') return;
    snprintf(a->etag, sizeof a->etag, "%s", value);
    if (home && !a->sha256[0]) a->from_etag = take_sum(value, a->sha256);
}

static void take_type(bt_transfer_answer *a, const char *value) {
    size_t length = strcspn(value, "; \t");
    if (length < sizeof a->type) snprintf(a->type, sizeof a->type, "%.*s", (int)length, value);
}

void bt_headers_take(bt_transfer_answer *a, const char *line, size_t length, bool home, char *location, size_t bytes) {
    char field[VALUE_BYTES];
    while (length && isspace((unsigned char)line[length - 1])) length--;
    if (length >= sizeof field || memchr(line, 0, length)) return;
    memcpy(field, line, length);
    field[length] = 0;
    char *value = strchr(field, ':');
    if (!value) return;
    *value++ = 0;
    value += strspn(value, " \t");
    if (strcasecmp(field, "content-length") == 0)
        a->length = whole(value);
    else if (strcasecmp(field, "content-range") == 0)
        take_range(a, value);
    else if (strcasecmp(field, "content-type") == 0)
        take_type(a, value);
    else if (strcasecmp(field, "content-encoding") == 0)
        a->encoded = strcasecmp(value, "identity") != 0;
    else if (strcasecmp(field, "etag") == 0)
        take_etag(a, value, home);
    else if (strcasecmp(field, "location") == 0 && strlen(value) < bytes)
        snprintf(location, bytes, "%s", value);
    else if (home && strcasecmp(field, "x-linked-etag") == 0) {
        if (take_sum(value, a->sha256)) a->from_etag = false;
    } else if (home && strcasecmp(field, "x-linked-size") == 0)
        a->stated_bytes = whole(value);
}
