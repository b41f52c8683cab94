/* The CPU device: options, the environment that lowers it, memory, and what it says of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cpu/device.h"

#include <stdlib.h>
#include <string.h>

static const bt_backend *const cpu = &bt_cpu_backend;

static bt_device *open_with(int threads) {
    bt_device *device = NULL;
    assert_int_equal(cpu->open(&(bt_device_options){.threads = threads}, &device), BT_OK);
    return device;
}

static void wrong_options(void **state) {
    (void)state;
    bt_device *device = NULL;
    assert_int_equal(cpu->open(&(bt_device_options){.index = 1}, &device), BT_ERR_USAGE);
    assert_non_null(strstr(bt_error_message(), "cpu:1"));
    assert_int_equal(cpu->open(&(bt_device_options){.threads = -2}, &device), BT_ERR_USAGE);
    assert_non_null(strstr(bt_error_message(), "threads is -2"));
    assert_null(device);
}

static void environment_lowers_the_processor(void **state) {
    (void)state;
    char text[200];
    bt_device *device = NULL;
    setenv("BITTERN_CPU", "sse9", 1);
    assert_int_equal(cpu->open(&(bt_device_options){0}, &device), BT_ERR_USAGE);
    assert_string_equal(bt_error_message(),
                        "environment variable BITTERN_CPU is 'sse9'; allowed: generic, avx2, avx512");
    assert_null(device);
    setenv("BITTERN_CPU", "generic", 1);
    device = open_with(3);
    assert_int_equal(bt_cpu_of(device)->cpu.isa, BT_ISA_GENERIC);
    assert_false(cpu->fast_dtype(device, BT_BF16));
    cpu->describe(device, text, sizeof text);
#ifdef _OPENMP
    assert_string_equal(text, "generic, own products, 3 threads; bf16 emulated");
#else
    assert_string_equal(text, "generic, own products, 1 thread; bf16 emulated");
#endif
    cpu->close(device);
    unsetenv("BITTERN_CPU");
}

static void says_what_it_is(void **state) {
    (void)state;
    char text[200], cut[8];
    bt_device *device = open_with(1);
    cpu->describe(device, text, sizeof text);
    assert_non_null(strstr(text, ", 1 thread; bf16 "));
    assert_non_null(strstr(text, bt_isa_name(bt_cpu_of(device)->cpu.isa)));
    cpu->describe(device, cut, sizeof cut);
    assert_memory_equal(cut, text, sizeof cut - 1);
    assert_true(cpu->fast_dtype(device, BT_F32));
    assert_false(cpu->fast_dtype(device, BT_I64));
    cpu->close(device);
}

static void memory_is_aligned_and_zero(void **state) {
    (void)state;
    bt_device *device = open_with(1);
    const size_t sizes[] = {0, 1, 255, 257, (size_t)5 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *memory = NULL;
        assert_int_equal(cpu->alloc(device, sizes[i], &memory), BT_OK);
        assert_int_equal((uintptr_t)memory % BT_CPU_ALIGNMENT, 0);
        for (size_t at = 0; at < sizes[i]; at++) assert_int_equal(((const unsigned char *)memory)[at], 0);
        cpu->free(device, memory);
    }
    void *memory = NULL;
    assert_int_equal(cpu->alloc(device, SIZE_MAX - 1, &memory), BT_ERR_MEMORY);
    assert_non_null(strstr(bt_error_message(), "cannot be addressed"));
    assert_null(memory);
    cpu->close(device);
}

static void step_and_transfers(void **state) {
    (void)state;
    bt_device *device = open_with(1);
    assert_int_equal(device->step->step, 0);
    assert_int_equal(cpu->set_step(device, &(bt_step){.seed = 7, .step = 9}), BT_OK);
    assert_int_equal(device->step->seed, 7);
    const float host[3] = {1, 2, 3};
    float back[3] = {0};
    void *memory = NULL;
    assert_int_equal(cpu->alloc(device, sizeof host, &memory), BT_OK);
    assert_int_equal(cpu->upload(device, memory, host, sizeof host), BT_OK);
    assert_int_equal(cpu->download(device, back, memory, sizeof back), BT_OK);
    assert_memory_equal(back, host, sizeof host);
    assert_int_equal(cpu->copy(device, memory, (const float *)memory + 1, sizeof host[0]), BT_OK);
    assert_int_equal(cpu->download(device, back, memory, sizeof back), BT_OK);
    assert_true(back[0] == host[1] && back[1] == host[1] && back[2] == host[2]);
    assert_int_equal(cpu->synchronize(device), BT_OK);
    cpu->free(device, memory);
    cpu->close(device);
    cpu->close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_options),      cmocka_unit_test(environment_lowers_the_processor),
        cmocka_unit_test(says_what_it_is),    cmocka_unit_test(memory_is_aligned_and_zero),
        cmocka_unit_test(step_and_transfers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
