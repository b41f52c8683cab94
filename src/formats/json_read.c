/* A strict JSON parser (RFC 8259): recursive descent over bounded depth. The members of open arrays and objects stand
 * on one stack; at its end each moves its part into the arena, so the tree holds no slack and an error releases
 * everything at once.
 */
#include "formats/json.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"

#include <stdlib.h>
#include <string.h>

struct bt_json {
    bt_arena arena;
    const char *name;
    bt_json_value root;
};

typedef struct parser {
    bt_json *document;
    const char *text;
    size_t bytes, at;
    size_t base;  /* byte of the file at which the text begins */
    size_t total; /* values so far */
    int depth;
    bt_json_value *stack; /* members of the arrays and objects that are open */
    size_t stacked, capacity;
    bt_text scratch; /* the string being read, without escapes */
} parser;

static bt_status fault(const parser *p, size_t at, const char *what) {
    return bt_error(BT_ERR_FORMAT, "%s: byte %zu: not JSON: %s", p->document->name, p->base + at, what);
}

/* Says what stands at the current byte: printable as it is, otherwise by number. */
static bt_status unexpected(const parser *p, const char *expected) {
    if (p->at >= p->bytes) {
        return bt_error(BT_ERR_FORMAT, "%s: byte %zu: not JSON: the text ends, expected %s", p->document->name,
                        p->base + p->at, expected);
    }
    unsigned char c = (unsigned char)p->text[p->at];
    char found[16];
    snprintf(found, sizeof found, c > 0x20 && c < 0x7f ? "\"%c\"" : "byte 0x%02x", c);
    return bt_error(BT_ERR_FORMAT, "%s: byte %zu: not JSON: found %s, expected %s", p->document->name, p->base + p->at,
                    found, expected);
}

static void skip_space(parser *p) {
    while (p->at < p->bytes && memchr(" \t\r\n", p->text[p->at], 4)) p->at++;
}

/* The byte at the current place; 0 at the end (no byte that JSON allows there is 0). */
static char peek(const parser *p) {
    return p->at < p->bytes ? p->text[p->at] : '\0';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bt_status read_hex(parser *p, unsigned *out) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        char c = peek(p);
        unsigned digit;
        if (is_digit(c))
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (unsigned)(c - 'A') + 10;
        else
            return unexpected(p, "four hexadecimal digits");
        value = value << 4 | digit;
    }
    *out = value;
    return BT_OK;
}

static void append_utf8(bt_text *text, unsigned code) {
    unsigned char out[4];
    size_t length;
    if (code < 0x80) {
        length = 1;
        out[0] = (unsigned char)code;
    } else if (code < 0x800) {
        length = 2;
        out[0] = (unsigned char)(0xC0 | code >> 6);
    } else if (code < 0x10000) {
        length = 3;
        out[0] = (unsigned char)(0xE0 | code >> 12);
    } else {
        length = 4;
        out[0] = (unsigned char)(0xF0 | code >> 18);
    }
    for (size_t i = 1; i < length; i++) out[i] = (unsigned char)(0x80 | (code >> (6 * (length - 1 - i)) & 0x3F));
    bt_text_append_bytes(text, (const char *)out, length);
}

/* Behind a backslash. */
static bt_status read_escape(parser *p) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t start = p->at - 1;
    char c = peek(p);
    const char *simple = c ? strchr(from, c) : NULL;
    if (simple) {
        bt_text_append_bytes(&p->scratch, &to[simple - from], 1);
        p->at++;
        return BT_OK;
    }
    if (c != 'u') return unexpected(p, "one of \" \\ / b f n r t u behind a backslash");
    p->at++;
    unsigned code, low;
    BT_TRY(read_hex(p, &code));
    if (code == 0) return fault(p, start, "a NUL character in a string is not accepted");
    if (code >= 0xDC00 && code <= 0xDFFF)
        return fault(p, start, "the second half of a surrogate pair without the first");
    if (code >= 0xD800 && code <= 0xDBFF) {
        if (p->bytes - p->at < 2 || p->text[p->at] != '\\' || p->text[p->at + 1] != 'u') {
            return fault(p, start, "the first half of a surrogate pair without the second");
        }
        p->at += 2;
        BT_TRY(read_hex(p, &low));
        if (low < 0xDC00 || low > 0xDFFF)
            return fault(p, start, "the first half of a surrogate pair without the second");
        code = 0x10000 + ((code - 0xD800) << 10 | (low - 0xDC00));
    }
    append_utf8(&p->scratch, code);
    return BT_OK;
}

