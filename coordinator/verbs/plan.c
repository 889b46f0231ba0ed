/* plan.c - `reelwright plan`: how long a campaign takes, on how many nodes, at what cost, with what probability. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/moment.h"
#include "common/options.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/plan/record.h"
#include "coordinator/verbs/verbs.h"

enum { MOST_TRIALS = 400, MOST_NODES = 1 << 17 };
static const double enough = 0.9;             /* probability that counts as "in time" */
static const double budget_s = 4;             /* for one forecast */
static const double notice_s = 1.5;           /* from a job's death until its launcher has seen the end of mpirun */
static const double checkpoint_cost_s = 0.02; /* one is written in 15 ms (8 MB, measured) */

typedef struct {
    const char *record, *deadline;
    int nodes, workers, finishers, group_size;
    double failures, dies_at, preemptions, requeue, node_cost, watts;
    bool json;
} PlanOptions;

typedef struct {
    const PlanOptions *o;
    Campaign *campaign;
    Record record;
    Night night;
    int64_t *clips, clip_count; /* of each shot */
    Measured render, finish;    /* the record's, scaled to this campaign */
    double deadline_s;          /* from the start; 0: none */
    NightForecast forecast;
    int nodes_for_deadline; /* 0: no number of nodes is enough, or no deadline */
    char *notes;            /* what the record does not fit, one a line */
} Plan;

/* ---- what is planned ---- */

static void note(Plan *p, const char *text)
{
    char *longer = text_format("%s%s\n", p->notes, text);
    free(p->notes);
    p->notes = longer;
}

static void count_clips(Plan *p)
{
    const Campaign *c = p->campaign;
    p->clips = memory_get((size_t)c->shot_count + 1, sizeof *p->clips);
    for (int64_t i = 0; i < c->clip_count; i++) {
        if (c->clip[i].shot < 0) continue;
        p->clips[c->clip[i].shot]++;
        p->clip_count++;
    }
}

static double work_number(const Plan *p, const char *key)
{
    return json_number_value(json_object_get(p->record.work, key));
}

/* Denoising takes time in proportion to steps, and about so to pixels and frames; decoding to pixels and frames. */
static void scale_renders(Plan *p)
{
    const ShotSpec *s = p->campaign->shot_count ? &p->campaign->shot[0].spec : NULL;
    const Record *r = &p->record;
    double steps = 1, size = 1;
    if (s && work_number(p, "steps") > 0) steps = s->steps / work_number(p, "steps");
    const double pixels = work_number(p, "width") * work_number(p, "height") * work_number(p, "frames");
    if (s && pixels > 0) size = (double)s->width * s->height * s->frames / pixels;
    const double all = r->text_s + r->denoise_s + r->decode_s;
    const double factor = all > 0 ? (r->text_s + r->denoise_s * steps * size + r->decode_s * size) / all : steps * size;
    for (int i = 0; i < r->render.count; i++) measured_add(&p->render, r->render.s[i] * factor);
    if (size != 1)
        note(p, "the record's clips have another size or length: renders are scaled by pixels and frames, which is a "
                "guess");
    if (steps != 1) note(p, "the record's clips have another number of steps: denoising is scaled by it");
    const char *model = json_string_value(json_object_get(r->work, "model"));
    if (!model || strcmp(model, p->campaign->model_hash) != 0)
        note(p, "the record is of another model: make one with `reelwright bench` for this campaign");
}

static void scale_finishes(Plan *p)
{
    const double before = (double)json_array_size(json_object_get(p->record.work, "renditions"));
    const double factor = before > 0 ? p->campaign->rendition_count / before : 1;
    for (int i = 0; i < p->record.finish.count; i++) measured_add(&p->finish, p->record.finish.s[i] * factor);
    if (factor != 1) note(p, "the record's clips have another number of renditions: finishes are scaled by it");
}

