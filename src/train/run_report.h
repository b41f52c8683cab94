/* The report of a run whose pictures may be in a pack. */
#ifndef BITTERN_TRAIN_RUN_REPORT_H
#define BITTERN_TRAIN_RUN_REPORT_H

#include <bittern/status.h>

/** Writes RUN/report.html and RUN/plots (bt_report_write, with its errors). Pictures of a pack are read from the pack.
 */
bt_status bt_run_report(const char *run) BT_MUST_CHECK;

#endif
