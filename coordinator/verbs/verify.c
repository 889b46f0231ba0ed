/* verify.c - `reelwright verify FILE|DIR`: the coordinator's half reads the record, the worker's half looks at the files. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clip.h"
#include "common/file.h"
#include "common/foreign.h"
#include "common/hash.h"
#include "common/options.h"
#include "common/plural.h"
#include "coordinator/ledger/view.h"
#include "coordinator/verbs/verbs.h"
#include "coordinator/watch/audit.h"

enum { PARENTS = 3 /* from a clip to its campaign's folder: delivery/, or a folder of one's own in it */ };

static bool is_campaign(const char *folder)
{
    char *ledger = path_join(folder, "ledger.db");
    const bool found = file_exists(ledger);
    free(ledger);
    return found;
}

/* The campaign's folder that a file lies in, or NULL; free() it. */
static char *campaign_of(const char *file)
{
    char *real = realpath(file, NULL), *folder = real ? path_folder(real) : NULL;
    for (int i = 0; i < PARENTS && folder && !is_campaign(folder); i++) {
        char *up = path_folder(folder);
        free(folder);
        folder = up;
    }
    free(real);
    if (folder && is_campaign(folder)) return folder;
    free(folder);
    return NULL;
}

/* ---- the record -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *campaign;
    json_t *list;
} Record;

/* What verify_file compares with (worker/proof/verify.h). */
static Status add_clip(void *self, const ClipRow *r)
{
    const Record *record = self;
    if (!r->sha256 || !*r->sha256) return status_ok();
    json_t *document = *r->result ? json_loads(r->result, 0, NULL) : NULL, *file;
    json_t *hashes = json_pack("[s]", r->sha256), *iscc = json_object_get(document, "iscc");
    json_t *clip = json_pack("{s:s, s:s, s:o}", "clip", r->clip_id, "campaign", record->campaign, "sha256", hashes);
    size_t i;
    json_array_foreach(json_object_get(document, "files"), i, file)
    {
        json_t *sha256 = json_object_get(file, "sha256");
        if (json_is_string(sha256)) json_array_append(hashes, sha256);
    }
    if (json_is_string(iscc)) json_object_set(clip, "iscc", iscc);
    json_decref(document);
    json_array_append_new(record->list, clip);
    return status_ok();
}

static Status read_record(const char *folder, json_t *list)
{
    Ledger *l;
    Snapshot s;
    TRY(ledger_open_whole(folder, &l));
    Status status = ledger_read_snapshot(l, &s);
    if (!failed(status)) {
        Record record = {s.name, list};
        status = ledger_read_clips(l, NULL, (ClipSink){add_clip, &record});
        snapshot_clear(&s);
    }
    ledger_close(&l);
    return status;
}

/* ---- a folder ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *folder;
    json_t *bad;         /* files */
    int64_t good, files; /* clips without a bad file; files that were looked at */
} Folder;

/* A ledger whose bytes have changed may name anything: JSON takes UTF-8 only. */
static void note_bad(Folder *f, const char *clip, const char *file, const char *why)
{
    char *its_clip = foreign_utf8(clip), *its_file = foreign_utf8(file);
    json_array_append_new(f->bad, json_pack("{s:s, s:s, s:s}", "clip", its_clip, "file", its_file, "why", why));
    free(its_clip);
    free(its_file);
}

static void check_one(Folder *f, const char *clip, const char *file, const char *sha256)
{
    char found[HASH_TEXT], *path = path_join(f->folder, file);
    const char *why = !file_exists(path)               ? "missing"
                      : failed(hash_file(path, found)) ? "unreadable"
                      : strcmp(found, sha256)          ? "altered"
                                                       : NULL;
    free(path);
    if (why) note_bad(f, clip, file, why);
    f->files++;
}

/* Every file of the clip: its renditions, thumbnail, contact sheet, captions. */
static Status check_clip(void *self, const ClipRow *r)
{
    Folder *f = self;
    const size_t bad = json_array_size(f->bad);
    size_t i;
    json_t *one;
    if (!r->sha256 || !*r->sha256 || !r->file || !*r->file) return status_ok();
    json_t *document = *r->result ? json_loads(r->result, 0, NULL) : NULL;
    if (*r->result && !document) note_bad(f, r->clip_id, "ledger.db", "its list of this clip's files is damaged");
    check_one(f, r->clip_id, r->file, r->sha256);
    json_array_foreach(json_object_get(document, "files"), i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name")),
                   *sha256 = json_string_value(json_object_get(one, "sha256"));
        if (!name || !sha256 || strchr(name, '/') || strcmp(name, path_name(r->file)) == 0) continue;
        char *file = path_join(lease_clips, name);
        check_one(f, r->clip_id, file, sha256);
        free(file);
    }
    json_decref(document);
    f->good += json_array_size(f->bad) == bad;
    return status_ok();
}

