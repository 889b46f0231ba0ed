#include "estimate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/evaluations.h"
#include "common/file.h"
#include "common/moment.h"

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

static double work_number(const Estimate *p, const char *key)
{
    return json_number_value(json_object_get(p->record.work, key));
}

static bool asks_the_same(const ShotSpec *a, const ShotSpec *b)
{
    return a->steps == b->steps && a->guidance == b->guidance && a->guided_from == b->guided_from &&
           a->guided_to == b->guided_to && a->flow_shift == b->flow_shift && a->trunk_steps == b->trunk_steps &&
           strcmp(a->scheduler, b->scheduler) == 0 && strcmp(a->sigmas, b->sigmas) == 0;
}

/* What the shots ask of the transformer; the first of each trunk computes it, or rather the first of those that are computed. */
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
        e->without += (int64_t)s->steps * (s->guidance > 1 ? 2 : 1);
    }
    free(begun);
    return status;
}

/* Of a render of the record. One that does not say it left nothing out. */
static double recorded_evaluations(const Estimate *p)
{
    const double known = work_number(p, "evaluations");
    return known > 0 ? known : work_number(p, "steps") * (work_number(p, "guidance") > 1 ? 2 : 1);
}

/* Denoising takes time in proportion to evaluations, and about so to pixels and frames; decoding to pixels and frames. */
static void scale_renders(Estimate *p)
{
    const ShotSpec *s = p->campaign->shot_count ? &p->campaign->shot[0].spec : NULL;
    const Record *r = &p->record;
    const double recorded = recorded_evaluations(p), more = s && recorded > 0 ? p->evaluations.render / recorded : 1;
    const double pixels = work_number(p, "width") * work_number(p, "height") * work_number(p, "frames"),
                 size = s && pixels > 0 ? (double)s->width * s->height * s->frames / pixels : 1;
    const double all = r->text_s + r->denoise_s + r->decode_s;
    const double factor = all > 0 ? (r->text_s + r->denoise_s * more * size + r->decode_s * size) / all : more * size;
    for (int i = 0; i < r->render.count; i++) measured_add(&p->render, r->render.s[i] * factor);
    p->denoise_s = r->denoise_s * more * size;
    if (size != 1)
        note(p, "the record's clips have another size or length: renders are scaled by pixels and frames, which is a "
                "guess");
    if (fabs(more - 1) > 1e-9)
        note(p, "the record's renders evaluate the transformer another number of times (steps, guidance, cache): "
                "denoising is scaled by it");
    const char *model = json_string_value(json_object_get(r->work, "model"));
    if (!model || strcmp(model, p->campaign->model_hash) != 0)
        note(p, "the record is of another model: make one with `reelwright bench` for this campaign");
}

/* Which shots share their first steps, and what of a render these are. */
static void share_trunks(Estimate *p)
{
    const Campaign *c = p->campaign;
    const double render_s = measured_quantile(&p->render, 0.5), e = p->evaluations.render;
    if (c->trunk_count == 0) return;
    p->trunk = memory_get((size_t)c->shot_count, sizeof *p->trunk);
    for (int64_t i = 0; i < c->shot_count; i++) p->trunk[i] = c->shot[i].trunk;
    p->night.trunk = p->trunk;
    if (e > 0 && render_s > 0) p->night.trunk_share = fmin(p->evaluations.shared / e * p->denoise_s / render_s, 1);
}

static void scale_finishes(Estimate *p)
{
    const double before = (double)json_array_size(json_object_get(p->record.work, "renditions"));
    const double factor = before > 0 ? p->campaign->rendition_count / before : 1;
    for (int i = 0; i < p->record.finish.count; i++) measured_add(&p->finish, p->record.finish.s[i] * factor);
    if (factor != 1) note(p, "the record's clips have another number of renditions: finishes are scaled by it");
}

static void set_night(Estimate *p)
{
    const EstimateOptions *o = p->o;
    const Record *r = &p->record;
    const int group_size = o->group_size ? o->group_size : r->group_size > 0 ? r->group_size : 1;
    const int workers = o->workers ? o->workers : r->workers;
    const double stages_s = r->text_s + r->denoise_s + r->decode_s, steps = work_number(p, "steps");
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
                 .fail_share = r->leases > 0 ? (double)r->failed / (double)r->leases : 0,
                 .dies_at_s = o->dies_at,
                 .requeue_s = o->requeue,
                 .restart_s = r->start_s + notice_s + (steps > 0 ? r->denoise_s / steps : 0),
                 .node_s = node_s,
                 .decode_share = stages_s > 0 ? r->decode_s / stages_s : 0};
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
static int least_nodes(const Estimate *p)
{
    const Night *n = &p->night;
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
    Night n = p->night;
    NightForecast f;
    n.nodes = nodes;
    night_forecast(&n, p->deadline_s, (NightEffort){1, 60, budget_s / 8}, &f);
    return f.probability >= enough;
}

/* The least number of nodes with which the deadline is kept with enough probability; 0: none is. Tried from what the work takes at least
 * upwards, in larger and larger steps, because each try plays nights. */
static int find_nodes(const Estimate *p)
{
    int low = least_nodes(p) - 1, high = low + 1;
    for (int step = 1; !is_enough(p, high); step *= 2) {
        low = high;
        if (high >= ESTIMATE_NODES || high > p->night.shots + p->clip_count) return 0;
        high += step + high / 16;
        if (high > ESTIMATE_NODES) high = ESTIMATE_NODES;
    }
    while (high - low > 1 + low / 256) { /* of thousands of nodes a few do not matter */
        const int middle = low + (high - low) / 2;
        *(is_enough(p, middle) ? &high : &low) = middle;
    }
    return high;
}

/* "06:00", "2026-01-31 06:00", or seconds from the start. */
static Status read_deadline(Estimate *p)
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

static Status make_plan(Estimate *p)
{
    count_clips(p);
    TRY(count_evaluations(p));
    scale_renders(p);
    scale_finishes(p);
    TRY(read_deadline(p));
    set_night(p);
    share_trunks(p);
    night_forecast(&p->night, p->deadline_s, (NightEffort){3, MOST_TRIALS, budget_s}, &p->forecast);
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
    free(p->render.s);
    free(p->finish.s);
    free(p->notes);
    *p = (Estimate){0};
}
