/* trust.h - the trust store: people, what they allowed, and proof of both. One folder, also shared by several farms.
 *
 * Theory of operation
 *     key                  the store's secret, 0600 (secret.h); it may be kept elsewhere
 *     signers.json         whose signatures count: those of this key, and of keys that it has replaced
 *     log.jsonl            every change, a signed chain (chain.h): what is not in it does not hold
 *     cameos/ID/cameo.json the person's record; cameos/ID/key their own key, wrapped by the store's; *.enc their media
 *     consents/ID.N.json   one consent each, signed (signed.h)
 *     revocations/ID.N.json, ID.all.json
 *     folders/HASH         a campaign's folder that has asked: a revocation goes to what was made there. Nobody's name is in it.
 * - Each file appears whole (draft, fsync, rename). Writers take turns by the log's lock; readers need none.
 * - A grant counts once the log has it: file first, log second. A revocation counts as soon as its file is there, and for ever once
 *   the log has it. So a kill at any moment leaves either the old state or a stricter one.
 * - The log names a person by a random number (ref) that only their record knows. After an erasure it says nothing about anybody.
 * - Media are encrypted with the person's own key (libsodium secretstream) and decrypted into locked memory only. Erasing destroys
 *   that key first, which makes copies of the media elsewhere worthless.
 * - Time does not go back: an answer counts with the latest time that the log or this process has seen, and a consent that was once seen
 *   expired is noted as lapsed.
 * - What cannot be read, or is not as it was signed, refuses. Nothing is allowed by default. */
#ifndef REELWRIGHT_TRUST_H
#define REELWRIGHT_TRUST_H

#include "trust/chain.h"
#include "trust/decide.h"

typedef struct TrustStore TrustStore;
typedef enum {
    TRUST_READ,  /* it is there, and stays as it is */
    TRUST_USE,   /* it is there; that a consent was seen to have expired is noted where that is possible */
    TRUST_WRITE, /* it is made where it is not there */
} TrustMode;

/* `given`, else $REELWRIGHT_TRUST, else ~/.local/share/reelwright/trust; free() it. */
char *trust_find(const char *given);
/* ERR_INPUT: no store there, key missing or readable by others, signers tampered with. `given` as in trust_find. */
Status trust_open(const char *given, TrustMode mode, TrustStore **out);
void trust_close(TrustStore **s);
const char *trust_folder(const TrustStore *s);

/* ---- the question ---- */

/* Reads the store anew each time, but for the log where it is unchanged. Never fails: what is wrong with the store is a refusal. */
TrustAnswer trust_allows(TrustStore *s, const char *cameo, const TrustUse *use, int64_t now_s);
/* Between these two, what was read of a person is taken as read: for a plan of a million rows. */
void trust_hold(TrustStore *s);
void trust_release(TrustStore *s);
typedef struct {     /* what the answers about one person rest on */
    char ref[33];    /* "": nobody of that id who could be read */
    uint64_t stamp;  /* of their record, and of each consent and what became of it */
    int64_t until_s; /* when the next of their consents ends */
} TrustGlance;
/* Taken before they are asked about. Reads their files. */
void trust_glance(TrustStore *s, const char *cameo, int64_t now_s, TrustGlance *out);
/* Whether the answers about them are as they were then: by the log as it was read last (trust_is_readable), and by the revocations; their
 * files are not read. For a look at all people of a large campaign. */
bool trust_glance_holds(TrustStore *s, const char *cameo, const TrustGlance *g, int64_t now_s);
/* Reads the log where it has changed. False: something is wrong with it, and every answer is no. */
bool trust_is_readable(TrustStore *s);
/* Changes when the log or the revocations have changed; cheap enough for once a second. */
uint64_t trust_stamp(const TrustStore *s);
/* The latest time that the store or this process has seen; at least now_s. */
int64_t trust_now(TrustStore *s, int64_t now_s);

/* ---- where it is used ---- */

/* A campaign's folder asks this store. Noted once; ERR_NODE: the store cannot be written, so a revocation will not find the folder. */
Status trust_note_folder(TrustStore *s, const char *folder);
/* All of them, sorted; each and the list to be freed. Some may be gone, or on a disk that is not mounted here. */
Status trust_read_folders(TrustStore *s, char ***folder, int *count);

/* ---- people ---- */

typedef struct {             /* one thing stored about a person */
    char file[33], kind[16]; /* "face", "voice", "recording", "evidence", "picture" (of how the faces were chosen) */
    char sha256[HASH_TEXT];  /* of what is inside */
    int64_t bytes;
    char *note; /* where it came from: "frame at 1.25 s, sharpness 812, motion 0.8" */
} TrustMedium;

