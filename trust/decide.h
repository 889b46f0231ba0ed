/* decide.h - the one question, without a file or a clock: may this person's likeness be used for exactly this, at that moment?
 *
 * Yes when the cameo is there, verified, and one of its consents fits in every respect: purpose, campaign, brand, audience,
 * territory, face, voice, evidence (of minors and public figures), not expired, not revoked. What is not said by the use does not
 * fit a consent that limits it: a campaign without a brand does not fit a consent for one brand. */
#ifndef REELWRIGHT_TRUST_DECIDE_H
#define REELWRIGHT_TRUST_DECIDE_H

#include "trust/consent.h"

typedef struct { /* borrowed texts; NULL and "" are the same: not said */
    const char *purpose, *campaign, *brand;
    const char *viewer; /* who is to see it: the customer. only-me asks for the cameo's own id */
    int territory_count;
    const char *const *territory; /* where it is shown: all of them must be allowed */
    bool face, voice;             /* what is used */
} TrustUse;

typedef struct { /* borrowed */
    const char *id;
    bool verified, minor, public_figure;
    int consent_count;
    const TrustConsent *consent;
} TrustPerson;

typedef struct {
    bool allowed;
    int consent;      /* the number of the one that allows it, or that came nearest; 0: none */
    bool unreadable;  /* nothing is known: the store cannot be read, or is not as it was signed */
    bool expired;     /* that one fits in all but that it has expired */
    char reason[600]; /* why not; "" when allowed */
} TrustAnswer;

/* Of several consents that fit, the one that holds longest. */
TrustAnswer trust_decide(const TrustPerson *p, const TrustUse *u, int64_t now_s);

#endif
