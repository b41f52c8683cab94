/* Initial values. */
#include "nn/init.h"

#include <bittern/random.h>

#include <math.h>

enum { INIT_STREAM = 0xfff001 };

/** FNV-1a of the name: the random key of a parameter. */
static uint32_t name_key(const char *name) {
    uint32_t h = 2166136261u;
    for (; *name; name++) h = (h ^ (uint8_t)*name) * 16777619u;
    return h;
}

static bt_philox draw(const bt_params *store, int index, uint64_t seed, int64_t block) {
    return bt_random_block(seed, 0, INIT_STREAM, name_key(bt_params_spec(store, index)->name), (uint32_t)block);
}

void bt_init_normal(bt_params *store, int index, float std, uint64_t seed) {
    float *host = bt_params_host(store, index);
    int64_t count = bt_shape_count(bt_params_spec(store, index)->shape);
    const double turn = 6.283185307179586;
    for (int64_t i = 0; i < count; i += 2) { /* Box-Muller: two normals from half a block */
        bt_philox r = draw(store, index, seed, i / 4);
        uint32_t a = r.word[i % 4], b = r.word[i % 4 + 1];
        double radius = sqrt(-2 * log(((double)a + 1) / 4294967296.0)), angle = turn * ((double)b / 4294967296.0);
        host[i] = (float)(radius * cos(angle) * (double)std);
        if (i + 1 < count) host[i + 1] = (float)(radius * sin(angle) * (double)std);
    }
}

void bt_init_uniform(bt_params *store, int index, float bound, uint64_t seed) {
    float *host = bt_params_host(store, index);
    int64_t count = bt_shape_count(bt_params_spec(store, index)->shape);
    for (int64_t i = 0; i < count; i++)
        host[i] = (2 * bt_random_unit(draw(store, index, seed, i / 4).word[i % 4]) - 1) * bound;
}

void bt_init_constant(bt_params *store, int index, float value) {
    float *host = bt_params_host(store, index);
    int64_t count = bt_shape_count(bt_params_spec(store, index)->shape);
    for (int64_t i = 0; i < count; i++) host[i] = value;
}

int bt_declare(bt_params *store, const bt_param_spec *spec) {
    int index = bt_params_add(store, spec);
    if (index < 0) bt_panic(__FILE__, __LINE__, "%s", bt_error_message());
    return index;
}
