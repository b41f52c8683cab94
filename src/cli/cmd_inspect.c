/* bittern inspect: the program of a configuration's step, the known towers, a weight file, a pack. */
#include "base/file.h"
#include "cli/cli.h"
#include "encoder/token_maps.h"
#include "formats/hdf5.h"
#include "formats/npy.h"
#include "formats/weights.h"
#include "program/inspect.h"
#include "train/setup.h"

#include <stdio.h>
#include <string.h>

/** The step, or where it runs in chunks its largest program. */
static const bt_plan *main_plan(const bt_session *session) {
    if (!session->options.chunk) return session->plan[BT_PROGRAM_STEP];
    return session->plan[session->options.train_tower ? BT_PROGRAM_BACKWARD : BT_PROGRAM_HEAD_ENCODE];
}

static bt_status print_plan(const bt_session *session, bool json) {
    const bt_plan *plan = main_plan(session);
    bt_text text = {0};
    bt_status status;
    if (json) {
        bt_json_writer w = bt_json_write_to(&text, true);
        bt_plan_write_json(plan, &w);
        status = bt_json_finish_to(&w, stdout, "standard output");
    } else {
        bt_plan_write_text(plan, &text);
        status = bt_text_status(&text);
        if (status == BT_OK) fputs(bt_text_get(&text), stdout);
    }
    bt_text_free(&text);
    return status;
}

/** Classes of the data, or an assumed number where they are not there. */
static int class_count(const bt_run_config *c, bt_text *notes) {
    enum { ASSUMED = 100 };
    bt_dataset data;
    if (*c->data.root && bt_setup_data(&data, c) == BT_OK) {
        int count = (int)data.class_count;
        bt_dataset_close(&data);
        return count;
    }
    bt_text_append(notes, "data not available, %d classes assumed: %s\n", ASSUMED,
                   *c->data.root ? bt_error_message() : "data.root is not set");
    return ASSUMED;
}

/** The device; NULL for cuda where this build or machine has none. */
static bt_status open_device(const bt_run_config *c, bt_text *notes, bt_device **device) {
    *device = NULL;
    const bt_backend *backend = bt_backend_named(c->run.device);
    bt_status status =
        backend ? backend->open(&(bt_device_options){.threads = c->run.threads}, device) : BT_ERR_UNSUPPORTED;
    if (status != BT_ERR_UNSUPPORTED || strcmp(c->run.device, "cuda") != 0) return status;
    bt_text_append(notes, "scratch not available, the block is without it: %s\n", bt_error_message());
    return BT_OK;
}

static bt_status plan_and_print(bt_model *model, bt_device *device, const bt_run_config *c, bool json) {
    bt_session session;
    bt_session_options o = bt_setup_session(c, true);
    if (!device) o.look_as = bt_backend_named(c->run.device);
    if (device) BT_TRY(bt_params_commit(model->store, device));
    BT_TRY(bt_session_open(&session, model, device, &o));
    bt_status status = print_plan(&session, json);
    bt_session_close(&session);
    return status;
}

/** Needs neither data nor weights. Notes on what is assumed go behind the table, or beside JSON to standard error. */
static bt_status inspect_plan(int count, const char *const *operand, bool json) {
    bt_run_config config;
    bt_options *options;
    BT_TRY(bt_cli_partial_config(operand, count, &config, &options));
    bt_model model = {.store = NULL};
    bt_device *device = NULL;
    bt_text notes = {0};
    bt_status status = bt_setup_model(&model, &config, class_count(&config, &notes), false);
    if (status == BT_OK) status = open_device(&config, &notes, &device);
    if (status == BT_OK) status = plan_and_print(&model, device, &config, json);
    if (status == BT_OK) status = bt_text_status(&notes);
    if (status == BT_OK) fputs(bt_text_get(&notes), json ? stderr : stdout);
    bt_model_release(&model);
    if (device) device->backend->close(device);
    bt_text_free(&notes);
    bt_options_free(options);
    return status;
}

/* ---- known towers, and files ---- */

static void model_line(const char *name, const bt_vit_config *c) {
    printf("%-30s image %d, patch %d, width %d, depth %d, heads %d, registers %d%s\n", name, c->image, c->patch,
           c->width, c->depth, c->heads, c->registers, c->layer_scale ? ", layer scale" : "");
}

static void model_json(bt_json_writer *w, const char *name, const bt_vit_config *c) {
    bt_json_begin_object(w);
    bt_json_member_string(w, "name", name);
    bt_json_member_integer(w, "image", c->image);
    bt_json_member_integer(w, "patch", c->patch);
    bt_json_member_integer(w, "width", c->width);
    bt_json_member_integer(w, "depth", c->depth);
    bt_json_member_integer(w, "heads", c->heads);
    bt_json_member_integer(w, "registers", c->registers);
    bt_json_member_bool(w, "layer_scale", c->layer_scale);
    bt_json_end(w);
}

