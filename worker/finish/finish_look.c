#include "finish_look.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/finish_spec.h"
#include "worker/finish/label.h"
#include "worker/finish/overlay.h"
#include "worker/finish/voice.h"

enum { MOST_SPOKEN = 200, MOST_BY_COMMAND = 10 };
static const double SLOWEST_S = 0.1, TAIL_S = 0.1; /* of a character: ten a second is slow speech */

static int characters(const char *text)
{
    int n = 0;
    for (; text && *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

/* ---- voice -------------------------------------------------------------------------------------------------------------------- */

static void look_at_voice(const json_t *spec, double shot_s, FinishLookFound *found, void *self)
{
    static int spoken; /* by this process: a check of ten thousand rows shall not take the night */
    const char *engine = text_of(spec, "engine");
    bool recorded = *text_of(spec, "file"), command = *engine && strcmp(engine, "espeak") != 0;
    double room = shot_s - voice_begin_s(spec) - TAIL_S, over;
    const char *said = *text_of(spec, "text") ? text_of(spec, "text") : text_of(spec, "ssml");
    if (room <= 0) {
        found(self, "voice", "voice.at is beyond the clip's end");
        return;
    }
    if (!recorded && (characters(said) * SLOWEST_S <= room || spoken >= (command ? MOST_BY_COMMAND : MOST_SPOKEN)))
        return;
    spoken += !recorded;
    Voice v;
    Status status = voice_make(spec, NULL, &v);
    if (!failed(status)) status = voice_fit(&v, spec, room, &over);
    voice_clear(&v);
    if (failed(status))
        found(self, "voice", strncmp(status.message, "voice: ", 7) == 0 ? status.message + 7 : status.message);
}

/* ---- pictures -------------------------------------------------------------------------------------------------------------------- */

/* A frame of each rendition's shape, small: what fits there fits in the large one. */
static void look_at_layout(const FinishSpec *spec, const json_t *overlays, double shot_s, FinishLookFound *found,
                           void *self)
{
    for (int i = 0; i < spec->rendition_count; i++) {
        const Rendition *r = &spec->rendition[i];
        if (!r->width) continue;
        Box safe = {(int)(r->width * r->safe_left / 100), (int)(r->height * r->safe_top / 100), 0, 0};
        safe.width = r->width - safe.x - (int)(r->width * r->safe_right / 100);
        safe.height = r->height - safe.y - (int)(r->height * r->safe_bottom / 100);
        OverlayFrame f = {.width = r->width, .height = r->height, .safe = safe, .fps = 8, .duration_s = shot_s};
        Label *label = NULL;
        Overlay *o = NULL;
        Status status = label_open(finish_spec_get(spec, "label"), r->width, r->height, safe, &label);
        f.label = label_box(label);
        if (!failed(status)) status = overlay_open(overlays, &f, &o);
        if (failed(status)) {
            size_t n = strcspn(status.message, ":");
            char *member = text_format("%.*s", (int)n, status.message);
            char *message = text_format("%s, in the rendition %s",
                                        status.message[n] ? status.message + n + 2 : status.message, r->name);
            found(self, member, message);
            free(message);
            free(member);
        }
        overlay_close(&o);
        label_close(&label);
        if (failed(status)) return; /* one rendition is enough to say it */
    }
}

typedef struct {
    FinishLookFound *found;
    void *self;
    int count;
} Counted;

static void count(void *self, const char *field, const char *message)
{
    Counted *c = self;
    c->count++;
    c->found(c->self, field, message);
}

/* Laying every row out in every rendition would take half a second a row. What fits is settled by the longest text and the longest word
 * so far of each item; letters of Asian scripts count double. */
static int width_of(const char *text, int *word)
{
    int all = 0, now = 0;
    *word = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if ((*p & 0xC0) == 0x80) continue;
        const int wide = *p >= 0xE1 ? 2 : 1;
        all += wide;
        now = *p == ' ' || *p == '\n' ? 0 : now + wide;
        if (now > *word) *word = now;
    }
    return all;
}

static bool is_worth_laying_out(const json_t *overlays)
{
    static int longest[OVERLAY_MAX], longest_word[OVERLAY_MAX];
    size_t i;
    json_t *o;
    bool worth = false;
    json_array_foreach(overlays, i, o)
    {
        int word, n = width_of(*text_of(o, "text") ? text_of(o, "text") : text_of(o, "qr"), &word);
        if (i >= OVERLAY_MAX || (n <= longest[i] && word <= longest_word[i])) continue;
        worth = true;
        longest[i] = n > longest[i] ? n : longest[i];
        longest_word[i] = word > longest_word[i] ? word : longest_word[i];
    }
    return worth;
}

static void look_at_music(const json_t *spec, FinishLookFound *found, void *self)
{
    static char *last; /* most campaigns have one bed */
    const char *file = text_of(spec, "file");
    const Sound *sound;
    if (!*file || (last && strcmp(last, file) == 0)) return;
    free(last);
    last = text_copy(file);
    Status status = sound_read_kept(file, &sound);
    if (failed(status)) found(self, "music", status.message);
}

Status finish_look(const char *campaign, const char *clip, double shot_s, FinishLookFound *found, void *self)
{
    FinishSpec spec;
    Status status = finish_spec_read(campaign, clip, &spec);
    if (!failed(status)) {
        const json_t *overlays = finish_spec_get(&spec, "overlays"), *voice = finish_spec_get(&spec, "voice");
        Counted c = {found, self, 0};
        overlay_check(overlays, shot_s, count, &c);
        static bool label_seen;
        const bool first_label = !label_seen && finish_spec_get(&spec, "label");
        label_seen = label_seen || first_label;
        if (c.count == 0 && (is_worth_laying_out(overlays) || first_label))
            look_at_layout(&spec, overlays, shot_s, count, &c);
        look_at_music(finish_spec_get(&spec, "music"), found, self);
        if (voice) look_at_voice(voice, shot_s, found, self);
    }
    finish_spec_clear(&spec);
    return status;
}

/* ---- hearing --------------------------------------------------------------------------------------------------------------------------- */

static void put(uint8_t *to, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> 8 * i);
}

/* 16 bits, one channel: for listening to. */
static Status write_wav(const Sound *s, const char *path)
{
    size_t bytes = (size_t)s->count * 2;
    uint8_t *file = memory_get(bytes + 44, 1);
    memcpy(file, "RIFF....WAVEfmt ", 16);
    put(file + 4, (uint32_t)bytes + 36, 4), put(file + 16, 16, 4), put(file + 20, 1, 2), put(file + 22, 1, 2);
    put(file + 24, SOUND_RATE, 4), put(file + 28, SOUND_RATE * 2, 4), put(file + 32, 2, 2), put(file + 34, 16, 2);
    memcpy(file + 36, "data", 4);
    put(file + 40, (uint32_t)bytes, 4);
    for (int64_t i = 0; i < s->count; i++) {
        double v = fmax(-1, fmin(1, s->sample[2 * i]));
        put(file + 44 + 2 * i, (uint32_t)(int32_t)lrint(v * 32767), 2);
    }
    Status status = file_replace(path, file, bytes + 44);
    free(file);
    return status;
}

Status finish_say(const char *spec, const char *path, double *seconds)
{
    json_t *o = json_loads(spec, 0, NULL);
    Voice v;
    Status status = voice_make(o, NULL, &v);
    *seconds = 0;
    if (!failed(status)) {
        *seconds = sound_seconds(&v.sound);
        status = write_wav(&v.sound, path);
    }
    voice_clear(&v);
    json_decref(o);
    return status;
}
