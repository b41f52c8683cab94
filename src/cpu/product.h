/* Matrix products of the CPU backend: the only place that knows a product library.
 *
 *     c (m,n) = alpha op(a) (m,k) op(b) (k,n) + bias (n) + add (m,n), and + c with `accumulate`
 *
 * Prepared once for given shapes, run many times on given memory. Sums are f32 and rounded to the output's type once.
 * Two implementations: oneDNN (product_dnnl.c) and our own (product_plain.c), which needs no library, is right
 * everywhere, and emulates bf16 exactly where the processor has none: operands are widened to f32 panels, results
 * rounded once.
 *
 * A frozen b may be packed once into the form its product reads fastest, where that is worth the memory; instructions
 * that use the same matrix the same way share the packed copy (it lives in the device, counted, until the last of them
 * is released).
 */
#ifndef BITTERN_CPU_PRODUCT_H
#define BITTERN_CPU_PRODUCT_H

#include "cpu/device.h"

typedef enum bt_product_library {
    BT_PRODUCT_AUTO, /**< what is fastest here */
    BT_PRODUCT_PLAIN,
    BT_PRODUCT_DNNL
} bt_product_library;

typedef struct bt_product_spec {
    int64_t m, n, k;
    bt_dtype in, out;                 /**< of a and b; of c and add: f32 or bf16. `out` f32 with `in` bf16 is allowed */
    bool a_trans, b_trans;            /**< a is stored (k,m); b is stored (n,k) */
    int64_t a_ld, b_ld, c_ld, add_ld; /**< elements between stored rows */
    bool bias;                        /**< f32 (n); not with alpha != 1 */
    bool add;                         /**< c is stored with `add` added; `add` may be c itself */
    bool accumulate;                  /**< c's old value is added; not with `add` */
    float alpha;
    const void
        *frozen_b; /**< b, if its content never changes: then it may be packed here, and `b` of the run is not read */
    bt_product_library library;
} bt_product_spec;

typedef struct bt_product_operands {
    const void *a, *b;
    const float *bias;
    const void *add;
    void *c;
} bt_product_operands;

typedef struct bt_product bt_product;

/** Chooses and builds the implementation. BT_ERR_MEMORY, BT_ERR_DEVICE (the library's fault, with its status), or
 *  BT_ERR_UNSUPPORTED when `library` names one that cannot do it. Free with bt_product_free. */
bt_status bt_product_prepare(bt_cpu_device *device, const bt_product_spec *spec, bt_product **out) BT_MUST_CHECK;

/** Memory that a run needs, BT_CPU_ALIGNMENT aligned. */
size_t bt_product_scratch_bytes(const bt_product *product);

bt_status bt_product_run(const bt_product *product, const bt_product_operands *operands, void *scratch) BT_MUST_CHECK;

void bt_product_free(bt_product *product); /**< NULL is allowed */

/** For the device's open and close. */
bt_status bt_product_open(bt_cpu_device *device) BT_MUST_CHECK;
void bt_product_close(bt_cpu_device *device);

/** The library that `library` = BT_PRODUCT_AUTO means for products in `in` on this device. */
bt_product_library bt_product_choice(const bt_cpu_device *device, bt_dtype in);

/** "oneDNN 2.6.3" or "own products", for describe(). */
const char *bt_product_library_text(bt_product_library library);

#endif
