/* Inputs of programs in a word: F32(2, 3) is an f32 input of shape (2, 3) and any name in the program `p`. */
#ifndef BITTERN_TESTS_INPUTS_H
#define BITTERN_TESTS_INPUTS_H

#include "program/program.h"

#include <stdio.h>

static inline bt_value input_of(bt_program *p, bt_dtype dtype, int rank, const int64_t *dim) {
    char name[32];
    snprintf(name, sizeof name, "input %d", p->value_count);
    return bt_input(p, name, dtype, bt_shape_of(rank, dim));
}
#define DIMS(...)                                                                                                      \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                                     \
        __VA_ARGS__                                                                                                    \
    }
#define F32(...) input_of(p, BT_F32, DIMS(__VA_ARGS__))
#define BF16(...) input_of(p, BT_BF16, DIMS(__VA_ARGS__))
#define U8(...) input_of(p, BT_U8, DIMS(__VA_ARGS__))
#define I32(...) input_of(p, BT_I32, DIMS(__VA_ARGS__))
#define I64(...) input_of(p, BT_I64, DIMS(__VA_ARGS__))

#endif
