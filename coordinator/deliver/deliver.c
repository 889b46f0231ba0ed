#include "deliver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/file.h"
#include "common/moment.h"
#include "common/plural.h"
#include "coordinator/campaign/suppress.h"
#include "coordinator/deliver/handover.h"
#include "coordinator/deliver/placer.h"
#include "coordinator/deliver/takeback.h"
#include "coordinator/ledger/guard.h"
#include "coordinator/ledger/lost.h"
#include "coordinator/watch/audit.h"

/* A batch is published by one sync and noted in one transaction: one by one, a million clips would wait hours for the disk. */
enum { BATCH_BYTES = 256 << 20 };

typedef struct {
    int64_t clip;
    bool again;     /* it was delivered before */
    char *why;      /* NULL: its files are there */
    char *withheld; /* JSON: who is meant gets nothing; NULL: he does */
    int from, to;   /* its files in the batch */
    char *clip_id, *sha256;
    Handover upload; /* order NULL: there is nothing to upload */
} Settled;

typedef struct {
    Ledger *ledger;
    DeliverOptions options;
    char *from, *to; /* DIR, DIR/delivery */
    Guard *guard;
    Audit *audit;
    Settled settled[PLACER_CLIPS]; /* not written into the ledger yet */
    int settled_count;
    Placer place;
    Delivery done;
    char *first_lost, *first_unread, *first_failed; /* first_failed: not uploaded, or not told of */
    Settings settings;
    Suppress *suppress;
    json_t *columns;
    char *campaign;
    int failed_in_a_row;
} Deliverer;

static void clear_settled(Settled *s)
{
    free(s->why);
    free(s->withheld);
    free(s->clip_id);
    free(s->sha256);
    handover_clear(&s->upload);
}

/* ---- one clip ---- */

/* The files that stand beside the clip: the result of its finish names each of them with its hash. */
static Status settle_others(Deliverer *d, const ClipRow *r, const json_t *files, bool delivered)
{
    json_t *item;
    size_t i;
    json_array_foreach(files, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *sha256 = json_string_value(json_object_get(item, "sha256"));
        if (!name || !*name || strchr(name, '/') || strcmp(name, path_name(r->file)) == 0) continue;
        char *folder = path_folder(r->file), *relative = path_join(folder, name);
        Status status = placer_settle(&d->place, relative, sha256 ? sha256 : "", delivered);
        free(relative);
        free(folder);
        TRY(status);
    }
    return status_ok();
}

/* The clip, and all that was made with it. */
static Status settle_files(Deliverer *d, const ClipRow *r, bool delivered)
{
    json_t *result = *r->result ? json_loads(r->result, 0, NULL) : NULL;
    const json_t *files = json_object_get(result, "files");
    Status status = placer_settle(&d->place, r->file, r->sha256, delivered);
    if (!failed(status) && json_array_size(files)) {
        status = settle_others(d, r, files, delivered);
    } else {
        if (!failed(status) && *r->thumbnail) status = placer_settle(&d->place, r->thumbnail, "", delivered);
        if (!failed(status) && *r->sheet) status = placer_settle(&d->place, r->sheet, "", delivered);
    }
    json_decref(result);
    return status;
}

/* The clip keeps its state: a disk that does not answer now may answer later, so the clip is not made again. */
static Status note_unread(Deliverer *d, Status why)
{
    if (d->done.unread++ == 0) d->first_unread = text_copy(why.message);
    return status_ok();
}

/* A clip with a likeness is delivered only while the consent holds. Clips without consent were withdrawn before (withdraw.h). Here the store
 * may be unreadable: then the clip stays approved and is not delivered. */
static Status may_deliver(Deliverer *d, int64_t clip, bool again, bool *may)
{
    char *reason;
    TRY(again ? guard_still_may(d->guard, d->ledger, clip, &reason)
              : guard_may_deliver(d->guard, d->ledger, clip, &reason));
    *may = !reason;
    Status status = reason ? note_unread(d, status_fail(ERR_NODE, "%s", reason)) : status_ok();
    free(reason);
    return status;
}

