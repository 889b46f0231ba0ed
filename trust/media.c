/* media.c - what is stored about a person, encrypted: libsodium's secretstream (XChaCha20-Poly1305), in pieces of 64 kB. Each piece is
 * authenticated together with its place and with whose and what it is; the last is marked, so that nothing can be cut off. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "common/file.h"
#include "trust/inside.h"

enum {
    PIECE = 64 << 10,
    HEADER = crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    MORE = crypto_secretstream_xchacha20poly1305_ABYTES
};
static const char magic[8] = "RWTRUST1";

/* What a file must be beside its bytes: nobody can put one medium in another's place. */
static int bound_to(const TrustMedium *m, char text[160])
{
    return snprintf(text, 160, "%s %s %s %lld", m->file, m->kind, m->sha256, (long long)m->bytes);
}

static unsigned char *encrypt(const unsigned char *key, const TrustMedium *m, const unsigned char *data, size_t *out)
{
    crypto_secretstream_xchacha20poly1305_state state;
    char bound[160];
    const size_t bytes = (size_t)m->bytes;
    unsigned char *text = malloc(sizeof magic + HEADER + bytes + (bytes / PIECE + 1) * MORE);
    if (!text) return NULL;
    memcpy(text, magic, sizeof magic);
    crypto_secretstream_xchacha20poly1305_init_push(&state, text + sizeof magic, key);
    size_t at = sizeof magic + HEADER, from = 0;
    do {
        size_t n = bytes - from < PIECE ? bytes - from : PIECE;
        bool last = from + n == bytes;
        unsigned long long written;
        int more = bound_to(m, bound);
        crypto_secretstream_xchacha20poly1305_push(&state, text + at, &written, data + from, n,
                                                   (const unsigned char *)bound, (unsigned long long)more,
                                                   last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0);
        at += (size_t)written;
        from += n;
    } while (from < bytes);
    sodium_memzero(&state, sizeof state);
    *out = at;
    return text;
}

Status trust_medium_write(TrustStore *s, const char *cameo, const unsigned char *key, const TrustNewMedium *m,
                          TrustMedium *out)
{
    unsigned char name[16];
    size_t bytes;
    if (m->bytes < 1 || m->bytes > TRUST_MEDIUM_BYTES)
        return status_fail(ERR_INPUT, "a %s of %zu bytes, expected 1 to %d", m->kind, m->bytes, TRUST_MEDIUM_BYTES);
    *out = (TrustMedium){.bytes = (int64_t)m->bytes, .note = text_copy(m->note ? m->note : "")};
    trust_random(name, sizeof name);
    trust_hex(name, sizeof name, out->file);
    snprintf(out->kind, sizeof out->kind, "%s", m->kind);
    hash_bytes(m->data, m->bytes, out->sha256);
    unsigned char *text = encrypt(key, out, m->data, &bytes);
    if (!text) return status_fail(ERR_NODE, "out of memory");
    char *path = trust_path(s, "cameos/%s/%s.enc", cameo, out->file);
    Status status = trust_publish(path, text, bytes);
    free(path);
    free(text);
    return status;
}

static bool decrypt(const unsigned char *key, const TrustMedium *m, const unsigned char *text, size_t bytes,
                    unsigned char *out)
{
    crypto_secretstream_xchacha20poly1305_state state;
    char bound[160], sha256[HASH_TEXT];
    size_t at = sizeof magic + HEADER, done = 0;
    bool last = false;
    if (bytes < at || memcmp(text, magic, sizeof magic) != 0 ||
        crypto_secretstream_xchacha20poly1305_init_pull(&state, text + sizeof magic, key) != 0)
        return false;
    while (at < bytes && !last) {
        size_t n = bytes - at < PIECE + MORE ? bytes - at : PIECE + MORE;
        unsigned long long written;
        unsigned char tag;
        int more = bound_to(m, bound);
        if (n < MORE || done + n - MORE > (size_t)m->bytes ||
            crypto_secretstream_xchacha20poly1305_pull(&state, out + done, &written, &tag, text + at, n,
                                                       (const unsigned char *)bound, (unsigned long long)more) != 0)
            return false;
        last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
        done += (size_t)written;
        at += n;
    }
    sodium_memzero(&state, sizeof state);
    if (!last || at != bytes || done != (size_t)m->bytes) return false;
    hash_bytes(out, done, sha256);
    return strcmp(sha256, m->sha256) == 0;
}

Status trust_medium_read(const char *path, const unsigned char *key, const TrustMedium *m, unsigned char **data,
                         size_t *bytes)
{
    char *text;
    size_t n;
    *data = NULL;
    if (m->bytes < 1 || m->bytes > TRUST_MEDIUM_BYTES) return status_fail(ERR_INPUT, "%s: damaged", path);
    TRY(file_read(path, (size_t)TRUST_MEDIUM_BYTES + (1 << 20), &text, &n));
    unsigned char *out = trust_memory_get((size_t)m->bytes);
    Status status = !out ? status_fail(ERR_NODE, "no locked memory for %lld bytes (ulimit -l)", (long long)m->bytes)
                    : decrypt(key, m, (unsigned char *)text, n, out)
                        ? status_ok()
                        : status_fail(ERR_INPUT, "%s: damaged or tampered with", path);
    free(text);
    if (failed(status)) {
        trust_memory_free(out);
        return status;
    }
    *data = out;
    *bytes = (size_t)m->bytes;
    return status;
}

/* ---- a person's own key ---- */

Status trust_read_cameo_key(const TrustStore *s, const char *cameo, unsigned char *key)
{
    char *path = trust_path(s, "cameos/%s/key", cameo), *text = NULL;
    size_t bytes;
    bool found = false;
    Status status = file_read(path, 4096, &text, &bytes);
    /* while the store's key is being changed the file holds the person's key twice, once for each */
    for (char *line = text; !failed(status) && *line && !found;) {
        size_t n = strcspn(line, "\n");
        if (line[n] != '\n') break;
        line[n] = 0;
        found = trust_secret_unwrap(s->secret, line, key);
        line += n + 1;
    }
    if (!failed(status) && !found) status = status_fail(ERR_INPUT, "%s: damaged, or made with another key", path);
    free(text);
    free(path);
    return status;
}

Status trust_write_cameo_key(const TrustStore *s, const char *cameo, const unsigned char *key, const TrustSecret *also)
{
    char *path = trust_path(s, "cameos/%s/key", cameo), text[2 * (TRUST_WRAPPED + 1) + 1];
    trust_secret_wrap(s->secret, key, text);
    text[TRUST_WRAPPED] = '\n';
    size_t n = TRUST_WRAPPED + 1;
    if (also) {
        trust_secret_wrap(also, key, text + n);
        n += TRUST_WRAPPED;
        text[n++] = '\n';
    }
    Status status = trust_publish(path, text, n);
    free(path);
    return status;
}
