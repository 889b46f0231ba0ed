#include "hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

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
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) abort();
    char *value = memory_get((size_t)n + 1, 1);
    vsnprintf(value, (size_t)n + 1, fmt, again);
    va_end(again);
    char *line = text_format("%s=%d:", name, n);
    hash_add(h, line, strlen(line));
    hash_add(h, value, (size_t)n);
    hash_add(h, "\n", 1);
    free(line);
    free(value);
}

void hash_end(Hash *h, char text[HASH_TEXT])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (EVP_DigestFinal_ex(h->md, digest, &n) != 1) abort();
    for (unsigned int i = 0; i < n; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
    EVP_MD_CTX_free(h->md);
    free(h);
}

void hash_bytes(const void *data, size_t bytes, char text[HASH_TEXT])
{
    Hash *h = hash_begin();
    hash_add(h, data, bytes);
    hash_end(h, text);
}

Status hash_file(const char *path, char text[HASH_TEXT])
{
    FILE *f = fopen(path, "rb");
    if (!f) return status_errno(ERR_INPUT, "cannot read %s", path);
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
