/* bittern-bench: command line, and the model that it describes. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bt_status bt_bench_check(const bt_bench_options *o, bt_dtype *dtype) {
    *dtype = strcmp(o->dtype, "bf16") == 0 ? BT_BF16 : BT_F32;
    if (*dtype == BT_F32 && strcmp(o->dtype, "f32") != 0)
        return bt_error(BT_ERR_USAGE, "--dtype: found \"%s\", expected f32 or bf16", o->dtype);
    if (o->batch % 2 || o->batch < 4)
        return bt_error(BT_ERR_USAGE, "--batch: found %d, expected an even number of at least 4 (two views)", o->batch);
    return BT_OK;
}

bt_status bt_bench_model(const bt_bench_options *o, bt_dtype dtype, bt_model *out) {
    bt_vit_config vit;
    if (!bt_vit_named(o->model, &vit))
        return bt_error(BT_ERR_USAGE, "unknown model \"%s\"; see src/nn/vit.c", o->model);
    vit.image = o->image;
    BT_TRY(bt_vit_check(&vit));
    bt_vit_training training = {.lora = {.rank = o->rank, .alpha = (float)o->rank}, .decay = 1e-2f, .seed = 1};
    BT_TRY(bt_lora_parse_targets(o->targets, &training.lora.targets));
    bt_method_config method = {.views = 2, .bits = o->bits, .align_weight = 1, .rate_weight = 0.1f, .rate_eps = 0.05f};
    bt_model_init(out, &bt_method_crovca, &method, &vit, &training, dtype);
    return BT_OK;
}

bt_session_options bt_bench_session(const bt_bench_options *o, bt_dtype dtype, bool step) {
    return (bt_session_options){.compute = dtype,
                                .recompute = BT_RECOMPUTE_CHEAP,
                                .batch = step ? o->batch / 2 : 0,
                                .embed_batch = step ? 0 : o->batch,
                                .float_images = true,
                                .train_tower = true,
                                .adamw = {0.9, 0.999, 1e-8, 0}};
}

static const char *const usage =
    "usage: bittern-bench NAME [options]\n"
    "  vit   forward and LoRA step of a ViT: images/s, memory, and the bound from this machine's own product rate\n"
    "  ops   every operation: seconds, FLOP/s, bytes/s\n"
    "  shapes  every distinct matrix product and attention of these two programs by itself, and the floor they add up "
    "to\n"
    "  loader  from files to two augmented views, and to the evaluation's view: milliseconds of one core\n"
    "  pack  shuffled raw images from a pack into batches (--image, --threads 2, --device), and bare copies of them\n"
    "  open  a file of weights made ready to encode (--weights, --batch): seconds beside reading it, memory beside a "
    "copy\n"
    "options\n"
    "  --model NAME       vit_small_patch14_dinov2\n"
    "  --image PIXELS     224\n"
    "  --batch N          16 (encoder inputs of a step, even)\n"
    "  --dtype f32|bf16   f32\n"
    "  --device cpu|cuda  cpu\n"
    "  --targets LIST     qkv,proj (adapted layers)\n"
    "  --rank R --bits B  16, 64\n"
    "  --iterations N     7 (medians)\n"
    "  --threads N        all\n"
    "  --op NAME          one operation (ops)\n"
    "  --data FOLDER      pictures, one folder a class (loader)\n"
    "  --weights FILE     a model of bittern import or export (open)\n"
    "  --profile          seconds per operation of one step (vit)\n"
    "  --no-graphs        runs kernel by kernel on devices that replay a recorded run (vit)\n"
    "  --json             one JSON object a line\n";

static bt_status parse(int argc, char **argv, bt_bench_options *o) {
    struct {
        const char *name;
        const char **text;
        int *number;
    } table[] = {
        {"--model", &o->model, NULL},     {"--device", &o->device, NULL}, {"--dtype", &o->dtype, NULL},
        {"--targets", &o->targets, NULL}, {"--op", &o->op, NULL},         {"--data", &o->data, NULL},
        {"--weights", &o->weights, NULL}, {"--image", NULL, &o->image},   {"--batch", NULL, &o->batch},
        {"--rank", NULL, &o->rank},       {"--bits", NULL, &o->bits},     {"--iterations", NULL, &o->iterations},
        {"--threads", NULL, &o->threads}};
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (strcmp(argv[i], "--profile") == 0)
            o->profile = true;
        else if (strcmp(argv[i], "--no-graphs") == 0)
            o->no_graphs = true;
        else {
            size_t k = 0, count = sizeof table / sizeof table[0];
            while (k < count && strcmp(argv[i], table[k].name) != 0) k++;
            if (k == count) return bt_error(BT_ERR_USAGE, "unknown option %s", argv[i]);
            if (i + 1 == argc) return bt_error(BT_ERR_USAGE, "option %s needs a value", argv[i]);
            i++;
            if (table[k].text)
                *table[k].text = argv[i];
            else {
                char *end;
                long value = strtol(argv[i], &end, 10);
                if (*end || value < 1 || value > 1000000)
                    return bt_error(BT_ERR_USAGE, "%s: found \"%s\", expected 1 to 1000000", table[k].name, argv[i]);
                *table[k].number = (int)value;
            }
        }
    }
    return BT_OK;
}

static const struct {
    const char *name;
    bt_status (*run)(const bt_bench_options *o);
} benches[] = {{"vit", bt_bench_vit},       {"ops", bt_bench_ops},   {"shapes", bt_bench_shapes},
               {"loader", bt_bench_loader}, {"pack", bt_bench_pack}, {"open", bt_bench_open}};

int main(int argc, char **argv) {
    bt_bench_options o = {.model = "vit_small_patch14_dinov2",
                          .device = "cpu",
                          .dtype = "f32",
                          .targets = "qkv,proj",
                          .image = 224,
                          .batch = 16,
                          .rank = 16,
                          .bits = 64,
                          .iterations = 7};
    setvbuf(stdout, NULL, _IOLBF, 0); /* what is measured is there, whatever ends the process */
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        fputs(usage, argc < 2 ? stderr : stdout);
        return argc < 2 ? BT_ERR_USAGE : 0;
    }
    bt_status status = parse(argc, argv, &o);
    if (status == BT_OK) {
        size_t k = 0, count = sizeof benches / sizeof *benches;
        while (k < count && strcmp(argv[1], benches[k].name) != 0) k++;
        status = k < count
                     ? benches[k].run(&o)
                     : bt_error(BT_ERR_USAGE, "no benchmark \"%s\"; there are vit, ops, shapes, loader, pack and open",
                                argv[1]);
    }
    if (status != BT_OK) fprintf(stderr, "bittern-bench: %s\n", bt_error_message());
    return (int)status;
}
