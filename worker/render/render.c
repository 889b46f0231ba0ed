#include "render.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "worker/render/checkpoint.h"
#include "worker/render/prompts.h"
#include "worker/render/trace.h"
#include "worker/render/turn.h"

/* A lost worker costs the work since the last checkpoint; writing one takes some 15 ms. */
static const double auto_checkpoint_s = 60;
static const double trunk_patience_s = 600; /* with whoever computes the same trunk, between two of its steps */

typedef struct { /* one run of render_latents */
    Engine *e;
    const RenderJob *job;
    CheckpointOwner owner;
    int64_t dim[4]; /* of the latents that are denoised: one frame more for each reference picture */
    int until;      /* steps: all of the shot's, or those of a trunk */
    int began;      /* the step that it began with */
    int trunk_done; /* steps of the trunk that were computed for it */
    Turn turn;      /* of a trunk */
    Denoise *denoise;
    CheckpointMark mark;     /* of the checkpoint that this run knows */
    int saved_step;          /* of the last checkpoint */
    double saved_at, step_s; /* when it was written; the last step's time */
    Status saved;            /* how the last writing went: the first rank writes, all hear of it at the next step */
} Run;

static Status progress_at(const Progress *p, const char *stage, int done, int total)
{
    return p->at ? p->at(p->self, stage, done, total) : status_ok();
}

/* The same in a group: it goes on together or stops together. */
static Status progress_of_all(const Run *r, const char *stage, int done, int total)
{
    Status own = failed(r->saved) ? r->saved : progress_at(&r->job->progress, stage, done, total);
    return coll_agree(engine_group(r->e), own);
}

static bool is_first(const Run *r) { return engine_group(r->e)->rank == 0; }

/* ---- checkpoints --------------------------------------------------------------------------------------------------- */

/* Empty when there is none to go on from. What cannot be used is said and not used: the shot starts again. */
static Checkpoint read_checkpoint(const Run *r)
{
    Checkpoint c = {0};
    const char *path = r->job->checkpoint;
    if (!path || !r->job->resume || !is_first(r) || !file_exists(path)) return c;
    Status status = checkpoint_read(path, &r->owner, &c);
    if (!failed(status) && memcmp(c.dim, r->dim, sizeof c.dim) != 0)
        status = status_fail(ERR_INPUT, "%s: latents of another shape than the model's", path);
    if (!failed(status) && !r->job->mixed && c.state.step < c.owner.steps && strcmp(c.owner.kind, r->owner.kind) != 0)
        status = status_fail(ERR_INPUT, "%s: begun by \"%s\", and this is \"%s\": the bits would be neither's", path,
                             c.owner.kind, r->owner.kind);
    if (failed(status)) {
        log_line(LOG_WARNING, "%s; the shot starts again", status.message);
        checkpoint_clear(&c);
    }
    return c;
}

/* What the first rank read, on all: state.latents stays NULL when it was nothing. */
static Status share_checkpoint(const Run *r, Checkpoint *c)
{
    Coll *group = engine_group(r->e);
    const size_t bytes = (size_t)(r->dim[0] * r->dim[1] * r->dim[2] * r->dim[3]) * sizeof(float);
    DenoiseState head = c->state;
    TRY(coll_host_broadcast(group, &head, sizeof head, 0));
    if (!head.latents) return status_ok(); /* the first rank's address, good for nothing else */
    for (int i = 0; i < head.more_count; i++) {
        StateTensor *to = &c->state.more[i];
        const int64_t count = state_tensor_count(&head.more[i]);
        if (!to->data) {
            *to = head.more[i];
            TRY_MEMORY(to->data, count);
        }
        TRY(coll_host_broadcast(group, to->data, (size_t)count * sizeof(float), 0));
    }
    c->state.more_count = head.more_count;
    for (int i = -1; i < head.solver_count; i++) {
        float **to = i < 0 ? &c->state.latents : &c->state.solver[i];
        if (!*to) TRY_MEMORY(*to, bytes / sizeof(float));
        TRY(coll_host_broadcast(group, *to, bytes, 0));
    }
    memcpy(c->dim, r->dim, sizeof c->dim);
    c->state.step = head.step;
    c->state.solver_count = head.solver_count;
    c->state.lower_order_nums = head.lower_order_nums;
    return status_ok();
}

