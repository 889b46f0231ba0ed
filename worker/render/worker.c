#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/moment.h"
#include "worker/cameo/likeness.h"
#include "worker/finish/again.h"
#include "worker/finish/finish.h"
#include "worker/finish/voice.h"
#include "worker/render/conditions.h"
#include "worker/render/ending.h"
#include "worker/render/loaded.h"
#include "worker/render/prompts.h"
#include "worker/render/speech.h"
#include "worker/render/tail.h"

struct Worker {
    BackendOptions backend;
    Coll *group;
    const char *split;
    Loaded loaded;
    Prompts *prompts;
    FinishAgain again; /* what the last finish made */
    char
        checked_key[HASH_TEXT]; /* the master that was compared with its hash last, which takes as long as reading it */
    MasterFile checked;
    Figures figures;
    Ending ending;     /* of the lease in work */
    Progress progress; /* of it */
    Tail *tail;        /* NULL: none was needed so far */
    bool beside;       /* the shot in work may use it */
};

Worker *worker_new(const BackendOptions *o)
{
    Worker *w = memory_get(1, sizeof *w);
    w->backend = *o;
    w->group = coll_self();
    w->prompts = prompts_new();
    return w;
}

void worker_join(Worker *w, Coll *group, const char *split)
{
    if (group != w->group) loaded_close(&w->loaded);
    w->group = group;
    w->split = split;
}

void worker_free(Worker **w)
{
    if (!*w) return;
    tail_free(&(*w)->tail);
    ending_clear(&(*w)->ending);
    loaded_close(&(*w)->loaded);
    prompts_free(&(*w)->prompts);
    finish_again_clear(&(*w)->again);
    free(*w);
    *w = NULL;
}

/* Of this shot: whether its end may be made beside the next lease. */
static void choose_tail(Worker *w, const ShotSpec *shot)
{
    w->beside =
        w->group->rank == 0 && engine_decodes_beside(w->loaded.engine, shot, w->tail ? tail_held_bytes(w->tail) : 0);
    if (w->tail && !w->beside) tail_give_back(w->tail);
    if (w->tail || !w->beside) return;
    const BackendOptions o = backend_options(engine_backend(w->loaded.engine));
    w->tail = tail_new(&o);
}

static Status check_model(const Lease *l)
{
    char hash[HASH_TEXT];
    TRY(model_config_hash(l->model_folder, hash));
    if (strcmp(hash, l->model_hash) == 0) return status_ok();
    return status_fail(ERR_NODE, "%s: not the model of the campaign (%.12s, expected %.12s)", l->model_folder, hash,
                       l->model_hash);
}

/* The model's files are compared with what the campaign was planned with: a node with other weights under the same name would make other clips,
 * and nobody would see. */
static Status need_engine(Worker *w, const Lease *l)
{
    if (loaded_holds(&w->loaded, l)) return status_ok();
    Split split;
    loaded_close(&w->loaded);
    TRY(coll_agree(w->group, check_model(l)));
    if (w->split) TRY(split_parse(w->split, &split));
    TRY(engine_open_group(l->model_folder, &w->backend, w->group, w->split ? &split : NULL, &l->shot,
                          &w->loaded.engine));
    loaded_note(&w->loaded, l);
    return status_ok();
}

/* A clip of another picture than the planned one must not exist; one that cannot be decoded fails on every machine. */
static Status read_conditions(const Lease *l, const ModelConfig *c, MediaPixels *out)
{
    TRY(conditions_verify(l->shot.media));
    Status status = conditions_read(l->shot.media, c, l->shot.frames, true, out);
    return status.err == ERR_INPUT ? status_fail(ERR_CLIP, "%s", status.message) : status;
}

/* What the model hears, made first; latents that followed another sound are not gone on from. */
static Status hear_speech(Worker *w, Lease *l, const char *latents, Progress progress, MediaPixels *pixels)
{
    char *place = speech_place(&l->shot, l->campaign_folder, l->key);
    bool fresh;
    Status status = speech_hear(w->group, &l->shot, place, progress, pixels, &fresh);
    if (fresh && !failed(status) && unlink(latents) != 0 && errno != ENOENT)
        status = status_errno(ERR_NODE, "cannot delete %s, which another voice was heard for", latents);
    free(place);
    return coll_agree(w->group, status);
}

/* ---- a render: a shot's latents; its master is the ending ---- */

