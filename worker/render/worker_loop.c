/* worker_loop.c - ask, do, report, until told to stop. The engine runs on this one thread (and its OpenMP team); messages
 * are looked at between steps, where a stop can be followed by a checkpoint. The end of a render may be made by the tail, while this
 * thread is at the next lease; this thread speaks for it. */
#include "worker_loop.h"

#include <stdio.h>
#include <unistd.h>

#include "common/host.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/provoke.h"
#include "worker/render/diary.h"
#include "worker/render/talk.h"
#include "worker/render/worker.h"

enum {
    IDLE_MS = 200,     /* how long an idle worker waits for a message at a time */
    TAIL_MS = 10,      /* and one that waits for its tail */
    SIGN_OF_LIFE = 50, /* of which every so many the coordinator hears of */
    FAREWELL_MS = 5000 /* how long a stopped worker waits for the acknowledgement of its last result */
};

typedef struct {
    Talk talk;
    Worker *worker;
    Coll *group;
    int64_t group_number;
    const char *split;
    Diary diary;
    int64_t stop_ms; /* when the wish to stop was first seen, 0: not yet */
} Loop;

static bool must_stop(Loop *l)
{
    if (!l->talk.stop && moment_stops() == 0 && !l->talk.alone) return false;
    if (l->stop_ms == 0) l->stop_ms = moment_ms();
    return true;
}

static void warn_of_failure(const LeaseResult *r)
{
    if (r->err != OK && r->err != ERR_STOP) log_line(LOG_WARNING, "lease %lld: %s", (long long)r->lease, r->reason);
}

/* A finish is one worker's, whatever group it is in; of a render the first rank speaks. */
static bool speaks(const Loop *l) { return l->talk.lease.kind == LEASE_FINISH || l->group->rank == 0; }

/* What the tail has to say, and what it is told. */
static Status look_at_tail(Loop *l)
{
    TailNews news;
    LeaseResult result;
    if (!l->talk.tail.has_lease) return status_ok();
    if (l->talk.tail.drop)
        worker_stop_tail(l->worker, "the lease was given away");
    else if (must_stop(l))
        worker_stop_tail(l->worker, "stopped while it was decoded");
    if (worker_hear_tail(l->worker, &news)) TRY(talk_tail_progress(&l->talk, news.stage, news.done, news.total));
    if (!worker_take_tail(l->worker, &result)) return status_ok();
    warn_of_failure(&result);
    return talk_finish_tail(&l->talk, &result, moment_ms());
}

/* Progress: called before each unit of work. */
static Status between_steps(void *self, const char *stage, int done, int total)
{
    Loop *l = self;
    diary_progress(&l->diary, stage, done, total);
    if (speaks(l)) TRY(talk_progress(&l->talk, stage, done, total));
    TRY(provoke_at(stage, NULL, done));
    TRY(look_at_tail(l));
    TRY(talk_hear(&l->talk, moment_ms(), 0));
    if (l->talk.drop) return status_fail(ERR_STOP, "the lease was given away");
    if (must_stop(l)) return status_fail(ERR_STOP, "stopped at %s %d of %d", stage, done, total);
    return status_ok();
}

/* A worker that a test holds hears that its coordinator has died, as it would at its next step, and speaks for its tail. */
static bool hold_is_over(void *self)
{
    Loop *l = self;
    return failed(talk_hear(&l->talk, moment_ms(), 0)) || failed(look_at_tail(l)) || l->talk.alone;
}

/* While the group waits for one of its ranks. Only what cannot wait for the next step is a reason to end it. */
static Status while_waiting(void *self)
{
    Loop *l = self;
    TRY(look_at_tail(l));
    TRY(talk_hear(&l->talk, moment_ms(), 0));
    if (l->talk.drop) return status_fail(ERR_STOP, "the lease was given away");
    if (l->talk.alone) return status_fail(ERR_STOP, "the coordinator is gone");
    return status_ok();
}

/* The group that the lease is for: the present one, or a new one. A worker that was alone and stays so keeps its engine. */
static Status join_group(Loop *l)
{
    const Lease *lease = &l->talk.lease;
    if (lease->kind == LEASE_FINISH) return status_ok(); /* the group stays as it is */
    if (lease->group == l->group_number || (lease->member_count <= 1 && l->group->size == 1)) return status_ok();
    Coll *before = l->group;
    l->group_number = lease->group;
    l->group = coll_self();
    Status status = lease->member_count <= 1
                        ? status_ok()
                        : coll_open_mpi(lease->member, lease->member_count, lease->group, &l->group);
    worker_join(l->worker, l->group, l->split); /* closes the engine, which may use the old one */
    coll_close(&before);
    if (!failed(status) && l->group->size > 1) coll_set_idle(l->group, while_waiting, l);
    return status;
}

