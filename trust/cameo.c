/* cameo.c - changes: adding people, verifying them, what they grant and take back. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "trust/inside.h"

/* ---- adding ---- */

static Status make_cameo_folder(const TrustStore *s, const char *id)
{
    char *path = trust_path(s, "cameos/%s", id);
    Status status =
        mkdir(path, 0700) != 0 && errno != EEXIST ? status_errno(ERR_NODE, "cannot make %s", path) : status_ok();
    free(path);
    return status;
}

static bool is_there(const TrustStore *s, const char *id)
{
    char *path = trust_path(s, "cameos/%s/cameo.json", id);
    bool yes = file_exists(path);
    free(path);
    return yes;
}

static void remove_medium(const TrustStore *s, const char *id, const char *file)
{
    char *path = trust_path(s, "cameos/%s/%s.enc", id, file);
    unlink(path);
    free(path);
}

static bool is_replaced(const TrustNewCameo *c, const char *kind)
{
    for (int i = 0; i < c->medium_count; i++)
        if (strcmp(c->medium[i].kind, kind) == 0) return true;
    return false;
}

/* Media of the kinds that come anew leave the record; their files go once the new record holds. */
static void take_out(TrustRecord *r, const TrustNewCameo *c, TrustMedium *gone, int *gone_count)
{
    int kept = 0;
    *gone_count = 0;
    for (int i = 0; i < r->medium_count; i++)
        if (is_replaced(c, r->medium[i].kind))
            gone[(*gone_count)++] = r->medium[i];
        else
            r->medium[kept++] = r->medium[i];
    r->medium_count = kept;
}

static void new_record(TrustRecord *r, const TrustNewCameo *c, int64_t now_s)
{
    unsigned char ref[16];
    trust_random(ref, sizeof ref);
    trust_hex(ref, sizeof ref, r->ref);
    memcpy(r->id, c->id, strlen(c->id) + 1);
    r->name = text_copy(c->name ? c->name : c->id);
    r->added_s = now_s;
}

static Status write_media(TrustStore *s, TrustRecord *r, const unsigned char *key, const TrustNewMedium *m, int count)
{
    if (r->medium_count + count > TRUST_MAX_MEDIA)
        return status_fail(ERR_INPUT, "cameo %s: more than %d media", r->id, TRUST_MAX_MEDIA);
    r->medium = memory_resize(r->medium, TRUST_MAX_MEDIA, sizeof *r->medium);
    for (int i = 0; i < count; i++) {
        TRY(trust_medium_write(s, r->id, key, &m[i], &r->medium[r->medium_count]));
        r->medium_count++;
    }
    return status_ok();
}

static Status check_new(const TrustNewCameo *c)
{
    if (!trust_id_valid(c->id))
        return status_fail(ERR_INPUT, "cameo \"%.64s\": expected an id of 1 to %d letters, digits, '.', '_' and '-'",
                           c->id, TRUST_ID_BYTES - 1);
    if (c->name && !trust_word_valid(c->name))
        return status_fail(ERR_INPUT, "--name: expected 1 to %d bytes of text without line breaks",
                           TRUST_WORD_BYTES - 1);
    return status_ok();
}

static Status add_locked(TrustStore *s, const TrustNewCameo *c, unsigned char *key, int64_t now_s)
{
    TrustRecord r = {0};
    TrustMedium gone[TRUST_MAX_MEDIA];
    int gone_count = 0;
    Status status = status_ok();
    const bool known = is_there(s, c->id);
    if (known) {
        TRY_OUT(trust_read_record(s, c->id, &r));
        TRY_OUT(trust_read_cameo_key(s, c->id, key));
        if (c->name) {
            free(r.name);
            r.name = text_copy(c->name);
        }
    } else {
        new_record(&r, c, now_s);
        trust_random(key, TRUST_KEY_BYTES);
        TRY_OUT(make_cameo_folder(s, c->id));
        TRY_OUT(trust_write_cameo_key(s, c->id, key, NULL));
    }
    r.minor = r.minor || c->minor;
    r.public_figure = r.public_figure || c->public_figure;
    take_out(&r, c, gone, &gone_count);
    TRY_OUT(write_media(s, &r, key, c->medium, c->medium_count));
    if (c->medium_count) r.verified_s = 0; /* another face may be another person's */
    TRY_OUT(trust_write_record(s, &r, "cameo", now_s));
    for (int i = 0; i < gone_count; i++) remove_medium(s, c->id, gone[i].file);
out:
    for (int i = 0; i < gone_count; i++) free(gone[i].note);
    trust_record_clear(&r);
    return status;
}

