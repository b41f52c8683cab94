/* Sums as text; see digest.h. */
#include "fetch/digest.h"

#include <ctype.h>
#include <string.h>

bool bt_sha256_is(const char *text, size_t least) {
    size_t length = strlen(text);
    return length >= least && length <= 64 && strspn(text, "0123456789abcdefABCDEF") == length;
}

bool bt_sha256_agrees(const char *sum, const char *known) {
    for (; *known; sum++, known++)
        if (tolower((unsigned char)*sum) != tolower((unsigned char)*known)) return false;
    return true;
}
