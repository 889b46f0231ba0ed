/* estimate_json.c - an estimate as programs read it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/plan/estimate.h"

static const double checkpoint_cost_s = 0.02; /* one is written in 15 ms (8 MB, measured) */

static double hours(double s) { return s / 3600; }

static json_t *seconds_json(double s) { return isfinite(s) ? json_real(s) : json_null(); }

json_t *estimate_json(const Estimate *p)
{
    const Night *n = &p->night;
    const NightForecast *f = &p->forecast;
    const EstimateOptions *o = p->o;
    const bool gpu = strcmp(json_string_value(json_object_get(p->record.work, "backend")) ?: "cpu", "cuda") == 0;
    const int group_size = o->group_size ? o->group_size : p->record.group_size > 0 ? p->record.group_size : 1;
    const double cores = json_number_value(json_object_get(p->record.machine, "cores"));
    const double watts = o->watts > 0 ? o->watts : record_watts(&p->record); /* of one node */
    json_t *j = json_object();
    json_object_set_new(j, "shots", json_integer(n->shots));
    json_object_set_new(j, "clips", json_integer(p->clip_count));
    json_object_set_new(j, "record", json_string(o->record));
    json_object_set_new(j, "nodes", json_integer(n->nodes));
    json_object_set_new(j, "groups", json_integer((json_int_t)n->nodes * n->groups));
    json_object_set_new(j, "group_size", json_integer(group_size));
    json_object_set_new(j, "finishers", json_integer((json_int_t)n->nodes * n->finishers));
    json_object_set_new(j, "render_s", json_real(measured_quantile(&p->render, 0.5)));
    json_object_set_new(j, "finish_s", json_real(measured_quantile(&p->finish, 0.5)));
    json_t *at = json_object();
    json_object_set_new(at, "p10", seconds_json(f->p10_s));
    json_object_set_new(at, "p50", seconds_json(f->p50_s));
    json_object_set_new(at, "p90", seconds_json(f->p90_s));
    json_object_set_new(j, "finish_at", at);
    json_object_set_new(j, "deadline",
                        p->deadline_s > 0 ? json_pack("{s:f, s:f}", "at", p->deadline_s, "probability", f->probability)
                                          : json_null());
    json_object_set_new(j, "nodes_for_deadline",
                        p->nodes_for_deadline ? json_integer(p->nodes_for_deadline) : json_null());
    json_object_set_new(j, "gpu_hours", json_real(gpu ? n->nodes * n->groups * group_size * hours(f->p50_s) : 0));
    json_object_set_new(j, "core_hours", json_real(n->nodes * cores * hours(f->p50_s)));
    json_object_set_new(j, "energy_kwh",
                        watts > 0 ? json_real(n->nodes * watts / 1000 * hours(f->p50_s)) : json_null());
    json_object_set_new(j, "cost",
                        o->node_cost > 0 ? json_real(n->nodes * o->node_cost * hours(f->p50_s)) : json_null());
    json_object_set_new(
        j, "checkpoint_every_s",
        json_real(night_checkpoint_s(checkpoint_cost_s, n->node_mtbf_s > 0 ? n->node_mtbf_s / n->nodes : 0)));
    json_object_set_new(j, "trials", json_integer(f->trials));
    json_object_set_new(j, "evaluations",
                        json_pack("{s:f, s:I, s:I}", "render", p->evaluations.render, "all",
                                  (json_int_t)p->evaluations.all, "without_savings",
                                  (json_int_t)p->evaluations.without));
    json_object_set_new(j, "first_clip_s", seconds_json(f->first_clip_s));
    json_object_set_new(j, "masters", json_integer(f->most_masters));
    json_object_set_new(j, "failures", json_real(f->failures));
    json_object_set_new(j, "failing_leases", json_real(n->fail_share));
    json_object_set_new(j, "suggestions", estimate_suggestions(p));
    json_t *notes = json_array();
    for (char *line = p->notes; *line;) {
        const size_t bytes = strcspn(line, "\n");
        json_array_append_new(notes, json_stringn(line, bytes));
        line += bytes + 1;
    }
    json_array_extend(notes, p->record.invalid);
    json_object_set_new(j, "notes", notes);
    return j;
}
