/* The colour loops for any processor. */
#define BT_COLOUR_LOOPS bt_colour_loops_generic
#include "pixels/colour_simd.h"
