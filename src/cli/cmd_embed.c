/* bittern embed. */
#include "cli/cli.h"
#include "encoder/embed.h"
#include "formats/json.h"
#include "train/interrupt.h"

#include <inttypes.h>
#include <stdio.h>

#define USAGE "MODEL PICTURES OUT.npy|OUT.h5 | --join OUT.npy|OUT.h5"

typedef struct embed_flags {
    bool codes, logits, skip_embeddings, resume, join, json;
    int damaged; /* 0 fatal, 1 skip */
    const char *device, *checkpoint, *base, *images, *path, *label, *shard;
    int dtype; /* 0 f32, 1 bf16 */
    int image, threads, batch, loader_threads;
    double save_seconds;
} embed_flags;

static const char *const damaged[] = {"fatal", "skip", NULL};
static const char *const dtypes[] = {"f32", "bf16", NULL};
static const bt_option embed_options[] = {
    BT_OPTION_BOOL(embed_flags, codes, "false",
                   "OUT.codes.npy too: u8, 8 bits a byte, low bit first (as FAISS). With OUT.h5 all is in that file: "
                   "embeddings, codes, ..."),
    BT_OPTION_BOOL(embed_flags, logits, "false", "OUT.logits.npy too: a bit is 1 where its logit is above 0"),
    BT_OPTION_BOOL(embed_flags, skip_embeddings, "false", "no OUT.npy: codes or logits alone"),
    BT_OPTION_BOOL(embed_flags, resume, "false", "goes on where interrupted work stands, to the same bits"),
    BT_OPTION_STRING(embed_flags, shard, "",
                     "I/N, as in 2/8: the I-th of N parts of the pictures, into OUT.shards; auto: as the job of SLURM "
                     "says (array task, or process of srun)"),
    BT_OPTION_BOOL(embed_flags, join, "false",
                   "OUT from its shards, when all are done: the bits of the work in one piece"),
    BT_OPTION_ENUM(embed_flags, damaged, "fatal", damaged,
                   "what a damaged picture does; skipped ones are listed in OUT.damaged.txt"),
    BT_OPTION_INT(embed_flags, image, "0", 0, 4096,
                  "pixels of a side, of a file whose positions can be resampled; 0: the model's"),
    BT_OPTION_STRING(embed_flags, device, "cpu", "cpu or cuda"),
    BT_OPTION_ENUM(embed_flags, dtype, "f32", dtypes, "of activations and product weights"),
    BT_OPTION_INT(embed_flags, threads, "0", 0, 1024, "processor threads of the kernels; 0: all cores"),
    BT_OPTION_INT(embed_flags, batch, "32", 1, 65536, "images that run together"),
    BT_OPTION_INT(embed_flags, loader_threads, "2", 1, 256, "that read and decode"),
    BT_OPTION_STRING(embed_flags, checkpoint, "last", "of a run: last, best, or the number of a step"),
    BT_OPTION_STRING(embed_flags, base, "", "of an adapter file: the run or .safetensors file that has the tower"),
    BT_OPTION_STRING(embed_flags, images, "",
                     "of a table or DeepHash's lists: the folder that its paths are relative to; without: its own"),
    BT_OPTION_STRING(embed_flags, path, "",
                     "of a table: the column of paths, if it has none of the usual names (docs/data.md)"),
    BT_OPTION_STRING(embed_flags, label, "", "of a table: its columns of labels"),
    BT_OPTION_DOUBLE(embed_flags, save_seconds, "10", 0, 1e6, "between saves of how far it is; 0: behind every batch"),
    BT_OPTION_BOOL(embed_flags, json, "false", "prints one JSON object"),
};
static const bt_option_table embed_table = BT_OPTION_TABLE("bittern embed", embed_options);

