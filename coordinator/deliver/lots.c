#include "lots.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/ledger/view.h"
#include "trust/chain.h"

typedef struct {
    json_t *order; /* ids of lots, in the order of their first lines */
    json_t *last;  /* id -> the last line of that lot */
} Lots;

static Status take_line(void *self, const json_t *line)
{
    Lots *lots = self;
    const char *id = json_string_value(json_object_get(line, "lot"));
    if (!id) return status_ok();
    if (!json_object_get(lots->last, id)) json_array_append_new(lots->order, json_string(id));
    json_object_set(lots->last, id, (json_t *)(uintptr_t)line);
    return status_ok();
}

static void clear(Lots *lots)
{
    json_decref(lots->order);
    json_decref(lots->last);
}

static SamplingSeries follow(const Lots *lots)
{
    SamplingSeries s = {0};
    size_t i;
    json_t *id;
    json_array_foreach(lots->order, i, id)
    {
        const json_t *line = json_object_get(lots->last, json_string_value(id));
        sampling_next(&s, &(SamplingResult){.accepted = json_is_true(json_object_get(line, "accepted")),
                                            .accept = (int)json_integer_value(json_object_get(line, "accept")),
                                            .tighter = json_is_true(json_object_get(line, "tighter"))});
    }
    return s;
}

/* ---- what follows for a campaign ---- */

static Status set_severity(Ledger *l, void *self) { return ledger_set_severity(l, *(const SamplingSeverity *)self); }

static Status choose(const char *series, const char *folder, int64_t launch)
{
    Lots lots = {json_array(), json_object()};
    TrustChain chain;
    Status status = trust_chain_read(series, (TrustChainSink){take_line, &lots}, &chain);
    SamplingSeverity severity = follow(&lots).severity;
    clear(&lots);
    TRY(status);
    if (severity == SAMPLING_STOPPED)
        log_line(LOG_WARNING,
                 "%s: five lots were rejected on tightened inspection: all clips are looked at; when the cause is "
                 "mended, begin another series file",
                 series);
    return ledger_amend_folder(folder, launch, "series", set_severity, &severity);
}

Status lots_begin(const char *folder, int64_t launch)
{
    Ledger *l = NULL;
    Settings s = {0};
    bool known = false;
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = ledger_read_settings(l, &s);
    if (!failed(status)) status = ledger_get_severity(l, &known);
    ledger_close(&l);
    if (!failed(status) && s.review.series && !known) status = choose(s.review.series, folder, launch);
    settings_clear(&s);
    return status;
}

/* ---- what became of it ---- */

/* The campaign's name, and when its plan was made: another folder's is another lot. free() it. */
static char *id_of(const Snapshot *s) { return text_format("%s %.3f", s->name, s->created_s); }

static json_t *describe(const Snapshot *s, const ReviewLot *lot, const char *id)
{
    const SamplingPlan tighter = sampling_series(lot->clips, sampling_tighter(lot->aql), SAMPLING_NORMAL);
    return json_pack("{s:s,s:s,s:s,s:I,s:f,s:s,s:I,s:i,s:I,s:b,s:b}", "what", "lot", "lot", id, "campaign", s->name,
                     "clips", (json_int_t)lot->clips, "aql", lot->aql, "severity",
                     sampling_severity_name(lot->severity), "sample", (json_int_t)lot->plan.size, "accept",
                     lot->plan.accept, "bad", (json_int_t)lot->bad, "accepted", lot->verdict == LOT_ACCEPTED, "tighter",
                     lot->verdict == LOT_ACCEPTED && lot->bad <= tighter.accept);
}

/* Under the chain's lock: nobody notes the same lot twice. */
static Status append(const char *series, json_t *line, const char *id)
{
    Lots lots = {json_array(), json_object()};
    TrustChain chain;
    int lock;
    Status status = trust_chain_lock(series, &lock);
    if (!failed(status)) {
        status = trust_chain_read(series, (TrustChainSink){take_line, &lots}, &chain);
        const json_t *before = json_object_get(lots.last, id);
        const bool same = before && json_equal(json_object_get(before, "accepted"), json_object_get(line, "accepted"));
        if (!failed(status) && !same)
            status = trust_chain_append_locked(series, &line, 1, (int64_t)moment_wall_s(), (TrustSigner){0}, &chain);
        trust_chain_unlock(&lock);
    }
    clear(&lots);
    return status;
}

Status lots_note(Ledger *l)
{
    Settings s;
    ReviewLot lot = {0};
    Snapshot now = {0};
    TRY(ledger_read_settings(l, &s));
    Status status = s.review.series ? ledger_read_lot(l, &lot) : status_ok();
    if (!failed(status) && s.review.series && lot.verdict != LOT_OPEN) status = ledger_read_snapshot(l, &now);
    if (!failed(status) && now.name && now.part.count <= 1) {
        char *id = id_of(&now);
        json_t *line = describe(&now, &lot, id);
        status = append(s.review.series, line, id);
        json_decref(line);
        free(id);
    }
    snapshot_clear(&now);
    settings_clear(&s);
    return status;
}
