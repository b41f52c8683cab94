/* A case: operands made from a row's text, laid out among guard words in one block, filled with seeded values. */
#include "ops_test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GUARD_BYTES 256u
/* A NaN as bf16 and, twice, as f32: padding that is read shows in the result. Each operand has its own (the word plus
 * its index): arithmetic keeps the bits of a NaN, and one that is read behind an input and written behind an output
 * must show. */
#define GUARD_WORD 0xFFC1u
#define NAN_BYTE 0xFF /* four of them are a NaN in f32, two in bf16 */

const bt_step ops_step = {.seed = 0x0123456789abcdefu,
                          .step = 41,
                          .lr = {1e-3f, 3e-4f, 1e-2f, 5e-5f},
                          .step_size = {2e-3f, 4e-4f, 3e-2f, 6e-5f},
                          .bias2_sqrt = {0.5f, 0.25f, 0.9f, 0.75f},
                          .average_weight = 0.0625f};

/* ---- the row's text ---- */

static bt_dtype dtype_named(const char *text, size_t bytes) {
    for (int d = BT_F32; d < BT_DTYPE_COUNT; d++) {
        const char *name = bt_dtype_name((bt_dtype)d);
        if (strlen(name) == bytes && strncmp(name, text, bytes) == 0) return (bt_dtype)d;
    }
    return BT_NONE;
}

static bt_dtype dtype_of_letter(char letter, bt_dtype compute) {
    switch (letter) {
    case 'c':
        return compute;
    case 'o':
        return compute == BT_F32 ? BT_BF16 : BT_F32;
    case 'f':
        return BT_F32;
    case 'u':
        return BT_U8;
    case 'i':
        return BT_I32;
    case 'l':
        return BT_I64;
    case 'b':
        return BT_BITS;
    default:
        return BT_NONE;
    }
}

static bool parse_operand(ops_case *c, const char *text, size_t bytes, int64_t *shift) {
    const char *end = text + bytes, *p = memchr(text, '[', bytes);
    int k = p ? ops_operand_index(c->info, text, (size_t)(p - text)) : -1;
    if (k < 0) return false;
    bt_tensor *t = &c->args.operand[k];
    int64_t dim[BT_MAX_RANK], pad = 0;
    int rank = 0;
    for (char *next; *p != ']'; p = next) {
        int64_t value = strtoll(p + 1, &next, 10);
        if (next == p + 1 || next >= end || (*p != '+' && rank == BT_MAX_RANK)) return false;
        if (*p == '+')
            pad = value;
        else
            dim[rank++] = value;
    }
    *t = bt_tensor_of(NULL, dtype_of_letter(c->spec->dtypes[k], c->compute), bt_shape_of(rank, dim));
    t->ld += pad;
    shift[k] = 0;
    for (p++; p < end;) {
        char *next = (char *)(uintptr_t)end;
        if (*p == '!') {
            t->flags = BT_FROZEN;
            next = (char *)(uintptr_t)(p + 1);
        } else if (*p == '@') {
            shift[k] = strtoll(p + 1, &next, 10);
        } else if (*p == ':') {
            t->dtype = dtype_named(p + 1, (size_t)(end - p - 1));
        } else {
            return false;
        }
        p = next;
    }
    return t->dtype != BT_NONE;
}

static bool parse_row(ops_case *c, int64_t *shift) {
    for (const char *p = c->row->operands; *p;) {
        size_t bytes = strcspn(p, " ");
        if (!parse_operand(c, p, bytes, shift)) return false;
        p += bytes + strspn(p + bytes, " ");
    }
    for (int k = 0; k < c->info->operands; k++) {
        ops_role role = c->info->operand[k].role;
        bool required = role == ROLE_IN || role == ROLE_OUT || role == ROLE_STATE;
        if (required && !bt_present(&c->args.operand[k])) return false;
    }
    return true;
}

bool ops_row_has(const ops_row *row, const char *name) {
    size_t bytes = strlen(name);
    for (const char *p = row->operands; *p; p += strcspn(p, " "), p += strspn(p, " "))
        if (strncmp(p, name, bytes) == 0 && p[bytes] == '[') return true;
    return false;
}

bool ops_has_compute(const ops_spec *spec) {
    return strchr(spec->dtypes, 'c') != NULL;
}

/* ---- memory ---- */

static size_t element_bytes(bt_dtype dtype) {
    return dtype == BT_BITS ? 8 : bt_dtype_bytes(dtype);
}

/* Each operand begins behind a guard at a multiple of 256 bytes (plus its shift) and ends before the next guard. */
static void lay_out(ops_case *c, const int64_t *shift) {
    size_t at = GUARD_BYTES;
    for (int k = 0; k < c->info->operands; k++) {
        const bt_tensor *t = &c->args.operand[k];
        if (!bt_present(t)) continue;
        c->offset[k] = at + (size_t)shift[k] * element_bytes(t->dtype);
        size_t end = c->offset[k] + (size_t)(bt_shape_rows(t->shape) * t->ld) * element_bytes(t->dtype);
        at = (end + 2 * GUARD_BYTES - 1) / GUARD_BYTES * GUARD_BYTES;
    }
    c->block_bytes = at;
    c->block = malloc(at);
    BT_ASSERT(c->block != NULL);
}

