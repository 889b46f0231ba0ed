#include "coordinator/campaign/length.h"

#include "common/file.h"
#include "common/json_member.h"

static const double letter_s = 1 / 12.0; /* German and English, espeak as well as people */
static const double around_s = 0.1;      /* behind the last word */

double campaign_longest_s(const ShotSpec *base)
{
    return (double)(base->frames_most ? base->frames_most : base->frames) / base->fps;
}

int campaign_likely_frames(const ShotSpec *s)
{
    json_t *voice = s->media && s->media->speech ? json_loads(s->media->speech, 0, NULL) : NULL;
    const char *text = member_text(voice, "text", member_text(voice, "ssml", NULL));
    const double at_s = member_number(voice, "at", 0);
    const int frames = text ? (int)((at_s + text_letters(text) * letter_s + around_s) * s->fps) + 1
                            : s->frames; /* a recording, or nothing */
    json_decref(voice);
    return text && frames > s->frames_most ? s->frames_most : frames;
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
