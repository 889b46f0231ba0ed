/* verb_inspect.c - `reelwright inspect PATH`: what a checkpoint, a model folder, a file of weights or a clip holds. Each is read into a JSON
 * object, which is printed as it is (--json) or as indented lines. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/options.h"
#include "engine/engine.h"
#include "engine/identify.h"
#include "engine/weights/safetensors.h"
#include "worker/render/checkpoint.h"
#include "worker/render/worker.h"
#include "worker/verbs/verbs.h"

/* ---- checkpoint ------------------------------------------------------------------------------------------------------------ */

static json_t *describe_tensor(const float *x, const int64_t dim[4])
{
    int64_t count = dim[0] * dim[1] * dim[2] * dim[3];
    double sum = 0, squares = 0;
    float least = INFINITY, most = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
        least = fminf(least, x[i]);
        most = fmaxf(most, x[i]);
    }
    double mean = sum / (double)count;
    return json_pack("{s:[I,I,I,I], s:f, s:f, s:f, s:f}", "shape", (json_int_t)dim[0], (json_int_t)dim[1],
                     (json_int_t)dim[2], (json_int_t)dim[3], "min", (double)least, "max", (double)most, "mean", mean,
                     "std", sqrt(fmax(0, squares / (double)count - mean * mean)));
}

static json_t *describe_checkpoint(const Checkpoint *c)
{
    const CheckpointOwner *o = &c->owner;
    char *seed = text_format("%" PRIu64, o->seed);
    json_t *j =
        json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:s, s:s}", "kind", "checkpoint",
                  "version", CHECKPOINT_VERSION, "shot", o->shot, "model", o->model, "prompt_sha256", o->prompt_sha256,
                  "seed", seed, "width", o->width, "height", o->height, "frames", o->frames, "fps", o->fps, "step",
                  c->state.step, "steps", o->steps, "guidance", o->guidance, "dtype", o->dtype, "computed_by", o->kind);
    json_object_set_new(j, "latents", describe_tensor(c->state.latents, c->dim));
    json_t *history = json_array();
    for (int i = 0; i < c->state.solver_count; i++)
        json_array_append_new(history, describe_tensor(c->state.solver[i], c->dim));
    json_object_set_new(j, "solver_history", history);
    free(seed);
    return j;
}

static Status inspect_checkpoint(const char *path, json_t **out)
{
    Checkpoint c;
    TRY(checkpoint_read(path, NULL, &c));
    *out = describe_checkpoint(&c);
    checkpoint_clear(&c);
    return status_ok();
}

/* ---- model folder ------------------------------------------------------------------------------------------------------------ */

static Status describe_weights(const char *folder, const char *component, const char *stem, json_t *parts)
{
    Safetensors *s = NULL;
    char *path = path_join(folder, component);
    Status status = file_is_folder(path) ? safetensors_open_folder(path, stem, &s) : status_ok();
    free(path);
    if (!s) return status;
    int64_t parameters = 0;
    const char *type = ""; /* UTF-8, for it was JSON */
    for (int i = 0; i < safetensors_count(s); i++) {
        const StoredTensor *t = safetensors_at(s, i);
        int64_t n = 1;
        for (int k = 0; k < t->ndim; k++) n *= t->dim[k];
        parameters += n;
        type = i == 0 || strcmp(type, t->type_name) == 0 ? t->type_name : "mixed";
    }
    json_object_set_new(parts, component,
                        json_pack("{s:i, s:I, s:I, s:s}", "tensors", safetensors_count(s), "parameters",
                                  (json_int_t)parameters, "bytes", (json_int_t)safetensors_bytes(s), "stored_as",
                                  type));
    safetensors_close(&s);
    return status_ok();
}

