#include "requests.h"

#include <string.h>

#include "common/moment.h"
#include "coordinator/deliver/earlier.h"
#include "coordinator/deliver/lots.h"
#include "coordinator/ledger/lock.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/watch/audit.h"

enum { LOOK_MS = 50 };

/* self: the first of them. */
static Status apply_all(Ledger *l, void *self)
{
    LedgerRequest *r = self;
    int64_t changed = 0;
    while (r->id) {
        TRY(ledger_apply_request(l, r, &changed));
        ledger_request_clear(r);
        TRY(ledger_next_request(l, r));
    }
    return status_ok();
}

Status requests_take(const char *folder, int64_t launch)
{
    Ledger *l = NULL;
    LedgerRequest r = {0};
    TRY(ledger_open(folder, LEDGER_WRITE, &l));
    ledger_join_launch(l, launch);
    Status status = ledger_next_request(l, &r);
    const bool any = r.id != 0;
    if (!failed(status) && any) status = ledger_amend(l, "requests", apply_all, &r);
    if (!failed(status)) status = audit_catch_up(l, moment_wall_s());
    if (!failed(status) && any) status = lots_note(l);
    if (!failed(status) && any) status = earlier_sweep(l);
    ledger_request_clear(&r);
    ledger_close(&l);
    return status;
}

static Status read_answers(const char *folder, int64_t first, int64_t count, RequestAnswer *out, bool *all)
{
    Ledger *l = NULL;
    *all = true;
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = ledger_read_answers(l, first, count, out);
    ledger_close(&l);
    for (int64_t i = 0; i < count; i++) *all = *all && out[i].outcome != OUTCOME_OPEN;
    return status;
}

static Status take_if_alone(const char *folder, bool *now)
{
    int lock = -1;
    *now = !failed(lock_take(folder, false, &lock));
    Status status = *now ? requests_take(folder, 0) : status_ok();
    lock_release(&lock);
    return status;
}

static Status leave(const char *folder, const LedgerRequest *r, int64_t count, int64_t *first)
{
    Ledger *l = NULL;
    TRY(ledger_open(folder, LEDGER_WRITE, &l));
    Status status = status_ok();
    for (int64_t i = 0; i < count && !failed(status); i++)
        if (strcmp(r[i].verb, "review rerender") == 0) status = earlier_keep(l, r[i].clip_id);
    if (!failed(status)) status = ledger_request_all(l, r, count, moment_wall_s(), first);
    ledger_close(&l);
    return status;
}

Status requests_decide(const char *folder, const LedgerRequest *r, int64_t count, int wait_ms, RequestAnswer *answer,
                       bool *now)
{
    int64_t first;
    bool all = false;
    const int64_t until_ms = moment_ms() + wait_ms;
    *now = false;
    if (count == 0) return status_ok();
    TRY(leave(folder, r, count, &first));
    for (;;) {
        TRY(take_if_alone(folder, now));
        TRY(read_answers(folder, first, count, answer, &all));
        if (all || moment_ms() >= until_ms) return status_ok();
        moment_sleep_ms(LOOK_MS);
    }
}
