#include "cameo.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define uthash_fatal(message) abort()
#include <uthash.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/likeness.h"
#include "common/moment.h"
#include "trust/territory.h"
#include "trust/trust.h"

typedef struct { /* a person whose consent was found good: their pictures and voice */
    char *id;
    int count;
    ShotFile face[SHOT_MAX_REFERENCES];
    ShotFile voice; /* path NULL: none was recorded */
    UT_hash_handle hh;
} Faces;

struct CampaignCameo {
    CampaignLoad *l;
    Template *id, *purpose, *viewer; /* viewer NULL: the row's id */
    char *text[3];                   /* expanded */
    size_t room[3];
    char *document;    /* of the row that was asked about last */
    char *folder;      /* of the store, absolute where it is there */
    bool asked, image; /* image: the face becomes the first frame */
    bool lips;         /* the model's lips follow their voice */
    TrustStore *store; /* NULL: it cannot be opened */
    char *store_fault;
    TrustUse use;
    const char *territory[YAML_MAX_WORDS];
    int64_t now_s;
    const Faces *last;
    Faces *known;
};

/* ---- the file's keys ---- */

static bool speaks_as_cameo(const CampaignFile *f) { return f->voice.voice && strcmp(f->voice.voice, "cameo") == 0; }

static bool uses_voice(const CampaignFile *f) { return f->cameo_voice || speaks_as_cameo(f); }

static void check_audience(CampaignLoad *l)
{
    const YamlWords *w = &l->file.audience;
    for (int i = 0; i < w->count; i++) {
        Place place = campaign_place(l, "audience");
        if (w->line[i]) place.line = w->line[i];
        if (!trust_territory_known(w->word[i]))
            faults_add(l->faults, place, "%s, expected countries, [DE, AT], or EU, EEA, WORLD",
                       quoted(w->word[i]).text);
    }
}

bool campaign_cameo_gives_image(const CampaignLoad *l)
{
    const ModelConfig *m = l->campaign->model;
    if (!l->file.cameo_id || !l->file.cameo_face || !m) return false;
    const ModelMedia takes = model_config_media(m);
    return takes.image && !takes.control;
}

static void check_model(const CampaignCameo *c)
{
    CampaignLoad *l = c->l;
    if (!l->campaign->model || !l->file.cameo_face) return;
    const ModelMedia takes = model_config_media(l->campaign->model);
    if (!takes.control && !takes.image)
        faults_add(l->faults, campaign_place(l, "cameo.id"),
                   "%s takes no pictures (%s), so it cannot show a face; give a VACE or an image-to-video model, or "
                   "cameo.face: false",
                   l->file.model, l->campaign->model->pipeline);
    if (c->image && l->file.image)
        faults_add(l->faults, campaign_place(l, "image"),
                   "the first frame is the cameo's face already; leave one of them out");
}

static Template *compile(CampaignLoad *l, const char *key, const char *text)
{
    return text ? template_new(text, &l->campaign->customers, campaign_place(l, key), l->faults) : NULL;
}

static void find_store(CampaignCameo *c)
{
    char *given = c->l->file.trust ? path_join(c->l->campaign->folder, c->l->file.trust) : NULL;
    char *folder = trust_find(given);
    c->folder = realpath(folder, NULL);
    char here[PATH_MAX];
    if (!c->folder) c->folder = path_join(getcwd(here, sizeof here) ? here : "", folder); /* it may be made later */
    free(folder);
    free(given);
}

CampaignCameo *campaign_cameo_new(CampaignLoad *l)
{
    const CampaignFile *f = &l->file;
    check_audience(l);
    if (!f->cameo_id && f->voice.voice && strcmp(f->voice.voice, "cameo") == 0)
        faults_add(l->faults, campaign_place(l, "voice.voice"), "cameo, without cameo.id; expected whose voice");
    if (!f->cameo_id) {
        if (f->cameo_purpose)
            faults_add(l->faults, campaign_place(l, "cameo.purpose"),
                       "without cameo.id; expected whose likeness, \"{{cameo}}\"");
        return NULL;
    }
    CampaignCameo *c = memory_get(1, sizeof *c);
    c->l = l;
    c->id = compile(l, "cameo.id", f->cameo_id);
    if (!f->cameo_purpose)
        faults_add(l->faults, campaign_place(l, "cameo.id"),
                   "cameo.purpose is missing; expected what for, as the people's consents say it");
    c->purpose = compile(l, "cameo.purpose", f->cameo_purpose ? f->cameo_purpose : "");
    c->viewer = compile(l, "cameo.for", f->cameo_for);
    c->image = campaign_cameo_gives_image(l);
    c->lips = l->campaign->model && l->campaign->model->dit.sound_count && speaks_as_cameo(f);
    find_store(c);
    if (!f->cameo_face && !uses_voice(f))
        faults_add(l->faults, campaign_place(l, "cameo.id"),
                   "neither cameo.face nor cameo.voice; expected one of them");
    check_model(c);
    return c;
}

