#include "sim_worker.h"

#include <limits.h>
#include <string.h>

#include "common/file.h"
#include "common/moment.h"

void sim_worker_open(SimWorker *w, Link *link, int pid, int takes, const SimCraft *craft, void *self)
{
    *w = (SimWorker){.craft = craft, .self = self, .rank = link->rank, .unit_ms = 1};
    talk_open(&w->talk, link, "sim", pid, 1, takes);
}

void sim_worker_close(SimWorker *w) { talk_close(&w->talk); }

static void keep(SimWorker *w, Status status)
{
    if (!failed(w->status)) w->status = status;
}

/* The first of a group speaks for it; the others take part, and are ready again when it is over. */
static bool helps(const SimWorker *w)
{
    const Lease *l = &w->talk.lease;
    return l->member_count > 1 && l->member[0] != w->rank;
}

void sim_worker_progress(SimWorker *w, const char *stage, int done, int total)
{
    if (!helps(w)) keep(w, talk_progress(&w->talk, stage, done, total));
}

LeaseResult sim_worker_result(const SimWorker *w, ErrClass err, const char *reason)
{
    const Lease *l = &w->talk.lease;
    LeaseResult r = {
        .kind = l->kind, .lease = l->lease, .epoch = l->epoch, .err = (int)err, .reason = text_copy(reason)};
    memcpy(r.key, l->key, HASH_TEXT);
    return r;
}

void sim_worker_report(SimWorker *w, LeaseResult *r)
{
    if (r->err == OK && !helps(w)) w->made[w->talk.lease.kind]++;
    keep(w, helps(w) ? talk_leave(&w->talk, w->now_ms) : talk_finish(&w->talk, r, w->now_ms));
    lease_result_clear(r);
}

bool sim_worker_leave_tail(SimWorker *w, int64_t ms)
{
    if (!talk_may_leave_tail(&w->talk)) return false;
    w->tail_ends_ms = w->now_ms + ms;
    keep(w, helps(w) ? talk_leave(&w->talk, w->now_ms) : talk_leave_tail(&w->talk, w->now_ms));
    return true;
}

void sim_worker_report_tail(SimWorker *w, LeaseResult *r)
{
    if (r->err == OK) w->made[LEASE_RENDER]++;
    keep(w, talk_finish_tail(&w->talk, r, w->now_ms));
    lease_result_clear(r);
}

SimWorker sim_worker_of_tail(const SimWorker *w)
{
    SimWorker was = *w;
    was.talk.lease = w->talk.tail.lease;
    return was;
}

static void look_at_tail(SimWorker *w)
{
    if (!w->talk.tail.has_lease) return;
    const bool stopped = w->talk.tail.drop || w->talk.stop || w->talk.alone;
    if (stopped || w->now_ms >= w->tail_ends_ms) w->craft->end_tail(w, stopped);
}

static void do_units(SimWorker *w)
{
    while (w->talk.has_lease && !w->dead && w->wake_ms <= w->now_ms && sim_step(&w->work, w->now_ms)) {
        if (w->craft->unit(w, w->work.unit - 1)) continue;
        if (w->talk.has_lease && !w->dead) w->craft->end(w, false);
        return;
    }
}

Status sim_worker_tick(SimWorker *w, int64_t now_ms, int wait_ms)
{
    if (w->gone || w->dead || now_ms < w->wake_ms) return status_ok();
    const bool had = w->talk.has_lease;
    const int64_t begin_ms = moment_ms();
    TRY(talk_hear(&w->talk, now_ms, wait_ms));
    if (wait_ms > 0) now_ms += moment_ms() - begin_ms; /* what came has come at the end of the wait */
    w->now_ms = now_ms;
    look_at_tail(w);
    if (w->dead) return w->status;
    if (!w->talk.has_lease) {
        w->gone = (w->talk.stop && !talk_owes(&w->talk)) || w->talk.alone;
        return w->gone ? talk_goodbye(&w->talk) : status_ok();
    }
    if (!had) {
        if (w->craft->begin) w->craft->begin(w);
        sim_begin(&w->work, now_ms, INT_MAX, w->unit_ms);
    }
    if (w->talk.drop || w->talk.stop || w->talk.alone)
        w->craft->end(w, true);
    else
        do_units(w);
    return w->status;
}
