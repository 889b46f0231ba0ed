/* store.c - the folder, its signers, and what its log says. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/moment.h"
#include "trust/inside.h"

char *trust_path(const TrustStore *s, const char *fmt, ...)
{
    char name[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return path_join(s->folder, name);
}

char *trust_find(const char *given)
{
    const char *set = getenv("REELWRIGHT_TRUST"), *home = getenv("HOME");
    if (given && *given) return text_copy(given);
    if (set && *set) return text_copy(set);
    return path_join(home && *home ? home : "/root", ".local/share/reelwright/trust");
}

/* ---- signers ---- */

static Status read_signer_list(TrustStore *s, const json_t *body)
{
    size_t i;
    json_t *item, *list = json_object_get(body, "signers");
    if (!json_is_array(list) || json_array_size(list) > TRUST_MAX_SIGNERS)
        return status_fail(ERR_INPUT, "expected a list of signers");
    s->signer_count = 0;
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        if (!text || !trust_unhex(text, s->signer[s->signer_count++], TRUST_KEY_BYTES))
            return status_fail(ERR_INPUT, "signer %zu is no key", i + 1);
    }
    return status_ok();
}

/* One line, or two while the key is being changed: the one that the present key has signed is the list. */
static Status read_signer_lines(TrustStore *s, char *text)
{
    bool found = false;
    while (*text) {
        TrustSigned d = {0};
        size_t n = strcspn(text, "\n");
        Status status = text[n] ? trust_open_signed("signers", text, n + 1, &d) : status_fail(ERR_INPUT, "cut off");
        bool own = !failed(status) && memcmp(d.signer, trust_secret_public(s->secret), TRUST_KEY_BYTES) == 0;
        if (own) status = read_signer_list(s, d.body);
        json_decref(d.body);
        TRY(status);
        found = found || own;
        text += n + 1;
    }
    return found ? status_ok() : status_fail(ERR_INPUT, "signed with another key than the store's");
}

Status trust_read_signers(TrustStore *s)
{
    char *path = trust_path(s, "signers.json"), *text = NULL;
    size_t bytes;
    Status status = file_read(path, TRUST_DOCUMENT_BYTES, &text, &bytes);
    if (!failed(status) && strlen(text) != bytes) status = status_fail(ERR_INPUT, "damaged");
    if (!failed(status)) status = status_at(read_signer_lines(s, text), "%s", path);
    free(text);
    free(path);
    return status;
}

Status trust_write_signers(const TrustStore *s, const TrustSecret *by, const TrustSecret *also)
{
    char digits[2 * TRUST_KEY_BYTES + 1], *path = trust_path(s, "signers.json");
    json_t *list = json_array();
    for (int i = 0; i < s->signer_count; i++) {
        trust_hex(s->signer[i], TRUST_KEY_BYTES, digits);
        json_array_append_new(list, json_string(digits));
    }
    json_t *body = json_pack("{s:o}", "signers", list);
    char *first = trust_sign(by, "signers", body), *second = also ? trust_sign(also, "signers", body) : text_copy("");
    char *text = text_format("%s%s", first, second);
    Status status = trust_publish(path, text, strlen(text));
    json_decref(body);
    free(first);
    free(second);
    free(text);
    free(path);
    return status;
}

static bool is_signer(const TrustStore *s, const unsigned char key[TRUST_KEY_BYTES])
{
    for (int i = 0; i < s->signer_count; i++)
        if (memcmp(s->signer[i], key, TRUST_KEY_BYTES) == 0) return true;
    return false;
}

Status trust_open_file(TrustStore *s, const char *path, const char *kind, TrustSigned *out)
{
    char *text = NULL;
    size_t bytes;
    *out = (TrustSigned){0};
    TRY(file_read(path, TRUST_DOCUMENT_BYTES, &text, &bytes));
    Status status = status_at(trust_open_signed(kind, text, bytes, out), "%s", path);
    free(text);
    if (failed(status) || is_signer(s, out->signer)) return status;
    json_decref(out->body);
    out->body = NULL;
    return status_fail(ERR_INPUT, "%s: signed by a key that is none of this store's", path);
}

