/* bittern report: the page of a run. */
#include "cli/cli.h"
#include "train/run_report.h"

#include <stdio.h>

static bt_status report(const bt_arguments *a) {
    BT_TRY(bt_run_report(a->operand[0]));
    printf("%s/report.html\n", a->operand[0]);
    return BT_OK;
}

const bt_command bt_command_report = {
    "report", "RUN", "writes a run's report.html, which opens offline, and its plots", 1, 1, NULL, 0, false, report};
