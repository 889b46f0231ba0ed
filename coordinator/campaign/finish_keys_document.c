/* finish_keys_document.c - the finish documents (common/finish_spec.h): what all rows share in the campaign's, the rest in each row's own. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/finish_spec.h"
#include "coordinator/campaign/finish_keys_parts.h"
#include "coordinator/campaign/landing.h"
#include "coordinator/campaign/media.h"
#include "coordinator/campaign/variants.h"

/* Paths become absolute: a finisher may stand anywhere. An empty value is none. */
static void put_slot(FinishKeys *k, const FinishSlot *s, int64_t row, json_t *to)
{
    if (!s->text) return;
    finish_keys_expand(k, s, row);
    if (text_is_blank(k->text)) return;
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
        finish_keys_expand(k, &k->slot[FINISH_VOICE_FILE], row);
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

static void note_columns(FinishKeys *k, const Template *t)
{
    for (int i = 0, column; t && (column = template_column(t, i)) != TEMPLATE_END; i++) {
        bool there = column < 0;
        for (int n = 0; n < k->used_count && !there; n++) there = k->used[n] == column;
        if (!there) k->used[k->used_count++] = column;
    }
}

/* What of a row's document can differ from another's: the columns that templates use, in the order of their first use. */
static void find_what_differs(FinishKeys *k)
{
    const Template *const render[] = {k->l->prompt, k->l->negative, k->l->seed};
    k->used = memory_get((size_t)k->l->campaign->customers.column_count + 1, sizeof *k->used);
    for (size_t i = 0; i < sizeof render / sizeof *render; i++) note_columns(k, render[i]);
    for (int i = 0; i < campaign_media_slots(); i++) note_columns(k, campaign_media_template(k->l->media, i));
    for (int i = 0; i < FINISH_SLOTS; i++) note_columns(k, k->slot[i].text);
    for (int i = 0; i < k->overlay_count; i++) note_columns(k, k->overlay[i].value.text);
    for (int i = 0; landing_template(k->l->landing, i); i++) note_columns(k, landing_template(k->l->landing, i));
    k->rows_differ = k->l->landing || k->l->file.variants.count || !finish_keys_overlays_constant(k) ||
                     !finish_keys_slots_constant(k, 0, FINISH_SLOTS - 1);
}

/* Names of columns that are empty in this row, so that a template takes what stands for them; NULL: none is. */
static json_t *fallbacks_json(const FinishKeys *k, int64_t row)
{
    const Customers *c = &k->l->campaign->customers;
    json_t *list = NULL;
    for (int i = 0; i < k->used_count; i++) {
        if (*customers_value(c, row, k->used[i])) continue;
        if (!list) list = json_array();
        json_array_append_new(list, json_string(c->column[k->used[i]]));
    }
    return list;
}

static json_t *own_json(FinishKeys *k, int64_t row, json_t *fallbacks)
{
    json_t *own = json_object();
    char *variant = variants_text(k->l, row);
    put_members(k, row, false, own);
    if (k->l->landing) json_object_set_new(own, "page_values", landing_values(k->l->landing, row));
    if (fallbacks) json_object_set(own, "fallbacks", fallbacks);
    put_text(own, "variant", variant);
    free(variant);
    return own;
}

char *finish_keys_clip(FinishKeys *k, int64_t row, const char *with)
{
    if (!k->used) find_what_differs(k);
    json_t *fallbacks = fallbacks_json(k, row), *own = fallbacks || k->rows_differ ? own_json(k, row, fallbacks) : NULL;
    json_decref(fallbacks);
    if (json_object_size(own) == 0) {
        json_decref(own);
        return with ? text_copy(with) : NULL; /* as it is: parsing a million of them takes long */
    }
    if (with) {
        json_t *other = json_loads(with, 0, NULL);
        json_object_update(own, other);
        json_decref(other);
    }
    return finish_spec_text(own);
}
