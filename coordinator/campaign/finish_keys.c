#include "finish_keys.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/finish_keys_parts.h"
#include "coordinator/campaign/lexicon.h"
#include "coordinator/campaign/media.h"
#include "coordinator/campaign/styles.h"

enum { MAX_TEXT_BYTES = 4096 };

static Place place_of(const CampaignLoad *l, const char *key, int line)
{
    Place place = campaign_place(l, key);
    if (line) place.line = line;
    return place;
}

/* ---- compiling ------------------------------------------------------------------------------------------------------------- */

static FinishSlot make_slot(FinishKeys *k, const char *key, const char *member, const char *text, int line,
                            TemplateForm form, bool is_file)
{
    FinishSlot s = {.key = key,
                    .member = member,
                    .form = form,
                    .line = line ? line : campaign_file_line(&k->l->file, key),
                    .is_file = is_file};
    if (text) s.text = template_new(text, &k->l->campaign->customers, place_of(k->l, key, s.line), k->l->faults);
    return s;
}

static void compile_slots(FinishKeys *k)
{
    const CampaignFile *f = &k->l->file;
    const struct {
        FinishSlotName at;
        const char *key, *member, *text;
        TemplateForm form;
        bool is_file;
    } row[] = {{FINISH_VOICE_TEXT, "voice.text", "text", f->voice.text, TEMPLATE_CLEAN, false},
               {FINISH_VOICE_SSML, "voice.ssml", "ssml", f->voice.ssml, TEMPLATE_XML, false},
               {FINISH_VOICE_LANGUAGE, "voice.language", "language", f->voice.language, TEMPLATE_CLEAN, false},
               {FINISH_VOICE_FILE, "voice.file", "file", f->voice.file, TEMPLATE_RAW, true},
               {FINISH_VOICE_PHONETIC, "voice.phonetic", "phonetic", f->voice.phonetic, TEMPLATE_CLEAN, false},
               {FINISH_MUSIC_FILE, "music.file", "file", f->music.file, TEMPLATE_RAW, true},
               {FINISH_LABEL_TEXT, "label.text", "text", f->label.text, TEMPLATE_SHOWN, false}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        if (row[i].text && text_is_blank(row[i].text) && row[i].at != FINISH_LABEL_TEXT)
            faults_add(k->l->faults, place_of(k->l, row[i].key, 0), "empty; expected a value, or no such key");
        k->slot[row[i].at] = make_slot(k, row[i].key, row[i].member, row[i].text, 0, row[i].form, row[i].is_file);
    }
}

static void compile_overlay(FinishKeys *k, const CampaignOverlay *o)
{
    Place place = place_of(k->l, "overlays", o->line);
    int given = (o->text != NULL) + (o->image != NULL) + (o->qr != NULL);
    if (given != 1) {
        faults_add(k->l->faults, place, "%s, expected one of text, image and qr",
                   given ? "more than one of them" : "nothing to show");
        return;
    }
    if (text_is_blank(o->text ? o->text : o->image ? o->image : o->qr)) {
        faults_add(k->l->faults, place, "%s is empty, expected what to show",
                   o->text    ? "text"
                   : o->image ? "image"
                              : "qr");
        return;
    }
    FinishOverlay *s = &k->overlay[k->overlay_count++];
    s->value = o->text    ? make_slot(k, "overlays", "text", o->text, o->line, TEMPLATE_SHOWN, false)
               : o->image ? make_slot(k, "overlays", "image", o->image, o->line, TEMPLATE_RAW, true)
                          : make_slot(k, "overlays", "qr", o->qr, o->line, TEMPLATE_RAW, false);
    if (o->from >= 0 && o->to > 0 && o->to <= o->from)
        faults_add(k->l->faults, place, "from %g to %g s, expected an end after the beginning", o->from, o->to);
    if (o->from < 0 && o->to > 0)
        faults_add(k->l->faults, place,
                   "from %g counts from the clip's end and to %g from its beginning; leave `to` out", o->from, o->to);
    if (o->text) s->style = styles_find(&k->styles, o->style, place, k->l->faults);
}

