/* serve_review_data.c - what the review page shows, read from the ledger. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "coordinator/ledger/view.h"
#include "coordinator/watch/serve_review.h"

enum { VERSION_DIGITS = 16, MOST_PILOTS = 20 };

/* ---- all clips ------------------------------------------------------------------------------------------------------------- */

/* A text that changes with every commit of the ledger. free() it. */
static char *version_of(const char *folder)
{
    static const char *const name[] = {"ledger.db", "ledger.db-wal"};
    struct stat of[2] = {{0}, {0}};
    for (int i = 0; i < 2; i++) {
        char *path = path_join(folder, name[i]);
        if (stat(path, &of[i]) != 0) of[i] = (struct stat){0};
        free(path);
    }
    return text_format("%lld.%lld.%lld.%lld", (long long)of[0].st_mtim.tv_sec, (long long)of[0].st_mtim.tv_nsec,
                       (long long)of[1].st_mtim.tv_nsec + (long long)of[1].st_mtim.tv_sec * 1000000000LL,
                       (long long)of[1].st_size);
}

typedef struct {
    const ReviewSearch *search;
    json_t *clips;
} Listing;

static bool has_text(const MadeClip *c, const char *text)
{
    const char *const place[] = {c->clip_id, c->customer, c->reviewer, c->reason};
    for (size_t i = 0; i < sizeof place / sizeof *place; i++)
        if (strcasestr(place[i], text)) return true;
    return false;
}

/* [id, state, the first digits of its hash, the reason while it is held] */
static Status add_clip(void *self, const MadeClip *c)
{
    Listing *l = self;
    const char *held = strcmp(c->state, ledger_clip_state_name(CLIP_HELD)) == 0 ? c->reason : "";
    if (*l->search->text && !has_text(c, l->search->text)) return status_ok();
    char version[VERSION_DIGITS + 1];
    snprintf(version, sizeof version, "%s", c->sha256);
    json_array_append_new(l->clips, json_pack("[s,s,s,s]", c->clip_id, c->state, version, held));
    return status_ok();
}

static json_t *lot_json(const ReviewLot *lot)
{
    static const char *const verdict[] = {"open", "accepted", "rejected"};
    if (!lot->by_sample) return json_null();
    return json_pack("{s:I,s:I,s:i,s:I,s:I,s:s,s:s,s:f}", "clips", (json_int_t)lot->clips, "sample",
                     (json_int_t)lot->plan.size, "accept", lot->plan.accept, "decided", (json_int_t)lot->decided, "bad",
                     (json_int_t)lot->bad, "verdict", verdict[lot->verdict], "severity",
                     lot->aql > 0 ? sampling_severity_name(lot->severity) : "isolated", "quality",
                     lot->aql > 0 ? lot->aql : lot->lq);
}

bool serve_review_can_decide(const char *folder)
{
    char *ledger = path_join(folder, "ledger.db");
    const bool can = access(folder, W_OK) == 0 && access(ledger, W_OK) == 0;
    free(ledger);
    return can;
}

static Status read_list(Ledger *l, const ReviewSearch *search, const char *secret, json_t **out)
{
    Snapshot now = {0};
    Settings settings = {0};
    ReviewLot lot;
    char *filter = NULL;
    Listing list = {.search = search, .clips = json_array()};
    Status status = ledger_make_filter(l, search->where, search->where_count, &filter);
    if (!failed(status)) status = ledger_read_snapshot(l, &now);
    if (!failed(status)) status = ledger_read_settings(l, &settings);
    if (!failed(status)) status = ledger_read_lot(l, &lot);
    if (!failed(status)) status = ledger_read_made(l, filter, (MadeSink){add_clip, &list});
    if (!failed(status)) {
        const int64_t made = now.undecided + now.finished + now.rejected;
        *out = json_pack("{s:s,s:s,s:b,s:I,s:I,s:I,s:b,s:o,s:O}", "campaign", now.name, "secret", secret, "read_only",
                         !serve_review_can_decide(ledger_folder(l)), "made", (json_int_t)made, "open",
                         (json_int_t)now.undecided, "left", (json_int_t)now.left, "four_eyes",
                         settings.review.four_eyes, "lot", lot_json(&lot), "clips", list.clips);
    }
    settings_clear(&settings);
    snapshot_clear(&now);
    json_decref(list.clips);
    free(filter);
    return status;
}