/** Prints what `w` has written, or a bare failure of memory. */
static bt_status finish_json(bt_json_writer *w, bt_text *text) {
    bt_status status = bt_json_finish_to(w, stdout, "standard output");
    bt_text_free(text);
    return status;
}

static bt_status list_models(bool json) {
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_key(&w, "models");
    bt_json_begin_array(&w);
    for (const char *const *name = bt_vit_names(); *name; name++) {
        bt_vit_config c = {.image = 0};
        (void)bt_vit_named(*name, &c);
        if (json)
            model_json(&w, *name, &c);
        else
            model_line(*name, &c);
    }
    bt_json_end(&w);
    bt_json_end(&w);
    if (json) return finish_json(&w, &text);
    bt_text_free(&text);
    return BT_OK;
}

static void tensor_json(bt_json_writer *w, const bt_weight *t) {
    bt_json_begin_object(w);
    bt_json_member_string(w, "name", t->name);
    bt_json_member_string(w, "dtype", bt_file_dtype_name(t->dtype));
    bt_json_key(w, "shape");
    bt_json_begin_array(w);
    for (int k = 0; k < t->rank; k++) bt_json_put_integer(w, t->dim[k]);
    bt_json_end(w);
    bt_json_end(w);
}

static void file_json(const bt_weights *file, bt_json_writer *w) {
    bt_json_begin_object(w);
    bt_json_member_string(w, "format", bt_weights_format(file));
    bt_json_key(w, "metadata");
    bt_json_begin_object(w);
    for (int64_t i = 0; i < bt_weights_note_count(file); i++) {
        const char *name, *text;
        bt_weights_note_at(file, i, &name, &text);
        bt_json_member_string(w, name, text);
    }
    bt_json_end(w);
    bt_json_key(w, "tensors");
    bt_json_begin_array(w);
    for (int64_t i = 0; i < bt_weights_count(file); i++) tensor_json(w, bt_weights_at(file, i));
    bt_json_end(w);
    bt_json_end(w);
}

