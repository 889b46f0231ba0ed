/* consent.h - what a person agreed to: for what, by whom, who may see it, where, until when; and as text for people. */
#ifndef REELWRIGHT_TRUST_CONSENT_H
#define REELWRIGHT_TRUST_CONSENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/hash.h"

enum { TRUST_MAX_WORDS = 64, TRUST_WORD_BYTES = 256, TRUST_ID_BYTES = 65 };

typedef struct { /* owns its words */
    int count;
    char *word[TRUST_MAX_WORDS];
} TrustWords;

typedef enum { TRUST_ONLY_ME, TRUST_NAMED, TRUST_ANYONE } TrustAudience;
const char *trust_audience_name(TrustAudience a); /* "only-me" */

typedef struct { /* owns its texts: trust_consent_clear */
    int number;  /* 1, 2, ... of this cameo */
    char *purpose;
    TrustWords campaigns, brands; /* none: any */
    TrustAudience audience;       /* who may be shown it */
    TrustWords names;             /* TRUST_NAMED: these */
    TrustWords territories;       /* none: anywhere */
    int64_t granted_s, until_s;   /* seconds since 1970; it holds before until_s */
    bool face, voice;
    char evidence[HASH_TEXT]; /* SHA-256 of a document that shows it, "" when none */
    /* not in the document: */
    char sha256[HASH_TEXT]; /* of its file */
    bool revoked, lapsed;   /* lapsed: it was seen expired once; a clock that goes back does not revive it */
    int64_t revoked_s;
} TrustConsent;

void trust_consent_clear(TrustConsent *c);
/* ERR_INPUT names the field that is wrong. Used before signing and after reading. */
Status trust_consent_check(const TrustConsent *c);
json_t *trust_consent_to_json(const char *cameo, const char *ref, const TrustConsent *c);
Status trust_consent_from_json(const json_t *body, const char *cameo, const char *ref, TrustConsent *out);

/* "granted", "revoked", "expired" at that moment */
const char *trust_consent_state(const TrustConsent *c, int64_t now_s);

/* A cameo's id: 1 to 64 of a-z, A-Z, 0-9, '.', '_', '-', the first a letter or digit: it is part of file names. */
bool trust_id_valid(const char *id);
/* Text that may stand in a document: 1 to 255 bytes of UTF-8 without control characters. */
bool trust_word_valid(const char *word);
void trust_words_add(TrustWords *w, const char *word);
void trust_words_clear(TrustWords *w);
bool trust_words_have(const TrustWords *w, const char *word);
json_t *trust_words_to_json(const TrustWords *w); /* a list of texts */
/* "2026-12-31" (through the end of that day, UTC) or "2026-12-31T18:00:00Z" */
bool trust_parse_until(const char *text, int64_t *until_s);

/* What was agreed, how far it reaches, and how to take it back, for somebody who has never seen a computer program. */
typedef enum { TRUST_ENGLISH, TRUST_GERMAN } TrustLanguage;
void trust_consent_tell(FILE *to, TrustLanguage language, const char *cameo, const char *name, const TrustConsent *c,
                        int64_t now_s);

#endif
