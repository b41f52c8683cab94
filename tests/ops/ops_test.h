/* The table of cases that holds every operation of ops.def, on every backend, to an independent float64 reference.
 *
 * A case is one row: the operation, its operands with their shapes as text, its attributes. What an operation needs
 * beyond its rows is stated once in its spec: dtypes, tolerances with their reason, which outputs are gradients of
 * what. References (reference_*.c) are loops in double written from the formulas of ops.def; kernels were not
 * consulted.
 *
 * Text of a row: `name[shape]` for each operand that is present, in any order; absent optional operands are left out.
 *   x[2,7,5]      shape; the dtype comes from the spec
 *   x[14,5+3]     rows are 5 + 3 elements apart (ld); the padding is guarded
 *   w[7,5]!       BT_FROZEN: `prepare` sees its memory and may keep a packed copy
 *   w[7,5]@1      the data start one element behind an aligned address (rows of a fused weight)
 *   images[..]:u8 dtype of this operand where the operation takes several
 */
#ifndef BITTERN_TESTS_OPS_TEST_H
#define BITTERN_TESTS_OPS_TEST_H

#include "tensor/backend.h"

#include <stdio.h>

#define OPS_MAX_OPERANDS 12

/* ---- values of a reference: every operand as contiguous doubles ---- */

typedef struct ref_tensor {
    double *v; /* NULL when the operand is absent */
    bt_shape shape;
    bt_dtype dtype;     /* of the operand that the values are rounded to */
    int64_t rows, cols; /* bt_shape_rows, bt_shape_cols */
} ref_tensor;

/* For each operation ref_<name>: attributes, operands, and `point`: for an output that is a gradient, the value of the
 * variable it is the gradient of (point.dx.v holds x), where the reference forward is differentiated. */
#define IN(name) ref_tensor name;
#define OPT(name) ref_tensor name;
#define OUT(name) ref_tensor name;
#define OUT_OPT(name) ref_tensor name;
#define STATE(name) ref_tensor name;
#define OPT_STATE(name) ref_tensor name;
#define BT_OP(family, name, operands, attributes, aliases, effect)                                                     \
    typedef struct ref_##name {                                                                                        \
        const bt_##name##_args *attr;                                                                                  \
        const bt_step *step;                                                                                           \
        operands struct { operands } point;                                                                            \
    } ref_##name;                                                                                                      \
    /* Reads the inputs (and states), writes the outputs; gradients are stored, never added. */                        \
    void reference_##name(ref_##name *a);
#include "tensor/ops.def"
#undef BT_OP
#undef IN
#undef OPT
#undef OUT
#undef OUT_OPT
#undef STATE
#undef OPT_STATE

/* ---- the table ---- */

/* The reference takes long, or the kernels do on a slow backend: finite differences and further thread orders are left
 * to smaller rows, and targets with `small_only` skip the row. */
#define OPS_LARGE 1u

/* The row is run again for each operand, with that one elsewhere: one element behind an aligned address, then with its
 * rows one element further apart. A kernel that reads several elements at once must ask every operand. */
#define OPS_EACH_PLACE 2u

typedef struct ops_row {
    bt_op op;
    unsigned flags;
    const char *operands;
    const void *attributes; /* bt_<name>_args of which only the attributes are set, or NULL */
    const char *seed;       /* text of the row whose values this one has; NULL: its own */
} ops_row;

extern const ops_row ops_rows[];
extern const int ops_row_count;

/* What the memory of a STATE operand holds before the run. */
typedef enum ops_state {
    OPS_STATE_NONE,     /* no such operand */
    OPS_STATE_GRADIENT, /* accumulate 0: NaN, must be stored; 1: values, must be added to */
    OPS_STATE_UPDATE,   /* values that the operation reads and replaces */
    OPS_STATE_WRITE     /* NaN, must be stored */
} ops_state;

