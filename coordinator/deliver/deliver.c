#include "deliver.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/file.h"
#include "common/moment.h"
#include "coordinator/campaign/list_columns.h"
#include "coordinator/watch/events.h"

/* ---- the list ---- */

static void put_field(FILE *f, const char *text)
{
    size_t n = strlen(text);
    if (!text[strcspn(text, ",\"\r\n")] && (n == 0 || (text[0] != ' ' && text[n - 1] != ' '))) {
        fputs(text, f);
        return;
    }
    putc('"', f);
    for (const char *p = text; *p; p++) {
        if (*p == '"') putc('"', f);
        putc(*p, f);
    }
    putc('"', f);
}

/* Every element of a JSON array of texts, each followed by a comma. */
static Status put_json_fields(FILE *f, const char *json)
{
    json_t *list = json_loads(json, 0, NULL), *item;
    size_t i;
    if (!json_is_array(list)) {
        json_decref(list);
        return status_fail(ERR_FATAL, "the ledger has a damaged row: %.60s", json);
    }
    json_array_foreach(list, i, item)
    {
        put_field(f, json_is_string(item) ? json_string_value(item) : "");
        putc(',', f);
    }
    json_decref(list);
    return status_ok();
}

typedef struct {
    FILE *file;
    char *model;
} List;

static Status put_row(void *self, const ClipRow *r)
{
    List *list = self;
    FILE *f = list->file;
    char when[32] = "";
    bool finished = *r->file != 0;
    TRY(put_json_fields(f, r->customer));
    if (r->decided_s > 0) events_time(r->decided_s, when);
    const char *const text[] = {r->clip_id, r->state, r->reason, r->file, r->thumbnail, r->sha256};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        put_field(f, text[i]);
        putc(',', f);
    }
    if (finished)
        fprintf(f, "%.6g,%d,%d,", r->duration_s, r->width, r->height);
    else
        fputs(",,,", f);
    if (r->shot >= 0)
        fprintf(f, "%" PRIu64 ",%s,", r->seed, r->key);
    else
        fputs(",,", f);
    put_field(f, list->model);
    putc(',', f);
    put_field(f, r->reviewer);
    fprintf(f, ",%s\n", when);
    return status_ok();
}

static Status put_list(Ledger *l, FILE *f)
{
    Snapshot s;
    char *columns = NULL;
    TRY(ledger_read_snapshot(l, &s));
    List list = {f, text_format("%s@%.12s", path_name(s.model_folder), s.model_hash)};
    Status status = ledger_read_columns(l, &columns);
    if (!failed(status)) status = put_json_fields(f, columns);
    for (int i = 0; i < LIST_COLUMNS && !failed(status); i++)
        fprintf(f, "%s%c", list_column[i], i + 1 < LIST_COLUMNS ? ',' : '\n');
    if (!failed(status)) status = ledger_read_clips(l, NULL, (ClipSink){put_row, &list});
    free(columns);
    free(list.model);
    snapshot_clear(&s);
    return status;
}

Status deliver_write_list(Ledger *l, const char *file)
{
    char *draft = file_draft(file);
    Status status = status_ok();
    FILE *f = fopen(draft, "wbe");
    if (!f) {
        status = status_errno(ERR_FATAL, "cannot write %s", file);
    } else {
        status = put_list(l, f);
        bool bad = ferror(f) != 0;
        if ((fclose(f) != 0 || bad) && !failed(status)) status = status_errno(ERR_FATAL, "cannot write %s", file);
    }
    if (failed(status))
        unlink(draft);
    else
        status = file_publish(draft, file);
    free(draft);
    return status;
}

/* ---- the copies ---- */

/* To the draft; reads `from` once: what is hashed is what is written. sha256 NULL: not compared. */
static Status copy_verified(const char *from, const char *draft, const char *sha256, int64_t *bytes)
{
    enum { PIECE = 1 << 18 };
    char *piece = memory_get(PIECE, 1), found[HASH_TEXT];
    FILE *in = fopen(from, "rbe"), *out = in ? fopen(draft, "wbe") : NULL;
    Status status = !in    ? status_errno(ERR_CLIP, "cannot read %s", from)
                    : !out ? status_errno(ERR_FATAL, "cannot write %s", draft)
                           : status_ok();
    Hash *h = hash_begin();
    for (size_t n; out && !failed(status) && (n = fread(piece, 1, PIECE, in)) > 0; *bytes += (int64_t)n) {
        hash_add(h, piece, n);
        if (fwrite(piece, 1, n, out) != n) status = status_errno(ERR_FATAL, "cannot write %s", draft);
    }
    hash_end(h, found);
    if (in && ferror(in) && !failed(status)) status = status_errno(ERR_CLIP, "cannot read %s", from);
    if (in) fclose(in);
    if (out && fclose(out) != 0 && !failed(status)) status = status_errno(ERR_FATAL, "cannot write %s", draft);
    if (!failed(status) && sha256 && strcmp(found, sha256) != 0)
        status = status_fail(ERR_CLIP, "%s: its SHA-256 is %.12s.., expected %.12s..: changed since it was finished",
                             from, found, sha256);
    free(piece);
    return status;
}

/* A batch is published by one sync and noted in one transaction: one by one, a million clips would wait hours for the disk. */
enum { BATCH_CLIPS = 512, BATCH_BYTES = 256 << 20, MOST_FILES = BATCH_CLIPS * (2 + MAX_RENDITIONS) };

