/* Option tables: one per struct of settings. From a table come defaults, parsing with bounds, messages, the resolved
 * config, `--help` and docs/options.md.
 *
 *     typedef struct optim { float lr; int epochs; bt_int_list milestones; } optim;
 *     static const bt_option optim_options[] = {
 *         BT_OPTION_FLOAT(optim, lr, "0.001", 0, 10, "learning rate"),
 *         BT_OPTION_INT(optim, epochs, NULL, 1, 100000, "passes over the training data"),     no default: required
 *         BT_OPTION_INTS(optim, milestones, "", 1, INFINITY, "epochs at which lr drops"),
 *     };
 *     const bt_option_table optim_table = BT_OPTION_TABLE("optimizer", optim_options);
 *
 * Sections nest: BT_OPTION_SECTION(train, optim, &optim_table, "...") makes "optim.lr" of a struct train with a member
 * `optim`. Bounds are inclusive; -INFINITY and INFINITY mean none. Bounds of lists hold for every element. The macros
 * check the member's type at compile time. A table that contradicts itself aborts in bt_options_new.
 */
#ifndef BITTERN_BASE_OPTIONS_H
#define BITTERN_BASE_OPTIONS_H

#include "base/text.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

typedef enum bt_option_type {
    BT_OPTION_TYPE_BOOL,    /**< bool: true or false */
    BT_OPTION_TYPE_INT,     /**< int */
    BT_OPTION_TYPE_I64,     /**< int64_t */
    BT_OPTION_TYPE_FLOAT,   /**< float, finite */
    BT_OPTION_TYPE_DOUBLE,  /**< double, finite */
    BT_OPTION_TYPE_STRING,  /**< const char *, never NULL */
    BT_OPTION_TYPE_ENUM,    /**< any enum: index into `names` */
    BT_OPTION_TYPE_STRINGS, /**< bt_string_list */
    BT_OPTION_TYPE_INTS,    /**< bt_int_list */
    BT_OPTION_TYPE_FLOATS,  /**< bt_float_list */
    BT_OPTION_TYPE_SECTION  /**< a nested struct with a table of its own */
} bt_option_type;

/** Lists as members of option structs. Items and strings belong to the bt_options that filled the struct. */
typedef struct bt_string_list {
    const char *const *items;
    int count;
} bt_string_list;

typedef struct bt_int_list {
    const int *items;
    int count;
} bt_int_list;

typedef struct bt_float_list {
    const float *items;
    int count;
} bt_float_list;

struct bt_option_table;

typedef struct bt_option {
    const char *name; /**< within its section */
    bt_option_type type;
    size_t offset;                         /**< bytes from the start of the section's struct */
    const char *fallback;                  /**< default as text, lists with commas; NULL: required */
    double least, most;                    /**< of numbers, or of every element */
    const char *const *names;              /**< ENUM: in the order of the values, ended by NULL */
    const struct bt_option_table *section; /**< SECTION */
    const char *help;                      /**< one line */
} bt_option;

typedef struct bt_option_table {
    const char *title;
    const bt_option *options;
    size_t count;
} bt_option_table;

/* offsetof, and an error at compile time if the member is of another type. */
#define BT_OPTION_AT(type, member, wanted)                                                                             \
    (offsetof(type, member) + 0 * sizeof(char[_Generic(((type *)0)->member, wanted : 1)]))
#define BT_OPTION_ENUM_AT(type, member)                                                                                \
    (offsetof(type, member) + 0 * sizeof(char[_Generic(((type *)0)->member, int : 1, unsigned : 1)]))

#define BT_OPTION_TABLE(title, options)                                                                                \
    { title, options, sizeof(options) / sizeof((options)[0]) }