static void read_styles(FinishKeys *k)
{
    const char *file = k->l->file.styles;
    char *text = NULL;
    size_t bytes;
    if (file) {
        char *path = path_join(k->l->campaign->folder, file);
        Status status = file_read(path, YAML_MAX_BYTES, &text, &bytes);
        if (failed(status))
            faults_add(k->l->faults, place_of(k->l, "styles", 0), "%s", status.message);
        else
            styles_parse(path, text, bytes, k->l->faults, &k->styles);
        free(text);
        free(path);
    }
    styles_own(&k->styles);
}

/* A model that speaks has nothing to do without a voice; and lips stand still in a frame that is held. */
static void check_speech(const FinishKeys *k)
{
    const CampaignVoice *v = &k->l->file.voice;
    const Campaign *c = k->l->campaign;
    if (!v->text && !v->ssml && !v->file)
        faults_add(k->l->faults, (Place){c->file, campaign_file_line(&k->l->file, "model"), "voice"},
                   "missing; %s speaks (%s): expected voice.text, voice.ssml or voice.file, which says what",
                   k->l->file.model, c->model->pipeline);
    if (strcmp(v->too_long, "hold") == 0)
        faults_add(k->l->faults, place_of(k->l, "voice.too_long", 0),
                   "hold, but lips cannot follow a voice in a frame that is held; expected faster or refuse, and "
                   "frames for the longest text");
}

static void check_longest(const FinishKeys *k)
{
    const bool follows = campaign_file_line(&k->l->file, "frames") && !k->l->file.frames;
    if (follows || !campaign_file_line(&k->l->file, "voice.longest")) return;
    faults_add(k->l->faults, place_of(k->l, "voice.longest", 0),
               "changes nothing: it is for clips that are as long as what is said in them; expected `frames: voice` "
               "beside it");
}

static void check_voice(FinishKeys *k)
{
    const CampaignVoice *v = &k->l->file.voice;
    bool says = v->text || v->ssml || v->phonetic;
    check_longest(k);
    if (k->speaks) check_speech(k);
    if (v->file && (v->engine_given || v->lexicon || v->phonetic))
        faults_add(k->l->faults, place_of(k->l, "voice.file", 0), "a recording and an engine; expected one of them");
    if (!says && !v->file && (v->engine_given || v->language || v->lexicon))
        faults_add(k->l->faults,
                   place_of(k->l,
                            v->language  ? "voice.language"
                            : v->lexicon ? "voice.lexicon"
                                         : "voice.engine",
                            0),
                   "nothing to say; expected voice.text, voice.ssml or voice.file");
    if (v->voice && strcmp(v->voice, "cameo") == 0 && !v->engine_given)
        faults_add(k->l->faults, place_of(k->l, "voice.voice", 0),
                   "cameo, but espeak speaks with no person's voice; expected voice.engine, a command that does");
}

static void check_label(FinishKeys *k)
{
    const CampaignLabel *label = &k->l->file.label;
    if (strcmp(label->profile, "none") == 0 && label->profile_given && !label->reason)
        faults_add(k->l->faults, place_of(k->l, "label.profile", 0),
                   "none, without label.reason; say why these clips need no label, for the record: the EU's law asks "
                   "for one since 2026-08");
}

FinishKeys *finish_keys_new(CampaignLoad *l)
{
    FinishKeys *k = memory_get(1, sizeof *k);
    const YamlTables *list = &l->file.overlays;
    k->l = l;
    k->speaks = l->campaign->model && l->campaign->model->dit.sound_count;
    read_styles(k);
    compile_slots(k);
    if (list->count > FINISH_MAX_OVERLAYS)
        faults_add(l->faults, place_of(l, "overlays", 0), "%d of them, expected at most %d", list->count,
                   FINISH_MAX_OVERLAYS);
    for (int i = 0; i < list->count && i < FINISH_MAX_OVERLAYS; i++)
        compile_overlay(k, (const CampaignOverlay *)list->item + i);
    if (l->file.voice.lexicon) {
        char *path = path_join(l->campaign->folder, l->file.voice.lexicon);
        k->lexicon = lexicon_read(path, place_of(l, "voice.lexicon", 0), l->faults);
        free(path);
    }
    check_voice(k);
    check_label(k);
    return k;
}

