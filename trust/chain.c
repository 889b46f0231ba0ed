#include "chain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/moment.h"

enum { LINE_BYTES = 64 << 10, LOCK_WAIT_MS = 10000, LOCK_NAP_MS = 5 };

void trust_time_text(int64_t s, char text[TRUST_TIME_BYTES])
{
    time_t t = (time_t)s;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(text, TRUST_TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm))
        memcpy(text, "?", 2); /* a year of five digits */
}

Status trust_publish(const char *path, const void *data, size_t bytes)
{
    char *draft = file_draft(path);
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const char *from = data;
    size_t left = bytes;
    while (fd >= 0 && left > 0) {
        ssize_t n = write(fd, from, left);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        from += n;
        left -= (size_t)n;
    }
    Status status = fd < 0 || left ? status_errno(ERR_NODE, "cannot write %s", path) : status_ok();
    if (fd >= 0 && close(fd) != 0 && !failed(status)) status = status_errno(ERR_NODE, "cannot write %s", path);
    if (failed(status))
        unlink(draft);
    else
        status = file_publish(draft, path);
    free(draft);
    return status;
}

/* ---- the lock ---- */

Status trust_chain_lock(const char *path, int *fd)
{
    char *name = text_format("%s.lock", path);
    Status status = status_ok();
    *fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0) status = status_errno(ERR_NODE, "cannot write %s", name);
    /* of the open file description: also between threads, and not lost when another descriptor of the file is closed */
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int64_t until = moment_ms() + LOCK_WAIT_MS;
    while (!failed(status) && fcntl(*fd, F_OFD_SETLK, &whole) != 0) {
        if (errno != EAGAIN && errno != EACCES && errno != EINTR)
            status = status_errno(ERR_NODE, "cannot lock %s", name);
        else if (moment_ms() > until)
            status = status_fail(ERR_RETRY, "%s: held by another process for %d s", name, LOCK_WAIT_MS / 1000);
        else
            moment_sleep_ms(LOCK_NAP_MS);
    }
    if (failed(status)) trust_chain_unlock(fd);
    free(name);
    return status;
}