/* At the opening quote; leaves the content in the arena. */
static bt_status read_string(parser *p, const char **out, size_t *out_count) {
    bt_text_clear(&p->scratch);
    p->at++;
    while (peek(p) != '"') {
        if (p->at >= p->bytes) return unexpected(p, "the closing quote of a string");
        unsigned char c = (unsigned char)p->text[p->at];
        if (c < 0x20) return unexpected(p, "control characters in strings to be escaped");
        if (c == '\\') {
            p->at++;
            BT_TRY(read_escape(p));
            continue;
        }
        size_t length = bt_text_utf8_length(p->text + p->at, p->bytes - p->at);
        if (length == 0) return unexpected(p, "UTF-8");
        bt_text_append_bytes(&p->scratch, p->text + p->at, length);
        p->at += length;
    }
    p->at++;
    BT_TRY(bt_text_status(&p->scratch));
    *out = bt_arena_copy(&p->document->arena, bt_text_get(&p->scratch), p->scratch.length);
    *out_count = p->scratch.length;
    return *out ? BT_OK : BT_ERR_MEMORY;
}

static bt_status skip_digits(parser *p) {
    if (!is_digit(peek(p))) return unexpected(p, "a digit");
    while (is_digit(peek(p))) p->at++;
    return BT_OK;
}

static bt_status read_number(parser *p, bt_json_value *value) {
    size_t start = p->at;
    bool whole = true;
    if (peek(p) == '-') p->at++;
    if (peek(p) == '0') {
        p->at++;
        if (is_digit(peek(p))) return fault(p, start, "a number begins with a superfluous 0");
    } else {
        BT_TRY(skip_digits(p));
    }
    if (peek(p) == '.') {
        whole = false;
        p->at++;
        BT_TRY(skip_digits(p));
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        whole = false;
        p->at++;
        if (peek(p) == '+' || peek(p) == '-') p->at++;
        BT_TRY(skip_digits(p));
    }
    bt_text_clear(&p->scratch);
    bt_text_append_bytes(&p->scratch, p->text + start, p->at - start);
    BT_TRY(bt_text_status(&p->scratch));
    const char *digits = bt_text_get(&p->scratch);
    /* "-0" is a double: as a whole number it would lose its sign. */
    if (whole && strcmp(digits, "-0") != 0 && bt_number_read_i64(digits, &value->as.integer)) {
        value->type = BT_JSON_INTEGER;
        return BT_OK;
    }
    value->type = BT_JSON_NUMBER;
    return bt_number_read_double(digits, &value->as.number) ? BT_OK : fault(p, start, "a number is too large");
}

static bt_status read_word(parser *p, const char *word, bt_json_value *value, bt_json_type type, bool truth) {
    size_t length = strlen(word);
    if (p->bytes - p->at < length || memcmp(p->text + p->at, word, length) != 0) return unexpected(p, "a value");
    p->at += length;
    value->type = type;
    if (type == BT_JSON_BOOL) value->as.boolean = truth;
    return BT_OK;
}

