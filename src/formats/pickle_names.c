/* The closed list of names that a pickle of weights may use, and what each does here; see pickle.h. Nothing is called:
 * a name leads to the few lines of C below that make the value which the function in Python would have made. */
#include "formats/pickle_local.h"

#include <string.h>

typedef bt_pickle_machine machine;
typedef bt_pickle_value value;

typedef enum deed {
    DO_DICT,       /* an empty dictionary, or one of the pairs that are given */
    DO_DEFAULT,    /* a dictionary; what makes its missing values does not matter */
    DO_TENSOR,     /* torch._utils._rebuild_tensor_v2 and the one before it */
    DO_TENSOR_3,   /* with a dtype of its own: torch._utils._rebuild_tensor_v3 */
    DO_PARAMETER,  /* the tensor that is given */
    DO_SUBTYPE,    /* torch._tensor._rebuild_from_type_v2: a tensor with attributes */
    DO_FIRST,      /* the first argument: lists and tags of TorchScript, torch.Size */
    DO_ATTRIBUTES, /* an object without attributes yet */
    DO_PLAIN,      /* harmless and of no use here */
    DO_ENCODE,     /* _codecs.encode(text, "latin1"): bytes in protocol 2 */
    DO_NP_DTYPE,
    DO_NP_SCALAR,
    IS_STORAGE,
    IS_DTYPE,
    IS_TYPE /* only an argument of others */
} deed;

typedef struct row {
    const char *module, *name;
    deed deed;
    bt_file_dtype dtype;
} row;

#define UNTYPED BT_FILE_DTYPE_COUNT
static const row rows[] = {
    {"collections", "OrderedDict", DO_DICT, 0},
    {"collections", "Counter", DO_DICT, 0},
    {"collections", "defaultdict", DO_DEFAULT, 0},
    {"torch._utils", "_rebuild_tensor", DO_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v2", DO_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v3", DO_TENSOR_3, 0},
    {"torch._utils", "_rebuild_parameter", DO_PARAMETER, 0},
    {"torch._utils", "_rebuild_parameter_with_state", DO_PARAMETER, 0},
    {"torch._tensor", "_rebuild_from_type_v2", DO_SUBTYPE, 0},
    {"torch", "Size", DO_FIRST, 0},
    {"torch", "device", DO_PLAIN, 0},
    {"torch", "Tensor", IS_TYPE, 0},
    {"torch.nn.parameter", "Parameter", DO_PARAMETER, 0},
    {"torch", "DoubleStorage", IS_STORAGE, BT_FILE_F64},
    {"torch", "FloatStorage", IS_STORAGE, BT_FILE_F32},
    {"torch", "HalfStorage", IS_STORAGE, BT_FILE_F16},
    {"torch", "BFloat16Storage", IS_STORAGE, BT_FILE_BF16},
    {"torch", "LongStorage", IS_STORAGE, BT_FILE_I64},
    {"torch", "IntStorage", IS_STORAGE, BT_FILE_I32},
    {"torch", "ShortStorage", IS_STORAGE, BT_FILE_I16},
    {"torch", "CharStorage", IS_STORAGE, BT_FILE_I8},
    {"torch", "ByteStorage", IS_STORAGE, BT_FILE_U8},
    {"torch", "BoolStorage", IS_STORAGE, BT_FILE_BOOL},
    {"torch", "UntypedStorage", IS_STORAGE, UNTYPED},
    {"torch.storage", "UntypedStorage", IS_STORAGE, UNTYPED},
    {"torch.storage", "_UntypedStorage", IS_STORAGE, UNTYPED},
    {"torch", "float64", IS_DTYPE, BT_FILE_F64},
    {"torch", "float32", IS_DTYPE, BT_FILE_F32},
    {"torch", "float16", IS_DTYPE, BT_FILE_F16},
    {"torch", "bfloat16", IS_DTYPE, BT_FILE_BF16},
    {"torch", "float8_e5m2", IS_DTYPE, BT_FILE_F8_E5M2},
    {"torch", "float8_e4m3fn", IS_DTYPE, BT_FILE_F8_E4M3},
    {"torch", "int64", IS_DTYPE, BT_FILE_I64},
    {"torch", "int32", IS_DTYPE, BT_FILE_I32},
    {"torch", "int16", IS_DTYPE, BT_FILE_I16},
    {"torch", "int8", IS_DTYPE, BT_FILE_I8},
    {"torch", "uint64", IS_DTYPE, BT_FILE_U64},
    {"torch", "uint32", IS_DTYPE, BT_FILE_U32},
    {"torch", "uint16", IS_DTYPE, BT_FILE_U16},
    {"torch", "uint8", IS_DTYPE, BT_FILE_U8},
    {"torch", "bool", IS_DTYPE, BT_FILE_BOOL},
    {"torch.jit._pickle", "build_intlist", DO_FIRST, 0},
    {"torch.jit._pickle", "build_doublelist", DO_FIRST, 0},
    {"torch.jit._pickle", "build_boollist", DO_FIRST, 0},
    {"torch.jit._pickle", "build_tensorlist", DO_FIRST, 0},
    {"torch.jit._pickle", "restore_type_tag", DO_FIRST, 0},
    {"argparse", "Namespace", DO_ATTRIBUTES, 0},
    {"numpy.core.multiarray", "scalar", DO_NP_SCALAR, 0},
    {"numpy._core.multiarray", "scalar", DO_NP_SCALAR, 0},
    {"numpy", "dtype", DO_NP_DTYPE, 0},
    {"_codecs", "encode", DO_ENCODE, 0},
    {"builtins", "dict", IS_TYPE, 0},
    {"builtins", "list", IS_TYPE, 0},
    {"builtins", "int", IS_TYPE, 0},
    {"builtins", "float", IS_TYPE, 0},
    {"__builtin__", "dict", IS_TYPE, 0},
    {"__builtin__", "list", IS_TYPE, 0},
    {"__builtin__", "int", IS_TYPE, 0},
    {"__builtin__", "float", IS_TYPE, 0},
};