#define BT_OPTION_BOOL(type, member, fallback, help)                                                                   \
    { #member, BT_OPTION_TYPE_BOOL, BT_OPTION_AT(type, member, bool), fallback, 0, 0, NULL, NULL, help }
#define BT_OPTION_INT(type, member, fallback, least, most, help)                                                       \
    { #member, BT_OPTION_TYPE_INT, BT_OPTION_AT(type, member, int), fallback, least, most, NULL, NULL, help }
#define BT_OPTION_I64(type, member, fallback, least, most, help)                                                       \
    { #member, BT_OPTION_TYPE_I64, BT_OPTION_AT(type, member, int64_t), fallback, least, most, NULL, NULL, help }
#define BT_OPTION_FLOAT(type, member, fallback, least, most, help)                                                     \
    { #member, BT_OPTION_TYPE_FLOAT, BT_OPTION_AT(type, member, float), fallback, least, most, NULL, NULL, help }
#define BT_OPTION_DOUBLE(type, member, fallback, least, most, help)                                                    \
    { #member, BT_OPTION_TYPE_DOUBLE, BT_OPTION_AT(type, member, double), fallback, least, most, NULL, NULL, help }
#define BT_OPTION_STRING(type, member, fallback, help)                                                                 \
    { #member, BT_OPTION_TYPE_STRING, BT_OPTION_AT(type, member, const char *), fallback, 0, 0, NULL, NULL, help }
#define BT_OPTION_ENUM(type, member, fallback, names, help)                                                            \
    { #member, BT_OPTION_TYPE_ENUM, BT_OPTION_ENUM_AT(type, member), fallback, 0, 0, names, NULL, help }
#define BT_OPTION_STRINGS(type, member, fallback, help)                                                                \
    { #member, BT_OPTION_TYPE_STRINGS, BT_OPTION_AT(type, member, bt_string_list), fallback, 0, 0, NULL, NULL, help }
#define BT_OPTION_INTS(type, member, fallback, least, most, help)                                                      \
    { #member, BT_OPTION_TYPE_INTS, BT_OPTION_AT(type, member, bt_int_list), fallback, least, most, NULL, NULL, help }
#define BT_OPTION_FLOATS(type, member, fallback, least, most, help)                                                    \
    {                                                                                                                  \
#member, BT_OPTION_TYPE_FLOATS, BT_OPTION_AT(type, member, bt_float_list), fallback, least, most, NULL, NULL,  \
            help                                                                                                       \
    }
#define BT_OPTION_SECTION(type, member, table, help)                                                                   \
    { #member, BT_OPTION_TYPE_SECTION, offsetof(type, member), NULL, 0, 0, NULL, table, help }

/** A struct bound to its table: remembers where each value came from, and owns the strings and lists in the struct. */
typedef struct bt_options bt_options;

/** Binds `values` (the table's struct, zeroed or not) and fills in the defaults; required options stay zero, with
 * strings "". The struct must outlive the result; after bt_options_free its strings and lists are gone. BT_ERR_MEMORY.
 */
bt_status bt_options_new(const bt_option_table *table, void *values, bt_options **out) BT_MUST_CHECK;
void bt_options_free(bt_options *options);

/** A value as text. `count` < 0: one scalar, items[0] (NULL where nothing was written); otherwise a list of that
 * length. */
typedef struct bt_option_text {
    const char *const *items;
    int count;
} bt_option_text;

/** Sets an option by its path ("optim.lr"). `origin` ("cifar10.yaml:12:5", "command line") is copied and heads the
 * message when the value does not fit; `key_origin` when the key does not exist. BT_ERR_CONFIG, BT_ERR_MEMORY; the
 * struct is unchanged on failure. */
bt_status bt_options_set(bt_options *options, const char *path, bt_option_text text, const char *key_origin,
                         const char *origin) BT_MUST_CHECK;

/** The same for one scalar with one origin. */
bt_status bt_options_set_text(bt_options *options, const char *path, const char *text,
                              const char *origin) BT_MUST_CHECK;

/** The same for a flag of a command: `--per-class` sets per_class, lists are split at commas. BT_ERR_USAGE for what no
 * flag is called, with the nearest, or a value that does not fit. */
bt_status bt_options_set_flag(bt_options *options, const char *flag, const char *text) BT_MUST_CHECK;

/** BT_ERR_CONFIG if a required option was not set; names all that are missing. */
bt_status bt_options_check(const bt_options *options) BT_MUST_CHECK;

/** BT_ERR_CONFIG with "ORIGIN: PATH: " before the text, for checks that span options ("optim.warmup: must be below
 * ..."). */
bt_status bt_options_error(const bt_options *options, const char *path, const char *format, ...) BT_PRINTF(3, 4);

/* Walking the options, sections flattened, in the table's order. */
int bt_options_count(const bt_options *options);
int bt_options_find(const bt_options *options, const char *path); /**< -1 if there is none */
const char *bt_options_path(const bt_options *options, int index);
const char *bt_options_origin(const bt_options *options, int index); /**< "default"; "" if required and not set */

/** Appends the present value as YAML (flow style), such that reading it gives the same bits. */
void bt_options_write_value(const bt_options *options, int index, bt_text *out);

/** Appends all values as a YAML document, each with its origin as a comment; the resolved config of a run. */
void bt_options_dump(const bt_options *options, bt_text *out);

/** Appends a Markdown reference: a heading and a table for every section. */
void bt_options_markdown(const bt_option_table *table, bt_text *out);

/** Appends lines for --help: "  optim.lr  a number between 0 and 10 (default 0.001): learning rate". */
void bt_options_help(const bt_option_table *table, bt_text *out);

/** The same for the flags of a command: "  --per-class  a whole number ...". */
void bt_options_help_flags(const bt_option_table *table, bt_text *out);

#endif
