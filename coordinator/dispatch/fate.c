/* fate.c - what becomes of work that failed, of the worker that had it, and of its group. */
#include <stdlib.h>

#include "common/log.h"
#include "coordinator/dispatch/inside.h"

bool dispatch_takes(const Dispatch *d, const Member *m, LeaseKind kind)
{
    if (roster_takes(m, kind)) return true;
    return kind == LEASE_FINISH && roster_count(&d->roster, d->now_ms).hoped[LEASE_FINISH] == 0;
}

/* Nobody who takes such work is left that has not failed at it: a worker that is still expected may be one. A render's failure is
 * the first rank's of its group. */
static bool tried_by_all(const Dispatch *d, LeaseKind kind, int64_t item, Status *status)
{
    for (int rank = 1; rank < d->roster.count && !failed(*status); rank++) {
        const Member *m = &d->roster.member[rank];
        bool yes = true, absent = m->state == MEMBER_ABSENT;
        const bool helper = kind == LEASE_RENDER && (m->group ? m->lead != rank : d->roster.group_size > 1);
        if (m->aside || helper || !roster_is_hoped(&d->roster, m, d->now_ms)) continue;
        if (absent) return false;
        if (dispatch_takes(d, m, kind)) *status = ledger_has_failed(d->ledger, kind, item, m->name, &yes);
        if (!yes) return false;
    }
    return true;
}

bool dispatch_refuses(Dispatch *d, const Member *m, LeaseKind kind, int64_t item, Status *status)
{
    bool tried = false;
    *status = ledger_has_failed(d->ledger, kind, item, m->name, &tried);
    return !failed(*status) && tried && !tried_by_all(d, kind, item, status);
}

static Status give_up(Dispatch *d, const Member *m, LeaseKind kind, int64_t item, int64_t shot, const char *reason)
{
    bool gone;
    TRY(ledger_give_up(d->ledger, kind, item, reason, &gone));
    d->files.sweep = d->files.sweep || gone;
    d->count_failed = true;
    int64_t clips = 1;
    char *ids = NULL;
    if (kind == LEASE_FINISH) {
        log_line(LOG_WARNING, "clip %s failed: %s", m->clip, reason);
        dispatch_event(d, "clip.failed", "{s:s,s:I,s:I,s:s}", "clips", m->clip, "count", clips, "shot", shot, "reason",
                       reason);
        return status_ok();
    }
    log_line(LOG_WARNING, "shot %lld failed: %s", (long long)shot, reason);
    TRY(ledger_name_clips(d->ledger, shot, &clips, &ids));
    dispatch_event(d, "clip.failed", "{s:s,s:I,s:I,s:s}", "clips", ids, "count", clips, "shot", shot, "reason", reason);
    free(ids);
    return status_ok();
}

/* A clip whose master was lost meanwhile waits for its shot, which is in the other queue. */
static void queue_again(Dispatch *d, const Member *m)
{
    if (m->kind == LEASE_RENDER || ledger_has_master(d->ledger, m->shot)) queue_add_again(&d->queue[m->kind], m->item);
}

/* What becomes of a shot or clip and a worker after a failure that counts. m still has the lease. */
static Status judge(Dispatch *d, Member *m, int err, const char *reason)
{
    int workers, times;
    Status status = status_ok();
    const LeaseKind kind = m->kind;
    const int64_t item = m->item;
    if (err != ERR_CLIP && roster_count_failure(m, kind, item)) {
        log_line(LOG_WARNING, "worker %d (%s) is set aside: it failed at %d different things, at last with: %s",
                 m->rank, m->name, ROSTER_BAD_ITEMS, reason);
        dispatch_event(d, "worker.aside", "{s:i,s:s}", "worker", m->rank, "reason", reason);
    }
    TRY(ledger_failures(d->ledger, kind, item, &workers, &times));
    bool enough = err == ERR_CLIP || workers >= DISPATCH_FAILURES ||
                  (times >= DISPATCH_FAILURES && tried_by_all(d, kind, item, &status));
    TRY(status);
    if (enough) return give_up(d, m, kind, item, m->shot, reason);
    queue_again(d, m);
    return status_ok();
}

/* All members are told, because they may be waiting for each other. Whether one that does not answer can still work is unknown. */
void dispatch_end_group(Dispatch *d, Member *lead, bool lost)
{
    const int64_t lease = lead->state == MEMBER_WORKING && lead->kind == LEASE_RENDER ? lead->lease : 0;
    for (Member *m = NULL; (m = roster_next_member(&d->roster, lead, m));) {
        if (lost && lease) dispatch_post_drop(d, m, lease);
        if (m->state == MEMBER_WORKING && m->kind == LEASE_FINISH) continue; /* a clip of its own */
        m->progress_ms = d->now_ms;
        if (lost && d->roster.group_size > 1) m->awaited_ms = d->now_ms + ROSTER_BACK_MS;
        if (lost && m->state == MEMBER_HELPING) roster_end_lease(m, MEMBER_LOST);
    }
    roster_end_group(&d->roster, lead->group);
}

Status dispatch_lose(Dispatch *d, Member *m, MemberState next, LeaseOutcome outcome, const LeaseResult *r,
                     const char *reason)
{
    if (m->kind == LEASE_RENDER && (!r || r->group_over))
        dispatch_end_group(d, m, !r);
    else if (m->kind == LEASE_FINISH && next >= MEMBER_LOST)
        dispatch_end_group(d, roster_lead(&d->roster, m), false);
    TRY(ledger_end_lease(d->ledger, m->lease, outcome, r, reason));
    d->moved++;
    dispatch_event(d, "lease.ended", "{s:I,s:s,s:I,s:i,s:s,s:s}", "lease", m->lease, "kind", lease_kind_name(m->kind),
                   "shot", m->shot, "worker", m->rank, "outcome", ledger_outcome_name(outcome), "reason", reason);
    Status status = status_ok();
    if (outcome == LEASE_STOPPED)
        queue_again(d, m);
    else
        status = judge(d, m, r ? r->err : ERR_RETRY, reason);
    roster_end_lease(m, next);
    return status;
}