static int compare_keys(const void *a, const void *b) {
    const bt_json_value *const *x = a, *const *y = b;
    int order = strcmp((*x)->key, (*y)->key);
    /* Equal keys by place, so that a message names the second as the duplicate. */
    return order ? order : ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

static bt_status index_keys(parser *p, bt_json_value *object, const bt_json_value *members) {
    object->by_key = bt_arena_alloc(&p->document->arena, object->count, sizeof *object->by_key);
    if (!object->by_key) return BT_ERR_MEMORY;
    for (size_t i = 0; i < object->count; i++) object->by_key[i] = &members[i];
    if (object->count == 0) return BT_OK;
    qsort(object->by_key, object->count, sizeof *object->by_key, compare_keys);
    for (size_t i = 1; i < object->count; i++) {
        const bt_json_value *a = object->by_key[i - 1], *b = object->by_key[i];
        if (strcmp(a->key, b->key) == 0) {
            return bt_error(BT_ERR_FORMAT,
                            "%s: byte %zu: the key \"%s\" stands a second time in one object (before at byte %zu)",
                            p->document->name, b->offset, b->key, a->offset);
        }
    }
    return BT_OK;
}

/* Moves the members that were stacked since `first` into the arena. */
static bt_status close_container(parser *p, bt_json_value *value, size_t first) {
    value->count = p->stacked - first;
    bt_json_value *members = bt_arena_alloc(&p->document->arena, value->count, sizeof *members);
    if (!members) return BT_ERR_MEMORY;
    if (value->count) memcpy(members, p->stack + first, value->count * sizeof *members);
    p->stacked = first;
    value->as.member = members;
    return value->type == BT_JSON_OBJECT ? index_keys(p, value, members) : BT_OK;
}

static bt_status read_value(parser *p, bt_json_value *value);

static bt_status read_member(parser *p, bt_json_type container) {
    bt_json_value member = {0};
    if (container == BT_JSON_OBJECT) {
        size_t length;
        if (peek(p) != '"') return unexpected(p, "a key in double quotes");
        BT_TRY(read_string(p, &member.key, &length));
        skip_space(p);
        if (peek(p) != ':') return unexpected(p, "\":\"");
        p->at++;
        skip_space(p);
    }
    BT_TRY(read_value(p, &member));
    bt_json_value *stack = bt_memory_grow(p->stack, &p->capacity, p->stacked + 1, sizeof *stack);
    if (!stack) return BT_ERR_MEMORY;
    p->stack = stack;
    p->stack[p->stacked++] = member;
    return BT_OK;
}

static bt_status read_container(parser *p, bt_json_value *value, bt_json_type type, char close) {
    size_t first = p->stacked;
    value->type = type;
    if (p->depth == BT_JSON_MAX_DEPTH) return fault(p, p->at, "arrays and objects are nested more than 64 deep");
    p->depth++;
    p->at++;
    skip_space(p);
    for (bool more = peek(p) != close; more;) {
        BT_TRY(read_member(p, type));
        skip_space(p);
        more = peek(p) == ',';
        if (!more && peek(p) != close) return unexpected(p, close == ']' ? "\",\" or \"]\"" : "\",\" or \"}\"");
        if (more) {
            p->at++;
            skip_space(p);
        }
    }
    p->at++;
    p->depth--;
    return close_container(p, value, first);
}

static bt_status read_value(parser *p, bt_json_value *value) {
    value->document = p->document;
    value->offset = p->base + p->at;
    if (++p->total > BT_JSON_MAX_VALUES) return fault(p, p->at, "more than 4194304 values");
    char c = peek(p);
    switch (c) {
    case '{':
        return read_container(p, value, BT_JSON_OBJECT, '}');
    case '[':
        return read_container(p, value, BT_JSON_ARRAY, ']');
    case '"':
        value->type = BT_JSON_STRING;
        return read_string(p, &value->as.string, &value->count);
    case 't':
        return read_word(p, "true", value, BT_JSON_BOOL, true);
    case 'f':
        return read_word(p, "false", value, BT_JSON_BOOL, false);
    case 'n':
        return read_word(p, "null", value, BT_JSON_NULL, false);
    default:
        break;
    }
    return c == '-' || is_digit(c) ? read_number(p, value) : unexpected(p, "a value");
}

static bt_status read_document(parser *p) {
    skip_space(p);
    BT_TRY(read_value(p, &p->document->root));
    skip_space(p);
    return p->at == p->bytes ? BT_OK : unexpected(p, "nothing behind the document");
}

bt_status bt_json_parse(const char *text, size_t bytes, const char *name, size_t offset, bt_json **out) {
    if (bytes > BT_JSON_MAX_BYTES) {
        return bt_error(BT_ERR_FORMAT, "%s: JSON of %zu bytes, at most %zu are accepted", name, bytes,
                        BT_JSON_MAX_BYTES);
    }
    bt_json *document = bt_memory_zeroed(1, sizeof *document);
    if (!document) return BT_ERR_MEMORY;
    parser p = {.document = document, .text = text, .bytes = bytes, .base = offset};
    document->name = bt_arena_copy(&document->arena, name, strlen(name));
    bt_status status = document->name ? read_document(&p) : BT_ERR_MEMORY;
    bt_memory_free(p.stack);
    bt_text_free(&p.scratch);
    if (status != BT_OK) {
        bt_json_free(document);
        return status;
    }
    *out = document;
    return BT_OK;
}

bt_status bt_json_read(const char *path, bt_json **out) {
    char *text;
    size_t bytes;
    BT_TRY(bt_file_read(path, BT_JSON_MAX_BYTES, &text, &bytes));
    bt_status status = bt_json_parse(text, bytes, path, 0, out);
    bt_memory_free(text);
    return status;
}

void bt_json_free(bt_json *document) {
    if (!document) return;
    bt_arena_free(&document->arena);
    bt_memory_free(document);
}

const bt_json_value *bt_json_root(const bt_json *document) {
    return &document->root;
}

const char *bt_json_name(const bt_json *document) {
    return document->name;
}