typedef struct ops_spec {
    bt_op op;
    /* One letter per operand: c compute dtype, o the other compute dtype, f f32, u u8, i i32, l i64, b bits. */
    const char *dtypes;
    /* Largest error of an output, |out - ref| / |ref|: f32 operands; bf16 output; f32 output of bf16 operands. 0: the
     * bits of the reference rounded once to the output's dtype. */
    double f32, bf16, mixed;
    const char *reason;
    ops_state state;
    size_t accumulate; /* offset of the attribute in the argument struct; 0: it has none */
    const char
        *gradients; /* "dx=x dw": outputs that are gradients, and the operand that is the variable if it is one */
    void (*derive)(void *ref);   /* makes inputs fit together (stats of x); applying it twice changes nothing */
    double (*primal)(void *ref); /* the scalar of which the outputs are gradients, at `point` */
    /* With the output in the memory of `add` other bits are allowed: a product library then starts its sums from the
     * addend instead of adding it to them. (Everything else must not depend on where the planner puts an output.) */
    bool add_first;
    /* |ref| is taken as at least floor * sqrt(count): for outputs that may cancel to 0 the natural size of their terms.
     */
    double floor;
} ops_spec;

/** The spec of an operation; NULL if it has none. */
const ops_spec *ops_spec_of(bt_op op);

/* ---- what ops.def says, for generic code ---- */

typedef enum ops_role { ROLE_IN, ROLE_OPT, ROLE_OUT, ROLE_OUT_OPT, ROLE_STATE, ROLE_OPT_STATE } ops_role;

typedef struct ops_operand {
    const char *name;
    ops_role role;
} ops_operand;

typedef struct ops_alias {
    const char *out, *in;
} ops_alias;

typedef struct ops_info {
    const char *family, *name;
    const ops_operand *operand;
    int operands;
    const ops_alias *alias; /* ends with {NULL, NULL} */
    size_t args_bytes;
    bool (*present)(const bt_kernels *kernels); /* the slot is filled with both functions */
    bt_status (*prepare)(const bt_kernels *kernels, bt_device *device, const void *args, bt_prepared *out);
    bt_status (*run)(const bt_kernels *kernels, bt_device *device, const void *args, const bt_prepared *prepared,
                     void *scratch);
    void (*reference)(void *ref);
} ops_info;

const ops_info *ops_info_of(bt_op op);

/** Index of an operand by name (`bytes` of it); -1 if there is none. */
int ops_operand_index(const ops_info *info, const char *name, size_t bytes);

static inline bool ops_is_output(ops_role role) {
    return role >= ROLE_OUT;
}
static inline bool ops_is_state(ops_role role) {
    return role >= ROLE_STATE;
}

/* ---- a case: one row in one compute dtype ---- */

typedef union ops_any_args {
    bt_tensor operand[OPS_MAX_OPERANDS];
    unsigned char bytes[OPS_MAX_OPERANDS * sizeof(bt_tensor) + 128];
} ops_any_args;

typedef union ops_any_ref {
    struct {
        const void *attr;
        const bt_step *step;
        ref_tensor operand[2 * OPS_MAX_OPERANDS]; /* operands, then points */
    } any;
    double align;
} ops_any_ref;

typedef struct ops_case {
    const ops_row *row;
    const ops_spec *spec;
    const ops_info *info;
    bt_dtype compute;
    bool accumulate;                 /* gradients are added to values */
    ops_any_args args;               /* without memory; see ops_case_bind */
    size_t offset[OPS_MAX_OPERANDS]; /* of each operand in the block, bytes */
    size_t block_bytes;
    unsigned char *block; /* what the device memory holds before the run: operands among guard words */
    ops_any_ref ref;
} ops_case;

/** Makes the operands of a row, with unrounded values. Release with ops_case_free. */
void ops_case_build(ops_case *c, const ops_row *row, bt_dtype compute, bool accumulate);
void ops_case_free(ops_case *c);

/** Seeded random values for everything that is read, then spec->derive: the same at every call. */
void ops_case_fill(ops_case *c);

/** ops_case_fill, rounds the inputs to their dtypes, writes the block, and runs the reference: `ref` then holds what
 * the operation should leave, the sum with the old values included when `accumulate`. */
