/* Status codes and the thread's last error message.
 *
 * Functions that can fail because of a user's input, a file, the machine or memory return a bt_status. On failure they
 * also leave one line of text in the calling thread: what happened, where, what is allowed, how to mend it. The message
 * is set where the fault is found; a module that passes it on may put a prefix before it. Mistakes of ours abort.
 */
#ifndef BITTERN_STATUS_H
#define BITTERN_STATUS_H

#include <stdarg.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What kind of failure it was. The values are also the exit codes of the `bittern` command. */
typedef enum bt_status {
    BT_OK = 0,
    BT_ERR_FAILED = 1,      /**< anything not named below */
    BT_ERR_USAGE = 2,       /**< command line: unknown command or option */
    BT_ERR_CONFIG = 3,      /**< a config key or value is wrong */
    BT_ERR_IO = 4,          /**< a file cannot be opened, read or written; disk full */
    BT_ERR_FORMAT = 5,      /**< a file's content is not what its format allows */
    BT_ERR_MEMORY = 6,      /**< an allocation failed */
    BT_ERR_UNSUPPORTED = 7, /**< this build, processor or device cannot do it */
    BT_ERR_SHAPE = 8,       /**< shapes or dtypes of operands do not fit together */
    BT_ERR_NUMERIC = 9,     /**< non-finite loss, matrix not positive definite */
    BT_ERR_DEVICE = 10,     /**< the device or one of its libraries reported a fault */
    BT_ERR_INTERRUPTED = 11 /**< SIGINT or SIGTERM; the state was saved */
} bt_status;

#if defined(__GNUC__)
#define BT_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define BT_MUST_CHECK __attribute__((warn_unused_result))
#else
#define BT_PRINTF(format_at, args_at)
#define BT_MUST_CHECK
#endif

/** Sets the thread's error message (one line, cut at 1,023 bytes) and returns `status`, so that a caller can write
 *  `return bt_error(BT_ERR_IO, "cannot open %s: %s", path, why);`. */
bt_status bt_error(bt_status status, const char *format, ...) BT_PRINTF(2, 3);

/** Puts `prefix: ` before the thread's message and returns `status` unchanged. */
bt_status bt_error_prefix(bt_status status, const char *format, ...) BT_PRINTF(2, 3);

/** The thread's last message; "" if none. Valid until the next failing call in this thread. */
const char *bt_error_message(void);

/** Clears the thread's message. */
void bt_error_clear(void);

/** Short name of a status, e.g. "config". */
const char *bt_status_name(bt_status status);

/** Returns from the calling function when `call` did not give BT_OK. */
#define BT_TRY(call)                                                                                                   \
    do {                                                                                                               \
        bt_status bt_try_status = (call);                                                                              \
        if (bt_try_status != BT_OK) return bt_try_status;                                                              \
    } while (0)

/** Prints the message with file and line and aborts: for mistakes of ours, never for a user's input. */
#if defined(__GNUC__)
__attribute__((noreturn))
#endif
void bt_panic(const char *file, int line, const char *format, ...) BT_PRINTF(3, 4);

/** An assertion that stays on in release builds. */
#define BT_ASSERT(condition) ((condition) ? (void)0 : bt_panic(__FILE__, __LINE__, "assertion failed: %s", #condition))

#ifdef __cplusplus
}
#endif
#endif