static ref_tensor *operand_of(ops_case *c, int k) {
    return &c->ref.any.operand[k];
}
static ref_tensor *point_of(ops_case *c, int k) {
    return &c->ref.any.operand[c->info->operands + k];
}

void ops_case_build(ops_case *c, const ops_row *row, bt_dtype compute, bool accumulate) {
    memset(c, 0, sizeof *c);
    c->row = row;
    c->spec = ops_spec_of(row->op);
    c->info = ops_info_of(row->op);
    c->compute = compute;
    c->accumulate = accumulate;
    if (row->attributes) memcpy(&c->args, row->attributes, c->info->args_bytes);
    if (accumulate) memcpy(c->args.bytes + c->spec->accumulate, &(int){1}, sizeof(int));
    int64_t shift[OPS_MAX_OPERANDS] = {0};
    if (!parse_row(c, shift)) bt_panic(__FILE__, __LINE__, "row of %s is at fault: %s", c->info->name, row->operands);
    lay_out(c, shift);
    c->ref.any.attr = &c->args;
    c->ref.any.step = &ops_step;
    for (int k = 0; k < c->info->operands; k++) {
        const bt_tensor *t = &c->args.operand[k];
        ref_tensor r = {
            .shape = t->shape, .dtype = t->dtype, .rows = bt_shape_rows(t->shape), .cols = bt_shape_cols(t->shape)};
        if (!bt_present(t)) r.rows = r.cols = 0;
        if (bt_present(t)) r.v = ref_new(r.rows * r.cols);
        *operand_of(c, k) = r;
        if (bt_present(t)) r.v = ref_new(r.rows * r.cols);
        *point_of(c, k) = r;
    }
    ops_case_fill(c);
}

void ops_case_free(ops_case *c) {
    for (int k = 0; k < 2 * c->info->operands; k++) free(c->ref.any.operand[k].v);
    free(c->block);
    memset(c, 0, sizeof *c);
}

void ops_case_bind(const ops_case *c, void *base, ops_any_args *out) {
    *out = c->args;
    for (int k = 0; k < c->info->operands; k++)
        if (bt_present(&out->operand[k])) out->operand[k].data = (unsigned char *)base + c->offset[k];
}

/* ---- elements ---- */

static double load(bt_dtype dtype, const unsigned char *p) {
    switch (dtype) {
    case BT_F32: {
        float v;
        memcpy(&v, p, sizeof v);
        return (double)v;
    }
    case BT_BF16: {
        uint16_t v;
        memcpy(&v, p, sizeof v);
        return (double)bt_bf16_to_float(v);
    }
    case BT_U8:
        return *p;
    case BT_I32: {
        int32_t v;
        memcpy(&v, p, sizeof v);
        return v;
    }
    default: {
        int64_t v;
        memcpy(&v, p, sizeof v);
        return (double)v;
    }
    }
}

static void store(bt_dtype dtype, unsigned char *p, double value) {
    float f = (float)value;
    switch (dtype) {
    case BT_F32:
        memcpy(p, &f, sizeof f);
        break;
    case BT_BF16:
        memcpy(p, &(uint16_t){bt_bf16_of(f)}, 2);
        break;
    case BT_U8:
        *p = (unsigned char)value;
        break;
    case BT_I32:
        memcpy(p, &(int32_t){(int32_t)value}, 4);
        break;
    default:
        memcpy(p, &(int64_t){(int64_t)value}, 8);
        break;
    }
}

/* Calls for the bytes of each row's elements. */
static size_t row_at(const ops_case *c, int k, int64_t row) {
    const bt_tensor *t = &c->args.operand[k];
    return c->offset[k] + (size_t)(row * t->ld) * element_bytes(t->dtype);
}

void ops_case_decode(const ops_case *c, int k, const unsigned char *block, double *v) {
    const bt_tensor *t = &c->args.operand[k];
    int64_t rows = bt_shape_rows(t->shape), cols = bt_shape_cols(t->shape);
    for (int64_t i = 0; i < rows * cols; i++) {
        const unsigned char *row = block + row_at(c, k, i / cols);
        int64_t column = i % cols;
        v[i] = t->dtype == BT_BITS ? row[column / 8] >> column % 8 & 1
                                   : load(t->dtype, row + (size_t)column * element_bytes(t->dtype));
    }
}