void ops_case_expect(ops_case *c);

/** Argument struct with all operands in a block at `base`. */
void ops_case_bind(const ops_case *c, void *base, ops_any_args *out);

/** Values of operand `k` in a copy of the block, one per bit for BT_BITS. */
void ops_case_decode(const ops_case *c, int k, const unsigned char *block, double *v);

/** Marks the bytes of operand `k`'s elements, not of its padding. */
void ops_case_mark(const ops_case *c, int k, unsigned char *mask);

/** The same elements in two copies of the block hold the same bits. */
bool ops_case_same_bits(const ops_case *c, int k, const unsigned char *a, const unsigned char *b);

static inline bool ops_case_has(const ops_case *c, int k) {
    return c->ref.any.operand[k].v != NULL;
}

/** The row's text has this operand. */
bool ops_row_has(const ops_row *row, const char *name);

/** True if an operand of the operation is of compute dtype, so that its rows run in f32 and bf16. */
bool ops_has_compute(const ops_spec *spec);

/** The step block that every case runs with. */
extern const bt_step ops_step;

/* ---- gradients (gradient.c) ---- */

/** Compares gradients with five-point differences of the reference forward along a random direction and along the
 * gradient itself. `g[k]` are the values of output k. The error is relative to |g||direction|; `message` gets the first
 * fault. Returns the number of comparisons, or -1 after a fault. */
int ops_check_gradients(ops_case *c, double *const *g, double tolerance, char *message, size_t message_bytes);

/* ---- driver (harness.c) ---- */

typedef struct ops_target {
    const bt_backend *backend;
    const bt_kernels *kernels; /* backend->kernels, or a table with a mutant in it */
    bt_device *device;
    bool small_only; /* rows marked OPS_LARGE are skipped (they are counted) */
    int orders;      /* thread orders to run in; 0 or 1: there is one */
    void (*set_order)(int order);
} ops_target;

typedef struct ops_counts {
    int passed, failed, skipped;
    int gradient_checks;
} ops_counts;

/** What to run and how to tell. */
typedef struct ops_options {
    int op;     /* a bt_op, or -1 for all */
    int dtype;  /* BT_F32, BT_BF16, or -1 for both */
    bool quiet; /* no line for each fault (mutants are meant to fail) */
    bool stop;  /* no further row after a failure */
} ops_options;

/** Runs all rows that the options let through, large ones last. */
void ops_run_table(const ops_target *target, const ops_options *options, ops_counts *counts);

/** Runs one row in one dtype, in store and add mode where there are both. */
void ops_run_row(const ops_target *target, const ops_row *row, bt_dtype compute, bool quiet, ops_counts *counts);

/** Refusals by `prepare` and faults in the step block, which no row can express (faults.c). */
void ops_run_faults(const ops_target *target, const ops_options *options, ops_counts *counts);

/** References against published numbers (anchors.c). */
void ops_run_anchors(ops_counts *counts);

/** Prints the rows per operation; false if an operation has no row, spec or kernel, an optional operand is never there
 * or never absent, an alias is never tried (coverage.c). */
bool ops_coverage(const bt_kernels *kernels);

/** Command line of a test program over one backend; gives its exit code. `target.device` is opened here. */
int ops_main(int argc, char **argv, ops_target target);

/* ---- random values: splitmix64, reproducible from the row's text ---- */

typedef struct ops_rng {
    uint64_t state;
} ops_rng;

ops_rng ops_rng_of(const char *text, uint64_t salt);
uint64_t ops_rng_next(ops_rng *rng);
double ops_rng_normal(ops_rng *rng);

/* ---- small helpers of the references (reference_common.c) ---- */

double *ref_new(int64_t count);
double ref_dot(const double *a, const double *b, int64_t count);
static inline int64_t ref_count(const ref_tensor *t) {
    return t->rows * t->cols;
}
ref_tensor ref_like(const ref_tensor *t); /* zeros in new memory; release t.v with free */

#endif
