/* test_trust_decide.c - random sequences of grants, revocations, expiries and clock jumps against a model that is as plain as can be:
 * bit masks and one loop. Then the same with each check left out in turn: every one of them must be missed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"

static int left_out = -1; /* a check of decide.c; -1: none */
#define TRUST_LEFT_OUT(check) ((int)(check) == left_out)
#include "trust/decide.c"

enum { SEQUENCES = 100000, STEPS = 12, MOST = 6, WORDS = 3, PLACES = 4, DAY = 86400 };

static uint64_t state;
static unsigned draw(unsigned below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state * 0x2545f4914f6cdd1du) >> 33) % below;
}

static const char *const purpose[] = {"summer", "winter"}, *const campaign[] = {"c0", "c1", "c2"},
                         *const brand[] = {"b0", "b1", "b2"}, *const viewer[] = {"anna", "v1", "v2"},
                         *const place[] = {"DE", "FR", "US", "CN"};

typedef struct { /* the plain model */
    unsigned purpose, campaigns, brands, audience, names, territories;
    int64_t until;
    bool face, voice, evidence, revoked;
} Plain;

typedef struct {
    bool verified, special;
    int count;
    Plain plain[MOST];
    TrustConsent consent[MOST];
    int64_t now, latest; /* the clock, which jumps; and the latest that anybody has seen */
} World;

static void add_words(TrustWords *w, unsigned mask, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (mask >> i & 1) trust_words_add(w, names[i]);
}

static void grant(World *w)
{
    if (w->count == MOST) return;
    Plain *p = &w->plain[w->count];
    *p = (Plain){.purpose = draw(2),
                 .campaigns = draw(4) ? 0 : draw(8),
                 .brands = draw(4) ? 0 : draw(8),
                 .audience = draw(3),
                 .names = 1 + draw(7),
                 .territories = draw(2) ? 0 : draw(16),
                 .until = w->now + (int64_t)(1 + draw(5)) * DAY,
                 .face = draw(3) > 0,
                 .voice = draw(2) > 0,
                 .evidence = draw(2) > 0};
    TrustConsent *c = &w->consent[w->count++];
    *c = (TrustConsent){.number = w->count,
                        .purpose = text_copy(purpose[p->purpose]),
                        .audience = (TrustAudience)p->audience,
                        .granted_s = w->now,
                        .until_s = p->until,
                        .face = p->face,
                        .voice = p->voice};
    add_words(&c->campaigns, p->campaigns, campaign, WORDS);
    add_words(&c->brands, p->brands, brand, WORDS);
    if (p->audience == TRUST_NAMED) add_words(&c->names, p->names, viewer, WORDS);
    if (p->territories == 3 && draw(2))
        trust_words_add(&c->territories, "EU"), p->territories = 3; /* DE and FR are what the model knows of it */
    else
        add_words(&c->territories, p->territories, place, PLACES);
    if (p->evidence) memset(c->evidence, 'a', HASH_TEXT - 1);
}

static bool plain_allows(const World *w, unsigned for_what, int of_campaign, int of_brand, int to, unsigned where,
                         bool face, bool voice)
{
    for (int i = 0; i < w->count && w->verified; i++) {
        const Plain *p = &w->plain[i];
        bool yes = p->purpose == for_what && !p->revoked && w->latest < p->until;
        if (p->campaigns && (of_campaign < 0 || !(p->campaigns >> of_campaign & 1))) yes = false;
        if (p->brands && (of_brand < 0 || !(p->brands >> of_brand & 1))) yes = false;
        if (p->audience == 0 && to != 0) yes = false;
        if (p->audience == 1 && (to < 0 || !(p->names >> to & 1))) yes = false;
        if (p->territories && (!where || (where & ~p->territories))) yes = false;
        if ((face && !p->face) || (voice && !p->voice) || (w->special && !p->evidence)) yes = false;
        if (yes) return true;
    }
    return false;
}