static json_t *describe_transformer(const ModelConfig *c)
{
    const DitConfig *d = &c->dit;
    json_t *j = json_pack("{s:i, s:i, s:i, s:i, s:[i,i,i], s:i, s:i, s:i, s:b}", "layers", d->layers, "width",
                          d->heads * d->head_dim, "heads", d->heads, "ffn", d->ffn_dim, "patch", d->patch[0],
                          d->patch[1], d->patch[2], "channels_in", d->in_channels, "channels_out", d->out_channels,
                          "control_layers", d->vace_count, "two_experts", c->two_transformers);
    if (c->two_transformers) json_object_set_new(j, "boundary_ratio", json_real(c->boundary_ratio));
    json_object_set_new(j, "timestep_per_token", json_boolean(c->expand_timesteps));
    if (d->sound_count) json_object_set_new(j, "hears_after_layers", json_integer(d->sound_count));
    return j;
}

static json_t *describe_config(const ModelConfig *c)
{
    const ShotSpec *d = &c->defaults;
    json_t *j = json_pack("{s:s, s:s}", "kind", "model", "pipeline", c->pipeline);
    json_object_set_new(j, "text_encoder",
                        json_pack("{s:i, s:i, s:i, s:i}", "layers", c->text.layers, "width", c->text.d_model, "heads",
                                  c->text.heads, "vocabulary", c->text.vocab_size));
    if (c->has_image_encoder)
        json_object_set_new(j, "image_encoder",
                            json_pack("{s:i, s:i, s:i, s:i, s:i}", "layers", c->vision.layers, "width", c->vision.width,
                                      "heads", c->vision.heads, "image_size", c->vision.image_size, "patch",
                                      c->vision.patch));
    json_object_set_new(j, "transformer", describe_transformer(c));
    json_object_set_new(j, "vae",
                        json_pack("{s:i, s:i, s:i, s:i}", "channels", c->vae.z_dim, "base", c->vae.base_dim,
                                  "scale_space", c->vae.scale_space, "scale_time", c->vae.scale_time));
    json_object_set_new(j, "scheduler",
                        json_pack("{s:s, s:f}", "kind", c->scheduler.kind, "flow_shift", c->scheduler.flow_shift));
    json_object_set_new(j, "defaults",
                        json_pack("{s:i, s:i, s:i, s:i, s:i, s:f}", "width", d->width, "height", d->height, "frames",
                                  d->frames, "fps", d->fps, "steps", d->steps, "guidance", d->guidance));
    return j;
}

/* ---- what it takes ------------------------------------------------------------------------------------------------------------- */

typedef struct { /* what the verb was asked */
    bool as_json, hash;
    int dtype, vae_dtype; /* as WorkSettings has them */
    int width, height, frames;
    double memory_gb;
} InspectOptions;

