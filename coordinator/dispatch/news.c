/* news.c - hears the messages and deaths of workers, and changes ledger and roster accordingly. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/dispatch/inside.h"

/* Of one round, some 500 shots: enough that a commit (4 ms of fsync) costs less than the work, and 20 ms at most to wait. */
enum { MOST_NEWS = 16384 };
/* After a round nobody is heard for so long. Then under load a commit serves the results of a millisecond, not one: 0.7 of the coordinator's
 * processor time, and as many shots a second (tests/farm/SCALE.md). */
enum { GATHER_MS = 1 };

static void greet(Dispatch *d, Member *m, const WireMessage *w)
{
    if (m->state == MEMBER_ABSENT) {
        snprintf(m->host, sizeof m->host, "%s", w->as.ready.host);
        m->pid = w->as.ready.pid;
        m->threads = w->as.ready.threads;
        m->takes = w->as.ready.takes;
        snprintf(m->name, sizeof m->name, "%s:%d", m->host, m->pid);
        const bool both = roster_takes(m, LEASE_RENDER) && roster_takes(m, LEASE_FINISH);
        dispatch_event(d, "worker.ready", "{s:i,s:s,s:i,s:s}", "worker", m->rank, "host", m->host, "pid", m->pid,
                       "takes",
                       both ? "both" : lease_kind_name(roster_takes(m, LEASE_FINISH) ? LEASE_FINISH : LEASE_RENDER));
    } else if (m->state == MEMBER_LOST) {
        dispatch_event(d, "worker.back", "{s:i}", "worker", m->rank);
    } else {
        return;
    }
    roster_set_state(&d->roster, m, MEMBER_READY);
    m->dirty = m->urgent = true;
}

/* The worker goes on with its next lease beside the tail, but where the shot has failed before: who dies with two leases in hand loses
 * both, and which of them it was nobody knows. So what has failed once is done alone (rules.c). */
static Status hear_of_tail(Dispatch *d, Member *m, int64_t lease)
{
    int workers, times;
    if (lease == 0 || m->lease != lease || m->state != MEMBER_WORKING || m->kind != LEASE_RENDER) return status_ok();
    if (roster_tail(&d->roster, m)->state == MEMBER_WORKING) return status_ok();
    TRY(ledger_failures(d->ledger, m->kind, m->item, &workers, &times));
    if (times > 0) return status_ok();
    dispatch_event(d, "lease.tail", "{s:I,s:I,s:i}", "lease", m->lease, "shot", m->shot, "worker", m->rank);
    roster_leave_tail(&d->roster, m, d->now_ms);
    return status_ok();
}

static Status hear_ready(Dispatch *d, Member *m, const WireMessage *w)
{
    greet(d, m, w);
    TRY(hear_of_tail(d, m, w->as.ready.tail));
    if (m->state == MEMBER_HELPING && w->lease >= m->lease) roster_end_lease(&d->roster, m, MEMBER_READY);
    if ((m->state == MEMBER_WORKING || m->state == MEMBER_HELPING) && w->lease < m->lease &&
        d->now_ms - m->sent_ms >= DISPATCH_RESEND_MS) {
        m->sent_ms = d->now_ms;
        link_send(d->link, m->rank, m->lease_data, m->lease_bytes); /* committed in an earlier round */
    }
    if (m->stop_told) dispatch_post_stop(d, m);
    return status_ok();
}

static bool works_at(const Dispatch *d, const Member *m, int64_t lease, int64_t epoch)
{
    return m->state == MEMBER_WORKING && m->lease == lease && epoch == ledger_epoch(d->ledger);
}

/* The worker itself or its tail; NULL: neither has this lease. */
static Member *holder_of(const Dispatch *d, Member *m, int64_t lease, int64_t epoch)
{
    Member *tail = roster_tail(&d->roster, m);
    return works_at(d, m, lease, epoch) ? m : works_at(d, tail, lease, epoch) ? tail : NULL;
}