static Status write_checkpoint(Run *r)
{
    if (!r->job->checkpoint || !is_first(r) || r->saved_step == denoise_steps_done(r->denoise)) return status_ok();
    Checkpoint c = {.owner = r->owner};
    TRY(denoise_state(r->denoise, &c.state));
    memcpy(c.dim, r->dim, sizeof c.dim);
    TRY(checkpoint_write_since(r->job->checkpoint, &c, &r->mark));
    r->saved_step = c.state.step;
    r->saved_at = moment_s();
    return status_ok();
}

static bool checkpoint_is_due(const Run *r)
{
    int done = denoise_steps_done(r->denoise);
    const int every = r->job->checkpoint_every;
    if (done == r->until) return true;
    if (!denoise_can_rest(r->denoise)) return false;
    if (every > 0) return done / every > r->saved_step / every;
    return moment_s() + r->step_s / 2 - r->saved_at >=
           auto_checkpoint_s; /* now is nearer to the minute than the next step */
}

/* ---- denoising ------------------------------------------------------------------------------------------------------ */

/* A trace shows the encoding, so it is done. */
static Status encode(Run *r, const char *text, const char *name, PromptEmbeds *out)
{
    const RenderJob *j = r->job;
    if (!j->prompts || j->trace) return engine_encode(r->e, text, name, j->trace, out);
    return prompts_encode(j->prompts, r->e, j->shared_folder, j->model_hash ? j->model_hash : "", text, j->progress,
                          out);
}

static Status begin_denoise(Run *r, const float *noise, double *text_s)
{
    const ShotSpec *s = r->job->shot;
    bool guided = s->guidance > 1;
    double start = moment_s();
    PromptEmbeds prompt = {0}, negative = {0};
    Status status = status_ok();
    TRY_OUT(progress_of_all(r, "text", 0, guided ? 2 : 1));
    TRY_OUT(encode(r, s->prompt, "prompt", &prompt));
    if (guided) {
        TRY_OUT(progress_of_all(r, "text", 1, 2));
        TRY_OUT(encode(r, s->negative, "negative", &negative));
    }
    *text_s = moment_s() - start;
    TRY_OUT(denoise_begin_with(r->e, s, &prompt, guided ? &negative : NULL, r->job->conditions, noise, r->job->trace,
                               &r->denoise));
out:
    prompt_embeds_free(&prompt);
    prompt_embeds_free(&negative);
    return status;
}

/* A shot without adapters takes off those of the one before. */
Status render_set_adapters(Engine *e, const ShotSpec *s)
{
    const ShotMedia *m = s->media;
    EngineAdapter adapter[ENGINE_MAX_ADAPTERS];
    const int count = m ? m->lora_count : 0;
    for (int i = 0; i < count && i < ENGINE_MAX_ADAPTERS; i++) {
        const char *expert = m->lora[i].expert;
        adapter[i] = (EngineAdapter){m->lora[i].file.path, m->lora[i].scale,
                                     strcmp(expert, "high") == 0  ? ADAPTER_HIGH
                                     : strcmp(expert, "low") == 0 ? ADAPTER_LOW
                                                                  : ADAPTER_BOTH};
    }
    return engine_set_adapters(e, adapter, count);
}

/* A last checkpoint, at the next step that a run can go on from: in a group all ranks come to it. */
static Status rest(Run *r)
{
    while (denoise_steps_done(r->denoise) < r->until && !denoise_can_rest(r->denoise)) TRY(denoise_step(r->denoise));
    return write_checkpoint(r);
}

