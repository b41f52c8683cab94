/* How far a download is; see meter.h. */
#include "fetch/meter.h"

#include "base/log.h"
#include "base/thread.h"

#include <stdbool.h>
#include <stdio.h>

enum { LINE_SECONDS = 10 };

char *bt_meter_bytes(int64_t bytes, char text[16]) {
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    double value = (double)bytes / 1000;
    int unit = 0;
    for (; value >= 999.95 && unit < 3; unit++) value /= 1000;
    if (bytes < 1000)
        snprintf(text, 16, "%d B", (int)bytes);
    else
        snprintf(text, 16, "%.1f %s", value < 99999 ? value : 99999.0, units[unit]);
    return text;
}

void bt_meter_start(bt_meter *m, const char *name, int64_t have) {
    double now = bt_clock_seconds();
    *m = (bt_meter){.name = name, .start = now, .drawn = now, .from = have};
}

void bt_meter_show(bt_meter *m, int64_t have, int64_t total) {
    bool terminal = bt_log_status_width() > 0;
    double now = bt_clock_seconds(), passed = now - m->start;
    if (now - m->drawn < (terminal ? 0.1 : LINE_SECONDS)) return;
    m->drawn = now;
    char line[256], done[16], all[16], rate[16], left[32] = "";
    double speed = passed > 0 ? (double)(have - m->from) / passed : 0;
    if (total > 0 && speed >= 1) {
        double rest = (double)(total - have) / speed;
        long long s = rest < 3.6e8 ? (long long)(rest + 0.5) : 0;
        snprintf(left, sizeof left, "  %lld:%02lld left", s / 60, s % 60);
    }
    bt_meter_bytes(have, done);
    bt_meter_bytes((int64_t)speed, rate);
    if (total > 0)
        snprintf(line, sizeof line, "%s  %s of %s  %d %%  %s/s%s", m->name, done, bt_meter_bytes(total, all),
                 (int)(100 * (double)have / (double)total), rate, left);
    else
        snprintf(line, sizeof line, "%s  %s  %s/s", m->name, done, rate);
    if (terminal)
        bt_log_status(line);
    else
        bt_log_info("%s", line);
}

void bt_meter_end(bt_meter *m) {
    (void)m;
    bt_log_status(NULL);
}
