/* Processor detection: cpuid through the compiler's builtin, which also checks that the system saves the wide
 * registers. */
#include "base/cpu.h"

#include <stdlib.h>
#include <string.h>

static bt_cpu_features detect(void) {
    bt_cpu_features found = {.isa = BT_ISA_GENERIC};
#ifdef BITTERN_WITH_SIMD
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.isa = BT_ISA_AVX2;
    if (found.isa == BT_ISA_AVX2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
        found.isa = BT_ISA_AVX512;
        found.avx512_bf16 = __builtin_cpu_supports("avx512bf16") != 0;
    }
#endif
#ifdef BT_SIMD_EMULATED
    found.isa = BT_ISA_AVX512;
    found.avx512_bf16 = true;
#endif
    return found;
}

bt_status bt_cpu_detect(bt_cpu_features *out) {
    bt_cpu_features found = detect();
    const char *limit = getenv("BITTERN_CPU");
    if (limit && *limit) {
        bt_isa highest;
        if (!strcmp(limit, "generic"))
            highest = BT_ISA_GENERIC;
        else if (!strcmp(limit, "avx2"))
            highest = BT_ISA_AVX2;
        else if (!strcmp(limit, "avx512"))
            highest = BT_ISA_AVX512;
        else
            return bt_error(BT_ERR_USAGE, "environment variable BITTERN_CPU is '%.40s'; allowed: generic, avx2, avx512",
                            limit);
        if (highest < found.isa) found.isa = highest;
        if (found.isa < BT_ISA_AVX512) found.avx512_bf16 = false;
    }
    *out = found;
    return BT_OK;
}

const char *bt_isa_name(bt_isa isa) {
    static const char *const names[] = {"generic", "AVX2", "AVX-512"};
    return names[isa];
}
