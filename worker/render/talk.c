#include "talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

void talk_open(Talk *t, Link *link, const char *host, int pid, int threads, int takes)
{
    *t = (Talk){.link = link, .pid = pid, .threads = threads, .takes = takes, .said_ms = -TALK_REPEAT_MS};
    snprintf(t->host, sizeof t->host, "%s", host);
}

void talk_close(Talk *t)
{
    lease_clear(&t->lease);
    lease_result_clear(&t->result);
    lease_clear(&t->tail.lease);
    lease_result_clear(&t->tail.result);
    memset(t, 0, sizeof *t);
}

static Status say(Talk *t, const WireMessage *m)
{
    unsigned char *data;
    size_t bytes;
    wire_encode(m, &data, &bytes);
    Status status = link_send(t->link, 0, data, bytes);
    free(data);
    return status;
}

static Status say_result(Talk *t, const LeaseResult *r)
{
    const WireMessage m = {.kind = WIRE_RESULT, .epoch = r->epoch, .lease = r->lease, .as.result = *r};
    return say(t, &m);
}

static Status say_what_is_due(Talk *t, int64_t now_ms)
{
    if (t->tail.owes_result && !t->alone && now_ms - t->tail.said_ms >= TALK_REPEAT_MS) {
        t->tail.said_ms = now_ms;
        TRY(say_result(t, &t->tail.result));
    }
    if (t->has_lease || t->alone || now_ms - t->said_ms < TALK_REPEAT_MS) return status_ok();
    t->said_ms = now_ms;
    if (t->owes_result) return say_result(t, &t->result);
    WireMessage m = {.kind = WIRE_READY, .lease = t->seen};
    m.as.ready.host = t->host;
    m.as.ready.pid = t->pid;
    m.as.ready.threads = t->threads;
    m.as.ready.takes = t->takes;
    m.as.ready.tail = t->tail.has_lease ? t->tail.lease.lease : 0;
    return say(t, &m);
}

static void take_lease(Talk *t, WireMessage *m)
{
    if (m->lease <= t->seen || t->has_lease) return; /* sent again: it is being done, or done */
    lease_result_clear(&t->result);                  /* a newer lease says that the last result was heard */
    t->owes_result = false;
    t->lease = m->as.lease;
    memset(&m->as.lease, 0, sizeof m->as.lease); /* moved */
    t->seen = t->lease.lease;
    t->has_lease = true;
    t->drop = false;
}

static void take_stop(Talk *t, const WireMessage *m)
{
    if (m->as.stop == WIRE_STOP_LEASE) {
        if (t->has_lease && t->lease.lease == m->lease) t->drop = true;
        if (t->tail.has_lease && t->tail.lease.lease == m->lease) t->tail.drop = true;
        return;
    }
    t->stop = true;
    t->stop_why = m->as.stop;
}

/* The coordinator would send it again and again, and wait. */
static void refuse_lease(Talk *t, const WireMessage *m, const char *why)
{
    if (m->lease <= t->seen || t->has_lease) return;
    lease_result_clear(&t->result);
    t->result = (LeaseResult){.lease = m->lease,
                              .epoch = m->epoch,
                              .err = ERR_RETRY,
                              .reason = text_format("the worker cannot read its lease: %s", why)};
    t->owes_result = true;
    t->seen = m->lease;
    t->said_ms = INT64_MIN / 2;
}

static void take_message(Talk *t, const News *news)
{
    WireMessage m;
    Status status = wire_decode(news->data, news->bytes, &m);
    if (failed(status)) {
        if (m.kind == WIRE_LEASE) refuse_lease(t, &m, status.message);
        return; /* of any other kind the coordinator will say it again */
    }
    if (m.kind == WIRE_LEASE) take_lease(t, &m);
    if (m.kind == WIRE_STOP) take_stop(t, &m);
    if (m.kind == WIRE_ACK && t->owes_result && m.lease == t->result.lease) {
        lease_result_clear(&t->result);
        t->owes_result = false;
        t->said_ms -= TALK_REPEAT_MS; /* ready for the next one at once */
    }
    if (m.kind == WIRE_ACK && t->tail.owes_result && m.lease == t->tail.result.lease) {
        lease_result_clear(&t->tail.result);
        t->tail.owes_result = false;
    }
    wire_clear(&m);
}

Status talk_hear(Talk *t, int64_t now_ms, int wait_ms)
{
    for (News news;; wait_ms = 0, news_clear(&news)) {
        TRY(link_hear(t->link, wait_ms, &news));
        if (news.kind == NEWS_NONE) break;
        if (news.kind == NEWS_DEATH && news.peer == 0) t->alone = true;
        if (news.kind == NEWS_MESSAGE) take_message(t, &news);
    }
    return say_what_is_due(t, now_ms);
}

static Status say_progress(Talk *t, const Lease *l, const char *stage, int done, int total)
{
    WireMessage m = {.kind = WIRE_PROGRESS, .epoch = l->epoch, .lease = l->lease};
    snprintf(m.as.progress.stage, sizeof m.as.progress.stage, "%s", stage);
    m.as.progress.done = done;
    m.as.progress.total = total;
    return say(t, &m);
}

Status talk_progress(Talk *t, const char *stage, int done, int total)
{
    return say_progress(t, &t->lease, stage, done, total);
}

Status talk_finish(Talk *t, LeaseResult *r, int64_t now_ms)
{
    lease_clear(&t->lease);
    t->has_lease = t->drop = false;
    lease_result_clear(&t->result);
    t->result = *r;
    memset(r, 0, sizeof *r);
    t->owes_result = true;
    t->said_ms = now_ms - TALK_REPEAT_MS;
    return say_what_is_due(t, now_ms);
}

Status talk_leave(Talk *t, int64_t now_ms)
{
    lease_clear(&t->lease);
    t->has_lease = t->drop = false;
    t->said_ms = now_ms - TALK_REPEAT_MS;
    return say_what_is_due(t, now_ms);
}

bool talk_may_leave_tail(const Talk *t) { return !t->tail.has_lease && !t->tail.owes_result; }

Status talk_leave_tail(Talk *t, int64_t now_ms)
{
    t->tail = (TalkTail){.has_lease = true, .lease = t->lease, .drop = t->drop};
    memset(&t->lease, 0, sizeof t->lease); /* moved */
    return talk_leave(t, now_ms);
}

Status talk_tail_progress(Talk *t, const char *stage, int done, int total)
{
    return say_progress(t, &t->tail.lease, stage, done, total);
}

Status talk_finish_tail(Talk *t, LeaseResult *r, int64_t now_ms)
{
    lease_clear(&t->tail.lease);
    t->tail = (TalkTail){.owes_result = true, .result = *r, .said_ms = now_ms - TALK_REPEAT_MS};
    memset(r, 0, sizeof *r);
    return say_what_is_due(t, now_ms);
}

bool talk_owes(const Talk *t) { return t->owes_result || t->tail.owes_result || t->tail.has_lease; }

Status talk_goodbye(Talk *t)
{
    WireMessage m = {.kind = WIRE_BYE, .lease = t->seen};
    return t->alone ? status_ok() : say(t, &m);
}
