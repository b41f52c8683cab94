/* The cases that reference.py makes, read from cases.bin, and what a maker of views is held to. */
#ifndef BITTERN_TESTS_VIEWS_CASES_H
#define BITTERN_TESTS_VIEWS_CASES_H

#include "data/transform.h"
#include "tensor/backend.h"

/** Makes the view of a record: pixels (bytes) hold the picture at record->offset; out (size,size,3). */
typedef bt_status (*view_maker)(void *context, const uint8_t *pixels, int64_t bytes, const bt_view_record *record,
                                int64_t size, uint8_t *out);

/** Compares every `stride`-th case of folder/cases.bin with what `make` gives; pictures that have a file are decoded
 * too. Returns the exit code: 0 all are equal, 1 not, 77 no cases (there is no PIL to make them). */
int compare_with_reference(const char *folder, const char *name, view_maker make, void *context, int stride);

/** A maker that runs the operation make_views on a backend; context: the open bt_device. */
bt_status make_by_operation(void *context, const uint8_t *pixels, int64_t bytes, const bt_view_record *record,
                            int64_t size, uint8_t *out);

#endif
