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
#include "worker/pictures/conditions.h"
#include "worker/render/render.h"
#include "worker/render/render_group.h"
#include "worker/render/trace.h"
#include "worker/render/worker.h"
#include "worker/verbs/render_loras.h"
#include "worker/verbs/render_sound.h"
#include "worker/verbs/verbs.h"

typedef struct { /* the command line; what was not given is NULL, 0, NAN or -1, and the model folder's default holds */
    const char *model, *prompt, *negative, *output;
    int width, height, frames, fps, steps, scheduler, sigmas;
    double guidance, guidance_2, flow_shift;
    uint64_t seed;
    int trunk_steps;
    const char *trunk_prompt, *guided, *reused_steps;
    const char *noise, *image, *last_image, *control_video, *control_mask, *control_scale, *audio;
    OptionTexts references, loras;
    const char *checkpoint, *trace, *split;
    int checkpoint_every;
    bool resume, mixed, trace_blocks;
    int dtype, vae_dtype, backend, threads, group_size;
    double memory_gb;
    bool quiet, json;
} RenderOptions;

static Status read_options(RenderOptions *o, int argc, char **argv, int *first)
{
    const Option table[] = {
        {"model", OPTION_TEXT, &o->model, .value = "DIR", .required = true,
         .help = "model folder in the diffusers layout"},
        {"prompt", OPTION_TEXT, &o->prompt, .value = "TEXT", .required = true},
        {"negative", OPTION_TEXT, &o->negative, .value = "TEXT", .help = "what to show, and what not"},
        {"output", OPTION_TEXT, &o->output, .value = "FILE.mp4", .required = true,
         .help = "H.264, written whole or not at all"},
        {"width", OPTION_INT, &o->width, .value = "W", .min = 1, .max = 1 << 17},
        {"height", OPTION_INT, &o->height, .value = "H", .min = 1, .max = 1 << 17},
        {"frames", OPTION_INT, &o->frames, .value = "N", .min = 1, .max = 1 << 16},
        {"fps", OPTION_INT, &o->fps, .value = "F", .min = 1, .max = 240, .help = "size, length (4k+1), rate"},
        {"steps", OPTION_INT, &o->steps, .value = "S", .min = 1, .max = 1000},
        {"flow-shift", OPTION_REAL, &o->flow_shift, .value = "X", .min = 1e-3, .max = 1e3,
         .help = "denoising steps, shift of their noise levels"},
        {"scheduler", OPTION_CHOICE, &o->scheduler, .value = "unipc|euler|lcm"},
        {"sigmas", OPTION_CHOICE, &o->sigmas, .value = "standard|classic|distilled",
         .help = "solver; levels of diffusers, of it before 0.37, of distilled weights"},
        {"guidance", OPTION_REAL, &o->guidance, .value = "G", .min = 0, .max = 100},
        {"guidance-2", OPTION_REAL, &o->guidance_2, .value = "G", .min = 0, .max = 100,
         .help = "by the prompt; G of the second transformer"},
        {"guided", OPTION_TEXT, &o->guided, .value = "FROM:TO", .help = "guidance at these noise levels only (1:0)"},
        {"trunk-steps", OPTION_INT, &o->trunk_steps, .value = "K", .min = 0, .max = 999},
        {"trunk-prompt", OPTION_TEXT, &o->trunk_prompt, .value = "TEXT",
         .help = "the first K steps (0) with this prompt"},
        {"reused-steps", OPTION_TEXT, &o->reused_steps, .value = "I[,I...]",
         .help = "steps that add what the layers added last"},
        {"seed", OPTION_SEED, &o->seed, .value = "N", .help = "of the noise, as torch draws it (0)"},
        {"noise", OPTION_TEXT, &o->noise, .value = "FILE.h5", .help = "start from /noise [C,F,H,W] instead"},
        {"image", OPTION_TEXT, &o->image, .value = "PNG"},
        {"last-image", OPTION_TEXT, &o->last_image, .value = "PNG"},
        {"audio", OPTION_TEXT, &o->audio, .value = "FILE",
         .help = "first and last frame, what is said, for models that take them"},
        {"reference", OPTION_TEXTS, &o->references, .value = "PNG"},
        {"control-video", OPTION_TEXT, &o->control_video, .value = "DIR|FILE"},
        {"control-mask", OPTION_TEXT, &o->control_mask, .value = "DIR|FILE"},
        {"control-scale", OPTION_TEXT, &o->control_scale, .value = "X[,X...]", .help = "for VACE models"},
        {"lora", OPTION_TEXTS, &o->loras, .value = "FILE[:SCALE[:high|low]]",
         .help = "adapters, merged into the transformer (1; both, if it has two)"},
        {"checkpoint", OPTION_TEXT, &o->checkpoint, .value = "FILE.h5"},
        {"checkpoint-every", OPTION_INT, &o->checkpoint_every, .value = "N", .min = 1, .max = 1000},
        {"resume", OPTION_FLAG, &o->resume, .help = "keep the state every N steps (about every minute), go on from it"},
        {"mixed", OPTION_FLAG, &o->mixed, .help = "go on also from what another processor or split began"},
        {"trace", OPTION_TEXT, &o->trace, .value = "FILE.h5"},
        {"trace-blocks", OPTION_FLAG, &o->trace_blocks, .help = "write every stage; embeddings and blocks too"},
        {"dtype", OPTION_CHOICE, &o->dtype, .value = WORK_DTYPES},
        {"backend", OPTION_CHOICE, &o->backend, .value = WORK_BACKENDS,
         .help = "what computes (cpu), in which type (fp32; on cuda bf16, or fp8; int8)"},
        {"vae-dtype", OPTION_CHOICE, &o->vae_dtype, .value = "fp32|bf16",
         .help = "the autoencoder and the image encoder (fp32)"},
        {"threads", OPTION_INT, &o->threads, .value = "N", .min = 1, .max = 4096},
        {"group-size", OPTION_INT, &o->group_size, .value = "T", .min = 1, .max = COLL_MAX_RANKS,
         .help = "CPU threads (all, of each rank its share); ranks that share the shot (1)"},
        {"split", OPTION_TEXT, &o->split, .value = "GxSxT",
         .help = "how they share it: guidance halves x token parts x weight parts (chosen)"},
        {"memory", OPTION_REAL, &o->memory_gb, .value = "GB", .min = 0.001, .max = 1e6,
         .help = "a rank takes at most: else in tiles, divided (half the machine)"},
        {.name = "quiet", .kind = OPTION_FLAG, .to = &o->quiet},
        {"json", OPTION_FLAG, &o->json, .help = "no progress on stderr; one JSON object on stdout"},
    };
    const Usage usage = {.verb = "render",
                         .arguments = "--model DIR --prompt TEXT --output FILE.mp4 [options]",
                         .about = "Renders one clip. What is not given comes from the model folder.",
                         .option = table,
                         .option_count = sizeof table / sizeof *table};
    return options_read(&usage, argc, argv, first);
}

