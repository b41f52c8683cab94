/* Where a run's numbers come from. */
#include "train/provenance.h"

#include "base/build.h"
#include "formats/json.h"

#include <stdio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void write_machine(bt_json_writer *w) {
    struct utsname name;
    if (uname(&name) == 0) {
        char system[200];
        snprintf(system, sizeof system, "%.60s %.60s %.60s", name.sysname, name.release, name.machine);
        bt_json_member_string(w, "host", name.nodename);
        bt_json_member_string(w, "system", system);
    }
    char folder[4096];
    if (getcwd(folder, sizeof folder)) bt_json_member_string(w, "folder", folder);
}

bt_status bt_provenance_append(const char *run, bt_device *device, int64_t step) {
    char path[1100], text[256], when[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    bt_text line = {0};
    bt_json_writer w = bt_json_write_to(&line, false);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "time", when);
    bt_json_member_integer(&w, "step", step);
    bt_json_member_string(&w, "version", bt_build_version);
    bt_json_member_string(&w, "commit", bt_build_commit);
    bt_json_member_string(&w, "compiler", bt_build_compiler);
    device->backend->describe(device, text, sizeof text);
    bt_json_member_string(&w, "device", text);
    write_machine(&w);
    bt_json_end(&w);
    bt_status status = bt_json_finish(&w);
    bt_jsonl *log = NULL;
    snprintf(path, sizeof path, "%s/provenance.jsonl", run);
    if (status == BT_OK) status = bt_jsonl_open(path, false, &log);
    if (status == BT_OK) status = bt_jsonl_append(log, &line);
    if (log) bt_jsonl_close(log);
    bt_text_free(&line);
    return status;
}
