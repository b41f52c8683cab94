/* The stack machine of pickles; see pickle.h. The instructions are those of CPython's Lib/pickletools.py. Nothing here
 * recurses: nesting costs no stack. */
#include "formats/pickle.h"

#include "base/memory.h"
#include "formats/pickle_local.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef bt_pickle_machine machine;
typedef bt_pickle_value value;

bt_status bt_pickle_error(const machine *m, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return bt_error(BT_ERR_FORMAT, "%s: byte %zu: %s", m->where, m->base + m->op, text);
}

const char *bt_pickle_kind_name(bt_pickle_kind kind) {
    static const char *const names[] = {"none",   "a truth value", "a whole number", "a whole number", "a number",
                                        "text",   "bytes",         "a list",         "a tuple",        "a dictionary",
                                        "a name", "a storage",     "a tensor",       "an object"};
    return names[kind];
}

bool bt_pickle_is_text(const value *v, const char *text) {
    return v->kind == BT_PICKLE_TEXT && v->as.text.length == strlen(text) &&
           memcmp(v->as.text.bytes, text, v->as.text.length) == 0;
}

const value *bt_pickle_find(const value *dict, const char *key) {
    for (size_t i = dict->kind == BT_PICKLE_DICT ? dict->as.list.count : 0; i >= 2; i -= 2)
        if (bt_pickle_is_text(dict->as.list.item[i - 2], key)) return dict->as.list.item[i - 1];
    return NULL;
}

/* ---- values and the stack ---- */

value *bt_pickle_new(machine *m, bt_pickle_kind kind) {
    value *v = bt_arena_alloc(&m->document->arena, 1, sizeof *v);
    if (!v) return NULL;
    v->kind = kind;
    v->at = m->base + m->op;
    return v;
}

/** The arrays of lists lie in the arena too: what a list outgrows stays behind, at most as much again. */
bt_status bt_pickle_append(machine *m, value *list, value *item) {
    if (list->as.list.count == list->as.list.capacity) {
        size_t capacity = list->as.list.capacity ? 2 * list->as.list.capacity : 4;
        value **grown = bt_arena_alloc(&m->document->arena, capacity, sizeof(value *));
        if (!grown) return BT_ERR_MEMORY;
        if (list->as.list.count) memcpy(grown, list->as.list.item, list->as.list.count * sizeof(value *));
        list->as.list.item = grown;
        list->as.list.capacity = capacity;
    }
    list->as.list.item[list->as.list.count++] = item;
    return BT_OK;
}

static bt_status push(machine *m, value *v) {
    if (!v) return BT_ERR_MEMORY;
    if (++m->document->pushes > BT_PICKLE_MAX_VALUES)
        return bt_pickle_error(m, "over %zu values; no weight file needs so many", BT_PICKLE_MAX_VALUES);
    if (m->depth == m->stack_capacity) {
        void *grown = bt_memory_grow(m->stack, &m->stack_capacity, m->depth + 1, sizeof(value *));
        if (!grown) return BT_ERR_MEMORY;
        m->stack = grown;
    }
    m->stack[m->depth++] = v;
    return BT_OK;
}

/** `count` values above the last mark. */
static bt_status need(machine *m, size_t count) {
    size_t floor = m->mark_count ? m->marks[m->mark_count - 1] : 0;
    if (m->depth - floor >= count) return BT_OK;
    return bt_pickle_error(m, "instruction 0x%02x takes %zu values from a stack of %zu; the pickle is damaged",
                           m->data[m->op], count, m->depth - floor);
}

static bt_status operand(machine *m, uint64_t bytes, const unsigned char **out) {
    if (bytes > m->bytes - m->at)
        return bt_pickle_error(
            m, "instruction 0x%02x needs %llu bytes, and %zu are left; the pickle is cut off or damaged",
            m->data[m->op], (unsigned long long)bytes, m->bytes - m->at);
    *out = m->data + m->at;
    m->at += (size_t)bytes;
    return BT_OK;
}

/** An operand that is a number of `bytes` bytes, lowest first. */
static bt_status number(machine *m, int bytes, uint64_t *out) {
    const unsigned char *at = NULL;
    BT_TRY(operand(m, (uint64_t)bytes, &at));
    *out = 0;
    for (int i = bytes; i-- > 0;) *out = *out << 8 | at[i];
    return BT_OK;
}

/* ---- plain values ---- */

static bt_status push_integer(machine *m, int64_t integer) {
    value *v = bt_pickle_new(m, BT_PICKLE_INTEGER);
    if (v) v->as.integer = integer;
    return push(m, v);
}

static bt_status op_bool(machine *m, int boolean) {
    value *v = bt_pickle_new(m, BT_PICKLE_BOOL);
    if (v) v->as.boolean = boolean;
    return push(m, v);
}

