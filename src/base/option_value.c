/* One option's value: parse, check, write, describe. */
#include "base/option_value.h"

#include "base/number.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

bool bt_option_is_list(const bt_option *option) {
    return option->type == BT_OPTION_TYPE_STRINGS || option->type == BT_OPTION_TYPE_INTS ||
           option->type == BT_OPTION_TYPE_FLOATS;
}

static bool is_whole(const bt_option *option) {
    return option->type == BT_OPTION_TYPE_INT || option->type == BT_OPTION_TYPE_I64 ||
           option->type == BT_OPTION_TYPE_INTS;
}

/* "a number between 0 and 10", "a whole number of at least 1"; for lists the same in the plural. */
static void describe_number(const bt_option *option, bool plural, bt_text *out) {
    char least[BT_NUMBER_BYTES], most[BT_NUMBER_BYTES];
    bt_number_write_double(option->least, least);
    bt_number_write_double(option->most, most);
    bt_text_append(out, "%s%s%s", plural ? "" : "a ", is_whole(option) ? "whole " : "", plural ? "numbers" : "number");
    if (isfinite(option->least) && isfinite(option->most))
        bt_text_append(out, " between %s and %s", least, most);
    else if (isfinite(option->least))
        bt_text_append(out, " of at least %s", least);
    else if (isfinite(option->most))
        bt_text_append(out, " of at most %s", most);
}

static void describe_element(const bt_option *option, bt_text *out) {
    switch (option->type) {
    case BT_OPTION_TYPE_BOOL:
        bt_text_append(out, "true or false");
        return;
    case BT_OPTION_TYPE_STRING:
    case BT_OPTION_TYPE_STRINGS:
        bt_text_append(out, "text");
        return;
    case BT_OPTION_TYPE_ENUM:
        for (int i = 0; option->names[i]; i++) {
            bt_text_append(out, "%s%s", i == 0 ? "" : option->names[i + 1] ? ", " : " or ", option->names[i]);
        }
        return;
    default:
        describe_number(option, false, out);
    }
}

void bt_option_describe(const bt_option *option, bt_text *out) {
    if (option->type == BT_OPTION_TYPE_SECTION) {
        bt_text_append(out, "a section");
    } else if (!bt_option_is_list(option)) {
        describe_element(option, out);
    } else {
        bt_text_append(out, "a list [a, b, ...] of ");
        if (option->type == BT_OPTION_TYPE_STRINGS)
            bt_text_append(out, "texts");
        else
            describe_number(option, true, out);
    }
}

