/* person.c - reading what the store holds of one person: record, consents, media. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/moment.h"
#include "trust/inside.h"

/* ---- the record ---- */

void trust_record_clear(TrustRecord *r)
{
    free(r->name);
    free(r->verified_by);
    free(r->verified_how);
    for (int i = 0; i < r->medium_count; i++) free(r->medium[i].note);
    free(r->medium);
    *r = (TrustRecord){0};
}

static bool is_hex(const char *text, size_t digits)
{
    return strlen(text) == digits && strspn(text, "0123456789abcdef") == digits;
}

static bool medium_from_json(json_t *item, TrustMedium *m)
{
    const char *file, *kind, *sha256, *note;
    json_int_t bytes;
    if (json_unpack(item, "{s:s,s:s,s:s,s:I,s:s!}", "file", &file, "kind", &kind, "sha256", &sha256, "bytes", &bytes,
                    "note", &note) != 0)
        return false;
    if (!is_hex(file, sizeof m->file - 1) || !is_hex(sha256, HASH_TEXT - 1) || strlen(kind) >= sizeof m->kind)
        return false;
    memcpy(m->file, file, sizeof m->file);
    memcpy(m->sha256, sha256, HASH_TEXT);
    memcpy(m->kind, kind, strlen(kind) + 1);
    m->bytes = bytes;
    m->note = text_copy(note);
    return true;
}

bool trust_record_from_json(json_t *body, TrustRecord *r)
{
    const char *id, *ref, *name, *by, *how;
    int minor, public_figure;
    json_int_t added, verified;
    json_t *media, *item;
    size_t i;
    if (json_unpack(body, "{s:s,s:s,s:s,s:b,s:b,s:I,s:I,s:s,s:s,s:o!}", "id", &id, "ref", &ref, "name", &name, "minor",
                    &minor, "public_figure", &public_figure, "added_s", &added, "verified_s", &verified, "verified_by",
                    &by, "verified_how", &how, "media", &media) != 0)
        return false;
    if (!trust_id_valid(id) || !is_hex(ref, sizeof r->ref - 1) || !json_is_array(media) ||
        json_array_size(media) > TRUST_MAX_MEDIA)
        return false;
    memcpy(r->id, id, strlen(id) + 1);
    memcpy(r->ref, ref, sizeof r->ref);
    r->name = text_copy(name);
    r->verified_by = text_copy(by);
    r->verified_how = text_copy(how);
    r->minor = minor != 0;
    r->public_figure = public_figure != 0;
    r->added_s = added;
    r->verified_s = verified;
    r->medium = memory_get(json_array_size(media), sizeof *r->medium);
    json_array_foreach(media, i, item) if (!medium_from_json(item, &r->medium[r->medium_count++])) return false;
    return true;
}

static json_t *record_to_json(const TrustRecord *r)
{
    json_t *media = json_array();
    for (int i = 0; i < r->medium_count; i++) {
        const TrustMedium *m = &r->medium[i];
        json_array_append_new(media, json_pack("{s:s,s:s,s:s,s:I,s:s}", "file", m->file, "kind", m->kind, "sha256",
                                               m->sha256, "bytes", (json_int_t)m->bytes, "note", m->note));
    }
    json_t *all =
        json_pack("{s:s,s:s,s:s,s:b,s:b,s:I,s:I,s:s,s:s,s:o}", "id", r->id, "ref", r->ref, "name", r->name, "minor",
                  r->minor, "public_figure", r->public_figure, "added_s", (json_int_t)r->added_s, "verified_s",
                  (json_int_t)r->verified_s, "verified_by", r->verified_by ? r->verified_by : "", "verified_how",
                  r->verified_how ? r->verified_how : "", "media", media);
    if (!all) abort();
    return all;
}

Status trust_write_record(TrustStore *s, TrustRecord *r, const char *what, int64_t now_s)
{
    char sha256[HASH_TEXT], *path = trust_path(s, "cameos/%s/cameo.json", r->id);
    json_t *body = record_to_json(r);
    char *text = trust_sign(s->secret, "cameo", body);
    hash_bytes(text, strlen(text), sha256);
    Status status = trust_publish(path, text, strlen(text));
    if (!failed(status))
        status = trust_log(s, json_pack("{s:s,s:s,s:s}", "what", what, "ref", r->ref, "record", sha256), now_s);
    json_decref(body);
    free(text);
    free(path);
    return status;
}

