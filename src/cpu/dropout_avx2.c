/* Dropout of one row, 8 lanes. */
#include "cpu/dropout_simd.h"
