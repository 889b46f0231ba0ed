/* finish_keys_look.c - the plan's documents shown to the worker's libraries, and what these find told by row and column. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/finish_spec.h"
#include "common/plural.h"
#include "coordinator/campaign/finish_keys_parts.h"
#include "coordinator/campaign/length.h"

static FinishLook *look;

void finish_keys_use(FinishLook *to) { look = to; }

enum { MOST_OWN = 32 };

typedef struct {
    FinishKeys *keys;
    int64_t *row;        /* of each clip that is looked at */
    bool one;            /* of them, which stands for all rows */
    char *own[MOST_OWN]; /* faults of the campaign's own keys that were told: once, whatever the number of rows */
    int own_count;
} Looking;

/* "overlays[1].text", "voice" -> the slot that it concerns. */
static const FinishSlot *slot_named(const FinishKeys *k, const char *member)
{
    if (strncmp(member, "overlays[", 9) == 0) {
        long i = strtol(member + 9, NULL, 10), seen = -1;
        for (int n = 0; n < k->overlay_count; n++)
            if (++seen == i) return &k->overlay[n].value;
    }
    if (strncmp(member, "music", 5) == 0) return &k->slot[FINISH_MUSIC_FILE];
    if (strncmp(member, "label", 5) == 0) return &k->slot[FINISH_LABEL_TEXT];
    if (strcmp(member, "voice.language") == 0 && k->slot[FINISH_VOICE_LANGUAGE].text)
        return &k->slot[FINISH_VOICE_LANGUAGE];
    const FinishSlotName voice[] = {FINISH_VOICE_FILE, FINISH_VOICE_TEXT, FINISH_VOICE_SSML};
    for (int i = 0; i < 3; i++)
        if (k->slot[voice[i]].text) return &k->slot[voice[i]];
    return &k->slot[FINISH_VOICE_TEXT];
}

/* "overlays[1].from: begins at 9 s": no cell of the table decides about that. */
static bool is_own(const char *member)
{
    static const char *const keys[] = {".from", ".place", ".style.font", ".engine"};
    const char *key = strchr(member, '.');
    for (size_t i = 0; key && i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0) return true;
    return false;
}

static bool is_told(Looking *n, const char *member, const char *message)
{
    char *text = text_format("%s: %s", member, message);
    bool told = n->own_count == MOST_OWN;
    for (int i = 0; i < n->own_count && !told; i++) told = strcmp(n->own[i], text) == 0;
    if (told)
        free(text);
    else
        n->own[n->own_count++] = text;
    return told;
}

static void found(void *self, int64_t i, const char *member, const char *message)
{
    Looking *n = self;
    const FinishSlot *s = slot_named(n->keys, member);
    Place place = finish_keys_slot_place(n->keys, s, n->row[i]);
    if (is_own(member)) {
        if (is_told(n, member, message)) return;
        const bool is_engine = strcmp(member, "voice.engine") == 0;
        const int line = is_engine ? campaign_file_line(&n->keys->l->file, member) : s->line;
        place = (Place){n->keys->l->campaign->file, line, is_engine ? member : s->key};
    }
    faults_add(n->keys->l->faults, place, "%s: %s", member, message);
}

static void noted(void *self, int64_t i, const char *member, const char *message, int64_t others)
{
    const Looking *n = self;
    const int64_t row = n->row[i];
    const Place place = finish_keys_slot_place(n->keys, slot_named(n->keys, member), row);
    char *more =
        others ? text_format(" (and of %lld other row%s)", (long long)others, plural_s(others)) : text_copy("");
    faults_warn(n->keys->l->faults, place, n->keys->l->campaign->clip[row].clip_id, "%s: %s%s", member, message, more);
    free(more);
}

/* The plan has so far what the text's letters say. */
static void lasts(void *self, int64_t i, int frames)
{
    const Looking *n = self;
    Campaign *c = n->keys->l->campaign;
    if (n->one)
        for (int64_t s = 0; s < c->shot_count; s++) c->shot[s].spec.frames = frames;
    else
        c->shot[c->clip[n->row[i]].shot].spec.frames = frames;
}

static void left(void *self, int64_t texts, int64_t voices)
{
    const Looking *n = self;
    Faults *faults = n->keys->l->faults;
    if (texts)
        faults_warn(faults,
                    (Place){n->keys->l->campaign->file, campaign_file_line(&n->keys->l->file, "overlays"), "overlays"},
                    "", "%lld texts that differ were not laid out, for that takes long; the longest of all fit",
                    (long long)texts);
    const char *whose = n->keys->l->file.voice.voice;
    const bool cameo = whose && strcmp(whose, "cameo") == 0;
    const Place at = finish_keys_slot_place(n->keys, slot_named(n->keys, "voice"), 0);
    if (voices && cameo)
        faults_warn(
            faults, at, "",
            "%lld text%s may take longer than the clip: with a person's own voice none is spoken before the night, "
            "in which one that takes too long fails",
            (long long)voices, plural_s(voices));
    else if (voices)
        faults_warn(
            faults, at, "",
            "%lld text%s that differ%s not spoken to measure; the longest of all end in time. `reelwright voices` "
            "speaks all",
            (long long)voices, plural_s(voices), voices == 1 ? "s was" : " were");
}