static Status no_record(const TrustStore *s, const char *cameo, const char *own)
{
    if (!file_is_folder(own)) return status_fail(ERR_INPUT, "no cameo \"%s\" in %s", cameo, s->folder);
    return status_fail(ERR_INPUT, "%s: no record there: the addition was ended early; add \"%s\" once more", own,
                       cameo);
}

/* The log is fresh. The record must be the one that it names: an older one put back in its place is not. */
static Status read_record(TrustStore *s, const char *cameo, TrustRecord *out)
{
    TrustSigned d = {0};
    *out = (TrustRecord){0};
    if (!trust_id_valid(cameo))
        return status_fail(ERR_INPUT, "cameo \"%.64s\": expected 1 to %d letters, digits, dots, lines", cameo,
                           TRUST_ID_BYTES - 1);
    struct stat info;
    char *path = trust_path(s, "cameos/%s/cameo.json", cameo), *own = trust_path(s, "cameos/%s", cameo);
    const bool is_link = lstat(own, &info) == 0 && S_ISLNK(info.st_mode);
    Status status = status_ok();
    if (is_link) TRY_OUT(status_fail(ERR_INPUT, "%s: a symbolic link, expected a folder", own));
    if (!file_exists(path)) TRY_OUT(no_record(s, cameo, own));
    TRY_OUT(trust_open_file(s, path, "cameo", &d));
    bool good = trust_record_from_json(d.body, out) && strcmp(out->id, cameo) == 0;
    TrustFact *f = good ? trust_fact(s, out->ref) : NULL;
    if (!good)
        status = status_fail(ERR_INPUT, "%s: not the record of \"%s\"", path, cameo);
    else if (!f || f->erased || strcmp(f->record, d.sha256) != 0)
        status = status_fail(ERR_INPUT, "%s: not what the log says of this cameo", path);
out:
    json_decref(d.body);
    free(path);
    free(own);
    if (failed(status)) trust_record_clear(out);
    return status;
}

/* ---- consents ---- */

void trust_consents_clear(TrustConsents *c)
{
    for (int i = 0; i < c->count; i++) trust_consent_clear(&c->consent[i]);
    free(c->consent);
    *c = (TrustConsents){0};
}

/* A revocation holds as soon as its file is there, whatever is in it. */
Status trust_is_revoked(const TrustStore *s, const char *cameo, int number, bool *yes)
{
    char *path = number ? trust_path(s, "revocations/%s.%d.json", cameo, number)
                        : trust_path(s, "revocations/%s.all.json", cameo);
    *yes = access(path, F_OK) == 0;
    Status status = *yes || errno == ENOENT ? status_ok() : status_errno(ERR_NODE, "%s", path);
    free(path);
    return status;
}

static Status read_consent(TrustStore *s, const TrustRecord *r, const TrustFactConsent *f, TrustConsent *out)
{
    TrustSigned d = {0};
    bool revoked = false;
    char *path = trust_path(s, "consents/%s.%d.json", r->id, f->number);
    Status status = trust_open_file(s, path, "consent", &d);
    if (!failed(status) && strcmp(d.sha256, f->sha256) != 0)
        status = status_fail(ERR_INPUT, "%s: not the consent that the log names", path);
    if (!failed(status)) status = status_at(trust_consent_from_json(d.body, r->id, r->ref, out), "%s", path);
    if (!failed(status) && out->number != f->number) status = status_fail(ERR_INPUT, "%s: another consent", path);
    if (!failed(status)) status = trust_is_revoked(s, r->id, f->number, &revoked);
    memcpy(out->sha256, f->sha256, HASH_TEXT);
    out->revoked = revoked || f->revoked;
    out->revoked_s = f->revoked_s;
    out->lapsed = f->lapsed;
    json_decref(d.body);
    free(path);
    return status;
}

