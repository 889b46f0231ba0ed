/* fate.c - what becomes of work that failed, of the worker that had it, and of its group. */
#include <stdlib.h>

#include "common/log.h"
#include "coordinator/dispatch/inside.h"
#include "coordinator/ledger/again.h"

Status dispatch_render_again(Dispatch *d, const char *clip_id)
{
    LedgerAgain a;
    TRY(ledger_again(d->ledger, clip_id, &a));
    if (!a.again) return status_ok();
    log_line(LOG_INFO, "clip %s is rendered again with seed %lld: %s", clip_id, (long long)a.seed, a.why);
    dispatch_event(d, "clip.again", "{s:s,s:I,s:i,s:s}", "clip", clip_id, "seed", a.seed, "time", a.time, "reason",
                   a.why);
    audit_add(d->audit, "again", clip_id, "{s:I,s:i,s:s}", "seed", a.seed, "time", a.time, "reason", a.why);
    d->files.sweep = true;
    return dispatch_fill_queues(d);
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
        return dispatch_render_again(d, m->clip);
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

/* m still has the lease. */
static Status count_failure(Dispatch *d, Member *m, int err, const char *reason)
{
    bool aside, is_given_up;
    const Rules rules = dispatch_rules(d);
    TRY(rules_count_failure(&rules, m, err, &aside, &is_given_up));
    if (aside) {
        log_line(LOG_WARNING, "worker %d (%s) is set aside: it failed at %d different things, at last with: %s",
                 m->rank, m->name, ROSTER_BAD_ITEMS, reason);
        dispatch_event(d, "worker.aside", "{s:i,s:s}", "worker", m->rank, "reason", reason);
    }
    if (is_given_up) return give_up(d, m, m->kind, m->item, m->shot, reason);
    queue_again(d, m);
    return status_ok();
}

/* Tells all members, because they may be waiting for each other. A member that does not answer may be unable to work. */
void dispatch_end_group(Dispatch *d, Member *lead, bool lost)
{
    const int64_t lease = lead->state == MEMBER_WORKING && lead->kind == LEASE_RENDER ? lead->lease : 0;
    for (Member *m = NULL; (m = roster_next_member(&d->roster, lead, m));) {
        if (lost && lease) dispatch_post_drop(d, m, lease);
        if (m->state == MEMBER_WORKING && m->kind == LEASE_FINISH) continue; /* a clip of its own */
        m->progress_ms = d->now_ms;
        if (lost && d->roster.group_size > 1) roster_await(&d->roster, m, d->now_ms + ROSTER_BACK_MS);
        if (lost && m->state == MEMBER_HELPING) roster_end_lease(&d->roster, m, MEMBER_LOST);
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
    d->changes++;
    dispatch_event(d, "lease.ended", "{s:I,s:s,s:I,s:i,s:s,s:s}", "lease", m->lease, "kind", lease_kind_name(m->kind),
                   "shot", m->shot, "worker", m->rank, "outcome", ledger_outcome_name(outcome), "reason", reason);
    Status status = status_ok();
    if (outcome == LEASE_STOPPED)
        queue_again(d, m);
    else
        status = count_failure(d, m, r ? r->err : ERR_RETRY, reason);
    roster_end_lease(&d->roster, m, next);
    return status;
}
