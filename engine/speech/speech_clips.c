/* speech_clips.c - from rows at 50 a second to the frames of clips. */
#include <math.h>
#include <stdlib.h>

#include "engine/speech/speech_parts.h"

enum { ROWS_A_SECOND = 50, PICKS_A_SECOND = 30 };

int64_t speech_rows(const SpeechConfig *c, int64_t samples)
{
    for (int i = 0; i < c->convs; i++) {
        if (samples < c->conv_kernel[i]) return 0;
        samples = (samples - c->conv_kernel[i]) / c->conv_stride[i] + 1;
    }
    return samples;
}

/* In this order and type: the reference's product is just below a whole number in places. */
static int64_t picks_of(int64_t rows) { return (int64_t)((double)rows / ROWS_A_SECOND * PICKS_A_SECOND); }

int speech_clip_count(const SpeechConfig *c, int64_t samples)
{
    const int64_t picks = picks_of(speech_rows(c, samples));
    return picks < 1 ? 0 : (int)(picks * CHAIN_FPS / (CHAIN_CLIP_FRAMES * PICKS_A_SECOND)) + 1;
}

int64_t speech_least_samples(const SpeechConfig *c)
{
    int64_t samples = 2; /* rows */
    for (int i = c->convs - 1; i >= 0; i--) samples = (samples - 1) * c->conv_stride[i] + c->conv_kernel[i];
    return samples;
}

void speech_pick(const float *hidden, int64_t rows, float share, int clips, int64_t width, double *mixed)
{
    const int64_t picks = picks_of(rows);
    const float step = picks > 1 ? (float)(rows - 1) / (float)(picks - 1) : 0;
    for (int64_t i = 0; i < (int64_t)clips * CHAIN_CLIP_FRAMES; i++) {
        const int64_t pick = (int64_t)rint((double)i * PICKS_A_SECOND / CHAIN_FPS); /* halves to the even one */
        if (pick >= picks) return;                                                  /* what is left stays zero */
        const float at = step * (float)pick;
        const int64_t below = (int64_t)at < rows ? (int64_t)at : rows - 1, above = below + 1 < rows ? below + 1 : below;
        const float more = at - (float)below, less = 1 - more;
        const float *a = hidden + below * width, *b = hidden + above * width;
        double *to = mixed + i / CHAIN_CLIP_FRAMES * width * CHAIN_CLIP_FRAMES + i % CHAIN_CLIP_FRAMES;
        for (int64_t d = 0; d < width; d++) {
            const float picked = less * a[d] + more * b[d]; /* in the reference's type; then the mixture in double */
            to[d * CHAIN_CLIP_FRAMES] += (double)picked * share;
        }
    }
}

const float *speech_clip(const SpeechFeatures *f, int clip)
{
    return clip >= f->clips ? NULL : f->number + (int64_t)clip * f->width * CHAIN_CLIP_FRAMES;
}

void speech_features_clear(SpeechFeatures *f)
{
    free(f->number);
    *f = (SpeechFeatures){0};
}
