/* SIGINT and SIGTERM. */
#include "train/interrupt.h"

#include "base/log.h"

#include <signal.h>

static volatile sig_atomic_t seen;

static void note(int number) {
    if (seen) {
        bt_log_status_abandon();
        signal(number, SIG_DFL);
        raise(number);
    }
    seen = number;
}

void bt_interrupt_watch(void) {
    struct sigaction action = {.sa_handler = note};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, 0);
    sigaction(SIGTERM, &action, 0);
}

int bt_interrupt_seen(void) {
    return seen;
}
