#include "takeback.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/file.h"
#include "common/moment.h"
#include "coordinator/ledger/handed.h"
#include "coordinator/ledger/owner.h"

enum { BATCH = 256 };

typedef struct {
    Handover handover[BATCH];
    int count;
    int64_t last; /* HandedRow.id */
    const HandoverFrom *from;
} Batch;

Status takeback_begin(Ledger *l, const char *host)
{
    if (ledger_epoch(l) == 0) TRY(ledger_begin_epoch(l, host, (int)getpid(), moment_wall_s()));
    return ledger_begin(l, moment_wall_s());
}

Status takeback_note_meant(Ledger *l, const char *host, HandoverWay way, Handover *const *h, int count)
{
    Status status = takeback_begin(l, host);
    for (int i = 0; i < count && !failed(status); i++) {
        char *kept = handover_kept(h[i]);
        status = handed_note_meant(l, handover_way_name(way), h[i]->key, h[i]->clip_id, kept);
        free(kept);
    }
    if (failed(status)) return ledger_rollback(l), status;
    return ledger_commit(l);
}

Status takeback_note(Ledger *l, HandoverWay way, const Handover *h)
{
    if (!h->done) return handed_note_missed(l, handover_way_name(way), h->key, h->unknown);
    char *kept = handover_kept(h);
    Status status = handed_note(l, handover_way_name(way), h->key, h->clip_id, kept);
    free(kept);
    return status;
}

static Status take(void *self, const HandedRow *r)
{
    Batch *b = self;
    handover_make_withdrawal(r, b->from, &b->handover[b->count++]);
    b->last = r->id;
    return status_ok();
}

/* Asks, and notes who took it. */
static Status tell(Ledger *l, HandoverWay way, const Settings *s, Batch *b, int *failed_in_a_row, Takeback *t)
{
    Handover *wait[BATCH];
    for (int i = 0; i < b->count; i++) wait[i] = &b->handover[i];
    handover_all(way, &s->delivery, s->notify.secret_file, wait, b->count, failed_in_a_row);
    Status status = takeback_begin(l, t->host);
    for (int i = 0; i < b->count; i++) {
        if (failed(status)) break;
        status = wait[i]->done ? handed_note_told(l, wait[i]->clip)
                               : handed_note_untold(l, wait[i]->clip, wait[i]->tries, wait[i]->reason);
        if (!wait[i]->done && !t->first_failed) t->first_failed = text_copy(wait[i]->reason);
    }
    if (failed(status)) return ledger_rollback(l), status;
    return ledger_commit(l);
}

static Status tell_all(Ledger *l, HandoverWay way, const Settings *s, Takeback *t)
{
    Batch *b = memory_get(1, sizeof *b);
    int failed_in_a_row = 0;
    b->from = &t->from;
    Status status;
    do {
        b->count = 0;
        status = handed_read_owed(l, handover_way_name(way), b->last, BATCH, (HandedSink){take, b});
        if (!failed(status) && b->count) status = tell(l, way, s, b, &failed_in_a_row, t);
        for (int i = 0; i < b->count; i++) handover_clear(&b->handover[i]);
    } while (!failed(status) && b->count == BATCH);
    free(b);
    return status;
}

Status takeback_all(Ledger *l, const Settings *s, Takeback *t)
{
    int64_t owed;
    const char *upload = s->delivery.upload ? handover_way_name(HANDOVER_UPLOAD) : "",
               *webhook = s->delivery.webhook ? handover_way_name(HANDOVER_WEBHOOK) : "";
    TRY(handed_count_owed(l, upload, webhook, &owed));
    if (owed == 0) return status_ok();
    if (*upload) TRY(tell_all(l, HANDOVER_UPLOAD, s, t));
    if (*webhook) TRY(tell_all(l, HANDOVER_WEBHOOK, s, t));
    TRY(handed_count_owed(l, upload, webhook, &t->untold));
    t->told = owed - t->untold;
    return status_ok();
}
