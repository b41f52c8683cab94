/* SIGINT and SIGTERM only set a flag, which the training loop reads between steps: it saves and ends with exit code 11.
 * A second signal ends the process at once. */
#ifndef BITTERN_TRAIN_INTERRUPT_H
#define BITTERN_TRAIN_INTERRUPT_H

/** Installs the handlers. */
void bt_interrupt_watch(void);

/** The signal that arrived, or 0. */
int bt_interrupt_seen(void);

#endif
