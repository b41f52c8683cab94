/* What cuda/kernel.cuh includes instead of CUDA when the kernels are compiled by g++ (-DBT_CUDA_HOST): the names of
 * CUDA C++ that kernels use, each with a twin that also checks what the hardware leaves undefined.
 *
 * A CUDA thread is a fiber; a block runs on one OS thread. A collective (barrier, shuffle, vote, reduction, matrix
 * product) is a rendezvous: each lane posts a request, the last to arrive computes for all. Between two rendezvous the
 * threads run in one of three orders (forward, reverse, random), so a missing barrier changes the result in at least
 * one of them.
 *
 * A fault (divergent barrier, wrong mask, misaligned access, shared memory overrun) ends the launch, and BT_LAUNCH
 * gives BT_ERR_DEVICE with kernel, block and source line. Stack overflow hits a guard page.
 *
 * Not shown: speed, occupancy, bank conflicts; the rounding of __expf, rsqrtf and of tensor-core sums; weak memory
 * order; races between blocks. Needs no CUDA toolkit.
 */
#ifndef BITTERN_CUDA_HOST_RUNTIME_H
#define BITTERN_CUDA_HOST_RUNTIME_H

#include <bittern/status.h>

#include <functional>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- language -------------------------------------------------------------------------------------------------- */

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __forceinline__ inline __attribute__((always_inline))

typedef struct bt_host_stream *cudaStream_t; /* always NULL: launches are synchronous */

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned nx = 1, unsigned ny = 1, unsigned nz = 1) : x(nx), y(ny), z(nz) {}
};
#define BT_HOST_VECTOR(type, n, bytes, fields, parameters, values)                                                     \
    struct __align__(bytes) type##n {                                                                                  \
        type fields;                                                                                                   \
    };                                                                                                                 \
    static inline type##n make_##type##n parameters {                                                                  \
        return type##n values;                                                                                         \
    }
#define BT_HOST_LIST(...) __VA_ARGS__
typedef unsigned int uint;
BT_HOST_VECTOR(float, 2, 8, BT_HOST_LIST(x, y), (float a, float b), (BT_HOST_LIST({a, b})))
BT_HOST_VECTOR(float, 4, 16, BT_HOST_LIST(x, y, z, w), (float a, float b, float c, float d),
               (BT_HOST_LIST({a, b, c, d})))
BT_HOST_VECTOR(int, 2, 8, BT_HOST_LIST(x, y), (int a, int b), (BT_HOST_LIST({a, b})))
BT_HOST_VECTOR(int, 4, 16, BT_HOST_LIST(x, y, z, w), (int a, int b, int c, int d), (BT_HOST_LIST({a, b, c, d})))
BT_HOST_VECTOR(uint, 2, 8, BT_HOST_LIST(x, y), (uint a, uint b), (BT_HOST_LIST({a, b})))
BT_HOST_VECTOR(uint, 4, 16, BT_HOST_LIST(x, y, z, w), (uint a, uint b, uint c, uint d), (BT_HOST_LIST({a, b, c, d})))
BT_HOST_VECTOR(double, 2, 16, BT_HOST_LIST(x, y), (double a, double b), (BT_HOST_LIST({a, b})))

/* ---- runtime --------------------------------------------------------------------------------------------------- */

/* The caller's source line, for messages: the last parameters of every collective. */
#define BT_HOST_SITE const char *bt_file = __builtin_FILE(), int bt_line = __builtin_LINE()
#define BT_HOST_SITE_ARG (bt_host::site{bt_file, bt_line})

