/* How far a download is: one redrawn line on a terminal, a plain line every few seconds elsewhere. */
#ifndef BITTERN_FETCH_METER_H
#define BITTERN_FETCH_METER_H

#include <stdint.h>

typedef struct bt_meter {
    const char *name;
    double start, drawn; /**< seconds */
    int64_t from;        /**< bytes that were there at the start */
} bt_meter;

void bt_meter_start(bt_meter *meter, const char *name, int64_t have);
void bt_meter_show(bt_meter *meter, int64_t have, int64_t total); /**< `total` < 0: unknown */
void bt_meter_end(bt_meter *meter);

/** "346.3 MB", in powers of 1000; at least 16 bytes of room. Returns `text`. */
char *bt_meter_bytes(int64_t bytes, char text[16]);

#endif
