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
static bt_status number(machine *m, size_t bytes, uint64_t *out) {
    const unsigned char *at = NULL;
    BT_TRY(operand(m, bytes, &at));
    *out = 0;
    for (size_t i = bytes; i-- > 0;) *out = *out << 8 | at[i];
    return BT_OK;
}

/* ---- plain values ---- */

static bt_status push_integer(machine *m, int64_t integer) {
    value *v = bt_pickle_new(m, BT_PICKLE_INTEGER);
    if (v) v->as.integer = integer;
    return push(m, v);
}

static bt_status push_bool(machine *m, bool boolean) {
    value *v = bt_pickle_new(m, BT_PICKLE_BOOL);
    if (v) v->as.boolean = boolean;
    return push(m, v);
}

static bt_status op_integer(machine *m, size_t bytes) {
    uint64_t bits = 0;
    BT_TRY(number(m, bytes, &bits));
    return push_integer(m, bytes == 4 ? (int64_t)(int32_t)(uint32_t)bits : (int64_t)bits);
}

/** Two's complement of any length, whose length is the first operand. */
static bt_status op_long(machine *m, size_t length_bytes) {
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

static bt_status op_double(machine *m) {
    const unsigned char *at = NULL;
    BT_TRY(operand(m, 8, &at));
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) bits = bits << 8 | at[i];
    value *v = bt_pickle_new(m, BT_PICKLE_NUMBER);
    if (v) memcpy(&v->as.number, &bits, 8);
    return push(m, v);
}