static Status hear_progress(Dispatch *d, Member *m, const WireMessage *w)
{
    Member *holder = holder_of(d, m, w->lease, w->epoch);
    if (!holder) {
        dispatch_post_drop(d, m, w->lease);
        return status_ok();
    }
    holder->heard_ms = d->now_ms;
    const char *stage = w->as.progress.stage;
    roster_progress(&d->roster, holder, stage, w->as.progress.done, w->as.progress.total, d->now_ms);
    if (m->stop_told) dispatch_post_stop(d, m);
    return status_ok();
}

/* What a result must say before it is believed: a success faster than physics allows is a fault. */
static Status check_render(const Member *m, const LeaseResult *r)
{
    const int steps = r->steps_done + r->steps_resumed;
    if (r->steps_done < 0 || r->steps_resumed < 0 || (m->steps ? steps != m->steps : steps < 1))
        return status_fail(ERR_NODE, "reported done after %d of %d steps", r->steps_done + r->steps_resumed, m->steps);
    if (r->steps_done > 0 && !(r->denoise_s > 0))
        return status_fail(ERR_NODE, "reported %d steps in no time", r->steps_done);
    if (r->master.bytes <= 0 || strlen(r->master.sha256) != HASH_TEXT - 1)
        return status_fail(ERR_NODE, "reported a shot without its master");
    return status_ok();
}

static Status check_result(const Member *m, const LeaseResult *r)
{
    if (r->kind != m->kind)
        return status_fail(ERR_NODE, "reported a %s, expected a %s", lease_kind_name(r->kind),
                           lease_kind_name(m->kind));
    if (r->kind == LEASE_RENDER) return check_render(m, r);
    if (!*r->clip.file || strlen(r->clip.sha256) != HASH_TEXT - 1)
        return status_fail(ERR_NODE, "reported a clip without its file");
    return status_ok();
}

static void tell_of_result(Dispatch *d, const Member *m, const LeaseResult *r)
{
    if (r->kind == LEASE_RENDER)
        dispatch_event(d, "shot.rendered", "{s:s,s:i,s:I,s:i,s:i,s:f,s:f,s:f,s:I}", "shot", r->key, "worker", m->rank,
                       "lease", r->lease, "steps", r->steps_done, "steps_resumed", r->steps_resumed, "text_s",
                       r->encode_text_s, "denoise_s", r->denoise_s, "decode_s", r->decode_s, "master_bytes",
                       r->master.bytes);
    else
        dispatch_event(d, "clip.approved", "{s:s,s:s,s:i,s:I,s:s,s:s,s:f}", "clip", r->clip.clip_id, "shot", r->key,
                       "worker", m->rank, "lease", r->lease, "file", r->clip.file, "sha256", r->clip.sha256, "finish_s",
                       r->finish_s);
}

/* Moves the files before the commit. If the coordinator dies between the two, the ledger does not know them, and the next one has them made
 * again. */
static Status take_result(Dispatch *d, const Member *m, const LeaseResult *r)
{
    bool gone = false;
    TRY(check_result(m, r));
    if (!d->options.simulated) TRY(dispatch_adopt(d, m, r));
    TRY(ledger_take_result(d->ledger, r, &gone));
    d->files.sweep = d->files.sweep || gone;
    if (r->kind == LEASE_RENDER && r->master.bytes > d->files.largest_bytes) d->files.largest_bytes = r->master.bytes;
    return r->kind == LEASE_RENDER && !gone ? dispatch_queue_clips(d, m->shot) : status_ok();
}

/* ERR_*: the coordinator cannot write to the folders either, so the fault is not the node of the worker that complained. */
static Status check_folders(const Dispatch *d)
{
    const char *const place[] = {"", lease_clips, lease_masters, "latents"};
    Status status = status_ok();
    for (size_t i = 0; i < sizeof place / sizeof *place && !failed(status); i++) {
        char *inside = *place[i] ? path_join(ledger_folder(d->ledger), place[i]) : text_copy(ledger_folder(d->ledger));
        status = file_check_writable(inside);
        free(inside);
    }
    return status;
}

