#include "dossier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/file.h"
#include "common/moment.h"
#include "coordinator/campaign/licence.h"
#include "coordinator/ledger/view.h"
#include "coordinator/watch/audit.h"
#include "trust/trust.h"

typedef struct {
    const char *folder;
    Audit *audit;
    json_t *used;                       /* token of a clip -> number of the consent that its last lease was given by */
    json_t *decisions, *clips, *cameos; /* cameos: the ids that were used, as keys */
    int64_t label_count;
} Dossier;

static void set_time(json_t *o, const char *key, double s)
{
    char text[TRUST_TIME_BYTES];
    if (s <= 0) return;
    trust_time_text((int64_t)s, text);
    json_object_set_new(o, key, json_string(text));
}

/* ---- what was decided ---- */

static Status take_decision(void *self, const json_t *line)
{
    Dossier *d = self;
    const char *what = json_string_value(json_object_get(line, "what")),
               *clip = json_string_value(json_object_get(line, "clip"));
    json_array_append(d->decisions, (json_t *)(uintptr_t)line);
    if (what && clip && strcmp(what, "consent.used") == 0)
        json_object_set(d->used, clip, json_object_get(line, "consent"));
    return status_ok();
}

static json_t *read_decisions(Dossier *d)
{
    TrustChain chain;
    char *why;
    const AuditState state = audit_check(d->folder, (TrustChainSink){take_decision, d}, &chain, &why);
    json_t *o = json_pack("{s:s,s:b,s:I,s:O}", "chain", audit_state_name(state), "sealed", state == AUDIT_SEALED,
                          "lines", (json_int_t)chain.count, "decisions", d->decisions);
    if (why) json_object_set_new(o, "why", json_string(why));
    free(why);
    if (chain.count) json_object_set_new(o, "last_sha256", json_string(chain.hash));
    return o;
}

/* ---- clips ---- */

/* Of texts only hashes: the file goes to people who need not read what was said to whom. */
static void set_hash(json_t *o, const char *key, const char *text)
{
    char hash[HASH_TEXT];
    if (!*text) return;
    hash_bytes(text, strlen(text), hash);
    json_object_set_new(o, key, json_string(hash));
}

static void add_cameo(Dossier *d, json_t *clip, const ClipRow *r)
{
    char token[AUDIT_TOKEN];
    json_t *finish = json_loads(r->finish, 0, NULL), *cameo = json_object_get(finish, "cameo");
    const char *id = json_string_value(json_object_get(cameo, "id"));
    if (id) {
        audit_token(d->audit, r->clip_id, token);
        json_object_set_new(d->cameos, id, json_true());
        json_object_set(clip, "cameo", cameo);
        json_t *number = json_object_get(d->used, token);
        json_object_set(clip, "consent", number ? number : json_null());
    }
    json_decref(finish);
}

static Status add_clip(void *self, const ClipRow *r)
{
    static const char *const kept[] = {"gates",    "watermark", "credentials", "disclosure", "fingerprint",
                                       "captions", "engine",    "fallbacks",   "variant"};
    Dossier *d = self;
    json_t *clip = json_pack("{s:s,s:s}", "clip", r->clip_id, "state", r->state),
           *result = *r->result ? json_loads(r->result, 0, NULL) : NULL;
    if (*r->reason) json_object_set_new(clip, "reason", json_string(r->reason));
    if (*r->sha256) json_object_set_new(clip, "sha256", json_string(r->sha256));
    if (*r->reviewer) json_object_set_new(clip, "reviewer", json_string(r->reviewer));
    if (*r->label) json_object_set_new(clip, "label", json_string(r->label));
    if (*r->key) json_object_set_new(clip, "shot", json_string(r->key));
    if (r->shot >= 0) json_object_set_new(clip, "seed", json_sprintf("%llu", (unsigned long long)r->seed));
    if (r->shot >= 0) json_object_set_new(clip, "steps", json_integer(r->steps));
    set_hash(clip, "prompt_sha256", r->prompt);
    set_time(clip, "decided_at", r->decided_s);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (json_object_get(result, kept[i])) json_object_set(clip, kept[i], json_object_get(result, kept[i]));
    if (*r->finish) add_cameo(d, clip, r);
    d->label_count += *r->label != 0;
    json_array_append_new(d->clips, clip);
    json_decref(result);
    return status_ok();
}

