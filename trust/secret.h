/* secret.h - the key of a trust store, and memory that nobody else reads.
 *
 * One secret of 32 bytes is the root of a store. From it follow (libsodium's crypto_kdf) the key that wraps each cameo's own key
 * and the Ed25519 key that signs. It stands as 64 hexadecimal digits in a file that only its owner can read, or a command prints
 * it (a key vault). It is kept in locked memory (sodium_malloc: no swap, no core dump) and wiped when it is closed. */
#ifndef REELWRIGHT_TRUST_SECRET_H
#define REELWRIGHT_TRUST_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"

enum { TRUST_KEY_BYTES = 32, TRUST_SIGNATURE_BYTES = 64 };

typedef struct TrustSecret TrustSecret;

/* Reads the secret: of the file that $REELWRIGHT_TRUST_KEY names, of the command $REELWRIGHT_TRUST_KEY_COMMAND, else of
 * FOLDER/key. make: where that file is not there yet, a new secret is drawn and published in it. ERR_INPUT: missing, no 64 digits,
 * or readable by others (the message holds the chmod that mends it). */
Status trust_secret_open(const char *folder, bool make, TrustSecret **out);
void trust_secret_close(TrustSecret **s);
/* The file that it is read from, free() it; NULL when a command prints it. */
char *trust_secret_file(const char *folder);
/* A fresh one, written to a new file of mode 0600. */
Status trust_secret_make(const char *file, TrustSecret **out);
Status trust_secret_read(const char *file, TrustSecret **out);

/* The public half of the signing key; borrowed. */
const unsigned char *trust_secret_public(const TrustSecret *s);
void trust_secret_sign(const TrustSecret *s, const void *data, size_t bytes, unsigned char out[TRUST_SIGNATURE_BYTES]);
bool trust_secret_check(const unsigned char public_key[TRUST_KEY_BYTES], const void *data, size_t bytes,
                        const unsigned char signature[TRUST_SIGNATURE_BYTES]);

/* Another key in the keeping of this one. Text of TRUST_WRAPPED characters and a 0 byte. */
enum { TRUST_WRAPPED = 2 * (24 + 16 + TRUST_KEY_BYTES) };
void trust_secret_wrap(const TrustSecret *s, const unsigned char key[TRUST_KEY_BYTES], char text[TRUST_WRAPPED + 1]);
bool trust_secret_unwrap(const TrustSecret *s, const char *text, unsigned char key[TRUST_KEY_BYTES]);

/* Locked memory, which is wiped when it is freed. NULL when there is none to be had. */
void *trust_memory_get(size_t bytes);
void trust_memory_free(void *p);
void trust_random(void *to, size_t bytes);
unsigned trust_random_below(unsigned limit);

/* From now on this process leaves no core dump and cannot be looked into by others of the same user. */
void trust_harden_process(void);

/* Lower-case hexadecimal; the reading is strict: exactly that many bytes, nothing else. */
void trust_hex(const void *data, size_t bytes, char *text);
bool trust_unhex(const char *text, void *to, size_t bytes);

#endif