static void set_night(Plan *p)
{
    const PlanOptions *o = p->o;
    const Record *r = &p->record;
    const int group_size = o->group_size ? o->group_size : r->group_size > 0 ? r->group_size : 1;
    const int workers = o->workers ? o->workers : r->workers;
    Night *n = &p->night;
    *n = (Night){.shots = p->campaign->shot_count,
                 .clips = p->clips,
                 .groups = workers / group_size > 0 ? workers / group_size : 1,
                 .group_size = group_size,
                 .finishers = o->finishers >= 0 ? o->finishers : r->finishers,
                 .both = r->both,
                 .render = {p->render.s, p->render.count},
                 .finish = {p->finish.s, p->finish.count},
                 .load = {r->load.s, r->load.count},
                 .start_s = r->start_s,
                 .end_s = r->end_s,
                 .gap_s = r->gap_s,
                 .run_sd = r->run_sd,
                 .worker_sd = r->worker_sd,
                 .dies_at_s = o->dies_at,
                 .requeue_s = o->requeue,
                 .restart_s = r->start_s + notice_s};
    if (!n->both && n->finishers == 0) n->both = true; /* somebody must */
    if (o->workers && o->workers != r->workers)
        note(p, "the record is of another number of workers on a node: how fast each of them is may differ");
    if (o->preemptions > 0) n->preempt_mtbf_s = 86400 / o->preemptions;
    if (o->failures > 0) n->node_mtbf_s = 1000 * 86400.0 / o->failures;
    n->nodes = o->nodes ? o->nodes : r->nodes;
    if (p->campaign->checkpoint_every > 0 && p->campaign->shot_count)
        n->checkpoint_s = r->denoise_s / p->campaign->shot[0].spec.steps * p->campaign->checkpoint_every;
    else
        n->checkpoint_s = 60;
}

static double mean_of(Times t)
{
    double sum = 0;
    for (int i = 0; i < t.count; i++) sum += t.s[i];
    return sum / t.count;
}

/* With fewer nodes not even workers that never wait would be done in time. */
static int least_nodes(const Plan *p)
{
    const Night *n = &p->night;
    const double renders_s = (double)n->shots * mean_of(n->render),
                 finishes_s = (double)p->clip_count * mean_of(n->finish),
                 time_s = p->deadline_s - n->start_s - n->end_s;
    if (time_s <= 0) return MOST_NODES;
    const double nodes = n->both ? (renders_s + finishes_s) / (n->groups * n->group_size + n->finishers)
                                 : fmax(renders_s / n->groups, finishes_s / fmax(n->finishers, 1));
    return (int)fmin(fmax(0.8 * nodes / time_s, 1), MOST_NODES);
}

static bool is_enough(const Plan *p, int nodes)
{
    Night n = p->night;
    NightForecast f;
    n.nodes = nodes;
    night_forecast(&n, p->deadline_s, (NightEffort){1, 60, budget_s / 8}, &f);
    return f.probability >= enough;
}

/* The least number of nodes with which the deadline is kept with enough probability; 0: none is. Tried from what the work takes at least
 * upwards, in larger and larger steps, because each try plays nights. */
static int find_nodes(const Plan *p)
{
    int low = least_nodes(p) - 1, high = low + 1;
    for (int step = 1; !is_enough(p, high); step *= 2) {
        low = high;
        if (high >= MOST_NODES || high > p->night.shots + p->clip_count) return 0;
        high += step + high / 16;
        if (high > MOST_NODES) high = MOST_NODES;
    }
    while (high - low > 1 + low / 256) { /* of thousands of nodes a few do not matter */
        const int middle = low + (high - low) / 2;
        *(is_enough(p, middle) ? &high : &low) = middle;
    }
    return high;
}

/* ---- what would make it cheaper ---- */

static double median_with(Night n)
{
    NightForecast f;
    night_forecast(&n, 0, (NightEffort){1, 20, 0.3}, &f);
    return f.p50_s;
}

