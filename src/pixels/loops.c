/* The choice of a copy of the loops; see loops.h. */
#include "pixels/loops.h"

#ifdef BITTERN_WITH_SIMD

#include "base/cpu.h"

/* A BITTERN_CPU that makes no sense is told by the device when it opens. */
static bool has_avx2(void) {
    bt_cpu_features features;
    return bt_cpu_detect(&features) == BT_OK && features.isa >= BT_ISA_AVX2;
}

const bt_colour_loops *bt_colour_loops_get(void) {
    return has_avx2() ? &bt_colour_loops_avx2 : &bt_colour_loops_generic;
}
const bt_resample_loops *bt_resample_loops_get(void) {
    return has_avx2() ? &bt_resample_loops_avx2 : &bt_resample_loops_generic;
}

#else

const bt_colour_loops *bt_colour_loops_get(void) {
    return &bt_colour_loops_generic;
}
const bt_resample_loops *bt_resample_loops_get(void) {
    return &bt_resample_loops_generic;
}

#endif
