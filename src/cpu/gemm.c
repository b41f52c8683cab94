/* Blocks of matrix products, 4 lanes; and the choice among the three widths. */
#define BT_SIMD_GENERIC
#include "cpu/gemm_simd.h"

const bt_gemm *bt_gemm_of(bt_isa isa) {
#ifdef BITTERN_WITH_SIMD
    if (isa == BT_ISA_AVX512) return &bt_gemm_avx512;
    if (isa == BT_ISA_AVX2) return &bt_gemm_avx2;
#else
    (void)isa;
#endif
    return &bt_gemm_generic;
}
