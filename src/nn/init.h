/* Initial values, drawn from Philox by parameter name: adding a parameter does not change the others. */
#ifndef BITTERN_NN_INIT_H
#define BITTERN_NN_INIT_H

#include <bittern/params.h>

/** Normal with mean 0. PyTorch's trunc_normal_ of std 0.02 cuts at +-2, a hundred deviations: no effective cut. */
void bt_init_normal(bt_params *store, int index, float std, uint64_t seed);
/** Uniform in [-bound, bound). */
void bt_init_uniform(bt_params *store, int index, float bound, uint64_t seed);
void bt_init_constant(bt_params *store, int index, float value);

/** Declares a parameter; a failure (duplicate name) is a mistake of ours and aborts. */
int bt_declare(bt_params *store, const bt_param_spec *spec);

#endif