static Status read_consents(TrustStore *s, const TrustRecord *r, TrustConsents *out)
{
    *out = (TrustConsents){0};
    TrustFact *f = trust_fact(s, r->ref);
    int count = f ? f->consent_count : 0;
    bool all = false;
    out->consent = memory_get((size_t)count, sizeof *out->consent);
    Status status = trust_is_revoked(s, r->id, 0, &all);
    for (; out->count < count && !failed(status); out->count++) {
        status = read_consent(s, r, &f->consent[out->count], &out->consent[out->count]);
        if (all) out->consent[out->count].revoked = true;
    }
    if (failed(status)) trust_consents_clear(out);
    return status;
}

/* ---- with a second look ----------------------------------------------------------------------------------------------- */

typedef Status Reading(TrustStore *s, const void *what, void *out);

/* Somebody may be in the middle of a change: what does not fit is read again while nobody writes. */
static Status read_twice(TrustStore *s, Reading *reading, const void *what, void *out)
{
    int lock = -1;
    Status status = trust_refresh(s);
    if (!failed(status)) status = reading(s, what, out);
    if (!failed(status) || s->locked) return status;
    if (failed(trust_chain_lock(s->log, &lock))) moment_sleep_ms(20); /* a store that cannot be written */
    s->log_seen = (TrustSeen){0};
    status = trust_refresh(s);
    if (!failed(status)) status = reading(s, what, out);
    trust_chain_unlock(&lock);
    return status;
}

static Status reading_record(TrustStore *s, const void *what, void *out) { return read_record(s, what, out); }

Status trust_read_record(TrustStore *s, const char *cameo, TrustRecord *out)
{
    return read_twice(s, reading_record, cameo, out);
}

static Status reading_consents(TrustStore *s, const void *what, void *out) { return read_consents(s, what, out); }

Status trust_read_consents(TrustStore *s, const TrustRecord *r, TrustConsents *out)
{
    return read_twice(s, reading_consents, r, out);
}

static Status reading_whole(TrustStore *s, const void *what, void *out)
{
    TrustWhole *w = out;
    TRY(read_record(s, what, &w->record));
    Status status = read_consents(s, &w->record, &w->consents);
    if (failed(status)) trust_record_clear(&w->record);
    return status;
}

Status trust_read_whole(TrustStore *s, const char *cameo, TrustWhole *out)
{
    return read_twice(s, reading_whole, cameo, out);
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

Status trust_list(TrustStore *s, char ***id, int *count)
{
    char *path = trust_path(s, "cameos");
    DIR *folder = opendir(path);
    int room = 0;
    *id = NULL;
    *count = 0;
    Status status = folder ? status_ok() : status_errno(ERR_INPUT, "%s", path);
    for (struct dirent *e; folder && (e = readdir(folder));) {
        if (!trust_id_valid(e->d_name)) continue;
        if (*count == room) *id = memory_resize(*id, (size_t)(room = 2 * room + 16), sizeof **id);
        (*id)[(*count)++] = text_copy(e->d_name);
    }
    if (folder) closedir(folder);
    if (*count) qsort(*id, (size_t)*count, sizeof **id, compare_names);
    free(path);
    return status;
}

int trust_count_media(const TrustRecord *r, const char *kind)
{
    int n = 0;
    for (int i = 0; i < r->medium_count; i++) n += strcmp(r->medium[i].kind, kind) == 0;
    return n;
}

Status trust_read_medium(TrustStore *s, const TrustRecord *r, const char *kind, int n, unsigned char **data,
                         size_t *bytes)
{
    const TrustMedium *m = NULL;
    for (int i = 0; i < r->medium_count && !m; i++)
        if (strcmp(r->medium[i].kind, kind) == 0 && n-- == 0) m = &r->medium[i];
    *data = NULL;
    if (!m) return status_fail(ERR_INPUT, "cameo %s has no such %s", r->id, kind);
    unsigned char *key = trust_memory_get(TRUST_KEY_BYTES);
    if (!key) return status_fail(ERR_NODE, "no locked memory");
    Status status = trust_read_cameo_key(s, r->id, key);
    char *path = trust_path(s, "cameos/%s/%s.enc", r->id, m->file);
    if (!failed(status)) status = trust_medium_read(path, key, m, data, bytes);
    free(path);
    trust_memory_free(key);
    return status;
}
