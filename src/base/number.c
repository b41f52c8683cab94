/* Numbers from and to text. The C library's conversions follow the locale of the process, and this is a library: a
 * program that sets a German locale must not make "0.5" unreadable. So the calling thread is switched to the C locale
 * around them. */
#include "base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void make_c_locale(void) {
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    BT_ASSERT(c_locale != (locale_t)0);
}

static locale_t enter_c_locale(void) {
    pthread_once(&c_locale_once, make_c_locale);
    return uselocale(c_locale);
}

bool bt_number_read_i64(const char *text, int64_t *out) {
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    if (!digits[0] || strspn(digits, "0123456789") != strlen(digits)) return false;
    errno = 0;
    intmax_t value = strtoimax(text, NULL, 10);
    if (errno == ERANGE || value < INT64_MIN || value > INT64_MAX) return false;
    *out = (int64_t)value;
    return true;
}

bool bt_number_read_double(const char *text, double *out) {
    /* strtod also takes leading space, "0x1p3", "inf" and "nan". */
    if (!text[0] || strspn(text, "+-.0123456789eE") != strlen(text)) return false;
    locale_t before = enter_c_locale();
    char *end;
    double value = strtod(text, &end);
    uselocale(before);
    if (*end || end == text || !isfinite(value)) return false;
    *out = value;
    return true;
}

static char *write_special(double value, char *text) {
    snprintf(text, BT_NUMBER_BYTES, "%s", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
    return text;
}

char *bt_number_write_double(double value, char text[BT_NUMBER_BYTES]) {
    if (!isfinite(value)) return write_special(value, text);
    locale_t before = enter_c_locale();
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, BT_NUMBER_BYTES, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    uselocale(before);
    return text;
}

char *bt_number_write_float(float value, char text[BT_NUMBER_BYTES]) {
    if (!isfinite(value)) return write_special((double)value, text);
    locale_t before = enter_c_locale();
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, BT_NUMBER_BYTES, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) break;
    }
    uselocale(before);
    return text;
}

double bt_number_shortest(float value) {
    char text[BT_NUMBER_BYTES];
    double out = 0;
    return bt_number_read_double(bt_number_write_float(value, text), &out) ? out : (double)value;
}
