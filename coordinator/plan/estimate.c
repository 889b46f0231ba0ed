#include "estimate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/evaluations.h"
#include "common/file.h"
#include "common/moment.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/campaign/length.h"

enum { MOST_TRIALS = 400 };
static const double enough = 0.9; /* probability that counts as "in time" */
static const double budget_s = 4; /* for one forecast */
/* From a coordinator's death until mpirun and all workers have ended, beside the step in work: three deaths on two cores, in all 1.60, 1.64 and
 * 1.61 s to the first lease of the next job, where a job that nothing had died before took 1.31 to 1.34 s. */
static const double notice_s = 0.3;
static const double node_s = 1.5; /* a node's death: until mpirun has noticed and the other hosts have answered */

static void note(Estimate *p, const char *text)
{
    char *longer = text_format("%s%s\n", p->notes, text);
    free(p->notes);
    p->notes = longer;
}

static void count_clips(Estimate *p)
{
    const Campaign *c = p->campaign;
    p->clips = memory_get((size_t)c->shot_count + 1, sizeof *p->clips);
    for (int64_t i = 0; i < c->clip_count; i++) {
        if (c->clip[i].shot < 0) continue;
        p->clips[c->clip[i].shot]++;
        p->clip_count++;
    }
}

static double work_number(const Record *r, const char *key) { return json_number_value(json_object_get(r->work, key)); }

static bool asks_the_same(const ShotSpec *a, const ShotSpec *b)
{
    return a->steps == b->steps && a->guidance == b->guidance && a->guided_from == b->guided_from &&
           a->guided_to == b->guided_to && a->flow_shift == b->flow_shift && a->trunk_steps == b->trunk_steps &&
           strcmp(a->scheduler, b->scheduler) == 0 && strcmp(a->sigmas, b->sigmas) == 0;
}

/* How often the campaign evaluates the transformer. Of shots that share their first steps, the first computes them. */
static Status count_evaluations(Estimate *p)
{
    const Campaign *c = p->campaign;
    const ShotSpec *before = NULL;
    Evaluations *e = &p->evaluations;
    bool *begun = memory_get((size_t)c->trunk_count + 1, sizeof *begun);
    int whole = 0, own = 0;
    Status status = status_ok();
    for (int64_t i = 0; i < c->shot_count && !failed(status); i++) {
        const ShotSpec *s = &c->shot[i].spec;
        if (!before || !asks_the_same(s, before)) status = evaluations_of_shot(c->model, s, &whole, &own);
        before = s;
        const bool shares = s->trunk_steps > 0 && begun[c->shot[i].trunk];
        if (s->trunk_steps > 0) begun[c->shot[i].trunk] = true;
        e->render += (double)whole / (double)c->shot_count;
        e->shared += (double)(whole - own) / (double)c->shot_count;
        e->all += shares ? own : whole;
        e->without += (int64_t)s->steps * shot_rounds(s) * (s->guidance > 1 ? 2 : 1);
    }
    free(begun);
    return status;
}

/* Evaluations in a render of the record. A record that does not say how many is taken to have left nothing out. */
static double recorded_evaluations(const Record *r)
{
    const double known = work_number(r, "evaluations");
    return known > 0 ? known : work_number(r, "steps") * (work_number(r, "guidance") > 1 ? 2 : 1);
}

typedef struct { /* how many times more a render of this campaign asks for than one of the record */
    double evaluations, size, renditions;
    double length; /* of size: how much longer it is */
} Scale;

static Scale scale_of(const Estimate *p, const Record *r)
{
    const ShotSpec *s = p->campaign->shot_count ? &p->campaign->shot[0].spec : NULL;
    const double recorded = recorded_evaluations(r),
                 renditions = (double)json_array_size(json_object_get(r->work, "renditions")),
                 pixels = work_number(r, "width") * work_number(r, "height") * work_number(r, "frames"),
                 frames = campaign_length(p->campaign).mean;
    return (Scale){.evaluations = s && recorded > 0 ? p->evaluations.render / recorded : 1,
                   .size = s && pixels > 0 ? (double)s->width * s->height * frames / pixels : 1,
                   .length = s && pixels > 0 ? frames / work_number(r, "frames") : 1,
                   .renditions = renditions > 0 ? p->campaign->rendition_count / renditions : 1};
}