/** Names and notes are other people's: what could steer a terminal becomes '?'. */
static void put_plain(const char *text) {
    for (; *text; text++) putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void method_line(const bt_model_info *info) {
    printf("method: %s", info->method->name);
    if (bt_model_bits(info))
        printf(", codes of %d bits, head %s", bt_model_bits(info), bt_model_head(info));
    else if (info->config.classes)
        printf(", %d classes", info->config.classes);
    if (info->step) printf(", step %lld", (long long)info->step);
    if (info->adapter_file)
        printf("; adapters of %s, rank %d, alpha %g, for a tower that is elsewhere (--base)", info->targets,
               info->lora.rank, (double)info->lora.alpha);
    putchar('\n');
}

/** A model of ours: what it is, and how pictures become what it takes. */
static bt_status model_lines(const char *description, const char *path) {
    bt_model_info info;
    bt_text text = {0};
    BT_TRY(bt_model_info_read(description, path, &info));
    bt_vit_describe(&info.vit, &text);
    printf("tower: %s\n", bt_text_get(&text));
    bt_text_clear(&text);
    method_line(&info);
    const bt_preprocess p = bt_model_preprocess(&info);
    bt_status status = bt_preprocess_describe(&p, &text);
    if (status == BT_OK)
        printf("pictures: %s; EXIF orientation %s\n", bt_text_get(&text),
               info.orientation == BT_ORIENTATION_APPLY ? "applied" : "ignored");
    bt_text_free(&text);
    return status;
}

static bt_status file_lines(const bt_weights *file, const char *path) {
    const char *ours = NULL;
    for (int64_t i = 0; i < bt_weights_count(file); i++) {
        const bt_weight *t = bt_weights_at(file, i);
        printf("%-4s (", bt_file_dtype_name(t->dtype));
        for (int k = 0; k < t->rank; k++) printf("%s%lld", k ? ", " : "", (long long)t->dim[k]);
        printf(") ");
        put_plain(t->name);
        putchar('\n');
    }
    for (int64_t i = 0; i < bt_weights_note_count(file); i++) {
        const char *name, *text;
        bt_weights_note_at(file, i, &name, &text);
        put_plain(name);
        printf(": ");
        put_plain(text);
        putchar('\n');
        if (strcmp(name, BT_MODEL_INFO_KEY) == 0) ours = text;
    }
    printf("%lld tensors, %s\n", (long long)bt_weights_count(file), bt_weights_format(file));
    return ours ? model_lines(ours, path) : BT_OK;
}

static bt_status list_tensors(const char *path, bool json) {
    bt_weights *file;
    BT_TRY(bt_weights_open(path, &file));
    bt_status status = BT_OK;
    if (json) {
        bt_text text = {0};
        bt_json_writer w = bt_json_write_to(&text, true);
        file_json(file, &w);
        status = finish_json(&w, &text);
    } else {
        status = file_lines(file, path);
    }
    bt_weights_close(file);
    return status;
}

typedef struct inspect_flags {
    bool json;
    int image;
    const char *tokens, *attention;
} inspect_flags;

static bt_status write_maps(const bt_token_maps *m, const inspect_flags *f, const char *out) {
    const int64_t tokens[] = {m->side, m->side, m->width}, attention[] = {m->heads, m->side, m->side};
    BT_TRY(bt_token_maps_draw(m, out));
    if (*f->tokens) BT_TRY(bt_npy_write(f->tokens, BT_FILE_F32, 3, tokens, m->tokens));
    return *f->attention ? bt_npy_write(f->attention, BT_FILE_F32, 3, attention, m->attention) : BT_OK;
}

static bt_status check_array(const char *option, const char *path) {
    size_t length = strlen(path);
    if (!length || (length > 4 && strcmp(path + length - 4, ".npy") == 0)) return BT_OK;
    return bt_error(BT_ERR_USAGE, "%s %s: the name of the output ends in .npy", option, path);
}

static bt_status inspect_tokens(const bt_arguments *a, const inspect_flags *f) {
    bt_token_maps maps;
    size_t length = a->count == 4 ? strlen(a->operand[3]) : 0;
    if (length < 5 || strcmp(a->operand[3] + length - 4, ".png") != 0)
        return bt_error(BT_ERR_USAGE, "usage: bittern inspect tokens MODEL PICTURE OUT.png");
    BT_TRY(check_array("--tokens", f->tokens));
    BT_TRY(check_array("--attention", f->attention));
    if (f->json) return bt_error(BT_ERR_USAGE, "inspect tokens writes pictures and arrays: leave out --json");
    if (bt_file_is_same(a->operand[2], a->operand[3]))
        return bt_error(BT_ERR_USAGE, "%s is the picture that is read: it would be replaced; name another output",
                        a->operand[3]);
    BT_TRY(bt_token_maps_make(&(bt_model_source){.path = a->operand[1], .image = f->image}, BT_F32, 0, a->operand[2],
                              &maps));
    bt_status status = write_maps(&maps, f, a->operand[3]);
    if (status == BT_OK)
        printf("%s: picture, tokens of %d x %d patches as colours, attention of the class token (mean of %d heads)\n",
               a->operand[3], maps.side, maps.side, maps.heads);
    bt_token_maps_free(&maps);
    return status;
}

static const bt_option inspect_options[] = {
    BT_OPTION_BOOL(inspect_flags, json, "false", "prints one JSON object"),
    BT_OPTION_INT(inspect_flags, image, "0", 0, 4096, "tokens: pixels of a side; 0: the model's"),
    BT_OPTION_STRING(inspect_flags, tokens, "", "tokens: .npy for the patches' tokens (rows, columns, width)"),
    BT_OPTION_STRING(inspect_flags, attention, "",
                     "tokens: .npy for the class token's attention (heads, rows, columns)"),
};
static const bt_option_table inspect_table = BT_OPTION_TABLE("bittern inspect", inspect_options);

static bt_status inspect(const bt_arguments *a) {
    const inspect_flags *flags = a->flags;
    bool plan = strcmp(a->operand[0], "plan") == 0, tokens = strcmp(a->operand[0], "tokens") == 0;
    if (!tokens && (flags->image || *flags->tokens || *flags->attention))
        return bt_error(BT_ERR_USAGE,
                        "--image, --tokens and --attention are for bittern inspect tokens MODEL PICTURE OUT.png");
    if (!plan && !tokens && a->count > 1)
        return bt_error(BT_ERR_USAGE, "%s: only plan and tokens take more than one argument; usage: bittern inspect %s",
                        a->operand[1], bt_command_inspect.operands);
    if (strcmp(a->operand[0], "plan") == 0) {
        if (a->count < 2) return bt_error(BT_ERR_USAGE, "a configuration file is missing: bittern inspect plan CONFIG");
        return inspect_plan(a->count - 1, a->operand + 1, flags->json);
    }
    if (strcmp(a->operand[0], "tokens") == 0) return inspect_tokens(a, flags);
    if (strcmp(a->operand[0], "models") == 0) return list_models(flags->json);
    if (bt_h5_is(a->operand[0])) return bt_cli_verify_pack(a->operand[0], flags->json);
    return list_tensors(a->operand[0], flags->json);
}

const bt_command bt_command_inspect = {
    "inspect",
    "plan CONFIG [key=value ...] | tokens MODEL PICTURE OUT.png | models | WEIGHTS | PACK.h5",
    "a step's program, known towers, the tensors of a weight file of any kind, a pack",
    1,
    -1,
    &inspect_table,
    sizeof(inspect_flags),
    false,
    inspect};
