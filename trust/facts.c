/* facts.c - what the log says of each person, read anew where it has changed; and what is appended to it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "trust/inside.h"

/* ---- what the log says ---- */

void trust_forget(TrustStore *s)
{
    TrustFact *f, *next;
    HASH_ITER(hh, s->fact, f, next)
    {
        HASH_DEL(s->fact, f);
        free(f->consent);
        free(f);
    }
    s->log_seen = s->head_seen = (TrustSeen){0};
}

TrustFact *trust_fact(TrustStore *s, const char *ref)
{
    TrustFact *f;
    HASH_FIND_STR(s->fact, ref, f);
    return f;
}

TrustFactConsent *trust_fact_consent(TrustFact *f, int number)
{
    return number >= 1 && number <= f->consent_count ? &f->consent[number - 1] : NULL; /* they are numbered in turn */
}

static Status note_grant(TrustFact *f, int number, const char *sha256)
{
    if (number != f->consent_count + 1 || strlen(sha256) != HASH_TEXT - 1)
        return status_fail(ERR_INPUT, "a grant out of turn");
    if (f->consent_count == f->consent_room) {
        f->consent_room = 2 * f->consent_room + 4;
        f->consent = memory_resize(f->consent, (size_t)f->consent_room, sizeof *f->consent);
    }
    TrustFactConsent *c = &f->consent[f->consent_count++];
    *c = (TrustFactConsent){.number = number};
    memcpy(c->sha256, sha256, HASH_TEXT);
    return status_ok();
}

static void note_revoke(TrustFact *f, int number, int64_t t)
{
    for (int i = 0; i < f->consent_count; i++) {
        TrustFactConsent *c = &f->consent[i];
        if ((number && c->number != number) || c->revoked) continue;
        c->revoked = true;
        c->revoked_s = t;
    }
}

static void note_challenge(TrustFact *f, const char *sha256, int64_t t)
{
    enum { DAY_S = 24 * 3600 };
    f->challenges_today = t / DAY_S == f->day_s / DAY_S ? f->challenges_today + 1 : 1;
    f->day_s = f->challenge_s = t;
    f->challenged = true;
    f->used = false;
    f->attempts = 0;
    snprintf(f->challenge, sizeof f->challenge, "%s", sha256);
}

/* The log is signed: what does not fit here is a fault of ours or a store of another version. */
static Status note(TrustFact *f, const char *what, const json_t *line, int64_t t)
{
    const char *record = json_string_value(json_object_get(line, "record")),
               *sha256 = json_string_value(json_object_get(line, "sha256"));
    int number = (int)json_integer_value(json_object_get(line, "consent"));
    TrustFactConsent *c = trust_fact_consent(f, number);
    if (strcmp(what, "grant") == 0) return note_grant(f, number, sha256 ? sha256 : "");
    if (strcmp(what, "revoke") == 0)
        note_revoke(f, number, t);
    else if (strcmp(what, "lapse") == 0 && c)
        c->lapsed = true;
    else if (strcmp(what, "challenge") == 0)
        note_challenge(f, sha256 ? sha256 : "", t);
    else if (strcmp(what, "attempt") == 0)
        f->attempts++;
    else if (strcmp(what, "erase") == 0)
        f->erased = true;
    else if (strcmp(what, "cameo") != 0 && strcmp(what, "verify") != 0)
        return status_fail(ERR_INPUT, "an unknown change \"%.40s\"", what);
    if (strcmp(what, "verify") == 0) f->used = true;
    if (record && strlen(record) == HASH_TEXT - 1) memcpy(f->record, record, HASH_TEXT);
    return status_ok();
}

static Status take_line(void *self, const json_t *line)
{
    TrustStore *s = self;
    const char *what = json_string_value(json_object_get(line, "what")),
               *ref = json_string_value(json_object_get(line, "ref")),
               *to = json_string_value(json_object_get(line, "to"));
    int64_t t = json_integer_value(json_object_get(line, "t"));
    if (!what) return status_fail(ERR_INPUT, "%s: a line without what it is about", s->log);
    if (t > s->clock_s) s->clock_s = t;
    if (strcmp(what, "clock") == 0) s->clock_s = json_integer_value(json_object_get(line, "clock_s"));
    if (strcmp(what, "rotate") == 0 && (!to || !trust_unhex(to, s->latest_signer, TRUST_KEY_BYTES)))
        return status_fail(ERR_INPUT, "%s: a rotation without a key", s->log);
    if (!ref) return status_ok();
    TrustFact *f = trust_fact(s, ref);
    if (!f) {
        if (strlen(ref) != sizeof f->ref - 1) return status_fail(ERR_INPUT, "%s: damaged", s->log);
        f = memory_get(1, sizeof *f);
        memcpy(f->ref, ref, sizeof f->ref);
        HASH_ADD_STR(s->fact, ref, f);
    }
    return status_at(note(f, what, line, t), "%s", s->log);
}

