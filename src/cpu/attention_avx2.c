/* Attention of one head, 8 lanes. */
#include "cpu/attention_simd.h"
