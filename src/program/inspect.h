/* A plan made visible: `bittern inspect plan`. */
#ifndef BITTERN_PROGRAM_INSPECT_H
#define BITTERN_PROGRAM_INSPECT_H

#include <bittern/program.h>

#include "formats/json.h"
#include "tensor/backend.h"

/** A plan to look at: instructions, lifetimes and memory as a device of this backend has them (NULL: of none in
 * particular), without kernels and scratch. It cannot be run. */
bt_status bt_plan_look(const bt_program *p, const bt_backend *backend, bt_plan **out) BT_MUST_CHECK;

/** Writes one JSON object: "summary"; "instructions" with operands, FLOPs, bytes, launches and scratch; "storages", the
 * memory map: bytes, offset, first and last instruction. */
void bt_plan_write_json(const bt_plan *plan, bt_json_writer *writer);

/** The same as a table for reading, one line an instruction. */
void bt_plan_write_text(const bt_plan *plan, bt_text *out);

/** `batch` matrix products (m,k) x (k,n). */
typedef struct bt_product_shape {
    int64_t batch, m, n, k;
} bt_product_shape;

enum { BT_MAX_PRODUCTS = 5 };

/** One instruction of a plan: operation, bytes of its operands, and its products. */
typedef struct bt_instruction_cost {
    const char *op;
    double flops, bytes;
    int products;
    bt_product_shape product[BT_MAX_PRODUCTS];
} bt_instruction_cost;

/** False behind the last instruction. */
bool bt_plan_instruction(const bt_plan *plan, int index, bt_instruction_cost *out);

/** A run that waits behind every instruction and notes its seconds; `seconds` has bt_plan_summary.instructions entries.
 */
bt_status bt_plan_run_timed(bt_plan *plan, double *seconds) BT_MUST_CHECK;

#endif
