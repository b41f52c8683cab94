/* The colour loops for AVX2. */
#define BT_COLOUR_LOOPS bt_colour_loops_avx2
#include "pixels/colour_simd.h"