static json_t *describe_stage(const StagePlan *s)
{
    json_t *j = json_pack("{s:I, s:I}", "weights_bytes", (json_int_t)s->weights, "work_bytes", (json_int_t)s->work);
    if (s->tiles) json_object_set_new(j, "tiles", json_integer(s->tiles));
    return j;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Everything that stays when nothing has to be loaded twice, and the work of the stage that works most beside it. */
static int64_t resident_bytes(const EnginePlan *p, const EnginePart *part, int parts)
{
    int64_t bytes = p->text.weights + p->decode.weights + p->encode.weights;
    for (int i = 0; i < parts; i++) {
        if (strncmp(part[i].name, "transformer", 11) == 0) bytes += p->denoise.weights;
        if (strcmp(part[i].name, "image_encoder") == 0 || strcmp(part[i].name, "audio_encoder") == 0)
            bytes += part[i].rank_bytes;
    }
    return bytes + larger(larger(p->text.work, p->denoise.work), larger(p->decode.work, p->encode.work));
}

/* Of one rank in a group of `ranks` that divides the weights as far as it can: each part's bytes. It fits when the stage that takes most
 * does, for the engine drops what other stages have loaded (engine/parts.c), at the price of loading it again for the next shot; it fits
 * at once when that is never needed. The first rank also encodes and decodes pictures. */
static Status describe_rank(const ModelConfig *c, const BackendOptions *o, const ShotSpec *s, int ranks, json_t *list)
{
    const Split split = split_most_tensor(c, ranks);
    const int64_t memory = o->memory_bytes ? o->memory_bytes : INT64_MAX;
    EnginePart part[ENGINE_MAX_PARTS];
    EnginePlan p;
    TRY(engine_plan_rank(c, o, s, &split, memory, &p));
    char *text = text_format("%dx%dx%d", split.guidance, split.sequence, split.tensor);
    json_t *j = json_pack("{s:i, s:s}", "ranks", ranks, "split", text);
    free(text);
    const int count = engine_measure(c, ranks, o, part);
    for (int i = 0; i < count; i++) {
        if (strncmp(part[i].name, "vae", 3) == 0) continue;
        char *name = text_format("%s_bytes", part[i].name);
        json_object_set_new(j, name, json_integer(part[i].rank_bytes));
        free(name);
    }
    const int64_t each = larger(p.text.weights + p.text.work, p.denoise.weights + p.denoise.work);
    const int64_t first = larger(p.decode.weights + p.decode.work, p.encode.weights + p.encode.work);
    json_object_set_new(j, "work_bytes", json_integer(p.denoise.work));
    json_object_set_new(j, "need_bytes", json_integer(each));
    json_object_set_new(j, "first_needs_bytes", json_integer(larger(each, first)));
    const int64_t resident = resident_bytes(&p, part, count);
    json_object_set_new(j, "resident_bytes", json_integer(resident));
    if (o->memory_bytes) json_object_set_new(j, "fits", json_boolean(larger(each, first) <= memory));
    if (o->memory_bytes) json_object_set_new(j, "fits_at_once", json_boolean(resident <= memory));
    json_array_append_new(list, j);
    return status_ok();
}

static Status describe_memory(const ModelConfig *c, const InspectOptions *o, json_t *out)
{
    const int64_t memory = (int64_t)(o->memory_gb * 1e9);
    BackendOptions be = worker_backend(WORK_CPU, o->dtype, o->vae_dtype);
    be.memory_bytes = memory;
    ShotSpec shot = c->defaults;
    EnginePlan p;
    if (o->width) shot.width = o->width;
    if (o->height) shot.height = o->height;
    if (o->frames) shot.frames = o->frames;
    TRY(engine_plan(c, &be, &shot, memory ? memory : INT64_MAX, &p));
    json_t *stages = json_pack("{s:o, s:o, s:o}", "text", describe_stage(&p.text), "denoise",
                               describe_stage(&p.denoise), "decode", describe_stage(&p.decode));
    if (p.encode.weights) json_object_set_new(stages, "encode", describe_stage(&p.encode));
    json_t *ranks = json_array();
    Status status = status_ok();
    for (int n = 1; n <= 8 && !failed(status); n *= 2) status = describe_rank(c, &be, &shot, n, ranks);
    if (failed(status)) {
        json_decref(stages);
        json_decref(ranks);
        return status;
    }
    json_t *j = json_pack("{s:s, s:s, s:i, s:i, s:i, s:o, s:o}", "dtype", backend_dtype_name(&be), "vae_dtype",
                          dtype_name(backend_exact_type(&be)), "width", shot.width, "height", shot.height, "frames",
                          shot.frames, "stages", stages, "group", ranks);
    if (memory) json_object_set_new(j, "memory_bytes", json_integer(memory));
    json_object_set_new(out, "takes", j);
    return status_ok();
}

static Status describe_folder(const ModelConfig *c, const char *folder, const InspectOptions *o, json_t *out)
{
    static const struct {
        const char *component, *stem;
    } part[] = {{"text_encoder", "model"},
                {"image_encoder", "model"},
                {"audio_encoder", "model"},
                {"transformer", "diffusion_pytorch_model"},
                {"transformer_2", "diffusion_pytorch_model"},
                {"vae", "diffusion_pytorch_model"}};
    char hash[HASH_TEXT];
    json_t *weights = json_object();
    json_object_set_new(out, "weights", weights);
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        TRY(describe_weights(folder, part[i].component, part[i].stem, weights));
    TRY(describe_memory(c, o, out));
    if (!o->hash) return status_ok();
    TRY(model_config_hash(folder, hash));
    json_object_set_new(out, "sha256", json_string(hash));
    return status_ok();
}

static Status inspect_model(const char *folder, const InspectOptions *o, json_t **out)
{
    ModelConfig *c;
    TRY(model_config_read(folder, &c));
    json_t *j = describe_config(c);
    Status status = describe_folder(c, folder, o, j);
    if (failed(status))
        json_decref(j);
    else
        *out = j;
    model_config_free(&c);
    return status;
}

/* ---- file of weights ----------------------------------------------------------------------------------------------------------- */

static bool is_weights(const char *path)
{
    static const char *const end[] = {".safetensors", ".gguf", ".pth", ".pt", ".ckpt", ".bin"};
    const char *dot = strrchr(path_name(path), '.');
    for (size_t i = 0; dot && i < sizeof end / sizeof *end; i++)
        if (strcmp(dot, end[i]) == 0) return true;
    return false;
}

static Status inspect_weights(const char *path, json_t **out)
{
    Identified w;
    TRY(identify_file(path, &w));
    const bool adapter = strcmp(w.part, "adapter") == 0;
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:i, s:I, s:I}", "kind", adapter ? "adapter" : "weights", "part", w.part, "model",
                  w.model, "tensors", w.tensors, "parameters", (json_int_t)w.parameters, "bytes", (json_int_t)w.bytes);
    if (!j) return status_fail(ERR_NODE, "out of memory");
    json_object_set_new(j, "stored_as", json_string(w.types));
    if (!adapter) json_object_set_new(j, "loaded_as", json_string(w.kept));
    json_object_set_new(j, "whole", *w.fault ? json_false() : json_true());
    if (*w.fault) json_object_set_new(j, "fault", json_string(w.fault));
    char *use = adapter ? text_format("render --lora %s, or a campaign's loras", path_name(path))
                : *w.part
                    ? text_format("lay it into MODEL/%s/ in place of the weights there; config.json stays", w.part)
                    : text_copy("not by this program");
    json_object_set_new(j, "use", json_string(use));
    free(use);
    *out = j;
    return status_ok();
}

