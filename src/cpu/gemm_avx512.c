/* Blocks of matrix products, 16 lanes. */
#include "cpu/gemm_simd.h"
