#include "worker.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/provoke.h"
#include "worker/finish/finish.h"
#include "worker/pictures/conditions.h"
#include "worker/render/prompts.h"

struct Worker {
    BackendOptions backend;
    Coll *group;
    const char *split;
    Engine *engine;
    char *model_folder; /* of engine */
    char model_hash[HASH_TEXT];
    Prompts *prompts;
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

static Status render_lease(Worker *w, const Lease *l, Progress progress, LeaseResult *result)
{
    RenderedLatents latents = {0};
    MediaPixels pixels = {0};
    char *folder = path_join(l->campaign_folder, "latents"), *file = text_format("%s/%s.h5", folder, l->key);
    char *texts = path_join(l->campaign_folder, "texts");
    RenderJob job = {.shot = &l->shot,
                     .key = l->key,
                     .model_hash = l->model_hash,
                     .checkpoint = file,
                     .checkpoint_every = l->checkpoint_every,
                     .resume = true,
                     .mixed = l->mixed != 0,
                     .prompts = w->prompts,
                     .texts_folder = texts,
                     .progress = progress};
    Status status = progress.at ? progress.at(progress.self, "load", 0, 1) : status_ok(); /* may take minutes */
    if (!failed(status)) status = file_make_folders(folder);
    status = coll_agree(w->group, status);
    if (!failed(status)) status = need_engine(w, l);
    if (!failed(status)) status = coll_agree(w->group, read_conditions(l, engine_config(w->engine), &pixels));
    job.conditions = conditions_of(&pixels);
    if (!failed(status)) status = render_latents(w->engine, &job, &latents);
    if (status.err == ERR_INPUT) status.err = ERR_CLIP; /* an adapter that does not fit the model fits it nowhere */
    result->encode_text_s = latents.text_s;
    result->denoise_s = latents.denoise_s;
    result->steps_resumed = latents.steps_resumed;
    result->steps_done = latents.steps_done;
    if (!failed(status) && w->group->rank == 0) status = finish_clips(w->engine, &latents, l, progress, result);
    render_latents_free(&latents);
    conditions_clear(&pixels);
    free(texts);
    free(file);
    free(folder);
    return status;
}

BackendOptions worker_backend(int backend, int dtype)
{
    static const BackendKind kind[] = {[WORK_CPU] = BACKEND_CPU, [WORK_CUDA] = BACKEND_CUDA, [WORK_REF] = BACKEND_REF};
    return (BackendOptions){
        .kind = kind[backend], .compute = dtype == WORK_FP32 ? F32 : BF16, .fp8 = dtype == WORK_FP8};
}

void worker_do_lease(Worker *w, const Lease *lease, Progress progress, LeaseResult *result)
{
    *result = (LeaseResult){.lease = lease->lease, .epoch = lease->epoch};
    memcpy(result->key, lease->key, sizeof result->key);
    Status status = render_lease(w, lease, progress, result);
    if (!failed(status)) status = provoke_at("report", NULL, 0);
    if (failed(status) && status.err != ERR_CLIP && status.err != ERR_STOP) /* of which all ranks know */
        coll_abort(w->group); /* whoever waits for this rank would wait for ever */
    result->group_over = coll_is_aborted(w->group);
    result->err = (int)status.err;
    result->reason = text_copy(status.message);
}
