/* ask.c - the question whether a person agrees, with what the store holds of them; and whether an answer is still the same. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "trust/inside.h"

static void free_held(TrustHeld *h)
{
    trust_record_clear(&h->record);
    trust_consents_clear(&h->consents);
    free(h->id);
    free(h);
}

void trust_drop_held(TrustStore *s)
{
    TrustHeld *h, *next;
    HASH_ITER(hh, s->held, h, next)
    {
        HASH_DEL(s->held, h);
        free_held(h);
    }
}

void trust_hold(TrustStore *s) { s->holding = true; }

void trust_release(TrustStore *s)
{
    s->holding = false;
    trust_drop_held(s);
}

/* Nobody of that id: never added, or erased. The log is readable, or nothing is known. */
static bool is_missing(TrustStore *s, const char *cameo)
{
    if (!trust_id_valid(cameo) || failed(trust_refresh(s))) return false;
    char *path = trust_path(s, "cameos/%s/cameo.json", cameo);
    bool gone = access(path, F_OK) != 0 && errno == ENOENT;
    free(path);
    return gone;
}

static TrustHeld *read_person(TrustStore *s, const char *cameo)
{
    TrustWhole w = {0};
    TrustHeld *h = memory_get(1, sizeof *h);
    h->id = text_copy(cameo);
    Status status = trust_read_whole(s, cameo, &w);
    h->readable = !failed(status);
    h->missing = failed(status) && is_missing(s, cameo);
    if (failed(status)) snprintf(h->reason, sizeof h->reason, "%.590s", status.message);
    h->record = w.record;
    h->consents = w.consents;
    return h;
}

/* Noted, so that no clock that is set back revives it. A store that cannot be written keeps what this process has seen. */
static void note_lapse(TrustStore *s, TrustHeld *h, int number, int64_t now_s)
{
    int lock;
    for (int i = 0; i < h->consents.count; i++)
        if (h->consents.consent[i].number == number) h->consents.consent[i].lapsed = true;
    if (s->mode == TRUST_READ || failed(trust_begin(s, &lock))) return;
    TrustFact *f = trust_fact(s, h->record.ref);
    TrustFactConsent *c = f ? trust_fact_consent(f, number) : NULL;
    if (c && !c->lapsed)
        trust_log(s, json_pack("{s:s,s:s,s:i}", "what", "lapse", "ref", h->record.ref, "consent", number), now_s);
    trust_end(s, &lock);
}

static TrustAnswer ask(TrustStore *s, TrustHeld *h, const TrustUse *use, int64_t now_s)
{
    TrustAnswer a = {0};
    if (!h->readable) {
        a.unreadable = !h->missing;
        snprintf(a.reason, sizeof a.reason, "%s", h->reason);
        return a;
    }
    TrustPerson p = {.id = h->id,
                     .verified = h->record.verified_s > 0,
                     .minor = h->record.minor,
                     .public_figure = h->record.public_figure,
                     .consent_count = h->consents.count,
                     .consent = h->consents.consent};
    /* a held person was read with the log as it was then; only this process' own clock has gone on */
    now_s = s->holding ? trust_now_held(s, now_s) : trust_now(s, now_s);
    a = trust_decide(&p, use, now_s);
    for (int i = 0; a.expired && i < h->consents.count; i++)
        if (h->consents.consent[i].number == a.consent && !h->consents.consent[i].lapsed)
            note_lapse(s, h, a.consent, now_s);
    return a;
}

/* To be given to let_go. */
static TrustHeld *hold_person(TrustStore *s, const char *cameo)
{
    TrustHeld *h = NULL;
    if (s->holding) HASH_FIND_STR(s->held, cameo, h);
    if (h) return h;
    h = read_person(s, cameo);
    if (s->holding) HASH_ADD_KEYPTR(hh, s->held, h->id, strlen(h->id), h);
    return h;
}

static void let_go(const TrustStore *s, TrustHeld *h)
{
    if (!s->holding) free_held(h);
}

TrustAnswer trust_allows(TrustStore *s, const char *cameo, const TrustUse *use, int64_t now_s)
{
    TrustHeld *h = hold_person(s, cameo);
    TrustAnswer a = ask(s, h, use, now_s);
    let_go(s, h);
    return a;
}

/* ---- whether an answer is still the same ---- */

static uint64_t mix(uint64_t stamp, const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) stamp = (stamp ^ ((const unsigned char *)data)[i]) * 1099511628211u; /* FNV-1a */
    return stamp;
}

static uint64_t mix_consent(uint64_t stamp, const char *sha256, bool revoked, bool lapsed)
{
    const unsigned char state = (unsigned char)(revoked + 2 * lapsed);
    return mix(mix(stamp, sha256, HASH_TEXT), &state, 1);
}

static uint64_t start_stamp(const TrustFact *f) { return mix(14695981039346656037u, f->record, HASH_TEXT); }

void trust_glance(TrustStore *s, const char *cameo, int64_t now_s, TrustGlance *out)
{
    TrustHeld *h = hold_person(s, cameo);
    const TrustFact *f = h->readable ? trust_fact(s, h->record.ref) : NULL;
    *out = (TrustGlance){.until_s = INT64_MAX};
    now_s = trust_now_held(s, now_s);
    if (f) {
        memcpy(out->ref, h->record.ref, sizeof out->ref);
        out->stamp = start_stamp(f);
    }
    for (int i = 0; f && i < h->consents.count; i++) {
        const TrustConsent *c = &h->consents.consent[i];
        out->stamp = mix_consent(out->stamp, c->sha256, c->revoked, c->lapsed);
        if (c->until_s > now_s && c->until_s < out->until_s) out->until_s = c->until_s;
    }
    let_go(s, h);
}

bool trust_glance_holds(TrustStore *s, const char *cameo, const TrustGlance *g, int64_t now_s)
{
    const TrustFact *f = *g->ref ? trust_fact(s, g->ref) : NULL;
    bool all, one = false;
    if (!f || f->erased || trust_now_held(s, now_s) >= g->until_s || failed(trust_is_revoked(s, cameo, 0, &all)))
        return false;
    uint64_t stamp = start_stamp(f);
    for (int i = 0; i < f->consent_count; i++) {
        const TrustFactConsent *c = &f->consent[i];
        if (!c->revoked && !all && failed(trust_is_revoked(s, cameo, c->number, &one))) return false;
        stamp = mix_consent(stamp, c->sha256, c->revoked || all || one, c->lapsed);
        one = false;
    }
    return stamp == g->stamp;
}
