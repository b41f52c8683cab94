/* JSON: looking values up, with messages that say where a value stands and what it should have been. */
#include "formats/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

const char *bt_json_type_name(bt_json_type type) {
    switch (type) {
    case BT_JSON_NULL:
        return "null";
    case BT_JSON_BOOL:
        return "true or false";
    case BT_JSON_INTEGER:
        return "a whole number";
    case BT_JSON_NUMBER:
        return "a number";
    case BT_JSON_STRING:
        return "a string";
    case BT_JSON_ARRAY:
        return "an array";
    case BT_JSON_OBJECT:
        return "an object";
    }
    return "a value";
}

bt_status bt_json_error(const bt_json_value *value, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return bt_error(BT_ERR_FORMAT, "%s: byte %zu: %s", bt_json_name(value->document), value->offset, text);
}

/* "KEY: found ..., expected ..."; the key is left out for the root and members of arrays. */
static bt_status mismatch(const bt_json_value *value, const char *expected) {
    const char *key = value->key ? value->key : "", *colon = value->key ? ": " : "";
    switch (value->type) {
    case BT_JSON_BOOL:
        return bt_json_error(value, "%s%sfound %s, expected %s", key, colon, value->as.boolean ? "true" : "false",
                             expected);
    case BT_JSON_INTEGER:
        return bt_json_error(value, "%s%sfound %" PRId64 ", expected %s", key, colon, value->as.integer, expected);
    case BT_JSON_NUMBER:
        return bt_json_error(value, "%s%sfound %g, expected %s", key, colon, value->as.number, expected);
    case BT_JSON_STRING:
        return bt_json_error(value, "%s%sfound \"%.80s\", expected %s", key, colon, value->as.string, expected);
    default:
        return bt_json_error(value, "%s%sfound %s, expected %s", key, colon, bt_json_type_name(value->type), expected);
    }
}

const bt_json_value *bt_json_find(const bt_json_value *object, const char *key) {
    if (!object || object->type != BT_JSON_OBJECT) return NULL;
    size_t low = 0, high = object->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(key, object->by_key[middle]->key);
        if (order == 0) return object->by_key[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bt_status bt_json_as_bool(const bt_json_value *value, bool *out) {
    if (value->type != BT_JSON_BOOL) return mismatch(value, "true or false");
    *out = value->as.boolean;
    return BT_OK;
}

bt_status bt_json_as_integer(const bt_json_value *value, int64_t least, int64_t most, int64_t *out) {
    if (value->type != BT_JSON_INTEGER || value->as.integer < least || value->as.integer > most) {
        char expected[96];
        snprintf(expected, sizeof expected, "a whole number from %" PRId64 " to %" PRId64, least, most);
        return mismatch(value, expected);
    }
    *out = value->as.integer;
    return BT_OK;
}

bt_status bt_json_as_number(const bt_json_value *value, double *out) {
    if (value->type == BT_JSON_INTEGER) {
        *out = (double)value->as.integer;
        return BT_OK;
    }
    if (value->type != BT_JSON_NUMBER) return mismatch(value, "a number");
    *out = value->as.number;
    return BT_OK;
}

bt_status bt_json_as_string(const bt_json_value *value, const char **out) {
    if (value->type != BT_JSON_STRING) return mismatch(value, "a string");
    *out = value->as.string;
    return BT_OK;
}

/* NULL with a BT_ERR_FORMAT message if `object` is none or lacks the key. */
static const bt_json_value *find_member(const bt_json_value *object, const char *key) {
    if (object->type != BT_JSON_OBJECT) {
        (void)mismatch(object, "an object");
        return NULL;
    }
    const bt_json_value *member = bt_json_find(object, key);
    if (!member) (void)bt_json_error(object, "the key \"%s\" is missing from this object", key);
    return member;
}

bt_status bt_json_get(const bt_json_value *object, const char *key, bt_json_type type, const bt_json_value **out) {
    const bt_json_value *member = find_member(object, key);
    if (!member) return BT_ERR_FORMAT;
    if (member->type != type) return mismatch(member, bt_json_type_name(type));
    *out = member;
    return BT_OK;
}

bt_status bt_json_get_bool(const bt_json_value *object, const char *key, bool *out) {
    const bt_json_value *member = find_member(object, key);
    if (!member) return BT_ERR_FORMAT;
    return bt_json_as_bool(member, out);
}

bt_status bt_json_get_integer(const bt_json_value *object, const char *key, int64_t least, int64_t most, int64_t *out) {
    const bt_json_value *member = find_member(object, key);
    if (!member) return BT_ERR_FORMAT;
    return bt_json_as_integer(member, least, most, out);
}

bt_status bt_json_get_number(const bt_json_value *object, const char *key, double *out) {
    const bt_json_value *member = find_member(object, key);
    if (!member) return BT_ERR_FORMAT;
    return bt_json_as_number(member, out);
}

bt_status bt_json_get_string(const bt_json_value *object, const char *key, const char **out) {
    const bt_json_value *member = find_member(object, key);
    if (!member) return BT_ERR_FORMAT;
    return bt_json_as_string(member, out);
}

bt_status bt_json_at(const bt_json_value *array, size_t index, const bt_json_value **out) {
    if (array->type != BT_JSON_ARRAY) return mismatch(array, "an array");
    if (index >= array->count) {
        return bt_json_error(array, "the array has %zu members, expected at least %zu", array->count, index + 1);
    }
    *out = &array->as.member[index];
    return BT_OK;
}

bt_status bt_json_get_int(const bt_json_value *object, const char *key, int64_t least, int64_t most, int *out) {
    int64_t value;
    BT_TRY(bt_json_get_integer(object, key, least, most, &value));
    *out = (int)value;
    return BT_OK;
}

/* A number within bounds: NaN and infinities are none that JSON has. */
bt_status bt_json_get_float(const bt_json_value *object, const char *key, double least, double most, float *out) {
    double value;
    BT_TRY(bt_json_get_number(object, key, &value));
    if (!(value >= least && value <= most))
        return bt_json_error(bt_json_find(object, key), "\"%s\" is %g; allowed are %g to %g", key, value, least, most);
    *out = (float)value;
    return BT_OK;
}
