/* engine.h - a loaded model and the four things it does: encode a prompt, draw noise, denoise, decode.
 *
 *     engine_open -> engine_encode (once per distinct prompt)
 *                 -> denoise_begin / denoise_step x steps / denoise_end -> latents
 *                 -> decode_begin / decode_next x latent frames / decode_end -> frames of pixels
 *
 * The engine knows no MPI, HDF5, libav or SQLite. One Engine is used by one thread at a time. Weights are loaded and packed
 * once: `engine_open` reads configs and checks every tensor's name, shape and type against them before any is loaded; a
 * component's weights are loaded at its first use and stay, unless another one needs their room: before each stage of a shot the plan of
 * what it takes is compared with what the process can still have (kernels/machine.h), and what is needed last is dropped first, and
 * loaded again when it is needed. */
#ifndef REELWRIGHT_ENGINE_H
#define REELWRIGHT_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/model_config.h"
#include "common/shot.h"
#include "common/status.h"
#include "engine/sample/noise.h"
#include "engine/wan/picture.h"
#include "engine/wan/split.h"
#include "engine/weights/trace.h"
#include "kernels/ops.h"

typedef struct Engine Engine;

Status engine_open(const char *model_folder, const BackendOptions *o, Engine **out);
/* One rank's engine of a group that renders together (the group is borrowed and outlives the engine): every rank makes the same
 * calls, with the same arguments, and gets the same results bit for bit, pixels excepted: those are the first rank's. A Status that
 * says "failed" on one rank says so on all: the ranks agree on it before they go on. split NULL: chosen for the model and `shot`. */
Status engine_open_group(const char *model_folder, const BackendOptions *o, Coll *group, const Split *split,
                         const ShotSpec *shot, Engine **out);
/* Everything of the model but its numbers: config.json, the headers of the weights against it, the tokenizer. Nothing can be
 * rendered with it. ERR_INPUT as above. */
Status engine_open_headers(const char *model_folder, Engine **out);
/* Only to decode, on one process: the decoder alone is checked and loaded. */
Status engine_open_decoder(const char *model_folder, const BackendOptions *o, Engine **out);
/* A second engine (engine_open_decoder) of this model may decode a shot of this size while this one is at the next: the largest stage and
 * the decoder fit together into this process's share of the machine's memory, and into what it has and can still have. beside_bytes:
 * what the second engine holds already (engine_held_bytes). False on a device: there the two would take its units from each other, and
 * the back end is used by one thread. */
bool engine_decodes_beside(Engine *e, const ShotSpec *s, int64_t beside_bytes);
int64_t engine_held_bytes(const Engine *e); /* weights, and what activations have had */
/* How many tokens a text has, up to a few more than the model reads; `read`: SHA-256 of those that it reads. */
Status engine_count_tokens(const Engine *e, const char *text, int *count, char read[HASH_TEXT]);
extern const int engine_most_tokens; /* that the model reads of a prompt */
void engine_close(Engine **e);
Coll *engine_group(Engine *e);
Split engine_split(const Engine *e);
/* "cpu AVX-512 1x1x2": back end, instruction set and split. What the same build computes in one type is the same, bit for bit, where
 * this is the same. */
void engine_kind(const Engine *e, char *text, size_t room);
int64_t engine_bytes_read(const Engine *e); /* of weights, from files, so far */
const ModelConfig *engine_config(const Engine *e);
Backend *engine_backend(Engine *e);

/* A LoRA file for the transformer: engine/weights/adapter.h. */
typedef enum { ADAPTER_BOTH, ADAPTER_HIGH, ADAPTER_LOW } AdapterExpert; /* of two: for high noise, for low noise */
typedef struct {
    const char *file;
    double scale;
    AdapterExpert expert;
} EngineAdapter;
enum { ENGINE_MAX_ADAPTERS = 16 };
/* These, and no others, from now on; count 0: none. On every rank. Headers are read and compared with the model at once, and
 * numbers are looked at: none may be infinite. Of a loaded
 * transformer only the tensors that an adapter changes are read again. ERR_INPUT names file and tensor; then the engine has none. */
Status engine_set_adapters(Engine *e, const EngineAdapter *adapter, int count);
/* Only what it would say of them; of an engine of headers as well. */
Status engine_check_adapters(const Engine *e, const EngineAdapter *adapter, int count);

/* How large the model's networks are, from the config, and where its files are there from what they keep in 8 bits. */
typedef struct {
    const char *name; /* the folder: "text_encoder", "transformer", ... */
    int64_t parameters;
    int64_t rank_bytes; /* what one of `ranks` ranks holds in memory, in the types that the options say */
} EnginePart;
enum { ENGINE_MAX_PARTS = 7 };
/* Divided by tensor as far as `ranks` ranks can (split_most_tensor); the autoencoder is the first rank's. */
int engine_measure(const ModelConfig *c, int ranks, const BackendOptions *o, EnginePart part[ENGINE_MAX_PARTS]);

/* What one shot takes on this back end, by stage: bytes of the weights, and of everything else at most. The stages follow each other, and
 * the engine can drop what an earlier one loaded, so the largest sum must fit. Computed by running the stages on a back end
 * that only counts: of files that are there headers are read, for what they keep in 8 bits; nothing large is allocated. */
typedef struct {
    int64_t weights, work;
    int tiles; /* that the autoencoder takes a frame in, to stay below the bound if it can */
} StagePlan;
typedef struct {
    StagePlan text, encode, denoise, decode; /* encode: zero for a text-only model */
} EnginePlan;
Status engine_plan(const ModelConfig *c, const BackendOptions *o, const ShotSpec *s, int64_t bound_bytes,
                   EnginePlan *out);
