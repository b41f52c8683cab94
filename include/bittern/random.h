/* Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011, "Parallel random numbers: as easy as 1, 2, 3").
 *
 * A draw is a pure function of its key and counter, so nothing needs saving for a resume, and CPU, CUDA, chunks and
 * recomputation draw the same. The key is the run's 64-bit seed. The counter is
 *   word 0  element block: index of the element within the sample / 4 (word index % 4 of the result belongs to it)
 *   word 1  sample: low 32 bits of the global sample id
 *   word 2  step: low 32 bits
 *   word 3  stream << 8 | view;  stream < 2^24 names the consumer (a dropout layer, the augmentation), view < 256
 * The tensor `ids` of a batch holds sample | view << 32.
 */
#ifndef BITTERN_RANDOM_H
#define BITTERN_RANDOM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kernels draw with the same functions. */
#ifdef __CUDACC__
#define BT_HOST_DEVICE __host__ __device__
#else
#define BT_HOST_DEVICE
#endif

typedef struct bt_philox {
    uint32_t word[4];
} bt_philox;

static inline BT_HOST_DEVICE bt_philox bt_philox4x32(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint64_t key) {
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    bt_philox r = {{c0, c1, c2, c3}};
    return r;
}

/** The block of four draws that element 4*block belongs to; `id` = sample | view << 32 as in the tensor `ids`. */
static inline BT_HOST_DEVICE bt_philox bt_random_block(uint64_t seed, int64_t step, uint32_t stream, int64_t id,
                                                       uint32_t block) {
    uint32_t view = (uint32_t)((uint64_t)id >> 32) & 255u;
    return bt_philox4x32(block, (uint32_t)(uint64_t)id, (uint32_t)(uint64_t)step, stream << 8 | view, seed);
}

/** Uniform in [0, 1) with 24 bits: exact in f32, equal on every device. */
static inline BT_HOST_DEVICE float bt_random_unit(uint32_t word) {
    return (float)(word >> 8) * 0x1p-24f;
}

#ifdef __cplusplus
}
#endif
#endif
