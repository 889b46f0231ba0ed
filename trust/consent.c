#include "consent.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/file.h"
#include "trust/territory.h"

/* ---- words ---- */

bool trust_id_valid(const char *id)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(id);
    return n >= 1 && n < TRUST_ID_BYTES && strspn(id, letters) == n && !strchr("._-", id[0]);
}

bool trust_word_valid(const char *word)
{
    size_t n = strlen(word);
    if (n < 1 || n >= TRUST_WORD_BYTES) return false;
    for (const char *p = word; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f) return false;
    json_t *text = json_string(word); /* NULL when it is no UTF-8 */
    json_decref(text);
    return text != NULL;
}

void trust_words_add(TrustWords *w, const char *word)
{
    if (w->count < TRUST_MAX_WORDS) w->word[w->count++] = text_copy(word);
}

void trust_words_clear(TrustWords *w)
{
    for (int i = 0; i < w->count; i++) free(w->word[i]);
    w->count = 0;
}

bool trust_words_have(const TrustWords *w, const char *word)
{
    for (int i = 0; i < w->count; i++)
        if (strcmp(w->word[i], word) == 0) return true;
    return false;
}

static const char *const audiences[] = {"only-me", "named", "anyone"};
const char *trust_audience_name(TrustAudience a) { return audiences[a]; }

void trust_consent_clear(TrustConsent *c)
{
    free(c->purpose);
    trust_words_clear(&c->campaigns);
    trust_words_clear(&c->brands);
    trust_words_clear(&c->names);
    trust_words_clear(&c->territories);
    memset(c, 0, sizeof *c);
}

bool trust_parse_until(const char *text, int64_t *until_s)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (!end || strlen(text) < 10 || tm.tm_year < 70 || tm.tm_year > 8099) return false;
    int day = tm.tm_mday;
    bool whole_day = !*end;
    if (!whole_day) end = strptime(end, "T%H:%M:%SZ", &tm);
    if (!end || *end) return false;
    time_t t = timegm(&tm);
    if (tm.tm_mday != day) return false; /* the 31st of a month that has 30 */
    *until_s = (int64_t)t + (whole_day ? 24 * 3600 : 0);
    return true;
}

const char *trust_consent_state(const TrustConsent *c, int64_t now_s)
{
    return c->revoked ? "revoked" : c->lapsed || now_s >= c->until_s ? "expired" : "granted";
}

/* ---- as a document ---- */

static Status check_words(const TrustWords *w, const char *field)
{
    for (int i = 0; i < w->count; i++)
        if (!trust_word_valid(w->word[i]))
            return status_fail(ERR_INPUT, "%s: expected 1 to %d bytes of text without line breaks", field,
                               TRUST_WORD_BYTES - 1);
    return status_ok();
}

Status trust_consent_check(const TrustConsent *c)
{
    if (!c->purpose || !trust_word_valid(c->purpose))
        return status_fail(ERR_INPUT, "purpose: expected what it is for, 1 to %d bytes of text", TRUST_WORD_BYTES - 1);
    TRY(check_words(&c->campaigns, "campaigns"));
    TRY(check_words(&c->brands, "brands"));
    TRY(check_words(&c->names, "names"));
    for (int i = 0; i < c->territories.count; i++)
        if (!trust_territory_known(c->territories.word[i]))
            return status_fail(ERR_INPUT, "territory %.40s: expected a country's code, DE, or EU, EEA, WORLD",
                               c->territories.word[i]);
    if ((c->audience == TRUST_NAMED) != (c->names.count > 0))
        return status_fail(ERR_INPUT, "audience %s: expected %s", trust_audience_name(c->audience),
                           c->audience == TRUST_NAMED ? "who it is for (--for NAME)" : "no names beside it");
    if (!c->face && !c->voice) return status_fail(ERR_INPUT, "expected face, voice or both");
    if (c->until_s <= 0) return status_fail(ERR_INPUT, "until: expected the date it ends");
    return status_ok();
}

json_t *trust_words_to_json(const TrustWords *w)
{
    json_t *list = json_array();
    for (int i = 0; i < w->count; i++) json_array_append_new(list, json_string(w->word[i]));
    return list;
}

json_t *trust_consent_to_json(const char *cameo, const char *ref, const TrustConsent *c)
{
    json_t *all = json_pack("{s:s,s:s,s:i,s:s,s:o,s:o,s:s,s:o,s:o,s:I,s:I,s:b,s:b,s:s}", "cameo", cameo, "ref", ref,
                            "number", c->number, "purpose", c->purpose, "campaigns", trust_words_to_json(&c->campaigns),
                            "brands", trust_words_to_json(&c->brands), "audience", trust_audience_name(c->audience),
                            "names", trust_words_to_json(&c->names), "territories",
                            trust_words_to_json(&c->territories), "granted_s", (json_int_t)c->granted_s, "until_s",
                            (json_int_t)c->until_s, "face", c->face, "voice", c->voice, "evidence", c->evidence);
    if (!all) abort();
    return all;
}

static bool words_from_json(const json_t *list, TrustWords *w)
{
    size_t i;
    json_t *item;
    if (!json_is_array(list) || json_array_size(list) > TRUST_MAX_WORDS) return false;
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item)) return false;
        trust_words_add(w, json_string_value(item));
    }
    return true;
}

static bool audience_find(const char *name, TrustAudience *a)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(audiences[i], name) == 0) return *a = (TrustAudience)i, true;
    return false;
}

static bool is_hash_or_empty(const char *text)
{
    size_t n = strlen(text);
    return strspn(text, "0123456789abcdef") == n && (n == 0 || n == HASH_TEXT - 1);
}

Status trust_consent_from_json(const json_t *body, const char *cameo, const char *ref, TrustConsent *out)
{
    const char *id, *its_ref, *purpose, *audience, *evidence;
    json_t *campaigns, *brands, *names, *territories;
    json_int_t granted, until;
    int face, voice;
    *out = (TrustConsent){0};
    bool good =
        json_unpack((json_t *)(uintptr_t)body, "{s:s,s:s,s:i,s:s,s:o,s:o,s:s,s:o,s:o,s:I,s:I,s:b,s:b,s:s!}", "cameo",
                    &id, "ref", &its_ref, "number", &out->number, "purpose", &purpose, "campaigns", &campaigns,
                    "brands", &brands, "audience", &audience, "names", &names, "territories", &territories, "granted_s",
                    &granted, "until_s", &until, "face", &face, "voice", &voice, "evidence", &evidence) == 0;
    if (!good) return status_fail(ERR_INPUT, "not a consent of this version");
    out->purpose = text_copy(purpose);
    out->granted_s = granted;
    out->until_s = until;
    out->face = face != 0;
    out->voice = voice != 0;
    good = words_from_json(campaigns, &out->campaigns) && words_from_json(brands, &out->brands) &&
           words_from_json(names, &out->names) && words_from_json(territories, &out->territories) &&
           audience_find(audience, &out->audience) && is_hash_or_empty(evidence) && out->number > 0 &&
           strcmp(id, cameo) == 0 && strcmp(its_ref, ref) == 0;
    if (good) memcpy(out->evidence, evidence, strlen(evidence) + 1);
    Status status = good ? trust_consent_check(out) : status_fail(ERR_INPUT, "a consent of somebody else, or damaged");
    if (failed(status)) trust_consent_clear(out);
    return status;
}