/* ---- what is refused before anything is loaded ---------------------------------------------------------------------------- */

/* What a model is conditioned on besides its prompt. condition.c in the engine checks the same, but with weights loaded. */
static Status check_kind(const RenderOptions *o, const ModelConfig *c)
{
    const ModelMedia takes = model_config_media(c);
    const struct {
        const char *name;
        bool given, taken, needed;
    } row[] = {{"--image", o->image != NULL, takes.image, takes.needs_image},
               {"--last-image", o->last_image != NULL, takes.last_image, takes.needs_last_image},
               {"--reference", o->references.count > 0, takes.control, false},
               {"--control-video", o->control_video != NULL, takes.control, o->control_mask != NULL},
               {"--control-mask", o->control_mask != NULL, takes.control, false},
               {"--control-scale", o->control_scale != NULL, takes.control, false},
               {"--audio", o->audio != NULL, takes.sound, takes.sound}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        if (row[i].given && !row[i].taken)
            return status_fail(ERR_INPUT, "%s: %s takes none (%s)", row[i].name, o->model, c->pipeline);
        if (row[i].needed && row[i].taken && !row[i].given)
            return status_fail(ERR_INPUT, "%s is missing: %s needs it (%s)", row[i].name, o->model, c->pipeline);
    }
    return status_ok();
}

static const int64_t least_free_bytes = 1 << 20; /* a short clip of a small model takes less, no other does */

static Status check_folder_of(const char *option, const char *path)
{
    if (!path) return status_ok();
    char *target;
    if (!*path_name(path)) return status_fail(ERR_INPUT, "%s %s: a folder; expected a file name", option, path);
    TRY(status_at(file_target(path, &target), "%s", option));
    char *folder = path_folder(target);
    free(target);
    Status status = status_ok();
    if (access(folder, W_OK | X_OK) != 0)
        status = status_errno(ERR_INPUT, "%s %s: cannot write into %s", option, path, folder);
    else
        status = status_at(file_check_space(folder, least_free_bytes), "%s", option);
    free(folder);
    return status;
}

static Status check_options(const RenderOptions *o)
{
    Split split;
    if (o->split) TRY(split_parse(o->split, &split));
    if (o->split && split.guidance * split.sequence * split.tensor != o->group_size)
        return status_fail(ERR_INPUT, "--split %s: the product is not --group-size %d", o->split, o->group_size);
    if (o->resume && !o->checkpoint)
        return status_fail(ERR_INPUT, "--resume: expected --checkpoint FILE.h5 to go on from");
    if (o->mixed && !o->resume) return status_fail(ERR_INPUT, "--mixed: expected --resume, which it widens");
    if (o->checkpoint_every && !o->checkpoint)
        return status_fail(ERR_INPUT, "--checkpoint-every: expected --checkpoint FILE.h5 to write to");
    if (o->trace_blocks && !o->trace)
        return status_fail(ERR_INPUT, "--trace-blocks: expected --trace FILE.h5 to write to");
    TRY(check_folder_of("--output", o->output));
    TRY(check_folder_of("--checkpoint", o->checkpoint));
    return check_folder_of("--trace", o->trace);
}