static void print_folder(const Folder *f, const char *audit, bool as_json)
{
    size_t i;
    json_t *one;
    if (as_json) {
        json_t *j = json_pack("{s:I, s:I, s:O, s:s}", "unaltered", (json_int_t)f->good, "files", (json_int_t)f->files,
                              "wrong", f->bad, "audit", audit);
        foreign_print_json(stdout, j, JSON_INDENT(2));
        json_decref(j);
        return;
    }
    foreign_print(stdout, "%lld clip%s as recorded; %lld file%s looked at, %zu wrong; audit log %s\n",
                  (long long)f->good, plural_s(f->good), (long long)f->files, plural_s(f->files),
                  json_array_size(f->bad), audit);
    json_array_foreach(f->bad, i, one)
        foreign_print(stdout, "  %s: %s: %s\n", json_string_value(json_object_get(one, "clip")),
                      json_string_value(json_object_get(one, "file")), json_string_value(json_object_get(one, "why")));
}

static Status verify_folder(const char *folder, bool as_json)
{
    Ledger *l;
    Folder f = {.folder = folder, .bad = json_array()};
    if (!is_campaign(folder))
        return status_fail(ERR_INPUT, "%s: no campaign's folder (it has no ledger.db) and no file", folder);
    TRY(ledger_open_whole(folder, &l));
    Status status = ledger_read_clips(l, NULL, (ClipSink){check_clip, &f});
    ledger_close(&l);
    TrustChain chain;
    char *why;
    const AuditState state = audit_check(folder, (TrustChainSink){0}, &chain, &why);
    const char *audit = audit_state_name(state);
    if (!failed(status)) print_folder(&f, audit, as_json);
    const size_t wrong = json_array_size(f.bad);
    json_decref(f.bad);
    if (!failed(status) && (wrong || state == AUDIT_BROKEN || state == AUDIT_UNSEALED))
        status = status_fail(ERR_CLIP, "%s: %zu file%s not as recorded; audit log %s%s%s", folder, wrong,
                             plural_s((int64_t)wrong), audit, why ? ": " : "", why ? why : "");
    free(why);
    return status;
}

/* ---- the verb ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    bool as_json, detector;
    const char *campaign, *anchors, *key;
} VerifyWish;

static Status verify_one(char *file, const VerifyWish *w, VerifyFile *look)
{
    char *folder = w->detector ? NULL : w->campaign ? text_copy(w->campaign) : campaign_of(file), *key = NULL, *text;
    json_t *clips = json_array(), *options;
    Status status = folder ? read_record(folder, clips) : status_ok();
    if (!w->key && folder) key = path_join(folder, "watermark.key");
    if (key && !file_exists(key)) {
        free(key);
        key = NULL;
    }
    options = json_pack("{s:o}", "clips", clips);
    if (w->key || key) json_object_set_new(options, "watermark_key", json_string(w->key ? w->key : key));
    if (w->anchors) json_object_set_new(options, "anchors", json_string(w->anchors));
    text = json_dumps(options, JSON_COMPACT);
    if (!failed(status))
        status = text ? look(file, text, w->as_json) : status_fail(ERR_INPUT, "a path that is no UTF-8");
    free(text);
    json_decref(options);
    free(key);
    free(folder);
    return status;
}

Status verb_verify(int argc, char **argv, VerifyFile *look)
{
    VerifyWish w = {0};
    int first;
    const Option table[] = {
        {"json", OPTION_FLAG, &w.as_json, .help = "one JSON object"},
        {"detector", OPTION_FLAG, &w.detector,
         .help = "without any campaign's record, as a third party: credentials, and with --key the watermark"},
        {"campaign", OPTION_TEXT, &w.campaign, .value = "DIR",
         .help = "whose clip it may be (the campaign that the file lies in)"},
        {"key", OPTION_TEXT, &w.key, .value = "FILE", .help = "the watermark's key (DIR/watermark.key)"},
        {"anchors", OPTION_TEXT, &w.anchors, .value = "FILE.pem", .help = "roots whose signatures are trusted (none)"},
    };
    const Usage usage = {
        .verb = "verify",
        .arguments = "FILE|DIR [options]",
        .about = "Which clip a file is and whether it was altered: by its recorded bytes, credentials, watermark\n"
                 "and fingerprint, each on its own. Of a campaign's folder: whether all its clips are as they were\n"
                 "recorded, and its audit log.",
        .option = table,
        .option_count = (int)(sizeof table / sizeof *table),
        .min_arguments = 1,
        .max_arguments = 1};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    if (w.key && !file_exists(w.key)) return status_fail(ERR_INPUT, "--key %s: no such file", w.key);
    return file_is_folder(argv[first]) ? verify_folder(argv[first], w.as_json) : verify_one(argv[first], &w, look);
}