static bool see(const char *path, TrustSeen *out)
{
    struct stat info;
    *out = (TrustSeen){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC); /* on NFS opening asks the server, stat alone may not */
    bool there = fd >= 0 && fstat(fd, &info) == 0;
    if (there)
        *out = (TrustSeen){(int64_t)info.st_dev, (int64_t)info.st_ino, info.st_size,
                           (int64_t)info.st_ctim.tv_sec * 1000000000 + info.st_ctim.tv_nsec};
    if (fd >= 0) close(fd);
    return there;
}

static bool same(const TrustSeen *a, const TrustSeen *b) { return memcmp(a, b, sizeof *a) == 0; }

/* The last line stands for all before it, so it is the last that has to be signed by whom the store trusts now. */
static Status check_last_signer(const TrustStore *s)
{
    static const unsigned char none[TRUST_KEY_BYTES];
    const bool rotated = memcmp(s->latest_signer, none, sizeof none) != 0;
    if (s->chain.count == 0) return status_ok();
    if (!trust_is_signer(s, s->chain.signer) ||
        (rotated && memcmp(s->latest_signer, s->chain.signer, sizeof none) != 0))
        return status_fail(ERR_INPUT, "%s: its last line is signed by a key that is none of this store's", s->log);
    return status_ok();
}

Status trust_refresh(TrustStore *s)
{
    TrustSeen log, head, signers;
    char *head_name = text_format("%s.head", s->log), *signers_name = trust_path(s, "signers.json");
    see(signers_name, &signers);
    see(head_name, &head);
    bool there = see(s->log, &log);
    free(head_name);
    free(signers_name);
    if (there && same(&log, &s->log_seen) && same(&head, &s->head_seen) && same(&signers, &s->signers_seen))
        return status_ok();
    TRY(trust_read_signers(s));
    trust_forget(s);
    s->clock_s = 0;
    memset(s->latest_signer, 0, sizeof s->latest_signer);
    TRY(trust_chain_read(s->log, (TrustChainSink){take_line, s}, &s->chain));
    TRY(check_last_signer(s));
    if (s->chain.count < s->most_lines)
        return status_fail(ERR_INPUT, "%s: %lld lines, but %lld were there: an older copy was put in its place", s->log,
                           (long long)s->chain.count, (long long)s->most_lines);
    s->most_lines = s->chain.count;
    s->log_seen = log;
    s->head_seen = head;
    s->signers_seen = signers;
    return status_ok();
}

bool trust_is_readable(TrustStore *s) { return !failed(trust_refresh(s)); }

int64_t trust_now_held(TrustStore *s, int64_t now_s)
{
    if (now_s > s->latest_s) s->latest_s = now_s;
    return s->clock_s > s->latest_s ? s->clock_s : s->latest_s;
}

int64_t trust_now(TrustStore *s, int64_t now_s)
{
    Status status = trust_refresh(s); /* of a log that cannot be read every answer is no */
    const int64_t held = trust_now_held(s, now_s);
    return failed(status) ? s->latest_s : held;
}

uint64_t trust_stamp(const TrustStore *s)
{
    TrustSeen seen[3];
    char *head = text_format("%s.head", s->log), *revocations = trust_path(s, "revocations");
    see(s->log, &seen[0]);
    see(head, &seen[1]);
    see(revocations, &seen[2]);
    free(head);
    free(revocations);
    uint64_t stamp = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < sizeof seen; i++) stamp = (stamp ^ ((const unsigned char *)seen)[i]) * 1099511628211u;
    return stamp;
}

/* ---- changes ---- */

Status trust_begin(TrustStore *s, int *lock)
{
    *lock = -1;
    if (s->mode == TRUST_READ) return status_fail(ERR_FATAL, "the trust store was opened for reading");
    TRY(trust_chain_lock(s->log, lock));
    s->locked = true;
    Status status = trust_refresh(s);
    if (failed(status)) trust_end(s, lock);
    return status;
}

void trust_end(TrustStore *s, int *lock)
{
    if (*lock < 0) return;
    s->locked = false;
    trust_chain_unlock(lock);
}

Status trust_log(TrustStore *s, json_t *line, int64_t now_s)
{
    if (!line) abort();
    TrustChain c = s->chain;
    if (now_s > s->clock_s)
        c.latest_s = now_s; /* after a reset of the clock, times may be earlier than before it */
    else
        c.latest_s = s->clock_s;
    Status status =
        trust_chain_append_locked(s->log, (json_t *[]){line}, 1, now_s, (TrustSigner){.secret = s->secret}, &c);
    json_decref(line);
    return failed(status) ? status : trust_refresh(s);
}

Status trust_reset_clock(TrustStore *s, const char *by, const char *reason, int64_t now_s)
{
    int lock;
    TRY(trust_begin(s, &lock));
    Status status = trust_log(
        s, json_pack("{s:s,s:s,s:s,s:I}", "what", "clock", "by", by, "reason", reason, "clock_s", (json_int_t)now_s),
        now_s);
    s->latest_s = now_s;
    trust_end(s, &lock);
    return status;
}