void finish_keys_free(FinishKeys **keys)
{
    FinishKeys *k = *keys;
    if (!k) return;
    for (int i = 0; i < FINISH_SLOTS; i++) template_free(&k->slot[i].text);
    for (int i = 0; i < k->overlay_count; i++) template_free(&k->overlay[i].value.text);
    styles_clear(&k->styles);
    lexicon_free(&k->lexicon);
    free(k->text);
    free(k->used);
    free(k);
    *keys = NULL;
}

/* ---- rows -------------------------------------------------------------------------------------------------------------------- */

Place finish_keys_slot_place(const FinishKeys *k, const FinishSlot *s, int64_t row)
{
    const Customers *c = &k->l->campaign->customers;
    int column = s->text ? template_first_column(s->text) : -1;
    if (column < 0) return (Place){k->l->campaign->file, s->line, s->key};
    return (Place){k->l->campaign->customers_file, c->line[row], c->column[column]};
}

size_t finish_keys_expand(FinishKeys *k, const FinishSlot *s, int64_t row)
{
    return template_expand_as(s->text, &k->l->campaign->customers, row, s->form, &k->text, &k->room);
}

static void check_slot(FinishKeys *k, const FinishSlot *s, int64_t row)
{
    const Customers *c = &k->l->campaign->customers;
    if (!s->text || (row > 0 && template_is_constant(s->text))) return;
    Place place = finish_keys_slot_place(k, s, row);
    int missing = template_missing(s->text, c, row);
    if (missing >= 0) {
        place = (Place){k->l->campaign->customers_file, c->line[row], c->column[missing]};
        faults_add(k->l->faults, place,
                   "empty, and %s in %s:%d has no fallback; expected a value, or {{%.60s|...}} there", s->key,
                   path_name(k->l->campaign->file), s->line, c->column[missing]);
        return;
    }
    size_t n = finish_keys_expand(k, s, row);
    if (n > MAX_TEXT_BYTES)
        faults_add(k->l->faults, place, "%s has %zu bytes, expected at most %d", s->key, n, MAX_TEXT_BYTES);
    if (!s->is_file || text_is_blank(k->text)) return;
    char *path = path_join(k->l->campaign->folder, k->text);
    const char *sha256, *fault = file_is_folder(path) ? "a folder, expected a file"
                                 : !file_exists(path) ? "no such file"
                                 : k->speaks && s == &k->slot[FINISH_VOICE_FILE]
                                     ? campaign_media_recording(k->l->media, k->text, &sha256)
                                     : NULL;
    if (fault) faults_add(k->l->faults, place, "%s %s: %s", s->key, quoted(k->text).text, fault);
    free(path);
}

/* Text, SSML or recording, where a model speaks. */
static void check_said(FinishKeys *k, int64_t row)
{
    static const FinishSlotName way[] = {FINISH_VOICE_FILE, FINISH_VOICE_TEXT, FINISH_VOICE_SSML};
    const FinishSlot *first = NULL;
    bool constant = true;
    for (size_t i = 0; i < sizeof way / sizeof *way; i++) {
        const FinishSlot *s = &k->slot[way[i]];
        if (!s->text) continue;
        if (!first) first = s;
        constant = constant && template_is_constant(s->text);
        if (template_missing(s->text, &k->l->campaign->customers, row) >= 0) return; /* that is told */
        finish_keys_expand(k, s, row);
        if (!text_is_blank(k->text)) return;
    }
    if (first && (row == 0 || !constant))
        faults_add(k->l->faults, finish_keys_slot_place(k, first, row),
                   "%s is empty; %s speaks: expected what is said in every row", first->key, k->l->file.model);
}

void finish_keys_check(FinishKeys *k, int64_t row)
{
    for (int i = 0; i < FINISH_SLOTS; i++) check_slot(k, &k->slot[i], row);
    for (int i = 0; i < k->overlay_count; i++) check_slot(k, &k->overlay[i].value, row);
    if (k->speaks) check_said(k, row);
}