Status serve_review_list(const char *folder, const ReviewSearch *search, const char *secret, json_t **out)
{
    Ledger *l;
    char *version = version_of(folder); /* before it is read: what comes meanwhile is new next time */
    *out = NULL;
    Status status = status_ok();
    if (strcmp(version, search->seen) == 0) goto out;
    TRY_OUT(ledger_open(folder, LEDGER_READ, &l));
    status = read_list(l, search, secret, out);
    ledger_close(&l);
    if (*out) json_object_set_new(*out, "version", json_string(version));
out:
    free(version);
    return status;
}

/* ---- one clip -------------------------------------------------------------------------------------------------------------- */

const char *const serve_review_file[REVIEW_FILES][2] = {
    {"video", "video/mp4"}, {"thumbnail", "image/png"}, {"sheet", "image/png"}, {"earlier", "video/mp4"}};

static Status take_clip(void *self, const ClipRow *r)
{
    ReviewClip *c = self;
    json_t *document = *r->result ? json_loads(r->result, 0, NULL) : NULL, *row = json_loads(r->customer, 0, NULL);
    json_t *gates = json_object_get(json_object_get(document, "gates"), "gates"),
           *held = json_object_get(document, "held_by");
    char version[VERSION_DIGITS + 1];
    snprintf(version, sizeof version, "%s", r->sha256);
    c->details = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o}", "clip", r->clip_id, "state", r->state,
                           "version", version, "reason", r->reason, "reviewer", r->reviewer, "prompt", r->prompt,
                           "sha256", r->sha256, "shot", r->key, "gates", gates ? json_incref(gates) : json_object(),
                           "held_by", held ? json_incref(held) : json_array(), "row", row ? row : json_array());
    json_decref(document);
    c->file[0] = text_copy(r->file);
    c->file[1] = text_copy(r->thumbnail);
    c->file[2] = text_copy(r->sheet);
    c->file[3] = *r->file ? text_format("earlier/%s", path_name(r->file)) : text_copy("");
    return status_ok();
}

/* Of the pilot: what this campaign's clips were meant to look like. */
static Status add_pilot(void *self, const MadeClip *c)
{
    json_t *details = self, *pilots = json_object_get(details, "pilot");
    const char *own = json_string_value(json_object_get(details, "clip"));
    if (c->pilot && strcmp(c->clip_id, own) != 0 && json_array_size(pilots) < MOST_PILOTS)
        json_array_append_new(pilots, json_string(c->clip_id));
    return status_ok();
}

static Status read_decision(void *self, const DecisionRow *d)
{
    return json_array_append_new(self, json_pack("{s:s,s:s,s:s,s:f}", "verb", d->verb, "by", d->reviewer, "reason",
                                                 d->reason, "at", d->decided_s)) == 0
               ? status_ok()
               : status_fail(ERR_NODE, "out of memory");
}

static Status add_surroundings(Ledger *l, const char *folder, ReviewClip *c)
{
    char *columns = NULL, *earlier = path_join(folder, c->file[3]);
    Snapshot now = {0};
    json_t *decisions = json_array();
    json_object_set_new(c->details, "pilot", json_array());
    json_object_set_new(c->details, "earlier", json_boolean(*c->file[3] && file_exists(earlier)));
    json_object_set_new(c->details, "decisions", decisions);
    free(earlier);
    Status status = ledger_read_columns(l, &columns);
    if (!failed(status)) status = ledger_read_snapshot(l, &now);
    if (!failed(status) && now.pilot_clips > 0) status = ledger_read_made(l, NULL, (MadeSink){add_pilot, c->details});
    if (!failed(status))
        status = ledger_read_decisions_of(l, json_string_value(json_object_get(c->details, "clip")),
                                          (DecisionSink){read_decision, decisions});
    json_t *names = columns ? json_loads(columns, 0, NULL) : NULL;
    json_object_set_new(c->details, "columns", names ? names : json_array());
    snapshot_clear(&now);
    free(columns);
    return status;
}

Status serve_review_clip(const char *folder, const char *id, ReviewClip *out)
{
    Ledger *l;
    *out = (ReviewClip){0};
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = ledger_read_clips(l, id, (ClipSink){take_clip, out});
    if (!failed(status) && !out->details) status = status_fail(ERR_INPUT, "no such clip");
    if (!failed(status)) status = add_surroundings(l, folder, out);
    ledger_close(&l);
    return status;
}

void serve_review_clear(ReviewClip *c)
{
    for (int i = 0; i < REVIEW_FILES; i++) free(c->file[i]);
    json_decref(c->details);
    *c = (ReviewClip){0};
}