/* ---- clip --------------------------------------------------------------------------------------------------------------------- */

static const char *or_unknown(const char *text) { return text ? text : "unknown"; }

static json_t *describe_stream(const AVStream *s)
{
    const AVCodecParameters *p = s->codecpar;
    json_t *j =
        json_pack("{s:s, s:s, s:s}", "type", or_unknown(av_get_media_type_string(p->codec_type)), "codec",
                  avcodec_get_name(p->codec_id), "profile", or_unknown(avcodec_profile_name(p->codec_id, p->profile)));
    if (s->start_time != AV_NOPTS_VALUE)
        json_object_set_new(j, "start_s", json_real((double)s->start_time * av_q2d(s->time_base)));
    if (s->duration != AV_NOPTS_VALUE)
        json_object_set_new(j, "duration_s", json_real((double)s->duration * av_q2d(s->time_base)));
    if (p->codec_type != AVMEDIA_TYPE_VIDEO) return j;
    json_t *video = json_pack("{s:i, s:i, s:I, s:f, s:s, s:s, s:s, s:s, s:s}", "width", p->width, "height", p->height,
                              "frames", (json_int_t)s->nb_frames, "fps", av_q2d(s->avg_frame_rate), "pixels",
                              or_unknown(av_get_pix_fmt_name((enum AVPixelFormat)p->format)), "range",
                              or_unknown(av_color_range_name(p->color_range)), "primaries",
                              or_unknown(av_color_primaries_name(p->color_primaries)), "transfer",
                              or_unknown(av_color_transfer_name(p->color_trc)), "matrix",
                              or_unknown(av_color_space_name(p->color_space)));
    json_object_update(j, video);
    json_decref(video);
    return j;
}

static json_t *list_keyframes(AVFormatContext *f)
{
    json_t *list = json_array();
    AVPacket *p = av_packet_alloc();
    for (; p && av_read_frame(f, p) >= 0; av_packet_unref(p)) {
        const AVStream *s = f->streams[p->stream_index];
        if (s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && p->flags & AV_PKT_FLAG_KEY && p->pts != AV_NOPTS_VALUE)
            json_array_append_new(list, json_real((double)p->pts * av_q2d(s->time_base)));
    }
    av_packet_free(&p);
    return list;
}

