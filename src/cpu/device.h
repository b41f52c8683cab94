/* The processor as a device: what kernels of src/cpu may use of it.
 *
 * Kernels split their work over `threads` OpenMP threads with a static schedule, so that a result depends on the shapes
 * and the number of threads only: #pragma omp parallel for num_threads(threads) schedule(static) There is one pool.
 * BLAS and LAPACK are linked in their serial form: a second pool would fight with ours.
 */
#ifndef BITTERN_CPU_DEVICE_H
#define BITTERN_CPU_DEVICE_H

#include "base/cpu.h"
#include "tensor/backend.h"

struct bt_pack;
struct bt_dnnl;

typedef struct bt_cpu_device {
    bt_device base; /* first: a bt_device * of this backend is a bt_cpu_device * */
    bt_cpu_features cpu;
    int threads;
    struct bt_pack *packs; /* packed frozen weights, shared between instructions (cpu/product.h) */
    struct bt_dnnl *dnnl;  /* oneDNN's engine and stream; NULL without it */
} bt_cpu_device;

static inline bt_cpu_device *bt_cpu_of(bt_device *device) {
    return (bt_cpu_device *)device;
}
static inline int bt_cpu_threads(const bt_device *device) {
    return ((const bt_cpu_device *)device)->threads;
}

/** Part `index` of `parts` of 0..count-1, in whole multiples of `grain`: [*begin, *end), empty when there is none left.
 */
static inline void bt_cpu_part(int64_t count, int64_t grain, int index, int parts, int64_t *begin, int64_t *end) {
    int64_t grains = (count + grain - 1) / grain;
    *begin = grains * index / parts * grain;
    *end = grains * (index + 1) / parts * grain;
    if (*end > count) *end = count;
    if (*begin > count) *begin = count;
}

static inline size_t bt_cpu_round_up(size_t bytes, size_t multiple) {
    return (bytes + multiple - 1) / multiple * multiple;
}

#define BT_CPU_ALIGNMENT BT_VALUE_ALIGNMENT /* bytes, of device memory and of scratch */

#endif
