/* verb_gate.c - `reelwright gate FILE...`: the quality gates on any video. The bounds come as JSON from the coordinator's half of the
 * verb, which reads configs/gates.yaml. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/options.h"
#include "common/plural.h"
#include "worker/gate/gate.h"
#include "worker/verbs/verbs.h"

static void print_report(const char *path, const GateReport *r)
{
    foreign_print(stdout, "%s: %s\n", path, gate_verdict_name[r->verdict]);
    for (int i = 0; i < GATE_COUNT; i++) {
        const GateFinding *f = &r->gate[i];
        if (!f->measured) continue;
        foreign_print(stdout, "  %-12s %-5s %10.3f  bound %8.3f %s", gate_name[i], gate_verdict_name[f->verdict],
                      f->value, f->threshold, gate_unit[i]);
        for (int k = 0; k < f->at_count; k++) foreign_print(stdout, "%s%.2f", k ? ", " : "  at ", f->at[k]);
        foreign_print(stdout, f->at_count ? " s\n" : "\n");
    }
}

/* Of many files one that cannot be measured does not keep the others from it. */
static json_t *refuse(const char *path, const char *why, bool as_json)
{
    if (!as_json) foreign_print(stdout, "%s: cannot be measured: %s\n", path, why);
    char *name = foreign_utf8(path), *text = foreign_utf8(why);
    json_t *j = json_pack("{s:s, s:n, s:s}", "file", name, "verdict", "error", text);
    free(name);
    free(text);
    return j;
}

Status verb_gate_files(char *const *file, int count, const char *set_json, bool as_json)
{
    GateSet set;
    TRY(gate_set_parse(set_json, &set));
    json_t *list = json_array();
    int bad = 0, refused = 0;
    Status status = status_ok();
    for (int i = 0; i < count && !failed(status); i++) {
        GateReport report;
        status = gate_file(file[i], &set, (GatePromise){0}, &report);
        if (status.err == ERR_INPUT && count > 1) {
            json_array_append_new(list, refuse(file[i], status.message, as_json));
            refused++;
            status = status_ok();
            continue;
        }
        if (failed(status)) break;
        bad += report.verdict == GATE_FAIL;
        if (as_json) {
            char *name = foreign_utf8(file[i]); /* a path may be any bytes */
            json_t *j = json_pack("{s:s}", "file", name);
            free(name);
            json_t *rest = gate_report_json(&report);
            json_object_update(j, rest);
            json_decref(rest);
            json_array_append_new(list, j);
        } else {
            print_report(file[i], &report);
        }
    }
    if (as_json && !failed(status)) {
        foreign_print_json(stdout, list, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    }
    json_decref(list);
    if (!failed(status) && refused) return status_fail(ERR_INPUT, "%d of %d files cannot be measured", refused, count);
    if (failed(status) || !bad) return status;
    return status_fail(ERR_CLIP, "%d of %d file%s failed a gate", bad, count, plural_s(count));
}
