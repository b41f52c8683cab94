/* bittern inspect: the program of a configuration's step, the known towers, a weight file. */
#include "cli/cli.h"
#include "program/inspect.h"
#include "train/setup.h"

#include <bittern/safetensors.h>

#include <stdio.h>
#include <string.h>

static bt_status print_plan(const bt_session *session, bool json) {
    const bt_plan *plan = session->plan[session->options.chunk ? BT_PROGRAM_BACKWARD : BT_PROGRAM_STEP];
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

static bt_status inspect_plan(int count, const char *const *operand, bool json) {
    bt_run_config config;
    bt_options *options;
    BT_TRY(bt_cli_config(operand, count, &config, &options));
    bt_setup setup;
    bt_session session = {.device = NULL};
    bt_status status = bt_setup_open(&setup, &config);
    if (status == BT_OK) {
        status = bt_params_commit(setup.model.store, setup.device);
        bt_session_options o = bt_setup_session(&config, true);
        if (status == BT_OK) status = bt_session_open(&session, &setup.model, setup.device, &o);
        if (status == BT_OK) status = print_plan(&session, json);
        if (session.device) bt_session_close(&session);
        bt_setup_close(&setup);
    }
    bt_options_free(options);
    return status;
}

static void list_models(void) {
    for (const char *const *name = bt_vit_names(); *name; name++) {
        bt_vit_config c = {.image = 0};
        (void)bt_vit_named(*name, &c);
        printf("%-30s image %d, patch %d, width %d, depth %d, heads %d, registers %d%s\n", *name, c.image, c.patch, c.width, c.depth, c.heads,
               c.registers, c.layer_scale ? ", layer scale" : "");
    }
}

static bt_status list_tensors(const char *path) {
    bt_safetensors *file;
    BT_TRY(bt_safetensors_open(path, &file));
    for (int64_t i = 0; i < bt_safetensors_count(file); i++) {
        const bt_safetensors_entry *e = bt_safetensors_at(file, i);
        printf("%-4s (", bt_file_dtype_name(e->dtype));
        for (int k = 0; k < e->rank; k++) printf("%s%lld", k ? ", " : "", (long long)e->dim[k]);
        printf(") %s\n", e->name);
    }
    printf("%lld tensors\n", (long long)bt_safetensors_count(file));
    bt_safetensors_close(file);
    return BT_OK;
}

typedef struct inspect_flags {
    bool json;
} inspect_flags;

static const bt_option inspect_options[] = {
    BT_OPTION_BOOL(inspect_flags, json, "false", "prints one JSON object (plan)"),
};
static const bt_option_table inspect_table = BT_OPTION_TABLE("bittern inspect", inspect_options);

static bt_status inspect(const bt_arguments *a) {
    const inspect_flags *flags = a->flags;
    if (strcmp(a->operand[0], "plan") == 0) {
        if (a->count < 2) return bt_error(BT_ERR_USAGE, "a configuration file is missing: bittern inspect plan CONFIG");
        return inspect_plan(a->count - 1, a->operand + 1, flags->json);
    }
    if (strcmp(a->operand[0], "models") == 0) {
        list_models();
        return BT_OK;
    }
    return list_tensors(a->operand[0]);
}

const bt_command bt_command_inspect = {"inspect", "plan CONFIG [key=value ...] | models | FILE.safetensors",
                                       "a step's program, known towers, a weight file", 1, -1, &inspect_table, sizeof(inspect_flags), false, inspect};