static Status take_success(Dispatch *d, Member *m, const LeaseResult *r)
{
    Status status = take_result(d, m, r);
    if (failed(status) && status.err != ERR_FATAL) {
        char *reason = text_copy(status.message);
        Status folders = check_folders(d);
        if (failed(folders)) dispatch_halt(d, DISPATCH_STUCK, folders.message);
        status = dispatch_lose(d, m, MEMBER_READY, failed(folders) ? LEASE_STOPPED : LEASE_FAILED, r, reason);
        free(reason);
        return status;
    }
    TRY(status);
    d->changes++;
    tell_of_result(d, m, r);
    if (r->kind == LEASE_FINISH) TRY(dispatch_render_again(d, r->clip.clip_id));
    roster_count_success(&d->roster, m);
    roster_end_lease(&d->roster, m, MEMBER_READY);
    return status_ok();
}

/* A finisher could not read the master: the shot is rendered again, and its clips wait for the new master. */
static Status lose_master(Dispatch *d, int64_t shot, const char *reason)
{
    log_line(LOG_WARNING, "shot %lld: %s; it is rendered again from its last checkpoint", (long long)shot, reason);
    dispatch_event(d, "master.lost", "{s:I,s:s}", "shot", shot, "reason", reason);
    TRY(ledger_lose_master(d->ledger, shot));
    d->files.sweep = true;
    return dispatch_fill_queues(d);
}

/* A signal may reach a worker before this process. Who gives back what is its own to do is about to leave; a group's first rank gives back what
 * another one was stopped in. */
static void note_leaving(Dispatch *d, const Member *m, const LeaseResult *r)
{
    if (r->kind == LEASE_FINISH || d->roster.group_size == 1)
        roster_set_leaving(&d->roster, &d->roster.member[m->rank], d->now_ms);
}

static Status take_failure(Dispatch *d, Member *m, const LeaseResult *r)
{
    const int64_t shot = m->shot;
    if (r->err == ERR_STOP) {
        note_leaving(d, m, r);
        return dispatch_lose(d, m, MEMBER_READY, LEASE_STOPPED, r, r->reason);
    }
    Status folders = r->err == ERR_CLIP ? status_ok() : check_folders(d);
    if (r->err != ERR_FATAL && !r->disk_full && !failed(folders)) {
        TRY(dispatch_lose(d, m, MEMBER_READY, LEASE_FAILED, r, r->reason));
        return r->master_bad ? lose_master(d, shot, r->reason) : status_ok();
    }
    dispatch_halt(d, DISPATCH_STUCK, failed(folders) ? folders.message : r->reason);
    return dispatch_lose(d, m, MEMBER_READY, LEASE_STOPPED, r, r->reason);
}

static Status hear_result(Dispatch *d, Member *m, const WireMessage *w)
{
    const LeaseResult *r = &w->as.result;
    WireMessage ack = {.kind = WIRE_ACK, .epoch = ledger_epoch(d->ledger), .lease = r->lease};
    Member *holder = holder_of(d, m, r->lease, r->epoch);
    if (holder) {
        TRY(dispatch_begin_changes(d));
        const bool finish = holder->kind == LEASE_FINISH; /* a lease that could not be read is a result of no kind */
        bool consents;                                    /* false: dispatch_ask_consent has already ended the lease */
        if (finish || r->err != OK)
            TRY(dispatch_ask_consent(d, finish ? -1 : holder->shot, finish ? holder->item : -1, &consents));
        if (works_at(d, holder, r->lease, r->epoch))
            TRY(r->err == OK ? take_success(d, holder, r) : take_failure(d, holder, r));
    } else if (m->state == MEMBER_LOST) {
        dispatch_event(d, "result.ignored", "{s:i,s:I}", "worker", m->rank, "lease", r->lease);
    }
    dispatch_post(d, m->rank, &ack);
    if (m->stop_told) dispatch_post_stop(d, m);
    return status_ok();
}