static double length_of(const FinishKeys *k, const Rendition *r)
{
    const ShotSpec *base = &k->l->base;
    const int frames = base->frames_most ? campaign_length(k->l->campaign).least : base->frames;
    return fmax((double)frames / base->fps, r->min_s);
}

/* The shortest video that is made; posters and moving pictures for mail show every code. NULL: no video. */
static const Rendition *shortest_of(const FinishKeys *k)
{
    const Campaign *c = k->l->campaign;
    const Rendition *shortest = NULL;
    for (int i = 0; i < c->rendition_count; i++) {
        const Rendition *r = &c->rendition[i];
        const bool is_video = strcmp(finish_spec_ending(r), "mp4") == 0;
        if (is_video && (!shortest || length_of(k, r) < length_of(k, shortest))) shortest = r;
    }
    return shortest;
}

/* A code that nobody has time to point a telephone at. The gate reads it where it can be read, in the middle of its time. */
static void warn_of_short_codes(const FinishKeys *k)
{
    static const double LEAST_S = 1;
    const Rendition *r = shortest_of(k);
    for (int i = 0; r && i < k->l->file.overlays.count && i < k->overlay_count; i++) {
        const CampaignOverlay *o = (const CampaignOverlay *)k->l->file.overlays.item + i;
        const FinishSlot *s = &k->overlay[i].value;
        const double end = length_of(k, r), to = o->to > 0 ? fmin(o->to, end) : end;
        const double from = o->from < 0 ? fmax(0, end + o->from) : o->from, shown_s = fmax(0, to - from);
        if (!o->qr || shown_s >= LEAST_S) continue;
        faults_warn(k->l->faults, (Place){k->l->campaign->file, s->line, s->key}, "",
                    "overlays[%d].qr is shown for %.2f s in the rendition %s, which ends at %.3g s: too short to point "
                    "a telephone at it; expected a second or more",
                    i, shown_s, r->name, end);
    }
}

/* Of clips that are as long as their voices: lips stand still in a frame that is held. Where even the longest clip is too short, check_lengths
 * in campaign.c has said so. */
static void warn_of_held_faces(const FinishKeys *k)
{
    const Campaign *c = k->l->campaign;
    const double least_s = campaign_length(c).least / (double)k->l->base.fps;
    for (int i = 0; k->l->base.frames_most && c->shot_count && i < c->rendition_count; i++)
        if (least_s < c->rendition[i].min_s && campaign_longest_s(&k->l->base) >= c->rendition[i].min_s)
            faults_warn(
                k->l->faults, (Place){c->file, campaign_file_line(&k->l->file, "renditions"), "renditions"}, "",
                "%s takes clips of %g s and more, and the shortest voice makes one of %.3g s: its last frame is held",
                c->rendition[i].name, c->rendition[i].min_s, least_s);
}

Status finish_keys_look(FinishKeys *k)
{
    const Campaign *c = k->l->campaign;
    bool any = k->overlay_count > 0 || k->l->file.label.profile_given || k->slot[FINISH_MUSIC_FILE].text;
    for (int i = FINISH_VOICE_TEXT; i <= FINISH_VOICE_PHONETIC; i++) any = any || k->slot[i].text;
    if (!look || !any) {
        warn_of_short_codes(k);
        return status_ok();
    }
    Looking n = {.keys = k, .row = memory_get((size_t)c->clip_count + 1, sizeof *n.row)};
    const char **clip = memory_get((size_t)c->clip_count + 1, sizeof *clip);
    FinishLookJob job = {.campaign = c->finish,
                         .clip = clip,
                         .shot_s = campaign_longest_s(&k->l->base),
                         .follows_fps = k->l->base.frames_most ? k->l->base.fps : 0,
                         .lasts = lasts,
                         .found = found,
                         .noted = noted,
                         .left = left,
                         .self = &n};
    /* Where nothing depends on the row, one is enough. */
    n.one = finish_keys_overlays_constant(k) && finish_keys_slots_constant(k, 0, FINISH_SLOTS - 1);
    for (int64_t row = 0; row < c->clip_count && (!n.one || job.count == 0); row++) {
        if (c->clip[row].refusal) continue;
        n.row[job.count] = row;
        clip[job.count++] = c->clip[row].finish ? c->clip[row].finish : "";
    }
    Status status = look(&job);
    warn_of_short_codes(k); /* by what was heard */
    warn_of_held_faces(k);
    for (int i = 0; i < n.own_count; i++) free(n.own[i]);
    free(clip);
    free(n.row);
    return status;
}