/* Denoising takes time in proportion to evaluations, and about so to pixels and frames (with a model that speaks each evaluation is of a piece
 * of one length); decoding to pixels and frames. */
static void scale_times(const Scale *s, bool in_pieces, Basis *b)
{
    const Record *r = b->record;
    const double all = r->text_s + r->denoise_s + r->decode_s,
                 more = s->evaluations * s->size / (in_pieces ? s->length : 1);
    const double factor = all > 0 ? (r->text_s + r->denoise_s * more + r->decode_s * s->size) / all : more;
    for (int i = 0; i < r->render.count; i++) measured_add(&b->render, r->render.s[i] * factor);
    for (int i = 0; i < r->finish.count; i++) measured_add(&b->finish, r->finish.s[i] * s->renditions);
    b->denoise_s = r->denoise_s * more;
}

static void set_night(const Estimate *p, Basis *b)
{
    const EstimateOptions *o = p->o;
    const Record *r = b->record;
    const double stages_s = r->text_s + r->denoise_s + r->decode_s, steps = work_number(r, "steps"),
                 render_s = measured_quantile(&b->render, 0.5);
    Night *n = &b->night;
    *n = (Night){.shots = p->campaign->shot_count,
                 .clips = p->clips,
                 .trunk = p->trunk,
                 .nodes = o->nodes ? o->nodes : r->nodes,
                 .groups = r->workers / r->group_size > 0 ? r->workers / r->group_size : 1,
                 .group_size = r->group_size,
                 .finishers = o->finishers >= 0 ? o->finishers : r->finishers,
                 .both = r->both,
                 .render = {b->render.s, b->render.count},
                 .finish = {b->finish.s, b->finish.count},
                 .load = {r->load.s, r->load.count},
                 .start_s = r->start_s,
                 .end_s = r->end_s,
                 .gap_s = r->gap_s,
                 .run_sd = r->run_sd,
                 .worker_sd = r->worker_sd,
                 .fail_share = r->leases > 0 ? (double)r->failed / (double)r->leases : 0,
                 .requeue_s = o->requeue,
                 .restart_s = r->start_s + notice_s + (steps > 0 ? r->denoise_s / steps : 0),
                 .node_s = node_s,
                 .decode_share = stages_s > 0 ? r->decode_s / stages_s : 0,
                 .checkpoint_s = 60};
    n->both = o->finishers > 0 ? false : n->both || n->finishers == 0; /* as `run` does: somebody must finish */
    if (o->preemptions > 0) n->preempt_mtbf_s = 86400 / o->preemptions;
    if (o->failures > 0) n->node_mtbf_s = 1000 * 86400.0 / o->failures;
    if (p->campaign->checkpoint_every > 0 && p->campaign->shot_count)
        n->checkpoint_s = r->denoise_s / (p->campaign->shot[0].spec.steps * shot_rounds(&p->campaign->shot[0].spec)) *
                          p->campaign->checkpoint_every;
    if (p->trunk && p->evaluations.render > 0 && render_s > 0)
        n->trunk_share = fmin(p->evaluations.shared / p->evaluations.render * b->denoise_s / render_s, 1);
}

void estimate_basis(const Estimate *p, const Record *r, Basis *out)
{
    const Scale s = scale_of(p, r);
    *out = (Basis){.record = r};
    scale_times(&s, p->campaign->model->dit.sound_count > 0, out);
    set_night(p, out);
}

void basis_clear(Basis *b)
{
    free(b->render.s);
    free(b->finish.s);
    *b = (Basis){0};
}

/* The measurement with the number of workers and the group size that the options ask for. Where there is none: the first with that group
 * size, else the record itself; each worker is then taken to be as fast as there. */