/** None, or an empty list or dictionary. */
static bt_status op_new(machine *m, int kind) {
    return push(m, bt_pickle_new(m, (bt_pickle_kind)kind));
}

static bt_status op_integer(machine *m, int bytes) {
    uint64_t bits = 0;
    BT_TRY(number(m, bytes, &bits));
    return push_integer(m, bytes == 4 ? (int64_t)(int32_t)(uint32_t)bits : (int64_t)bits);
}

/** Two's complement of any length, whose length is the first operand. */
static bt_status op_long(machine *m, int length_bytes) {
    uint64_t length = 0;
    const unsigned char *at = NULL;
    BT_TRY(number(m, length_bytes, &length));
    BT_TRY(operand(m, length, &at));
    if (length > 8) {
        value *v = bt_pickle_new(m, BT_PICKLE_LARGE);
        if (!v) return BT_ERR_MEMORY;
        v->as.text.bytes = (const char *)at;
        v->as.text.length = (size_t)length;
        return push(m, v);
    }
    uint64_t bits = length && at[length - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = (size_t)length; i-- > 0;) bits = bits << 8 | at[i];
    return push_integer(m, (int64_t)bits);
}

/** A double, highest byte first. */
static bt_status op_double(machine *m, int bytes) {
    const unsigned char *at = NULL;
    BT_TRY(operand(m, (uint64_t)bytes, &at));
    uint64_t bits = 0;
    for (int i = 0; i < bytes; i++) bits = bits << 8 | at[i];
    value *v = bt_pickle_new(m, BT_PICKLE_NUMBER);
    if (v) memcpy(&v->as.number, &bits, 8);
    return push(m, v);
}

static bt_status text_of(machine *m, int length_bytes, bt_pickle_kind kind) {
    uint64_t length = 0;
    const unsigned char *at = NULL;
    BT_TRY(number(m, length_bytes, &length));
    BT_TRY(operand(m, length, &at));
    value *v = bt_pickle_new(m, kind);
    if (!v) return BT_ERR_MEMORY;
    v->as.text.bytes = (const char *)at;
    v->as.text.length = (size_t)length;
    return push(m, v);
}

static bt_status op_text(machine *m, int length_bytes) {
    return text_of(m, length_bytes, BT_PICKLE_TEXT);
}

static bt_status op_bytes(machine *m, int length_bytes) {
    return text_of(m, length_bytes, BT_PICKLE_BYTES);
}

/* ---- containers ---- */

static bt_status op_mark(machine *m, int unused) {
    (void)unused;
    if (m->mark_count == BT_PICKLE_MAX_MARKS)
        return bt_pickle_error(m, "over %d containers within each other", BT_PICKLE_MAX_MARKS);
    m->marks[m->mark_count++] = m->depth;
    return BT_OK;
}

/** Ends the last mark; its values are those from `first` to the top. */
static bt_status end_mark(machine *m, size_t *first) {
    if (m->mark_count == 0)
        return bt_pickle_error(m, "instruction 0x%02x ends a container that was not begun; the pickle is damaged",
                               m->data[m->op]);
    *first = m->marks[--m->mark_count];
    return BT_OK;
}

/** The top `count` values become one tuple. */
static bt_status make_tuple(machine *m, size_t count) {
    value *v = bt_pickle_new(m, BT_PICKLE_TUPLE);
    value **items = count ? bt_arena_alloc(&m->document->arena, count, sizeof *items) : NULL;
    if (!v || (count && !items)) return BT_ERR_MEMORY;
    if (count) memcpy(items, m->stack + m->depth - count, count * sizeof *items);
    v->as.list.item = items;
    v->as.list.count = v->as.list.capacity = count;
    m->depth -= count;
    return push(m, v);
}

static bt_status op_tuple(machine *m, int count) {
    if (count >= 0) {
        BT_TRY(need(m, (size_t)count));
        return make_tuple(m, (size_t)count);
    }
    size_t first = 0;
    BT_TRY(end_mark(m, &first));
    return make_tuple(m, m->depth - first);
}

/** Moves the values from `first` on into the container below them. */
static bt_status fill(machine *m, size_t first, bt_pickle_kind kind) {
    size_t count = m->depth - first, floor = m->mark_count ? m->marks[m->mark_count - 1] : 0;
    if (first <= floor) return bt_pickle_error(m, "items without their container; the pickle is damaged");
    value *container = m->stack[first - 1];
    if (container->kind != kind || container->object)
        return bt_pickle_error(m, "items of %s are put into %s", bt_pickle_kind_name(kind),
                               bt_pickle_kind_name(container->kind));
    if (kind == BT_PICKLE_DICT && count % 2)
        return bt_pickle_error(m, "a key of a dictionary without a value; the pickle is damaged");
    for (size_t i = 0; i < count; i++) BT_TRY(bt_pickle_append(m, container, m->stack[first + i]));
    m->depth = first;
    return BT_OK;
}

