/* Numbers from and to text, whole strings only and always with a decimal point, whatever the program's locale. */
#ifndef BITTERN_BASE_NUMBER_H
#define BITTERN_BASE_NUMBER_H

#include <bittern/status.h>

#include <stdint.h>

/** Enough for any number written by the functions below, with its terminator. */
#define BT_NUMBER_BYTES 32

/** A decimal whole number with an optional sign; false if anything else is in the text or it does not fit. */
bool bt_number_read_i64(const char *text, int64_t *out) BT_MUST_CHECK;

/** A finite decimal number ("1", "-0.5", "1e-4", ".5"); false for anything else, hexadecimal, infinities and NaN
 * included. A magnitude that is too small for a double becomes 0 or a subnormal number. */
bool bt_number_read_double(const char *text, double *out) BT_MUST_CHECK;

/** The shortest of 15 to 17 digits (float: 6 to 9) that reads back as the same bits; "nan", "inf", "-inf" otherwise.
 *  Returns `text`. */
char *bt_number_write_double(double value, char text[BT_NUMBER_BYTES]);
char *bt_number_write_float(float value, char text[BT_NUMBER_BYTES]);

/** The double that the shortest decimal of a float means: 0.485, not 0.48500001430511475. */
double bt_number_shortest(float value);

#endif
