/* verb_render.c - `reelwright render`: one clip from a prompt, the engine alone. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/chain.h"
#include "common/file.h"
#include "common/foreign.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/provoke.h"
#include "worker/finish/encode.h"
#include "worker/render/conditions.h"
#include "worker/render/render.h"
#include "worker/render/render_group.h"
#include "worker/render/trace.h"
#include "worker/render/worker.h"
#include "worker/verbs/render_loras.h"
#include "worker/verbs/render_options.h"
#include "worker/verbs/render_sound.h"
#include "worker/verbs/verbs.h"

/* ---- progress --------------------------------------------------------------------------------------------------- */

typedef struct {
    const RenderOptions *o;
    bool quiet;
    bool terminal, open; /* open: a line on the terminal has no end yet */
    char stage[16];
    double stage_began, said; /* seconds */
} Show;

static void end_line(Show *s)
{
    if (s->open) fputc('\n', stderr);
    s->open = false;
}

/* On a terminal one line that is written over; elsewhere a line for each stage and then one every ten seconds. */
static void show_progress(Show *s, const char *stage, int done, int total)
{
    const double line_s = 10;
    double now = moment_s(), left;
    char rest[64] = "";
    bool fresh = strcmp(stage, s->stage) != 0;
    if (fresh) {
        end_line(s);
        snprintf(s->stage, sizeof s->stage, "%s", stage);
        s->stage_began = now;
    }
    left = done ? (now - s->stage_began) / done * (total - done) : 0;
    if (done) snprintf(rest, sizeof rest, ", %.0f s left", left);
    if (s->terminal) {
        fprintf(stderr, "\rreelwright: %s %d/%d%s\033[K", stage, done, total, rest);
        s->open = true;
    } else if (fresh || now - s->said >= line_s) {
        log_line(LOG_INFO, "%s %d/%d%s", stage, done, total, rest);
        s->said = now;
    }
}

/* A step can take minutes: who presses Ctrl-C twice does not want to wait for its end. */
static void catch_stops(void)
{
    struct sigaction interrupt;
    moment_catch_stops();
    sigaction(SIGINT, NULL, &interrupt);
    interrupt.sa_flags |= (int)SA_RESETHAND;
    sigaction(SIGINT, &interrupt, NULL);
}

static Status progress_at(void *self, const char *stage, int done, int total)
{
    Show *s = self;
    if (moment_stops() > 0) {
        end_line(s);
        return status_fail(ERR_STOP, "by a signal before %s %d/%d; %s", stage, done, total,
                           s->o->checkpoint ? "--resume goes on from the checkpoint"
                                            : "there is no --checkpoint to go on from");
    }
    if (!s->quiet) show_progress(s, stage, done, total);
    return provoke_at(stage, NULL, done);
}

/* ---- the work ----------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const RenderOptions *o;
    RenderGroup group;
    ShotSpec shot;
    char key[HASH_TEXT], model_hash[HASH_TEXT];
    MediaPixels pictures;
    RenderSound sound;
    Engine *engine;
    TraceFile *trace;
    Encode *encode;
    RenderedLatents latents;
    double decode_s, encode_s, total_s;
} Work;

/* The same key as a campaign's shot, unless the noise comes from a file: that makes another shot than the seed does. */
static Status make_key(Work *w)
{
    char noise[HASH_TEXT] = "";
    TRY(model_config_hash(w->o->model, w->model_hash));
    TRY(conditions_hash(w->shot.media));
    shot_key(&w->shot, w->model_hash, w->key);
    if (!w->o->noise) return status_ok();
    TRY(hash_file(w->o->noise, noise));
    Hash *h = hash_begin();
    hash_add_field(h, "shot", "%s", w->key);
    hash_add_field(h, "noise", "%s", noise);
    hash_end(h, w->key);
    return status_ok();
}

static Status put_frames(void *self, const float *frames, int n, int height, int width)
{
    Work *w = self;
    double start = moment_s();
    TRY(encode_put(w->encode, frames, n, height, width));
    w->encode_s += moment_s() - start;
    return status_ok();
}

static Status make_file(Work *w, Progress progress)
{
    const Trace *trace = w->trace ? trace_sink(w->trace) : NULL;
    EncodeOptions e = encode_defaults();
    e.fps = w->shot.fps;
    double start = moment_s();
    TRY(render_sound_track(&w->sound, &w->shot, &e.extras.sound));
    TRY(encode_begin(w->o->output, &e, &w->encode));
    TRY(render_decode(w->engine, &w->latents, trace, progress, (FrameSink){put_frames, w}));
    w->decode_s = moment_s() - start - w->encode_s;
    if (w->trace) TRY(trace_close(&w->trace));
    start = moment_s();
    TRY(encode_end(&w->encode));
    w->encode_s += moment_s() - start;
    return status_ok();
}