/* ---- opening ---- */

static Status make_folders(const TrustStore *s)
{
    static const char *const names[] = {"cameos", "consents", "revocations"};
    char *parent = path_folder(s->folder);
    Status status = file_make_folders(parent);
    free(parent);
    if (!failed(status) && mkdir(s->folder, 0700) != 0 && errno != EEXIST)
        status = status_errno(ERR_INPUT, "cannot make folder %s", s->folder);
    for (size_t i = 0; i < sizeof names / sizeof *names && !failed(status); i++) {
        char *path = trust_path(s, "%s", names[i]);
        if (mkdir(path, 0700) != 0 && errno != EEXIST) status = status_errno(ERR_INPUT, "cannot make folder %s", path);
        free(path);
    }
    return status;
}

/* Somebody who can change the store's folder can take consents out of it: nobody but its owner may. */
static Status check_mode(const TrustStore *s)
{
    struct stat info;
    if (stat(s->folder, &info) != 0 || !S_ISDIR(info.st_mode))
        return status_fail(ERR_INPUT, "%s: no trust store there; `reelwright cameo add` makes one", s->folder);
    if (info.st_mode & 077)
        return status_fail(ERR_INPUT, "%s: others may look into the trust store: chmod 700 %s", s->folder, s->folder);
    return status_ok();
}

static bool is_store(const TrustStore *s)
{
    char *path = trust_path(s, "signers.json");
    bool yes = file_exists(path);
    free(path);
    return yes;
}

/* A store whose signers are gone but whose log is there was tampered with: it is not made anew. */
static Status make_store(TrustStore *s)
{
    int lock;
    TRY(trust_chain_lock(s->log, &lock));
    Status status = status_ok();
    if (is_store(s)) goto out;
    if (file_exists(s->log))
        TRY_OUT(status_fail(ERR_INPUT, "%s: signers.json is missing; restore it from a copy", s->folder));
    s->signer_count = 1;
    memcpy(s->signer[0], trust_secret_public(s->secret), TRUST_KEY_BYTES);
    status = trust_write_signers(s, s->secret, NULL);
out:
    trust_chain_unlock(&lock);
    return status;
}

Status trust_open(const char *given, TrustMode mode, TrustStore **out)
{
    TrustStore *s = memory_get(1, sizeof *s);
    *out = NULL;
    s->mode = mode;
    s->folder = trust_find(given);
    s->log = trust_path(s, "log.jsonl");
    Status status = status_ok();
    if (mode == TRUST_WRITE && file_is_folder(s->folder)) /* before somebody looks at what could not be kept */
        TRY_OUT(status_at(file_check_writable(s->folder), "the trust store"));
    if (mode == TRUST_WRITE) TRY_OUT(make_folders(s));
    TRY_OUT(check_mode(s));
    if (mode != TRUST_WRITE && !is_store(s))
        TRY_OUT(status_fail(ERR_INPUT, "%s: no trust store there; `reelwright cameo add` makes one", s->folder));
    TRY_OUT(trust_secret_open(s->folder, mode == TRUST_WRITE && !is_store(s), &s->secret));
    if (mode == TRUST_WRITE) TRY_OUT(make_store(s));
    TRY_OUT(trust_read_signers(s));
    trust_harden_process();
    *out = s;
    s = NULL;
out:
    trust_close(&s);
    return status;
}

void trust_close(TrustStore **store)
{
    TrustStore *s = *store;
    if (!s) return;
    trust_drop_held(s);
    trust_forget(s);
    trust_secret_close(&s->secret);
    free(s->folder);
    free(s->log);
    free(s);
    *store = NULL;
}

const char *trust_folder(const TrustStore *s) { return s->folder; }
const TrustSecret *trust_signer(const TrustStore *s) { return s->secret; }

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
    if (!is_signer(s, s->chain.signer) || (rotated && memcmp(s->latest_signer, s->chain.signer, sizeof none) != 0))
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
