/* Memory of an engine: what its plan takes is known, said and compared with what there is before it is taken. */
#ifndef BITTERN_ENCODER_ENGINE_ROOM_H
#define BITTERN_ENCODER_ENGINE_ROOM_H

#include "encoder/engine.h"

/** Plans the session of an engine whose model is loaded, logs what it takes (options->tell), and takes it.
 * BT_ERR_MEMORY where that is more than there is: the message has the largest batch, by halves, that fits. */
bt_status bt_engine_reserve(bt_engine *engine, const bt_engine_options *options) BT_MUST_CHECK;

#endif
