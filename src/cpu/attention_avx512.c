/* Attention of one head, 16 lanes. */
#include "cpu/attention_simd.h"