typedef struct {
    Ledger *ledger;
    char *from, *to; /* DIR, DIR/delivery */
    json_t *renditions;
    int64_t clip[BATCH_CLIPS]; /* copied, not published yet */
    char *draft[MOST_FILES], *path[MOST_FILES];
    int clip_count, file_count;
    int64_t bytes; /* of the batch */
    Delivery done;
    int64_t bad;
    char *first_bad;
} Deliverer;

/* Forgets the batch's files from this one on. */
static void drop_files(Deliverer *d, int from, bool unlink_drafts)
{
    while (d->file_count > from) {
        d->file_count--;
        if (unlink_drafts) unlink(d->draft[d->file_count]);
        free(d->draft[d->file_count]);
        free(d->path[d->file_count]);
    }
}

static Status copy_file(Deliverer *d, const char *relative, const char *sha256)
{
    assert(d->file_count < MOST_FILES);
    char *from = path_join(d->from, relative), *to = path_join(d->to, relative), *folder = path_folder(to);
    d->path[d->file_count] = to;
    d->draft[d->file_count] = file_draft(to);
    Status status = file_make_folders(folder);
    if (!failed(status)) status = copy_verified(from, d->draft[d->file_count], sha256, &d->bytes);
    d->file_count++;
    free(from);
    free(folder);
    return status;
}

/* The clip, the pictures, and the renditions after the first (named as worker/finish/finish.h says), whose hashes are not in the
 * ledger. */
static Status copy_files(Deliverer *d, const ClipRow *r)
{
    json_t *item;
    size_t i;
    TRY(copy_file(d, r->file, r->sha256));
    if (*r->thumbnail) TRY(copy_file(d, r->thumbnail, NULL));
    if (*r->sheet) TRY(copy_file(d, r->sheet, NULL));
    json_array_foreach(d->renditions, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        if (i == 0 || i >= MAX_RENDITIONS || !name) continue;
        char *relative = text_format("%.*s.%s.mp4", (int)(strlen(r->file) - strlen(".mp4")), r->file, name);
        Status status = copy_file(d, relative, NULL);
        free(relative);
        TRY(status);
    }
    return status_ok();
}

static Status deliver_one(void *self, const ClipRow *r)
{
    Deliverer *d = self;
    bool delivered = strcmp(r->state, "delivered") == 0;
    if (!delivered && strcmp(r->state, "approved") != 0) return status_ok();
    char *copy = path_join(d->to, r->file);
    bool there = delivered && file_exists(copy);
    free(copy);
    if (there) return status_ok();
    int files = d->file_count;
    int64_t bytes = d->bytes;
    Status status = copy_files(d, r);
    if (!failed(status)) {
        d->clip[d->clip_count++] = r->clip;
        return status;
    }
    drop_files(d, files, true);
    d->bytes = bytes;
    if (status.err != ERR_CLIP) return status;
    if (d->bad++ == 0) d->first_bad = text_copy(status.message);
    return status_ok();
}

/* The copies are on disk; only then are the clips delivered. */
static Status finish_batch(Deliverer *d)
{
    if (d->clip_count == 0) return status_ok();
    Status status = file_publish_all(d->draft, d->path, d->file_count);
    drop_files(d, 0, false);
    TRY(status);
    TRY(ledger_begin(d->ledger, moment_wall_s()));
    for (int i = 0; i < d->clip_count && !failed(status); i++) status = ledger_note_delivered(d->ledger, d->clip[i]);
    if (failed(status)) return ledger_rollback(d->ledger), status;
    TRY(ledger_commit(d->ledger));
    d->done.delivered += d->clip_count;
    d->done.bytes += d->bytes;
    d->bytes = 0;
    d->clip_count = 0;
    return status_ok();
}

static Status deliver_all(Deliverer *d, int64_t rows)
{
    enum { STRIDE = 16 }; /* rows read at a time: so often is looked whether the batch is full */
    for (int64_t row = 0; row < rows; row += STRIDE) {
        TRY(ledger_read_clip_range(d->ledger, row, row + STRIDE, (ClipSink){deliver_one, d}));
        if (d->clip_count > BATCH_CLIPS - STRIDE || d->bytes >= BATCH_BYTES) TRY(finish_batch(d));
    }
    TRY(finish_batch(d));
    if (d->bad == 0) return status_ok();
    return status_fail(ERR_CLIP, "%lld clips cannot be delivered; the first: %s", (long long)d->bad, d->first_bad);
}

Status deliver_clips(Ledger *l, Delivery *out)
{
    Deliverer *d = memory_get(1, sizeof *d);
    Snapshot s = {0};
    char *renditions = NULL;
    Status status = status_ok();
    d->ledger = l;
    d->from = text_copy(ledger_folder(l));
    d->to = path_join(d->from, "delivery");
    TRY_OUT(ledger_read_snapshot(l, &s));
    TRY_OUT(ledger_read_renditions(l, &renditions));
    d->renditions = json_loads(renditions, 0, NULL);
    TRY_OUT(file_make_folders(d->to));
    status = deliver_all(d, s.clips);
out:
    *out = d->done;
    drop_files(d, 0, true);
    json_decref(d->renditions);
    snapshot_clear(&s);
    free(renditions);
    free(d->from);
    free(d->to);
    free(d->first_bad);
    free(d);
    return status;
}
