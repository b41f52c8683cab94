/* The Fen in a build without cairo: this file takes the place of all others of the module (cmake/library.cmake). */
#include "fen/fen.h"

bt_status bt_fen_generate(const bt_fen_options *options) {
    (void)options;
    return bt_error(BT_ERR_UNSUPPORTED,
                    "this build draws no worlds; install libcairo2-dev and build again with -DBITTERN_CAIRO=ON");
}
