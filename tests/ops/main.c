/* Command line of the test programs: filters, coverage, counts. Exit code 0 passed, 1 failed, 77 skipped as a whole. */
#include "ops_test.h"

#include <stdlib.h>
#include <string.h>

#define EXIT_SKIPPED 77

static void usage(FILE *to) {
    fprintf(to, "usage: test_ops_<backend> [--op NAME] [--backend NAME] [--dtype f32|bf16] [--list] [--coverage] "
                "[--threads N] [--stop]\n");
}

static int op_named(const char *name) {
    for (int op = 0; op < BT_OP_COUNT; op++)
        if (strcmp(ops_info_of((bt_op)op)->name, name) == 0) return op;
    fprintf(stderr, "--op %s: ops.def has no such operation\n", name);
    exit(2);
}

static int dtype_named(const char *name) {
    if (strcmp(name, "f32") == 0) return BT_F32;
    if (strcmp(name, "bf16") == 0) return BT_BF16;
    fprintf(stderr, "--dtype %s: f32 or bf16\n", name);
    exit(2);
}

static int list_rows(const ops_options *options) {
    for (int i = 0; i < ops_row_count; i++)
        if (options->op < 0 || options->op == (int)ops_rows[i].op)
            printf("%-18s %s%s\n", ops_info_of(ops_rows[i].op)->name, ops_rows[i].operands,
                   ops_rows[i].flags & OPS_LARGE ? "  (large)" : "");
    return 0;
}

static int run_all(ops_target *target, const ops_options *options, int threads) {
    const bt_device_options device = {.threads = threads};
    bt_status status = target->backend->open(&device, &target->device);
    if (status == BT_ERR_UNSUPPORTED) {
        printf("SKIPPED: backend %s: %s\n", target->backend->name, bt_error_message());
        return EXIT_SKIPPED;
    }
    if (status != BT_OK) {
        printf("FAIL backend %s does not open: %s\n", target->backend->name, bt_error_message());
        return 1;
    }
    char text[256];
    target->backend->describe(target->device, text, sizeof text);
    printf("%s: %s\n", target->backend->name, text);
    ops_counts counts = {0};
    if (options->op < 0) ops_run_anchors(&counts);
    ops_run_faults(target, options, &counts);
    ops_run_table(target, options, &counts);
    target->backend->close(target->device);
    printf("%s: %d passed, %d failed, %d skipped; %d derivatives compared with differences\n", target->backend->name,
           counts.passed, counts.failed, counts.skipped, counts.gradient_checks);
    if (counts.passed + counts.failed + counts.skipped == 0) printf("FAIL no case was run\n");
    return counts.failed || counts.passed == 0 ? 1 : 0;
}

int ops_main(int argc, char **argv, ops_target target) {
    setvbuf(stdout, NULL, _IOLBF, 0); /* a crash must not swallow what was found before */
    ops_options options = {.op = -1, .dtype = -1};
    bool list = false, coverage = false;
    int threads = 2;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--list") == 0) {
            list = true;
        } else if (strcmp(argv[i], "--stop") == 0) {
            options.stop = true;
        } else if (strcmp(argv[i], "--coverage") == 0) {
            coverage = true;
        } else if (strcmp(argv[i], "--help") == 0) {
            usage(stdout);
            return 0;
        } else if (value && strcmp(argv[i], "--op") == 0) {
            options.op = op_named(argv[++i]);
        } else if (value && strcmp(argv[i], "--dtype") == 0) {
            options.dtype = dtype_named(argv[++i]);
        } else if (value && strcmp(argv[i], "--threads") == 0) {
            threads = atoi(argv[++i]);
        } else if (value && strcmp(argv[i], "--backend") == 0) {
            if (strcmp(argv[++i], target.backend->name) != 0) {
                printf("SKIPPED: this program tests backend %s, not %s\n", target.backend->name, argv[i]);
                return EXIT_SKIPPED;
            }
        } else {
            usage(stderr);
            return 2;
        }
    }
    if (list) return list_rows(&options);
    if (coverage) return ops_coverage(target.kernels) ? 0 : 1;
    return run_all(&target, &options, threads);
}
