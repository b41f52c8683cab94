/* Text: a growable buffer, edit distance, the nearest name in a list. */
#include "base/text.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define DISTANCE_LIMIT 128

/* Room for `count` more bytes and a terminator. */
static bool reserve(bt_text *text, size_t count) {
    if (text->failed) return false;
    if (count > SIZE_MAX - text->length - 1) {
        text->failed = true;
        return false;
    }
    char *bytes = bt_memory_grow(text->bytes, &text->capacity, text->length + count + 1, 1);
    if (!bytes) {
        text->failed = true;
        return false;
    }
    text->bytes = bytes;
    return true;
}

void bt_text_append(bt_text *text, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    BT_ASSERT(length >= 0);
    if (reserve(text, (size_t)length)) {
        vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

void bt_text_append_bytes(bt_text *text, const char *bytes, size_t count) {
    if (!reserve(text, count)) return;
    if (count) memcpy(text->bytes + text->length, bytes, count);
    text->length += count;
    text->bytes[text->length] = '\0';
}

/* The code point of a valid UTF-8 sequence. */
static unsigned code_point(const char *bytes, size_t length) {
    static const unsigned char lead_mask[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    unsigned code = (unsigned char)bytes[0] & lead_mask[length];
    for (size_t i = 1; i < length; i++) code = code << 6 | ((unsigned char)bytes[i] & 0x3Fu);
    return code;
}

/* Controls, and what YAML takes for a line break or a byte order mark: JSON allows them, YAML would not read them back.
 */
static bool must_escape(unsigned code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 || code == 0xFEFF ||
           code == 0xFFFE || code == 0xFFFF;
}

void bt_text_append_quoted(bt_text *text, const char *bytes, size_t count) {
    bt_text_append_bytes(text, "\"", 1);
    for (size_t i = 0; i < count;) {
        char c = bytes[i];
        size_t length = bt_text_utf8_length(bytes + i, count - i);
        if (length == 0) {
            bt_text_append_bytes(text, "\xEF\xBF\xBD", 3); /* U+FFFD */
            i++;
            continue;
        }
        unsigned code = code_point(bytes + i, length);
        if (c == '"' || c == '\\')
            bt_text_append(text, "\\%c", c);
        else if (c == '\n')
            bt_text_append(text, "\\n");
        else if (c == '\t')
            bt_text_append(text, "\\t");
        else if (must_escape(code))
            bt_text_append(text, "\\u%04x", code);
        else
            bt_text_append_bytes(text, bytes + i, length);
        i += length;
    }
    bt_text_append_bytes(text, "\"", 1);
}

const char *bt_text_get(const bt_text *text) {
    return text->bytes ? text->bytes : "";
}

bt_status bt_text_status(const bt_text *text) {
    return text->failed ? bt_error(BT_ERR_MEMORY, "out of memory after %zu bytes of text", text->length) : BT_OK;
}

void bt_text_clear(bt_text *text) {
    text->length = 0;
    text->failed = false;
    if (text->bytes) text->bytes[0] = '\0';
}

void bt_text_free(bt_text *text) {
    bt_memory_free(text->bytes);
    *text = (bt_text){0};
}

size_t bt_text_utf8_length(const char *bytes, size_t count) {
    const unsigned char *s = (const unsigned char *)bytes;
    if (count == 0) return 0;
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4) return 0; /* a continuation byte, an overlong form, or beyond U+10FFFF */
    size_t length = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (count < length) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
    }
    if (s[0] == 0xE0 && s[1] < 0xA0) return 0; /* overlong */
    if (s[0] == 0xED && s[1] > 0x9F) return 0; /* surrogates */
    if (s[0] == 0xF0 && s[1] < 0x90) return 0; /* overlong */
    if (s[0] == 0xF4 && s[1] > 0x8F) return 0; /* beyond U+10FFFF */
    return length;
}

bool bt_text_is_utf8(const char *bytes, size_t count) {
    for (size_t at = 0, step; at < count; at += step) {
        step = bt_text_utf8_length(bytes + at, count - at);
        if (step == 0) return false;
    }
    return true;
}

static char fold(char c) {
    if (c >= 'A' && c <= 'Z') return (char)(c - 'A' + 'a');
    return c == '-' ? '_' : c;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t bt_text_distance(const char *a, const char *b) {
    size_t rows = strlen(a), cols = strlen(b);
    if (rows > DISTANCE_LIMIT || cols > DISTANCE_LIMIT) return rows > cols ? rows : cols;
    /* Three rows of the table suffice: this one, the one before, and the one before that for swaps. */
    size_t table[3][DISTANCE_LIMIT + 1];
    for (size_t j = 0; j <= cols; j++) table[0][j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t *now = table[i % 3], *before = table[(i + 2) % 3], *two_before = table[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= cols; j++) {
            char ca = fold(a[i - 1]), cb = fold(b[j - 1]);
            size_t best = smaller(before[j] + 1, now[j - 1] + 1);
            best = smaller(best, before[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == fold(b[j - 2]) && fold(a[i - 2]) == cb) {
                best = smaller(best, two_before[j - 2] + 1);
            }
            now[j] = best;
        }
    }
    return table[rows % 3][cols];
}

const char *bt_text_nearest(const char *word, const char *const *names, size_t count) {
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t distance = bt_text_distance(word, names[i]);
        size_t a = strlen(word), b = strlen(names[i]), longer = a > b ? a : b;
        size_t allowed = longer < 2 ? 0 : longer < 6 ? 1 : longer / 3;
        if (distance <= allowed && distance < least) {
            nearest = names[i];
            least = distance;
        }
    }
    return nearest;
}