/* The same of the rank with the largest share of a group that divides the shot so; encode and decode are the first rank's. */
Status engine_plan_rank(const ModelConfig *c, const BackendOptions *o, const ShotSpec *s, const Split *split,
                        int64_t bound_bytes, EnginePlan *out);

/* ---- text: UMT5 ---- */
typedef struct {
    float *rows; /* [count, dim] fp32: the rows that are not padding */
    int count, dim;
} PromptEmbeds;
/* name is "prompt" or "negative" (for the trace, which may be NULL). */
Status engine_encode(Engine *e, const char *text, const char *name, const Trace *trace, PromptEmbeds *out);
void prompt_embeds_free(PromptEmbeds *p);

/* ---- noise and latents ---- */
/* [C,F,H,W] of what is denoised at a time, in this order: of the shot, or of one clip of a model that speaks (common/chain.h). */
void engine_latent_dims(const ModelConfig *c, const ShotSpec *s, int64_t dim[4]);
/* ... and of what is decoded in the end. */
void engine_result_dims(const ModelConfig *c, const ShotSpec *s, int64_t dim[4]);
/* Denoising steps of the shot, of all its clips. */
int engine_steps(const ModelConfig *c, const ShotSpec *s);

/* ---- what a shot is conditioned on besides its prompt ---- */
typedef struct {                       /* all zero = nothing; which of it a model takes is checked */
    const Picture *image, *last_image; /* first and last frame, resized to the shot's size */
    const Picture *reference;          /* VACE: people and things to show, fitted onto a white canvas */
    int references;
    const Picture *video, *mask; /* VACE: video_frames each, or NULL; white in the mask is generated */
    int video_frames;            /* at most the shot's; fewer leave the clip's end uncontrolled */
    const float *control_scale;  /* one per control layer, or one for all, or NULL = 1 */
    int control_scales;
    const float *sound; /* a model that speaks: what is said, one channel, 16,000 a second */
    int64_t sound_samples;
} Conditions;

/* ---- denoising ---- */
typedef struct Denoise Denoise;

/* A tensor of a shape of its own. */
typedef struct {
    char name[24];  /* small letters */
    int64_t dim[4]; /* [C,F,H,W] */
    float *data;
} StateTensor;
enum { STATE_MOST_TENSORS = 4 };
static inline int64_t state_tensor_count(const StateTensor *t) { return t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3]; }

/* Everything that a resumed run needs besides the shot: a whole checkpoint is (step, latents, solver, more). */
typedef struct {
    int step;         /* steps done, of all clips */
    float *latents;   /* [C,F,H,W], on the host */
    int solver_count; /* solver history tensors of the latents' shape, oldest first, and small scalars */
    float *solver[4];
    int lower_order_nums;
    int more_count; /* what a model that speaks made so far (engine/clips.h) */
    StateTensor more[STATE_MOST_TENSORS];
} DenoiseState;

/* noise: [C,F,H,W] or NULL to draw it from the seed. negative may be NULL when guidance <= 1. The embeds are copied. */
Status denoise_begin(Engine *e, const ShotSpec *s, const PromptEmbeds *prompt, const PromptEmbeds *negative,
                     const float *noise, const Trace *trace, Denoise **out);
/* The same with conditions (NULL = none); pictures are read during the call only. */
Status denoise_begin_with(Engine *e, const ShotSpec *s, const PromptEmbeds *prompt, const PromptEmbeds *negative,
                          const Conditions *conditions, const float *noise, const Trace *trace, Denoise **out);
/* Of the latents: frames are engine_latent_dims' plus one per reference picture. */
void denoise_dims(const Denoise *d, int64_t dim[4]);
/* What is to be decoded when all steps are done (decode_parts.h): the latents with the given first frame put back and the reference frames
 * dropped, or those of all clips. latents has room for engine_result_dims. */
Status denoise_result(Denoise *d, float *latents);
/* One step: up to two transformer evaluations and the solver update. On a GPU it may return before the work is done:
 * denoise_finish waits for it, as do those who ask for numbers. */
Status denoise_step(Denoise *d);
Status denoise_finish(Denoise *d);
int denoise_steps_done(const Denoise *d);
/* Whether a run can go on from here with its state alone: not before a step that reuses what an earlier one kept (ShotSpec.reused_steps).
 * Such a step costs next to nothing: whoever wants to stop takes it first. */
bool denoise_can_rest(const Denoise *d);
/* For calibration, from the first step on: what the transformer's layers add to the tokens is kept at every step, and read after it: *rows
 * [count], free() it; of this rank's tokens. */
void denoise_watch(Denoise *d);
Status denoise_kept(Denoise *d, float **rows, int64_t *count);
/* The state (where it can rest; borrowed pointers, valid until the next call), and going on from one: bit for bit what an undisturbed run gives. */
Status denoise_state(Denoise *d, DenoiseState *out);
Status denoise_restore(Denoise *d, const DenoiseState *state);
void denoise_end(Denoise **d);

/* ---- decoding ---- */
typedef struct Decode Decode;
/* Starts with the shot's final latents [C,F,H,W] (copied). On the first rank of a group: the others have nothing to do. */
Status decode_begin(Engine *e, const float *latents, const int64_t dim[4], const Trace *trace, Decode **out);
/* The frames of the next latent frame: *frames [n,H,W,3] fp32 in [0,1], borrowed until the next call; n = 1 for the first,
 * then 4; n = 0 at the end. */
Status decode_next(Decode *d, const float **frames, int *n);
void decode_end(Decode **d);

#endif
