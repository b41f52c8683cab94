/* Header fields of an answer, one line at a time. */
#ifndef BITTERN_FETCH_HEADERS_H
#define BITTERN_FETCH_HEADERS_H

#include "fetch/transfer.h"

/** Forgets what belongs to one answer; what a redirect stated of the file (sum, size) stays. */
void bt_headers_begin(bt_transfer_answer *answer);

/** The code of a status line ("HTTP/1.1 200 OK\r\n"), of `length` bytes and not terminated; 0 if there is none. */
int bt_headers_code(const char *line, size_t length);

/** Takes a line as it came ("Name: value\r\n"). `home`: it comes from the host of the first address, whose statements
 * of the file count. `location` (`bytes` long) takes where a redirect leads; one that does not fit is left out. */
void bt_headers_take(bt_transfer_answer *answer, const char *line, size_t length, bool home, char *location,
                     size_t bytes);

#endif