/* JSON of why this row gets nothing; NULL: it does. */
static char *suppressed(const Deliverer *d, const ClipRow *r)
{
    const size_t count = json_array_size(d->columns);
    json_t *cells = d->suppress ? json_loads(r->customer, 0, NULL) : NULL;
    const char **column = memory_get(count + 1, sizeof *column), **cell = memory_get(count + 1, sizeof *cell);
    for (size_t i = 0; i < count; i++) {
        column[i] = json_string_value(json_array_get(d->columns, i));
        cell[i] = column[i] ? json_string_value(json_array_get(cells, i)) : NULL;
    }
    const int line = suppress_line(d->suppress, r->clip_id, column, cell, (int)count);
    char *reason = line ? suppress_reason(d->suppress, line) : NULL, *text = NULL;
    if (reason) {
        json_t *o = json_string(reason);
        text = json_dumps(o, JSON_ENCODE_ANY);
        json_decref(o);
    }
    free(reason);
    free(column);
    free(cell);
    json_decref(cells);
    return text;
}

/* A copy that was made for an upload that failed. */
static void remove_copies(const Deliverer *d, const ClipRow *r)
{
    json_t *result = *r->result ? json_loads(r->result, 0, NULL) : NULL, *item;
    char *folder = path_folder(r->file);
    size_t i;
    json_array_foreach(json_object_get(result, "files"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        char *path = name && !strchr(name, '/') ? text_format("%s/%s/%s", d->to, folder, name) : NULL;
        if (path) unlink(path);
        free(path);
    }
    free(folder);
    json_decref(result);
}

static void withhold(Deliverer *d, const ClipRow *r, char *why) /* takes it */
{
    d->done.withheld++;
    remove_copies(d, r);
    if (strstr(r->result, why))
        free(why); /* noted before */
    else
        d->settled[d->settled_count++] = (Settled){.clip = r->clip, .withheld = why};
}

/* Whether the clip is approved, its consent holds, and its row is not suppressed. */
static Status may_go(Deliverer *d, const ClipRow *r, bool *may)
{
    TRY(may_deliver(d, r->clip, false, may));
    char *why = *may ? suppressed(d, r) : NULL;
    if (why) {
        withhold(d, r, why);
        *may = false;
    }
    return status_ok();
}

static Status make_handover(Deliverer *d, HandoverWay way, const ClipRow *r, Handover *out)
{
    int64_t times;
    TRY(handed_count_withdrawn(d->ledger, r->clip_id, &times));
    handover_make(way, r, times, &(HandoverFrom){d->campaign, d->to}, out);
    return status_ok();
}

static Status deliver_one(void *self, const ClipRow *r)
{
    Deliverer *d = self;
    bool delivered = strcmp(r->state, "delivered") == 0;
    if (!delivered && (strcmp(r->state, "approved") != 0 || d->options.nothing_new)) return status_ok();
    if (!delivered) {
        bool may = false;
        TRY(may_go(d, r, &may));
        if (!may) return status_ok();
    }
    int files = d->place.file_count;
    int64_t bytes = d->place.bytes;
    d->place.mended = 0;
    Status status = settle_files(d, r, delivered);
    if (!failed(status)) {
        if (delivered && d->place.mended == 0) return status;
        if (!delivered && d->options.files_only && d->settings.delivery.upload) return status;
        Settled *s = &d->settled[d->settled_count++];
        *s = (Settled){.clip = r->clip,
                       .again = delivered,
                       .from = files,
                       .to = d->place.file_count,
                       .clip_id = text_copy(r->clip_id),
                       .sha256 = text_copy(r->sha256)};
        return !delivered && d->settings.delivery.upload ? make_handover(d, HANDOVER_UPLOAD, r, &s->upload) : status;
    }
    placer_drop(&d->place, files, true);
    twins_forget_places(d->place.twins); /* those of this clip are gone with its drafts */
    d->place.bytes = bytes;
    if (status.err == ERR_NODE) return note_unread(d, status);
    if (status.err != ERR_CLIP) return status;
    const char *inside = d->from; /* the list goes to others: no folder of this machine in it */
    const char *why =
        strncmp(status.message, inside, strlen(inside)) == 0 ? status.message + strlen(inside) + 1 : status.message;
    d->settled[d->settled_count++] = (Settled){.clip = r->clip, .why = text_copy(why)};
    if (d->done.lost++ == 0) d->first_lost = text_copy(why);
    return status_ok();
}

/* ---- batches ---- */

static bool is_uploaded(const Settled *s) { return !s->upload.order || s->upload.done; }

static Status note_settled(Deliverer *d, const Settled *s)
{
    if (s->why) return ledger_lose_clip(d->ledger, s->clip, s->why);
    if (s->withheld) return ledger_note_result(d->ledger, s->clip, "suppressed", s->withheld);
    char *upload = s->upload.order ? handover_document(&s->upload) : NULL;
    Status status = upload ? ledger_note_result(d->ledger, s->clip, "upload", upload) : status_ok();
    free(upload);
    if (!failed(status) && s->upload.order) status = takeback_note(d->ledger, HANDOVER_UPLOAD, &s->upload);
    if (failed(status) || !is_uploaded(s)) return status;
    if (!s->again) TRY(ledger_note_result(d->ledger, s->clip, "suppressed", NULL));
    if (!s->again && d->settings.delivery.webhook)
        TRY(ledger_note_result(d->ledger, s->clip, "webhook", "{\"done\":false}"));
    return ledger_note_delivered(d->ledger, s->clip);
}

static void count_settled(Deliverer *d, const Settled *s)
{
    if (s->why || s->withheld) return;
    if (!is_uploaded(s)) {
        if (d->done.not_uploaded++ == 0) {
            free(d->first_failed);
            d->first_failed = text_copy(s->upload.reason);
        }
        return;
    }
    d->done.delivered += !s->again;
    d->done.restored += s->again;
}

static Status note_batch(Deliverer *d, int from, int to)
{
    Status status = takeback_begin(d->ledger, d->options.host);
    for (int i = from; i < to && !failed(status); i++) {
        const Settled *s = &d->settled[i];
        status = note_settled(d, s);
        if (!s->why && !s->withheld && !s->again && is_uploaded(s))
            audit_add(d->audit, "delivery", s->clip_id, "{s:s}", "sha256", s->sha256);
    }
    if (!failed(status)) status = audit_flush(d->audit, moment_wall_s()); /* first: the files are there */
    if (failed(status)) return ledger_rollback(d->ledger), status;
    TRY(ledger_commit(d->ledger));
    for (int i = from; i < to; i++) count_settled(d, &d->settled[i]);
    return status_ok();
}

/* Hands over what is settled from `from` on, after it has noted that it will. */
static Status hand_over(Deliverer *d, HandoverWay way, int from, int to)
{
    Handover *wait[PLACER_CLIPS];
    int count = 0;
    for (int i = from; i < to; i++)
        if (d->settled[i].upload.order) wait[count++] = &d->settled[i].upload;
    if (count == 0) return status_ok();
    TRY(takeback_note_meant(d->ledger, d->options.host, way, wait, count));
    handover_all(way, &d->settings.delivery, d->settings.notify.secret_file, wait, count, &d->failed_in_a_row);
    return status_ok();
}

static void take_out(Deliverer *d, int which)
{
    const int from = d->settled[which].from, count = d->settled[which].to - from;
    placer_take_out(&d->place, from, from + count);
    clear_settled(&d->settled[which]);
    d->settled_count--;
    memmove(&d->settled[which], &d->settled[which + 1], (size_t)(d->settled_count - which) * sizeof *d->settled);
    for (int i = 0; i < d->settled_count; i++)
        if (d->settled[i].from > from) d->settled[i].from -= count, d->settled[i].to -= count;
}

/* Copying takes time, and a consent may have been taken back meanwhile: asks again before publishing. */
static Status ask_again(Deliverer *d)
{
    Status status = status_ok();
    if (!d->guard) return status;
    guard_hold(d->guard);
    for (int i = 0; i < d->settled_count && !failed(status);) {
        bool may = true;
        if (d->settled[i].to > d->settled[i].from) status = may_deliver(d, d->settled[i].clip, true, &may);
        if (may)
            i++;
        else
            take_out(d, i);
    }
    guard_release(d->guard);
    return status;
}

/* The files are on disk; only then are the clips uploaded, a few at a time, and delivered. */
static Status finish_batch(Deliverer *d)
{
    Status status = ask_again(d);
    if (!failed(status)) status = placer_publish(&d->place);
    const int step = d->settings.delivery.upload ? 4 * d->settings.delivery.parallel : PLACER_CLIPS;
    for (int from = 0; from < d->settled_count && !failed(status); from += step) {
        const int to = from + step < d->settled_count ? from + step : d->settled_count;
        status = hand_over(d, HANDOVER_UPLOAD, from, to);
        if (!failed(status)) status = note_batch(d, from, to);
    }
    for (int i = 0; i < d->settled_count; i++) clear_settled(&d->settled[i]);
    d->settled_count = 0;
    TRY(status);
    d->done.bytes += d->place.bytes;
    d->place.bytes = 0;
    return status_ok();
}

/* ---- telling of it ---- */

static Status gather_untold(void *self, const ClipRow *r)
{
    Deliverer *d = self;
    if (strcmp(r->state, ledger_clip_state_name(CLIP_DELIVERED)) != 0 || !handover_waits(r->result, HANDOVER_WEBHOOK))
        return status_ok();
    Settled *s = &d->settled[d->settled_count++];
    *s = (Settled){.clip = r->clip};
    return make_handover(d, HANDOVER_WEBHOOK, r, &s->upload);
}

static Status note_told(Deliverer *d, const Settled *s)
{
    char *document = handover_document(&s->upload);
    Status status = ledger_note_result(d->ledger, s->clip, handover_way_name(HANDOVER_WEBHOOK), document);
    free(document);
    return failed(status) ? status : takeback_note(d->ledger, HANDOVER_WEBHOOK, &s->upload);
}

static Status tell_batch(Deliverer *d)
{
    Status status = hand_over(d, HANDOVER_WEBHOOK, 0, d->settled_count);
    if (!failed(status)) status = takeback_begin(d->ledger, d->options.host);
    for (int i = 0; i < d->settled_count; i++) {
        const char *why = d->settled[i].upload.reason;
        if (!failed(status)) status = note_told(d, &d->settled[i]);
        if (why && d->done.untold++ == 0 && d->done.not_uploaded == 0) {
            free(d->first_failed);
            d->first_failed = text_copy(why);
        }
        clear_settled(&d->settled[i]);
    }
    d->settled_count = 0;
    if (failed(status)) return ledger_rollback(d->ledger), status;
    return ledger_commit(d->ledger);
}

/* The webhook, of what is delivered. */
static Status tell_all(Deliverer *d)
{
    int64_t end;
    d->failed_in_a_row = 0;
    if (!d->settings.delivery.webhook || d->options.files_only) return status_ok();
    TRY(ledger_find_ends(d->ledger, &end, NULL));
    for (int64_t row = 0; row < end; row += PLACER_CLIPS) {
        TRY(ledger_read_clip_range(d->ledger, row, row + PLACER_CLIPS, (ClipSink){gather_untold, d}));
        if (d->settled_count) TRY(tell_batch(d));
    }
    return status_ok();
}

/* Comes before anything is handed over: a receiver that keeps one file for each clip, whatever its key, would delete the new one. */
static Status take_back(Deliverer *d)
{
    Takeback t = {.from = {d->campaign, d->to}, .host = d->options.host};
    if (d->options.files_only) return status_ok();
    Status status = takeback_all(d->ledger, &d->settings, &t);
    d->done.withdrawn = t.told;
    d->done.not_withdrawn = t.untold;
    d->first_failed = t.first_failed;
    return status;
}

/* ---- all of it ---- */

/* The gravest of what went wrong: files that cannot be read, lost files, uploads, webhooks. */
static Status verdict(const Deliverer *d)
{
    const Delivery *n = &d->done;
    if (n->unread > 0)
        return status_fail(ERR_NODE, "%lld clip%s cannot be delivered now: %s", (long long)n->unread,
                           plural_s(n->unread), d->first_unread);
    if (n->lost > 0)
        return status_fail(ERR_CLIP, "%lld clip%s cannot be delivered, the first because of %s", (long long)n->lost,
                           plural_s(n->lost), d->first_lost);
    const int64_t left = n->not_uploaded ? n->not_uploaded : n->untold ? n->untold : n->not_withdrawn;
    if (left == 0) return status_ok();
    return status_fail(ERR_CLIP, "%lld clip%s %s: %s", (long long)left, plural_s(left),
                       n->not_uploaded ? "could not be uploaded"
                       : n->untold     ? "delivered, but the webhook did not take it"
                                       : "withdrawn, but who had got it did not take that",
                       d->first_failed);
}

static Status deliver_all(Deliverer *d)
{
    enum { STRIDE = 16 }; /* rows read at a time: so often is looked whether the batch is full */
    int64_t end = 0;
    TRY(take_back(d));
    if (d->options.tell_only) return verdict(d);
    TRY(ledger_find_ends(d->ledger, &end, NULL));
    for (int64_t row = 0; row < end; row += STRIDE) {
        TRY(ledger_read_clip_range(d->ledger, row, row + STRIDE, (ClipSink){deliver_one, d}));
        if (d->settled_count > PLACER_CLIPS - STRIDE || d->place.bytes >= BATCH_BYTES) TRY(finish_batch(d));
    }
    TRY(finish_batch(d));
    TRY(tell_all(d));
    return verdict(d);
}

/* What the campaign says of its delivery. A suppression list that cannot be read delivers nothing. */
static Status read_wishes(Deliverer *d)
{
    Snapshot s;
    char *columns = NULL;
    const DeliverySettings *wish = &d->settings.delivery;
    TRY(ledger_read_settings(d->ledger, &d->settings));
    TRY(ledger_read_snapshot(d->ledger, &s));
    d->campaign = text_copy(s.name);
    snapshot_clear(&s);
    TRY(ledger_read_columns(d->ledger, &columns));
    d->columns = json_loads(columns, 0, NULL);
    free(columns);
    if (!wish->suppress || d->options.tell_only) return status_ok();
    Status status =
        suppress_read(wish->suppress, (const char *const *)wish->suppress_by, wish->suppress_by_count, &d->suppress);
    return failed(status) ? status_fail(ERR_NODE, "nothing is delivered without deliver.suppress: %s", status.message)
                          : status;
}

static Status prepare_delivery(Deliverer *d)
{
    TRY(guard_open(d->ledger, &d->guard));
    TRY(audit_open(d->from, &d->audit));
    TRY(audit_take_decisions(d->audit, d->ledger, moment_wall_s()));
    return placer_open_folder(d->to);
}

Status deliver_clips(Ledger *l, const DeliverOptions *o, Delivery *out)
{
    Deliverer *d = memory_get(1, sizeof *d);
    Status status = status_ok();
    *d = (Deliverer){.ledger = l,
                     .options = *o,
                     .from = text_copy(ledger_folder(l)),
                     .place = {.thorough = o->thorough, .twins = twins_new()}};
    d->to = path_join(d->from, "delivery");
    d->place.from = d->from;
    d->place.to = d->to;
    TRY_OUT(read_wishes(d));
    if (!o->tell_only) TRY_OUT(prepare_delivery(d));
    status = deliver_all(d);
out:
    *out = d->done;
    placer_drop(&d->place, 0, true);
    for (int i = 0; i < d->settled_count; i++) clear_settled(&d->settled[i]);
    guard_close(&d->guard);
    audit_close(&d->audit);
    twins_free(&d->place.twins);
    free(d->from);
    free(d->to);
    free(d->first_lost);
    free(d->first_unread);
    free(d->first_failed);
    free(d->campaign);
    settings_clear(&d->settings);
    suppress_free(&d->suppress);
    json_decref(d->columns);
    free(d);
    return status;
}
