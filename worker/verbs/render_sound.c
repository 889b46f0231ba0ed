#include "render_sound.h"

#include <math.h>

Status render_sound_read(RenderSound *r, const char *path, int frames, ShotSpec *s)
{
    if (!path) return status_ok();
    TRY(status_at(sound_read(path, &r->sound), "--audio"));
    const double all = round(sound_seconds(&r->sound) * s->fps);
    if (!frames) s->frames = all < 1 ? 1 : (int)all;
    return status_ok();
}

Status render_sound_track(RenderSound *r, const ShotSpec *s, const Track **out)
{
    Sound mixed;
    *out = NULL;
    if (!r->sound.count) return status_ok();
    sound_mix(&(SoundMix){.duration_s = (double)s->frames / s->fps, .own = &r->sound}, &mixed);
    Status status = track_encode(&mixed, TRACK_KBPS, &r->track);
    sound_clear(&mixed);
    *out = failed(status) ? NULL : &r->track;
    return status;
}

void render_sound_clear(RenderSound *r)
{
    sound_clear(&r->sound);
    track_clear(&r->track);
}
