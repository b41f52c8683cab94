/* What this binary was built from: the only file that is compiled again with each commit. */
#include "base/build.h"

#include "build_info.h"

const char bt_build_version[] = BITTERN_VERSION;
const char bt_build_commit[] = BITTERN_COMMIT;
const char bt_build_compiler[] = BITTERN_COMPILER;