typedef struct { /* owns all: trust_record_clear */
    char id[TRUST_ID_BYTES], ref[33];
    char *name;
    bool minor, public_figure;
    int64_t added_s, verified_s; /* verified_s 0: not verified */
    char *verified_by, *verified_how;
    int medium_count;
    TrustMedium *medium;
} TrustRecord;
void trust_record_clear(TrustRecord *r);

/* ERR_INPUT: unknown, damaged, tampered with. */
Status trust_read_record(TrustStore *s, const char *cameo, TrustRecord *out);
typedef struct {
    int count;
    TrustConsent *consent;
} TrustConsents;
Status trust_read_consents(TrustStore *s, const TrustRecord *r, TrustConsents *out);
void trust_consents_clear(TrustConsents *c);
/* The ids in the store, sorted; each and the list to be freed. */
Status trust_list(TrustStore *s, char ***id, int *count);
/* Of the n-th medium of this kind, from 0: decrypted into locked memory, compared with the record; trust_memory_free it. */
Status trust_read_medium(TrustStore *s, const TrustRecord *r, const char *kind, int n, unsigned char **data,
                         size_t *bytes);
int trust_count_media(const TrustRecord *r, const char *kind);

/* ---- changes; all need TRUST_WRITE ---- */

enum { TRUST_MEDIUM_BYTES = 64 << 20, TRUST_MAX_MEDIA = 64 };
typedef struct { /* borrowed */
    const char *kind, *note;
    const void *data;
    size_t bytes;
} TrustNewMedium;

typedef struct {           /* borrowed */
    const char *id, *name; /* name NULL: as it is */
    bool minor, public_figure;
    int medium_count;
    const TrustNewMedium *medium; /* they replace those of their kinds */
} TrustNewCameo;
/* A new person, or other media of one that is there: that one must be verified again. */
Status trust_add_cameo(TrustStore *s, const TrustNewCameo *c, int64_t now_s);

enum { TRUST_CHALLENGE_S = 30 * 60, TRUST_ATTEMPTS = 5, TRUST_PASSCODE_DIGITS = 6, TRUST_CHALLENGES_A_DAY = 20 };
typedef struct {
    char *sentence[2]; /* English, German */
    char passcode[TRUST_PASSCODE_DIGITS + 1];
    int64_t issued_s, until_s;
    int attempts_left;
} TrustChallenge;
void trust_challenge_clear(TrustChallenge *c);
/* A new sentence; the one before it does not count any more. */
Status trust_challenge(TrustStore *s, const char *cameo, int64_t now_s, TrustChallenge *out);
/* The sentence that is waited for. ERR_INPUT: none, used, late, or too many attempts. */
Status trust_read_challenge(TrustStore *s, const char *cameo, int64_t now_s, TrustChallenge *out);
typedef struct {           /* borrowed */
    const char *by;        /* who judged */
    const char *how;       /* "person" or "command" */
    const char *passcode;  /* what was heard in the recording; NULL: the judge compared it */
    bool good;             /* the verdict; a bad one uses up an attempt */
    const void *recording; /* what was judged */
    size_t bytes;
} TrustVerdict;
Status trust_verify(TrustStore *s, const char *cameo, const TrustVerdict *v, int64_t now_s);

/* c: all but number, granted_s and evidence. evidence: a document, or NULL. */
Status trust_grant(TrustStore *s, const char *cameo, TrustConsent *c, const void *evidence, size_t bytes,
                   int64_t now_s);
/* One consent, or all of them with number 0. */
Status trust_revoke(TrustStore *s, const char *cameo, int number, int64_t now_s);
/* Everything that is stored about the person goes, their key first. What stays is a line of the log about nobody. */
Status trust_erase(TrustStore *s, const char *cameo, int64_t now_s);
/* Everything that is stored about the person, readable, into a new folder of mode 0700. */
Status trust_export(TrustStore *s, const char *cameo, const char *folder);
/* A new secret takes the old one's place: every cameo's key is wrapped anew; what the old one signed and the log names still counts. */
Status trust_rotate(TrustStore *s, int64_t now_s);
/* The store has seen a time that was wrong (a clock that jumped ahead): from now on the real one counts again. */
Status trust_reset_clock(TrustStore *s, const char *by, const char *reason, int64_t now_s);
/* All of the store: the chain, every record, consent and revocation. ERR_INPUT: the first that is wrong. */
Status trust_check(TrustStore *s, int64_t *lines, int *cameos, int *consents);

#endif
