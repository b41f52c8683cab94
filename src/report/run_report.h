/* The report of a run, from what lies in its folder: config.yaml, metrics.jsonl, provenance.jsonl, evaluation.json and
 * evaluation/ (docs/evaluation.md). Parts whose files are missing are left out, and the page says so.
 *
 *   RUN/report.html          one file that opens offline: plots and pictures inside, no script
 *   RUN/plots/NAME.svg       each plot; NAME.png beside it where the build has cairo
 */
#ifndef BITTERN_REPORT_RUN_REPORT_H
#define BITTERN_REPORT_RUN_REPORT_H

#include <bittern/status.h>

#include <stddef.h>
#include <stdint.h>

/** A picture of a pack: pixels (side, side, 3), or with side 0 an encoded file of `count` bytes. */
typedef struct bt_report_picture {
    const uint8_t *bytes;
    size_t count;
    int64_t side;
} bt_report_picture;

/** How pictures come out of a pack (src/data/pack.h), which this module does not know: RUN/evaluation.json names the
 * pack, RUN/evaluation/ the rows and paths of its pictures. */
typedef struct bt_report_pack {
    void *context;

    /** Opens a pack; called at most once. Its error's message is shown in place of the pictures. */
    bt_status (*open)(void *context, const char *pack);

    /** The picture in a row of the open pack, whose path was `path` when the run was evaluated; its bytes stay valid
     * as long as the context. False if it is not there, or is another one now. */
    bool (*find)(void *context, int64_t row, const char *path, bt_report_picture *out);
} bt_report_pack;

/** Writes the report. BT_ERR_IO if `run` is no run's folder or cannot be written to; BT_ERR_FORMAT with file and byte
 * for damaged files. Pictures that cannot be read are shown as empty frames. */
bt_status bt_report_write(const char *run, const bt_report_pack *pack) BT_MUST_CHECK;

#endif