static const Record *choose_record(const Estimate *p)
{
    const int workers = p->o->workers, group = p->o->group_size;
    const Record *same_groups = NULL, *r;
    for (int i = 0; (r = record_of(&p->record, i)); i++) {
        if (group && r->group_size != group) continue;
        if (!workers || r->workers == workers) return r;
        if (!same_groups) same_groups = r;
    }
    return same_groups ? same_groups : &p->record;
}

/* A group has its ranks on one node's workers: plan's groups do; those of `run` may be neighbours on two. */
static Status check_split(const Estimate *p)
{
    const Record *r = p->by.record;
    const int group = p->o->group_size ? p->o->group_size : r->group_size,
              workers = p->o->workers ? p->o->workers : r->workers;
    if (group <= workers) return status_ok();
    return status_fail(ERR_INPUT,
                       "--group-size %d: expected at most as many ranks as there are workers on a node, %d%s", group,
                       workers, p->o->workers ? "" : " in the record; --workers says how many");
}

/* "TEXT; measure it: `reelwright bench CAMPAIGN OPTION`", with the campaign's own name. */
static void note_to_measure(Estimate *p, const char *said, const char *option)
{
    char *command = shell_suggest("bench", p->campaign->file, NULL),
         *text = text_format("%s; measure it: `%s%s%s`", said, command, *option ? " " : "", option);
    note(p, text);
    free(command);
    free(text);
}

static void note_workers(Estimate *p, int workers)
{
    const Record *r = p->by.record;
    const char *backend = json_string_value(json_object_get(r->work, "backend"));
    const double cores = json_number_value(json_object_get(r->machine, "cores"));
    if (workers < r->workers || workers <= cores || cores <= 0 || (backend && strcmp(backend, "cuda") == 0)) {
        note(p, "the record is of another number of workers on a node: how fast each of them is may differ");
        return;
    }
    char *text = text_format("%d workers share %g core%s: more than %d of them render no faster together, so the times "
                             "here are too good, up to %.1f times",
                             workers, cores, cores == 1 ? "" : "s", r->workers > cores ? r->workers : (int)cores,
                             workers / (r->workers > cores ? r->workers : cores)),
         *option = text_format("--workers %d", workers);
    note_to_measure(p, text, option);
    free(text);
    free(option);
}

/* Plans for the workers and groups that the options ask for, and notes it where others were measured. */
static void ask_for_workers(Estimate *p)
{
    const Record *r = p->by.record;
    const int group = p->o->group_size ? p->o->group_size : r->group_size,
              workers = p->o->workers ? p->o->workers : r->workers;
    p->by.night.group_size = group;
    p->by.night.groups = workers / group > 0 ? workers / group : 1;
    if (group != r->group_size) {
        char *option = text_format("--workers %d --group-size 1,%d", workers, group > 1 ? group : 2);
        note_to_measure(p,
                        "the record has no groups of that size: each is taken to render as slowly as the record's, "
                        "which tells nothing of what larger groups gain",
                        option);
        free(option);
    }
    if (workers != r->workers) note_workers(p, workers);
}

static void note_misfits(Estimate *p)
{
    const Scale s = scale_of(p, p->by.record);
    const char *model = json_string_value(json_object_get(p->record.work, "model"));
    if (s.size != 1)
        note(p, "the record's clips have another size or length: renders are scaled by pixels and frames, which is a "
                "guess");
    if (fabs(s.evaluations - 1) > 1e-9)
        note(p, "the record's renders evaluate the transformer another number of times (steps, guidance, cache): "
                "denoising is scaled by it");
    if (!model || strcmp(model, p->campaign->model_hash) != 0) note_to_measure(p, "the record is of another model", "");
    if (s.renditions != 1) note(p, "the record's clips have another number of renditions: finishes are scaled by it");
}

