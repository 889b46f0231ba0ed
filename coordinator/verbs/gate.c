#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/json_member.h"
#include "common/options.h"
#include "common/plural.h"
#include "coordinator/campaign/gate_set.h"
#include "coordinator/campaign/yaml_fields.h"
#include "coordinator/deliver/diversity.h"
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

/* ---- a campaign's folder: do its clips look alike? ---- */

static double quantile(const json_t *j, const char *name)
{
    return json_number_value(json_object_get(json_object_get(j, "distance"), name));
}

static void print_distances(const json_t *j, const char *whose)
{
    const json_int_t near = json_integer_value(json_object_get(j, "near_duplicates"));
    if (json_is_null(json_object_get(json_object_get(j, "distance"), "p50"))) {
        foreign_print(stdout, "  %s: nothing to compare with\n", whose);
        return;
    }
    foreign_print(stdout,
                  "  %s: %.0f, %.0f, %.0f, %.0f, %.0f of 256 bits to the nearest (5, 25, 50, 75, 95 %% of the shots);"
                  " %lld near-duplicates (%d bits and less)\n",
                  whose, quantile(j, "p05"), quantile(j, "p25"), quantile(j, "p50"), quantile(j, "p75"),
                  quantile(j, "p95"), (long long)near, PDQ_NEAR);
}

static void print_diversity(const char *folder, const json_t *j)
{
    const json_t *others = json_object_get(j, "others");
    size_t i;
    json_t *one;
    const long long shots = json_integer_value(json_object_get(j, "shots"));
    foreign_print(stdout, "%s: %lld shot%s\n", folder, shots, plural_s(shots));
    print_distances(j, "each other");
    json_array_foreach(json_object_get(j, "pairs"), i, one)
        foreign_print(stdout, "    %s and %s: %.1f bits\n", member_text(one, "a", ""), member_text(one, "b", ""),
                      json_number_value(json_object_get(one, "distance")));
    if (others) print_distances(others, "other campaigns");
    json_array_foreach(json_object_get(others, "pairs"), i, one)
        foreign_print(stdout, "    %s and %s's shot %.12s: %.1f bits\n", member_text(one, "clip", ""),
                      member_text(one, "campaign", ""), member_text(one, "shot", ""),
                      json_number_value(json_object_get(one, "distance")));
}

static Status measure_campaign(const char *folder, const char *index, bool as_json)
{
    Ledger *l;
    json_t *j = NULL;
    char *file = path_join(folder, "ledger.db");
    const bool there = file_exists(file);
    free(file);
    if (!there) return status_fail(ERR_INPUT, "%s: no campaign's folder (it has no ledger.db) and no file", folder);
    TRY(ledger_open_shown(folder, &l));
    Status status = diversity_measure(l, 0, index, &j);
    if (!failed(status) && index) status = diversity_publish(l, index);
    ledger_close(&l);
    if (!failed(status) && as_json) {
        foreign_print_json(stdout, j, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    } else if (!failed(status)) {
        print_diversity(folder, j);
    }
    json_decref(j);
    return status;
}

Status verb_gate(int argc, char **argv, GateFiles *run)
{
    bool as_json = false;
    const char *set = "default", *file = NULL, *index = NULL;
    int first;
    const Option table[] = {
        {"set", OPTION_TEXT, &set, .value = "NAME", .help = "which bounds (default)"},
        {"sets", OPTION_TEXT, &file, .value = "FILE.yaml",
         .help = "sets of your own, written as configs/gates.yaml is"},
        {"index", OPTION_TEXT, &index, .value = "FOLDER",
         .help = "of DIR: also against the campaigns in it, and adds DIR's"},
        {"json", OPTION_FLAG, &as_json, .help = "one JSON list"},
    };
    const Usage usage = {
        .verb = "gate",
        .arguments = "FILE...|DIR [options]",
        .about = "Measures video files, ours or not, and says of each gate: pass, hold (look at it) or fail.\n"
                 "Exit status 1: a file failed. Of a campaign's folder: how alike its shots look.",
        .option = table,
        .option_count = (int)(sizeof table / sizeof *table),
        .min_arguments = 1,
        .max_arguments = 1 << 20};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    if (file_is_folder(argv[first])) {
        if (argc - first > 1) return status_fail(ERR_INPUT, "%s is a folder, expected it alone", argv[first]);
        return measure_campaign(argv[first], index, as_json);
    }
    if (index) return status_fail(ERR_INPUT, "--index: expected with a campaign's folder, and %s is none", argv[first]);
    GateSetList *own = file ? memory_get(1, sizeof *own) : NULL;
    char *json = NULL;
    Status status = own ? read_sets(file, own) : status_ok();
    if (!failed(status)) status = gate_set_json(own ? own : gate_set_list(), set, &json);
    if (!failed(status)) status = run(argv + first, argc - first, json, as_json);
    free(json);
    free(own);
    return status;
}
