/* Resamples the position embeddings on its standard input by a program, with their gradient, on the processor.
 *
 *   test_resample RULE PREFIX GH GW H W D < pos (PREFIX + GH*GW, D), dy (PREFIX + H*W, D) f32 > y, dpos f32 */
#include "tensor/backend.h"

#include <bittern/program.h>

#include <stdio.h>
#include <stdlib.h>

static const bt_device_options two_threads = {.threads = 2};

/** y and dpos of the recorded program; pos is in the store already. */
static bt_status run(bt_program *p, bt_params *store, int pos, const float *dy, size_t y_bytes, float *y, float *dpos) {
    bt_device *device;
    BT_TRY(bt_cpu_backend.open(&two_threads, &device));
    bt_status status = bt_params_commit(store, device);
    if (status == BT_OK)
        status = bt_program_run_once(p, device, (bt_plan_input[]){{"dy", dy, y_bytes}, {NULL}},
                                     (bt_plan_output[]){{"y", y, y_bytes}, {NULL}});
    if (status == BT_OK) status = bt_params_read(store, pos, BT_SLOT_GRADIENT, dpos);
    bt_params_free(store);
    bt_cpu_backend.close(device);
    return status;
}

int main(int argc, char **argv) {
    int number[7] = {0};
    for (int i = 0; i < 7 && i + 1 < argc; i++) number[i] = atoi(argv[i + 1]);
    const int *from = number + 2, *to = number + 4;
    bt_shape old = bt_shape2(number[1] + (int64_t)from[0] * from[1], number[6]),
             new = bt_shape2(number[1] + (int64_t)to[0] * to[1], number[6]);
    size_t count = (size_t)bt_shape_count(old), y_count = (size_t)bt_shape_count(new);
    if (argc != 8 || count == 0 || y_count == 0)
        return fprintf(stderr, "usage: test_resample RULE PREFIX GH GW H W D\n"), 2;
    float *dy = malloc(y_count * sizeof *dy), *y = malloc(y_count * sizeof *y), *dpos = malloc(count * sizeof *dpos);
    bt_params *store = bt_params_new(BT_F32);
    int pos =
        bt_params_add(store, &(bt_param_spec){.name = "pos", .shape = old, .kind = BT_PARAM_F32, .trainable = true});
    if (!dy || !y || !dpos || fread(bt_params_host(store, pos), sizeof *y, count, stdin) != count ||
        fread(dy, sizeof *dy, y_count, stdin) != y_count)
        return fprintf(stderr, "the input is too short\n"), 1;
    bt_program *p = bt_program_new(&(bt_program_options){.compute = BT_F32, .training = true});
    bt_value resampled =
        bt_resample_positions(p, bt_param(p, store, pos), number[1], from, to, (bt_positions)number[0]);
    bt_root root = {.value = resampled, .gradient = bt_input(p, "dy", BT_F32, new)};
    bt_output(p, "y", resampled);
    bt_differentiate(p, &root, 1, 1);
    bt_status status = run(p, store, pos, dy, y_count * sizeof *y, y, dpos);
    if (status != BT_OK) fprintf(stderr, "%s\n", bt_error_message());
    if (status == BT_OK &&
        (fwrite(y, sizeof *y, y_count, stdout) != y_count || fwrite(dpos, sizeof *dpos, count, stdout) != count))
        status = BT_ERR_FAILED;
    bt_program_free(p);
    free(dy);
    free(y);
    free(dpos);
    return (int)status;
}
