#include "audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/secret_file.h"
#include "trust/certificate.h"

enum { KEY_BYTES = 32, PIECE_LINES = 4096, SHORTEST_CELL = 3, SEAL_EVERY_MS = 30 * 1000 };

struct Audit {
    char *folder, *path;
    char *key_file,
        *command;     /* the campaign's key, or the command that signs with it; both NULL: the chain is not sealed */
    int64_t asked_ms; /* when the command was last called; 0: never */
    bool complained,
        unsealed; /* complained: a failed seal was told; unsealed: lines were written after the last seal */
    unsigned char key[KEY_BYTES];
    TrustChain chain;
    int64_t decision; /* the greatest number of a decision that the chain holds */
    bool read;        /* the file was read, and `chain` is its end */
    json_t **line;
    int count, room;
};

/* The folder of the whole campaign: DIR/parts/2-of-4 -> DIR, and any other folder itself. free() it. */
static char *whole_of(const char *folder)
{
    char *real = realpath(folder, NULL), *parts = real ? path_folder(real) : NULL;
    int number, count, used = 0;
    const bool part = parts && strcmp(path_name(parts), "parts") == 0 &&
                      sscanf(path_name(real), "%d-of-%d%n", &number, &count, &used) == 2 && !path_name(real)[used];
    char *whole = part ? path_folder(parts) : text_copy(folder);
    free(parts);
    free(real);
    return whole;
}

/* Where another process, or another part, has just made the key, that key stays and is used. */
static Status make_key(const char *path)
{
    unsigned char key[KEY_BYTES];
    char digits[2 * KEY_BYTES + 1];
    trust_random(key, KEY_BYTES);
    trust_hex(key, KEY_BYTES, digits);
    return secret_file_make(path, digits, 2 * KEY_BYTES);
}

static Status read_key(const char *folder, unsigned char key[KEY_BYTES])
{
    char *whole = whole_of(folder), *path = path_join(whole, "audit.key"), *text = NULL;
    size_t bytes;
    Status status = file_exists(path) ? status_ok() : make_key(path);
    if (!failed(status)) status = file_read(path, 2 * KEY_BYTES, &text, &bytes);
    if (!failed(status) && !trust_unhex(text, key, KEY_BYTES)) status = status_fail(ERR_FATAL, "%s: damaged", path);
    free(text);
    free(path);
    free(whole);
    return status;
}

/* ---- the seal ---- */

/* The value of "key", "signer" or "certificate" in the campaign's credentials; NULL: it has none. free() it. */
static char *read_credential(const char *folder, const char *what)
{
    Ledger *l = NULL;
    char *finish = NULL, *file = NULL;
    if (failed(ledger_open(folder, LEDGER_READ, &l))) return NULL;
    if (!failed(ledger_read_finish(l, &finish))) {
        json_t *all = json_loads(finish, 0, NULL);
        const char *path = json_string_value(json_object_get(json_object_get(all, "credentials"), what));
        if (path) file = text_copy(path);
        json_decref(all);
    }
    free(finish);
    ledger_close(&l);
    return file;
}

static char *seal(void *self, const char *head)
{
    Audit *a = self;
    char *hex = NULL;
    Status status = a->command ? trust_seal_by_command(a->command, head, strlen(head), &hex)
                               : trust_seal(a->key_file, head, strlen(head), &hex);
    a->unsealed = failed(status) || strlen(hex) >= TRUST_SEAL_BYTES;
    if (failed(status) && !a->complained) log_line(LOG_WARNING, "the record is not sealed: %s", status.message);
    a->complained = failed(status);
    if (!a->unsealed) return hex;
    free(hex);
    return NULL;
}

/* A command may call a vault far away, and the coordinator waits for its answer: it is called every SEAL_EVERY_MS at most, and after a
 * failure only by audit_close. */
static char *seal_sometimes(void *self, const char *head)
{
    Audit *a = self;
    a->unsealed = true;
    if (a->command && a->asked_ms && (a->complained || moment_ms() - a->asked_ms < SEAL_EVERY_MS)) return NULL;
    char *hex = seal(self, head);
    a->asked_ms = moment_ms();
    return hex;
}

static void seal_at_last(Audit *a)
{
    if (!a->command || !a->unsealed) return;
    Status status = trust_chain_seal(a->path, (TrustSigner){.seal = seal, .self = a}, &a->chain);
    if (failed(status)) log_line(LOG_WARNING, "the record is not sealed: %s", status.message);
}

