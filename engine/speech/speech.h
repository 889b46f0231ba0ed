/* speech.h - what a video model hears of a voice: wav2vec2 over the whole sound, and of a mixture of its layers what the frames of a clip take.
 *
 * Sound of 16,000 samples a second gives 50 rows a second at each layer; between these lie 30 a second (linear, the ends on the ends),
 * and frame i of all clips takes row round(i * 30/16), or zeros behind the last.
 * Source: transformers' Wav2Vec2Model with do_stable_layer_norm; Wan2.2's wan/modules/s2v/audio_encoder.py. Computed in
 * backend_begin_exact's precision. */
#ifndef REELWRIGHT_SPEECH_H
#define REELWRIGHT_SPEECH_H

#include "common/chain.h"
#include "common/model_config.h"
#include "engine/weights/trace.h"
#include "engine/weights/weights.h"
#include "kernels/coll.h"
#include "kernels/ops.h"

enum { SPEECH_RATE = 16000 /* samples a second */, SPEECH_MAX_S = 600 };

typedef struct Speech Speech;

/* prefix: "" or "wav2vec2.", before every name in the file */
Speech *speech_new(const SpeechConfig *c, const char *prefix); /* no weights yet */
void speech_divide(Speech *s, Coll *tensor);                   /* as text_divide */
const WeightPlan *speech_plan(const Speech *s);
/* Files of the published models have "wav2vec2." before every name, those of Wav2Vec2Model alone do not. */
const char *speech_prefix(const WeightSource *s);
Status speech_load(Speech *s, WeightSource *source, Backend *be);
bool speech_is_loaded(const Speech *s);
void speech_unload(Speech *s); /* frees the weights; speech_load brings them back */
void speech_free(Speech **s);
/* All of it: config and weights of MODEL_FOLDER/audio_encoder, compared, divided among the ranks of `tensor` and loaded. */
Status speech_open(const char *model_folder, Backend *be, Coll *tensor, Speech **out);

/* Of the whole sound: clips = frames in it / 80 + 1, so that one more, of zeros, follows where the last is full. 0: shorter than
 * speech_least_samples. */
int speech_clip_count(const SpeechConfig *c, int64_t samples);
int64_t speech_least_samples(const SpeechConfig *c); /* that give a row of 30 a second; 720 */

typedef struct
{ /* [clips][width][CHAIN_CLIP_FRAMES]: the layers mixed; on the host. Apart they would be 1 GB of ten minutes */
    int clips, width;
    float *number; /* owned */
} SpeechFeatures;

/* pcm: the whole sound, one channel, any loudness. shares: of each hidden layer and the last, SiLU(share) / their sum is what it counts
 * (audio_encoder.h). trace may be NULL. Every rank of the group has the whole result. On a back end that plans pcm and shares may be NULL.
 * ERR_INPUT: too short, or longer than SPEECH_MAX_S. */
Status speech_features(Speech *s, const float *shares, const float *pcm, int64_t samples, const Trace *trace,
                       SpeechFeatures *out);
void speech_features_clear(SpeechFeatures *f);
/* [width][CHAIN_CLIP_FRAMES] of one clip; NULL behind the last: nothing is heard */
const float *speech_clip(const SpeechFeatures *f, int clip);

#endif