namespace bt_host {

struct site {
    const char *file;
    int line;
};

enum collective {
    SYNC_WARP,
    BALLOT,
    SHUFFLE,
    SHUFFLE_XOR,
    SHUFFLE_UP,
    SHUFFLE_DOWN,
    WARP_SUM,
    WARP_MAX,
    QUAD_SUM,
    QUAD_MAX,
    MMA
};
enum number { BITS, F32, F64, I32 };
template <typename T> struct number_of;
template <> struct number_of<float> { static constexpr number value = F32; };
template <> struct number_of<double> { static constexpr number value = F64; };
template <> struct number_of<int> { static constexpr number value = I32; };

/* What a lane brings to a rendezvous; the runtime puts the answer into `value` or `d`. */
struct request {
    collective what;
    number type;
    uint32_t mask;
    site where;
    uint64_t value;
    int argument, width; /* shuffles: lane, xor mask or distance; width of the segment */
    float *d;            /* MMA: d[n8][4], a[4], b[n8][2] of this lane */
    const uint32_t *a, *b;
    int n8;
};

/* The running CUDA thread of this OS thread: read by threadIdx and its kin, written by the scheduler. */
struct position {
    uint3 thread, block, block_size, grid_size;
};
extern __thread position now; /* not thread_local: no wrapper call at every use */

/* Ends the launch with this message; does not return to the kernel. */
[[noreturn]] void fault(site where, const char *format, ...) BT_PRINTF(2, 3);
void rendezvous(request &r);
/* __syncthreads; gives the number of threads whose predicate was not 0. */
int barrier(int predicate, site where);
void *shared_array(const void *key, size_t bytes, const char *name);
void *shared_arena();
void copy_async(void *shared, const void *global, bool valid);
void copy_async_commit();
void copy_async_wait(int pending);

bt_status allow_shared(const void *kernel, const char *name, size_t bytes);
bt_status launch_call(const char *name, const void *kernel, dim3 grid, dim3 block, size_t shared_bytes,
                      void (*call)(const void *), const void *closure);
/* Work of the stream: done at once, or kept while a graph is recorded (device_host.cpp). */
bt_status issue(const std::function<bt_status()> &work);
/* Arguments are copied now, as a launch does: a graph is run with those of its recording. */
template <class F, class... A>
bt_status launch(const char *name, const void *kernel, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t,
                 const F &body, A... arguments) {
    return issue([=] {
        const auto call = [=] { body(arguments...); };
        return launch_call(
            name, kernel, grid, block, shared_bytes, [](const void *p) { (*static_cast<const decltype(call) *>(p))(); },
            &call);
    });
}

/* Order of the threads between rendezvous. RANDOM draws, for each block anew, a priority of the warps: one warp may run
 * far ahead of the others, which a fair draw hardly ever does. The start value comes from the environment,
 * BT_CUDA_HOST_ORDER = forward, reverse or random:SEED. */
enum thread_order { FORWARD, REVERSE, RANDOM };
void set_order(thread_order order, uint64_t seed);
/* OS threads that blocks are spread over; 0: as many as OpenMP has. Always 1 under ThreadSanitizer. */
void set_workers(int workers);

template <typename T> inline T exchange(collective what, uint32_t mask, T v, int argument, int width, site where) {
    static_assert(sizeof(T) <= 8, "shuffles carry at most 8 bytes");
    request r = {};
    r.what = what;
    r.mask = mask;
    r.where = where;
    r.argument = argument;
    r.width = width;
    memcpy(&r.value, &v, sizeof v);
    rendezvous(r);
    memcpy(&v, &r.value, sizeof v);
    return v;
}
template <typename T> inline T reduce(T v, collective what, site where) {
    request r = {};
    r.what = what;
    r.type = number_of<T>::value;
    r.mask = 0xffffffffu;
    r.where = where;
    memcpy(&r.value, &v, sizeof v);
    rendezvous(r);
    memcpy(&v, &r.value, sizeof v);
    return v;
}
inline void mma(float *d, const uint32_t *a, const uint32_t *b, int n8, site where) {
    request r = {};
    r.what = MMA;
    r.mask = 0xffffffffu;
    r.where = where;
    r.d = d;
    r.a = a;
    r.b = b;
    r.n8 = n8;
    rendezvous(r);
}
/* As cvt.rn.bf16.f32: nearest even; every NaN becomes 0x7fff. */
inline uint16_t bf16_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (value != value) return 0x7fff;
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}
inline void check_aligned(const void *address, unsigned bytes, const char *what) {
    if (reinterpret_cast<uintptr_t>(address) % bytes)
        fault({nullptr, 0}, "%s: address %p is not a multiple of %u bytes", what, address, bytes);
}
inline void check_tile(const void *tile, int ld) {
    check_aligned(tile, 16, "fragment tile");
    if (ld % 8) fault({nullptr, 0}, "fragment tile: row stride %d is not a multiple of 8 elements", ld);
}

} // namespace bt_host

#define threadIdx (bt_host::now.thread)
#define blockIdx (bt_host::now.block)
#define blockDim (bt_host::now.block_size)
#define gridDim (bt_host::now.grid_size)

#define BT_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                                      \
    bt_host::launch(                                                                                                   \
        #kernel, reinterpret_cast<const void *>(kernel), (grid), (block), (shared_bytes), (stream),                    \
        [=](auto... bt_arguments) { kernel(bt_arguments...); }, __VA_ARGS__)
