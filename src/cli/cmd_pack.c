/* bittern pack: any data set as one HDF5 file that is mapped into memory. */
#include "cli/cli.h"
#include "data/pack.h"
#include "formats/json.h"
#include "train/interrupt.h"

#include <stdio.h>
#include <unistd.h>

typedef struct pack_flags {
    int size, resize, threads;
    int interpolation; /* bt_filter */
    int orientation;   /* bt_orientation */
    bool keep_encoded, skip_damaged, verify;
    int format; /* bt_data_format */
    const char *images, *classes, *label, *path, *caption, *split, *ranks;
} pack_flags;

static const char *const filters[] = {"bilinear", "bicubic", NULL};
static const char *const orientations[] = {"ignore", "apply", NULL};
static const char *const formats[] = {"auto", "folder", "manifest", "lists", "pack", NULL};

static const bt_option pack_options[] = {
    BT_OPTION_INT(pack_flags, size, "224", 1, 16384, "pixels of a side of the stored images"),
    BT_OPTION_INT(pack_flags, resize, "0", 0, 16384, "pixels of the shorter side before the centre crop; 0: size"),
    BT_OPTION_ENUM(pack_flags, interpolation, "bilinear", filters,
                   "of the resizing: as data.interpolation of the runs that read the pack"),
    BT_OPTION_ENUM(pack_flags, orientation, "ignore", orientations,
                   "of EXIF: as data.orientation; files that are kept as they are keep theirs"),
    BT_OPTION_BOOL(pack_flags, keep_encoded, "false", "stores the picture files as they are"),
    BT_OPTION_BOOL(pack_flags, skip_damaged, "false", "leaves out pictures that cannot be decoded (reads all twice)"),
    BT_OPTION_BOOL(pack_flags, verify, "false", "compares the images of a pack with their checksum; writes nothing"),
    BT_OPTION_INT(pack_flags, threads, "0", 0, 256, "that read and decode; 0: all cores"),
    BT_OPTION_ENUM(pack_flags, format, "auto", formats, "what DATA is; auto: recognised"),
    BT_OPTION_STRING(pack_flags, images, "",
                     "folder that paths of tables and lists are relative to; empty: where DATA lies"),
    BT_OPTION_STRING(pack_flags, classes, "", "classes to keep, as in 0-29,35; empty: all"),
    BT_OPTION_STRING(pack_flags, label, "", "columns of a table with labels"),
    BT_OPTION_STRING(pack_flags, path, "", "column with paths"),
    BT_OPTION_STRING(pack_flags, caption, "", "column with captions"),
    BT_OPTION_STRING(pack_flags, split, "", "column with splits"),
    BT_OPTION_STRING(pack_flags, ranks, "", "columns of a taxonomy, widest first"),
};
static const bt_option_table pack_table = BT_OPTION_TABLE("bittern pack", pack_options);

static bt_status print_json(const bt_dataset *set) {
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "kind", "pack");
    bt_json_member_integer(&w, "samples", set->count);
    bt_json_member_integer(&w, "classes", set->class_count);
    bt_json_member_integer(&w, "size", set->pack->size);
    bt_json_member_integer(&w, "bytes", (int64_t)set->pack->bytes);
    bt_json_member_integer(&w, "several_labels", set->several);
    bt_json_member_integer(&w, "unlabelled", set->unlabelled);
    bt_json_member_bool(&w, "splits", set->splits != NULL);
    bt_json_member_bool(&w, "captions", set->captions != NULL);
    bt_json_end(&w);
    bt_status status = bt_json_finish_to(&w, stdout, "standard output");
    bt_text_free(&text);
    return status;
}

static void print(const bt_dataset *set) {
    const bt_pack *p = set->pack;
    printf("%s: %lld samples, %lld classes", set->name, (long long)set->count, (long long)set->class_count);
    if (p->size)
        printf(", images of %lld x %lld", (long long)p->size, (long long)p->size);
    else
        printf(", picture files");
    printf(" (%.1f MB)%s%s", (double)p->bytes / 1e6, set->splits ? ", splits" : "", set->captions ? ", captions" : "");
    for (int k = 0; k < set->rank_count; k++) printf("%s%s", k ? ", " : ", ranks ", set->rank[k].name);
    printf("\n");
    if (set->several) printf("%lld samples have several labels\n", (long long)set->several);
    if (set->unlabelled) printf("%lld samples have no label\n", (long long)set->unlabelled);
}

bt_status bt_cli_verify_pack(const char *path, bool json) {
    bt_dataset set;
    BT_TRY(bt_dataset_open(&(bt_dataset_options){.root = path, .format = BT_DATA_PACK}, &set));
    bt_status status = bt_pack_verify(&set);
    if (status == BT_OK && json) {
        status = print_json(&set);
    } else if (status == BT_OK) {
        print(&set);
        printf("checksums agree\n");
    }
    bt_dataset_close(&set);
    return status;
}

static bool stop(void) {
    return bt_interrupt_seen() != 0;
}

static bt_status write_pack(bt_dataset *set, const pack_flags *f, const char *out) {
    int64_t dropped = 0;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int threads = f->threads ? f->threads : cores < 1 ? 1 : cores > 64 ? 64 : (int)cores;
    bt_pack_options o = {.path = out,
                         .size = f->size,
                         .resize = f->resize ? f->resize : f->size,
                         .filter = (bt_filter)f->interpolation,
                         .orientation = (bt_orientation)f->orientation,
                         .keep_encoded = f->keep_encoded,
                         .threads = threads,
                         .stop = stop};
    if (o.resize < o.size) return bt_error(BT_ERR_USAGE, "--resize %d is below --size %d", f->resize, f->size);
    bt_dataset_warn(set);
    if (f->skip_damaged) BT_TRY(bt_pack_drop_damaged(set, threads, &dropped));
    bt_interrupt_watch();
    BT_TRY(bt_pack_write(set, &o));
    printf("%lld pictures of %lld classes in %s", (long long)set->count, (long long)set->class_count, out);
    if (dropped) printf(", %lld damaged ones left out", (long long)dropped);
    printf("\n");
    return BT_OK;
}

static bt_status pack(const bt_arguments *a) {
    const pack_flags *f = a->flags;
    bt_dataset set;
    if (f->verify) {
        if (a->count != 1)
            return bt_error(BT_ERR_USAGE, "--verify takes the pack alone: bittern pack --verify FILE.h5");
        return bt_cli_verify_pack(a->operand[0], false);
    }
    if (a->count != 2) return bt_error(BT_ERR_USAGE, "the name of the pack is missing: bittern pack DATA OUT.h5");
    bt_dataset_options o = {.root = a->operand[0],
                            .format = (bt_data_format)f->format,
                            .images = f->images,
                            .path = f->path,
                            .caption = f->caption,
                            .split = f->split,
                            .label = f->label,
                            .ranks = f->ranks,
                            .classes = f->classes};
    BT_TRY(bt_dataset_open(&o, &set));
    bt_status status = write_pack(&set, f, a->operand[1]);
    bt_dataset_close(&set);
    return status;
}

const bt_command bt_command_pack = {"pack",
                                    "DATA OUT.h5 | --verify FILE.h5",
                                    "any data set as one file that the loader maps",
                                    1,
                                    2,
                                    &pack_table,
                                    sizeof(pack_flags),
                                    false,
                                    pack};
