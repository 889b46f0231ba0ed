/* inside.h - what the files of the store share. Nobody outside of trust/ includes it but its tests. */
#ifndef REELWRIGHT_TRUST_INSIDE_H
#define REELWRIGHT_TRUST_INSIDE_H

#define uthash_fatal(message) abort()
#include <stdlib.h>
#include <sys/stat.h>
#include <uthash.h>

#include "trust/trust.h"

enum { TRUST_MAX_SIGNERS = 256 };

typedef struct {
    int number;
    char sha256[HASH_TEXT];
    bool revoked, lapsed;
    int64_t revoked_s;
} TrustFactConsent;

typedef struct TrustFact { /* what the log says of one person */
    char ref[33], record[HASH_TEXT];
    bool erased;
    int64_t day_s; /* of the challenges that are counted */
    int challenges_today, attempts;
    bool challenged, used;
    int64_t challenge_s;
    char challenge[HASH_TEXT]; /* of its document: an older one put in its place is none */
    int consent_count, consent_room;
    TrustFactConsent *consent;
    UT_hash_handle hh;
} TrustFact;

typedef struct TrustHeld { /* a person as read, between trust_hold and trust_release */
    char *id;
    bool readable, missing;
    char reason[600];
    TrustRecord record;
    TrustConsents consents;
    UT_hash_handle hh;
} TrustHeld;

typedef struct { /* a file as it was when it was read */
    int64_t device, inode, bytes, changed_ns;
} TrustSeen;

struct TrustStore {
    char *folder, *log;
    TrustMode mode;
    TrustSecret *secret;
    int signer_count;
    unsigned char signer[TRUST_MAX_SIGNERS][TRUST_KEY_BYTES];
    TrustSeen log_seen, head_seen, signers_seen;
    TrustChain chain; /* as read last */
    TrustFact *fact;
    unsigned char latest_signer[TRUST_KEY_BYTES]; /* of the last rotation; zeros: none */
    int64_t clock_s;                              /* latest time of the log since its clock was last reset */
    int64_t latest_s;                             /* and of this process */
    int64_t most_lines;                           /* of the log, that this process has seen */
    bool locked, holding;
    TrustHeld *held;
};

char *trust_path(const TrustStore *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))); /* inside the folder */
/* Reads the log where it has changed. */
Status trust_refresh(TrustStore *s);
int64_t trust_now_held(TrustStore *s, int64_t now_s); /* as trust_now, without looking at the log */
void trust_forget(TrustStore *s);                     /* what was read of the log */
TrustFact *trust_fact(TrustStore *s, const char *ref);
TrustFactConsent *trust_fact_consent(TrustFact *f, int number);
/* signed.h, and the signer is one of the store's. Reads the file. */
Status trust_open_file(TrustStore *s, const char *path, const char *kind, TrustSigned *out);
bool trust_is_signer(const TrustStore *s, const unsigned char key[TRUST_KEY_BYTES]);
Status trust_read_signers(TrustStore *s);
/* also: while one key takes the place of another, both sign the list; else NULL */
Status trust_write_signers(const TrustStore *s, const TrustSecret *by, const TrustSecret *also);

/* Changes: the lock, the log as it is now, and what is appended to it. */
Status trust_begin(TrustStore *s, int *lock);
void trust_end(TrustStore *s, int *lock);
Status trust_log(TrustStore *s, json_t *line, int64_t now_s); /* takes the line; the lock is held */

/* Of people. */
bool trust_record_from_json(json_t *body, TrustRecord *r); /* what is read so far is to be cleared in each case */
Status trust_write_record(TrustStore *s, TrustRecord *r, const char *what, int64_t now_s);
Status trust_read_cameo_key(const TrustStore *s, const char *cameo, unsigned char *key);
Status trust_write_cameo_key(const TrustStore *s, const char *cameo, const unsigned char *key, const TrustSecret *also);
Status trust_medium_write(TrustStore *s, const char *cameo, const unsigned char *key, const TrustNewMedium *m,
                          TrustMedium *out);
Status trust_medium_read(const char *path, const unsigned char *key, const TrustMedium *m, unsigned char **data,
                         size_t *bytes);
void trust_drop_held(TrustStore *s);
/* *yes: this consent, or (number 0) all of them, was taken back: a revocation's file is there, whatever is in it. */
Status trust_is_revoked(const TrustStore *s, const char *cameo, int number, bool *yes);
typedef struct {
    TrustRecord record;
    TrustConsents consents;
} TrustWhole;
/* Both as they are at one moment. To be cleared after success. */
Status trust_read_whole(TrustStore *s, const char *cameo, TrustWhole *out);
/* The challenge that this person has to answer. ERR_INPUT: none, used, too old, too many attempts, not the one that the log knows. */
Status trust_challenge_of(TrustStore *s, const TrustRecord *r, int64_t now_s, TrustChallenge *out);
/* All files of this id, the key first; also of somebody who cannot be read. The log says nothing of it. */
Status trust_wipe(TrustStore *s, const char *cameo);

#endif
