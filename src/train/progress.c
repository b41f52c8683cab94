/* The progress line of a run. */
#include "train/progress.h"

#include "base/log.h"
#include "base/thread.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double bt_waited(const bt_loader_times *before, const bt_loader_times *now) {
    return now->wait_seconds - before->wait_seconds + now->copy_seconds - before->copy_seconds;
}

const char *bt_guilty_stage(const bt_loader_times *before, const bt_loader_times *now) {
    double read = now->read_seconds - before->read_seconds, decode = now->decode_seconds - before->decode_seconds;
    double augment = now->augment_seconds - before->augment_seconds, copy = now->copy_seconds - before->copy_seconds;
    if (copy > now->wait_seconds - before->wait_seconds) return "copy";
    if (read <= 0 && decode <= 0 && augment <= 0) return "";
    return read > decode && read > augment ? "read" : decode > augment ? "decode" : "augment";
}

void bt_duration_text(double seconds, char *text, size_t bytes) {
    if (!(seconds >= 0 && seconds < 3.6e8)) { /* also NaN: no step yet */
        snprintf(text, bytes, "?");
        return;
    }
    long long s = (long long)(seconds + 0.5);
    if (s < 3600)
        snprintf(text, bytes, "%lld:%02lld", s / 60, s % 60);
    else
        snprintf(text, bytes, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}

void bt_progress_start(bt_progress *p, const bt_loader_times *times) {
    *p = (bt_progress){.last = bt_clock_seconds(), .times = *times, .guilty = ""};
}

/** Pieces in the order of the line; a higher `rank` is left out sooner. */
typedef struct piece {
    int rank;
    char text[64];
} piece;

static void join(const piece *list, int count, int least_told, char *text, size_t bytes) {
    text[0] = 0;
    for (int i = 0; i < count; i++)
        if (list[i].rank <= least_told && list[i].text[0])
            snprintf(text + strlen(text), bytes - strlen(text), "%s%s", text[0] ? "  " : "", list[i].text);
}

void bt_progress_text(const bt_progress *p, const bt_progress_view *v, int width, char *text, size_t bytes) {
    char left[32];
    bt_duration_text(p->steps ? (double)(v->total - v->step) * p->step_seconds : NAN, left, sizeof left);
    piece list[] = {{0, ""}, {5, ""}, {4, ""}, {1, ""}, {3, ""}, {p->wait_share >= 0.05 ? 2 : 6, ""}, {1, ""}};
    snprintf(list[0].text, sizeof list[0].text, "step %lld/%lld", (long long)v->step, (long long)v->total);
    snprintf(list[1].text, sizeof list[1].text, "%.0f %%",
             floor(100 * (double)v->step / (double)(v->total ? v->total : 1)));
    snprintf(list[2].text, sizeof list[2].text, "epoch %lld/%lld", (long long)v->epoch, (long long)v->epochs);
    snprintf(list[3].text, sizeof list[3].text, "loss %.4f", v->loss);
    if (p->steps && p->step_seconds > 0)
        snprintf(list[4].text, sizeof list[4].text, "%.*f views/s", (double)v->views / p->step_seconds < 10,
                 (double)v->views / p->step_seconds);
    bool blame = p->wait_share >= 0.005 && *p->guilty;
    snprintf(list[5].text, sizeof list[5].text, "waiting %.0f %%%s%s%s", 100 * p->wait_share, blame ? " (" : "",
             blame ? p->guilty : "", blame ? ")" : "");
    snprintf(list[6].text, sizeof list[6].text, "%s left", left);
    int told = 6;
    do join(list, 7, told, text, bytes);
    while (strlen(text) > (size_t)(width > 0 ? width : 0) && told-- > 0);
    if (width >= 0 && strlen(text) > (size_t)width && (size_t)width < bytes) text[width] = 0;
}

void bt_progress_step(bt_progress *p, const bt_progress_view *view, const bt_loader_times *times) {
    double now = bt_clock_seconds(), passed = now - p->last;
    double share = passed > 0 ? fmin(1, bt_waited(&p->times, times) / passed) : 0;
    p->steps++;
    double newest = fmax(0.05, 1 / (double)p->steps); /* the mean of all at first, then of about the last twenty */
    p->step_seconds += newest * (passed - p->step_seconds);
    p->wait_share += newest * (share - p->wait_share);
    const char *guilty = bt_guilty_stage(&p->times, times);
    if (*guilty) p->guilty = guilty;
    p->times = *times;
    p->last = now;
    int width = bt_log_status_width();
    if (!width || (now - p->drawn < 0.1 && view->step < view->total)) return;
    char text[512];
    bt_progress_text(p, view, width - 1, text, sizeof text);
    bt_log_status(text);
    p->drawn = now;
}
