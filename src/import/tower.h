/* The architecture of a recognised file, from the shapes of its tensors and from what its configuration says. */
#ifndef BITTERN_IMPORT_TOWER_H
#define BITTERN_IMPORT_TOWER_H

#include "base/text.h"
#include "import/hints.h"
#include "import/source.h"

/** Derives `out`. `given` overrides what files say (0, -1: not given), `file` is the configuration's. Where neither
 * shapes nor configuration nor publication decide, or they contradict each other: BT_ERR_FORMAT with the option that
 * does. `notes` receives a line for each thing that was decided by something else than a tensor's shape. */
bt_status bt_import_tower(const bt_import_source *source, const bt_import_hints *given, const bt_import_hints *file,
                          bt_vit_config *out, bt_text *notes) BT_MUST_CHECK;

#endif
