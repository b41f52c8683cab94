/* TensorBoard event files, scalars only.
 *
 * A file is a sequence of TFRecords: length (u64), masked CRC-32C of the length (u32), data, masked CRC-32C of the data
 * (u32), little endian; mask(c) = (c >> 15 | c << 17) + 0xa282ead8. The data is one protocol buffer message Event: 1
 * wall_time (double)   2 step (varint)   3 file_version "brain.Event:2", first record only 5 summary { 1 value { 1 tag,
 * 2 simple_value (float) } ... }   7 session_log { 1 status = START (1) }
 */
#ifndef BITTERN_FORMATS_EVENT_FILE_H
#define BITTERN_FORMATS_EVENT_FILE_H

#include <bittern/status.h>

#include <stdint.h>

typedef struct bt_event_file bt_event_file;

typedef struct bt_event_scalar {
    const char *tag; /**< "train/loss"; TensorBoard groups by what is before the slash */
    double value;
} bt_event_scalar;

/** A new file FOLDER/events.out.tfevents.SECONDS.PID.bittern. `first_step` > 0 says that a resumed run goes on there:
 * TensorBoard then forgets what earlier files of the folder hold from that step on. BT_ERR_IO, BT_ERR_MEMORY. */
bt_status bt_event_file_open(const char *folder, int64_t first_step, bt_event_file **out) BT_MUST_CHECK;

/** One record with all scalars of a step, on disk when it returns: TensorBoard reads while the run goes on. BT_ERR_IO
 * (disk full). */
bt_status bt_event_file_append(bt_event_file *file, int64_t step, const bt_event_scalar *scalars,
                               int count) BT_MUST_CHECK;

void bt_event_file_close(bt_event_file *file); /**< NULL is allowed */

#endif