/* "1,0.75": one number, or one for each control layer */
static Status read_scales(const char *text, const ModelConfig *c, ShotMedia *m)
{
    m->scale = memory_get(VACE_MAX_LAYERS, sizeof *m->scale);
    for (const char *at = text; at;) {
        char *end;
        double x = strtod(at, &end);
        if (end == at || (*end && *end != ',') || !isfinite(x) || m->scale_count == VACE_MAX_LAYERS)
            return status_fail(ERR_INPUT, "--control-scale %s: expected numbers with commas between", text);
        m->scale[m->scale_count++] = x;
        at = *end ? end + 1 : NULL;
    }
    if (m->scale_count != 1 && m->scale_count != c->dit.vace_count)
        return status_fail(ERR_INPUT, "--control-scale %s: %d numbers, expected 1 or %d", text, m->scale_count,
                           c->dit.vace_count);
    return status_ok();
}

static ShotFile file_of(const char *path) { return (ShotFile){.path = path ? text_copy(path) : NULL}; }

static Status make_media(const RenderOptions *o, const ModelConfig *c, ShotSpec *s)
{
    if (!o->image && !o->last_image && !o->references.count && !o->control_video && !o->control_mask &&
        !o->control_scale && !o->audio)
        return status_ok();
    if (o->references.count > SHOT_MAX_REFERENCES)
        return status_fail(ERR_INPUT, "--reference: %d pictures, expected at most %d", o->references.count,
                           SHOT_MAX_REFERENCES);
    if (!s->media) s->media = memory_get(1, sizeof *s->media);
    ShotMedia *m = s->media;
    m->image = file_of(o->image);
    m->last_image = file_of(o->last_image);
    m->control_video = file_of(o->control_video);
    m->control_mask = file_of(o->control_mask);
    m->audio = file_of(o->audio);
    m->reference = memory_get((size_t)o->references.count, sizeof *m->reference);
    for (int i = 0; i < o->references.count; i++) m->reference[m->reference_count++] = file_of(o->references.text[i]);
    return o->control_scale ? read_scales(o->control_scale, c, m) : status_ok();
}

/* "0.95:0.3": noise levels */
static Status read_guided(const char *text, ShotSpec *s)
{
    char *end = NULL;
    if (!text) return status_ok();
    s->guided_from = strtod(text, &end);
    const bool two = end != text && *end == ':';
    const char *second = two ? end + 1 : "";
    s->guided_to = strtod(second, &end);
    if (!two || end == second || *end || !(s->guided_from > s->guided_to && s->guided_from <= 1 && s->guided_to >= 0))
        return status_fail(ERR_INPUT,
                           "--guided %s: expected noise levels FROM:TO that fall, from at most 1 to at least 0", text);
    return status_ok();
}

static Status make_shot(const RenderOptions *o, const ModelConfig *c, ShotSpec *s)
{
    static const char *const scheduler[] = {"unipc", "euler", "lcm"}, *const sigmas[] = {"standard", "classic",
                                                                                         "distilled"};
    shot_copy(s, &c->defaults);
    TRY(render_loras_read(&o->loras, s));
    free(s->prompt);
    s->prompt = text_copy(o->prompt);
    if (o->negative) {
        free(s->negative);
        s->negative = text_copy(o->negative);
    }
    s->seed = o->seed;
    if (o->width) s->width = o->width;
    if (o->height) s->height = o->height;
    if (o->frames) s->frames = o->frames;
    if (o->fps) s->fps = o->fps;
    if (o->steps) s->steps = o->steps;
    if (!isnan(o->guidance)) s->guidance = o->guidance;
    if (!isnan(o->guidance_2)) s->guidance_2 = o->guidance_2;
    if (!isnan(o->flow_shift)) s->flow_shift = o->flow_shift;
    TRY(read_guided(o->guided, s));
    if ((o->trunk_steps > 0) != (o->trunk_prompt != NULL))
        return status_fail(ERR_INPUT, "--trunk-steps and --trunk-prompt: expected both or none");
    s->trunk_steps = o->trunk_steps;
    if (o->trunk_prompt) s->trunk_prompt = text_copy(o->trunk_prompt);
    if (o->reused_steps) s->reused_steps = text_copy(o->reused_steps);
    if (o->scheduler >= 0) snprintf(s->scheduler, sizeof s->scheduler, "%s", scheduler[o->scheduler]);
    if (o->sigmas >= 0) shot_set_sigmas(s, sigmas[o->sigmas]);
    return make_media(o, c, s);
}

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
    Status status = check_kind(o, config);
    if (!failed(status)) status = make_shot(o, config, &w->shot);
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
    bool printed = json_dumpf(j, stdout, JSON_REAL_PRECISION(6)) == 0 && putchar('\n') != EOF && fflush(stdout) == 0;
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
    TRY(read_options(&o, argc, argv, &next));
    if (next < 0) return status_ok();
    if (o.dtype < 0) o.dtype = work_default_dtype(o.backend);
    TRY(work_check_dtype(o.backend, o.dtype));
    TRY(check_options(&o));
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
