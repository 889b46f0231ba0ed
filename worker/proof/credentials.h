/* credentials.h - C2PA content credentials: a signed statement inside the file of what made it. Signing is the last step: whatever rewrites the file
 * afterwards strips or breaks it.
 *
 * A claim says: created by a trained algorithm (c2pa.created, trainedAlgorithmicMedia), by which model's parts, with whose consent
 * (its hash), not to be trained on or mined, and, where the clip is watermarked, c2pa.watermarked.bound with the soft binding that
 * names the mark; the fingerprint is a soft binding too (io.iscc.v0). No name, prompt or cell of a customer's row is in it. The
 * signature is ES256 over a P-256 key. */
#ifndef REELWRIGHT_CREDENTIALS_H
#define REELWRIGHT_CREDENTIALS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

typedef struct {                   /* all borrowed; NULL = left out */
    const char *certificate, *key; /* files: a PEM chain, the signer's first; a PKCS#8 key */
    const char *signer;            /* a command instead of the key: gets the bytes on stdin, writes the signature */
    const char *timestamp;         /* address of an RFC 3161 authority */
    const char *clip, *campaign;   /* ids */
    const char *iscc;
    bool watermarked;
    uint64_t watermark;  /* the payload */
    const json_t *model; /* a list of objects: part, name, sha256, licence */
    const char *consent_sha256;
} CredentialsClaim;

/* Signs the file in its place: a signed copy, published whole. What was signed is read back. ERR_INPUT: no library, no key, or they do not fit, or the command
 * does not sign, or signs with another key; nothing is changed then. */
Status credentials_sign(const char *path, const CredentialsClaim *c);

typedef enum { CREDENTIALS_NONE, CREDENTIALS_INVALID, CREDENTIALS_VALID, CREDENTIALS_TRUSTED } CredentialsState;
extern const char *const credentials_state_name[]; /* "none", "invalid", "valid", "trusted" */

typedef struct {
    CredentialsState state;
    bool mismatch; /* a hash or the signature is not that of these bytes: they were changed after signing */
    char why
        [200]; /* when invalid: the first code of a mismatch, else the first failure's; or signingCredential.untrusted */
    char clip[256],
        campaign[256]; /* as the claim says, "" where it says nothing; of an invalid one they prove nothing */
    char iscc[80], signer[128];
    char signed_at[40]; /* as a time-stamping authority says; "": nobody does */
    bool generated;     /* says that an algorithm made it */
} CredentialsReading;

/* What the library says of a file, a JSON text. ERR_NODE: none. */
Status credentials_take_report(const char *text, size_t bytes, CredentialsReading *out);
/* anchors: PEM file of roots to trust; NULL: none, so that "valid" is the most. ERR_INPUT: no library, or the file cannot be read. */
Status credentials_read(const char *path, const char *anchors, CredentialsReading *out);

#endif