/* From wherever the state stands to the last step that is asked for. Told to stop, it leaves a checkpoint of the last whole step. It waits for each
 * step before it reports the next: a GPU that is hours behind would make a lie of progress, and a stop take as long. */
static Status denoise_all(Run *r)
{
    const int steps = engine_steps(engine_config(r->e), r->job->shot);
    r->saved_at = moment_s();
    for (int done; (done = denoise_steps_done(r->denoise)) < r->until;) {
        Status stop = progress_of_all(r, "denoise", done, steps);
        if (stop.err == ERR_STOP && done > 0) TRY(rest(r));
        TRY(stop);
        double start = moment_s();
        TRY(denoise_step(r->denoise));
        TRY(denoise_finish(r->denoise));
        r->step_s = moment_s() - start;
        turn_sign(&r->turn);
        if (checkpoint_is_due(r)) r->saved = write_checkpoint(r);
    }
    return coll_agree(engine_group(r->e), r->saved);
}

static bool take_up(Run *r, const Checkpoint *c)
{
    Status status = denoise_restore(r->denoise, &c->state);
    if (failed(status))
        log_line(LOG_WARNING, "%s: %s; the shot starts again", r->job->checkpoint, status.message);
    else
        r->began = r->saved_step = c->state.step;
    return !failed(status);
}

static void know_files(Run *r)
{
    const RenderJob *j = r->job;
    char kind[CHECKPOINT_KIND];
    if (!j->checkpoint) return;
    engine_kind(r->e, kind, sizeof kind);
    r->owner = checkpoint_owner(j->shot, j->key, j->model_hash, backend_dtype(engine_backend(r->e)), kind);
    r->owner.steps = engine_steps(engine_config(r->e), j->shot);
    r->mark = checkpoint_mark(j->checkpoint);
}

/* ---- the trunk: first steps that several shots share ------------------------------------------------------------------ */

static void make_trunk_key(const Run *r, const ShotSpec *trunk, int steps, char key[HASH_TEXT])
{
    char kind[CHECKPOINT_KIND];
    shot_key(trunk, r->job->model_hash ? r->job->model_hash : "", key);
    engine_kind(r->e, kind, sizeof kind);
    Hash *h = hash_begin();
    hash_add_field(h, "trunk", "%s", key);
    hash_add_field(h, "steps", "%d", steps);
    hash_add_field(h, "kind", "%s", kind);
    hash_add_field(h, "dtype", "%s", backend_dtype(engine_backend(r->e)));
    hash_end(h, key);
}

typedef struct { /* a trunk that is looked for, by the first rank */
    const Run *run;
    Checkpoint *found;
} Search;

static bool trunk_has_come(void *self)
{
    Search *s = self;
    checkpoint_clear(s->found);
    *s->found = read_checkpoint(s->run);
    return s->found->state.latents && s->found->state.step == s->run->until;
}

/* *c: the trunk's state, or as far as somebody has got with it, or empty: then it is this worker's turn to compute it. */
static Status find_trunk(Run *t, Checkpoint *c)
{
    Search s = {t, c};
    Status status = status_ok();
    if (is_first(t) && t->job->checkpoint && !trunk_has_come(&s))
        status =
            turn_take(t->job->checkpoint, trunk_patience_s, trunk_has_come, &s, t->job->progress, "denoise", &t->turn);
    t->mark = checkpoint_mark(t->job->checkpoint ? t->job->checkpoint : "");
    TRY(coll_agree(engine_group(t->e), status));
    return share_checkpoint(t, c);
}