static Status hear_death(Dispatch *d, Member *m, bool goodbye)
{
    char reason[192];
    snprintf(reason, sizeof reason, "worker %d (%s) %s", m->rank, m->name[0] ? m->name : "not introduced",
             goodbye ? "left with its work undone" : "died");
    MemberState next = goodbye ? MEMBER_GONE : MEMBER_DEAD;
    if (m->state >= MEMBER_DEAD) return status_ok();
    if (!goodbye) {
        log_line(LOG_WARNING, "%s", reason);
        dispatch_event(d, "worker.died", "{s:i,s:s}", "worker", m->rank, "reason", reason);
    }
    Member *lead = roster_lead(&d->roster, m), *tail = roster_tail(&d->roster, m);
    const bool renders = lead->state == MEMBER_WORKING && lead->kind == LEASE_RENDER;
    if (renders || m->state == MEMBER_WORKING) { /* a group's render is lost with any of its ranks */
        Member *loser = renders ? lead : m;
        TRY(dispatch_begin_changes(d));
        TRY(dispatch_lose(d, loser, loser == m ? next : MEMBER_LOST, goodbye ? LEASE_STOPPED : LEASE_LOST, NULL,
                          reason));
    } else {
        dispatch_end_group(d, lead, true);
    }
    if (tail->state == MEMBER_WORKING) {
        TRY(dispatch_begin_changes(d));
        TRY(dispatch_lose(d, tail, next, goodbye ? LEASE_STOPPED : LEASE_LOST, NULL, reason));
    }
    if (m->state < MEMBER_DEAD) roster_end_lease(&d->roster, m, next);
    return status_ok();
}

static Status hear_message(Dispatch *d, Member *m, const News *news)
{
    WireMessage w;
    Status status = wire_decode(news->data, news->bytes, &w);
    if (failed(status)) {
        log_line(LOG_WARNING, "from worker %d: %s", m->rank, status.message);
        return status_ok();
    }
    m->heard_ms = d->now_ms;
    switch (w.kind) {
    case WIRE_READY:
        status = hear_ready(d, m, &w);
        break;
    case WIRE_PROGRESS:
        status = hear_progress(d, m, &w);
        break;
    case WIRE_RESULT:
        status = hear_result(d, m, &w);
        break;
    case WIRE_BYE:
        status = hear_death(d, m, true);
        break;
    default:
        break; /* a worker sends no other kind */
    }
    wire_clear(&w);
    return status;
}

/* The round's time goes on with it: what came has come at the end of the wait. */
static Status wait_for_news(Dispatch *d, int wait_ms, News *news)
{
    const int64_t begin_ms = moment_ms();
    if (wait_ms > 0) moment_sleep_ms(GATHER_MS);
    TRY(link_hear(d->link, wait_ms, news));
    if (wait_ms > 0) d->now_ms += moment_ms() - begin_ms;
    return status_ok();
}

Status dispatch_hear(Dispatch *d, int wait_ms)
{
    for (int i = 0; i < MOST_NEWS && d->changes < DISPATCH_ROUND_CLIPS; i++) {
        News news = d->kept;
        d->kept = (News){0};
        if (news.kind == NEWS_NONE) TRY(i == 0 ? wait_for_news(d, wait_ms, &news) : link_hear(d->link, 0, &news));
        if (news.kind == NEWS_NONE) break;
        Status status = status_ok();
        if (news.peer > 0 && news.peer < d->roster.count) {
            Member *m = &d->roster.member[news.peer];
            status = news.kind == NEWS_DEATH ? hear_death(d, m, false) : hear_message(d, m, &news);
        }
        if (ledger_is_locked(status)) { /* a death is told once: it is heard again in the next round */
            d->kept = news;
            return status;
        }
        news_clear(&news);
        TRY(status);
    }
    return status_ok();
}