/* What the addition of a new person left when it failed so, in order that it can be made again. */
static Status take_back_addition(TrustStore *s, const char *cameo, Status so_far)
{
    TrustRecord r;
    char *why = text_copy(so_far.message); /* the next failure's message takes its place */
    if (failed(trust_read_record(s, cameo, &r))) (void)trust_wipe(s, cameo).err;
    trust_record_clear(&r);
    Status status = status_fail(so_far.err, "%s", why);
    free(why);
    return status;
}

Status trust_add_cameo(TrustStore *s, const TrustNewCameo *c, int64_t now_s)
{
    int lock;
    TRY(check_new(c));
    unsigned char *key = trust_memory_get(TRUST_KEY_BYTES);
    if (!key) return status_fail(ERR_NODE, "no locked memory");
    Status status = trust_begin(s, &lock);
    const bool begun = !failed(status), is_new = begun && !is_there(s, c->id);
    if (begun) status = add_locked(s, c, key, trust_now(s, now_s));
    if (is_new && failed(status)) status = take_back_addition(s, c->id, status);
    trust_end(s, &lock);
    trust_memory_free(key);
    return status;
}

/* ---- verification ---- */

static bool same_digits(const char *heard, const char *passcode) /* spaces between them do not count */
{
    for (; *heard; heard++) {
        if (*heard == ' ') continue;
        if (*heard != *passcode) return false;
        passcode++;
    }
    return !*passcode;
}

static Status accept(TrustStore *s, TrustRecord *r, unsigned char *key, const TrustVerdict *v, int64_t now_s)
{
    TrustNewMedium recording = {.kind = "recording", .note = "verification", .data = v->recording, .bytes = v->bytes};
    TrustNewCameo replaced = {.medium_count = 1, .medium = &recording};
    TrustMedium gone[TRUST_MAX_MEDIA];
    int gone_count;
    take_out(r, &replaced, gone, &gone_count);
    Status status = trust_read_cameo_key(s, r->id, key);
    if (!failed(status)) status = write_media(s, r, key, &recording, 1);
    free(r->verified_by);
    free(r->verified_how);
    r->verified_by = text_copy(v->by);
    r->verified_how = text_copy(v->how);
    r->verified_s = now_s;
    if (!failed(status)) status = trust_write_record(s, r, "verify", now_s);
    for (int i = 0; i < gone_count; i++) {
        if (!failed(status)) remove_medium(s, r->id, gone[i].file);
        free(gone[i].note);
    }
    return status;
}

static Status verify_locked(TrustStore *s, const char *cameo, unsigned char *key, const TrustVerdict *v, int64_t now_s)
{
    TrustRecord r;
    TrustChallenge c = {0};
    TRY(trust_read_record(s, cameo, &r));
    Status status = status_ok();
    TRY_OUT(trust_challenge_of(s, &r, now_s, &c));
    if (!v->good || (v->passcode && !same_digits(v->passcode, c.passcode))) {
        TRY_OUT(trust_log(s, json_pack("{s:s,s:s}", "what", "attempt", "ref", r.ref), now_s));
        TRY_OUT(status_fail(ERR_INPUT, "cameo %s: %s; %d attempt%s left", cameo,
                            v->good ? "that is not the passcode" : "the recording was not accepted",
                            c.attempts_left - 1, c.attempts_left == 2 ? " is" : "s are"));
    }
    TRY_OUT(accept(s, &r, key, v, now_s));
    char *path = trust_path(s, "cameos/%s/challenge.json", cameo);
    unlink(path);
    free(path);
out:
    trust_challenge_clear(&c);
    trust_record_clear(&r);
    return status;
}

Status trust_verify(TrustStore *s, const char *cameo, const TrustVerdict *v, int64_t now_s)
{
    int lock;
    if (!v->by || !trust_word_valid(v->by)) return status_fail(ERR_INPUT, "expected who has judged (--by NAME)");
    unsigned char *key = trust_memory_get(TRUST_KEY_BYTES);
    if (!key) return status_fail(ERR_NODE, "no locked memory");
    Status status = trust_begin(s, &lock);
    if (!failed(status)) status = verify_locked(s, cameo, key, v, trust_now(s, now_s));
    trust_end(s, &lock);
    trust_memory_free(key);
    return status;
}

/* ---- consents ---- */

static Status store_evidence(TrustStore *s, TrustRecord *r, const void *data, size_t bytes, TrustConsent *c,
                             int64_t now_s)
{
    if (!data) return status_ok();
    unsigned char *key = trust_memory_get(TRUST_KEY_BYTES);
    char note[64];
    snprintf(note, sizeof note, "of consent %d", c->number);
    TrustNewMedium m = {.kind = "evidence", .note = note, .data = data, .bytes = bytes};
    Status status = key ? trust_read_cameo_key(s, r->id, key) : status_fail(ERR_NODE, "no locked memory");
    if (!failed(status)) status = write_media(s, r, key, &m, 1);
    if (!failed(status)) {
        memcpy(c->evidence, r->medium[r->medium_count - 1].sha256, HASH_TEXT);
        status = trust_write_record(s, r, "cameo", now_s);
    }
    trust_memory_free(key);
    return status;
}

