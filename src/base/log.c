/* Log lines: levels, one stream, one write per line; and the status line below them. */
#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINE_BYTES 2048
#define STATUS_BYTES 512

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *log_stream; /* NULL: stderr */
static bt_log_level log_least = BT_LOG_INFO;
static char status_text[STATUS_BYTES];
static volatile sig_atomic_t status_shown;

static FILE *out(void) {
    return log_stream ? log_stream : stderr;
}

/* ---- the status line ---- */

int bt_log_status_width(void) {
    const char *term = getenv("TERM"), *plain = getenv("NO_COLOR");
    if (!term || !*term || strcmp(term, "dumb") == 0 || (plain && *plain)) return 0;
    struct winsize size;
    if (!isatty(fileno(out())) || ioctl(fileno(out()), TIOCGWINSZ, &size) != 0) return 0;
    return size.ws_col > 1 ? size.ws_col : 80; /* a terminal that does not know its size says 0 */
}

/** Takes the line from the screen. A terminal that became narrower has broken it into several rows: back to the first
 * of them. */
static void erase(void) {
    int width = bt_log_status_width(), rows = width ? (int)(strlen(status_text) - 1) / width : 0;
    fputc('\r', out());
    for (int i = 0; i < rows; i++) fputs("\033[A", out());
    fputs("\033[J", out());
    status_shown = 0;
}

/** Draws the line, cut so that the cursor stays in its row. */
static void draw(int width) {
    if (!status_text[0] || !width) return;
    if (strlen(status_text) > (size_t)width - 1) status_text[width - 1] = 0;
    fputs(status_text, out());
    fflush(out());
    status_shown = 1;
}

void bt_log_status(const char *text) {
    pthread_mutex_lock(&lock);
    int width = bt_log_status_width();
    if (status_shown) erase();
    snprintf(status_text, sizeof status_text, "%s", text && width ? text : "");
    draw(width);
    fflush(out());
    pthread_mutex_unlock(&lock);
}

void bt_log_status_abandon(void) {
    static const char gone[] = "\r\033[J";
    if (status_shown && write(STDERR_FILENO, gone, sizeof gone - 1) < 0) status_shown = 0;
}

/* ---- lines ---- */

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
        bool shown = status_shown;
        if (shown) erase();
        fwrite(line, 1, length + 1, out());
        if (shown) draw(bt_log_status_width());
        fflush(out());
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