/** One item, or one key and its value. */
static bt_status op_fill(machine *m, int kind) {
    size_t count = kind == BT_PICKLE_DICT ? 2 : 1;
    BT_TRY(need(m, count + 1));
    return fill(m, m->depth - count, (bt_pickle_kind)kind);
}

static bt_status op_fill_marked(machine *m, int kind) {
    size_t first = 0;
    BT_TRY(end_mark(m, &first));
    return fill(m, first, (bt_pickle_kind)kind);
}

static bt_status op_pop(machine *m, int unused) {
    (void)unused;
    if (m->mark_count && m->marks[m->mark_count - 1] == m->depth) {
        m->mark_count--;
        return BT_OK;
    }
    BT_TRY(need(m, 1));
    m->depth--;
    return BT_OK;
}

static bt_status op_pop_mark(machine *m, int unused) {
    (void)unused;
    return end_mark(m, &m->depth);
}

/* ---- memo ---- */

static bt_status put(machine *m, uint64_t index) {
    BT_TRY(need(m, 1));
    if (index >= BT_PICKLE_MAX_MEMO)
        return bt_pickle_error(m, "memo %llu; at most %zu are kept", (unsigned long long)index, BT_PICKLE_MAX_MEMO);
    if (index >= m->memo_capacity) {
        size_t before = m->memo_capacity;
        void *grown = bt_memory_grow(m->memo, &m->memo_capacity, (size_t)index + 1, sizeof(value *));
        if (!grown) return BT_ERR_MEMORY;
        m->memo = grown;
        memset(m->memo + before, 0, (m->memo_capacity - before) * sizeof(value *));
    }
    if (index >= m->memo_count) m->memo_count = (size_t)index + 1;
    m->memo[index] = m->stack[m->depth - 1];
    return BT_OK;
}

static bt_status op_put(machine *m, int bytes) {
    uint64_t index = 0;
    BT_TRY(number(m, bytes, &index));
    return put(m, index);
}

static bt_status op_memoize(machine *m, int unused) {
    (void)unused;
    return put(m, m->memo_count);
}

static bt_status op_get(machine *m, int bytes) {
    uint64_t index = 0;
    BT_TRY(number(m, bytes, &index));
    if (index >= m->memo_count || !m->memo[index])
        return bt_pickle_error(m, "memo %llu is asked for and was never kept; the pickle is damaged",
                               (unsigned long long)index);
    return push(m, m->memo[index]);
}

/* ---- names and calls ---- */

static bt_status op_global(machine *m, int unused) {
    (void)unused;
    const char *module = (const char *)m->data + m->at;
    const char *end = memchr(module, '\n', m->bytes - m->at);
    const char *name = end ? end + 1 : NULL;
    const char *last = name ? memchr(name, '\n', m->bytes - m->at - (size_t)(name - module)) : NULL;
    if (!last) return bt_pickle_error(m, "a name has no end; the pickle is cut off or damaged");
    m->at += (size_t)(last + 1 - module);
    value *v = NULL;
    BT_TRY(bt_pickle_name(m, module, (size_t)(end - module), name, (size_t)(last - name), &v));
    return push(m, v);
}

static bt_status op_stack_global(machine *m, int unused) {
    (void)unused;
    BT_TRY(need(m, 2));
    const value *module = m->stack[m->depth - 2], *name = m->stack[m->depth - 1];
    if (module->kind != BT_PICKLE_TEXT || name->kind != BT_PICKLE_TEXT)
        return bt_pickle_error(m, "a name is put together from %s and %s", bt_pickle_kind_name(module->kind),
                               bt_pickle_kind_name(name->kind));
    value *v = NULL;
    BT_TRY(bt_pickle_name(m, module->as.text.bytes, module->as.text.length, name->as.text.bytes, name->as.text.length,
                          &v));
    m->depth -= 2;
    return push(m, v);
}

static bt_status op_call(machine *m, int make) {
    BT_TRY(need(m, 2));
    value *v = NULL;
    BT_TRY(bt_pickle_call(m, m->stack[m->depth - 2], m->stack[m->depth - 1], make, &v));
    m->depth -= 2;
    return push(m, v);
}

static bt_status op_build(machine *m, int unused) {
    (void)unused;
    BT_TRY(need(m, 2));
    BT_TRY(bt_pickle_build(m, m->stack[m->depth - 2], m->stack[m->depth - 1]));
    m->depth--;
    return BT_OK;
}

