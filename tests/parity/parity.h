/* Shared by the parity tests: a model from a fixture file, and comparison by norms. */
#ifndef BITTERN_PARITY_H
#define BITTERN_PARITY_H

#include "train/session.h"

#include <bittern/safetensors.h>

typedef struct fixture {
    bt_safetensors *file;
    bt_model model;
    bt_device *device;
    int batch;
} fixture;

/** Opens a fixture and declares the model that its metadata describes, with weights from tensors "<prefix><name>" for
 * those present. */
bt_status fixture_open(fixture *f, const char *path, bt_device *device, bt_dtype compute, bool given_targets);
void fixture_close(fixture *f);

/** Fills parameters from "<prefix><name>"; returns how many were found. Before commit the host values, after it the
 * slot. */
int fixture_load(fixture *f, const char *prefix, bt_param_slot slot, bool committed);

const char *fixture_text(const fixture *f, const char *key);
double fixture_number(const fixture *f, const char *key);

/** The data of a tensor, which must exist. */
const void *fixture_data(const fixture *f, const char *name);
float *fixture_floats(const fixture *f, const char *name, int64_t *count); /**< to be freed */

/** |a - b| / |b| in the 2-norm; |a| if b is zero; NaN stays NaN. */
double relative_difference(const float *a, const float *b, int64_t count);

#endif
