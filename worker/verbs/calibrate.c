/* calibrate.c - which steps of a campaign's shots may reuse what the transformer's layers added in the step before (ShotSpec.reused_steps).
 *
 * What the layers add to the tokens, r, changes little from step to step, and how little depends on the model, the shape and the
 * schedule, hardly on the prompt: so it is measured once, c[i] = |r[i] - r[i-1]| / |r[i]| (rms), and the steps are chosen before the
 * night. A step is left out as long as the changes added up since the last step that was computed stay below a threshold, as TeaCache
 * adds up its own (Liu et al. 2024, arXiv:2411.19108), with MagCache's limits (Ma et al. 2025, arXiv:2506.09045): not in the first
 * fifth, not more than a few in a row. The threshold is the largest whose latents differ from those of all steps by no more than the
 * bound.
 *
 * One process measures, with the adapters that all shots have. What it finds holds for groups of any size: ranks that share a shot
 * compute the same to rounding (5e-6 of the latents), far below any bound. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/plural.h"
#include "common/work.h"
#include "worker/render/conditions.h"
#include "worker/render/prompts.h"
#include "worker/render/render.h"
#include "worker/render/worker.h"
#include "worker/verbs/verbs.h"

enum { MOST_IN_A_ROW = 3, LEVELS = 32, TEXT_BYTES = 5000 };

typedef struct {
    const ShotSpec *shot;
    int count, steps;
    Engine *engine;
    Prompts *prompts;
    float **whole;       /* by shot: the latents when all steps are computed */
    double *change;      /* by step: c, the mean of all shots */
    double seconds_full; /* of denoising one shot */
} Calibration;

typedef struct { /* of a choice of steps */
    char steps[TEXT_BYTES];
    int reused;
    double mean, most; /* relative difference of the latents */
    double seconds;
} Choice;

static int64_t latent_count(const Calibration *c)
{
    int64_t dim[4];
    engine_result_dims(engine_config(c->engine), c->shot, dim);
    return dim[0] * dim[1] * dim[2] * dim[3];
}

/* |a - b| / |b| */
static double difference(const float *a, const float *b, int64_t count)
{
    double apart = 0, all = 0;
    for (int64_t i = 0; i < count; i++) {
        const double d = (double)a[i] - (double)b[i];
        apart += d * d;
        all += (double)b[i] * (double)b[i];
    }
    return all > 0 ? sqrt(apart / all) : 0;
}

/* c->change += of one shot, with *before: what the layers added in the step before. */
static Status watch_step(Calibration *c, Denoise *d, int step, float **before)
{
    float *now = NULL;
    int64_t count;
    TRY(denoise_kept(d, &now, &count));
    if (*before) c->change[step] += difference(*before, now, count) / c->count;
    free(*before);
    *before = now;
    return status_ok();
}

static Status run_steps(Calibration *c, Denoise *d, bool watch)
{
    Status status = status_ok();
    float *before = NULL;
    if (watch) denoise_watch(d);
    for (int i = 0; i < c->steps; i++) {
        if (moment_stops() > 0) TRY_OUT(status_fail(ERR_STOP, "by a signal; nothing was written"));
        TRY_OUT(denoise_step(d));
        TRY_OUT(denoise_finish(d));
        if (watch) TRY_OUT(watch_step(c, d, i, &before));
    }
out:
    free(before);
    return status;
}

/* The latents of shot i with these steps reused, or, with watch, what changes from step to step. */
static Status render(Calibration *c, int i, char *reused, bool watch, float *latents, double *seconds)
{
    ShotSpec s = c->shot[i];
    PromptEmbeds prompt = {0}, negative = {0};
    MediaPixels pixels = {0};
    Denoise *d = NULL;
    Status status = status_ok();
    const Progress nobody = {0};
    s.reused_steps = *reused ? reused : NULL;
    TRY_OUT(conditions_read(s.media, engine_config(c->engine), s.frames, true, &pixels));
    TRY_OUT(prompts_encode(c->prompts, c->engine, NULL, "", s.prompt, nobody, &prompt));
    TRY_OUT(prompts_encode(c->prompts, c->engine, NULL, "", s.negative, nobody, &negative));
    TRY_OUT(denoise_begin_with(c->engine, &s, &prompt, &negative, conditions_of(&pixels), NULL, NULL, &d));
    const double start = moment_s();
    TRY_OUT(run_steps(c, d, watch));
    *seconds += (moment_s() - start) / c->count;
    TRY_OUT(denoise_result(d, latents));
    TRY_OUT(render_check_latents(latents, latent_count(c)));
out:
    denoise_end(&d);
    conditions_clear(&pixels);
    prompt_embeds_free(&prompt);
    prompt_embeds_free(&negative);
    return status;
}

/* Twice: watching costs time, and what is compared with shall not. The first run also warms up. */
static Status render_whole(Calibration *c)
{
    double watched = 0;
    for (int i = 0; i < c->count; i++) {
        TRY_MEMORY(c->whole[i], latent_count(c));
        TRY(render(c, i, (char[1]){0}, true, c->whole[i], &watched));
        TRY(render(c, i, (char[1]){0}, false, c->whole[i], &c->seconds_full));
        log_line(LOG_INFO, "measured prompt %d of %d", i + 1, c->count);
    }
    return status_ok();
}