/* A class of TorchScript, of any name: the archive holds its code, which is not read. */
static const row script_class = {"__torch__", "", DO_ATTRIBUTES, 0};

static bool same(const char *text, size_t bytes, const char *name) {
    return strlen(name) == bytes && memcmp(text, name, bytes) == 0;
}

static bool ends_in(const char *text, size_t bytes, const char *tail) {
    size_t n = strlen(tail);
    return bytes >= n && memcmp(text + bytes - n, tail, n) == 0;
}

/** The line that names what is refused. */
static bt_status refuse(const machine *m, const char *module, size_t module_bytes, const char *name,
                        size_t name_bytes) {
    int a = module_bytes > 120 ? 120 : (int)module_bytes, b = name_bytes > 120 ? 120 : (int)name_bytes;
    if (same(module, module_bytes, "torch") && ends_in(name, name_bytes, "Storage"))
        return bt_pickle_error(m,
                               "tensors of torch.%.*s are not read; read are Double, Float, Half, BFloat16, Long, Int, "
                               "Short, Char, Byte and Bool",
                               b, name);
    bool class = name_bytes && name[0] >= 'A' && name[0] <= 'Z';
    return bt_pickle_error(m,
                           "%s %.*s.%.*s; weight files hold tensors and plain containers only, and nothing of this one "
                           "is run. If you trust its source, load it "
                           "in Python and save its state_dict() alone",
                           class ? "holds an object of the class" : "calls", a, module, b, name);
}

bt_status bt_pickle_name(machine *m, const char *module, size_t module_bytes, const char *name, size_t name_bytes,
                         value **out) {
    const row *found = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !found; i++)
        if (same(module, module_bytes, rows[i].module) && same(name, name_bytes, rows[i].name)) found = &rows[i];
    bool script = module_bytes >= 9 && memcmp(module, "__torch__", 9) == 0 && (module_bytes == 9 || module[9] == '.');
    if (!found && script) found = &script_class;
    if (!found) return refuse(m, module, module_bytes, name, name_bytes);
    value *v = bt_pickle_new(m, BT_PICKLE_NAME);
    if (!v) return BT_ERR_MEMORY;
    v->name = found;
    *out = v;
    return BT_OK;
}