/* Of a record without finishers: what a process takes before its first lease, and what finishing adds. */
static double finisher_bytes(Estimate *p)
{
    const Record *r = p->by.record;
    if (r->finisher_bytes > 0) return (double)r->finisher_bytes;
    if (p->by.night.finishers > 0)
        note_to_measure(p,
                        "the record has no processes that only finish: their memory is a guess, by what finishing took "
                        "of the workers",
                        "--finishers 1");
    return json_number_value(json_object_get(r->memory_added, "start")) +
           json_number_value(json_object_get(r->memory_added, "finish"));
}

/* What was measured fits; another size or more processes may not. */
static void check_memory(Estimate *p)
{
    const Night *n = &p->by.night;
    const Record *r = p->by.record;
    const double gb = 1e9;
    p->memory_bytes = json_number_value(json_object_get(r->machine, "memory_bytes"));
    if (r->renderer_bytes == 0) return;
    const double one_finisher = finisher_bytes(p);
    p->node_bytes = (double)n->groups * n->group_size * (double)r->renderer_bytes + (double)n->finishers * one_finisher;
    if (p->memory_bytes <= 0 || p->node_bytes <= p->memory_bytes) return;
    char *text =
        text_format("memory: %d worker%s of %.2f GB and %d finisher%s of %.2f GB may need %.2f GB on a node "
                    "that has %.2f GB; take fewer "
                    "workers, or larger groups, which hold less each",
                    n->groups * n->group_size, plural_s(n->groups * n->group_size), (double)r->renderer_bytes / gb,
                    n->finishers, plural_s(n->finishers), one_finisher / gb, p->node_bytes / gb, p->memory_bytes / gb);
    note(p, text);
    free(text);
}

/* Which shots share their first steps. */
static void share_trunks(Estimate *p)
{
    const Campaign *c = p->campaign;
    if (c->trunk_count == 0) return;
    p->trunk = memory_get((size_t)c->shot_count, sizeof *p->trunk);
    for (int64_t i = 0; i < c->shot_count; i++) p->trunk[i] = c->shot[i].trunk;
}

static double mean_of(Times t)
{
    double sum = 0;
    for (int i = 0; i < t.count; i++) sum += t.s[i];
    return sum / t.count;
}

/* Where the search for a number of nodes begins: with fewer, even workers that never wait would miss the deadline. */
static int least_nodes(const Estimate *p)
{
    const Night *n = &p->by.night;
    const double renders_s = (double)n->shots * mean_of(n->render),
                 finishes_s = (double)p->clip_count * mean_of(n->finish),
                 time_s = p->deadline_s - n->start_s - n->end_s;
    if (time_s <= 0) return ESTIMATE_NODES;
    const double nodes = n->both ? (renders_s * n->group_size + finishes_s) / (n->groups * n->group_size + n->finishers)
                                 : fmax(renders_s / n->groups, finishes_s / fmax(n->finishers, 1));
    return (int)fmin(fmax(0.8 * nodes / time_s, 1), ESTIMATE_NODES);
}

static bool is_enough(const Estimate *p, int nodes)
{
    Night n = p->by.night;
    SmallNight small;
    NightForecast f;
    n.nodes = nodes;
    const bool dies = n.node_mtbf_s > 0 || n.node_dies_at_s > 0; /* a death takes more of a part than of the whole */
    night_make_small(&n, dies ? INT64_MAX : NIGHT_SMALL, &small);
    night_forecast(&small.night, p->deadline_s, (NightEffort){1, 60, budget_s / 8}, &f);
    night_small_clear(&small);
    return f.probability >= enough;
}

/* The least number of nodes with which the deadline is kept with enough probability; 0: none is. Tried from what the work takes at least
 * upwards, in larger and larger steps, because each try plays nights. */
