#include "coordinator/campaign/length.h"

#include <jansson.h>
#include <string.h>

static const double letter_s = 1 / 12.0; /* German and English, espeak as well as people */
static const double around_s = 0.1;      /* behind the last word */

double campaign_longest_s(const ShotSpec *base)
{
    return (double)(base->frames_most ? base->frames_most : base->frames) / base->fps;
}

static int letters(const char *text)
{
    int n = 0;
    for (; text && *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

int campaign_likely_frames(const ShotSpec *s)
{
    json_t *voice = s->media && s->media->speech ? json_loads(s->media->speech, 0, NULL) : NULL;
    const char *text = json_string_value(json_object_get(voice, "text"));
    if (!text) text = json_string_value(json_object_get(voice, "ssml"));
    const double at_s = json_number_value(json_object_get(voice, "at"));
    const int frames = (int)((at_s + letters(text) * letter_s + around_s) * s->fps) + 1;
    json_decref(voice);
    if (!text) return s->frames; /* a recording, or nothing */
    return frames < s->frames_most ? frames : s->frames_most;
}

CampaignLength campaign_length(const Campaign *c)
{
    CampaignLength length = {c->base.frames, c->base.frames, c->base.frames};
    double sum = 0;
    for (int64_t i = 0; i < c->shot_count; i++) {
        const int frames = c->shot[i].spec.frames;
        if (i == 0 || frames < length.least) length.least = frames;
        if (i == 0 || frames > length.most) length.most = frames;
        sum += frames;
    }
    if (c->shot_count) length.mean = sum / (double)c->shot_count;
    return length;
}