static bt_status op_persistent(machine *m, int unused) {
    (void)unused;
    BT_TRY(need(m, 1));
    value *v = NULL;
    BT_TRY(bt_pickle_storage_of(m, m->stack[m->depth - 1], &v));
    m->depth--;
    return push(m, v);
}

static bt_status op_frame(machine *m, int length_bytes) {
    uint64_t bytes = 0;
    BT_TRY(number(m, length_bytes, &bytes));
    if (bytes > m->bytes - m->at)
        return bt_pickle_error(m, "a frame of %llu bytes, and %zu are left; the pickle is cut off or damaged",
                               (unsigned long long)bytes, m->bytes - m->at);
    return BT_OK;
}

/* ---- the loop ---- */

/** What each instruction does, and with which number: bytes of an operand, a kind, how many. */
static const struct {
    bt_status (*run)(machine *m, int with);
    int with;
} instructions[256] = {
    ['N'] = {op_new, BT_PICKLE_NONE},
    [0x88] = {op_bool, true},
    [0x89] = {op_bool, false},
    ['K'] = {op_integer, 1},
    ['M'] = {op_integer, 2},
    ['J'] = {op_integer, 4},
    [0x8a] = {op_long, 1},
    [0x8b] = {op_long, 4},
    ['G'] = {op_double, 8},
    [0x8c] = {op_text, 1},
    ['X'] = {op_text, 4},
    [0x8d] = {op_text, 8},
    ['U'] = {op_text, 1}, /* str of Python 2 */
    ['T'] = {op_text, 4},
    ['C'] = {op_bytes, 1},
    ['B'] = {op_bytes, 4},
    [0x8e] = {op_bytes, 8},
    [0x96] = {op_bytes, 8},
    [']'] = {op_new, BT_PICKLE_LIST},
    ['}'] = {op_new, BT_PICKLE_DICT},
    [')'] = {op_tuple, 0},
    [0x85] = {op_tuple, 1},
    [0x86] = {op_tuple, 2},
    [0x87] = {op_tuple, 3},
    ['t'] = {op_tuple, -1},
    ['('] = {op_mark, 0},
    ['a'] = {op_fill, BT_PICKLE_LIST},
    ['s'] = {op_fill, BT_PICKLE_DICT},
    ['e'] = {op_fill_marked, BT_PICKLE_LIST},
    ['u'] = {op_fill_marked, BT_PICKLE_DICT},
    ['0'] = {op_pop, 0},
    ['1'] = {op_pop_mark, 0},
    ['q'] = {op_put, 1},
    ['r'] = {op_put, 4},
    [0x94] = {op_memoize, 0},
    ['h'] = {op_get, 1},
    ['j'] = {op_get, 4},
    ['c'] = {op_global, 0},
    [0x93] = {op_stack_global, 0},
    ['R'] = {op_call, false},
    [0x81] = {op_call, true},
    ['b'] = {op_build, 0},
    ['Q'] = {op_persistent, 0},
    [0x95] = {op_frame, 8},
};

static bt_status run(machine *m, value **out) {
    if (m->bytes < 2 || m->data[0] != 0x80 || m->data[1] < 2 || m->data[1] > 5)
        return bt_pickle_error(m, "no pickle of protocol 2 to 5 begins here (80 02 to 80 05 expected%s)",
                               m->bytes < 2 ? "; the file is cut off" : "");
    for (m->at = 2;;) {
        m->op = m->at;
        if (m->at == m->bytes || m->at >= BT_PICKLE_MAX_BYTES)
            return bt_pickle_error(m, "the pickle does not end; is the download complete?");
        int op = m->data[m->at++];
        if (op == '.') break;
        if (!instructions[op].run) return bt_pickle_refuse(m, op);
        BT_TRY(instructions[op].run(m, instructions[op].with));
    }
    if (m->depth != 1 || m->mark_count)
        return bt_pickle_error(m, "the pickle ends with %zu values on its stack, one is expected; it is damaged",
                               m->depth);
    *out = m->stack[0];
    return BT_OK;
}

bt_status bt_pickle_read(bt_pickle *document, const char *where, size_t base, const unsigned char *data, size_t bytes,
                         value **out, size_t *out_bytes) {
    machine *m = bt_memory_zeroed(1, sizeof *m); /* 32 KiB of marks */
    if (!m) return BT_ERR_MEMORY;
    m->document = document;
    m->where = where;
    m->base = base;
    m->data = data;
    m->bytes = bytes;
    bt_status status = run(m, out);
    if (status == BT_OK) *out_bytes = m->at;
    bt_memory_free(m->stack);
    bt_memory_free(m->memo);
    bt_memory_free(m);
    return status;
}

void bt_pickle_free(bt_pickle *document) {
    bt_memory_free(document->storages);
    bt_arena_free(&document->arena);
    *document = (bt_pickle){.pushes = 0};
}
