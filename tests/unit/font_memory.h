/* For tests that draw text. LeakSanitizer asks for this: fontconfig keeps what it has read about fonts until the
 * process ends. */
#ifndef BITTERN_TESTS_FONT_MEMORY_H
#define BITTERN_TESTS_FONT_MEMORY_H

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libfontconfig";
}

#endif