/* One render at a time is at its end: this one waits for the one before. While that one does not end although it was told to, nothing is
 * said, so that this lease is given away, too. */
static Status wait_for_tail(Loop *l)
{
    for (int i = 0; !talk_may_leave_tail(&l->talk); i++) {
        if (i % SIGN_OF_LIFE == 0 && !l->talk.tail.drop) TRY(talk_progress(&l->talk, "decode", 0, 1));
        TRY(talk_hear(&l->talk, moment_ms(), TAIL_MS));
        TRY(look_at_tail(l));
        if (l->talk.drop || must_stop(l)) return status_fail(ERR_STOP, "no more waiting");
    }
    return status_ok();
}

/* The render's ending is made beside the next lease. False: it is not. */
static bool leave_tail(Loop *l, Status *status)
{
    if (!worker_has_tail(l->worker) || failed(wait_for_tail(l))) return false;
    log_copy_over(l->diary.book);
    *status = talk_leave_tail(&l->talk, moment_ms());
    worker_leave_tail(l->worker, &l->talk.tail.lease, &l->diary);
    return true;
}

static Status do_lease(Loop *l)
{
    LeaseResult result;
    Status status = status_ok();
    TRY(join_group(l));
    Progress progress = {between_steps, l};
    provoke_set_clip(l->talk.lease.clip_id);
    char who[128];
    snprintf(who, sizeof who, "worker %d (%s, process %d)", l->talk.link->rank, l->talk.host, l->talk.pid);
    diary_begin(&l->diary, &l->talk.lease, who);
    if (worker_begin_lease(l->worker, &l->talk.lease, progress, &result)) {
        if (leave_tail(l, &status)) return status;
        worker_end_lease(l->worker, &result);
    }
    diary_end(&l->diary, &result);
    warn_of_failure(&result);
    if (speaks(l)) return talk_finish(&l->talk, &result, moment_ms());
    lease_result_clear(&result);
    return talk_leave(&l->talk, moment_ms());
}

static bool may_leave(Loop *l)
{
    if (!must_stop(l)) return false;
    if (l->talk.alone || !talk_owes(&l->talk)) return true;
    return !l->talk.tail.has_lease && moment_ms() - l->stop_ms > FAREWELL_MS; /* a tail ends at its next frame */
}

Status worker_loop(Link *link, const WorkSettings *settings)
{
    BackendOptions o = worker_backend(settings->backend, settings->dtype, settings->vae_dtype);
    char host[HOST_BYTES] = "", who[32];
    o.threads = settings->threads;
    Loop l = {.worker = worker_new(&o), .group = coll_self(), .split = settings->split};
    Status status = status_ok();
    host_name(host);
    snprintf(who, sizeof who, "worker %d", link->rank);
    log_set_who(who);
    talk_open(&l.talk, link, host, (int)getpid(), settings->threads, settings->takes);
    provoke_set_hold(hold_is_over, &l);
    for (int64_t turn = 0; !failed(status) && !may_leave(&l); turn++) {
        status = provoke_at("ready", NULL, turn);
        if (!failed(status)) status = look_at_tail(&l);
        /* a worker says that it is there before it waits for a lease */
        const int wait_ms = turn == 0 ? 0 : l.talk.tail.has_lease ? TAIL_MS : IDLE_MS;
        if (!failed(status)) status = talk_hear(&l.talk, moment_ms(), wait_ms);
        if (!failed(status) && l.talk.has_lease) status = do_lease(&l);
    }
    if (!failed(status)) status = talk_goodbye(&l.talk);
    if (!failed(status) && l.talk.alone) status = status_fail(ERR_FATAL, "the coordinator is gone");
    if (!failed(status) && (!l.talk.stop || l.talk.stop_why == WIRE_STOP_PREEMPT))
        status = status_fail(ERR_STOP, "stopped in order to be resumed");
    provoke_set_hold(NULL, NULL);
    worker_free(&l.worker); /* its tail, too, which reads its lease until then */
    talk_close(&l.talk);
    coll_close(&l.group);
    return status;
}