/* Everything that the options say, checked against the model's configuration: no weight is read. */
static Status prepare(Work *w)
{
    const RenderOptions *o = w->o;
    ModelConfig *config = NULL;
    TRY(model_config_read(o->model, &config));
    Status status = render_options_fit(o, config);
    if (!failed(status)) status = render_options_shot(o, config, &w->shot);
    if (!failed(status)) status = render_sound_read(&w->sound, o->audio, o->frames, &w->shot);
    if (!failed(status)) status = model_config_check_shot(config, &w->shot);
    if (!failed(status) && o->audio && o->noise && chain_clips(w->shot.frames) > 1)
        status =
            status_fail(ERR_INPUT, "--noise: of one clip, but %d frames are made in %d; expected --frames %d at most",
                        w->shot.frames, chain_clips(w->shot.frames), CHAIN_CLIP_FRAMES - CHAIN_DROPPED);
    if (!failed(status) && !link_under_launcher()) render_loras_warn(config, &w->shot);
    if (!failed(status)) status = conditions_read(w->shot.media, config, w->shot.frames, false, &w->pictures);
    model_config_free(&config);
    return status;
}

static Status open_engine(Work *w)
{
    const RenderOptions *o = w->o;
    BackendOptions backend = worker_backend(o->backend, o->dtype, o->vae_dtype);
    backend.threads = o->threads ? o->threads : w->group.threads;
    backend.memory_bytes = (int64_t)(o->memory_gb * 1e9);
    Split split;
    if (o->split) TRY(split_parse(o->split, &split));
    TRY(engine_open_group(o->model, &backend, w->group.coll, o->split ? &split : NULL, &w->shot, &w->engine));
    split = engine_split(w->engine);
    if (o->group_size > 1)
        log_line(LOG_INFO, "%d ranks, --split %dx%dx%d", o->group_size, split.guidance, split.sequence, split.tensor);
    return status_ok();
}

/* The first rank says it, once. */
static void warn_of_length(const Work *w)
{
    const struct {
        const char *option, *text;
    } row[] = {{"--prompt", w->shot.prompt}, {"--negative", w->shot.negative}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        int tokens = 0;
        char read[HASH_TEXT];
        if (!failed(engine_count_tokens(w->engine, row[i].text, &tokens, read)) && tokens > engine_most_tokens)
            log_line(LOG_WARNING, "%s: %d tokens, and the model reads %d: what stands behind them changes nothing",
                     row[i].option, tokens, engine_most_tokens);
    }
}

static void trace_nowhere(void *self, const char *name, const char *dtype, const void *data, int ndim,
                          const int64_t *dim)
{
    (void)self, (void)name, (void)dtype, (void)data, (void)ndim, (void)dim;
}

/* What only the first rank of a group does before the work, and the others must hear of. */
static Status open_files(Work *w)
{
    const RenderOptions *o = w->o;
    if (!render_group_is_first(&w->group)) return status_ok();
    if (o->checkpoint || o->json) TRY(make_key(w));
    return o->trace ? trace_open(o->trace, o->trace_blocks, &w->trace) : status_ok();
}

static Status do_work(Work *w, Progress progress)
{
    const RenderOptions *o = w->o;
    const Trace others = {.put = trace_nowhere, .blocks = o->trace_blocks}; /* take part, and see nothing */
    TRY(coll_agree(w->group.coll, prepare(w)));
    TRY(open_engine(w));
    if (render_group_is_first(&w->group)) warn_of_length(w);
    TRY(coll_agree(w->group.coll, open_files(w)));
    const Trace *trace = w->trace ? trace_sink(w->trace) : o->trace ? &others : NULL;
    const RenderJob job = {.shot = &w->shot,
                           .key = w->key,
                           .model_hash = w->model_hash,
                           .checkpoint = o->checkpoint,
                           .checkpoint_every = o->checkpoint_every,
                           .resume = o->resume,
                           .mixed = o->mixed,
                           .noise_file = o->noise,
                           .conditions = conditions_of(&w->pictures),
                           .trace = trace,
                           .progress = progress};
    TRY(render_latents(w->engine, &job, &w->latents));
    return render_group_is_first(&w->group) ? make_file(w, progress) : status_ok();
}

