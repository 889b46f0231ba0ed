#include "audit.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "common/hash.h"
#include "trust/chain.h"

enum { KEY_BYTES = 32 };

struct Audit {
    char *path;
    unsigned char key[KEY_BYTES];
    TrustChain chain;
    json_t **line;
    int count, room;
};

/* Of two that make it at once the first one's holds: it is read again. */
static Status read_key(const char *folder, unsigned char key[KEY_BYTES])
{
    char *path = path_join(folder, "audit.key"), *text = NULL, digits[2 * KEY_BYTES + 1];
    size_t bytes;
    Status status = status_ok();
    if (!file_exists(path)) {
        trust_random(key, KEY_BYTES);
        trust_hex(key, KEY_BYTES, digits);
        status = trust_publish(path, digits, 2 * KEY_BYTES);
    }
    if (!failed(status)) status = file_read(path, 2 * KEY_BYTES, &text, &bytes);
    if (!failed(status) && !trust_unhex(text, key, KEY_BYTES)) status = status_fail(ERR_FATAL, "%s: damaged", path);
    free(text);
    free(path);
    return status;
}

Status audit_open(const char *folder, Audit **out)
{
    Audit *a = *out = memory_get(1, sizeof *a);
    a->path = path_join(folder, "audit.jsonl");
    Status status = read_key(folder, a->key);
    if (failed(status)) audit_close(out);
    return status;
}

void audit_drop(Audit *a)
{
    if (!a) return;
    for (int i = 0; i < a->count; i++) json_decref(a->line[i]);
    a->count = 0;
}

void audit_close(Audit **audit)
{
    Audit *a = *audit;
    if (!a) return;
    audit_drop(a);
    free(a->line);
    free(a->path);
    free(a);
    *audit = NULL;
}

void audit_token(const Audit *a, const char *id, char token[AUDIT_TOKEN])
{
    unsigned char mac[HASH_BYTES];
    hash_sign(a->key, KEY_BYTES, id, strlen(id), mac);
    trust_hex(mac, (AUDIT_TOKEN - 1) / 2, token);
}

void audit_add(Audit *a, const char *what, const char *clip_id, const char *pack, ...)
{
    char token[AUDIT_TOKEN];
    va_list args;
    if (!a) return;
    va_start(args, pack);
    json_t *line = pack ? json_vpack_ex(NULL, 0, pack, args) : json_object();
    va_end(args);
    if (!line) abort();
    json_object_set_new(line, "what", json_string(what));
    if (clip_id) {
        audit_token(a, clip_id, token);
        json_object_set_new(line, "clip", json_string(token));
    }
    if (a->count == a->room) a->line = memory_resize(a->line, (size_t)(a->room = 2 * a->room + 16), sizeof *a->line);
    a->line[a->count++] = line;
}

Status audit_flush(Audit *a, double now_s)
{
    if (!a || a->count == 0) return status_ok();
    Status status = trust_chain_append(a->path, a->line, a->count, (int64_t)now_s, NULL, &a->chain);
    audit_drop(a);
    return status;
}
