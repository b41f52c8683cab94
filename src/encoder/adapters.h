/* Adapters of peft to and from ours. */
#ifndef BITTERN_ENCODER_ADAPTERS_H
#define BITTERN_ENCODER_ADAPTERS_H

#include "encoder/export.h"

/** Writes an adapter file (kind "adapter", no head) from a folder that peft saved, for the tower of `base`: a run, or a
 * .safetensors file. Errors of bt_peft_open, bt_peft_fill, bt_model_open. */
bt_status bt_adapters_import(const char *folder, const char *base, const char *out,
                             bt_export_result *result) BT_MUST_CHECK;

/** Writes the adapters of a run, or of an adapter file with its base, as a folder that peft loads (import/peft.h says
 * how ranks go). */
bt_status bt_adapters_export(const bt_model_source *source, bt_export_form form, const char *folder,
                             bt_export_result *result) BT_MUST_CHECK;

#endif
