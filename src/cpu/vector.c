/* The vector loops for any processor, and the choice between the three copies. */
#define BT_SIMD_GENERIC
#include "cpu/vector_simd.h"

const bt_vector *bt_vector_for(bt_isa isa) {
#ifdef BITTERN_WITH_SIMD
    if (isa == BT_ISA_AVX512) return &bt_vector_avx512;
    if (isa == BT_ISA_AVX2) return &bt_vector_avx2;
#endif
    (void)isa;
    return &bt_vector_generic;
}
