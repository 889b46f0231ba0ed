#include "decide.h"

#include <string.h>

#include "trust/territory.h"

/* The property test compiles this file with a variable in its place, and must notice each check that is left out. */
#ifndef TRUST_LEFT_OUT
#define TRUST_LEFT_OUT(check) false
#endif

/* In this order; the first that fails is the reason. */
typedef enum {
    CHECK_PURPOSE,
    CHECK_CAMPAIGN,
    CHECK_BRAND,
    CHECK_AUDIENCE,
    CHECK_TERRITORY,
    CHECK_FACE,
    CHECK_VOICE,
    CHECK_EVIDENCE,
    CHECK_EXPIRY,
    CHECK_REVOKED,
    CHECK_COUNT,
    CHECK_VERIFIED /* of the person, before any consent */
} Check;

static const char *said(const char *text) { return text ? text : ""; }

static bool fits_list(const TrustWords *allowed, const char *one)
{
    return allowed->count == 0 || trust_words_have(allowed, said(one));
}

static bool fits_audience(const TrustPerson *p, const TrustConsent *c, const TrustUse *u)
{
    if (c->audience == TRUST_ANYONE) return true;
    if (c->audience == TRUST_ONLY_ME) return strcmp(said(u->viewer), p->id) == 0;
    return trust_words_have(&c->names, said(u->viewer));
}

/* The first place that no territory of the consent covers; NULL: all are covered. */
static const char *uncovered(const TrustConsent *c, const TrustUse *u)
{
    if (c->territories.count == 0) return NULL;
    if (u->territory_count == 0) return "";
    for (int i = 0; i < u->territory_count; i++) {
        bool inside = false;
        for (int k = 0; k < c->territories.count && !inside; k++)
            inside = trust_territory_within(u->territory[i], c->territories.word[k]);
        if (!inside) return u->territory[i];
    }
    return NULL;
}

static bool fits(const TrustPerson *p, const TrustConsent *c, const TrustUse *u, int64_t now_s, Check check)
{
    switch (check) {
    case CHECK_PURPOSE:
        return strcmp(c->purpose, said(u->purpose)) == 0;
    case CHECK_CAMPAIGN:
        return fits_list(&c->campaigns, u->campaign);
    case CHECK_BRAND:
        return fits_list(&c->brands, u->brand);
    case CHECK_AUDIENCE:
        return fits_audience(p, c, u);
    case CHECK_TERRITORY:
        return !uncovered(c, u);
    case CHECK_FACE:
        return c->face || !u->face;
    case CHECK_VOICE:
        return c->voice || !u->voice;
    case CHECK_EVIDENCE:
        return *c->evidence || (!p->minor && !p->public_figure);
    case CHECK_EXPIRY:
        return !c->lapsed && now_s < c->until_s;
    case CHECK_REVOKED:
        return !c->revoked;
    default:
        return false;
    }
}

static Check first_failure(const TrustPerson *p, const TrustConsent *c, const TrustUse *u, int64_t now_s)
{
    for (int check = 0; check < CHECK_COUNT; check++)
        if (!TRUST_LEFT_OUT(check) && !fits(p, c, u, now_s, (Check)check)) return (Check)check;
    return CHECK_COUNT;
}

static void list_words(const TrustWords *w, char *text, size_t room)
{
    size_t n = 0;
    text[0] = 0;
    for (int i = 0; i < w->count && n + 1 < room; i++) {
        int k = snprintf(text + n, room - n, "%s%s", i ? ", " : "", w->word[i]);
        n += k > 0 ? (size_t)k : 0;
    }
}

/* "no campaign" or "campaign winter" */
static void name_own(char *text, size_t room, const char *what, const char *value)
{
    snprintf(text, room, *said(value) ? "%s \"%.80s\"" : "no %s", what, said(value));
}

static void explain_scope(const TrustConsent *c, const TrustUse *u, Check check, char *text, size_t room)
{
    char list[160], own[120];
    if (check == CHECK_PURPOSE) {
        name_own(own, sizeof own, "purpose", u->purpose);
        snprintf(text, room, "is for the purpose \"%.80s\"; this use has %s", c->purpose, own);
    } else if (check == CHECK_CAMPAIGN || check == CHECK_BRAND) {
        const bool brand = check == CHECK_BRAND;
        list_words(brand ? &c->brands : &c->campaigns, list, sizeof list);
        name_own(own, sizeof own, brand ? "brand" : "campaign", brand ? u->brand : u->campaign);
        snprintf(text, room, "is for the %s %s; this use has %s", brand ? "brands" : "campaigns", list, own);
    } else if (check == CHECK_AUDIENCE) {
        snprintf(text, room, "lets %s see it, not this customer",
                 c->audience == TRUST_ONLY_ME ? "only the person" : "only those it names");
    } else {
        const char *where = uncovered(c, u);
        list_words(&c->territories, list, sizeof list);
        snprintf(text, room, "is for %s; %s%s", list,
                 where && *where ? "this use is also shown in "
                                 : "the campaign does not say where it is shown (audience)",
                 where ? where : "");
    }
}

static void explain(const TrustConsent *c, const TrustUse *u, Check check, char *text, size_t room)
{
    static const char *const plain[CHECK_COUNT] = {
        [CHECK_FACE] = "does not allow the face",
        [CHECK_VOICE] = "does not allow the voice",
        [CHECK_EVIDENCE] = "has no evidence attached, which a minor's or a public figure's needs",
        [CHECK_EXPIRY] = "has expired",
        [CHECK_REVOKED] = "was revoked"};
    if (plain[check])
        snprintf(text, room, "%s", plain[check]);
    else
        explain_scope(c, u, check, text, room);
}

TrustAnswer trust_decide(const TrustPerson *p, const TrustUse *u, int64_t now_s)
{
    TrustAnswer a = {0};
    const TrustConsent *best = NULL;
    Check reached = CHECK_PURPOSE;
    if (!p->verified && !TRUST_LEFT_OUT(CHECK_VERIFIED)) {
        snprintf(a.reason, sizeof a.reason, "cameo %s is not verified: reelwright cameo challenge %s", p->id, p->id);
        return a;
    }
    for (int i = 0; i < p->consent_count; i++) {
        const TrustConsent *c = &p->consent[i];
        Check failure = first_failure(p, c, u, now_s);
        if (!best || failure > reached || (failure == reached && c->until_s >= best->until_s)) {
            best = c;
            reached = failure;
        }
    }
    if (!best) {
        snprintf(a.reason, sizeof a.reason, "cameo %s has given no consent: reelwright cameo grant %s ...", p->id,
                 p->id);
        return a;
    }
    a.consent = best->number;
    a.allowed = reached == CHECK_COUNT;
    a.expired = reached == CHECK_EXPIRY && !best->revoked;
    if (a.allowed) return a;
    int n = snprintf(a.reason, sizeof a.reason, "consent %d of cameo %s ", best->number, p->id);
    explain(best, u, reached, a.reason + n, sizeof a.reason - (size_t)n);
    return a;
}
