/* Blocks of matrix products, 8 lanes. */
#include "cpu/gemm_simd.h"
