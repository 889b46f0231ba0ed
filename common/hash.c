#include "hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/file.h"

struct Hash {
    EVP_MD_CTX *md;
};

Hash *hash_begin(void)
{
    Hash *h = memory_get(1, sizeof *h);
    h->md = EVP_MD_CTX_new();
    if (!h->md || EVP_DigestInit_ex(h->md, EVP_sha256(), NULL) != 1) abort();
    return h;
}

void hash_add(Hash *h, const void *data, size_t bytes)
{
    if (EVP_DigestUpdate(h->md, data, bytes) != 1) abort();
}

void hash_add_field(Hash *h, const char *name, const char *fmt, ...)
{
    char room[512], head[128],
        *value = room; /* a campaign hashes a dozen fields for each of a million rows: rarely malloc */
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(room, sizeof room, fmt, args);
    va_end(args);
    if (n < 0) abort();
    if (n >= (int)sizeof room) {
        value = memory_get((size_t)n + 1, 1);
        vsnprintf(value, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    int head_bytes = snprintf(head, sizeof head, "%s=%d:", name, n);
    if (head_bytes < 0 || head_bytes >= (int)sizeof head) abort(); /* names are short and ours */
    hash_add(h, head, (size_t)head_bytes);
    hash_add(h, value, (size_t)n);
    hash_add(h, "\n", 1);
    if (value != room) free(value);
}

void hash_end(Hash *h, char text[HASH_TEXT])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
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
