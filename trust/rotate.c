/* rotate.c - another secret for the store, and everything about one person for that person. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "trust/inside.h"

/* ---- another secret ---- */

/* At every moment each person's key can be had with the secret that is in the key file then: first all are wrapped for both, then the
 * file is replaced, then the old ones go. */
static Status wrap_all(TrustStore *s, const TrustSecret *also)
{
    char **id;
    int count;
    TRY(trust_list(s, &id, &count));
    unsigned char *key = trust_memory_get(TRUST_KEY_BYTES);
    Status status = key ? status_ok() : status_fail(ERR_NODE, "no locked memory");
    for (int i = 0; i < count; i++) {
        if (!failed(status)) status = trust_read_cameo_key(s, id[i], key);
        if (!failed(status)) status = trust_write_cameo_key(s, id[i], key, also);
        free(id[i]);
    }
    free(id);
    trust_memory_free(key);
    return status;
}

static Status rotate_locked(TrustStore *s, const char *file, int64_t now_s)
{
    char digits[2 * TRUST_KEY_BYTES + 1], *next = text_format("%s.next", file);
    TrustSecret *fresh = NULL, *old;
    Status status = status_ok();
    if (s->signer_count == TRUST_MAX_SIGNERS)
        TRY_OUT(status_fail(ERR_INPUT, "%d keys so far, no more", s->signer_count));
    unlink(next); /* of an attempt that ended early; nothing depends on it yet */
    TRY_OUT(trust_secret_make(next, &fresh));
    TRY_OUT(wrap_all(s, fresh));
    memcpy(s->signer[s->signer_count++], trust_secret_public(fresh), TRUST_KEY_BYTES);
    TRY_OUT(trust_write_signers(s, s->secret, fresh));
    trust_hex(trust_secret_public(fresh), TRUST_KEY_BYTES, digits);
    TRY_OUT(file_publish(next, file));
    old = s->secret;
    s->secret = fresh;
    fresh = old;
    TRY_OUT(trust_write_signers(s, s->secret, NULL));
    /* What the old key signs behind this line does not count. */
    TRY_OUT(trust_log(s, json_pack("{s:s,s:s}", "what", "rotate", "to", digits), now_s));
    status = wrap_all(s, NULL);
out:
    trust_secret_close(&fresh);
    free(next);
    return status;
}

Status trust_rotate(TrustStore *s, int64_t now_s)
{
    int lock;
    char *file = trust_secret_file(s->folder);
    if (!file)
        return status_fail(ERR_INPUT, "the store's key comes from REELWRIGHT_TRUST_KEY_COMMAND; expected it in a file, "
                                      "REELWRIGHT_TRUST_KEY=FILE, while it is being changed");
    Status status = trust_begin(s, &lock);
    if (!failed(status)) status = rotate_locked(s, file, trust_now(s, now_s));
    trust_end(s, &lock);
    free(file);
    return status;
}

/* ---- everything about one person ---- */

static Status copy_document(const char *from, const char *folder)
{
    char *to = path_join(folder, path_name(from)), *text = NULL;
    size_t bytes;
    Status status = file_read(from, TRUST_DOCUMENT_BYTES, &text, &bytes);
    if (!failed(status)) status = trust_publish(to, text, bytes);
    free(text);
    free(to);
    return status;
}

static const char *ending_of(const unsigned char *data, size_t bytes)
{
    if (bytes > 8 && memcmp(data, "\x89PNG", 4) == 0) return "png";
    if (bytes > 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WAVE", 4) == 0) return "wav";
    if (bytes > 12 && memcmp(data + 4, "ftyp", 4) == 0) return "mp4";
    if (bytes > 4 && memcmp(data, "\x1a\x45\xdf\xa3", 4) == 0) return "mkv";
    if (bytes > 4 && memcmp(data, "%PDF", 4) == 0) return "pdf";
    if (bytes > 3 && memcmp(data, "\xff\xd8\xff", 3) == 0) return "jpg";
    return "bin";
}

static Status export_media(TrustStore *s, const TrustRecord *r, const char *folder)
{
    Status status = status_ok();
    for (int i = 0; i < r->medium_count && !failed(status); i++) {
        int n = 0;
        unsigned char *data;
        size_t bytes;
        for (int k = 0; k < i; k++) n += strcmp(r->medium[k].kind, r->medium[i].kind) == 0;
        TRY(trust_read_medium(s, r, r->medium[i].kind, n, &data, &bytes));
        char *path = text_format("%s/%s-%d.%s", folder, r->medium[i].kind, n + 1, ending_of(data, bytes));
        status = trust_publish(path, data, bytes);
        free(path);
        trust_memory_free(data);
    }
    return status;
}

static Status export_consents(TrustStore *s, const TrustRecord *r, const char *folder, int64_t now_s)
{
    TrustConsents c;
    char *text = NULL, *path = path_join(folder, "agreements.txt");
    size_t bytes;
    Status status = trust_read_consents(s, r, &c);
    FILE *to = open_memstream(&text, &bytes);
    if (!to) abort();
    for (int i = 0; i < c.count && !failed(status); i++) {
        trust_consent_tell(to, TRUST_ENGLISH, r->id, r->name, &c.consent[i], now_s);
        fputc('\n', to);
        trust_consent_tell(to, TRUST_GERMAN, r->id, r->name, &c.consent[i], now_s);
        fputc('\n', to);
        char *from = trust_path(s, "consents/%s.%d.json", r->id, c.consent[i].number);
        status = copy_document(from, folder);
        free(from);
    }
    if (fclose(to) != 0) abort();
    if (!failed(status)) status = trust_publish(path, text, bytes);
    free(text);
    free(path);
    trust_consents_clear(&c);
    return status;
}

typedef struct {
    const char *ref;
    FILE *to;
} Lines;

static Status take_own_line(void *self, const json_t *line)
{
    const Lines *l = self;
    const char *ref = json_string_value(json_object_get(line, "ref"));
    if (!ref || strcmp(ref, l->ref) != 0) return status_ok();
    char *text = trust_canonical(line);
    fprintf(l->to, "%s\n", text);
    free(text);
    return status_ok();
}

static Status export_log(TrustStore *s, const TrustRecord *r, const char *folder)
{
    char *text = NULL, *path = path_join(folder, "log.jsonl");
    size_t bytes;
    TrustChain chain;
    Lines l = {r->ref, open_memstream(&text, &bytes)};
    if (!l.to) abort();
    Status status = trust_chain_read(s->log, (TrustChainSink){take_own_line, &l}, &chain);
    if (fclose(l.to) != 0) abort();
    if (!failed(status)) status = trust_publish(path, text, bytes);
    free(text);
    free(path);
    return status;
}

Status trust_export(TrustStore *s, const char *cameo, const char *folder)
{
    TrustRecord r;
    TRY(trust_read_record(s, cameo, &r));
    char *record = trust_path(s, "cameos/%s/cameo.json", cameo);
    Status status = status_ok();
    if (mkdir(folder, 0700) != 0)
        TRY_OUT(status_fail(ERR_INPUT, "%s: expected a new folder: %s", folder, strerror(errno)));
    TRY_OUT(copy_document(record, folder));
    TRY_OUT(export_media(s, &r, folder));
    TRY_OUT(export_consents(s, &r, folder, trust_now(s, (int64_t)time(NULL))));
    status = export_log(s, &r, folder);
out:
    free(record);
    trust_record_clear(&r);
    return status;
}