static int find_nodes(const Estimate *p)
{
    int low = least_nodes(p) - 1, high = low + 1;
    for (int step = 1; !is_enough(p, high); step *= 2) {
        low = high;
        if (high >= ESTIMATE_NODES || high > p->by.night.shots + p->clip_count) return 0;
        high += step + high / 16;
        if (high > ESTIMATE_NODES) high = ESTIMATE_NODES;
    }
    while (high - low > 1 + low / 256) { /* of thousands of nodes a few do not matter */
        const int middle = low + (high - low) / 2;
        if (is_enough(p, middle))
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* "06:00", "2026-01-31 06:00", or seconds from the start; NULL, "" or "none": *out stays 0. */
static Status read_time(const char *option, const char *text, double *out)
{
    const double now_s = moment_wall_s();
    double at_s;
    char *end;
    if (!text || !*text || strcmp(text, "none") == 0) return status_ok();
    const double seconds = strtod(text, &end);
    if (end != text && !*end && seconds > 0 && seconds <= 1e8) {
        *out = seconds;
        return status_ok();
    }
    if (!deadline_parse(text, now_s, &at_s))
        return status_fail(ERR_INPUT, "%s %.60s: expected \"06:00\", \"2026-01-31 06:00\" or seconds from the start",
                           option, text);
    if (at_s <= now_s) return status_fail(ERR_INPUT, "%s %s: it is over", option, text);
    *out = at_s - now_s;
    return status_ok();
}

/* What the deaths that are asked about cost. */
static void forecast_without_death(Estimate *p)
{
    Night n = p->by.night;
    NightForecast f;
    if (n.dies_at_s == 0 && n.node_dies_at_s == 0) return;
    n.dies_at_s = n.node_dies_at_s = 0;
    night_forecast(&n, 0, (NightEffort){3, MOST_TRIALS, budget_s / 4}, &f);
    p->without_death_s = f.p50_s;
}

/* Who asks for no deaths gets none: a large farm, or a long night, had better be told. */
static void note_deaths(Estimate *p)
{
    static const double often = 5, worth_a_word = 0.1; /* in a thousand node-days; nodes */
    const Night *n = &p->by.night;
    const double deaths = n->nodes * p->forecast.p50_s / 86400 * often / 1000;
    char length[32];
    if (n->node_mtbf_s > 0 || n->node_dies_at_s > 0 || !isfinite(deaths) || deaths < worth_a_word) return;
    char *text =
        text_format("no node dies in these nights; of %d in %s it would be %.2g at %g in a thousand node-days: "
                    "`--failures %g` plans with that",
                    n->nodes, moment_length(p->forecast.p50_s, length), deaths, often, often);
    note(p, text);
    free(text);
}

static Status make_plan(Estimate *p)
{
    double dies_at_s = 0, node_dies_at_s = 0;
    count_clips(p);
    TRY(count_evaluations(p));
    TRY(read_time("--deadline", p->o->deadline ? p->o->deadline : p->campaign->settings.deadline, &p->deadline_s));
    TRY(read_time("--dies-at", p->o->dies_at, &dies_at_s));
    TRY(read_time("--node-dies-at", p->o->node_dies_at, &node_dies_at_s));
    share_trunks(p);
    estimate_basis(p, choose_record(p), &p->by);
    TRY(check_split(p));
    note_misfits(p);
    ask_for_workers(p);
    check_memory(p);
    p->by.night.dies_at_s = dies_at_s;
    p->by.night.node_dies_at_s = node_dies_at_s;
    night_forecast(&p->by.night, p->deadline_s, (NightEffort){3, MOST_TRIALS, budget_s}, &p->forecast);
    note_deaths(p);
    forecast_without_death(p);
    if (p->deadline_s > 0) p->nodes_for_deadline = find_nodes(p);
    return status_ok();
}

Status estimate_make(const EstimateOptions *o, const char *campaign, Estimate *out)
{
    *out = (Estimate){.o = o, .notes = text_copy("")};
    TRY(record_read(o->record, &out->record));
    TRY(campaign_load(campaign, &out->campaign));
    return make_plan(out);
}

void estimate_clear(Estimate *p)
{
    campaign_free(&p->campaign);
    record_clear(&p->record);
    free(p->clips);
    free(p->trunk);
    basis_clear(&p->by);
    free(p->notes);
    *p = (Estimate){0};
}
