/* signed.h - JSON that is signed: one file, one document, byte for byte what its signer wrote.
 *
 *     {"body":{...},"kind":"consent","signature":"<128 digits>","signer":"<64 digits>"}
 *
 * in canonical form: keys sorted, no spaces, whole numbers only, one line feed at the end. The signature (Ed25519) is over
 * "reelwright KIND 1\n" and the body in canonical form, so that no document can pass for one of another kind. The reader writes
 * what it has parsed again and compares: a file that differs in a single byte, be it a space, is refused. */
#ifndef REELWRIGHT_TRUST_SIGNED_H
#define REELWRIGHT_TRUST_SIGNED_H

#include <jansson.h>

#include "common/hash.h"
#include "trust/secret.h"

enum { TRUST_DOCUMENT_BYTES = 1 << 20 }; /* of a document at most */

/* Canonical text of any JSON; free() it. Aborts when out of memory. */
char *trust_canonical(const json_t *value);

/* The document's text with its line feed; free() it. */
char *trust_sign(const TrustSecret *s, const char *kind, const json_t *body);

typedef struct {
    json_t *body; /* json_decref */
    unsigned char signer[TRUST_KEY_BYTES];
    char sha256[HASH_TEXT]; /* of the whole text */
} TrustSigned;
/* ERR_INPUT without naming a file: not canonical, of another kind, or the signature does not fit. Whether the signer may sign is
 * the caller's to check. */
Status trust_open_signed(const char *kind, const char *text, size_t bytes, TrustSigned *out);

#endif
