/* cmocka, and checks that show what they found. Include this before other headers. */
#ifndef BITTERN_TESTS_CHECK_H
#define BITTERN_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bittern/status.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* The call failed with this status, and its message holds the text. */
static inline void check_error(bt_status status, bt_status wanted, const char *text) {
    if (status != wanted || !strstr(bt_error_message(), text)) {
        fail_msg("status %s, message \"%s\"; wanted %s, \"%s\"", bt_status_name(status), bt_error_message(),
                 bt_status_name(wanted), text);
    }
}

/* The call failed with exactly this message. */
static inline void check_message(bt_status status, bt_status wanted, const char *text) {
    check_error(status, wanted, text);
    assert_string_equal(bt_error_message(), text);
}

static inline void check_ok(bt_status status) {
    if (status != BT_OK) fail_msg("status %s: %s", bt_status_name(status), bt_error_message());
}

/* Whether `run` ends its process by abort(), as mistakes of ours must. */
static inline int check_aborts(void (*run)(void)) {
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka's handler would report a failed test */
        fclose(stderr);
        run();
        _exit(0);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