static Status render_lease(Worker *w, Lease *l, Progress progress, RenderedLatents *latents, LeaseResult *result)
{
    MediaPixels pixels = {0};
    char *folder = path_join(l->campaign_folder, "latents"), *file = text_format("%s/%s.h5", folder, l->key);
    char *shared = path_join(l->campaign_folder, "shared");
    RenderJob job = {.shot = &l->shot,
                     .key = l->key,
                     .model_hash = l->model_hash,
                     .checkpoint = file,
                     .checkpoint_every = l->checkpoint_every,
                     .resume = true,
                     .mixed = l->mixed != 0,
                     .prompts = w->prompts,
                     .shared_folder = shared,
                     .progress = progress};
    Status status = progress.at ? progress.at(progress.self, "load", 0, 1) : status_ok(); /* may take minutes */
    if (!failed(status)) status = file_make_folders(folder);
    status = coll_agree(w->group, status);
    if (!failed(status)) status = need_engine(w, l);
    if (!failed(status)) choose_tail(w, &l->shot);
    if (!failed(status)) status = coll_agree(w->group, read_conditions(l, engine_config(w->loaded.engine), &pixels));
    if (!failed(status)) status = hear_speech(w, l, file, progress, &pixels);
    job.conditions = conditions_of(&pixels);
    if (!failed(status)) status = render_latents(w->loaded.engine, &job, latents);
    result->encode_text_s = latents->text_s;
    result->denoise_s = latents->denoise_s;
    result->steps_resumed = latents->steps_resumed;
    result->steps_done = latents->steps_done;
    conditions_clear(&pixels);
    free(shared);
    free(file);
    free(folder);
    return status;
}

/* ---- a finish: one clip of a master ---- */

/* Once for each master: what a clip is made of is what was rendered. */
static Status check_master(Worker *w, const Lease *l, const char *master)
{
    if (strcmp(w->checked_key, l->key) == 0 && w->checked.bytes == l->master.bytes &&
        strcmp(w->checked.sha256, l->master.sha256) == 0)
        return status_ok();
    TRY(master_check(master, &l->master));
    memcpy(w->checked_key, l->key, sizeof w->checked_key);
    w->checked = l->master;
    return status_ok();
}

/* A master whose sound is gone is none: another voice would not fit the lips. */
static Status check_speech(const FinishJob *job, ShotSpec *shot)
{
    const json_t *voice = finish_spec_get(job->spec, "voice");
    if (!job->speech || !voice) return status_ok();
    if (!voice_is_at(voice, job->speech))
        return status_fail(ERR_RETRY, "voice: the sound that the lips follow is gone; the shot is rendered again");
    return shot->frames_most ? speech_measure(voice, job->speech, shot) : status_ok();
}

static Status finish_one(Worker *w, Lease *l, const FinishJob *job, Progress progress, LeaseResult *result)
{
    bool bad = false;
    if (progress.at) TRY(progress.at(progress.self, "finish", 0, l->shot.frames));
    TRY(likeness_check(l->finish, l->clip_finish));
    TRY(file_make_folders(job->folder));
    if (finish_again(&w->again, l, job, &result->clip)) return status_ok();
    Status status = check_speech(job, &l->shot);
    if (!failed(status)) status = check_master(w, l, job->master);
    if (failed(status))
        bad = status.err == ERR_RETRY;
    else
        status = finish_clip(job, progress, &result->clip, &bad);
    result->master_bad = bad;
    if (!failed(status)) finish_again_remember(&w->again, l, job, &result->clip);
    if (bad) w->checked_key[0] = 0;
    return status;
}

static Status finish_lease(Worker *w, Lease *l, Progress progress, FinishTook *took, LeaseResult *result)
{
    FinishSpec spec;
    char *work = lease_work_folder(l->lease), *folder = path_join(l->campaign_folder, work),
         *name = lease_master_name(l->key), *voices = path_join(l->campaign_folder, "voices"),
         *secret = path_join(l->campaign_folder, "watermark.key"),
         *speech = speech_place(&l->shot, l->campaign_folder, l->key),
         *master = text_format("%s/%s/%s", l->campaign_folder, lease_masters, name);
    const FinishJob job = {.clip_id = l->clip_id,
                           .stem = l->stem,
                           .shot = &l->shot,
                           .spec = &spec,
                           .master = master,
                           .source = l->master.sha256,
                           .folder = folder,
                           .voices = voices,
                           .speech = speech,
                           .secret_file = secret,
                           .took = took,
                           .threads = w->backend.threads > 0 ? w->backend.threads : 1};
    const double start = moment_s();
    Status status = finish_spec_read(l->finish, l->clip_finish, &spec);
    if (!failed(status)) status = finish_one(w, l, &job, progress, result);
    result->finish_s = moment_s() - start;
    finish_spec_clear(&spec);
    free(master);
    free(voices);
    free(speech);
    free(secret);
    free(name);
    free(folder);
    free(work);
    return status;
}

