/* What this processor can do, found once at run time. */
#ifndef BITTERN_BASE_CPU_H
#define BITTERN_BASE_CPU_H

#include <bittern/status.h>

/** Which of a kernel's three copies runs (see cpu/vmath.h). */
typedef enum bt_isa {
    BT_ISA_GENERIC, /**< 4 lanes: SSE2, NEON or plain C, as the compiler is set */
    BT_ISA_AVX2,    /**< AVX2 and FMA */
    BT_ISA_AVX512   /**< AVX-512 F, BW, VL, DQ */
} bt_isa;

typedef struct bt_cpu_features {
    bt_isa isa;
    bool avx512_bf16; /**< products of bf16 in hardware (vdpbf16ps) */
} bt_cpu_features;

/** Detects the processor. The environment variable BITTERN_CPU = generic | avx2 | avx512 lowers the answer, so that
 * tests reach every copy; it cannot raise it. BT_ERR_USAGE for another value. */
bt_status bt_cpu_detect(bt_cpu_features *out) BT_MUST_CHECK;

/** "generic", "AVX2", "AVX-512". */
const char *bt_isa_name(bt_isa isa);

#endif
