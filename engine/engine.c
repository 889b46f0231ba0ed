#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/file.h"
#include "engine/clips.h"
#include "engine/parts.h"
#include "engine/weights/trace.h"

static const char *const dit_folder[MAX_EXPERTS] = {"transformer", "transformer_2"};

/* Opens the part's files and compares names, shapes and types with what its config describes. */
static Status check_part(const Engine *e, Part part, const WeightPlan *plan)
{
    WeightSource *source = NULL;
    TRY(engine_open_source(e->config, part, &source));
    Status status = weights_check(plan, source);
    weights_close(&source);
    return status;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------- */

static Status open_tokenizer(Engine *e)
{
    char *folder = path_join(e->config->folder, "tokenizer");
    WeightSource *weights = NULL;
    size_t bytes = 0;
    Status status = engine_open_source(e->config, PART_TEXT, &weights);
    const void *pieces = failed(status) ? NULL : weights_extra(weights, "spiece_model", &bytes);
    if (!failed(status)) status = tokenizer_open(folder, pieces, bytes, &e->tokenizer);
    weights_close(&weights);
    if (!failed(status) && tokenizer_vocab_size(e->tokenizer) > e->config->text.vocab_size)
        status = status_fail(ERR_INPUT, "%s: %d pieces, but the text encoder's vocab_size is %d", folder,
                             tokenizer_vocab_size(e->tokenizer), e->config->text.vocab_size);
    free(folder);
    return status;
}

/* Files of the published models have "vision_model." before every name, files saved by newer libraries do not. */
static Status open_vision(Engine *e)
{
    WeightSource *source = NULL;
    TRY(engine_open_source(e->config, PART_VISION, &source));
    const bool prefixed = weights_has(source, "vision_model.embeddings.class_embedding");
    e->vision = vision_new(&e->config->vision, prefixed ? "vision_model." : "");
    Status status = weights_check(vision_plan(e->vision), source);
    weights_close(&source);
    return status;
}

static Status open_speech(Engine *e)
{
    WeightSource *source = NULL;
    TRY(engine_open_source(e->config, PART_SPEECH, &source));
    e->speech = speech_new(&e->config->speech, speech_prefix(source));
    Status status = weights_check(speech_plan(e->speech), source);
    weights_close(&source);
    return status;
}

bool engine_encodes(const ModelConfig *c) { return strcmp(c->pipeline, "WanPipeline") != 0 || c->expand_timesteps; }

static Status open_parts(Engine *e)
{
    const ModelConfig *c = e->config;
    e->text = text_new(&c->text);
    e->decoder = vae_new(&c->vae, VAE_DECODER);
    TRY(open_tokenizer(e));
    TRY(check_part(e, PART_TEXT, text_plan(e->text)));
    for (int i = 0; i < (c->two_transformers ? 2 : 1); i++) {
        e->dit[i] = dit_new(&c->dit);
        TRY(check_part(e, PART_DIT + i, dit_plan(e->dit[i])));
    }
    TRY(check_part(e, PART_DECODER, vae_plan(e->decoder)));
    if (engine_encodes(c)) {
        e->encoder = vae_new(&c->vae, VAE_ENCODER);
        TRY(check_part(e, PART_ENCODER, vae_plan(e->encoder)));
    }
    if (c->dit.sound_count) TRY(open_speech(e));
    return c->has_image_encoder ? open_vision(e) : status_ok();
}

/* Each part learns its ranks. */
static Status divide(Engine *e, const Split *split, const ShotSpec *shot)
{
    int64_t dim[4];
    const int *patch = e->config->dit.patch;
    engine_latent_dims(e->config, shot, dim);
    const BackendOptions o = backend_options(e->be);
    const SplitCase question = {.config = e->config,
                                .ranks = e->group->size,
                                .tokens = dim[1] * dim[2] * dim[3] / ((int64_t)patch[0] * patch[1] * patch[2]),
                                .guided = shot->guidance > 1,
                                .elem_bytes = backend_elem_bytes(&o),
                                .memory_bytes = o.memory_bytes};
    if (split) e->split = *split;
    TRY(split ? split_check(&question, split) : split_choose(&question, &e->split));
    TRY(split_open(e->config, &e->split, e->group, &e->ranks));
    text_divide(e->text, e->ranks.text);
    for (int i = 0; i < MAX_EXPERTS; i++)
        if (e->dit[i]) dit_divide(e->dit[i], e->ranks.tensor, e->ranks.sequence);
    if (e->vision) vision_divide(e->vision, e->ranks.vision);
    if (e->speech) speech_divide(e->speech, e->ranks.speech);
    return status_ok();
}

/* ---- adapters ---------------------------------------------------------------------------------------------------------- */

static Status open_adapters(const Engine *e, const EngineAdapter *adapter, int count, int expert, Adapters **out)
{
    AdapterOrder order[ENGINE_MAX_ADAPTERS];
    int n = 0;
    for (int i = 0; i < count; i++)
        if (adapter[i].expert == ADAPTER_BOTH || adapter[i].expert == (expert == 0 ? ADAPTER_HIGH : ADAPTER_LOW))
            order[n++] = (AdapterOrder){.file = adapter[i].file,
                                        .scale = adapter[i].scale,
                                        .two = e->dit[1] != NULL,
                                        .both = e->dit[1] && adapter[i].expert == ADAPTER_BOTH};
    *out = NULL;
    if (n == 0) return status_ok();
    WeightSource *source = NULL;
    Status status = adapters_open(order, n, expert == 1, out);
    if (!failed(status)) status = engine_open_source(e->config, PART_DIT + expert, &source);
    if (!failed(status)) {
        weights_adapt(source, *out);
        status = weights_check(dit_plan(e->dit[expert]), source);
    }
    weights_close(&source);
    if (failed(status)) adapters_close(out);
    return status;
}

static Status change_adapters(Engine *e, int expert, Adapters *now)
{
    Adapters *before = e->adapters[expert];
    Status status = status_ok();
    e->adapters[expert] = now;
    e->has_plan = false; /* what they change does not stay in 8 bits */
    if (dit_is_loaded(e->dit[expert])) {
        WeightSource *source = NULL;
        status = engine_open_source(e->config, PART_DIT + expert, &source);
        if (!failed(status)) {
            weights_adapt(source, now);
            status = dit_reload(e->dit[expert], source, e->be, before, now);
        }
        engine_close_source(e, &source);
        if (failed(status)) dit_unload(e->dit[expert]);
    }
    adapters_close(&before);
    return status;
}

/* Those of each transformer; on failure, none. */
static Status open_all_adapters(const Engine *e, const EngineAdapter *adapter, int count, Adapters *out[MAX_EXPERTS])
{
    Status status = status_ok();
    if (count > ENGINE_MAX_ADAPTERS)
        return status_fail(ERR_INPUT, "%d LoRA files, expected at most %d", count, ENGINE_MAX_ADAPTERS);
    for (int i = 0; i < count; i++)
        if (adapter[i].expert != ADAPTER_BOTH && !e->dit[1])
            return status_fail(ERR_INPUT, "%s: for the %s-noise transformer, but this model has one transformer only",
                               adapter[i].file, adapter[i].expert == ADAPTER_HIGH ? "high" : "low");
    for (int i = 0; i < MAX_EXPERTS && !failed(status); i++)
        if (e->dit[i]) status = open_adapters(e, adapter, count, i, &out[i]);
    for (int i = 0; i < MAX_EXPERTS && failed(status); i++) adapters_close(&out[i]);
    return status;
}

Status engine_check_adapters(const Engine *e, const EngineAdapter *adapter, int count)
{
    Adapters *opened[MAX_EXPERTS] = {0};
    Status status = open_all_adapters(e, adapter, count, opened);
    for (int i = 0; i < MAX_EXPERTS; i++) adapters_close(&opened[i]);
    return status;
}

static Status set_adapters(Engine *e, const EngineAdapter *adapter, int count)
{
    Adapters *now[MAX_EXPERTS] = {0};
    Status status = open_all_adapters(e, adapter, count, now);
    for (int i = 0; i < MAX_EXPERTS; i++) {
        if (e->dit[i] && (now[i] || e->adapters[i])) {
            Status changed = change_adapters(e, i, now[i]);
            if (!failed(status)) status = changed;
        }
    }
    return status;
}

/* One text for one set of adapters: a file counts as another one when its size or its time of change is another. */
static char *describe_adapters(const EngineAdapter *adapter, int count)
{
    char *text = count ? text_copy("") : NULL;
    for (int i = 0; i < count; i++) {
        char *file = adapters_identity(adapter[i].file);
        char *longer = text_format("%s%s\n%.17g %d\n", text, file, adapter[i].scale, (int)adapter[i].expert);
        free(file);
        free(text);
        text = longer;
    }
    return text;
}

Status engine_set_adapters(Engine *e, const EngineAdapter *adapter, int count)
{
    char *text = describe_adapters(adapter, count);
    const bool same = text ? e->adapters_text && strcmp(text, e->adapters_text) == 0 : !e->adapters_text;
    Status status = same ? status_ok() : set_adapters(e, adapter, count);
    free(e->adapters_text);
    e->adapters_text = failed(status) ? NULL : text;
    if (failed(status)) free(text);
    return coll_agree(e->group, status);
}

/* Scores in int8 are computed of heads of one size only. */
static Status check_scores(const ModelConfig *c, const BackendOptions *o)
{
    if (o->scores != INT8 || c->dit.head_dim == BACKEND_SCORES_HEAD) return status_ok();
    return status_fail(
        ERR_INPUT, "--dtype int8 on a GPU is made for heads of %d numbers, and this model's have %d: take bf16 or fp8",
        BACKEND_SCORES_HEAD, c->dit.head_dim);
}

static Status prepare(Engine *e, const char *model_folder, const BackendOptions *o)
{
    TRY(model_config_read(model_folder, &e->config));
    TRY(check_scores(e->config, o));
    TRY(open_parts(e));
    return backend_open(o, &e->be);
}

Status engine_open_group(const char *model_folder, const BackendOptions *o, Coll *group, const Split *split,
                         const ShotSpec *shot, Engine **out)
{
    Engine *e = memory_get(1, sizeof *e);
    *out = NULL;
    e->group = e->processes = group;
    Status status = coll_agree(group, prepare(e, model_folder, o));
    if (!failed(status)) status = coll_agree(group, coll_on_device(group, e->be, &e->group));
    if (!failed(status)) status = coll_agree(group, divide(e, split, shot ? shot : &e->config->defaults));
    if (failed(status)) engine_close(&e);
    *out = e;
    return status;
}

Status engine_open_headers(const char *model_folder, Engine **out)
{
    Engine *e = memory_get(1, sizeof *e);
    e->group = e->processes = coll_self();
    Status status = model_config_read(model_folder, &e->config);
    if (!failed(status)) status = open_parts(e);
    if (failed(status)) engine_close(&e);
    *out = e;
    return status;
}

static Status prepare_decoder(Engine *e, const char *model_folder, const BackendOptions *o)
{
    TRY(model_config_read(model_folder, &e->config));
    e->decoder = vae_new(&e->config->vae, VAE_DECODER);
    TRY(check_part(e, PART_DECODER, vae_plan(e->decoder)));
    return backend_open(o, &e->be);
}

Status engine_open_decoder(const char *model_folder, const BackendOptions *o, Engine **out)
{
    Engine *e = memory_get(1, sizeof *e);
    e->group = e->processes = coll_self();
    e->split = (Split){1, 1, 1};
    Status status = prepare_decoder(e, model_folder, o);
    if (failed(status)) engine_close(&e);
    *out = e;
    return status;
}

Status engine_open(const char *model_folder, const BackendOptions *o, Engine **out)
{
    return engine_open_group(model_folder, o, coll_self(), NULL, NULL, out);
}

void engine_close(Engine **e)
{
    if (!*e) return;
    text_free(&(*e)->text);
    weights_close(&(*e)->text_source);
    for (int i = 0; i < MAX_EXPERTS; i++) {
        dit_free(&(*e)->dit[i]);
        adapters_close(&(*e)->adapters[i]);
    }
    free((*e)->adapters_text);
    vae_free(&(*e)->decoder);
    vae_free(&(*e)->encoder);
    vision_free(&(*e)->vision);
    speech_free(&(*e)->speech);
    tokenizer_close(&(*e)->tokenizer);
    split_close(&(*e)->ranks, (*e)->group);
    if ((*e)->group != (*e)->processes) coll_close(&(*e)->group);
    backend_close(&(*e)->be);
    model_config_free(&(*e)->config);
    free(*e);
    *e = NULL;
}

const ModelConfig *engine_config(const Engine *e) { return e->config; }

Backend *engine_backend(Engine *e) { return e->be; }
Coll *engine_group(Engine *e) { return e->group; }
Split engine_split(const Engine *e) { return e->split; }

void engine_kind(const Engine *e, char *text, size_t room)
{
    char backend[64];
    backend_kind(e->be, backend, sizeof backend);
    const BackendOptions o = backend_options(e->be);
    snprintf(text, room, "%s %dx%dx%d%s", backend, e->split.guidance, e->split.sequence, e->split.tensor,
             backend_exact_type(&o) == F32 ? "" : " bf16 VAE");
}

int64_t engine_bytes_read(const Engine *e)
{
    return e->bytes_read + (e->text_source ? weights_bytes_read(e->text_source) : 0);
}

void engine_latent_dims(const ModelConfig *c, const ShotSpec *s, int64_t dim[4])
{
    dim[0] = c->vae.z_dim;
    dim[1] = c->dit.sound_count ? CHAIN_CLIP_LATENTS : (s->frames - 1) / c->vae.scale_time + 1;
    dim[2] = s->height / c->vae.scale_space;
    dim[3] = s->width / c->vae.scale_space;
}

void engine_result_dims(const ModelConfig *c, const ShotSpec *s, int64_t dim[4])
{
    engine_latent_dims(c, s, dim);
    if (c->dit.sound_count) dim[1] = chain_latents(chain_clips(s->frames));
}

int engine_steps(const ModelConfig *c, const ShotSpec *s)
{
    return s->steps * (c->dit.sound_count ? chain_clips(s->frames) : 1);
}

/* ---- size ------------------------------------------------------------------------------------------------------ */

static void measure(const char *name, const WeightPlan *plan, WeightSource *narrow, int ranks, int elem_bytes,
                    EnginePart *part)
{
    part->name = name;
    weights_measure(plan, narrow, ranks, elem_bytes, &part->parameters, &part->rank_bytes);
    weights_close(&narrow);
}

int engine_measure(const ModelConfig *c, int ranks, const BackendOptions *o, EnginePart part[ENGINE_MAX_PARTS])
{
    int n = 0;
    const int elem_bytes = backend_elem_bytes(o), exact_bytes = (int)dtype_bytes(backend_exact_type(o));
    TextEncoder *text = text_new(&c->text);
    Dit *dit = dit_new(&c->dit);
    Vae *decoder = vae_new(&c->vae, VAE_DECODER), *encoder = vae_new(&c->vae, VAE_ENCODER);
    Vision *vision = c->has_image_encoder ? vision_new(&c->vision, "") : NULL;
    Speech *speech = c->dit.sound_count ? speech_new(&c->speech, "") : NULL;
    const int tensor = split_most_tensor(c, ranks).tensor;
    measure("text_encoder", text_plan(text), engine_narrow_source(c, o, PART_TEXT),
            split_encoder_ranks(c->text.heads, ranks), elem_bytes, &part[n++]);
    for (int i = 0; i < (c->two_transformers ? 2 : 1); i++)
        measure(dit_folder[i], dit_plan(dit), engine_narrow_source(c, o, PART_DIT + i), tensor, elem_bytes, &part[n++]);
    measure("vae decoder", vae_plan(decoder), NULL, ranks, exact_bytes, &part[n++]);
    measure("vae encoder", vae_plan(encoder), NULL, ranks, exact_bytes, &part[n++]);
    if (vision)
        measure("image_encoder", vision_plan(vision), NULL, split_encoder_ranks(c->vision.heads, ranks), exact_bytes,
                &part[n++]);
    if (speech)
        measure("audio_encoder", speech_plan(speech), NULL, split_encoder_ranks(c->speech.heads, ranks), exact_bytes,
                &part[n++]);
    text_free(&text);
    dit_free(&dit);
    vae_free(&decoder);
    vae_free(&encoder);
    vision_free(&vision);
    speech_free(&speech);
    return n;
}

/* ---- text ------------------------------------------------------------------------------------------------------------------------ */

const int engine_most_tokens = TEXT_MAX_TOKENS;

Status engine_count_tokens(const Engine *e, const char *text, int *count, char read[HASH_TEXT])
{
    int64_t ids[4 * TEXT_MAX_TOKENS];
    TRY(tokenizer_encode(e->tokenizer, text, 4 * TEXT_MAX_TOKENS, ids, count));
    if (*count > TEXT_MAX_TOKENS) ids[TEXT_MAX_TOKENS - 1] = ids[*count - 1]; /* the end stands last */
    hash_bytes(ids, TEXT_MAX_TOKENS * sizeof *ids, read);
    return status_ok();
}

Status engine_encode(Engine *e, const char *text, const char *name, const Trace *trace, PromptEmbeds *out)
{
    int64_t ids[TEXT_MAX_TOKENS];
    const int64_t all = TEXT_MAX_TOKENS;
    int count = 0;
    *out = (PromptEmbeds){0};
    TRY(tokenizer_encode(e->tokenizer, text, TEXT_MAX_TOKENS, ids, &count));
    trace_ints(trace, ids, 1, &all, "%s.ids", name);
    if (!e->has_plan) engine_expect(e, &e->config->defaults);
    TRY(engine_need(e, PART_TEXT));
    ArenaMark mark = backend_mark(e->be);
    Tensor rows = {0};
    Status status = text_encode(e->text, ids, count, &rows);
    if (!failed(status)) {
        trace_tensor(trace, e->be, rows, "%s.embeds", name);
        *out = (PromptEmbeds){memory_get((size_t)tensor_count(rows), sizeof(float)), count, e->config->text.d_model};
        backend_download(e->be, rows, out->rows);
        status = engine_take_failure(e);
        if (!failed(status))
            status = coll_host_broadcast(e->group, out->rows, (size_t)tensor_count(rows) * sizeof(float), 0);
    }
    backend_release(e->be, mark);
    if (failed(status)) prompt_embeds_free(out);
    return status;
}

void prompt_embeds_free(PromptEmbeds *p)
{
    free(p->rows);
    *p = (PromptEmbeds){0};
}
