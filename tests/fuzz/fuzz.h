/* Fuzz targets: one program for each way that bytes from outside enter (fuzz_<name>.c).
 *
 * A target is libFuzzer's entry point: it hands the input to the parser and checks what must hold for any input. Built
 * plainly, with replay.c as its main, it runs the files of corpus/<name> and a number of seeded changes of them
 * (`ctest -L fuzz`; the dev preset adds ASan and UBSan). Built by clang with BITTERN_FUZZ it is a libFuzzer program:
 *
 *   CC=clang cmake --preset dev -B build/fuzz -DBITTERN_FUZZ=ON -DBITTERN_WERROR=OFF
 *   ninja -C build/fuzz fuzz_json
 *   build/fuzz/fuzz_json -max_total_time=600 NEW_INPUTS tests/fuzz/corpus/json
 *
 * (Without BITTERN_WERROR=OFF, clang stops at loops that the sanitizers keep it from vectorizing.)
 */
#ifndef BITTERN_TESTS_FUZZ_H
#define BITTERN_TESTS_FUZZ_H

#include <bittern/status.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/** What must hold for any input. */
#define FUZZ_CHECK(condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                             \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/** A refusal says why, in one line. */
#define FUZZ_CHECK_REFUSED(status) FUZZ_CHECK(fuzz_is_refusal(status))
bool fuzz_is_refusal(bt_status status);

/** A folder in memory where there is one, removed at the end of the program. */
const char *fuzz_folder(void);

/** Path of a file in that folder; one of four buffers in turn. */
const char *fuzz_path(const char *name);

/** Puts the input into a file of the folder and gives its path. */
const char *fuzz_file(const char *name, const uint8_t *data, size_t bytes);

/** A whole file in memory of malloc. */
uint8_t *fuzz_read(const char *path, size_t *bytes);

/** Reads every byte, so that a sanitizer sees memory that is not there. */
void fuzz_touch(const void *memory, size_t bytes);

/** Decodes a picture and looks at all of it. */
void fuzz_picture(const uint8_t *data, size_t bytes);

#endif