static bt_status print_json(const bt_embed_result *r, const bt_embed_options *o) {
    bt_text text = {0};
    int64_t now = r->count + r->damaged - r->resumed_at;
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "out", o->out);
    if (o->shard.count) {
        bt_json_member_integer(&w, "shard", o->shard.index);
        bt_json_member_integer(&w, "shards", o->shard.count);
        bt_json_member_integer(&w, "first", r->first);
        bt_json_member_integer(&w, "pictures", r->pictures);
    }
    bt_json_member_integer(&w, "count", r->count);
    bt_json_member_integer(&w, "damaged", r->damaged);
    bt_json_member_integer(&w, "resumed_at", r->resumed_at);
    bt_json_member_number(&w, "seconds", r->seconds);
    bt_json_member_number(&w, "images_per_second", r->seconds > 0 ? (double)now / r->seconds : 0);
    bt_json_member_number(&w, "loader_wait_seconds", r->wait_seconds);
    bt_json_member_string(&w, "method", r->info.method->name);
    bt_json_member_integer(&w, "width", bt_vit_output(&r->info.vit));
    bt_json_member_integer(&w, "bits", bt_model_bits(&r->info));
    bt_json_member_integer(&w, "step", r->info.step);
    bt_json_end(&w);
    bt_status status = bt_json_finish_to(&w, stdout, "standard output");
    bt_text_free(&text);
    return status;
}

static bt_status join(const char *out, bool json) {
    bt_join_result r;
    BT_TRY(bt_embed_join(out, &r));
    if (!json) {
        printf("%s: %" PRId64 " pictures, width %" PRId64, out, r.count, r.width);
        if (r.damaged) printf(", %" PRId64 " damaged left out", r.damaged);
        printf("; from %d shards\n", r.shards);
        return BT_OK;
    }
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "out", out);
    bt_json_member_integer(&w, "shards", r.shards);
    bt_json_member_integer(&w, "count", r.count);
    bt_json_member_integer(&w, "damaged", r.damaged);
    bt_json_member_integer(&w, "width", r.width);
    bt_json_member_integer(&w, "bits", r.bits);
    bt_json_end(&w);
    bt_status status = bt_json_finish_to(&w, stdout, "standard output");
    bt_text_free(&text);
    return status;
}

static bt_status embed(const bt_arguments *a) {
    const embed_flags *f = a->flags;
    if (f->join && a->count == 1 && !*f->shard) return join(a->operand[0], f->json);
    if (f->join || a->count != 3)
        return bt_error(BT_ERR_USAGE, "%s; usage: bittern embed %s",
                        f->join ? "--join takes the name of the output alone" : "an argument is missing", USAGE);
    bt_embed_options o = {
        .engine = {.source = {.path = a->operand[0], .checkpoint = f->checkpoint, .base = f->base, .image = f->image},
                   .device = f->device,
                   .dtype = f->dtype ? BT_BF16 : BT_F32,
                   .threads = f->threads,
                   .batch = f->batch,
                   .tell = true},
        .data = {.root = a->operand[1], .images = f->images, .path = f->path, .label = f->label},
        .out = a->operand[2],
        .codes = f->codes,
        .logits = f->logits,
        .skip_embeddings = f->skip_embeddings,
        .skip_damaged = f->damaged == 1,
        .resume = f->resume,
        .loader_threads = f->loader_threads,
        .save_seconds = f->save_seconds};
    bt_embed_result r;
    BT_TRY(bt_shard_parse(f->shard, &o.shard));
    bt_interrupt_watch();
    BT_TRY(bt_embed(&o, &r));
    if (f->json) return print_json(&r, &o);
    int64_t now = r.count + r.damaged - r.resumed_at;
    printf("%s", o.out);
    if (o.shard.count) printf(" (shard %d/%d)", o.shard.index, o.shard.count);
    printf(": %" PRId64 " pictures, width %d", r.count, bt_vit_output(&r.info.vit));
    if (o.codes) printf(", codes of %d bits", bt_model_bits(&r.info));
    if (r.damaged) printf(", %" PRId64 " damaged left out (its list \"damaged\" names them)", r.damaged);
    printf("; %.1f s, %.1f images/s\n", r.seconds, r.seconds > 0 ? (double)now / r.seconds : 0);
    return BT_OK;
}

const bt_command bt_command_embed = {"embed",
                                     USAGE,
                                     "embeddings and codes of any pictures, by a run or an exported file",
                                     1,
                                     3,
                                     &embed_table,
                                     sizeof(embed_flags),
                                     false,
                                     embed};
