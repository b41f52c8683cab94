/* Dropout of one row, 16 lanes. */
#include "cpu/dropout_simd.h"
