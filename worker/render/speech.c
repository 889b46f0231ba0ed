#include "speech.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "worker/cameo/likeness.h"
#include "worker/finish/voice.h"
#include "worker/render/turn.h"

char *speech_place(const ShotSpec *shot, const char *campaign_folder, const char *key)
{
    return shot->media && shot->media->speech ? text_format("%s/latents/%s.voice", campaign_folder, key) : NULL;
}

/* The engine that speaks with a person's own voice reads it from a descriptor that it inherits. */
static Status make_voice(json_t *spec, const char *place, Voice *out)
{
    const char *whose = json_string_value(json_object_get(spec, "voice_ref")),
               *sha256 = json_string_value(json_object_get(spec, "voice_sha256"));
    int consent = 0;
    if (!whose) return voice_make_at(spec, place, out);
    Status status = likeness_shot_voice(whose, sha256 ? sha256 : "", &consent);
    if (failed(status)) return status;
    char *ref = text_format("/dev/fd/%d", LIKENESS_VOICE_FD);
    json_object_set_new(spec, "voice_ref", json_string(ref));
    json_object_set_new(spec, "consent", json_integer(consent));
    status = voice_make_at(spec, place, out);
    likeness_voice_end();
    free(ref);
    return status;
}

/* The voice as the finish will lay it: as fast, and as long after the beginning. */
static Status lay(const json_t *spec, double shot_s, Voice *v, Sound *out)
{
    double over_s;
    if (v->sound.count == 0) return status_fail(ERR_CLIP, "voice: nothing is said");
    TRY(voice_fit(v, spec, voice_room_s(spec, shot_s), &over_s));
    const int64_t begin = llrint(voice_begin_s(spec) * SOUND_RATE);
    *out = (Sound){.count = begin + v->sound.count,
                   .sample = memory_get((size_t)(begin + v->sound.count), 2 * sizeof(float))};
    memcpy(out->sample + 2 * begin, v->sound.sample, (size_t)v->sound.count * 2 * sizeof(float));
    return status_ok();
}

/* The name of a recording may be a customer's: what is told of it leaves it out. */
static Status told(Status s, const json_t *spec)
{
    const char *file = json_string_value(json_object_get(spec, "file")), *at = file ? strstr(s.message, file) : NULL;
    if (!failed(s)) return s;
    const ErrClass err = s.err == ERR_INPUT ? ERR_CLIP : s.err;
    if (!at) return status_fail(err, "%s", s.message);
    return status_fail(err, "%.*sthe recording%s", (int)(at - s.message), s.message, at + strlen(file));
}

typedef struct {
    json_t *spec;
    const char *place;
} Wanted;

static bool has_come(void *self)
{
    const Wanted *w = self;
    return voice_is_at(w->spec, w->place);
}

/* As long as an engine may take: parts of a campaign that share a shot share its latents, too, and with them one sound. */
static double patience_s(const json_t *spec)
{
    const json_t *limit = json_object_get(spec, "time_limit"), *retries = json_object_get(spec, "retries");
    return 60 + json_number_value(limit) * (1 + json_number_value(retries));
}

static Status make(ShotSpec *shot, const char *place, Progress progress, float **pcm, int64_t *count, bool *fresh)
{
    json_t *spec = json_loads(shot->media->speech, 0, NULL);
    Wanted wanted = {spec, place};
    Turn turn = {.lock = -1};
    Voice v = {0};
    Sound sound = {0};
    Status status = status_ok();
    if (!has_come(&wanted)) status = turn_take(place, patience_s(spec), has_come, &wanted, progress, "load", &turn);
    *fresh = !has_come(&wanted);
    if (!failed(status)) status = make_voice(spec, place, &v);
    turn_end(&turn);
    if (!failed(status) && shot->frames_most)
        status = voice_follow(&v, spec, shot->fps, shot->frames_most, &shot->frames);
    if (!failed(status)) status = lay(spec, (double)shot->frames / shot->fps, &v, &sound);
    if (!failed(status)) status = sound_hear(&sound, pcm, count);
    status = told(status, spec);
    sound_clear(&sound);
    voice_clear(&v);
    json_decref(spec);
    return status;
}

Status speech_hear(Coll *group, ShotSpec *shot, const char *place, Progress progress, MediaPixels *p, bool *fresh)
{
    float *pcm = NULL;
    int64_t count = 0;
    Status status = status_ok();
    *fresh = false;
    if (!place) return status;
    if (group->rank == 0) status = make(shot, place, progress, &pcm, &count, fresh);
    TRY_OUT(coll_agree(group, status));
    TRY_OUT(coll_host_broadcast(group, &count, sizeof count, 0));
    TRY_OUT(coll_host_broadcast(group, &shot->frames, sizeof shot->frames, 0));
    if (!pcm) TRY_MEMORY_OUT(pcm, count);
    TRY_OUT(coll_host_broadcast(group, pcm, (size_t)count * sizeof *pcm, 0));
    conditions_hear(p, pcm, count);
    pcm = NULL;
out:
    free(pcm);
    return status;
}

Status speech_measure(const json_t *spec, const char *place, ShotSpec *shot)
{
    Voice v = {0};
    Status status = voice_read_at(spec, place, &v);
    if (!failed(status)) status = voice_follow(&v, spec, shot->fps, shot->frames_most, &shot->frames);
    voice_clear(&v);
    return status;
}