void campaign_cameo_free(CampaignCameo **cameo)
{
    CampaignCameo *c = *cameo;
    Faces *f, *next;
    if (!c) return;
    HASH_ITER(hh, c->known, f, next)
    {
        HASH_DEL(c->known, f);
        for (int i = 0; i < f->count; i++) free(f->face[i].path);
        free(f->voice.path);
        free(f->id);
        free(f);
    }
    template_free(&c->id);
    template_free(&c->purpose);
    if (c->viewer) template_free(&c->viewer);
    for (int i = 0; i < 3; i++) free(c->text[i]);
    trust_close(&c->store);
    free(c->store_fault);
    free(c->document);
    free(c->folder);
    free(c);
    *cameo = NULL;
}

static bool has_values(const CampaignCameo *c, const Template *t, const char *key, int64_t row)
{
    const Customers *customers = &c->l->campaign->customers;
    int missing = t ? template_missing(t, customers, row) : -1;
    if (missing < 0) return true;
    faults_add(c->l->faults, (Place){c->l->campaign->customers_file, customers->line[row], customers->column[missing]},
               "empty, and %s has no fallback; expected a value, or {{%.60s|}} there for rows without a cameo", key,
               customers->column[missing]);
    return false;
}

static const char *expand(CampaignCameo *c, int which, const Template *t, int64_t row)
{
    template_expand(t, &c->l->campaign->customers, row, &c->text[which], &c->room[which]);
    return c->text[which];
}

/* A row without a person, where the model needs their picture, or its lips their voice. */
static void check_needed(CampaignCameo *c, int64_t row)
{
    const Customers *customers = &c->l->campaign->customers;
    const bool picture = c->image && model_config_media(c->l->campaign->model).needs_image;
    const int column = template_first_column(c->id);
    if ((!picture && !c->lips) || *expand(c, 0, c->id, row)) return;
    Place place = campaign_place(c->l, "cameo.id");
    if (column >= 0) place = (Place){c->l->campaign->customers_file, customers->line[row], customers->column[column]};
    faults_add(c->l->faults, place, "no cameo; %s needs %s in every row", c->l->file.model,
               picture && c->lips ? "their picture and voice"
               : picture          ? "their picture"
                                  : "their voice");
}

void campaign_cameo_check(CampaignCameo *c, int64_t row)
{
    if (!c) return;
    const bool known = has_values(c, c->id, "cameo.id", row);
    has_values(c, c->purpose, "cameo.purpose", row);
    has_values(c, c->viewer, "cameo.for", row);
    if (known) check_needed(c, row);
}

/* ---- the question ---- */

static void open_store(CampaignCameo *c)
{
    const CampaignFile *f = &c->l->file;
    c->asked = true;
    c->now_s = (int64_t)moment_wall_s();
    for (int i = 0; i < f->audience.count; i++) c->territory[i] = f->audience.word[i];
    c->use = (TrustUse){.campaign = c->l->campaign->name,
                        .brand = f->brand,
                        .territory_count = f->audience.count,
                        .territory = c->territory,
                        .face = f->cameo_face,
                        .voice = uses_voice(f)};
    Status status = trust_open(c->folder, TRUST_USE, &c->store);
    if (failed(status))
        c->store_fault = text_copy(status.message);
    else
        trust_hold(c->store);
}

/* The pictures of a person's face, and their voice, by the hash of their content. */
static const Faces *find_faces(CampaignCameo *c, const char *id, char **refusal)
{
    TrustRecord r;
    Faces *f;
    HASH_FIND_STR(c->known, id, f);
    if (f) return f;
    Status status = trust_read_record(c->store, id, &r);
    if (failed(status)) {
        *refusal = text_copy(status.message);
        return NULL;
    }
    f = memory_get(1, sizeof *f);
    f->id = text_copy(id);
    int most = c->image ? 1 : c->l->file.cameo_pictures;
    for (int i = 0; i < r.medium_count && f->count < most; i++) {
        if (strcmp(r.medium[i].kind, "face") != 0) continue;
        f->face[f->count].path = likeness_path(id, f->count, c->folder);
        memcpy(f->face[f->count++].sha256, r.medium[i].sha256, HASH_TEXT);
    }
    for (int i = 0; i < r.medium_count && !f->voice.path; i++) {
        if (strcmp(r.medium[i].kind, "voice") != 0) continue;
        f->voice.path = likeness_path(id, 0, c->folder);
        memcpy(f->voice.sha256, r.medium[i].sha256, HASH_TEXT);
    }
    trust_record_clear(&r);
    HASH_ADD_KEYPTR(hh, c->known, f->id, strlen(f->id), f);
    return f;
}