/* ---- either ---- */

BackendOptions worker_backend(int backend, int dtype, int vae_dtype)
{
    static const BackendKind kind[] = {[WORK_CPU] = BACKEND_CPU, [WORK_CUDA] = BACKEND_CUDA, [WORK_REF] = BACKEND_REF};
    return (BackendOptions){.kind = kind[backend],
                            .compute = dtype == WORK_FP32 ? F32 : BF16,
                            .exact = vae_dtype == WORK_FP32 ? F32 : BF16,
                            .quantized = dtype == WORK_FP8                            ? E4M3
                                         : dtype == WORK_INT8 && backend != WORK_CUDA ? INT8
                                                                                      : F32,
                            .scores = dtype == WORK_INT8 && backend == WORK_CUDA ? INT8 : F32};
}

/* Of a shot that follows a voice, whose length is the lease's own. */
static int measured_frames(const Lease *own) { return own->shot.frames_most ? own->shot.frames : 0; }

static json_t *figures_of(Worker *w, const Lease *own, const FinishTook *took)
{
    json_t *all = figures_end(&w->figures);
    if (measured_frames(own)) json_object_set_new(all, "frames", json_integer(own->shot.frames));
    if (took->gates_s > 0) json_object_set_new(all, "gates_s", json_real(took->gates_s));
    if (took->watermark_s > 0) json_object_set_new(all, "watermark_s", json_real(took->watermark_s));
    if (took->credentials_s > 0) json_object_set_new(all, "credentials_s", json_real(took->credentials_s));
    return all;
}

/* Whoever waits for this rank would wait for ever; of a bad clip and of a stop all ranks know. */
static void end_group(Worker *w, LeaseResult *r)
{
    if (r->err != OK && r->err != ERR_CLIP && r->err != ERR_STOP) coll_abort(w->group);
    r->group_over = coll_is_aborted(w->group);
}

static bool begin_render(Worker *w, const Lease *lease, Progress progress, LeaseResult *result)
{
    RenderedLatents latents = {0};
    Lease own = *lease; /* of which a shot's length may change; texts are the caller's */
    Status status = render_lease(w, &own, progress, &latents, result);
    if (!failed(status) && w->group->rank == 0) {
        w->ending = (Ending){lease, latents, measured_frames(&own), *result, w->figures};
        w->figures.peak = NULL;
        w->progress = w->figures.to;
        *result = (LeaseResult){0};
        return true;
    }
    render_latents_free(&latents);
    ending_report(result, lease, status, figures_of(w, &own, &(FinishTook){0}));
    end_group(w, result);
    return false;
}

bool worker_begin_lease(Worker *w, const Lease *lease, Progress progress, LeaseResult *result)
{
    *result = (LeaseResult){.kind = lease->kind, .lease = lease->lease, .epoch = lease->epoch};
    memcpy(result->key, lease->key, sizeof result->key);
    progress = figures_begin(&w->figures, progress);
    if (lease->kind == LEASE_RENDER) return begin_render(w, lease, progress, result);
    FinishTook took = {0};
    Lease own = *lease;
    Status status = finish_lease(w, &own, progress, &took, result);
    ending_report(result, lease, status, figures_of(w, &own, &took));
    return false;
}

void worker_end_lease(Worker *w, LeaseResult *result)
{
    ending_make(&w->ending, w->loaded.engine, w->backend.threads > 0 ? w->backend.threads : 1, moment_s, w->progress);
    w->figures.told_bytes = w->ending.figures.told_bytes;
    *result = w->ending.result;
    w->ending = (Ending){0};
    end_group(w, result);
}

void worker_do_lease(Worker *w, const Lease *lease, Progress progress, LeaseResult *result)
{
    if (worker_begin_lease(w, lease, progress, result)) worker_end_lease(w, result);
}

/* ---- beside the next lease ---- */

bool worker_has_tail(const Worker *w) { return w->tail && w->beside; }

void worker_leave_tail(Worker *w, const Lease *lease, Diary *diary)
{
    w->ending.lease = lease;
    tail_begin(w->tail, &w->ending, diary);
}

void worker_stop_tail(Worker *w, const char *why)
{
    if (w->tail) tail_stop(w->tail, why);
}

bool worker_hear_tail(Worker *w, TailNews *news) { return w->tail && tail_hear(w->tail, news); }

bool worker_take_tail(Worker *w, LeaseResult *result)
{
    Ending x;
    if (!w->tail || !tail_take(w->tail, &x)) return false;
    if (x.figures.told_bytes > w->figures.told_bytes) w->figures.told_bytes = x.figures.told_bytes;
    *result = x.result;
    return true;
}
