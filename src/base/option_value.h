/* One option's value: parse, check, write, describe. Used by options.c and options_print.c only. */
#ifndef BITTERN_BASE_OPTION_VALUE_H
#define BITTERN_BASE_OPTION_VALUE_H

#include "base/arena.h"
#include "base/options.h"

bool bt_option_is_list(const bt_option *option);

/** Parses `text` into the member at `value`; strings and lists go into `arena`. On failure the message is without
 * origin: "found "fast", expected a number between 0 and 10". */
bt_status bt_option_parse(const bt_option *option, bt_option_text text, bt_arena *arena, void *value) BT_MUST_CHECK;

/** Parses the table's default: for lists, split at commas. */
bt_status bt_option_parse_default(const bt_option *option, bt_arena *arena, void *value) BT_MUST_CHECK;

/** Appends the value in YAML flow style. */
void bt_option_write(const bt_option *option, const void *value, bt_text *out);

/** Appends what is allowed: "a number between 0 and 10". */
void bt_option_describe(const bt_option *option, bt_text *out);

#endif
