/* The vector loops for AVX-512. */
#include "cpu/vector_simd.h"
