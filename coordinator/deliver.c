#include "deliver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/file.h"
#include "common/moment.h"
#include "coordinator/events.h"

/* ---- the list ---- */

static const char fixed_columns[] =
    "clip_id,status,reason,file,thumbnail,sha256,duration_s,width,height,seed,shot,model,reviewer,"
    "decided_at\n";

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
    if (!failed(status)) fputs(fixed_columns, f);
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

/* Reads `from` once: what is hashed is what is written. sha256 NULL: not compared. */
static Status copy_verified(const char *from, const char *to, const char *sha256, int64_t *bytes)
{
    enum { PIECE = 1 << 18 };
    char *draft = file_draft(to), *piece = memory_get(PIECE, 1), found[HASH_TEXT];
    FILE *in = fopen(from, "rbe"), *out = in ? fopen(draft, "wbe") : NULL;
    Status status = !in    ? status_errno(ERR_CLIP, "cannot read %s", from)
                    : !out ? status_errno(ERR_FATAL, "cannot write %s", to)
                           : status_ok();
    Hash *h = hash_begin();
    for (size_t n; out && !failed(status) && (n = fread(piece, 1, PIECE, in)) > 0; *bytes += (int64_t)n) {
        hash_add(h, piece, n);
        if (fwrite(piece, 1, n, out) != n) status = status_errno(ERR_FATAL, "cannot write %s", to);
    }
    hash_end(h, found);
    if (in && ferror(in) && !failed(status)) status = status_errno(ERR_CLIP, "cannot read %s", from);
    if (in) fclose(in);
    if (out && fclose(out) != 0 && !failed(status)) status = status_errno(ERR_FATAL, "cannot write %s", to);
    if (!failed(status) && sha256 && strcmp(found, sha256) != 0)
        status = status_fail(ERR_CLIP, "%s: its SHA-256 is %.12s.., expected %.12s..: changed since it was finished",
                             from, found, sha256);
    if (!failed(status)) status = file_publish(draft, to);
    if (failed(status)) unlink(draft);
    free(draft);
    free(piece);
    return status;
}

typedef struct { /* one clip to be delivered */
    int64_t clip;
    char *file, *thumbnail, *sheet, *sha256;
} Parcel;

typedef struct {
    Ledger *ledger;
    char *from, *to; /* DIR, DIR/delivery */
    json_t *renditions;
    Parcel *parcel;
    int64_t count, room;
    Delivery done;
    int64_t bad;
    char *first_bad;
} Deliverer;

static Status collect(void *self, const ClipRow *r)
{
    Deliverer *d = self;
    if (strcmp(r->state, "approved") != 0 && strcmp(r->state, "delivered") != 0) return status_ok();
    char *copy = path_join(d->to, r->file);
    bool there = strcmp(r->state, "delivered") == 0 && file_exists(copy);
    free(copy);
    if (there) return status_ok();
    if (d->count == d->room) {
        d->room = 2 * d->room + 64;
        d->parcel = realloc(d->parcel, (size_t)d->room * sizeof *d->parcel);
        if (!d->parcel) abort();
    }
    d->parcel[d->count++] =
        (Parcel){r->clip, text_copy(r->file), text_copy(r->thumbnail), text_copy(r->sheet), text_copy(r->sha256)};
    return status_ok();
}

static Status copy_companion(Deliverer *d, const char *relative)
{
    char *from = path_join(d->from, relative), *to = path_join(d->to, relative);
    Status status = copy_verified(from, to, NULL, &d->done.bytes);
    free(from);
    free(to);
    return status;
}

/* The pictures, and the renditions after the first (named as worker/finish.h says), whose hashes are not in the ledger. */
static Status copy_companions(Deliverer *d, const Parcel *p)
{
    json_t *item;
    size_t i;
    if (*p->thumbnail) TRY(copy_companion(d, p->thumbnail));
    if (*p->sheet) TRY(copy_companion(d, p->sheet));
    json_array_foreach(d->renditions, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        if (i == 0 || !name) continue;
        char *relative = text_format("%.*s.%s.mp4", (int)(strlen(p->file) - strlen(".mp4")), p->file, name);
        Status status = copy_companion(d, relative);
        free(relative);
        TRY(status);
    }
    return status_ok();
}

static Status deliver_one(Deliverer *d, const Parcel *p)
{
    char *from = path_join(d->from, p->file), *to = path_join(d->to, p->file), *folder = path_folder(to);
    Status status = file_make_folders(folder);
    if (!failed(status)) status = copy_verified(from, to, p->sha256, &d->done.bytes);
    if (!failed(status)) status = copy_companions(d, p);
    free(from);
    free(to);
    free(folder);
    return status;
}

static Status deliver_all(Deliverer *d)
{
    for (int64_t i = 0; i < d->count; i++) {
        Status status = deliver_one(d, &d->parcel[i]);
        if (failed(status) && status.err != ERR_CLIP) return status;
        if (failed(status)) {
            if (d->bad++ == 0) d->first_bad = text_copy(status.message);
            continue;
        }
        TRY(ledger_begin(d->ledger, moment_wall_s())); /* the copy is on disk; only now is the clip delivered */
        status = ledger_note_delivered(d->ledger, d->parcel[i].clip);
        if (failed(status)) return ledger_rollback(d->ledger), status;
        TRY(ledger_commit(d->ledger));
        d->done.delivered++;
    }
    if (d->bad == 0) return status_ok();
    return status_fail(ERR_CLIP, "%lld clips cannot be delivered; the first: %s", (long long)d->bad, d->first_bad);
}

Status deliver_clips(Ledger *l, Delivery *out)
{
    Deliverer d = {.ledger = l, .from = text_copy(ledger_folder(l)), .to = path_join(ledger_folder(l), "delivery")};
    char *renditions = NULL;
    Status status = ledger_read_renditions(l, &renditions);
    d.renditions = json_loads(renditions, 0, NULL);
    free(renditions);
    if (!failed(status)) status = ledger_read_clips(l, NULL, (ClipSink){collect, &d});
    if (!failed(status)) status = file_make_folders(d.to);
    if (!failed(status)) status = deliver_all(&d);
    for (int64_t i = 0; i < d.count; i++) {
        free(d.parcel[i].file);
        free(d.parcel[i].thumbnail);
        free(d.parcel[i].sheet);
        free(d.parcel[i].sha256);
    }
    *out = d.done;
    json_decref(d.renditions);
    free(d.parcel);
    free(d.from);
    free(d.to);
    free(d.first_bad);
    return status;
}
