/* The vector loops for any processor, and the choice between the three copies. */
#include "cpu/vector_simd.h"

const bt_vector *bt_vector_for(bt_isa isa) {
#if defined(__x86_64__)
    if (isa == BT_ISA_AVX512) return &bt_vector_avx512;
    if (isa == BT_ISA_AVX2) return &bt_vector_avx2;
#endif
    (void)isa;
    return &bt_vector_generic;
}
