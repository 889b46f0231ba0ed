#include "lot.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/hash.h"
#include "coordinator/ledger/steer.h"

typedef struct {
    uint64_t number;
    bool open; /* not made, or not decided */
    bool bad;
} LotClip;

typedef struct {
    LotClip *clip;
    int64_t count, room;
} LotClips;

uint64_t ledger_lot_number(const char *clip_id)
{
    char hash[HASH_TEXT];
    hash_bytes(clip_id, strlen(clip_id), hash);
    hash[15] = 0;
    return strtoull(hash, NULL, 16);
}

static int in_order(const void *a, const void *b)
{
    const uint64_t x = ((const LotClip *)a)->number, y = ((const LotClip *)b)->number;
    return (x > y) - (x < y);
}

static void add(LotClips *list, LotClip c)
{
    if (list->count == list->room) {
        list->room = 2 * list->room + 256;
        list->clip = memory_resize(list->clip, (size_t)list->room, sizeof *list->clip);
    }
    list->clip[list->count++] = c;
}

static Status read_clips(Ledger *l, LotClips *out)
{
    Query q = ledger_sql_query(l,
                               "SELECT clip_id, state IN ('planned', 'waiting', 'finishing', 'paused', 'held', 'in "
                               "review') FROM clips WHERE state NOT IN"
                               " ('refused', 'cancelled', 'failed', 'revoked', 'erased')",
                               "");
    while (ledger_sql_next(&q))
        add(out, (LotClip){.number = ledger_lot_number(ledger_sql_text(&q, 0)), .open = ledger_sql_int(&q, 1) != 0});
    if (out->count) qsort(out->clip, (size_t)out->count, sizeof *out->clip, in_order);
    return q.status;
}

/* A clip is bad when a reviewer rejected it or had it rendered again, and nobody has reopened that decision. */
static Query query_bad(Ledger *l)
{
    return ledger_sql_query(l,
                            "SELECT DISTINCT c.clip_id FROM decisions d JOIN clips c USING(clip) WHERE d.verb IN"
                            " ('reject', 'rerender') AND (c.state = 'rejected' OR NOT EXISTS(SELECT 1 FROM decisions e"
                            " WHERE e.clip = d.clip AND e.sha256 = d.sha256 AND e.id > d.id AND e.verb NOT IN"
                            " ('reject', 'rerender')))",
                            "");
}

Status ledger_lot_count_bad(Ledger *l, uint64_t sample, int64_t *bad)
{
    *bad = 0;
    Query q = query_bad(l);
    while (ledger_sql_next(&q)) *bad += ledger_lot_number(ledger_sql_text(&q, 0)) < sample;
    return q.status;
}

static Status mark_bad(Ledger *l, LotClips *list)
{
    Query q = query_bad(l);
    while (ledger_sql_next(&q)) {
        const LotClip key = {.number = ledger_lot_number(ledger_sql_text(&q, 0))};
        LotClip *c = list->count ? bsearch(&key, list->clip, (size_t)list->count, sizeof key, in_order) : NULL;
        if (c) c->bad = true;
    }
    return q.status;
}

/* Reads the severity that ledger_set_severity wrote when the lot was planned. */
static Status read_severity(Ledger *l, SamplingSeverity *out)
{
    char *text = NULL;
    TRY(ledger_db_read_text(ledger_sql_query(l, "SELECT severity FROM lot", ""), "normal", &text));
    *out = sampling_find_severity(text);
    free(text);
    return status_ok();
}

static void judge(ReviewLot *lot, const LotClips *list)
{
    for (int64_t i = 0; i < lot->plan.size; i++) {
        lot->bad += list->clip[i].bad;
        lot->decided += !list->clip[i].open || list->clip[i].bad;
    }
    lot->verdict = lot->bad > lot->plan.accept ? LOT_REJECTED : lot->decided < lot->plan.size ? LOT_OPEN : LOT_ACCEPTED;
}

Status ledger_lot_read(Ledger *l, const ReviewSettings *asked, ReviewLot *out, uint64_t *sample)
{
    LotClips list = {0};
    *out = (ReviewLot){.by_sample = asked->policy == REVIEW_SAMPLE, .lq = asked->lq, .aql = asked->aql};
    *sample = 0;
    if (!out->by_sample) return status_ok();
    Status status = read_severity(l, &out->severity);
    if (!failed(status)) status = read_clips(l, &list);
    if (!failed(status)) status = mark_bad(l, &list);
    if (!failed(status)) {
        out->clips = list.count;
        out->plan = asked->aql > 0 ? sampling_series(list.count, asked->aql, out->severity)
                                   : sampling_isolated(list.count, asked->lq);
        *sample = out->plan.size < list.count ? list.clip[out->plan.size].number : UINT64_MAX;
        judge(out, &list);
    }
    free(list.clip);
    return status;
}

Status ledger_read_lot(Ledger *l, ReviewLot *out)
{
    Settings s;
    uint64_t sample;
    TRY(ledger_read_settings(l, &s));
    Status status = ledger_lot_read(l, &s.review, out, &sample);
    settings_clear(&s);
    return status;
}

Status ledger_get_severity(Ledger *l, bool *known)
{
    int64_t n;
    TRY(ledger_sql_number(l, &n, "SELECT count(*) FROM lot", ""));
    *known = n > 0;
    return status_ok();
}

Status ledger_set_severity(Ledger *l, SamplingSeverity s)
{
    return ledger_sql_run(l, "INSERT OR REPLACE INTO lot VALUES(1, ?1)", "t", sampling_severity_name(s));
}
