/* The vector loops for AVX2. */
#include "cpu/vector_simd.h"