/* ---- people ---- */

static json_t *consent_json(const TrustConsent *c, int64_t now_s)
{
    json_t *o = json_pack("{s:i,s:s,s:o,s:o,s:s,s:o,s:b,s:b,s:s,s:s,s:s}", "number", c->number, "purpose", c->purpose,
                          "campaigns", trust_words_to_json(&c->campaigns), "brands", trust_words_to_json(&c->brands),
                          "audience", trust_audience_name(c->audience), "territories",
                          trust_words_to_json(&c->territories), "face", c->face, "voice", c->voice, "evidence_sha256",
                          c->evidence, "state_now", trust_consent_state(c, now_s), "document_sha256", c->sha256);
    set_time(o, "granted_at", (double)c->granted_s);
    set_time(o, "until", (double)c->until_s);
    if (c->revoked) set_time(o, "revoked_at", (double)c->revoked_s);
    return o;
}

static json_t *person_json(TrustStore *s, const char *id)
{
    TrustRecord r;
    TrustConsents c = {0};
    json_t *o = json_pack("{s:s}", "id", id), *list = json_array();
    Status status = trust_read_record(s, id, &r);
    if (!failed(status)) {
        json_object_set_new(o, "verified_by", json_string(r.verified_by));
        json_object_set_new(o, "minor", json_boolean(r.minor));
        json_object_set_new(o, "public_figure", json_boolean(r.public_figure));
        set_time(o, "verified_at", (double)r.verified_s);
        status = trust_read_consents(s, &r, &c);
        trust_record_clear(&r);
    }
    const int64_t now_s = trust_now(s, (int64_t)moment_wall_s());
    for (int i = 0; i < c.count; i++) json_array_append_new(list, consent_json(&c.consent[i], now_s));
    trust_consents_clear(&c);
    json_object_set_new(o, "consents", list);
    if (failed(status)) json_object_set_new(o, "why", json_string(status.message));
    return o;
}

/* Of everybody whose likeness a clip uses or has used. */
static json_t *people_json(const Dossier *d, const json_t *finish)
{
    const json_t *trust = json_object_get(finish, "trust");
    const char *store = json_string_value(json_object_get(trust, "store")), *id;
    json_t *o = json_object(), *list = json_array(), *value;
    TrustStore *s = NULL;
    json_object_set_new(o, "people", list);
    if (!trust || !store) return o;
    json_object_set(o, "use", (json_t *)(uintptr_t)trust);
    Status status = trust_open(store, TRUST_READ, &s);
    if (failed(status)) json_object_set_new(o, "why", json_string(status.message));
    json_object_foreach(d->cameos, id, value) if (s) json_array_append_new(list, person_json(s, id));
    trust_close(&s);
    return o;
}

/* ---- the model ---- */

static void extend(json_t *list, const LicenceParts *parts)
{
    json_t *all = licence_to_json(parts);
    json_array_extend(list, all);
    json_decref(all);
}

/* One that rows were planned with; its file may be gone. */
static Status add_adapter(void *self, const AdapterRow *r)
{
    json_t *list = self;
    LicenceParts parts = {0};
    licence_add_adapter(r->path, &parts);
    extend(list, &parts);
    licence_clear_parts(&parts);
    json_t *last = json_array_get(list, json_array_size(list) - 1);
    json_object_set_new(last, "sha256", json_string(r->sha256));
    json_object_set_new(last, "rows", json_integer(r->rows));
    return status_ok();
}

/* The engine that speaks. */
static void add_engine(json_t *model, const CampaignFile *f, const char *file)
{
    LicenceParts parts = {0};
    char *folder = path_folder(file), *card = f->voice.card ? path_join(folder, f->voice.card) : NULL;
    if ((f->voice.text || f->voice.ssml) && !f->voice.file) licence_add_voice(f->voice.engine, card, &parts);
    extend(json_object_get(model, "parts"), &parts);
    licence_clear_parts(&parts);
    free(card);
    free(folder);
}

