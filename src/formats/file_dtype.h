/* Conversion of file elements, wherever they lie. */
#ifndef BITTERN_FORMATS_FILE_DTYPE_H
#define BITTERN_FORMATS_FILE_DTYPE_H

#include <bittern/safetensors.h>

/** `count` elements at any address to float32, as bt_safetensors_to_f32. BT_ERR_UNSUPPORTED for the 8-bit floats. */
bt_status bt_file_to_f32(bt_file_dtype dtype, const void *data, int64_t count, float *out) BT_MUST_CHECK;

#endif
