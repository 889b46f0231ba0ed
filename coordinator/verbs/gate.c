#include <stdlib.h>

#include "common/file.h"
#include "common/options.h"
#include "coordinator/campaign/gate_set.h"
#include "coordinator/campaign/yaml_fields.h"
#include "coordinator/verbs/verbs.h"

/* A file of one's own in the form of configs/gates.yaml. */
static Status read_sets(const char *path, GateSetList *out)
{
    char *text;
    size_t bytes;
    TRY(file_read(path, YAML_MAX_BYTES, &text, &bytes));
    Faults *faults = faults_new();
    gate_set_list_parse(path, text, bytes, faults, out);
    Status status = faults_status(faults);
    faults_free(&faults);
    free(text);
    return status;
}

Status verb_gate(int argc, char **argv, GateFiles *run)
{
    bool as_json = false;
    const char *set = "default", *file = NULL;
    int first;
    const Option table[] = {
        {.name = "set", .kind = OPTION_TEXT, .to = &set, .value = "NAME", .help = "which bounds (default)"},
        {.name = "sets",
         .kind = OPTION_TEXT,
         .to = &file,
         .value = "FILE.yaml",
         .help = "sets of your own, written as configs/gates.yaml is"},
        {.name = "json", .kind = OPTION_FLAG, .to = &as_json, .help = "one JSON list"},
    };
    const Usage usage = {
        .verb = "gate",
        .arguments = "FILE... [options]",
        .about = "Measures video files, ours or not, and says of each gate: pass, hold (look at it) or fail.\n"
                 "Exit status 1: a file failed.",
        .option = table,
        .option_count = (int)(sizeof table / sizeof *table),
        .min_arguments = 1,
        .max_arguments = 1 << 20};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    GateSetList *own = file ? memory_get(1, sizeof *own) : NULL;
    char *json = NULL;
    Status status = own ? read_sets(file, own) : status_ok();
    if (!failed(status)) status = gate_set_json(own ? own : gate_set_list(), set, &json);
    if (!failed(status)) status = run(argv + first, argc - first, json, as_json);
    free(json);
    free(own);
    return status;
}