static int64_t count_distinct_prompts(const Campaign *c)
{
    int64_t distinct = 0;
    const int64_t most = c->shot_count < 2000 ? c->shot_count : 2000; /* enough to see whether prompts repeat */
    for (int64_t i = 0; i < most; i++) {
        bool seen = false;
        for (int64_t k = 0; k < i && !seen; k++) seen = strcmp(c->shot[i].spec.prompt, c->shot[k].spec.prompt) == 0;
        distinct += !seen;
    }
    return c->shot_count > most ? distinct * c->shot_count / most : distinct;
}

static json_t *suggestions(const Plan *p)
{
    json_t *list = json_array();
    const Campaign *c = p->campaign;
    const double now_s = p->forecast.p50_s;
    const int64_t prompts = count_distinct_prompts(c);
    if (prompts < c->shot_count) {
        Night n = p->night;
        int64_t *clips = memory_get((size_t)prompts + 1, sizeof *clips);
        for (int64_t i = 0; i < prompts; i++) clips[i] = p->clip_count / prompts + (i < p->clip_count % prompts);
        n.shots = prompts;
        n.clips = clips;
        char *text = text_format(
            "one seed for all (`seed: 7`): about %lld renders instead of %lld, done after %.0f s instead of %.0f s",
            (long long)prompts, (long long)c->shot_count, median_with(n), now_s);
        json_array_append_new(list, json_string(text));
        free(text);
        free(clips);
    }
    if (!p->night.both) {
        Night more = p->night;
        more.finishers += more.finishers > 1 ? more.finishers / 2 : 1;
        const double with_s = median_with(more);
        if (with_s < 0.95 * now_s) {
            char *text = text_format("--finishers %d on each node: done after %.0f s instead of %.0f s", more.finishers,
                                     with_s, now_s);
            json_array_append_new(list, json_string(text));
            free(text);
        }
    }
    if (c->shot_count && c->shot[0].spec.steps > 8 && p->record.denoise_s > 0) {
        Night fewer = p->night;
        Measured m = {0};
        const double all = p->record.text_s + p->record.denoise_s + p->record.decode_s;
        for (int i = 0; i < p->render.count; i++)
            measured_add(&m, p->render.s[i] * (1 - 0.25 * p->record.denoise_s / all));
        fewer.render = (Times){m.s, m.count};
        const double with_s = median_with(fewer);
        if (with_s < 0.95 * now_s) {
            char *text =
                text_format("steps: %d instead of %d: done after %.0f s instead of %.0f s; look at a pilot first",
                            c->shot[0].spec.steps * 3 / 4, c->shot[0].spec.steps, with_s, now_s);
            json_array_append_new(list, json_string(text));
            free(text);
        }
        free(m.s);
    }
    return list;
}

/* ---- answers ---- */

static double hours(double s) { return s / 3600; }

static json_t *seconds_json(double s) { return isfinite(s) ? json_real(s) : json_null(); }

static json_t *plan_json(const Plan *p)
{
    const Night *n = &p->night;
    const NightForecast *f = &p->forecast;
    const PlanOptions *o = p->o;
    const bool gpu = strcmp(json_string_value(json_object_get(p->record.work, "backend")) ?: "cpu", "cuda") == 0;
    const int group_size = o->group_size ? o->group_size : p->record.group_size > 0 ? p->record.group_size : 1;
    const double cores = json_number_value(json_object_get(p->record.machine, "cores"));
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
                        o->watts > 0 ? json_real(n->nodes * o->watts / 1000 * hours(f->p50_s)) : json_null());
    json_object_set_new(j, "cost",
                        o->node_cost > 0 ? json_real(n->nodes * o->node_cost * hours(f->p50_s)) : json_null());
    json_object_set_new(
        j, "checkpoint_every_s",
        json_real(night_checkpoint_s(checkpoint_cost_s, n->node_mtbf_s > 0 ? n->node_mtbf_s / n->nodes : 0)));
    json_object_set_new(j, "trials", json_integer(f->trials));
    json_object_set_new(j, "first_clip_s", seconds_json(f->first_clip_s));
    json_object_set_new(j, "masters", json_integer(f->most_masters));
    json_object_set_new(j, "failures", json_real(f->failures));
    json_object_set_new(j, "suggestions", suggestions(p));
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