/* As jansson quotes it; most texts are plain. */
static char *quote(const char *text)
{
    size_t plain = 0;
    while (text[plain] >= ' ' && text[plain] < 0x7f && text[plain] != '"' && text[plain] != '\\') plain++;
    if (!text[plain]) return text_format("\"%s\"", text);
    json_t *value = json_string(text);
    char *quoted_text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    if (!quoted_text) abort(); /* the table is UTF-8 */
    json_decref(value);
    return quoted_text;
}

/* {"cameo":{...}}, its keys sorted as in every finish document; by hand, as a million rows have one. */
static const char *write_document(CampaignCameo *c, const char *id)
{
    char *one = quote(c->use.purpose), *two = quote(c->use.viewer);
    free(c->document);
    c->document = text_format("{\"cameo\":{\"face\":%s,\"for\":%s,\"id\":\"%s\",\"purpose\":%s,\"voice\":%s}}",
                              c->use.face ? "true" : "false", two, id, one, c->use.voice ? "true" : "false");
    free(one);
    free(two);
    return c->document;
}

void campaign_cameo_ask(CampaignCameo *c, int64_t row, CampaignCameoRow *out)
{
    *out = (CampaignCameoRow){.id = ""};
    if (!c) return;
    if (!c->asked) open_store(c);
    c->last = NULL;
    const Customers *customers = &c->l->campaign->customers;
    const char *id = expand(c, 0, c->id, row);
    if (!*id) return;
    out->id = id;
    if (!trust_id_valid(id)) {
        out->refusal = text_format("cameo %s: no such id; expected letters, digits, '.', '_', '-'", quoted(id).text);
        return;
    }
    c->use.purpose = expand(c, 1, c->purpose, row);
    c->use.viewer = c->viewer ? expand(c, 2, c->viewer, row)
                              : customers->value[row * customers->column_count + customers->id_column];
    out->finish = write_document(c, id);
    if (!c->store) {
        out->refusal = text_copy(c->store_fault);
        return;
    }
    TrustAnswer a = trust_allows(c->store, id, &c->use, c->now_s);
    if (!a.allowed) {
        out->refusal = text_copy(a.reason);
        return;
    }
    if (!c->use.face && !c->lips) return;
    c->last = find_faces(c, id, &out->refusal);
    if (!c->last) return;
    if (c->use.face && c->last->count == 0)
        out->refusal = text_format("cameo %s has no picture of a face: reelwright cameo add %s --face FILE", id, id);
    else if (c->lips && !c->last->voice.path)
        out->refusal = text_format("cameo %s has no voice: reelwright cameo add %s --voice FILE", id, id);
}

const ShotFile *campaign_cameo_voice(const CampaignCameo *c)
{
    return c && c->lips && c->last && c->last->voice.path ? &c->last->voice : NULL;
}

void campaign_cameo_add(const CampaignCameo *c, ShotMedia *m, ShotFile *reference)
{
    if (!c || !c->use.face || !c->last || !c->last->count) return;
    if (c->image) {
        m->image = c->last->face[0];
        return;
    }
    for (int i = 0; i < c->last->count && m->reference_count < SHOT_MAX_REFERENCES; i++)
        reference[m->reference_count++] = c->last->face[i];
    m->reference = reference;
}

const Template *campaign_cameo_template(const CampaignCameo *c) { return c ? c->id : NULL; }

json_t *campaign_cameo_document(const CampaignCameo *c)
{
    const CampaignFile *f = &c->l->file;
    json_t *audience = json_array();
    for (int i = 0; i < f->audience.count; i++) json_array_append_new(audience, json_string(f->audience.word[i]));
    char *folder = foreign_utf8(c->folder);
    json_t *all = json_pack("{s:s,s:s,s:s,s:o}", "store", folder, "campaign", c->l->campaign->name, "brand",
                            f->brand ? f->brand : "", "audience", audience);
    free(folder);
    if (!all) abort();
    return all;
}