/* The state of a run, as its checkpoint would have it. */
static Status copy_state(Run *r, Checkpoint *c)
{
    const int64_t count = r->dim[0] * r->dim[1] * r->dim[2] * r->dim[3];
    DenoiseState state;
    TRY(denoise_state(r->denoise, &state));
    checkpoint_clear(c);
    memcpy(c->dim, r->dim, sizeof c->dim);
    c->state = (DenoiseState){
        .step = state.step, .solver_count = state.solver_count, .lower_order_nums = state.lower_order_nums};
    for (int i = -1; i < state.solver_count; i++) {
        float **to = i < 0 ? &c->state.latents : &c->state.solver[i];
        TRY_MEMORY(*to, count);
        memcpy(*to, i < 0 ? state.latents : state.solver[i], (size_t)count * sizeof(float));
    }
    for (int i = 0; i < state.more_count; i++) {
        StateTensor *to = &c->state.more[c->state.more_count++];
        const int64_t numbers = state_tensor_count(&state.more[i]);
        *to = state.more[i];
        TRY_MEMORY(to->data, numbers);
        memcpy(to->data, state.more[i].data, (size_t)numbers * sizeof(float));
    }
    return status_ok();
}

static Status compute_trunk(Run *t, const float *noise, Checkpoint *c, double *text_s)
{
    TRY(begin_denoise(t, noise, text_s));
    if (c->state.latents) take_up(t, c);
    TRY(denoise_all(t));
    return copy_state(t, c);
}

/* NULL: it cannot be left for others. */
static char *trunk_path(const Run *r, const char *key)
{
    const char *folder = r->job->shared_folder;
    if (!folder) return NULL;
    Status status = is_first(r) ? file_make_folders(folder) : status_ok();
    if (failed(status)) log_line(LOG_WARNING, "%s: first steps are not shared among workers", status.message);
    return failed(status) ? NULL : text_format("%s/%s.trunk", folder, key);
}

/* -> *c: the state after the shot's shared steps. */
static Status take_trunk(Run *r, const float *noise, Checkpoint *c, double *text_s)
{
    const ShotSpec shot = shot_trunk(r->job->shot);
    char key[HASH_TEXT];
    RenderJob job = *r->job;
    make_trunk_key(r, &shot, r->job->shot->trunk_steps, key);
    char *path = trunk_path(r, key);
    job.shot = &shot;
    job.key = key;
    job.checkpoint = path;
    job.resume = true;
    job.trace = NULL;
    Run t = {.e = r->e, .job = &job, .saved = status_ok(), .until = r->job->shot->trunk_steps, .turn = {.lock = -1}};
    memcpy(t.dim, r->dim, sizeof t.dim);
    know_files(&t);
    Status status = find_trunk(&t, c);
    if (!failed(status) && !(c->state.latents && c->state.step == t.until)) {
        status = compute_trunk(&t, noise, c, text_s);
        if (t.denoise) r->trunk_done = denoise_steps_done(t.denoise) - t.began;
    }
    denoise_end(&t.denoise);
    turn_end(&t.turn);
    free(path);
    return status;
}

Status render_check_latents(const float *latents, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(latents[i])) return status_fail(ERR_CLIP, "the model gave values that are not finite");
    return status_ok();
}

/* What is to be decoded: from the run, or from the checkpoint of one that was finished. */
static Status take_result(const Run *r, const Checkpoint *finished, RenderedLatents *out)
{
    const int64_t count = out->dim[0] * out->dim[1] * out->dim[2] * out->dim[3];
    out->latents = malloc((size_t)count * sizeof *out->latents);
    if (!out->latents) return status_fail(ERR_NODE, "out of memory for the latents");
    if (r->denoise)
        TRY(denoise_result(r->denoise, out->latents));
    else
        memcpy(out->latents, finished->state.latents, (size_t)count * sizeof *out->latents);
    return render_check_latents(out->latents, count);
}

/* By the first rank, for all. */
static Status read_noise(const Run *r, float **noise)
{
    Coll *group = engine_group(r->e);
    const size_t bytes = (size_t)(r->dim[0] * r->dim[1] * r->dim[2] * r->dim[3]) * sizeof(float);
    Status status = is_first(r) ? trace_read_noise(r->job->noise_file, r->dim, noise) : status_ok();
    status = coll_agree(group, status);
    if (!failed(status) && !*noise) TRY_MEMORY(*noise, bytes / sizeof(float));
    return failed(status) ? status : coll_host_broadcast(group, *noise, bytes, 0);
}