static void encode(ops_case *c, int k) {
    const bt_tensor *t = &c->args.operand[k];
    const ref_tensor *r = operand_of(c, k);
    for (int64_t i = 0; i < r->rows * r->cols; i++)
        store(t->dtype, c->block + row_at(c, k, i / r->cols) + (size_t)(i % r->cols) * element_bytes(t->dtype),
              r->v[i]);
}

void ops_case_mark(const ops_case *c, int k, unsigned char *mask) {
    const bt_tensor *t = &c->args.operand[k];
    for (int64_t row = 0; row < bt_shape_rows(t->shape); row++)
        memset(mask + row_at(c, k, row), 1, bt_row_bytes(t->dtype, bt_shape_cols(t->shape)));
}

bool ops_case_same_bits(const ops_case *c, int k, const unsigned char *a, const unsigned char *b) {
    const bt_tensor *t = &c->args.operand[k];
    for (int64_t row = 0; row < bt_shape_rows(t->shape); row++) {
        size_t at = row_at(c, k, row);
        if (memcmp(a + at, b + at, bt_row_bytes(t->dtype, bt_shape_cols(t->shape))) != 0) return false;
    }
    return true;
}

/* ---- values ---- */

static bool is_read(const ops_case *c, int k) {
    ops_role role = c->info->operand[k].role;
    if (!ops_is_output(role)) return true;
    if (!ops_is_state(role)) return false;
    return c->spec->state == OPS_STATE_UPDATE || (c->spec->state == OPS_STATE_GRADIENT && c->accumulate);
}

static double random_value(bt_dtype dtype, ops_rng *rng) {
    switch (dtype) {
    case BT_U8:
        return (double)(ops_rng_next(rng) & 255);
    case BT_I32:
        return (double)(ops_rng_next(rng) & 0xfffff);
    case BT_I64: /* sample | view << 32, see bittern/random.h */
        return (double)(ops_rng_next(rng) & 0x3ffffffff);
    default:
        return ops_rng_normal(rng);
    }
}

static void fill_random(ops_case *c) {
    for (int k = 0; k < 2 * c->info->operands; k++) {
        ref_tensor *r = &c->ref.any.operand[k];
        ops_rng rng = ops_rng_of(c->row->seed ? c->row->seed : c->row->operands, (uint64_t)(k + 1));
        for (int64_t i = 0; i < r->rows * r->cols; i++) r->v[i] = random_value(r->dtype, &rng);
    }
}

/* point.dx = x for each "dx=x" of the spec. */
static void copy_points(ops_case *c) {
    const char *p = c->spec->gradients ? c->spec->gradients : "";
    for (; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
        size_t left = strcspn(p, "= ");
        if (p[left] != '=') continue;
        int k = ops_operand_index(c->info, p, left);
        int from = ops_operand_index(c->info, p + left + 1, strcspn(p + left + 1, " "));
        BT_ASSERT(k >= 0 && from >= 0);
        if (!ops_case_has(c, k)) continue;
        memcpy(point_of(c, k)->v, operand_of(c, from)->v, (size_t)ref_count(point_of(c, k)) * sizeof(double));
    }
}

void ops_case_fill(ops_case *c) {
    fill_random(c);
    if (c->spec->derive) c->spec->derive(&c->ref);
    copy_points(c);
}

static void round_inputs(ops_case *c) {
    for (int k = 0; k < c->info->operands; k++)
        if (ops_case_has(c, k) && is_read(c, k)) {
            encode(c, k);
            ops_case_decode(c, k, c->block, operand_of(c, k)->v);
        }
}

static void fill_guards(ops_case *c) {
    size_t at = 0;
    for (int k = 0; k <= c->info->operands; k++) { /* up to the start of operand k, then to the end */
        size_t end = k == c->info->operands ? c->block_bytes : ops_case_has(c, k) ? c->offset[k] : at;
        for (; at < end; at++) c->block[at] = (unsigned char)((GUARD_WORD + (unsigned)k) >> at % 2 * 8);
    }
}

void ops_case_expect(ops_case *c) {
    fill_guards(c);
    for (int k = 0; k < c->info->operands; k++)
        for (int64_t row = 0; ops_case_has(c, k) && row < operand_of(c, k)->rows; row++)
            memset(c->block + row_at(c, k, row), NAN_BYTE,
                   bt_row_bytes(c->args.operand[k].dtype, operand_of(c, k)->cols));
    fill_random(c);
    round_inputs(c);
    if (c->spec->derive) c->spec->derive(&c->ref);
    round_inputs(c);
    copy_points(c);
    c->info->reference(&c->ref);
    for (int k = 0; k < c->info->operands; k++) {
        ref_tensor *r = operand_of(c, k);
        if (!r->v || !c->accumulate || !ops_is_state(c->info->operand[k].role)) continue;
        double *old = ref_new(ref_count(r));
        ops_case_decode(c, k, c->block, old);
        for (int64_t i = 0; i < ref_count(r); i++) r->v[i] += old[i];
        free(old);
    }
}
