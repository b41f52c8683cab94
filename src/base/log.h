/* Log lines. One call is one line, written whole, so lines of several threads do not mix. */
#ifndef BITTERN_BASE_LOG_H
#define BITTERN_BASE_LOG_H

#include <bittern/status.h>

#include <stdio.h>

typedef enum bt_log_level { BT_LOG_INFO, BT_LOG_WARN, BT_LOG_ERROR, BT_LOG_NONE } bt_log_level;

/** Lines of at least `least` go to `stream` (NULL: stderr), which stays the caller's. At start: stderr, BT_LOG_INFO. */
void bt_log_set(FILE *stream, bt_log_level least);

/** Lines are cut at 2,047 bytes; line breaks within become spaces. Warnings and errors begin with "warning: ", "error:
 * ". */
void bt_log_info(const char *format, ...) BT_PRINTF(1, 2);
void bt_log_warn(const char *format, ...) BT_PRINTF(1, 2);
void bt_log_error(const char *format, ...) BT_PRINTF(1, 2);

#endif
