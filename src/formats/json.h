/* JSON (RFC 8259): a strict reader into a tree, a writer, and files of one object a line.
 *
 * The reader is for files of other people: depth, size and number of values are bounded, keys of one object are unique,
 * strings are UTF-8 without NUL, and whole numbers that fit 64 bits are exact. Messages give the file and the byte
 * offset.
 */
#ifndef BITTERN_FORMATS_JSON_H
#define BITTERN_FORMATS_JSON_H

#include "base/text.h"

#include <stdint.h>
#include <stdio.h>

/* ---- reading ---- */

#define BT_JSON_MAX_DEPTH 64
#define BT_JSON_MAX_BYTES ((size_t)100 << 20) /* the limit that safetensors sets for its header */
#define BT_JSON_MAX_VALUES ((size_t)4 << 20)

typedef enum bt_json_type {
    BT_JSON_NULL,
    BT_JSON_BOOL,
    BT_JSON_INTEGER, /**< a number without fraction and exponent that fits int64_t */
    BT_JSON_NUMBER,  /**< any other number, as a double */
    BT_JSON_STRING,
    BT_JSON_ARRAY,
    BT_JSON_OBJECT
} bt_json_type;

/** A parsed document; owns all values and strings in it. */
typedef struct bt_json bt_json;

typedef struct bt_json_value {
    const bt_json *document;
    bt_json_type type;
    const char *key; /**< within an object; NULL elsewhere */
    size_t offset;   /**< bytes from the start of the file */
    union {
        bool boolean;
        int64_t integer;
        double number;
        const char *string;                 /**< terminated; holds no other NUL */
        const struct bt_json_value *member; /**< of an array or object, in the file's order */
    } as;
    size_t count;                        /**< members, or bytes of the string */
    const struct bt_json_value **by_key; /**< of an object: its members sorted by key */
} bt_json_value;

/** Parses `bytes` bytes of text. `name` (copied) is the file in messages, `offset` the file's byte at which the text
 * begins. The text need not be terminated or outlive the call. BT_ERR_FORMAT, BT_ERR_MEMORY. */
bt_status bt_json_parse(const char *text, size_t bytes, const char *name, size_t offset, bt_json **out) BT_MUST_CHECK;

/** Reads and parses a file of at most BT_JSON_MAX_BYTES. */
bt_status bt_json_read(const char *path, bt_json **out) BT_MUST_CHECK;
void bt_json_free(bt_json *document);

const bt_json_value *bt_json_root(const bt_json *document);

/** The file's name as it was given. */
const char *bt_json_name(const bt_json *document);

/** The member of an object, or NULL if there is none (or `object` is none). */
const bt_json_value *bt_json_find(const bt_json_value *object, const char *key);

/** "an object", "a whole number", ... */
const char *bt_json_type_name(bt_json_type type);

/** BT_ERR_FORMAT with "FILE: byte OFFSET: " of the value before the text. */
bt_status bt_json_error(const bt_json_value *value, const char *format, ...) BT_PRINTF(2, 3);

/** The value's content, or BT_ERR_FORMAT saying what was found and what is expected. A number may be written without
 *  fraction; a whole number may not have one. Strings live as long as the document. */
bt_status bt_json_as_bool(const bt_json_value *value, bool *out) BT_MUST_CHECK;
bt_status bt_json_as_integer(const bt_json_value *value, int64_t least, int64_t most, int64_t *out) BT_MUST_CHECK;
bt_status bt_json_as_number(const bt_json_value *value, double *out) BT_MUST_CHECK;
bt_status bt_json_as_string(const bt_json_value *value, const char **out) BT_MUST_CHECK;

/** The same for the member `key` of `object`; a missing member is an error. bt_json_get is for arrays and objects. */
bt_status bt_json_get(const bt_json_value *object, const char *key, bt_json_type type,
                      const bt_json_value **out) BT_MUST_CHECK;