/* To the shot's last step, from its checkpoint, else from its trunk, else from the noise. */
static Status denoise_shot(Run *r, const float *noise, Checkpoint *c, double *text_s)
{
    double trunk_text_s = 0;
    TRY(render_set_adapters(r->e, r->job->shot));
    const bool branches = r->job->shot->trunk_steps > 0;
    if (branches && !c->state.latents) TRY(take_trunk(r, noise, c, &trunk_text_s));
    TRY(begin_denoise(r, noise, text_s));
    *text_s += trunk_text_s;
    if (c->state.latents && !take_up(r, c) && branches) {
        checkpoint_clear(c);
        TRY(take_trunk(r, noise, c, &trunk_text_s));
        if (!take_up(r, c)) return status_fail(ERR_FATAL, "the shot cannot go on from its trunk");
    }
    return denoise_all(r);
}

Status render_latents(Engine *e, const RenderJob *job, RenderedLatents *out)
{
    Run r = {.e = e, .job = job, .saved = status_ok(), .turn = {.lock = -1}};
    float *noise = NULL;
    double start = moment_s();
    Status status = status_ok();
    *out = (RenderedLatents){0};
    TRY(model_config_check_shot(engine_config(e), job->shot));
    r.until = engine_steps(engine_config(e), job->shot);
    engine_latent_dims(engine_config(e), job->shot, r.dim);
    engine_result_dims(engine_config(e), job->shot, out->dim);
    out->frames = job->shot->frames;
    if (job->conditions) r.dim[1] += job->conditions->references;
    if (job->noise_file) TRY(read_noise(&r, &noise));
    know_files(&r);
    Checkpoint c = read_checkpoint(&r);
    TRY_OUT(share_checkpoint(&r, &c));
    if (c.state.step == r.until && !job->conditions)
        r.began = c.state.step; /* nothing left to do but to decode: load no more than that */
    else
        TRY_OUT(denoise_shot(&r, noise, &c, &out->text_s));
    TRY_OUT(take_result(&r, &c, out));
out:
    out->denoise_s = moment_s() - start - out->text_s;
    out->steps_done = r.trunk_done + (r.denoise ? denoise_steps_done(r.denoise) - r.began : 0);
    out->steps_resumed = r.began > r.trunk_done ? r.began - r.trunk_done : 0;
    if (failed(status)) render_latents_free(out);
    denoise_end(&r.denoise);
    checkpoint_clear(&c);
    free(noise);
    return status;
}

void render_latents_free(RenderedLatents *r)
{
    free(r->latents);
    r->latents = NULL;
}

/* ---- decoding ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const Progress *progress;
    FrameSink sink;
    int done, total; /* times that frames come */
    int left;        /* frames that are still wanted */
} Shown;

static Status put_shown(void *self, const float *frames, int n, int height, int width)
{
    Shown *s = self;
    TRY(s->sink.put(s->sink.self, frames, n, height, width));
    s->left -= n;
    s->done++;
    return s->done < s->total ? progress_at(s->progress, "decode", s->done, s->total) : status_ok();
}

Status render_decode(Engine *e, const RenderedLatents *r, const Trace *trace, Progress progress, FrameSink sink)
{
    const int parts = decode_parts(engine_config(e), r->dim[1]);
    Shown shown = {.progress = &progress, .sink = sink, .total = (int)r->dim[1], .left = r->frames};
    TRY(progress_at(&progress, "decode", 0, shown.total));
    for (int i = 0; i < parts && shown.left > 0; i++) {
        const DecodePart part = {i, shown.left, i == 0 ? trace : NULL};
        TRY(decode_part(e, r->latents, r->dim, &part, (FrameSink){put_shown, &shown}));
    }
    return status_ok();
}