/* "0:42 min", "7:05 h"; "never". */
static const char *time_text(double s, char text[32])
{
    const bool minutes = s < 3600;
    const int64_t unit = isfinite(s) ? (int64_t)(minutes ? s + 0.5 : (s + 30) / 60) : 0;
    if (isfinite(s))
        snprintf(text, 32, "%lld:%02lld %s", (long long)unit / 60, (long long)unit % 60, minutes ? "min" : "h");
    else
        snprintf(text, 32, "never");
    return text;
}

static void print_plan(const Plan *p, const json_t *j)
{
    const Night *n = &p->night;
    const NightForecast *f = &p->forecast;
    const json_t *one;
    size_t i;
    foreign_print(stdout, "%s: %lld clips of %lld renders, on %d node%s\n\n", p->campaign->name,
                  (long long)p->clip_count, (long long)n->shots, n->nodes, n->nodes == 1 ? "" : "s");
    char p50[32], p10[32], p90[32];
    foreign_print(stdout, "  done after %s; one night of ten is done before %s, one after %s (%d nights played)\n",
                  time_text(f->p50_s, p50), time_text(f->p10_s, p10), time_text(f->p90_s, p90), f->trials);
    if (p->deadline_s > 0) {
        foreign_print(stdout, "  deadline   in %s: kept with a probability of %.0f %%", time_text(p->deadline_s, p50),
                      100 * f->probability);
        if (p->nodes_for_deadline)
            foreign_print(stdout, "; %d node%s keep it in nine nights of ten\n", p->nodes_for_deadline,
                          p->nodes_for_deadline == 1 ? "" : "s");
        else
            foreign_print(stdout, "; no number of nodes keeps it\n");
    }
    foreign_print(stdout, "  each node  %d %s, %d finisher%s%s\n", n->groups, n->groups == 1 ? "group" : "groups",
                  n->finishers, n->finishers == 1 ? "" : "s", n->both ? "; groups also finish" : "");
    foreign_print(stdout, "  a render   %.2f s, a finish %.2f s (medians); the first clip after %.0f s\n",
                  json_number_value(json_object_get(j, "render_s")), json_number_value(json_object_get(j, "finish_s")),
                  f->first_clip_s);
    foreign_print(stdout, "  in all     %.2f core hours, %.2f GPU hours; at most %lld masters wait\n",
                  json_number_value(json_object_get(j, "core_hours")),
                  json_number_value(json_object_get(j, "gpu_hours")), (long long)f->most_masters);
    if (json_is_number(json_object_get(j, "cost")))
        foreign_print(stdout, "  cost       %.2f\n", json_number_value(json_object_get(j, "cost")));
    if (json_is_number(json_object_get(j, "energy_kwh")))
        foreign_print(stdout, "  energy     %.2f kWh\n", json_number_value(json_object_get(j, "energy_kwh")));
    json_array_foreach(json_object_get(j, "suggestions"), i, one)
        foreign_print(stdout, "  cheaper    %s\n", json_string_value(one));
    json_array_foreach(json_object_get(j, "notes"), i, one)
        foreign_print(stdout, "  note       %s\n", json_string_value(one));
}

/* ---- the verb ---- */

/* "06:00", "2026-01-31 06:00", or seconds from the start. */
static Status read_deadline(Plan *p)
{
    const char *text = p->o->deadline ? p->o->deadline : p->campaign->settings.deadline;
    const double now_s = moment_wall_s();
    double at_s;
    char *end;
    if (!text || !*text || strcmp(text, "none") == 0) return status_ok();
    const double seconds = strtod(text, &end);
    if (end != text && !*end && seconds > 0 && isfinite(seconds)) {
        p->deadline_s = seconds;
        return status_ok();
    }
    if (!deadline_parse(text, now_s, &at_s))
        return status_fail(ERR_INPUT,
                           "--deadline %s: expected \"06:00\", \"2026-01-31 06:00\" or seconds from the start", text);
    if (at_s <= now_s) return status_fail(ERR_INPUT, "--deadline %s: it is over", text);
    p->deadline_s = at_s - now_s;
    return status_ok();
}

