/* estimate_json.c - an estimate as programs read it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json_member.h"
#include "coordinator/plan/suggest.h"

static const double checkpoint_cost_s = 0.02; /* one is written in 15 ms (8 MB, measured) */

/* null: never. A night may never be done. */
static json_t *number_json(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *known_json(double x) { return x > 0 ? number_json(x) : json_null(); }

/* What so many seconds of all nodes are. */
typedef struct {
    double core_hours, gpu_hours, cost;
    double kwh; /* 0: not known */
} Spent;

static Spent spent_in(const Estimate *p, const Basis *b, double s)
{
    const Night *n = &b->night;
    const bool gpu = strcmp(member_text(b->record->work, "backend", "cpu"), "cuda") == 0;
    const double nodes_h = n->nodes * s / 3600,
                 watts = p->o->watts > 0 ? p->o->watts : record_watts_known(b->record); /* of one node */
    return (Spent){.core_hours = nodes_h * json_number_value(json_object_get(b->record->machine, "cores")),
                   .gpu_hours = gpu ? nodes_h * n->groups * n->group_size : 0,
                   .cost = nodes_h * p->o->node_cost,
                   .kwh = nodes_h * watts / 1000};
}

/* Of one node; null: not known. */
static json_t *memory_json(const Estimate *p)
{
    return json_pack("{s:o, s:o}", "node_bytes", known_json(p->node_bytes), "has_bytes", known_json(p->memory_bytes));
}

/* Of the campaign's folder at its fullest: clips and checkpoints stay, masters are there while clips are finished of them. */
static json_t *disk_json(const Estimate *p)
{
    const Record *r = p->by.record;
    const double masters = (double)p->forecast.most_masters * r->master_bytes,
                 clips = (double)p->clip_count * r->clip_bytes,
                 checkpoints = (double)p->by.night.shots * r->checkpoint_bytes;
    return json_pack("{s:o, s:o, s:o, s:o}", "masters_bytes", known_json(masters), "clips_bytes", known_json(clips),
                     "checkpoints_bytes", known_json(checkpoints), "all_bytes",
                     known_json(masters + clips + checkpoints));
}

/* How each split that the record has measured does: [{"workers", "group_size", "finish_p50", "probability", "core_hours", "cost", "planned"}];
 * empty where it has measured one only. */
static json_t *splits_json(const Estimate *p)
{
    json_t *list = json_array();
    const Record *r;
    for (int i = 0; p->record.other_count && (r = record_of(&p->record, i)); i++) {
        Basis b;
        NightForecast f;
        estimate_basis(p, r, &b);
        const bool planned =
            r == p->by.record && b.night.groups == p->by.night.groups && b.night.group_size == p->by.night.group_size;
        if (planned)
            f = p->forecast;
        else
            night_forecast(&b.night, p->deadline_s, (NightEffort){1, 60, 0.5}, &f);
        const double done_s = f.p50_s;
        const Spent spent = spent_in(p, &b, done_s);
        json_array_append_new(list, json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:b}", "workers",
                                              b.night.groups * b.night.group_size, "group_size", b.night.group_size,
                                              "finish_p50", number_json(done_s), "probability",
                                              p->deadline_s > 0 ? json_real(f.probability) : json_null(), "core_hours",
                                              known_json(spent.core_hours), "cost", known_json(spent.cost),
                                              "energy_kwh", known_json(spent.kwh), "planned", planned));
        basis_clear(&b);
    }
    return list;
}

/* For all that ends the job: a node's death, and preemption as if it came without notice. */
static double checkpoint_every_s(const Night *n)
{
    const double often =
        (n->node_mtbf_s > 0 ? n->nodes / n->node_mtbf_s : 0) + (n->preempt_mtbf_s > 0 ? 1 / n->preempt_mtbf_s : 0);
    return night_checkpoint_s(checkpoint_cost_s, often > 0 ? 1 / often : 0);
}

/* null: nobody was said to die at a given time. */
static json_t *death_json(const Estimate *p)
{
    const Night *n = &p->by.night;
    if (n->dies_at_s == 0 && n->node_dies_at_s == 0) return json_null();
    return json_pack("{s:o, s:o, s:o, s:o}", "coordinator_at", known_json(n->dies_at_s), "node_at",
                     known_json(n->node_dies_at_s), "finish_p50_without", number_json(p->without_death_s), "costs_s",
                     number_json(p->forecast.p50_s - p->without_death_s));
}

json_t *estimate_json(const Estimate *p)
{
    const Night *n = &p->by.night;
    const NightForecast *f = &p->forecast;
    const Spent spent = spent_in(p, &p->by, f->p50_s);
    const SuggestBase base = suggest_base(p);
    json_t *j = json_object();
    json_object_set_new(j, "shots", json_integer(n->shots));
    json_object_set_new(j, "clips", json_integer(p->clip_count));
    json_object_set_new(j, "record", json_string(p->o->record));
    json_object_set_new(j, "nodes", json_integer(n->nodes));
    json_object_set_new(j, "groups", json_integer((json_int_t)n->nodes * n->groups));
    json_object_set_new(j, "group_size", json_integer(n->group_size));
    json_object_set_new(j, "finishers", json_integer((json_int_t)n->nodes * n->finishers));
    json_object_set_new(j, "render_s", json_real(measured_quantile(&p->by.render, 0.5)));
    json_object_set_new(j, "finish_s", json_real(measured_quantile(&p->by.finish, 0.5)));
    json_t *at = json_object();
    json_object_set_new(at, "p10", number_json(f->p10_s));
    json_object_set_new(at, "p50", number_json(f->p50_s));
    json_object_set_new(at, "p90", number_json(f->p90_s));
    json_object_set_new(j, "finish_at", at);
    json_object_set_new(j, "deadline",
                        p->deadline_s > 0 ? json_pack("{s:f, s:f}", "at", p->deadline_s, "probability", f->probability)
                                          : json_null());
    json_object_set_new(j, "nodes_for_deadline",
                        p->nodes_for_deadline ? json_integer(p->nodes_for_deadline) : json_null());
    json_object_set_new(j, "gpu_hours", number_json(spent.gpu_hours));
    json_object_set_new(j, "core_hours", number_json(spent.core_hours));
    json_object_set_new(j, "energy_kwh", known_json(spent.kwh));
    json_object_set_new(j, "cost", known_json(spent.cost));
    json_object_set_new(j, "checkpoint_every_s", json_real(checkpoint_every_s(n)));
    json_object_set_new(j, "trials", json_integer(f->trials));
    json_object_set_new(j, "evaluations",
                        json_pack("{s:f, s:I, s:I}", "render", p->evaluations.render, "all",
                                  (json_int_t)p->evaluations.all, "without_savings",
                                  (json_int_t)p->evaluations.without));
    json_object_set_new(j, "first_clip_s", number_json(f->first_clip_s));
    json_object_set_new(j, "masters", json_integer(f->most_masters));
    json_object_set_new(j, "death", death_json(p));
    json_object_set_new(j, "memory", memory_json(p));
    json_object_set_new(j, "disk", disk_json(p));
    json_object_set_new(j, "failures", json_real(f->failures));
    json_object_set_new(j, "failing_leases", json_real(n->fail_share));
    json_t *splits = splits_json(p), *sharing = estimate_sharing(p, &base);
    json_object_set_new(j, "splits", splits);
    json_object_set_new(j, "sharing", sharing);
    json_object_set_new(j, "suggestions", estimate_suggestions(p, &base, sharing, splits));
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