/* False: the answer is not the model's. */
static bool ask(World *w)
{
    const char *where[PLACES];
    unsigned mask = draw(16), for_what = draw(2);
    int of_campaign = (int)draw(WORDS + 1) - 1, of_brand = (int)draw(WORDS + 1) - 1, to = (int)draw(WORDS + 1) - 1;
    TrustUse u = {.purpose = purpose[for_what],
                  .campaign = of_campaign < 0 ? NULL : campaign[of_campaign],
                  .brand = of_brand < 0 ? "" : brand[of_brand],
                  .viewer = to < 0 ? NULL : viewer[to],
                  .territory = where,
                  .face = draw(4) > 0,
                  .voice = draw(3) == 0};
    for (int i = 0; i < PLACES; i++)
        if (mask >> i & 1) where[u.territory_count++] = place[i];
    TrustPerson p = {"anna",   w->verified, w->special && (w->count & 1), w->special && !(w->count & 1),
                     w->count, w->consent};
    if (w->now > w->latest) w->latest = w->now;
    TrustAnswer a = trust_decide(&p, &u, w->latest);
    if (a.allowed == (*a.reason != 0)) return false; /* a refusal says why, an answer of yes does not */
    if (a.allowed && (a.consent < 1 || w->plain[a.consent - 1].revoked)) return false;
    return a.allowed == plain_allows(w, for_what, of_campaign, of_brand, to, mask, u.face, u.voice);
}

static bool sequence(uint64_t seed)
{
    World w = {.verified = true, .now = 1000 * DAY};
    bool good = true;
    state = seed * 0x9e3779b97f4a7c15u + 1;
    w.special = draw(4) == 0;
    for (int step = 0; step < STEPS && good; step++) {
        unsigned what = draw(10);
        if (what < 4)
            grant(&w);
        else if (what == 4 && w.count) {
            unsigned i = draw((unsigned)w.count);
            w.plain[i].revoked = w.consent[i].revoked = true;
        } else if (what == 5)
            w.now += (int64_t)draw(6) * DAY - 2 * DAY; /* also back */
        else if (what == 6 && draw(4) == 0)
            w.verified = !w.verified;
        for (int k = 0; k < 3 && good; k++) good = ask(&w);
    }
    for (int i = 0; i < w.count; i++) trust_consent_clear(&w.consent[i]);
    return good;
}

/* The first sequence whose answers are not the model's; -1: none. */
static int64_t first_wrong(int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!sequence((uint64_t)i)) return i;
    return -1;
}

static void every_sequence_is_as_the_model_says(void **unused)
{
    (void)unused;
    left_out = -1;
    assert_int_equal(first_wrong(SEQUENCES), -1);
}

static void each_check_is_missed_when_it_is_left_out(void **unused)
{
    (void)unused;
    for (left_out = 0; left_out <= CHECK_VERIFIED; left_out++) {
        if (left_out == CHECK_COUNT) continue;
        int64_t found = first_wrong(SEQUENCES);
        print_message("without check %d: sequence %lld differs\n", left_out, (long long)found);
        assert_true(found >= 0);
    }
    left_out = -1;
}

static void a_refusal_names_what_comes_nearest(void **unused)
{
    (void)unused;
    const char *where[] = {"DE", "US"};
    TrustConsent c[2] = {
        {.number = 1, .purpose = (char *)(uintptr_t) "winter", .audience = TRUST_ANYONE, .until_s = 100, .face = true},
        {.number = 2, .purpose = (char *)(uintptr_t) "summer", .audience = TRUST_ANYONE, .until_s = 100, .face = true}};
    trust_words_add(&c[1].territories, "EU");
    TrustPerson p = {.id = "anna", .verified = true, .consent_count = 2, .consent = c};
    TrustUse u = {.purpose = "summer", .territory = where, .territory_count = 2, .face = true};
    TrustAnswer a = trust_decide(&p, &u, 50);
    assert_false(a.allowed);
    assert_int_equal(a.consent, 2);
    assert_non_null(strstr(a.reason, "consent 2 of cameo anna is for EU; this use is also shown in US"));
    u.territory_count = 1;
    assert_true(trust_decide(&p, &u, 50).allowed);
    a = trust_decide(&p, &u, 100);
    assert_true(a.expired);
    assert_non_null(strstr(a.reason, "has expired"));
    u.voice = true;
    assert_non_null(strstr(trust_decide(&p, &u, 50).reason, "does not allow the voice"));
    trust_words_clear(&c[1].territories);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_sequence_is_as_the_model_says),
                                       cmocka_unit_test(each_check_is_missed_when_it_is_left_out),
                                       cmocka_unit_test(a_refusal_names_what_comes_nearest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