bt_status bt_json_get_bool(const bt_json_value *object, const char *key, bool *out) BT_MUST_CHECK;
bt_status bt_json_get_integer(const bt_json_value *object, const char *key, int64_t least, int64_t most,
                              int64_t *out) BT_MUST_CHECK;
bt_status bt_json_get_number(const bt_json_value *object, const char *key, double *out) BT_MUST_CHECK;
/** The same into narrower types; bounds lie within theirs. */
bt_status bt_json_get_int(const bt_json_value *object, const char *key, int64_t least, int64_t most,
                          int *out) BT_MUST_CHECK;
bt_status bt_json_get_float(const bt_json_value *object, const char *key, double least, double most,
                            float *out) BT_MUST_CHECK;
bt_status bt_json_get_string(const bt_json_value *object, const char *key, const char **out) BT_MUST_CHECK;

/** Member `index` of an array; BT_ERR_FORMAT if it has fewer. */
bt_status bt_json_at(const bt_json_value *array, size_t index, const bt_json_value **out) BT_MUST_CHECK;

/* ---- writing ---- */

/** Writes into a text buffer. Wrong nesting (a value without a key, an end without its begin) is a mistake of ours and
 *  aborts; memory failures stay in the buffer until bt_json_finish.
 *  Non-finite numbers, which JSON lacks, become the strings "nan", "inf", "-inf": a loss that blew up stays visible,
 * and Python's float() reads them. Finite doubles read back as the same bits. */
typedef struct bt_json_writer {
    bt_text *text;
    bool pretty; /**< line breaks and two spaces of indentation; otherwise one line */
    int depth;
    bool complete;                 /**< the root value was written */
    bool has_key;                  /**< a key waits for its value */
    char close[BT_JSON_MAX_DEPTH]; /**< per open array or object, '}' or ']' */
    bool filled[BT_JSON_MAX_DEPTH];
} bt_json_writer;

/** Starts a document at the end of `text`, which must outlive the writer. */
bt_json_writer bt_json_write_to(bt_text *text, bool pretty);

void bt_json_begin_object(bt_json_writer *writer);
void bt_json_begin_array(bt_json_writer *writer);
void bt_json_end(bt_json_writer *writer); /**< of the innermost array or object */
void bt_json_key(bt_json_writer *writer, const char *key);

void bt_json_put_null(bt_json_writer *writer);
void bt_json_put_bool(bt_json_writer *writer, bool value);
void bt_json_put_integer(bt_json_writer *writer, int64_t value);
void bt_json_put_number(bt_json_writer *writer, double value);
void bt_json_put_string(bt_json_writer *writer, const char *value); /**< NULL is written as null */

/** A key and its value. */
void bt_json_member_bool(bt_json_writer *writer, const char *key, bool value);
void bt_json_member_integer(bt_json_writer *writer, const char *key, int64_t value);
void bt_json_member_number(bt_json_writer *writer, const char *key, double value);
void bt_json_member_string(bt_json_writer *writer, const char *key, const char *value);

/** Ends the document (everything must be closed) and reports a memory failure. */
bt_status bt_json_finish(bt_json_writer *writer) BT_MUST_CHECK;

/** finish, then writes the buffer and a line break to `file` and flushes. `name` is the file in messages. */
bt_status bt_json_finish_to(bt_json_writer *writer, FILE *file, const char *name) BT_MUST_CHECK;

/* ---- one object a line ---- */

/** A file that grows by whole lines. */
typedef struct bt_jsonl bt_jsonl;

/** Opens for appending, creating the file if needed. A torn last line (the process was killed while writing) is cut
 * off. With `sync` every line is on the disk when append returns. */
bt_status bt_jsonl_open(const char *path, bool sync, bt_jsonl **out) BT_MUST_CHECK;

/** Appends one line in one write. `line` is one JSON value without line breaks. On failure (a full disk) what was
 * written of it is taken back. */
bt_status bt_jsonl_append(bt_jsonl *log, const bt_text *line) BT_MUST_CHECK;
void bt_jsonl_close(bt_jsonl *log);

#endif
