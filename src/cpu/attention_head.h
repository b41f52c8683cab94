/* Attention of one head of one sample: the unit of work that cpu/attention.c spreads over threads, in three widths
 * (cpu/attention_simd.h). */
#ifndef BITTERN_CPU_ATTENTION_HEAD_H
#define BITTERN_CPU_ATTENTION_HEAD_H

#include "base/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Rows of one head within a tensor: row t begins at data + t * ld elements. */
typedef struct bt_head_rows {
    void *data; /**< NULL: absent */
    int64_t ld;
} bt_head_rows;

typedef struct bt_attention_head {
    int64_t queries, keys, size; /**< Q, T, and the head's width */
    float scale;
    bool bf16;                    /**< of all rows; else f32 */
    bt_head_rows q, k, v, o;      /**< (Q,size), (T,size), (T,size), (Q,size) */
    float *lse;                   /**< (Q) */
    bt_head_rows do_, dq, dk, dv; /**< the backward's; dq may be absent */
} bt_attention_head;

typedef struct bt_attention_functions {
    /** Scratch of one thread, 64-byte aligned, for heads of these shapes. */
    size_t (*forward_bytes)(int64_t queries, int64_t keys, int64_t size);
    size_t (*backward_bytes)(int64_t queries, int64_t keys, int64_t size);
    void (*forward)(const bt_attention_head *head, float *scratch);  /**< writes o and lse */
    void (*backward)(const bt_attention_head *head, float *scratch); /**< writes dq, dk, dv */
} bt_attention_functions;

extern const bt_attention_functions bt_attention_generic, bt_attention_avx2, bt_attention_avx512;
extern const bt_attention_functions bt_attention_bf16_avx512; /**< bf16 only, where bt_cpu_features.avx512_bf16 */

#endif