/* Files say these in whatever encoding they like. */
static void add_tag(json_t *tags, const char *key, const char *value)
{
    char *name = foreign_utf8(key), *text = foreign_utf8(value);
    json_object_set_new(tags, name, json_string(text));
    free(name);
    free(text);
}

static Status inspect_clip(const char *path, json_t **out)
{
    AVFormatContext *f = NULL;
    char sha256[HASH_TEXT];
    AVDictionary *options = NULL;
    TRY(hash_file(path, sha256));
    av_log_set_level(AV_LOG_FATAL);
    char *address = text_format("file:%s", path); /* a name with a colon would pass for another protocol's */
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    av_dict_set(&options, "format_whitelist", "mov,mp4,matroska,webm,avi,mpegts,png_pipe,jpeg_pipe,webp_pipe", 0);
    bool opened = avformat_open_input(&f, address, NULL, &options) >= 0 && avformat_find_stream_info(f, NULL) >= 0;
    av_dict_free(&options);
    free(address);
    if (!opened) {
        avformat_close_input(&f);
        return status_fail(ERR_INPUT, "%s: no checkpoint, no model folder and nothing that libav can read", path);
    }
    json_t *j = json_pack("{s:s, s:s, s:s, s:f}", "kind", "clip", "format", f->iformat->name, "sha256", sha256,
                          "duration_s", f->duration == AV_NOPTS_VALUE ? 0 : (double)f->duration / AV_TIME_BASE);
    json_t *streams = json_array(), *tags = json_object();
    for (unsigned i = 0; i < f->nb_streams; i++) json_array_append_new(streams, describe_stream(f->streams[i]));
    for (AVDictionaryEntry *t = NULL; (t = av_dict_get(f->metadata, "", t, AV_DICT_IGNORE_SUFFIX));)
        add_tag(tags, t->key, t->value);
    json_object_set_new(j, "streams", streams);
    json_object_set_new(j, "tags", tags);
    json_object_set_new(j, "keyframes_s", list_keyframes(f));
    avformat_close_input(&f);
    *out = j;
    return status_ok();
}

/* ---- the verb -------------------------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), e = strlen(end);
    return n >= e && strcmp(text + n - e, end) == 0;
}

static char *bytes_text(double bytes)
{
    return text_format(bytes < 1e9 ? "%.0f MB" : "%.1f GB", bytes < 1e9 ? bytes / 1e6 : bytes / 1e9);
}

/* "weights_bytes": 123 as it is, and in a unit that a person reads. */
static void print_number(const char *name, const json_t *v, int indent, int width)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(7) | JSON_COMPACT);
    char *bytes = ends_with(name, "bytes") ? bytes_text(json_number_value(v)) : NULL;
    foreign_print(stdout, "%*s%-*s %s%s%s%s\n", indent, "", width, name, text ? text : "", bytes ? "  (" : "",
                  bytes ? bytes : "", bytes ? ")" : "");
    free(bytes);
    free(text);
}

/* Objects with the same keys: a line each under their names. */
static void print_table(const char *name, const json_t *rows, int indent)
{
    size_t i;
    json_t *row, *v;
    const char *key;
    foreign_print(stdout, "%*s%s:\n%*s", indent, "", name, indent + 2, "");
    json_object_foreach(json_array_get(rows, 0), key, v)
        foreign_print(stdout, "%-16.*s", (int)(strlen(key) - (ends_with(key, "_bytes") ? strlen("_bytes") : 0)), key);
    json_array_foreach(rows, i, row)
    {
        foreign_print(stdout, "\n%*s", indent + 2, "");
        json_object_foreach(row, key, v)
        {
            char *text = ends_with(key, "_bytes") ? bytes_text(json_number_value(v)) : json_dumps(v, JSON_ENCODE_ANY);
            foreign_print(stdout, "%-16s", text ? text : "");
            free(text);
        }
    }
    putchar('\n');
}