/* Of an element of a list the description is that of one element. */
static bt_status refuse(const bt_option *option, const char *found, bool element) {
    bt_text expected = {0};
    if (element)
        describe_element(option, &expected);
    else
        bt_option_describe(option, &expected);
    const char *near = NULL;
    if (option->type == BT_OPTION_TYPE_ENUM) {
        size_t count = 0;
        while (option->names[count]) count++;
        near = bt_text_nearest(found, option->names, count);
    }
    bt_status status = bt_error(BT_ERR_CONFIG, "found \"%.100s\", expected %s%s%s%s", found, bt_text_get(&expected),
                                near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    bt_text_free(&expected);
    return status;
}

static bt_status refuse_shape(const bt_option *option, const char *found) {
    bt_text expected = {0};
    bt_option_describe(option, &expected);
    bt_status status = bt_error(BT_ERR_CONFIG, "found %s, expected %s", found, bt_text_get(&expected));
    bt_text_free(&expected);
    return status;
}

static bool parse_whole(const bt_option *option, const char *text, int64_t *out) {
    int64_t value;
    if (!bt_number_read_i64(text, &value)) return false;
    if (option->type != BT_OPTION_TYPE_I64 && (value < INT_MIN || value > INT_MAX)) return false;
    if ((double)value < option->least || (double)value > option->most) return false;
    *out = value;
    return true;
}

static bool parse_real(const bt_option *option, const char *text, double *out) {
    double value;
    if (!bt_number_read_double(text, &value) || value < option->least || value > option->most) return false;
    /* Beyond the largest float the conversion would give infinity. */
    if (option->type != BT_OPTION_TYPE_DOUBLE && !isfinite((float)value)) return false;
    *out = value;
    return true;
}

static bool parse_enum(const bt_option *option, const char *text, int *out) {
    for (int i = 0; option->names[i]; i++) {
        if (strcmp(option->names[i], text) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool parse_bool(const char *text, bool *out) {
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0) return false;
    *out = yes;
    return true;
}

/* One element, which for lists is one item, to `value`. */
static bt_status parse_element(const bt_option *option, const char *text, bt_arena *arena, void *value) {
    int64_t whole;
    double real;
    int index;
    bool truth;
    switch (option->type) {
    case BT_OPTION_TYPE_BOOL:
        if (!parse_bool(text, &truth)) break;
        *(bool *)value = truth;
        return BT_OK;
    case BT_OPTION_TYPE_INT:
    case BT_OPTION_TYPE_INTS:
        if (!parse_whole(option, text, &whole)) break;
        *(int *)value = (int)whole;
        return BT_OK;
    case BT_OPTION_TYPE_I64:
        if (!parse_whole(option, text, &whole)) break;
        *(int64_t *)value = whole;
        return BT_OK;
    case BT_OPTION_TYPE_FLOAT:
    case BT_OPTION_TYPE_FLOATS:
        if (!parse_real(option, text, &real)) break;
        *(float *)value = (float)real;
        return BT_OK;
    case BT_OPTION_TYPE_DOUBLE:
        if (!parse_real(option, text, &real)) break;
        *(double *)value = real;
        return BT_OK;
    case BT_OPTION_TYPE_ENUM:
        if (!parse_enum(option, text, &index)) break;
        *(int *)value = index;
        return BT_OK;
    case BT_OPTION_TYPE_STRING:
    case BT_OPTION_TYPE_STRINGS: {
        const char *copy = bt_arena_copy(arena, text, strlen(text));
        if (!copy) return BT_ERR_MEMORY;
        *(const char **)value = copy;
        return BT_OK;
    }
    case BT_OPTION_TYPE_SECTION:
        break;
    }
    return refuse(option, text, true);
}

static size_t element_bytes(const bt_option *option) {
    if (option->type == BT_OPTION_TYPE_STRINGS) return sizeof(const char *);
    return option->type == BT_OPTION_TYPE_INTS ? sizeof(int) : sizeof(float);
}

static void store_list(const bt_option *option, void *items, int count, void *value) {
    if (option->type == BT_OPTION_TYPE_STRINGS)
        *(bt_string_list *)value = (bt_string_list){items, count};
    else if (option->type == BT_OPTION_TYPE_INTS)
        *(bt_int_list *)value = (bt_int_list){items, count};
    else
        *(bt_float_list *)value = (bt_float_list){items, count};
}

static bt_status parse_list(const bt_option *option, bt_option_text text, bt_arena *arena, void *value) {
    size_t bytes = element_bytes(option);
    char *items = bt_arena_alloc(arena, (size_t)text.count, bytes);
    if (!items) return BT_ERR_MEMORY;
    for (int i = 0; i < text.count; i++) {
        if (!text.items[i]) return bt_error(BT_ERR_CONFIG, "item %d of the list is empty", i + 1);
        bt_status status = parse_element(option, text.items[i], arena, items + (size_t)i * bytes);
        if (status != BT_OK) return status == BT_ERR_CONFIG ? bt_error_prefix(status, "item %d", i + 1) : status;
    }
    store_list(option, items, text.count, value);
    return BT_OK;
}

bt_status bt_option_parse(const bt_option *option, bt_option_text text, bt_arena *arena, void *value) {
    if (bt_option_is_list(option)) {
        if (text.count >= 0) return parse_list(option, text, arena, value);
        return text.items[0] ? refuse(option, text.items[0], false) : refuse_shape(option, "nothing");
    }
    if (text.count >= 0) return refuse_shape(option, "a list");
    if (text.items[0]) return parse_element(option, text.items[0], arena, value);
    return refuse_shape(option, option->type == BT_OPTION_TYPE_STRING ? "nothing (\"\" is the empty text)" : "nothing");
}

bt_status bt_option_parse_default(const bt_option *option, bt_arena *arena, void *value) {
    if (!bt_option_is_list(option))
        return bt_option_parse(option, (bt_option_text){&option->fallback, -1}, arena, value);
    if (!option->fallback[0]) return bt_option_parse(option, (bt_option_text){NULL, 0}, arena, value);
    int count = 1;
    for (const char *p = option->fallback; *p; p++) count += *p == ',';
    const char **items = bt_arena_alloc(arena, (size_t)count, sizeof *items);
    if (!items) return BT_ERR_MEMORY;
    const char *from = option->fallback;
    for (int i = 0; i < count; i++) {
        from += strspn(from, " ");
        size_t length = strcspn(from, ",");
        items[i] = bt_arena_copy(arena, from, length);
        if (!items[i]) return BT_ERR_MEMORY;
        from += length + 1;
    }
    return bt_option_parse(option, (bt_option_text){items, count}, arena, value);
}

static void write_float(float value, bt_text *out) {
    char digits[BT_NUMBER_BYTES];
    bt_text_append(out, "%s", bt_number_write_float(value, digits));
}

static void write_string(const char *text, bt_text *out) {
    bt_text_append_quoted(out, text, strlen(text));
}

static void write_list(const bt_option *option, const void *value, bt_text *out) {
    const bt_string_list *strings = value;
    const bt_int_list *ints = value;
    const bt_float_list *floats = value;
    int count = option->type == BT_OPTION_TYPE_STRINGS ? strings->count
                : option->type == BT_OPTION_TYPE_INTS  ? ints->count
                                                       : floats->count;
    bt_text_append(out, "[");
    for (int i = 0; i < count; i++) {
        if (i) bt_text_append(out, ", ");
        if (option->type == BT_OPTION_TYPE_STRINGS)
            write_string(strings->items[i], out);
        else if (option->type == BT_OPTION_TYPE_INTS)
            bt_text_append(out, "%d", ints->items[i]);
        else
            write_float(floats->items[i], out);
    }
    bt_text_append(out, "]");
}

void bt_option_write(const bt_option *option, const void *value, bt_text *out) {
    char digits[BT_NUMBER_BYTES];
    switch (option->type) {
    case BT_OPTION_TYPE_BOOL:
        bt_text_append(out, *(const bool *)value ? "true" : "false");
        return;
    case BT_OPTION_TYPE_INT:
        bt_text_append(out, "%d", *(const int *)value);
        return;
    case BT_OPTION_TYPE_I64:
        bt_text_append(out, "%" PRId64, *(const int64_t *)value);
        return;
    case BT_OPTION_TYPE_FLOAT:
        write_float(*(const float *)value, out);
        return;
    case BT_OPTION_TYPE_DOUBLE:
        bt_text_append(out, "%s", bt_number_write_double(*(const double *)value, digits));
        return;
    case BT_OPTION_TYPE_STRING:
        write_string(*(const char *const *)value, out);
        return;
    case BT_OPTION_TYPE_ENUM:
        bt_text_append(out, "%s", option->names[*(const int *)value]);
        return;
    case BT_OPTION_TYPE_SECTION:
        return;
    default:
        write_list(option, value, out);
    }
}
