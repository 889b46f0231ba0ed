/* inspect_model.c - what a model folder holds, and what the model takes: bytes of each stage, and of one rank of a group. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/engine.h"
#include "engine/weights/safetensors.h"
#include "worker/render/worker.h"
#include "worker/verbs/inspect.h"

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

Status inspect_model(const char *folder, const InspectOptions *o, json_t **out)
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