static void choose(const Calibration *c, double threshold, Choice *out)
{
    const int first = c->steps / 5 > 1 ? c->steps / 5 : 1;
    double sum = 0;
    int row = 0, at = 0;
    *out = (Choice){.reused = 0};
    for (int i = first; i < c->steps - 1; i++) { /* the last step is what is seen */
        sum += c->change[i];
        const bool computed = sum > threshold || row == MOST_IN_A_ROW || at + 8 > TEXT_BYTES;
        if (computed) {
            sum = 0;
            row = 0;
            continue;
        }
        at += snprintf(out->steps + at, TEXT_BYTES - (size_t)at, "%s%d", at ? "," : "", i);
        out->reused++;
        row++;
    }
}

static Status measure(Calibration *c, Choice *o)
{
    const int64_t count = latent_count(c);
    float *latents;
    Status status = status_ok();
    TRY_MEMORY(latents, count);
    for (int i = 0; i < c->count && !failed(status); i++) {
        status = render(c, i, o->steps, false, latents, &o->seconds);
        const double apart = difference(latents, c->whole[i], count);
        o->mean += apart / c->count;
        o->most = apart > o->most ? apart : o->most;
    }
    free(latents);
    log_line(LOG_INFO, "%d of %d steps reused: latents differ by %.3f", o->reused, c->steps, o->mean);
    return status;
}

/* The largest threshold that keeps to the bound, by halving: the more is left out, the more the latents differ. */
static Status search(Calibration *c, double bound, Choice *best)
{
    double least = HUGE_VAL, all = 0;
    for (int i = 1; i < c->steps; i++) {
        least = c->change[i] < least ? c->change[i] : least;
        all += c->change[i];
    }
    choose(c, -1, best); /* nothing */
    best->seconds = c->seconds_full;
    if (!(least > 0) || !isfinite(all)) return status_ok();
    for (int low = 0, high = LEVELS; high - low > 1;) { /* level 0 keeps to it, LEVELS is not asked for */
        const int level = (low + high) / 2;
        Choice o;
        choose(c, least * pow(all / least, (double)level / LEVELS), &o);
        const bool known = strcmp(o.steps, best->steps) == 0;
        if (!known) TRY(measure(c, &o));
        if (known || o.mean <= bound)
            low = level;
        else
            high = level;
        if (!known && o.mean <= bound) *best = o;
    }
    return status_ok();
}

static Status write_file(const Calibration *c, const CalibrateOptions *o, const Choice *best)
{
    const ShotSpec *s = c->shot;
    json_t *j =
        json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:s, s:f, s:f}", "format", "reelwright-cache 1",
                  "model_sha256", o->model_hash, "width", s->width, "height", s->height, "frames", s->frames, "steps",
                  s->steps, "guidance", s->guidance, "guidance_2", s->guidance_2, "flow_shift", s->flow_shift,
                  "scheduler", s->scheduler, "guided_from", s->guided_from, "guided_to", s->guided_to);
    json_t *measured = json_pack("{s:s, s:f, s:f, s:f, s:i, s:f, s:f}", "reused_steps", best->steps, "bound", o->bound,
                                 "difference", best->mean, "difference_most", best->most, "prompts", c->count,
                                 "denoise_s_before", c->seconds_full, "denoise_s", best->seconds);
    char *adapters = shot_adapters(s);
    if (*s->sigmas) json_object_set_new(j, "sigmas", json_string(s->sigmas));
    if (*adapters) json_object_set_new(j, "adapters", json_string(adapters));
    free(adapters);
    json_t *change = json_array();
    for (int i = 1; i < c->steps; i++) json_array_append_new(change, json_real(c->change[i]));
    if (!j || !measured || json_object_update(j, measured) != 0 || json_object_set_new(j, "change", change) != 0)
        abort();
    char *text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    if (!text) abort();
    Status status = file_replace(o->output, text, strlen(text));
    free(text);
    json_decref(measured);
    json_decref(j);
    return status;
}

static void tell(const Calibration *c, const CalibrateOptions *o, const Choice *best)
{
    char *place = realpath(o->output, NULL);
    printf("reuses %d of %d steps (%s): latents differ by %.3f on average, %.3f at most (bound %.3g, %d prompt%s); "
           "denoising takes %.3g s instead of %.3g s\n",
           best->reused, c->steps, best->reused ? best->steps : "none", best->mean, best->most, o->bound, c->count,
           plural_s(c->count), best->seconds, c->seconds_full);
    if (best->reused)
        foreign_print(stdout, "next: reuse: {cache: %s} in the campaign\n", place ? place : o->output);
    else
        printf("no step may be left out within that bound: the campaign gains nothing by this file\n");
    free(place);
}

Status calibrate(const ShotSpec *shot, int count, const CalibrateOptions *o)
{
    BackendOptions backend = worker_backend(o->backend, o->dtype, WORK_FP32);
    Calibration c = {.shot = shot, .count = count, .steps = shot->steps, .prompts = prompts_new()};
    Choice best;
    Status status = status_ok();
    backend.threads = o->threads;
    c.whole = memory_get((size_t)count, sizeof *c.whole);
    c.change = memory_get((size_t)c.steps, sizeof *c.change);
    moment_catch_stops();
    TRY_OUT(engine_open_group(o->model_folder, &backend, coll_self(), NULL, shot, &c.engine));
    TRY_OUT(render_set_adapters(c.engine, shot));
    TRY_OUT(render_whole(&c));
    TRY_OUT(search(&c, o->bound, &best));
    TRY_OUT(write_file(&c, o, &best));
    tell(&c, o, &best);
out:
    for (int i = 0; i < count; i++) free(c.whole[i]);
    free(c.whole);
    free(c.change);
    prompts_free(&c.prompts);
    engine_close(&c.engine);
    return status;
}
