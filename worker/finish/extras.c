#include "extras.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json_member.h"
#include "worker/cameo/likeness.h"
#include "worker/finish/overlay.h"

/* `voice: cameo`: with a person's own voice, which the engine reads from a descriptor that it inherits. What it speaks is kept for nobody: a
 * kill leaves it in the lease's folder, which goes. */
static Status make_cameo_voice(const json_t *spec, const FinishSpec *all, const char *own_folder, Voice *out)
{
    int consent = 0;
    char sha256[HASH_TEXT], *ref = text_format("/dev/fd/%d", LIKENESS_VOICE_FD),
                            *folder = own_folder ? path_join(own_folder, "voice") : NULL;
    Status status = likeness_voice(finish_spec_get(all, "trust"), finish_spec_get(all, "cameo"), &consent, sha256);
    if (!failed(status)) {
        json_t *own = json_copy((json_t *)(uintptr_t)spec);
        json_object_set_new(own, "voice_ref", json_string(ref));
        json_object_set_new(own, "voice_sha256", json_string(sha256));
        json_object_set_new(own, "consent", json_integer(consent));
        status = voice_make(own, folder, out);
        json_decref(own);
        likeness_voice_end();
    }
    if (folder) file_remove_tree(folder);
    free(folder);
    free(ref);
    return status_at(status, "voice");
}

static Status open_voice(const json_t *spec, const FinishSpec *all, double shot_s, const ExtrasFolders *folder,
                         Extras *e)
{
    const double room = voice_room_s(spec, shot_s);
    const char *whose = json_string_value(json_object_get(spec, "voice"));
    const bool cameo = whose && strcmp(whose, "cameo") == 0;
    TRY(folder->shot ? voice_read_at(spec, folder->shot, &e->voice)
        : cameo      ? make_cameo_voice(spec, all, folder->own, &e->voice)
                     : voice_make(spec, folder->voices, &e->voice));
    if (e->voice.sound.count == 0) return status_ok();
    e->language = json_string_value(json_object_get(spec, "language"));
    if (!e->language) e->language = "en";
    TRY(voice_fit(&e->voice, spec, room, &e->hold_s));
    e->duration_s = shot_s + e->hold_s;
    return status_ok();
}

/* Reels takes clips from 3 s on: all renditions last as long as the one that wants most. */
static void hold_for_platforms(const FinishSpec *spec, Extras *e)
{
    for (int i = 0; i < spec->rendition_count; i++) {
        double least = spec->rendition[i].min_s;
        if (least > e->duration_s) e->duration_s = least;
    }
}

static Status mix(const json_t *voice, const json_t *music, Extras *e)
{
    SoundMix m = {.duration_s = e->duration_s,
                  .voice = e->voice.sound.count ? &e->voice.sound : NULL,
                  .voice_at_s = voice_begin_s(voice),
                  .voice_gain_db = member_number(voice, "gain_db", 0),
                  .music_gain_db = member_number(music, "gain_db", -14),
                  .duck_db = member_number(music, "duck_db", 9)};
    const char *file = json_string_value(json_object_get(music, "file"));
    if (file) TRY(status_at(sound_read_kept(file, &m.music), "music"));
    if (m.voice || m.music) sound_mix(&m, &e->sound);
    return status_ok();
}

static void open_subtitles(const json_t *voice, const char *wanted, Extras *e)
{
    if (!wanted || strcmp(wanted, "none") == 0 || e->voice.word_count == 0) return;
    e->is_track = strcmp(wanted, "track") == 0 || strcmp(wanted, "both") == 0;
    e->is_burned = strcmp(wanted, "burned") == 0 || strcmp(wanted, "both") == 0;
    subtitles_make(&e->voice, voice_begin_s(voice), e->duration_s, &e->subtitles);
}

static void gather_overlays(const FinishSpec *spec, Extras *e)
{
    e->overlays = overlay_timed(finish_spec_get(spec, "overlays"), e->duration_s);
    if (!e->is_burned) return;
    json_t *burned = subtitles_overlays(&e->subtitles, finish_spec_get(spec, "subtitle_style"));
    json_array_extend(e->overlays, burned);
    json_decref(burned);
}

Status extras_open(const FinishSpec *spec, int frames, int fps, ExtrasFolders folder, Extras *out)
{
    const double shot_s = (double)frames / fps;
    const json_t *voice = finish_spec_get(spec, "voice"), *music = finish_spec_get(spec, "music");
    *out = (Extras){.duration_s = shot_s, .label = finish_spec_get(spec, "label")};
    if (voice) TRY(open_voice(voice, spec, shot_s, &folder, out));
    hold_for_platforms(spec, out);
    out->duration_s = ceil(out->duration_s * fps - 1e-6) / fps;
    out->hold_s = out->duration_s - shot_s;
    TRY(mix(voice, music, out));
    open_subtitles(voice, json_string_value(finish_spec_get(spec, "subtitles")), out);
    gather_overlays(spec, out);
    return status_ok();
}

void extras_close(Extras *e)
{
    for (int i = 0; i < e->track_count; i++) track_clear(&e->track[i].track);
    voice_clear(&e->voice);
    sound_clear(&e->sound);
    subtitles_clear(&e->subtitles);
    json_decref(e->overlays);
    *e = (Extras){0};
}

Status extras_track(Extras *e, const Rendition *r, const Track **out)
{
    double lufs = r->lufs != 0 ? r->lufs : -14, peak = r->true_peak_db != 0 ? r->true_peak_db : -1.5;
    bool never = strcmp(r->sound, "none") == 0, always = strcmp(r->sound, "always") == 0;
    *out = NULL;
    if (never || (!always && e->sound.count == 0)) return status_ok();
    for (int i = 0; i < e->track_count; i++)
        if (e->track[i].lufs == lufs && e->track[i].true_peak_db == peak) return *out = &e->track[i].track, status_ok();
    Sound silence = e->sound.count ? (Sound){0} : sound_silence(e->duration_s);
    e->track[e->track_count].lufs = lufs;
    e->track[e->track_count].true_peak_db = peak;
    Status status =
        track_master(e->sound.count ? &e->sound : &silence, lufs, peak, TRACK_KBPS, &e->track[e->track_count].track);
    sound_clear(&silence);
    TRY(status);
    *out = &e->track[e->track_count++].track;
    return status_ok();
}
