/* Text: a growable buffer, edit distance, the nearest name in a list. */
#ifndef BITTERN_BASE_TEXT_H
#define BITTERN_BASE_TEXT_H

#include <bittern/status.h>

#include <stddef.h>

/** A growable string. Zero-initialised is empty. Failures are sticky: after one, appending does nothing and
 * bt_text_status tells, so a writer of fifty pieces checks once. */
typedef struct bt_text {
    char *bytes;     /**< terminated; NULL while nothing was appended (use bt_text_get) */
    size_t length;   /**< without the terminator */
    size_t capacity; /**< with it */
    bool failed;     /**< memory was out */
} bt_text;

void bt_text_append(bt_text *text, const char *format, ...) BT_PRINTF(2, 3);
void bt_text_append_bytes(bt_text *text, const char *bytes, size_t count);

/** Appends in double quotes, with the escapes that JSON and YAML share, so that any content stays on one line. Bytes
 * that are not UTF-8 become U+FFFD. */
void bt_text_append_quoted(bt_text *text, const char *bytes, size_t count);

/** The string so far, terminated; valid until the next append. */
const char *bt_text_get(const bt_text *text);

/** BT_OK, or BT_ERR_MEMORY with a message if any append failed. */
bt_status bt_text_status(const bt_text *text) BT_MUST_CHECK;

/** Empties the buffer and keeps its memory. */
void bt_text_clear(bt_text *text);
void bt_text_free(bt_text *text);

/** Length in bytes of the UTF-8 sequence at `bytes`, of at most `count`; 0 if it is not valid (RFC 3629: no surrogates,
 * no overlong forms, at most U+10FFFF). */
size_t bt_text_utf8_length(const char *bytes, size_t count);

/** Whether all of `count` bytes are UTF-8. */
bool bt_text_is_utf8(const char *bytes, size_t count);

/** Insertions, deletions, substitutions and swaps of neighbours that turn one string into the other (optimal string
 *  alignment). Case, and '-' against '_', count as equal. Strings over 128 bytes: the longer length, not computed. */
size_t bt_text_distance(const char *a, const char *b);

/** The name nearest to `word`, or NULL if none is near enough to be meant: at most one edit for every three characters
 * of the longer string, one for shorter ones, and a word of one character matches in case only. The first of equals. */
const char *bt_text_nearest(const char *word, const char *const *names, size_t count);

#endif