static Status make_plan(Plan *p)
{
    count_clips(p);
    scale_renders(p);
    scale_finishes(p);
    TRY(read_deadline(p));
    set_night(p);
    night_forecast(&p->night, p->deadline_s, (NightEffort){3, MOST_TRIALS, budget_s}, &p->forecast);
    if (p->deadline_s > 0) p->nodes_for_deadline = find_nodes(p);
    return status_ok();
}

static void clear_plan(Plan *p)
{
    campaign_free(&p->campaign);
    record_clear(&p->record);
    free(p->clips);
    free(p->render.s);
    free(p->finish.s);
    free(p->notes);
}

Status verb_plan(int argc, char **argv)
{
    PlanOptions o = {.finishers = -1};
    const Option option[] = {{"record", OPTION_TEXT, &o.record, .value = "FILE|DIR", .required = true,
                              .help = "measured times: a record of `bench`, or the folder of a campaign that has run"},
                             {"nodes", OPTION_INT, &o.nodes, .value = "N", .min = 1, .max = MOST_NODES,
                              .help = "machines (as in the record)"},
                             {"workers", OPTION_INT, &o.workers, .value = "N", .min = 1, .max = 4096},
                             {"group-size", OPTION_INT, &o.group_size, .value = "T", .min = 1, .max = 64},
                             {"finishers", OPTION_INT, &o.finishers, .value = "M", .min = 0, .max = 4096,
                              .help = "on each node, as `run` takes them"},
                             {"deadline", OPTION_TEXT, &o.deadline, .value = "T",
                              .help = "06:00, a date and time, or seconds from the start (the campaign's)"},
                             {"failures", OPTION_REAL, &o.failures, .value = "F", .min = 0, .max = 1e6,
                              .help = "nodes that die in a thousand node-days; clusters report 3.8 to 6.5 (0)"},
                             {"dies-at", OPTION_REAL, &o.dies_at, .value = "S", .min = 0, .max = 1e7,
                              .help = "the job dies so many seconds after its start, once, and starts again"},
                             {"preemptions", OPTION_REAL, &o.preemptions, .value = "P", .min = 0, .max = 1e4,
                              .help = "of the job in a day; it checkpoints, and goes on after --requeue"},
                             {"requeue", OPTION_REAL, &o.requeue, .value = "S", .min = 0, .max = 1e6,
                              .help = "seconds that a preempted job waits for its nodes"},
                             {"node-cost", OPTION_REAL, &o.node_cost, .value = "C", .min = 0, .max = 1e9},
                             {"watts", OPTION_REAL, &o.watts, .value = "W", .min = 0, .max = 1e6,
                              .help = "of one node: for an hour; what it draws"},
                             {"json", OPTION_FLAG, &o.json, .help = "the same as one JSON object"}};
    const Usage usage = {.verb = "plan",
                         .arguments = "CAMPAIGN.yaml --record FILE|DIR [options]",
                         .about =
                             "Says how long a campaign takes, on how many nodes, at what cost, with what probability:\n"
                             "plays many nights on paper with measured times. Renders nothing.",
                         .option = option,
                         .option_count = sizeof option / sizeof *option,
                         .min_arguments = 1,
                         .max_arguments = 1};
    int first;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    Plan p = {.o = &o, .notes = text_copy("")};
    Status status = record_read(o.record, &p.record);
    if (!failed(status)) status = campaign_load(argv[first], &p.campaign);
    if (!failed(status)) status = make_plan(&p);
    if (!failed(status)) {
        json_t *j = plan_json(&p);
        if (o.json)
            json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10)), putchar('\n');
        else
            print_plan(&p, j);
        json_decref(j);
    }
    clear_plan(&p);
    return status;
}
