#include "finish_keys.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/finish_spec.h"
#include "coordinator/campaign/finish_keys_parts.h"
#include "coordinator/campaign/landing.h"
#include "coordinator/campaign/lexicon.h"
#include "coordinator/campaign/media.h"
#include "coordinator/campaign/styles.h"
#include "coordinator/campaign/variants.h"

enum { MAX_TEXT_BYTES = 4096 };

static Place place_of(const CampaignLoad *l, const char *key, int line)
{
    Place place = campaign_place(l, key);
    if (line) place.line = line;
    return place;
}

static bool is_blank(const char *text) { return text[strspn(text, " \t\r\n")] == 0; }

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
        if (row[i].text && is_blank(row[i].text) && row[i].at != FINISH_LABEL_TEXT)
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
    if (is_blank(o->text ? o->text : o->image ? o->image : o->qr)) {
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
    if (k->l->base.frames_most || !campaign_file_line(&k->l->file, "voice.longest")) return;
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

static size_t expand(FinishKeys *k, const FinishSlot *s, int64_t row)
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
    size_t n = expand(k, s, row);
    if (n > MAX_TEXT_BYTES)
        faults_add(k->l->faults, place, "%s has %zu bytes, expected at most %d", s->key, n, MAX_TEXT_BYTES);
    if (!s->is_file || is_blank(k->text)) return;
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
        expand(k, s, row);
        if (!is_blank(k->text)) return;
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

/* ---- documents ------------------------------------------------------------------------------------------------------------------ */

/* Paths become absolute: a finisher may stand anywhere. An empty value is none. */
static void put_slot(FinishKeys *k, const FinishSlot *s, int64_t row, json_t *to)
{
    if (!s->text) return;
    expand(k, s, row);
    if (is_blank(k->text)) return;
    char *path = s->is_file ? path_join(k->l->campaign->folder, k->text) : NULL,
         *whole = path ? realpath(path, NULL) : NULL;
    json_object_set_new(to, s->member, json_string(whole ? whole : path ? path : k->text));
    free(whole);
    free(path);
}

static void put_text(json_t *to, const char *member, const char *text)
{
    if (text) json_object_set_new(to, member, json_string(text));
}

static json_t *voice_json(FinishKeys *k, int64_t row)
{
    json_t *o = json_object();
    for (int i = FINISH_VOICE_TEXT; i <= FINISH_VOICE_PHONETIC; i++) put_slot(k, &k->slot[i], row, o);
    const char *said = json_string_value(json_object_get(o, "text"));
    if (!said) said = json_string_value(json_object_get(o, "ssml"));
    if (!said && !json_object_get(o, "file")) return json_decref(o), NULL; /* this row is silent */
    campaign_file_finish(&k->l->file, "voice.", o);
    if (k->l->file.voice.file) json_object_del(o, "engine");
    if (k->lexicon && said) json_object_set_new(o, "lexicon", lexicon_for(k->lexicon, said));
    if (k->speaks && json_object_get(o, "file")) { /* lips that followed another recording would not fit it */
        const char *sha256;
        expand(k, &k->slot[FINISH_VOICE_FILE], row);
        if (!campaign_media_recording(k->l->media, k->text, &sha256)) put_text(o, "sha256", sha256);
    }
    return o;
}

char *finish_keys_speech(FinishKeys *k, int64_t row, const ShotFile *cameo)
{
    json_t *o = voice_json(k, row);
    if (!o) return NULL;
    json_object_del(o, "gain_db");
    if (cameo) {
        put_text(o, "voice_ref", cameo->path);
        put_text(o, "voice_sha256", cameo->sha256);
    }
    return finish_spec_text(o);
}

static json_t *music_json(FinishKeys *k, int64_t row)
{
    json_t *o = json_object();
    put_slot(k, &k->slot[FINISH_MUSIC_FILE], row, o);
    if (!json_object_get(o, "file")) return json_decref(o), NULL;
    campaign_file_finish(&k->l->file, "music.", o);
    return o;
}

static json_t *overlay_json(FinishKeys *k, int i, const CampaignOverlay *from, int64_t row)
{
    json_t *o = json_object();
    put_slot(k, &k->overlay[i].value, row, o);
    if (json_object_size(o) == 0) return json_decref(o), NULL;
    campaign_overlay_finish(from, o);
    if (from->scale <= 0) json_object_del(o, "scale");
    if (k->overlay[i].style) json_object_set(o, "style", (json_t *)(uintptr_t)k->overlay[i].style);
    return o;
}

static json_t *overlays_json(FinishKeys *k, int64_t row)
{
    json_t *list = json_array();
    for (int i = 0; i < k->overlay_count; i++) {
        json_t *o = overlay_json(k, i, (const CampaignOverlay *)k->l->file.overlays.item + i, row);
        if (o) json_array_append_new(list, o);
    }
    if (json_array_size(list) == 0) return json_decref(list), NULL;
    return list;
}

static json_t *label_json(FinishKeys *k, int64_t row)
{
    if (strcmp(k->l->file.label.profile, "none") == 0) return NULL;
    json_t *o = json_object();
    campaign_file_finish(&k->l->file, "label.", o);
    put_slot(k, &k->slot[FINISH_LABEL_TEXT], row, o);
    return o;
}

bool finish_keys_slots_constant(const FinishKeys *k, int first, int last)
{
    for (int i = first; i <= last; i++)
        if (k->slot[i].text && !template_is_constant(k->slot[i].text)) return false;
    return true;
}

bool finish_keys_overlays_constant(const FinishKeys *k)
{
    for (int i = 0; i < k->overlay_count; i++)
        if (k->overlay[i].value.text && !template_is_constant(k->overlay[i].value.text)) return false;
    return true;
}

/* Each member of the documents: how it is made, and whether all rows have the same. */
static void put_members(FinishKeys *k, int64_t row, bool constant, json_t *to)
{
    const struct {
        const char *key;
        json_t *(*make)(FinishKeys *k, int64_t row);
        bool constant;
    } member[] = {{"voice", voice_json, finish_keys_slots_constant(k, FINISH_VOICE_TEXT, FINISH_VOICE_PHONETIC)},
                  {"music", music_json, finish_keys_slots_constant(k, FINISH_MUSIC_FILE, FINISH_MUSIC_FILE)},
                  {"overlays", overlays_json, finish_keys_overlays_constant(k)},
                  {"label", label_json, finish_keys_slots_constant(k, FINISH_LABEL_TEXT, FINISH_LABEL_TEXT)}};
    for (size_t i = 0; i < sizeof member / sizeof *member; i++) {
        if (member[i].constant != constant) continue;
        json_t *value = member[i].make(k, row);
        if (value) json_object_set_new(to, member[i].key, value);
    }
}

void finish_keys_campaign(FinishKeys *k, json_t *document)
{
    const CampaignFile *f = &k->l->file;
    if (k->l->campaign->customers.row_count > 0) put_members(k, 0, true, document);
    if (strcmp(f->subtitles, "none") != 0) json_object_set_new(document, "subtitles", json_string(f->subtitles));
    if (strcmp(f->label.profile, "cn") == 0) json_object_set_new(document, "producer", json_string(f->campaign));
}

/* Names of columns that are empty in this row, so that a template takes what stands for them. */
static void add_fallbacks(const FinishKeys *k, const Template *t, int64_t row, json_t *list)
{
    const Customers *c = &k->l->campaign->customers;
    for (int i = 0, column; t && (column = template_column(t, i)) != TEMPLATE_END; i++) {
        size_t n;
        json_t *known;
        if (column < 0 || *customers_value(c, row, column)) continue;
        bool there = false;
        json_array_foreach(list, n, known) there = there || strcmp(json_string_value(known), c->column[column]) == 0;
        if (!there) json_array_append_new(list, json_string(c->column[column]));
    }
}

char *finish_keys_clip(FinishKeys *k, int64_t row, const char *with)
{
    json_t *own = json_object(), *fallbacks = json_array();
    char *variant = variants_text(k->l, row);
    put_members(k, row, false, own);
    if (k->l->landing) json_object_set_new(own, "page_values", landing_values(k->l->landing, row));
    const Template *const render[] = {k->l->prompt, k->l->negative, k->l->seed};
    for (size_t i = 0; i < sizeof render / sizeof *render; i++) add_fallbacks(k, render[i], row, fallbacks);
    for (int i = 0; i < campaign_media_slots(); i++)
        add_fallbacks(k, campaign_media_template(k->l->media, i), row, fallbacks);
    for (int i = 0; i < FINISH_SLOTS; i++) add_fallbacks(k, k->slot[i].text, row, fallbacks);
    for (int i = 0; i < k->overlay_count; i++) add_fallbacks(k, k->overlay[i].value.text, row, fallbacks);
    for (int i = 0; landing_template(k->l->landing, i); i++)
        add_fallbacks(k, landing_template(k->l->landing, i), row, fallbacks);
    if (json_array_size(fallbacks)) json_object_set(own, "fallbacks", fallbacks);
    put_text(own, "variant", variant);
    json_decref(fallbacks);
    free(variant);
    if (with && json_object_size(own)) {
        json_t *other = json_loads(with, 0, NULL);
        json_object_update(own, other);
        json_decref(other);
    }
    if (json_object_size(own)) return finish_spec_text(own);
    json_decref(own);
    return with ? text_copy(with) : NULL; /* as it is: parsing a million of them takes long */
}
