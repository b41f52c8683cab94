/* state.json of a checkpoint, and the comparison of the configuration in it on resume. */
#include "fuzz.h"

#include "base/memory.h"
#include "train/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    fuzz_file("state.json", data, bytes);
    bt_train_state state = {.step = -1};
    char *config = NULL;
    bt_status status = bt_checkpoint_state(fuzz_folder(), &state, &config);
    if (status != BT_OK) {
        FUZZ_CHECK_REFUSED(status);
        FUZZ_CHECK(state.step == -1 && !config);
        return 0;
    }
    FUZZ_CHECK(state.step >= 0 && state.epoch >= 0 && state.batch >= 0);
    for (int g = 0; g < BT_GROUPS; g++) FUZZ_CHECK(state.updates[g] >= 0);
    status = bt_config_compare("resume", config, "{\"optim.lr\":\"0.001\",\"run.keep\":\"2\"}", "{\"optim.lr\":\"1\"}");
    if (status != BT_OK) FUZZ_CHECK_REFUSED(status);
    bt_memory_free(config);
    return 0;
}
