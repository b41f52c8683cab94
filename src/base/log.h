/* Log lines. One call is one line, written whole, so lines of several threads do not mix. */
#ifndef BITTERN_BASE_LOG_H
#define BITTERN_BASE_LOG_H

#include <bittern/status.h>

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum bt_log_level { BT_LOG_INFO, BT_LOG_WARN, BT_LOG_ERROR, BT_LOG_NONE } bt_log_level;

/** Lines of at least `least` go to `stream` (NULL: stderr), which stays the caller's. At start: stderr, BT_LOG_INFO. */
void bt_log_set(FILE *stream, bt_log_level least);

/** Lines are cut at 2,047 bytes; line breaks within become spaces. Warnings and errors begin with "warning: ", "error:
 * ". */
void bt_log_info(const char *format, ...) BT_PRINTF(1, 2);
void bt_log_warn(const char *format, ...) BT_PRINTF(1, 2);
void bt_log_error(const char *format, ...) BT_PRINTF(1, 2);

/* One line below the log on a terminal, which is redrawn in place: progress. Log lines go above it, so neither tears
 * the other. */

/** Columns of the terminal that log lines go to, read anew each time; 0 where a line cannot be redrawn: no terminal,
 * TERM unset or "dumb", or NO_COLOR set, with which users of screen readers and recorders ask for plain lines. */
int bt_log_status_width(void);

/** Draws `text` (ASCII, cut to the width) in place of the last one; NULL takes it away and leaves nothing. Does nothing
 * where the width is 0. */
void bt_log_status(const char *text);

/** From a signal handler that ends the process: takes the line away. */
void bt_log_status_abandon(void);

#ifdef __cplusplus
}
#endif
#endif
