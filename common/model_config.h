/* model_config.h - what a model folder (Hugging Face diffusers layout) says about itself: every architecture number, the
 * pipeline's defaults, and the identity of its bytes. No weight is read here except to hash it.
 *
 * The engine builds the model from it; the coordinator checks campaigns with it. */
#ifndef REELWRIGHT_MODEL_CONFIG_H
#define REELWRIGHT_MODEL_CONFIG_H

#include <stdbool.h>

#include "common/distilled.h"
#include "common/hash.h"
#include "common/json_fields.h"
#include "common/shot.h"

enum { VAE_MAX_STAGES = 8, VAE_MAX_Z = 64, VACE_MAX_LAYERS = 64, SOUND_MAX_LAYERS = 64 };

typedef struct { /* text_encoder/config.json (UMT5) */
    int vocab_size, d_model, d_kv, d_ff, layers, heads;
    int buckets, max_distance; /* relative attention */
    float eps;
} TextConfig;

typedef struct { /* transformer/config.json */
    int patch[3];
    int heads, head_dim, in_channels, out_channels, text_dim, freq_dim, ffn_dim, layers;
    int rope_max_len;
    bool cross_norm;
    float eps;
    int image_dim, added_kv_dim, pos_embed_len;            /* 0 = none */
    int vace_layers[VACE_MAX_LAYERS], vace_count, vace_in; /* control branch; count 0 = none */
    /* a model that speaks: it hears after these layers; count 0 = none */
    int sound_layers[SOUND_MAX_LAYERS], sound_count;
    int sound_dim;    /* of the sound's features, a hidden state of wav2vec2 */
    int sound_tokens; /* for each latent frame, besides one that pads */
    int sound_states; /* how many of wav2vec2's hidden states are mixed: all of them */
    int pose_channels;
} DitConfig;

typedef struct { /* vae/config.json */
    int base_dim, decoder_base_dim, z_dim, stages, dim_mult[VAE_MAX_STAGES], res_blocks;
    bool time_down[VAE_MAX_STAGES];       /* temperal_downsample: stages - 1 of them */
    bool residual;                        /* is_residual */
    int in_channels, out_channels, patch; /* patch 1 = none */
    int scale_space, scale_time;
    float mean[VAE_MAX_Z], std[VAE_MAX_Z];
} VaeConfig;

typedef struct { /* image_encoder/config.json (CLIP vision) and image_processor/preprocessor_config.json */
    int width, ffn_dim, layers, heads, image_size, patch;
    float eps;
    int shortest; /* the picture's shorter side before the crop to image_size */
    double rescale;
    float mean[3], std[3];
} VisionConfig;

enum { SPEECH_MAX_CONVS = 16 };

typedef struct { /* audio_encoder/config.json (wav2vec2) and audio_encoder/preprocessor_config.json, if there is one */
    int width, ffn_dim, layers, heads;
    float eps;
    int convs, conv_dim[SPEECH_MAX_CONVS], conv_kernel[SPEECH_MAX_CONVS], conv_stride[SPEECH_MAX_CONVS];
    int position_kernel, position_groups;
    bool normalize; /* the sound to mean 0 and variance 1 */
} SpeechConfig;

typedef struct {   /* scheduler/scheduler_config.json */
    char kind[16]; /* "unipc", "euler" or "lcm" */
    double flow_shift;
    int train_steps; /* num_train_timesteps */
    int order;       /* solver_order */
    bool lower_order_final, predict_x0, bh2;
    bool disable_corrector[64];
    bool final_sigma_zero;
} SchedulerConfig;

typedef struct {
    char *folder;
    char pipeline[64];     /* _class_name of model_index.json */
    double boundary_ratio; /* 0 = one transformer */
    bool expand_timesteps;
    bool two_transformers, has_image_encoder;
    TextConfig text;
    DitConfig dit;
    VaeConfig vae;
    VisionConfig vision; /* when has_image_encoder */
    SpeechConfig speech; /* when dit.sound_count */
    SchedulerConfig scheduler;
    Distilled distilled; /* when its transformer is fused with a step-distilled adapter: reelwright.json says so */
    /* the pipeline's defaults, and those that the folder's optional reelwright.json states (size, frames, fps, steps,
     * guidance, flow_shift, scheduler, sigmas, negative), which is how the pocket model says 64x112, 33 frames, 8 per second */
    ShotSpec defaults;
} ModelConfig;

/* ERR_INPUT names file and field: missing, of the wrong type, out of range, or a kind that is not supported. */
Status model_config_read(const char *folder, ModelConfig **out);
void model_config_free(ModelConfig **c);

/* The transformer's file of a model that speaks, under the publishers' names of fields (WanModel_S2V). */
void model_config_read_s2v(Fields *f, DitConfig *c);
/* ERR_INPUT: the second transformer of two is of another shape; names file, key and both values. */
Status model_config_check_second(const char *folder, const DitConfig *first, const DitConfig *second);
/* Its part of model_config_read. */
Status model_config_read_scheduler(const char *folder, SchedulerConfig *c);
/* What a model that hears has besides, in FOLDER/audio_encoder. */
Status model_config_read_speech(const char *folder, SpeechConfig *c);

/* Refuses what the model cannot render (frames not 4k+1, a size that is no multiple of VAE scale times patch, steps,
 * guidance out of range, ...): ERR_INPUT "frames = 30, expected 4k+1 (29 or 33)". */
Status model_config_check_shot(const ModelConfig *c, const ShotSpec *s);

/* What a shot may or must be made from besides its prompt. */
typedef struct {
    bool image, needs_image, last_image, needs_last_image;
    bool control; /* references, control video, mask and scale */
    bool sound;   /* what is spoken: taken and needed */
} ModelMedia;
ModelMedia model_config_media(const ModelConfig *c);

/* SHA-256 over the sorted relative names and contents of every file of the folder that determines what is rendered
 * (configs, weights, tokenizer). Cached beside nothing: the caller stores it. */
Status model_config_hash(const char *folder, char hash[HASH_TEXT]);
/* The same of one part, "transformer" or "vae", alone. */
Status model_config_hash_part(const char *folder, const char *part, char hash[HASH_TEXT]);

#endif