/* What the campaign's file said of the licences, where it can still be read. */
static void add_accepted(json_t *model, const char *file)
{
    char *text = NULL;
    size_t bytes;
    CampaignFile f = {0};
    if (failed(file_read(file, YAML_MAX_BYTES, &text, &bytes))) return;
    Faults *faults = faults_new();
    if (campaign_file_parse(file, text, bytes, faults, &f)) {
        json_t *accept = json_array(), *audience = json_array();
        for (int i = 0; i < f.licence_accept.count; i++)
            json_array_append_new(accept, json_string(f.licence_accept.word[i]));
        for (int i = 0; i < f.audience.count; i++) json_array_append_new(audience, json_string(f.audience.word[i]));
        json_object_set_new(model, "accepted", accept);
        if (f.licence_reason) json_object_set_new(model, "accepted_because", json_string(f.licence_reason));
        if (f.operator_territory) json_object_set_new(model, "operator_territory", json_string(f.operator_territory));
        if (f.operator_revenue_usd >= 0)
            json_object_set_new(model, "operator_revenue_usd", json_real(f.operator_revenue_usd));
        json_object_set_new(model, "audience", audience);
        add_engine(model, &f, file);
    }
    campaign_file_clear(&f);
    faults_free(&faults);
    free(text);
}

static Status model_json(Ledger *l, const Snapshot *s, json_t **out)
{
    LicenceParts parts;
    const bool there = file_is_folder(s->model_folder);
    json_t *model =
        json_pack("{s:s,s:s,s:b}", "name", path_name(s->model_folder), "sha256", s->model_hash, "there", there);
    licence_read_parts(s->model_folder, &parts);
    json_object_set_new(model, "parts", licence_to_json(&parts));
    licence_clear_parts(&parts);
    *out = model;
    TRY(ledger_read_adapters(l, (AdapterSink){add_adapter, json_object_get(model, "parts")}));
    add_accepted(model, s->file);
    return status_ok();
}

/* ---- all of it ---- */

static json_t *figures_json(const Snapshot *s, int64_t labels)
{
    json_t *o = json_pack("{s:I,s:I,s:I,s:I}", "rows", (json_int_t)s->clips, "shots", (json_int_t)s->shots, "finished",
                          (json_int_t)s->finished, "labelled", (json_int_t)labels);
    json_t *states = json_object();
    for (int i = 0; i < CLIP_STATES; i++)
        if (s->clip_count[i])
            json_object_set_new(states, ledger_clip_state_name((ClipState)i), json_integer(s->clip_count[i]));
    json_object_set_new(o, "states", states);
    return o;
}

static Status fill(Dossier *d, Ledger *l, json_t *all)
{
    Snapshot s = {0};
    char *finish = NULL;
    TRY(ledger_read_snapshot(l, &s));
    json_object_set_new(all, "campaign", json_string(s.name));
    json_object_set_new(all, "fingerprint", json_string(s.fingerprint));
    set_time(all, "planned_at", s.created_s);
    set_time(all, "made_at", moment_wall_s());
    json_object_set_new(all, "audit", read_decisions(d));
    Status status = ledger_read_clips(l, NULL, (ClipSink){add_clip, d});
    if (!failed(status)) status = ledger_read_finish(l, &finish);
    json_t *document = finish ? json_loads(finish, 0, NULL) : NULL, *model = NULL;
    if (!failed(status)) status = model_json(l, &s, &model);
    if (model) json_object_set_new(all, "model", model);
    if (!failed(status)) {
        json_object_set_new(all, "likeness", people_json(d, document));
        json_object_set_new(all, "figures", figures_json(&s, d->label_count));
        json_object_set(all, "clips", d->clips);
    }
    json_decref(document);
    free(finish);
    snapshot_clear(&s);
    return status;
}

Status dossier_make(const char *folder, json_t **out)
{
    Ledger *l = NULL;
    Dossier d = {.folder = folder,
                 .used = json_object(),
                 .decisions = json_array(),
                 .clips = json_array(),
                 .cameos = json_object()};
    *out = json_object();
    Status status = ledger_open_whole(folder, &l);
    if (!failed(status)) status = audit_open(folder, &d.audit);
    if (!failed(status)) status = fill(&d, l, *out);
    audit_close(&d.audit);
    ledger_close(&l);
    json_decref(d.used);
    json_decref(d.decisions);
    json_decref(d.clips);
    json_decref(d.cameos);
    if (failed(status)) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}
