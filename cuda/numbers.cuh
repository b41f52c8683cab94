/* Elements of device memory: bf16, and vector loads that give floats.
 *
 * Kernels compute in f32 and are templates over the stored type T, float or bt_bf16. bt_bf16 is our own 16 bits, not
 * __nv_bfloat16: it needs no toolkit in the host build and has no arithmetic that could round behind our back.
 * Included by kernel.cuh only.
 */
#ifndef BITTERN_CUDA_NUMBERS_CUH
#define BITTERN_CUDA_NUMBERS_CUH

/** The upper half of an IEEE float32. */
struct __align__(2) bt_bf16 {
    uint16_t bits;
};

/** The dtype of a stored type T: bt_dtype_of<float>::value. */
template <typename T> struct bt_dtype_of;
template <> struct bt_dtype_of<float> { static constexpr bt_dtype value = BT_F32; };
template <> struct bt_dtype_of<bt_bf16> { static constexpr bt_dtype value = BT_BF16; };

BT_DEVICE float bt_to_float(float value) {
    return value;
}
BT_DEVICE float bt_to_float(bt_bf16 value) {
    return __uint_as_float((uint32_t)value.bits << 16);
}

/** Two floats rounded to nearest even, `low` in bits 0-15: the order of two consecutive elements in memory. */
BT_DEVICE uint32_t bt_pack_bf16(float low, float high) {
#ifdef BT_CUDA_HOST
    return (uint32_t)bt_host::bf16_bits(low) | (uint32_t)bt_host::bf16_bits(high) << 16;
#else
    uint32_t packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
#endif
}

/** 2^x in one instruction: relative error 2^-22, results below 2^-126 are 0. For values that are rounded to bf16. */
BT_DEVICE float bt_exp2_fast(float x) {
#ifdef BT_CUDA_HOST
    return exp2f(x);
#else
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
    return power;
#endif
}

/** A float as T, rounded to nearest even. */
template <typename T> BT_DEVICE T bt_from_float(float value);
template <> BT_DEVICE_SPECIAL float bt_from_float<float>(float value) {
    return value;
}
template <> BT_DEVICE_SPECIAL bt_bf16 bt_from_float<bt_bf16>(float value) {
    return bt_bf16{(uint16_t)bt_pack_bf16(value, 0.0f)};
}

/** Fails on the host, as the hardware would, when an address is not a multiple of `bytes`. */
BT_DEVICE void bt_check_aligned(const void *address, unsigned bytes, const char *what) {
#ifdef BT_CUDA_HOST
    bt_host::check_aligned(address, bytes, what);
#else
    (void)address, (void)bytes, (void)what;
#endif
}

/** 8 or 16 aligned bytes as one number: nvcc 13 splits the store of a uint2, uint4 or float4 into stores of 4 bytes
 * where the address is a sum of several terms (seen in the SASS of every elementwise kernel). */
BT_DEVICE void bt_store_words(void *p, uint32_t a, uint32_t b) {
    *static_cast<uint64_t *>(p) = (uint64_t)b << 32 | a;
}
BT_DEVICE void bt_store_words(void *p, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    const uint64_t low = (uint64_t)b << 32 | a, high = (uint64_t)d << 32 | c;
    *static_cast<unsigned __int128 *>(p) = (unsigned __int128)high << 64 | low;
}
BT_DEVICE void bt_store_words(float *p, const float *v) {
    bt_store_words(p, __float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]), __float_as_uint(v[3]));
}

/** Four elements from 16-byte (float) or 8-byte (bf16) aligned memory. */
BT_DEVICE void bt_load4(float (&v)[4], const float *p) {
    bt_check_aligned(p, 16, "bt_load4");
    const float4 q = *reinterpret_cast<const float4 *>(p);
    v[0] = q.x, v[1] = q.y, v[2] = q.z, v[3] = q.w;
}
BT_DEVICE void bt_load4(float (&v)[4], const bt_bf16 *p) {
    bt_check_aligned(p, 8, "bt_load4");
    const uint2 q = *reinterpret_cast<const uint2 *>(p);
    v[0] = __uint_as_float(q.x << 16), v[1] = __uint_as_float(q.x & 0xffff0000u);
    v[2] = __uint_as_float(q.y << 16), v[3] = __uint_as_float(q.y & 0xffff0000u);
}
BT_DEVICE void bt_store4(float *p, const float (&v)[4]) {
    bt_check_aligned(p, 16, "bt_store4");
    bt_store_words(p, v);
}
BT_DEVICE void bt_store4(bt_bf16 *p, const float (&v)[4]) {
    bt_check_aligned(p, 8, "bt_store4");
    bt_store_words(p, bt_pack_bf16(v[0], v[1]), bt_pack_bf16(v[2], v[3]));
}

/** Eight elements from 16-byte aligned memory. */
BT_DEVICE void bt_load8(float (&v)[8], const float *p) {
    bt_check_aligned(p, 16, "bt_load8");
    const float4 q = reinterpret_cast<const float4 *>(p)[0], r = reinterpret_cast<const float4 *>(p)[1];
    v[0] = q.x, v[1] = q.y, v[2] = q.z, v[3] = q.w;
    v[4] = r.x, v[5] = r.y, v[6] = r.z, v[7] = r.w;
}
BT_DEVICE void bt_load8(float (&v)[8], const bt_bf16 *p) {
    bt_check_aligned(p, 16, "bt_load8");
    const uint4 q = *reinterpret_cast<const uint4 *>(p);
    v[0] = __uint_as_float(q.x << 16), v[1] = __uint_as_float(q.x & 0xffff0000u);
    v[2] = __uint_as_float(q.y << 16), v[3] = __uint_as_float(q.y & 0xffff0000u);
    v[4] = __uint_as_float(q.z << 16), v[5] = __uint_as_float(q.z & 0xffff0000u);
    v[6] = __uint_as_float(q.w << 16), v[7] = __uint_as_float(q.w & 0xffff0000u);
}
BT_DEVICE void bt_store8(float *p, const float (&v)[8]) {
    bt_check_aligned(p, 16, "bt_store8");
    bt_store_words(p, v);
    bt_store_words(p + 4, v + 4);
}
BT_DEVICE void bt_store8(bt_bf16 *p, const float (&v)[8]) {
    bt_check_aligned(p, 16, "bt_store8");
    bt_store_words(p, bt_pack_bf16(v[0], v[1]), bt_pack_bf16(v[2], v[3]), bt_pack_bf16(v[4], v[5]),
                   bt_pack_bf16(v[6], v[7]));
}

#endif