#define BT_ALLOW_SHARED(kernel, shared_bytes)                                                                          \
    bt_host::allow_shared(reinterpret_cast<const void *>(kernel), #kernel, shared_bytes)
#define BT_SHARED(type, name, dimensions)                                                                              \
    static const char name##_key = 0;                                                                                  \
    type(&name) dimensions = *(type(*) dimensions)bt_host::shared_array(&name##_key, sizeof(type dimensions), #name)
#define BT_SHARED_DYNAMIC(type, name) type *name = static_cast<type *>(bt_host::shared_arena())

/* ---- synchronisation ------------------------------------------------------------------------------------------- */

static inline void __syncthreads(BT_HOST_SITE) {
    bt_host::barrier(0, BT_HOST_SITE_ARG);
}
static inline int __syncthreads_count(int p, BT_HOST_SITE) {
    return bt_host::barrier(p, BT_HOST_SITE_ARG);
}
static inline int __syncthreads_or(int p, BT_HOST_SITE) {
    return bt_host::barrier(p, BT_HOST_SITE_ARG) != 0;
}
static inline int __syncthreads_and(int p, BT_HOST_SITE) {
    return bt_host::barrier(!p, BT_HOST_SITE_ARG) == 0;
}
static inline void __syncwarp(unsigned mask = 0xffffffffu, BT_HOST_SITE) {
    bt_host::exchange(bt_host::SYNC_WARP, mask, 0, 0, 32, BT_HOST_SITE_ARG);
}
static inline unsigned __ballot_sync(unsigned mask, int p, BT_HOST_SITE) {
    return bt_host::exchange<unsigned>(bt_host::BALLOT, mask, p != 0, 0, 32, BT_HOST_SITE_ARG);
}
static inline int __any_sync(unsigned mask, int p, BT_HOST_SITE) {
    return __ballot_sync(mask, p, bt_file, bt_line) != 0;
}
static inline int __all_sync(unsigned mask, int p, BT_HOST_SITE) {
    return __ballot_sync(mask, !p, bt_file, bt_line) == 0;
}
template <typename T> static inline T __shfl_sync(unsigned mask, T v, int lane, int width = 32, BT_HOST_SITE) {
    return bt_host::exchange(bt_host::SHUFFLE, mask, v, lane, width, BT_HOST_SITE_ARG);
}
template <typename T> static inline T __shfl_xor_sync(unsigned mask, T v, int lanes, int width = 32, BT_HOST_SITE) {
    return bt_host::exchange(bt_host::SHUFFLE_XOR, mask, v, lanes, width, BT_HOST_SITE_ARG);
}
template <typename T> static inline T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, BT_HOST_SITE) {
    return bt_host::exchange(bt_host::SHUFFLE_UP, mask, v, (int)by, width, BT_HOST_SITE_ARG);
}
template <typename T> static inline T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, BT_HOST_SITE) {
    return bt_host::exchange(bt_host::SHUFFLE_DOWN, mask, v, (int)by, width, BT_HOST_SITE_ARG);
}

/* Integers only: float atomics have no fixed order, and the project forbids them. */
static inline int atomicAdd(int *p, int v) {
    return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
static inline unsigned atomicAdd(unsigned *p, unsigned v) {
    return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
static inline unsigned atomicOr(unsigned *p, unsigned v) {
    return __atomic_fetch_or(p, v, __ATOMIC_RELAXED);
}
static inline int atomicCAS(int *p, int expected, int desired) {
    __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
}
static inline void __threadfence() {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- arithmetic ------------------------------------------------------------------------------------------------ */

template <typename T> static inline T __ldg(const T *p) {
    return *p;
}
static inline float __uint_as_float(unsigned u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static inline unsigned __float_as_uint(float f) {
    unsigned u;
    memcpy(&u, &f, 4);
    return u;
}
#define __expf expf /* glibc declares these two names itself */
#define __logf logf
static inline float __fdividef(float a, float b) {
    return a / b;
}
static inline float rsqrtf(float x) {
    return 1.0f / sqrtf(x);
}
static inline double rsqrt(double x) {
    return 1.0 / sqrt(x);
}
static inline float __fadd_rn(float a, float b) {
    return a + b;
}
static inline float __fsub_rn(float a, float b) {
    return a - b;
}
static inline float __fmul_rn(float a, float b) {
    return a * b;
}
static inline float __fdiv_rn(float a, float b) {
    return a / b;
}
static inline float __fsqrt_rn(float a) {
    return sqrtf(a);
}
static inline float __fmaf_rn(float a, float b, float c) {
    return fmaf(a, b, c);
}
static inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
static inline int __popcll(unsigned long long x) {
    return __builtin_popcountll(x);
}
static inline int __clz(int x) {
    return x ? __builtin_clz((unsigned)x) : 32;
}
static inline int __ffs(int x) {
    return __builtin_ffs(x);
}
static inline unsigned __umulhi(unsigned a, unsigned b) {
    return (unsigned)((uint64_t)a * b >> 32);
}
template <typename T> static inline T min(T a, T b) {
    return b < a ? b : a;
}
template <typename T> static inline T max(T a, T b) {
    return a < b ? b : a;
}

#endif
