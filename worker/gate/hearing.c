#include "hearing.h"

#include <ebur128.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/file.h"

enum { CLIPPED_RUN = 3, BLOCKS_PER_S = 100, LONG_SILENCE = 30 /* blocks */, LEAST_CLIPPED = 5 };
static const float full_scale = 0.995f; /* AAC does not give 1 back exactly */
static const double silent = 1e-6;      /* mean square: -60 dBFS */
static const double free_s = 2;
static const double dead = 1e-8;  /* mean square of one channel: -80 dBFS */
static const double heard = 1e-4; /* of the other one: -40 dBFS */
static const double lost_s =
    2; /* dead for so long or a third of the sound: what is panned to one side pauses for less */

struct Hearing {
    ebur128_state *ebu;
    int channels, rate, block_samples;
    int64_t count;
    int *run;    /* of each channel: samples at full scale in turn */
    int clipped; /* in this second */
    int64_t second;
    double squares;       /* of this block */
    double of_channel[2]; /* the same of each of two channels */
    int64_t dead_run[2];  /* blocks in which the other one was heard, since this one was */
    int64_t dead_from[2]; /* the first of them */
    int in_block;
    int64_t blocks, silent_run, silent_total;
    bool heard;       /* anything so far */
    double longest_s; /* silence between sounds, or the first one less what is free */
    HearingFigures figures;
};

Status hearing_begin(int channels, int rate, Hearing **out)
{
    *out = NULL;
    if (channels < 1 || channels > 16 || rate < 1000 || rate > 768000)
        return status_fail(ERR_INPUT, "sound of %d channels at %d Hz, expected at most 16 and 1000 to 768000", channels,
                           rate);
    Hearing *s = memory_get(1, sizeof *s);
    *s = (Hearing){.channels = channels, .rate = rate, .block_samples = rate / BLOCKS_PER_S};
    s->ebu = ebur128_init((unsigned)channels, (unsigned long)rate, EBUR128_MODE_I | EBUR128_MODE_TRUE_PEAK);
    s->run = memory_get((size_t)channels, sizeof *s->run);
    *out = s;
    if (s->ebu) return status_ok();
    hearing_free(out);
    return status_fail(ERR_NODE, "out of memory for %d channels at %d Hz", channels, rate);
}

void hearing_free(Hearing **s)
{
    if (!*s) return;
    if ((*s)->ebu) ebur128_destroy(&(*s)->ebu);
    free((*s)->run);
    free(*s);
    *s = NULL;
}

static void note_at(double *at, int *count, double seconds)
{
    if (*count < HEARING_MAX_AT) at[(*count)++] = seconds;
}

static void end_second(Hearing *s)
{
    if (s->clipped >= LEAST_CLIPPED) note_at(s->figures.clipping_at, &s->figures.clipping_count, (double)s->second);
    s->figures.clipping = fmax(s->figures.clipping, s->clipped);
    s->clipped = 0;
}

static void end_silence(Hearing *s, bool at_end)
{
    const double length = (double)s->silent_run / BLOCKS_PER_S;
    const bool inside = s->heard && !at_end;
    s->longest_s = fmax(s->longest_s, inside ? length : length - free_s);
    if (s->silent_run >= LONG_SILENCE)
        note_at(s->figures.silence_at, &s->figures.silence_count, (double)(s->blocks - s->silent_run) / BLOCKS_PER_S);
    s->silent_run = 0;
}

/* One of two channels may be lost, and the other goes on. */
static void look_for_dead_channel(Hearing *s)
{
    for (int c = 0; c < 2; c++) {
        if (s->of_channel[c] >= dead * s->in_block)
            s->dead_run[c] = 0;
        else if (s->of_channel[1 - c] >= heard * s->in_block && s->dead_run[c]++ == 0)
            s->dead_from[c] = s->blocks;
    }
    s->of_channel[0] = s->of_channel[1] = 0;
}

/* At the end of the sound. */
static void end_dead_channel(Hearing *s)
{
    const int c = s->dead_run[1] > s->dead_run[0];
    const double length = (double)s->dead_run[c] / BLOCKS_PER_S, whole = (double)s->blocks / BLOCKS_PER_S;
    if (length <= 0 || length < fmin(lost_s, whole / 3)) return;
    note_at(s->figures.silence_at, &s->figures.silence_count, (double)s->dead_from[c] / BLOCKS_PER_S);
    s->longest_s = fmax(s->longest_s, length);
}

static void end_block(Hearing *s)
{
    if (s->channels == 2) look_for_dead_channel(s);
    if (s->squares < silent * s->in_block * s->channels) {
        s->silent_run++;
        s->silent_total++;
    } else {
        if (s->silent_run) end_silence(s, false);
        s->heard = true;
    }
    s->blocks++;
    s->squares = 0;
    s->in_block = 0;
}

static void look_at_sample(Hearing *s, const float *x)
{
    if (s->count / s->rate != s->second) {
        end_second(s);
        s->second = s->count / s->rate;
    }
    for (int c = 0; c < s->channels; c++) {
        s->squares += (double)x[c] * x[c];
        if (s->channels == 2) s->of_channel[c] += (double)x[c] * x[c];
        if (fabsf(x[c]) < full_scale)
            s->run[c] = 0;
        else if (++s->run[c] == CLIPPED_RUN)
            s->clipped++;
    }
    s->count++;
    if (++s->in_block == s->block_samples) end_block(s);
}

Status hearing_put(Hearing *s, const float *samples, int count)
{
    if (ebur128_add_frames_float(s->ebu, samples, (size_t)count) != EBUR128_SUCCESS)
        return status_fail(ERR_NODE, "out of memory for sound");
    for (int i = 0; i < count; i++) look_at_sample(s, samples + (ptrdiff_t)i * s->channels);
    return status_ok();
}

void hearing_end(Hearing **sound, HearingFigures *out)
{
    Hearing *s = *sound;
    double loudness = -70, peak = 0;
    end_second(s);
    if (s->in_block) end_block(s);
    if (s->silent_run) end_silence(s, true);
    if (!s->heard) s->longest_s = (double)s->blocks / BLOCKS_PER_S;
    end_dead_channel(s);
    ebur128_loudness_global(s->ebu, &loudness);
    for (int c = 0; c < s->channels; c++) {
        double one = 0;
        ebur128_true_peak(s->ebu, (unsigned)c, &one);
        peak = fmax(peak, one);
    }
    *out = s->figures;
    out->loudness_lufs = fmax(loudness, -70);
    out->true_peak_dbtp = peak > 1e-5 ? 20 * log10(peak) : -100;
    out->silence_s = fmax(0, s->longest_s);
    hearing_free(sound);
}
