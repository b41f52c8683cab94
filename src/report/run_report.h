/* The report of a run, from what lies in its folder: config.yaml, metrics.jsonl, provenance.jsonl, evaluation.json and
 * evaluation/ (docs/evaluation.md). Parts whose files are missing are left out, and the page says so.
 *
 *   RUN/report.html          one file that opens offline: plots and pictures inside, no script
 *   RUN/plots/NAME.svg       each plot; NAME.png beside it where the build has cairo
 */
#ifndef BITTERN_REPORT_RUN_REPORT_H
#define BITTERN_REPORT_RUN_REPORT_H

#include <bittern/status.h>

/** Writes the report. BT_ERR_IO if `run` is no run's folder or cannot be written to; BT_ERR_FORMAT with file and byte
 * for damaged files. Pictures that cannot be read are shown as empty frames. */
bt_status bt_report_write(const char *run) BT_MUST_CHECK;

#endif
