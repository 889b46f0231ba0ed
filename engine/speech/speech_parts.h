/* speech_parts.h - the inside of Speech, for speech*.c. */
#ifndef REELWRIGHT_SPEECH_PARTS_H
#define REELWRIGHT_SPEECH_PARTS_H

#include "engine/speech/encoder_layer.h"
#include "engine/speech/speech.h"

typedef struct {
    Linear first; /* the first one: of windows that the host lays out as rows */
    Conv conv;    /* the others */
    Tensor gain, bias;
} SpeechConv;

struct Speech {
    SpeechConfig config;
    Backend *be;
    Coll *tensor;
    int heads; /* of this rank */
    WeightPlan plan;
    SpeechConv conv[SPEECH_MAX_CONVS];
    Tensor project_gain, project_bias;
    Linear project;
    Tensor position_length, position_direction, position_bias; /* direction: none once it is packed */
    Conv *position;                                            /* one for each group of channels */
    Tensor norm_gain, norm_bias;
    EncoderLayer *layer;
};

int64_t speech_rows(const SpeechConfig *c, int64_t samples); /* at 50 a second; 0: too short */
/* Of one layer: its rows [rows, width], times its share, are added to the frames of all clips, [clips][width][CHAIN_CLIP_FRAMES]. */
void speech_pick(const float *hidden, int64_t rows, float share, int clips, int64_t width, double *mixed);

#endif