bool bt_pickle_storage_type(const value *name, bt_file_dtype *out) {
    const row *r = name->kind == BT_PICKLE_NAME ? name->name : NULL;
    if (!r || r->deed != IS_STORAGE) return false;
    *out = r->dtype;
    return true;
}

bt_status bt_pickle_refuse(const machine *m, int op) {
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

/* ---- what names do ---- */

static bt_status wrong(const machine *m, const row *r) {
    return bt_pickle_error(m, "arguments of %s.%s are not those that torch.save writes; the pickle is damaged",
                           r->module, r->name);
}

static const value *argument(const value *arguments, size_t i, bt_pickle_kind kind) {
    if (i >= arguments->as.list.count || arguments->as.list.item[i]->kind != kind) return NULL;
    return arguments->as.list.item[i];
}

/** OrderedDict() and OrderedDict([[key, value], ...]) of Python 2; Counter({...}). */
static bt_status make_dict(machine *m, const row *r, const value *arguments, value **out) {
    value *dict = bt_pickle_new(m, BT_PICKLE_DICT);
    if (!dict) return BT_ERR_MEMORY;
    const value *items = argument(arguments, 0, BT_PICKLE_LIST), *pairs = argument(arguments, 0, BT_PICKLE_DICT);
    if (arguments->as.list.count > 1 || (arguments->as.list.count == 1 && !items && !pairs)) return wrong(m, r);
    for (size_t i = 0; pairs && i < pairs->as.list.count; i++)
        BT_TRY(bt_pickle_append(m, dict, pairs->as.list.item[i]));
    for (size_t i = 0; items && i < items->as.list.count; i++) {
        const value *pair = items->as.list.item[i];
        if ((pair->kind != BT_PICKLE_LIST && pair->kind != BT_PICKLE_TUPLE) || pair->as.list.count != 2)
            return wrong(m, r);
        BT_TRY(bt_pickle_append(m, dict, pair->as.list.item[0]));
        BT_TRY(bt_pickle_append(m, dict, pair->as.list.item[1]));
    }
    m->document->pushes += dict->as.list.count; /* pairs made from one list again and again count each time */
    if (m->document->pushes > BT_PICKLE_MAX_VALUES)
        return bt_pickle_error(m, "over %zu values; no weight file needs so many", BT_PICKLE_MAX_VALUES);
    *out = dict;
    return BT_OK;
}

/** Bytes of protocol 2 are written as the text of their Latin-1. */
static bt_status encode(machine *m, const row *r, const value *arguments, value **out) {
    const value *text = argument(arguments, 0, BT_PICKLE_TEXT), *code = argument(arguments, 1, BT_PICKLE_TEXT);
    if (!text || !code || !bt_pickle_is_text(code, "latin1")) return wrong(m, r);
    value *v = bt_pickle_new(m, BT_PICKLE_BYTES);
    char *bytes = bt_arena_alloc(&m->document->arena, text->as.text.length + 1, 1);
    if (!v || !bytes) return BT_ERR_MEMORY;
    const unsigned char *from = (const unsigned char *)text->as.text.bytes;
    size_t length = 0;
    for (size_t i = 0; i < text->as.text.length; i++) {
        unsigned byte = from[i];
        if (byte >= 0x80) {
            if ((byte != 0xC2 && byte != 0xC3) || i + 1 == text->as.text.length || (from[i + 1] & 0xC0) != 0x80)
                return wrong(m, r);
            byte = (byte & 3) << 6 | (from[++i] & 0x3Fu);
        }
        bytes[length++] = (char)byte;
    }
    m->document->pushes += length / 32; /* the arena's bytes, as values */
    v->as.text.bytes = bytes;
    v->as.text.length = length;
    *out = v;
    return BT_OK;
}

/** numpy.dtype('f8', ...): plain, its text the code. */
static bt_status numpy_dtype(machine *m, const row *r, const value *arguments, value **out) {
    const value *code = argument(arguments, 0, BT_PICKLE_TEXT);
    if (!code) return wrong(m, r);
    value *v = bt_pickle_new(m, BT_PICKLE_PLAIN);
    if (!v) return BT_ERR_MEMORY;
    v->as.text.bytes = code->as.text.bytes;
    v->as.text.length = code->as.text.length;
    *out = v;
    return BT_OK;
}

/** numpy scalar(dtype, bytes): a number if it is one of the common types; else plain. */
static bt_status numpy_scalar(machine *m, const row *r, const value *arguments, value **out) {
    const value *dtype = argument(arguments, 0, BT_PICKLE_PLAIN), *bytes = argument(arguments, 1, BT_PICKLE_BYTES);
    if (!bytes) bytes = argument(arguments, 1, BT_PICKLE_TEXT); /* str of Python 2 */
    if (!dtype || !bytes) return wrong(m, r);
    const unsigned char *at = (const unsigned char *)bytes->as.text.bytes;
    const char *code = dtype->as.text.length == 2 ? dtype->as.text.bytes : "?";
    size_t size = code[0] == '?' ? 0 : (size_t)(code[1] - '0');
    value *v = bt_pickle_new(m, BT_PICKLE_PLAIN);
    if (!v) return BT_ERR_MEMORY;
    *out = v;
    if (bytes->as.text.length != size || !code[0] || !strchr("fiub", code[0])) return BT_OK;
    uint64_t bits = 0;
    for (size_t i = size > 8 ? 0 : size; i-- > 0;) bits = bits << 8 | at[i];
    if (code[0] == 'f' && (size == 8 || size == 4)) {
        uint32_t low = (uint32_t)bits;
        float single;
        memcpy(&single, &low, sizeof single);
        v->kind = BT_PICKLE_NUMBER;
        if (size == 8)
            memcpy(&v->as.number, &bits, sizeof bits);
        else
            v->as.number = (double)single;
    } else if (code[0] != 'f' && (size == 1 || size == 2 || size == 4 || (size == 8 && code[0] == 'i'))) {
        v->kind = BT_PICKLE_INTEGER;
        unsigned unused = (unsigned)(64 - 8 * size);
        v->as.integer = code[0] == 'i' ? (int64_t)(bits << unused) >> unused : (int64_t)bits;
    }
    return BT_OK;
}

/** torch._tensor._rebuild_from_type_v2(function, type, arguments, state). */
static bt_status subtype(machine *m, const row *r, const value *arguments, value **out) {
    const value *function = argument(arguments, 0, BT_PICKLE_NAME), *type = argument(arguments, 1, BT_PICKLE_NAME);
    const value *inner = argument(arguments, 2, BT_PICKLE_TUPLE);
    if (!function || !type || !inner) return wrong(m, r);
    deed d = ((const row *)function->name)->deed;
    if (d != DO_TENSOR && d != DO_TENSOR_3 && d != DO_PARAMETER) return wrong(m, r);
    return bt_pickle_call(m, function, inner, false, out);
}

static bt_status tensor_3(machine *m, const row *r, const value *arguments, value **out) {
    const value *dtype = argument(arguments, 6, BT_PICKLE_NAME);
    const row *type = dtype ? dtype->name : NULL;
    if (!type || type->deed != IS_DTYPE) return wrong(m, r);
    return bt_pickle_tensor_of(m, arguments, type->dtype, out);
}

static bt_status first_argument(const machine *m, const row *r, const value *arguments, bt_pickle_kind kind,
                                value **out) {
    if (arguments->as.list.count == 0) return wrong(m, r);
    *out = arguments->as.list.item[0];
    return kind == BT_PICKLE_NONE || (*out)->kind == kind ? BT_OK : wrong(m, r);
}

static bt_status new_plain(machine *m, bt_pickle_kind kind, bool object, value **out) {
    value *v = bt_pickle_new(m, kind);
    if (!v) return BT_ERR_MEMORY;
    v->object = object;
    *out = v;
    return BT_OK;
}

bt_status bt_pickle_call(machine *m, const value *callable, const value *arguments, bool make, value **out) {
    const row *r = callable->kind == BT_PICKLE_NAME ? callable->name : NULL;
    if (!r) return bt_pickle_error(m, "calls %s; the pickle is damaged", bt_pickle_kind_name(callable->kind));
    if (arguments->kind != BT_PICKLE_TUPLE) return wrong(m, r);
    if (make && r->deed != DO_DICT && r->deed != DO_ATTRIBUTES && r->deed != DO_PARAMETER) return wrong(m, r);
    switch (r->deed) {
    case DO_DICT:
        return make_dict(m, r, arguments, out);
    case DO_DEFAULT:
        return new_plain(m, BT_PICKLE_DICT, false, out);
    case DO_TENSOR:
        return bt_pickle_tensor_of(m, arguments, UNTYPED, out);
    case DO_TENSOR_3:
        return tensor_3(m, r, arguments, out);
    case DO_PARAMETER:
        return first_argument(m, r, arguments, BT_PICKLE_TENSOR, out);
    case DO_SUBTYPE:
        return subtype(m, r, arguments, out);
    case DO_FIRST:
        return first_argument(m, r, arguments, BT_PICKLE_NONE, out);
    case DO_ATTRIBUTES:
        return new_plain(m, BT_PICKLE_DICT, true, out);
    case DO_PLAIN:
        return new_plain(m, BT_PICKLE_PLAIN, false, out);
    case DO_ENCODE:
        return encode(m, r, arguments, out);
    case DO_NP_DTYPE:
        return numpy_dtype(m, r, arguments, out);
    case DO_NP_SCALAR:
        return numpy_scalar(m, r, arguments, out);
    case IS_STORAGE:
    case IS_DTYPE:
    case IS_TYPE:
        break;
    }
    return bt_pickle_error(m, "calls %s.%s, which torch.save never does; the pickle is damaged", r->module, r->name);
}

bt_status bt_pickle_build(machine *m, value *object, const value *state) {
    if (object->kind == BT_PICKLE_DICT && object->object) {
        if (state->kind != BT_PICKLE_DICT || state->object)
            return bt_pickle_error(m, "attributes are %s, a dictionary is expected", bt_pickle_kind_name(state->kind));
        m->document->pushes += state->as.list.count;
        if (m->document->pushes > BT_PICKLE_MAX_VALUES)
            return bt_pickle_error(m, "over %zu values; no weight file needs so many", BT_PICKLE_MAX_VALUES);
        for (size_t i = 0; i < state->as.list.count; i++) BT_TRY(bt_pickle_append(m, object, state->as.list.item[i]));
        return BT_OK;
    }
    /* A dtype of NumPy with its byte order: values of the other one are not decoded. */
    if (object->kind == BT_PICKLE_PLAIN) {
        if (state->kind == BT_PICKLE_TUPLE && state->as.list.count > 1 &&
            bt_pickle_is_text(state->as.list.item[1], ">"))
            object->as.text.length = 0;
        return BT_OK;
    }
    /* A Parameter of before 2018: whether it takes a gradient, and its hooks. */
    if (object->kind == BT_PICKLE_TENSOR && state->kind == BT_PICKLE_TUPLE) return BT_OK;
    /* Attributes beside the items: the versions of modules (_metadata) in a state_dict. */
    if (object->kind == BT_PICKLE_DICT) return BT_OK;
    return bt_pickle_error(m, "gives attributes to %s, which torch.save never does; the pickle is damaged",
                           bt_pickle_kind_name(object->kind));
}
