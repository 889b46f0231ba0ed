/* hash.h - SHA-256, as lower-case hexadecimal text. */
#ifndef REELWRIGHT_HASH_H
#define REELWRIGHT_HASH_H

#include <stddef.h>

#include "common/status.h"

enum { HASH_TEXT = 65 }; /* 64 digits and the 0 byte */

typedef struct Hash Hash;

Hash *hash_begin(void);
void hash_add(Hash *h, const void *data, size_t bytes);
/* "name=value\n" with the value's length in front, so that no two field lists give the same bytes */
void hash_add_field(Hash *h, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void hash_end(Hash *h, char text[HASH_TEXT]); /* also frees h */

void hash_bytes(const void *data, size_t bytes, char text[HASH_TEXT]);
/* HMAC-SHA256 (RFC 2104) */
enum { HASH_BYTES = 32 };
void hash_sign(const void *key, size_t key_bytes, const void *data, size_t bytes, unsigned char out[HASH_BYTES]);
Status hash_file(const char *path, char text[HASH_TEXT]);

#endif
