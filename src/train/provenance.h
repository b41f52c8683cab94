/* RUN/provenance.jsonl: one object for each start of a run, so that a result can be traced to what made it. */
#ifndef BITTERN_TRAIN_PROVENANCE_H
#define BITTERN_TRAIN_PROVENANCE_H

#include "tensor/backend.h"

/** Appends time (UTC), first step, version, commit, compiler, device with its libraries and threads, host name,
 * operating system and working folder. */
bt_status bt_provenance_append(const char *run, bt_device *device, int64_t step) BT_MUST_CHECK;

#endif