Status audit_open(const char *folder, Audit **out)
{
    Audit *a = *out = memory_get(1, sizeof *a);
    a->folder = text_copy(folder);
    a->path = path_join(folder, "audit.jsonl");
    a->key_file = read_credential(folder, "key");
    a->command = read_credential(folder, "signer");
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
    seal_at_last(a);
    free(a->line);
    free(a->folder);
    free(a->key_file);
    free(a->command);
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

static void add_line(Audit *a, json_t *line)
{
    if (a->count == a->room) a->line = memory_resize(a->line, (size_t)(a->room = 2 * a->room + 16), sizeof *a->line);
    a->line[a->count++] = line;
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
    add_line(a, line);
}

/* ---- the chain -------------------------------------------------------------------------------------------------------------- */

static Status note_line(void *self, const json_t *line)
{
    Audit *a = self;
    const json_int_t n = json_integer_value(json_object_get(line, "decision"));
    if (n > a->decision) a->decision = n;
    return status_ok();
}

/* Reads the chain again if another process has written to it. The caller holds the chain's lock. */
static Status read_chain(Audit *a)
{
    int64_t bytes = 0;
    if (a->read && !failed(file_size(a->path, &bytes)) && bytes == a->chain.bytes) return status_ok();
    Status status = trust_chain_read(a->path, (TrustChainSink){note_line, a}, &a->chain);
    a->read = !failed(status);
    return status;
}

static Status append_pieces(Audit *a, double now_s)
{
    const TrustSigner signer = {.seal = a->key_file || a->command ? seal_sometimes : NULL, .self = a};
    for (int i = 0; i < a->count; i += PIECE_LINES) {
        const int n = a->count - i < PIECE_LINES ? a->count - i : PIECE_LINES;
        TRY(trust_chain_append_locked(a->path, a->line + i, n, (int64_t)now_s, signer, &a->chain));
    }
    return status_ok();
}

Status audit_flush(Audit *a, double now_s)
{
    int lock;
    if (!a || a->count == 0) return status_ok();
    TRY(trust_chain_lock(a->path, &lock));
    Status status = a->read ? read_chain(a) : status_ok();
    if (!failed(status)) status = append_pieces(a, now_s);
    audit_drop(a);
    trust_chain_unlock(&lock);
    return status;
}

/* ---- reviewers' decisions -------------------------------------------------------------------------------------------------- */

/* Frees the text and returns it with "[..]" in place of the cell. */
static char *without(char *text, const char *cell)
{
    const size_t n = strlen(cell);
    for (char *at; n >= SHORTEST_CELL && (at = strcasestr(text, cell));) {
        char *shorter = text_format("%.*s[..]%s", (int)(at - text), text, at + n);
        free(text);
        text = shorter;
    }
    return text;
}

/* The reviewer's reason without the row's cells: the chain stays for ever, and the row may be erased one day. free() it. */
static char *without_cells(const DecisionRow *d)
{
    char *text = text_copy(d->reason);
    json_t *row = json_loads(d->customer, 0, NULL), *cell;
    size_t i;
    json_array_foreach(row, i, cell) if (json_is_string(cell) && !strstr("[..]", json_string_value(cell))) text =
        without(text, json_string_value(cell));
    json_decref(row);
    return text;
}

static Status add_decision(void *self, const DecisionRow *d)
{
    Audit *a = self;
    char token[AUDIT_TOKEN], *reason = without_cells(d), when[TRUST_TIME_BYTES];
    trust_time_text((int64_t)d->decided_s, when);
    json_t *line = json_pack("{s:s,s:s,s:s,s:I,s:s,s:s}", "what", *d->reviewer ? "review" : "gate", "verb", d->verb,
                             "by", d->reviewer, "decision", (json_int_t)d->id, "decided", when, "sha256", d->sha256);
    if (*d->reason) {
        json_object_set_new(line, "reason", json_string(reason));
        audit_token(a, d->reason, token);
        json_object_set_new(line, "reason_hmac", json_string(token));
    }
    if (*d->clip_id) {
        audit_token(a, d->clip_id, token);
        json_object_set_new(line, "clip", json_string(token));
    }
    add_line(a, line);
    free(reason);
    return status_ok();
}

Status audit_take_decisions(Audit *a, Ledger *l, double now_s)
{
    int lock;
    int64_t last;
    TRY(ledger_find_last_decision(l, &last));
    if (last == 0 || (a->read && last <= a->decision)) return status_ok();
    TRY(audit_flush(a, now_s)); /* lines that were added before */
    TRY(trust_chain_lock(a->path, &lock));
    Status status = read_chain(a);
    if (!failed(status)) status = ledger_read_decisions(l, a->decision, (DecisionSink){add_decision, a});
    if (!failed(status)) status = append_pieces(a, now_s);
    if (!failed(status) && last > a->decision) a->decision = last;
    a->read = a->read && !failed(status);
    audit_drop(a);
    trust_chain_unlock(&lock);
    return status;
}

Status audit_catch_up(Ledger *l, double now_s)
{
    Audit *a = NULL;
    int64_t last;
    TRY(ledger_find_last_decision(l, &last));
    if (last == 0) return status_ok();
    TRY(audit_open(ledger_folder(l), &a));
    Status status = audit_take_decisions(a, l, now_s);
    audit_close(&a);
    return status;
}

/* ---- parts ------------------------------------------------------------------------------------------------------------------ */

static char *path_of_part(const char *folder, const char *part)
{
    return text_format("%s/audit.%s.jsonl", folder, part);
}

typedef struct {
    const char *part;
    bool found;
} PartSearch;

static Status find_part(void *self, const json_t *line)
{
    PartSearch *s = self;
    const char *what = json_string_value(json_object_get(line, "what")),
               *part = json_string_value(json_object_get(line, "part"));
    s->found = s->found || (what && part && strcmp(what, "merge") == 0 && strcmp(part, s->part) == 0);
    return status_ok();
}

Status audit_take_part(Audit *a, Ledger *l, const char *part, double now_s)
{
    TrustChain own, chain;
    PartSearch search = {.part = part};
    int64_t last;
    char *path = path_of_part(a->folder, part);
    Status status = trust_chain_read(a->path, (TrustChainSink){find_part, &search}, &own);
    if (!failed(status) && !search.found) status = trust_chain_read(path, (TrustChainSink){0}, &chain);
    if (!failed(status) && !search.found) status = ledger_find_last_decision(l, &last);
    if (!failed(status) && !search.found && chain.count) {
        audit_add(a, "merge", NULL, "{s:s,s:I,s:s,s:I}", "part", part, "lines", (json_int_t)chain.count, "last",
                  chain.hash, "decision", (json_int_t)last);
        status = audit_flush(a, now_s);
    }
    free(path);
    return status;
}

typedef struct {
    const char *folder;
    TrustChainSink sink;
} WholeChain;

/* Checks that the chain of a part still ends as it did when the parts were merged. */
static Status read_part(void *self, const json_t *line)
{
    const WholeChain *w = self;
    const char *what = json_string_value(json_object_get(line, "what")),
               *part = json_string_value(json_object_get(line, "part")),
               *last = json_string_value(json_object_get(line, "last"));
    TrustChain chain;
    if (!what || strcmp(what, "merge") != 0 || !part || !last) return status_ok();
    if (!*part || part[strspn(part, "0123456789-of")])
        return status_fail(ERR_INPUT, "%s/audit.jsonl: \"%.40s\" is no part", w->folder, part);
    char *path = path_of_part(w->folder, part);
    Status status = trust_chain_read(path, w->sink, &chain);
    if (!failed(status) &&
        (chain.count != json_integer_value(json_object_get(line, "lines")) || strcmp(chain.hash, last) != 0))
        status = status_fail(ERR_INPUT, "%s: not as it was when the parts were merged", path);
    free(path);
    return status;
}

Status audit_read(const char *folder, TrustChainSink sink, TrustChain *out)
{
    char *path = path_join(folder, "audit.jsonl");
    WholeChain w = {folder, sink};
    Status status = trust_chain_read(path, (TrustChainSink){read_part, &w}, out);
    if (!failed(status) && sink.line) status = trust_chain_read(path, sink, out);
    free(path);
    return status;
}

typedef struct {
    const char *what, *token;
    bool found;
} Looking;

static Status look_at(void *self, const json_t *line)
{
    Looking *x = self;
    const char *what = json_string_value(json_object_get(line, "what")),
               *clip = json_string_value(json_object_get(line, "clip"));
    x->found = x->found || (what && clip && strcmp(what, x->what) == 0 && strcmp(clip, x->token) == 0);
    return status_ok();
}

Status audit_has(const Audit *a, const char *what, const char *clip_id, bool *yes)
{
    char token[AUDIT_TOKEN];
    TrustChain chain;
    audit_token(a, clip_id, token);
    Looking x = {what, token, false};
    Status status = trust_chain_read(a->path, (TrustChainSink){look_at, &x}, &chain);
    *yes = x.found;
    return status;
}

/* ---- whether it is what was written ---- */

const char *audit_state_name(AuditState s)
{
    static const char *const name[] = {[AUDIT_ABSENT] = "absent",
                                       [AUDIT_WHOLE] = "whole",
                                       [AUDIT_SEALED] = "whole",
                                       [AUDIT_UNSEALED] = "unsealed",
                                       [AUDIT_BROKEN] = "broken"};
    return name[s];
}

static AuditState check_seal(const char *folder, const char *path, char **why)
{
    char *head = NULL, *hex = NULL, *certificate = read_credential(folder, "certificate");
    AuditState state = AUDIT_WHOLE;
    Status status = certificate ? trust_chain_read_head(path, &head, &hex) : status_ok();
    if (certificate && !failed(status)) {
        status = *hex ? trust_check_seal(certificate, head, strlen(head), hex)
                      : status_fail(ERR_INPUT, "not sealed with the campaign's key");
        state = failed(status) ? AUDIT_UNSEALED : AUDIT_SEALED;
    }
    if (failed(status)) *why = text_format("%s.head: %s", path, status.message);
    free(certificate);
    free(head);
    free(hex);
    return state;
}

AuditState audit_check(const char *folder, TrustChainSink sink, TrustChain *chain, char **why)
{
    char *path = path_join(folder, "audit.jsonl");
    AuditState state = AUDIT_ABSENT;
    *chain = (TrustChain){0};
    *why = NULL;
    if (file_exists(path)) {
        Status status = audit_read(folder, sink, chain);
        if (failed(status)) *why = text_copy(status.message);
        state = failed(status) ? AUDIT_BROKEN : check_seal(folder, path, why);
    }
    free(path);
    return state;
}
