#include "hash.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/file.h"

enum { PENDING_BYTES = 1024 }; /* handed on together: each call of the library takes longer than copying a field */

struct Hash {
    EVP_MD_CTX *md;
    size_t pending;
    char text[PENDING_BYTES];
};

static EVP_MD *sha256; /* looked up once: each look-up of EVP_sha256() takes locks */
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void find_sha256(void) { sha256 = EVP_MD_fetch(NULL, "SHA256", NULL); }

Hash *hash_begin(void)
{
    Hash *h = malloc(sizeof *h); /* not cleared: a campaign makes one for each of a million rows */
    pthread_once(&sha256_once, find_sha256);
    if (!h || !sha256) abort();
    h->pending = 0;
    h->md = EVP_MD_CTX_new();
    if (!h->md || EVP_DigestInit_ex(h->md, sha256, NULL) != 1) abort();
    return h;
}

static void hand_on(Hash *h, const void *data, size_t bytes)
{
    if (bytes > 0 && EVP_DigestUpdate(h->md, data, bytes) != 1) abort();
}

void hash_add(Hash *h, const void *data, size_t bytes)
{
    if (bytes > PENDING_BYTES - h->pending) {
        hand_on(h, h->text, h->pending);
        h->pending = 0;
    }
    if (bytes > PENDING_BYTES) {
        hand_on(h, data, bytes);
    } else if (bytes > 0) {
        memcpy(h->text + h->pending, data, bytes);
        h->pending += bytes;
    }
}

static void add_number(Hash *h, size_t n)
{
    char digits[24], *first = digits + sizeof digits;
    do *--first = (char)('0' + n % 10);
    while (n /= 10);
    hash_add(h, first, (size_t)(digits + sizeof digits - first));
}

static void add_value(Hash *h, const char *name, const char *value, size_t bytes)
{
    hash_add(h, name, strlen(name));
    hash_add(h, "=", 1);
    add_number(h, bytes);
    hash_add(h, ":", 1);
    hash_add(h, value, bytes);
    hash_add(h, "\n", 1);
}

void hash_add_field(Hash *h, const char *name, const char *fmt, ...)
{
    char room[512], *value = room; /* rarely malloc, and no format where the value is a text: there are a dozen a row */
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    if (strcmp(fmt, "%s") == 0) {
        const char *text = va_arg(args, const char *);
        add_value(h, name, text, strlen(text));
    } else {
        const int n = vsnprintf(room, sizeof room, fmt, args);
        if (n < 0) abort();
        if (n >= (int)sizeof room) {
            value = memory_get((size_t)n + 1, 1);
            vsnprintf(value, (size_t)n + 1, fmt, again);
        }
        add_value(h, name, value, (size_t)n);
        if (value != room) free(value);
    }
    va_end(args);
    va_end(again);
}

void hash_end(Hash *h, char text[HASH_TEXT])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    hand_on(h, h->text, h->pending);
    if (EVP_DigestFinal_ex(h->md, digest, &n) != 1) abort();
    for (unsigned int i = 0; i < n; i++) {
        text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    text[2 * n] = 0;
    EVP_MD_CTX_free(h->md);
    free(h);
}

void hash_bytes(const void *data, size_t bytes, char text[HASH_TEXT])
{
    Hash *h = hash_begin();
    hash_add(h, data, bytes);
    hash_end(h, text);
}

void hash_sign(const void *key, size_t key_bytes, const void *data, size_t bytes, unsigned char out[HASH_BYTES])
{
    unsigned int n = 0;
    if (!HMAC(EVP_sha256(), key, (int)key_bytes, data, bytes, out, &n) || n != HASH_BYTES) abort();
}

Status hash_file(const char *path, char text[HASH_TEXT])
{
    FILE *f;
    TRY(file_open_stream(path, &f));
    enum { PIECE = 1 << 20 };
    char *piece = memory_get(PIECE, 1);
    Hash *h = hash_begin();
    for (size_t n; (n = fread(piece, 1, PIECE, f)) > 0;) hash_add(h, piece, n);
    bool bad = ferror(f);
    fclose(f);
    free(piece);
    hash_end(h, text);
    return bad ? status_errno(ERR_INPUT, "cannot read %s", path) : status_ok();
}