static void print_value(const char *name, const json_t *v, int depth)
{
    size_t i;
    json_t *inner;
    const char *key;
    if (json_is_object(v)) {
        if (name) foreign_print(stdout, "%*s%s:\n", 2 * depth, "", name);
        json_object_foreach((json_t *)(uintptr_t)v, key, inner) print_value(key, inner, name ? depth + 1 : depth);
    } else if (json_is_array(v) && json_is_object(json_array_get(v, 0)) && strcmp(name, "group") == 0) {
        print_table(name, v, 2 * depth);
    } else if (json_is_array(v) && json_is_object(json_array_get(v, 0))) {
        json_array_foreach(v, i, inner) print_value(name, inner, depth);
    } else {
        print_number(name, v, 2 * depth, 22 - 2 * depth);
    }
}

static bool is_checkpoint(const char *path)
{
    static const char signature[] = "\x89HDF\r\n\x1a\n";
    char got[sizeof signature] = "";
    FILE *f;
    file_open_stream(path, &f);
    bool same = f && fread(got, 1, 8, f) == 8 && memcmp(got, signature, 8) == 0;
    if (f) fclose(f);
    return same;
}

static Status inspect(const char *path, const InspectOptions *o, json_t **out)
{
    if (!file_exists(path)) return status_fail(ERR_INPUT, "%s: no such file or folder", path);
    if (file_is_folder(path)) return inspect_model(path, o, out);
    TRY(file_check_regular(path));
    if (is_weights(path)) return inspect_weights(path, out);
    return is_checkpoint(path) ? inspect_checkpoint(path, out) : inspect_clip(path, out);
}

Status verb_inspect(int argc, char **argv)
{
    InspectOptions o = {.dtype = 1};
    int first;
    const Option table[] = {
        {.name = "json", .kind = OPTION_FLAG, .to = &o.as_json, .help = "one JSON object"},
        {.name = "dtype",
         .kind = OPTION_CHOICE,
         .to = &o.dtype,
         .value = WORK_DTYPES,
         .help = "of a model: what its matrices are computed in (bf16)"},
        {.name = "vae-dtype",
         .kind = OPTION_CHOICE,
         .to = &o.vae_dtype,
         .value = "fp32|bf16",
         .help = "and its autoencoder and image encoder (fp32)"},
        {.name = "width", .kind = OPTION_INT, .to = &o.width, .value = "W", .min = 1, .max = 1 << 16},
        {.name = "height", .kind = OPTION_INT, .to = &o.height, .value = "H", .min = 1, .max = 1 << 16},
        {.name = "frames",
         .kind = OPTION_INT,
         .to = &o.frames,
         .value = "N",
         .min = 1,
         .max = 1e6,
         .help = "of the clip that the memory is planned for (the model's own)"},
        {.name = "memory",
         .kind = OPTION_REAL,
         .to = &o.memory_gb,
         .value = "GB",
         .min = 0.001,
         .max = 1e6,
         .help = "of one rank: says whether it is enough"},
        {.name = "hash",
         .kind = OPTION_FLAG,
         .to = &o.hash,
         .help = "of a model: SHA-256 of its files (reads all of them)"},
    };
    const Usage usage = {
        .verb = "inspect",
        .arguments = "PATH [options]",
        .about = "Shows what a checkpoint (.h5), a model folder, a file of weights or a clip holds; of a model "
                 "also what it takes: bytes of each\n"
                 "stage, and of one rank when 1, 2, 4 or 8 of them share the matrices.",
        .option = table,
        .option_count = sizeof table / sizeof *table,
        .min_arguments = 1,
        .max_arguments = 1};
    json_t *j = NULL;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    TRY(inspect(argv[first], &o, &j));
    if (o.as_json)
        json_dumpf(j, stdout, JSON_REAL_PRECISION(7) | JSON_INDENT(1));
    else
        print_value(NULL, j, 0);
    if (o.as_json) putchar('\n');
    json_decref(j);
    return status_ok();
}
