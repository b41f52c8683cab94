/* Log lines: levels, one stream, one write per line. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <string.h>

#define LINE_BYTES 2048

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *log_stream; /* NULL: stderr */
static bt_log_level log_least = BT_LOG_INFO;

void bt_log_set(FILE *stream, bt_log_level least) {
    pthread_mutex_lock(&lock);
    log_stream = stream;
    log_least = least;
    pthread_mutex_unlock(&lock);
}

static void write_line(bt_log_level level, const char *prefix, const char *format, va_list args) {
    char line[LINE_BYTES];
    size_t used = strlen(prefix);
    memcpy(line, prefix, used);
    vsnprintf(line + used, sizeof line - used, format, args);
    size_t length = strlen(line);
    for (size_t i = 0; i < length; i++) {
        if (line[i] == '\n' || line[i] == '\r') line[i] = ' ';
    }
    line[length] = '\n'; /* in place of the terminator */
    pthread_mutex_lock(&lock);
    if (level >= log_least) {
        FILE *stream = log_stream ? log_stream : stderr;
        fwrite(line, 1, length + 1, stream);
        fflush(stream);
    }
    pthread_mutex_unlock(&lock);
}

void bt_log_info(const char *format, ...) {
    va_list args;
    va_start(args, format);
    write_line(BT_LOG_INFO, "", format, args);
    va_end(args);
}

void bt_log_warn(const char *format, ...) {
    va_list args;
    va_start(args, format);
    write_line(BT_LOG_WARN, "warning: ", format, args);
    va_end(args);
}

void bt_log_error(const char *format, ...) {
    va_list args;
    va_start(args, format);
    write_line(BT_LOG_ERROR, "error: ", format, args);
    va_end(args);
}