static bt_status op_text(machine *m, size_t length_bytes, bt_pickle_kind kind) {
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

/* ---- containers ---- */

static bt_status op_mark(machine *m) {
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

static bt_status op_fill(machine *m, size_t count, bt_pickle_kind kind) {
    BT_TRY(need(m, count + 1));
    return fill(m, m->depth - count, kind);
}

static bt_status op_fill_marked(machine *m, bt_pickle_kind kind) {
    size_t first = 0;
    BT_TRY(end_mark(m, &first));
    return fill(m, first, kind);
}

static bt_status op_pop(machine *m) {
    if (m->mark_count && m->marks[m->mark_count - 1] == m->depth) {
        m->mark_count--;
        return BT_OK;
    }
    BT_TRY(need(m, 1));
    m->depth--;
    return BT_OK;
}

static bt_status op_pop_mark(machine *m) {
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

static bt_status op_put(machine *m, size_t bytes) {
    uint64_t index = 0;
    BT_TRY(number(m, bytes, &index));
    return put(m, index);
}

static bt_status op_get(machine *m, size_t bytes) {
    uint64_t index = 0;
    BT_TRY(number(m, bytes, &index));
    if (index >= m->memo_count || !m->memo[index])
        return bt_pickle_error(m, "memo %llu is asked for and was never kept; the pickle is damaged",
                               (unsigned long long)index);
    return push(m, m->memo[index]);
}

/* ---- names and calls ---- */

static bt_status op_global(machine *m) {
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

static bt_status op_stack_global(machine *m) {
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

static bt_status op_call(machine *m, bool make) {
    BT_TRY(need(m, 2));
    value *v = NULL;
    BT_TRY(bt_pickle_call(m, m->stack[m->depth - 2], m->stack[m->depth - 1], make, &v));
    m->depth -= 2;
    return push(m, v);
}

static bt_status op_build(machine *m) {
    BT_TRY(need(m, 2));
    BT_TRY(bt_pickle_build(m, m->stack[m->depth - 2], m->stack[m->depth - 1]));
    m->depth--;
    return BT_OK;
}

static bt_status op_persistent(machine *m) {
    BT_TRY(need(m, 1));
    value *v = NULL;
    BT_TRY(bt_pickle_storage_of(m, m->stack[m->depth - 1], &v));
    m->depth--;
    return push(m, v);
}

static bt_status op_frame(machine *m) {
    uint64_t bytes = 0;
    BT_TRY(number(m, 8, &bytes));
    if (bytes > m->bytes - m->at)
        return bt_pickle_error(m, "a frame of %llu bytes, and %zu are left; the pickle is cut off or damaged",
                               (unsigned long long)bytes, m->bytes - m->at);
    return BT_OK;
}

static bt_status op_unknown(const machine *m, int op) {
    static const struct {
        int op;
        const char *what;
    } known[] = {{'i', "makes an instance"},
                 {'o', "makes an instance"},
                 {0x92, "makes an instance"},
                 {0x82, "calls a registered extension"},
                 {0x83, "calls a registered extension"},
                 {0x84, "calls a registered extension"},
                 {'P', "asks for an outside object"},
                 {0x8f, "makes a set"},
                 {0x90, "fills a set"},
                 {0x91, "makes a set"},
                 {0x97, "asks for an outside buffer"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].op == op)
            return bt_pickle_error(m,
                                   "instruction 0x%02x %s; weight files hold tensors, numbers, text, lists and "
                                   "dictionaries only, and nothing else is made",
                                   (unsigned)op, known[i].what);
    return bt_pickle_error(
        m, "instruction 0x%02x is none that torch.save writes; the pickle is damaged, or of protocol 0 or 1",
        (unsigned)op);
}

/* ---- the loop ---- */

static bt_status step(machine *m, int op) {
    switch (op) {
    case 'N':
        return push(m, bt_pickle_new(m, BT_PICKLE_NONE));
    case 0x88:
        return push_bool(m, true);
    case 0x89:
        return push_bool(m, false);
    case 'K':
        return op_integer(m, 1);
    case 'M':
        return op_integer(m, 2);
    case 'J':
        return op_integer(m, 4);
    case 0x8a:
        return op_long(m, 1);
    case 0x8b:
        return op_long(m, 4);
    case 'G':
        return op_double(m);
    case 0x8c:
        return op_text(m, 1, BT_PICKLE_TEXT);
    case 'X':
        return op_text(m, 4, BT_PICKLE_TEXT);
    case 0x8d:
        return op_text(m, 8, BT_PICKLE_TEXT);
    case 'U':
        return op_text(m, 1, BT_PICKLE_TEXT); /* str of Python 2 */
    case 'T':
        return op_text(m, 4, BT_PICKLE_TEXT);
    case 'C':
        return op_text(m, 1, BT_PICKLE_BYTES);
    case 'B':
        return op_text(m, 4, BT_PICKLE_BYTES);
    case 0x8e:
    case 0x96:
        return op_text(m, 8, BT_PICKLE_BYTES);
    case ']':
        return push(m, bt_pickle_new(m, BT_PICKLE_LIST));
    case '}':
        return push(m, bt_pickle_new(m, BT_PICKLE_DICT));
    case ')':
        return op_tuple(m, 0);
    case 0x85:
        return op_tuple(m, 1);
    case 0x86:
        return op_tuple(m, 2);
    case 0x87:
        return op_tuple(m, 3);
    case 't':
        return op_tuple(m, -1);
    case '(':
        return op_mark(m);
    case 'a':
        return op_fill(m, 1, BT_PICKLE_LIST);
    case 'e':
        return op_fill_marked(m, BT_PICKLE_LIST);
    case 's':
        return op_fill(m, 2, BT_PICKLE_DICT);
    case 'u':
        return op_fill_marked(m, BT_PICKLE_DICT);
    case '0':
        return op_pop(m);
    case '1':
        return op_pop_mark(m);
    case 'q':
        return op_put(m, 1);
    case 'r':
        return op_put(m, 4);
    case 0x94:
        return put(m, m->memo_count);
    case 'h':
        return op_get(m, 1);
    case 'j':
        return op_get(m, 4);
    case 'c':
        return op_global(m);
    case 0x93:
        return op_stack_global(m);
    case 'R':
        return op_call(m, false);
    case 0x81:
        return op_call(m, true);
    case 'b':
        return op_build(m);
    case 'Q':
        return op_persistent(m);
    case 0x95:
        return op_frame(m);
    default:
        return op_unknown(m, op);
    }
}

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
        BT_TRY(step(m, op));
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