static Status print_json(const Work *w)
{
    char sha256[HASH_TEXT];
    int64_t bytes;
    const ShotSpec *s = &w->shot;
    TRY(hash_file(w->o->output, sha256));
    TRY(file_size(w->o->output, &bytes));
    char *file = foreign_utf8(w->o->output), backend[OPTIONS_CHOICE_BYTES]; /* a path may be any bytes */
    json_t *j = json_pack("{s:s, s:s, s:I, s:i, s:i, s:i, s:i, s:f, s:i, s:i, s:s, s:s, s:s, s:s}", "file", file,
                          "sha256", sha256, "bytes", (json_int_t)bytes, "width", s->width, "height", s->height,
                          "frames", s->frames, "fps", s->fps, "duration_s", (double)s->frames / s->fps, "steps",
                          s->steps, "steps_resumed", w->latents.steps_resumed, "shot", w->key, "model", w->model_hash,
                          "dtype", backend_dtype(engine_backend(w->engine)), "backend",
                          options_choice(WORK_BACKENDS, w->o->backend, backend));
    json_object_set_new(j, "vae_dtype", json_string(w->o->dtype == WORK_FP32 || !w->o->vae_dtype ? "fp32" : "bf16"));
    json_t *seconds = json_pack("{s:f, s:f, s:f, s:f, s:f}", "text", w->latents.text_s, "denoise", w->latents.denoise_s,
                                "decode", w->decode_s, "encode", w->encode_s, "total", w->total_s);
    char *seed = text_format("%" PRIu64, s->seed); /* JSON's integers end at 2^63 */
    json_object_set_new(j, "seed", s->seed <= INT64_MAX ? json_integer((json_int_t)s->seed) : json_string(seed));
    json_object_set_new(j, "seconds", seconds);
    /* flushed: what ends a group of ranks may end the process too */
    const bool printed = foreign_print_json(stdout, j, JSON_REAL_PRECISION(6));
    json_decref(j);
    free(seed);
    free(file);
    return printed ? status_ok() : status_errno(ERR_NODE, "cannot write to standard output");
}

/* Started alone: the ranks get the same arguments, when there is nothing wrong with them. */
static Status launch_ranks(const RenderOptions *o, int argc, char **argv, LaunchRanks *launch)
{
    Work w = {.o = o};
    Status status = prepare(&w);
    conditions_clear(&w.pictures);
    render_sound_clear(&w.sound);
    shot_clear(&w.shot);
    return failed(status) ? status : render_group_launch(o->group_size, o->threads, argc, argv, launch);
}

static void clear_work(Work *w)
{
    encode_abandon(&w->encode);
    trace_abandon(&w->trace);
    render_latents_free(&w->latents);
    engine_close(&w->engine);
    conditions_clear(&w->pictures);
    render_sound_clear(&w->sound);
    shot_clear(&w->shot);
}

Status verb_render(int argc, char **argv, LaunchRanks *launch)
{
    RenderOptions o = {.dtype = -1,
                       .scheduler = -1,
                       .sigmas = -1,
                       .guidance = NAN,
                       .guidance_2 = NAN,
                       .flow_shift = NAN,
                       .group_size = 1};
    int next;
    TRY(render_options_read(&o, argc, argv, &next));
    if (next < 0) return status_ok();
    if (o.dtype < 0) o.dtype = work_default_dtype(o.backend);
    TRY(work_check_dtype(o.backend, o.dtype));
    TRY(render_options_check(&o));
    if (o.quiet) log_set_level(LOG_WARNING);
    catch_stops();
    if (o.group_size > 1 && !link_under_launcher()) return launch_ranks(&o, argc, argv, launch);
    Work w = {.o = &o};
    double start = moment_s();
    Status status = render_group_join(o.group_size, &w.group);
    const bool first = render_group_is_first(&w.group);
    Show show = {.o = &o, .quiet = o.quiet || !first, .terminal = isatty(STDERR_FILENO)};
    if (!failed(status)) status = do_work(&w, (Progress){progress_at, &show});
    w.total_s = moment_s() - start;
    end_line(&show);
    if (!failed(status) && o.json && first) status = print_json(&w);
    if (!failed(status))
        log_line(LOG_INFO, "%s: %.1f s of video in %.1f s", o.output, (double)w.shot.frames / w.shot.fps, w.total_s);
    clear_work(&w);
    return render_group_leave(&w.group, status);
}
