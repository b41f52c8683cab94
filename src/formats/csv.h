/* Tables as text: CSV (RFC 4180) and TSV, row by row from memory.
 *
 * Fields are separated by a comma or a tab, rows by CR LF, LF or CR. A field that begins with a double quote ends with
 * one, and may hold separators, line breaks and doubled quotes. The text is UTF-8, with or without a byte order mark,
 * and has no NUL. Every row has as many fields as the first; lines without a character between rows are passed over.
 * Messages give file:line:column, the column counted in characters.
 */
#ifndef BITTERN_FORMATS_CSV_H
#define BITTERN_FORMATS_CSV_H

#include <bittern/status.h>

#include <stddef.h>
#include <stdint.h>

typedef struct bt_csv_field {
    char *text; /**< terminated, without its quotes; in the file's memory */
    size_t length;
    int64_t line, column; /**< of its first character, from 1 */
} bt_csv_field;

typedef struct bt_csv {
    char *name;    /**< for messages */
    char *content; /**< the whole file; fields lie in it */
    size_t bytes, at;
    char separator;
    int64_t line, column; /**< of `at` */
    bt_csv_field *fields; /**< (count) of the present row */
    size_t count, capacity;
    int64_t rows; /**< read so far */
} bt_csv;

/** Reads a file. `separator` ',' or '\t'; 0: a tab if the first line has one and no comma. BT_ERR_IO, BT_ERR_FORMAT,
 * BT_ERR_MEMORY. */
bt_status bt_csv_open(const char *path, char separator, bt_csv *out) BT_MUST_CHECK;

/** The next row in csv->fields, valid until the next call; the texts stay as long as the content. *end: there is none.
 */
bt_status bt_csv_next(bt_csv *csv, bool *end) BT_MUST_CHECK;

/** BT_ERR_FORMAT with "FILE:LINE:COLUMN: " of a field before the text. */
bt_status bt_csv_error(const bt_csv *csv, const bt_csv_field *field, const char *format, ...) BT_PRINTF(3, 4);

/** Hands the content over: the texts of all fields live until it is freed (bt_memory_free). */
char *bt_csv_take_content(bt_csv *csv);
void bt_csv_close(bt_csv *csv);

#endif