static Status write_consent(TrustStore *s, const TrustRecord *r, TrustConsent *c, int64_t now_s)
{
    char *path = trust_path(s, "consents/%s.%d.json", r->id, c->number);
    json_t *body = trust_consent_to_json(r->id, r->ref, c);
    char *text = trust_sign(s->secret, "consent", body);
    hash_bytes(text, strlen(text), c->sha256);
    Status status = trust_publish(path, text, strlen(text));
    if (!failed(status))
        status = trust_log(
            s,
            json_pack("{s:s,s:s,s:i,s:s}", "what", "grant", "ref", r->ref, "consent", c->number, "sha256", c->sha256),
            now_s);
    json_decref(body);
    free(text);
    free(path);
    return status;
}

static Status grant_locked(TrustStore *s, const char *cameo, TrustConsent *c, const void *evidence, size_t bytes,
                           int64_t now_s)
{
    TrustRecord r;
    TRY(trust_read_record(s, cameo, &r));
    Status status = status_ok();
    char *all = trust_path(s, "revocations/%s.all.json", cameo);
    c->number = trust_fact(s, r.ref)->consent_count + 1;
    c->granted_s = now_s;
    if ((r.minor || r.public_figure) && !evidence)
        TRY_OUT(status_fail(ERR_INPUT, "cameo %s is a %s: expected --evidence FILE, the signed agreement", cameo,
                            r.minor ? "minor" : "public figure"));
    if (c->until_s <= now_s) TRY_OUT(status_fail(ERR_INPUT, "--until: expected a date that is still to come"));
    TRY_OUT(store_evidence(s, &r, evidence, bytes, c, now_s));
    TRY_OUT(trust_consent_check(c));
    /* "all" took back what was granted until then; the log holds each of them, and what is granted now is a new yes */
    if (file_exists(all)) {
        TRY_OUT(trust_log(s, json_pack("{s:s,s:s,s:i}", "what", "revoke", "ref", r.ref, "consent", 0), now_s));
        if (unlink(all) != 0) TRY_OUT(status_errno(ERR_NODE, "cannot remove %s", all));
    }
    status = write_consent(s, &r, c, now_s);
out:
    free(all);
    trust_record_clear(&r);
    return status;
}

Status trust_grant(TrustStore *s, const char *cameo, TrustConsent *c, const void *evidence, size_t bytes, int64_t now_s)
{
    int lock;
    TRY(trust_consent_check(c));
    TRY(trust_begin(s, &lock));
    Status status = grant_locked(s, cameo, c, evidence, bytes, trust_now(s, now_s));
    trust_end(s, &lock);
    return status;
}

static Status revoke_locked(TrustStore *s, const char *cameo, int number, int64_t now_s)
{
    TrustRecord r;
    char sha256[HASH_TEXT], *path = NULL, *text = NULL;
    json_t *body = NULL;
    TRY(trust_read_record(s, cameo, &r));
    Status status = status_ok();
    TrustFact *f = trust_fact(s, r.ref);
    if (number > f->consent_count)
        TRY_OUT(status_fail(ERR_INPUT, "cameo %s has %d consents, no %d", cameo, f->consent_count, number));
    path = number ? trust_path(s, "revocations/%s.%d.json", cameo, number)
                  : trust_path(s, "revocations/%s.all.json", cameo);
    body =
        json_pack("{s:s,s:s,s:i,s:I}", "cameo", cameo, "ref", r.ref, "number", number, "revoked_s", (json_int_t)now_s);
    text = trust_sign(s->secret, "revocation", body);
    hash_bytes(text, strlen(text), sha256);
    TRY_OUT(trust_publish(path, text, strlen(text))); /* from here on it holds */
    status = trust_log(
        s, json_pack("{s:s,s:s,s:i,s:s}", "what", "revoke", "ref", r.ref, "consent", number, "sha256", sha256), now_s);
out:
    json_decref(body);
    free(text);
    free(path);
    trust_record_clear(&r);
    return status;
}

Status trust_revoke(TrustStore *s, const char *cameo, int number, int64_t now_s)
{
    int lock;
    TRY(trust_begin(s, &lock));
    Status status = revoke_locked(s, cameo, number, trust_now(s, now_s));
    trust_end(s, &lock);
    return status;
}