void trust_chain_unlock(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* ---- a line ---- */

/* What is signed: the line without its signature. */
static void hash_unsigned(json_t *line, char hash[HASH_TEXT])
{
    json_t *signature = json_incref(json_object_get(line, "signature"));
    json_object_del(line, "signature");
    char *text = trust_canonical(line);
    hash_bytes(text, strlen(text), hash);
    free(text);
    if (signature) json_object_set_new(line, "signature", signature);
}

static bool read_signer(const json_t *line, unsigned char signer[TRUST_KEY_BYTES])
{
    const char *text = json_string_value(json_object_get(line, "signer"));
    memset(signer, 0, TRUST_KEY_BYTES);
    return text && trust_unhex(text, signer, TRUST_KEY_BYTES);
}

static const char *check_line(json_t *line, const char *text, size_t bytes, TrustChain *c)
{
    const char *prev;
    json_int_t n = 0, t = 0;
    if (!line || json_unpack(line, "{s:s,s:I,s:I}", "prev", &prev, "n", &n, "t", &t) != 0)
        return "it is no line of a chain";
    if (n != c->count + 1 || strcmp(prev, c->hash) != 0)
        return n == c->count + 1 ? "the line before it was changed" : "lines before it are missing or too many";
    read_signer(line, c->signer);
    c->count = n;
    if (t > c->latest_s) c->latest_s = t;
    hash_bytes(text, bytes, c->hash);
    return NULL;
}

static bool last_is_signed(json_t *line, const TrustChain *c)
{
    unsigned char signature[TRUST_SIGNATURE_BYTES];
    char hash[HASH_TEXT];
    const char *digits = json_string_value(json_object_get(line, "signature"));
    if (!json_object_get(line, "signer")) return !digits;
    hash_unsigned(line, hash);
    return digits && trust_unhex(digits, signature, sizeof signature) &&
           trust_secret_check(c->signer, hash, HASH_TEXT - 1, signature);
}

/* ---- the head ---- */

typedef struct {
    int64_t count;
    char hash[HASH_TEXT];
    char *seal; /* "" when there is none; owned */
} Head;

/* "COUNT HASH\n" or "COUNT HASH SEAL\n", and nothing else. */
static bool parse_head(const char *text, size_t bytes, Head *out)
{
    long long count;
    char again[TRUST_SEAL_BYTES + 128], seal[TRUST_SEAL_BYTES] = "";
    if (sscanf(text, "%lld %64[0-9a-f] %2048[0-9a-f]", &count, out->hash, seal) < 2 || count < 1) return false;
    const int n = snprintf(again, sizeof again, *seal ? "%lld %s %s\n" : "%lld %s\n", count, out->hash, seal);
    out->count = count;
    out->seal = text_copy(seal);
    return (size_t)n == bytes && memcmp(again, text, bytes) == 0 && strlen(out->hash) == HASH_TEXT - 1;
}

static Status read_head(const char *path, Head *out)
{
    char *name = text_format("%s.head", path), *text = NULL;
    size_t bytes;
    *out = (Head){0};
    Status status = status_ok();
    if (!file_exists(name)) goto out;
    TRY_OUT(file_read(name, 2 * TRUST_SEAL_BYTES, &text, &bytes));
    if (!parse_head(text, bytes, out))
        status = status_fail(ERR_INPUT, "%s: damaged: expected the number of lines and a hash", name);
out:
    if (!out->seal) out->seal = text_copy("");
    if (failed(status)) out->count = 0;
    free(text);
    free(name);
    return status;
}

Status trust_chain_read_head(const char *path, char **head, char **seal)
{
    Head h;
    Status status = read_head(path, &h);
    *head = h.count ? text_format("%lld %s", (long long)h.count, h.hash) : text_copy("");
    *seal = h.seal;
    return status;
}

static Status write_head(const char *path, const TrustChain *c, TrustSigner signer)
{
    char *head = text_format("%lld %s", (long long)c->count, c->hash), *name = text_format("%s.head", path);
    char *seal = signer.seal ? signer.seal(signer.self, head) : NULL;
    char *text = seal ? text_format("%s %s\n", head, seal) : text_format("%s\n", head);
    Status status = trust_publish(name, text, strlen(text));
    free(text);
    free(seal);
    free(name);
    free(head);
    return status;
}

/* ---- reading ---- */

typedef struct {
    const char *path;
    TrustChainSink sink;
    Head head;
    TrustChain *out;
    bool head_seen;
    json_t *last;
} Reading;

static Status take_line(Reading *r, const char *text, size_t bytes)
{
    json_t *line = bytes < LINE_BYTES ? json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *wrong = check_line(line, text, bytes, r->out);
    json_decref(r->last);
    r->last = line;
    if (wrong) return status_fail(ERR_INPUT, "%s:%lld: %s", r->path, (long long)r->out->count + 1, wrong);
    if (r->out->count == r->head.count) r->head_seen = strcmp(r->out->hash, r->head.hash) == 0;
    return r->sink.line ? r->sink.line(r->sink.self, line) : status_ok();
}

/* Only whole lines are lines: *used says where they end. */
static Status read_lines(Reading *r, const char *text, size_t bytes, size_t *used)
{
    for (*used = 0; *used < bytes;) {
        const char *end = memchr(text + *used, '\n', bytes - *used);
        if (!end) break;
        TRY(take_line(r, text + *used, (size_t)(end - text) - *used));
        *used = (size_t)(end - text) + 1;
    }
    if (r->last && !last_is_signed(r->last, r->out)) /* the bytes are the head's to guard */
        return status_fail(ERR_INPUT, "%s:%lld: the last line's signature does not fit", r->path,
                           (long long)r->out->count);
    if (r->head.count > 0 && !r->head_seen)
        return status_fail(ERR_INPUT, "%s: its end is missing or was changed: %lld lines, expected %lld at least",
                           r->path, (long long)r->out->count, (long long)r->head.count);
    return status_ok();
}

Status trust_chain_read(const char *path, TrustChainSink sink, TrustChain *out)
{
    char *text = NULL;
    size_t bytes = 0, used = 0;
    Reading r = {.path = path, .sink = sink, .out = out};
    *out = (TrustChain){0};
    Status status = read_head(path, &r.head); /* before the lines: they are written first */
    free(r.head.seal);
    TRY(status);
    status = file_exists(path) ? file_read(path, (size_t)4 << 30, &text, &bytes) : status_ok();
    if (!failed(status)) status = read_lines(&r, text ? text : "", bytes, &used);
    out->bytes = (int64_t)used;
    json_decref(r.last);
    free(text);
    return status;
}

/* ---- writing ---- */

static void sign_line(json_t *body, const TrustSecret *signer)
{
    char hash[HASH_TEXT];
    unsigned char signature[TRUST_SIGNATURE_BYTES];
    char digits[2 * TRUST_SIGNATURE_BYTES + 1];
    hash_unsigned(body, hash);
    trust_secret_sign(signer, hash, HASH_TEXT - 1, signature);
    trust_hex(signature, sizeof signature, digits);
    json_object_set_new(body, "signature", json_string(digits));
}

/* The line with its line feed; c is moved on to it. */
static char *complete_line(json_t *body, const TrustSecret *signer, TrustChain *c)
{
    char at[TRUST_TIME_BYTES], digits[2 * TRUST_KEY_BYTES + 1];
    trust_time_text(c->latest_s, at);
    json_object_set_new(body, "n", json_integer(++c->count));
    json_object_set_new(body, "t", json_integer(c->latest_s));
    json_object_set_new(body, "at", json_string(at));
    json_object_set_new(body, "prev", json_string(c->hash));
    memset(c->signer, 0, sizeof c->signer);
    if (signer) {
        memcpy(c->signer, trust_secret_public(signer), sizeof c->signer);
        trust_hex(c->signer, sizeof c->signer, digits);
        json_object_set_new(body, "signer", json_string(digits));
    }
    if (signer) sign_line(body, signer);
    char *line = trust_canonical(body), *text = text_format("%s\n", line);
    hash_bytes(line, strlen(line), c->hash);
    free(line);
    return text;
}

/* Behind the last whole line: what a kill left unfinished there is cut off. */
static Status write_at(const char *path, int64_t offset, const char *text, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return status_errno(ERR_NODE, "cannot write %s", path);
    bool cut = ftruncate(fd, (off_t)offset) == 0;
    bool whole = cut && pwrite(fd, text, bytes, (off_t)offset) == (ssize_t)bytes && fsync(fd) == 0;
    Status status = whole ? status_ok() : status_errno(ERR_NODE, "cannot write %s", path);
    if (!whole && cut && ftruncate(fd, (off_t)offset) != 0) status = status_at(status, "and it could not be cut again");
    close(fd);
    return status;
}

static bool is_as_known(const char *path, const TrustChain *known)
{
    int64_t bytes;
    return known->count > 0 && !failed(file_size(path, &bytes)) && bytes == known->bytes;
}

Status trust_chain_append_locked(const char *path, json_t *const *body, int count, int64_t now_s, TrustSigner signer,
                                 TrustChain *known)
{
    TrustChain c = *known;
    if (!is_as_known(path, known)) TRY(trust_chain_read(path, (TrustChainSink){0}, &c));
    const int64_t from = c.bytes;
    char *text = NULL;
    size_t bytes = 0;
    FILE *lines = open_memstream(&text, &bytes);
    if (!lines) abort();
    if (now_s > c.latest_s) c.latest_s = now_s;
    bool fits = true;
    for (int i = 0; i < count; i++) {
        char *line = complete_line(body[i], signer.secret, &c);
        fits = fits && strlen(line) < LINE_BYTES;
        fputs(line, lines);
        free(line);
    }
    const bool whole = fclose(lines) == 0;
    Status status = !whole ? status_fail(ERR_NODE, "%s: out of memory for %d lines", path, count)
                    : fits ? write_at(path, from, text, bytes)
                           : status_fail(ERR_INPUT, "%s: a line of more than %d bytes", path, LINE_BYTES);
    c.bytes = from + (int64_t)bytes;
    free(text);
    if (!failed(status)) status = write_head(path, &c, signer);
    if (!failed(status)) *known = c;
    return status;
}

Status trust_chain_append(const char *path, json_t *const *body, int count, int64_t now_s, TrustSigner signer,
                          TrustChain *known)
{
    int fd;
    TRY(trust_chain_lock(path, &fd));
    Status status = trust_chain_append_locked(path, body, count, now_s, signer, known);
    trust_chain_unlock(&fd);
    return status;
}

Status trust_chain_seal(const char *path, TrustSigner signer, TrustChain *known)
{
    int fd;
    TrustChain c = *known;
    TRY(trust_chain_lock(path, &fd));
    Status status = is_as_known(path, known) ? status_ok() : trust_chain_read(path, (TrustChainSink){0}, &c);
    if (!failed(status) && c.count > 0) status = write_head(path, &c, signer);
    if (!failed(status)) *known = c;
    trust_chain_unlock(&fd);
    return status;
}
