#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/moment.h"
#include "common/provoke.h"
#include "worker/cameo/likeness.h"
#include "worker/finish/again.h"
#include "worker/finish/finish.h"
#include "worker/finish/voice.h"
#include "worker/render/conditions.h"
#include "worker/render/figures.h"
#include "worker/render/prompts.h"
#include "worker/render/speech.h"

struct Worker {
    BackendOptions backend;
    Coll *group;
    const char *split;
    Engine *engine;
    char *model_folder; /* of engine */
    char model_hash[HASH_TEXT];
    Prompts *prompts;
    FinishAgain again; /* what the last finish made */
    char
        checked_key[HASH_TEXT]; /* the master that was compared with its hash last, which takes as long as reading it */
    MasterFile checked;
    Figures figures;
};

Worker *worker_new(const BackendOptions *o)
{
    Worker *w = memory_get(1, sizeof *w);
    w->backend = *o;
    w->group = coll_self();
    w->prompts = prompts_new();
    return w;
}

static void close_engine(Worker *w)
{
    engine_close(&w->engine);
    free(w->model_folder);
    w->model_folder = NULL;
}

void worker_join(Worker *w, Coll *group, const char *split)
{
    if (group != w->group) close_engine(w);
    w->group = group;
    w->split = split;
}

void worker_free(Worker **w)
{
    if (!*w) return;
    close_engine(*w);
    prompts_free(&(*w)->prompts);
    finish_again_clear(&(*w)->again);
    free(*w);
    *w = NULL;
}

static Status check_model(Worker *w, const Lease *l)
{
    TRY(model_config_hash(l->model_folder, w->model_hash));
    if (strcmp(w->model_hash, l->model_hash) == 0) return status_ok();
    return status_fail(ERR_NODE, "%s: not the model of the campaign (%.12s, expected %.12s)", l->model_folder,
                       w->model_hash, l->model_hash);
}

/* Loading a model costs more than a shot: it stays until a lease wants another. Its files are compared with what the
 * campaign was planned with: a node with other weights under the same name would make other clips, and nobody would see. */
static Status need_engine(Worker *w, const Lease *l)
{
    if (w->engine && strcmp(w->model_folder, l->model_folder) == 0 && strcmp(w->model_hash, l->model_hash) == 0)
        return status_ok();
    Split split;
    close_engine(w);
    TRY(coll_agree(w->group, check_model(w, l)));
    if (w->split) TRY(split_parse(w->split, &split));
    TRY(engine_open_group(l->model_folder, &w->backend, w->group, w->split ? &split : NULL, &l->shot, &w->engine));
    w->model_folder = text_copy(l->model_folder);
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

/* ---- a render: a shot's latents, then its master ---- */

static Status put_in_master(void *self, const float *frames, int n, int height, int width)
{
    return master_put(self, frames, n, height, width);
}

/* The file is written while the next frames are decoded. */
static Status make_master(Worker *w, const RenderedLatents *latents, const Lease *l, Progress progress, MasterFile *out)
{
    const MasterShape shape = {l->shot.width, l->shot.height, l->shot.frames, l->shot.fps};
    char *work = lease_work_folder(l->lease), *folder = path_join(l->campaign_folder, work),
         *name = lease_master_name(l->key), *file = path_join(folder, name);
    MasterWriter *writer = NULL;
    Status status = status_ok();
    TRY_OUT(file_make_folders(folder));
    TRY_OUT(master_begin(file, &shape, w->backend.threads, &writer));
    TRY_OUT(render_decode(w->engine, latents, NULL, progress, (FrameSink){put_in_master, writer}));
    status = master_end(&writer, out);
out:
    master_abandon(&writer);
    free(file);
    free(name);
    free(folder);
    free(work);
    return status;
}

static Status render_lease(Worker *w, Lease *l, Progress progress, LeaseResult *result)
{
    RenderedLatents latents = {0};
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
    if (!failed(status)) status = coll_agree(w->group, read_conditions(l, engine_config(w->engine), &pixels));
    if (!failed(status)) status = hear_speech(w, l, file, progress, &pixels);
    job.conditions = conditions_of(&pixels);
    if (!failed(status)) status = render_latents(w->engine, &job, &latents);
    result->encode_text_s = latents.text_s;
    result->denoise_s = latents.denoise_s;
    result->steps_resumed = latents.steps_resumed;
    result->steps_done = latents.steps_done;
    const double start = moment_s();
    if (!failed(status) && w->group->rank == 0) status = make_master(w, &latents, l, progress, &result->master);
    result->decode_s = moment_s() - start;
    render_latents_free(&latents);
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
                            .quantized = dtype == WORK_FP8    ? E4M3
                                         : dtype == WORK_INT8 ? INT8
                                                              : F32};
}

/* A full disk of this node is no reason to stop the farm, the campaign's is. The libraries that write files (HDF5, libav) do not all
 * hand the errno on, but say what it says. */
static bool is_disk_full(Status s, const char *campaign_folder)
{
    enum { ROOM_BYTES = 256 << 20 };
    const bool full = s.error == ENOSPC || s.error == EDQUOT || strstr(s.message, strerror(ENOSPC)) ||
                      strstr(s.message, strerror(EDQUOT));
    return full && !file_has_room(campaign_folder, ROOM_BYTES);
}

static char *figures_text(Worker *w, const Lease *l, const FinishTook *took)
{
    json_t *all = figures_end(&w->figures);
    if (w->group->size > 1) json_object_set_new(all, "ranks", json_integer(w->group->size));
    if (l->shot.frames_most) json_object_set_new(all, "frames", json_integer(l->shot.frames));
    if (took->gates_s > 0) json_object_set_new(all, "gates_s", json_real(took->gates_s));
    if (took->watermark_s > 0) json_object_set_new(all, "watermark_s", json_real(took->watermark_s));
    if (took->credentials_s > 0) json_object_set_new(all, "credentials_s", json_real(took->credentials_s));
    char *text = json_object_size(all) ? json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(4)) : NULL;
    json_decref(all);
    return text;
}

void worker_do_lease(Worker *w, const Lease *lease, Progress progress, LeaseResult *result)
{
    *result = (LeaseResult){.kind = lease->kind, .lease = lease->lease, .epoch = lease->epoch};
    memcpy(result->key, lease->key, sizeof result->key);
    const bool renders = lease->kind == LEASE_RENDER;
    progress = figures_begin(&w->figures, progress);
    FinishTook took = {0};
    Lease own = *lease; /* of which a shot's length may change; texts are the caller's */
    Status status = renders ? render_lease(w, &own, progress, result) : finish_lease(w, &own, progress, &took, result);
    result->figures = figures_text(w, &own, &took);
    if (!failed(status)) status = provoke_at("report", NULL, 0);
    result->err = (int)status.err;
    result->reason = text_copy(status.message);
    result->disk_full = failed(status) && is_disk_full(status, lease->campaign_folder);
    if (!renders) return;
    if (failed(status) && status.err != ERR_CLIP && status.err != ERR_STOP) /* of which all ranks know */
        coll_abort(w->group); /* whoever waits for this rank would wait for ever */
    result->group_over = coll_is_aborted(w->group);
}
